"""``--version`` of every command."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import typer


def version_option(program: str) -> Any:
    """The option ``--version`` of a command, which prints ``program`` and our release."""
    return typer.Option(
        "--version", callback=_shower(program), is_eager=True, help="Show the version."
    )


def _shower(program: str) -> Callable[[bool], None]:
    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {version('rwhoisd')}")
            raise typer.Exit

    return show
