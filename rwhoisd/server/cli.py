"""The ``rwhoisd`` command.

Theory of operation. Typer reads the command line and has the help, but loading it takes as long
as much of a start does. So a ``serve`` whose options are written out, each apart from its value, is
read here, by a table; everything else, mistakes above all, is Typer's (``commands``).
"""

import gc
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_WORKERS: Final = 256


def main() -> None:
    """Do what the command line says; ends the process with the exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    given = plain(sys.argv[1:])
    if given is None:
        from rwhoisd.server.commands import app

        app()
    else:
        # A start makes much and drops next to nothing; the supervisor turns it on again.
        gc.disable()
        from rwhoisd.server.serve import Options, serving

        sys.exit(serving(Options(**given)))


def plain(arguments: Sequence[str]) -> dict[str, Any] | None:
    """The options of a plain ``serve`` by their names; None for what Typer has to read."""
    names, values = arguments[1::2], arguments[2::2]
    if arguments[:1] != ["serve"] or len(names) != len(values):
        return None
    given: dict[str, Any] = {}
    for name, text in zip(names, values, strict=True):
        value = _OPTIONS[name](text) if name in _OPTIONS and text[:1] not in ("", "-") else None
        field = name.removeprefix("--").replace("-", "_")
        if value is None or (field in given and field != "listen"):
            return None
        given[field] = [*given.get(field, ()), value] if field == "listen" else value
    return given


def _workers(text: str) -> int | None:
    plain_number = text.isascii() and text.isdigit() and len(text) <= len(str(_WORKERS))
    return int(text) if plain_number and int(text) <= _WORKERS else None


def _compat(text: str) -> str | None:
    return text if text in ("arin", "rfc") else None


# Option → what makes its value, or None where Typer has something to say.
_OPTIONS: Final[Mapping[str, Callable[[str], object]]] = {
    "--config": Path,
    "--arin-config": Path,
    "--listen": str,
    "--state": Path,
    "--workers": _workers,
    "--compat": _compat,
}
