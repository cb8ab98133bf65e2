"""Verbs of the image: build, info, verify."""

from typing import Annotated, Any

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    REFUSED,
    ConfigOption,
    ImageOption,
    JsonOption,
    StateOption,
    StoreOption,
)
from rwhoisd.directory.dialect import DIALECTS
from rwhoisd.image.build import build as build_image
from rwhoisd.image.info import info as image_info
from rwhoisd.image.verify import verify as verify_image

app = typer.Typer(help="The image that answers are read from.", no_args_is_help=True)


@app.command(epilog="Example: rwhois-admin image build --config /etc/rwhoisd/rwhoisd.toml")
def build(
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    compat: Annotated[
        str | None, typer.Option(help="Whose line ends: arin or rfc; default: configured.")
    ] = None,
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Also index backwards, for a leading wildcard.")
    ] = False,
) -> None:
    """Build the image anew from the store; servers switch to it when it is done."""
    if compat not in (None, *DIALECTS):
        common.misuse(f"--compat {compat}: it is one of {', '.join(DIALECTS)}")

    async def work() -> int:
        target = common.target(config, state, store, image)
        eol = DIALECTS[compat].eol if compat else target.eol
        target.image.mkdir(parents=True, exist_ok=True)
        with common.progress() as bar:
            async with target.open() as opened, opened.snapshot() as source:
                count = await opened.object_count()

                def shown(what: str, done: int, total: int | None) -> None:
                    bar(what, done, count if what == "objects" else total)

                await build_image(source, target.image, eol, shown, reverse=reverse)
        figures = image_info(target.image)
        typer.echo(
            f"{target.image}: generation {figures.generation}, {figures.areas} areas,"
            f" {figures.objects} objects"
        )
        return DONE

    common.run(work)


@app.command(epilog="Example: rwhois-admin image info --state /var/lib/rwhoisd --json")
def info(
    config: ConfigOption = None,
    state: StateOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Show figures of the image that is served."""

    async def work() -> int:
        target = common.target(config, state, None, image)
        figures = image_info(target.image)
        if json:
            common.as_json(figures)
            return DONE
        for name, value in _facts(figures):
            typer.echo(f"{name}: {value}")
        return DONE

    common.run(work)


def _facts(figures: Any) -> list[tuple[str, Any]]:
    rows = {name: getattr(figures, name) for name in figures.__slots__}
    rows["eol"] = repr(figures.eol)
    return [(name.replace("_", " "), value) for name, value in rows.items()]


@app.command(epilog="Example: rwhois-admin image verify --state /var/lib/rwhoisd")
def verify(
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the image with the store, object by object; tell the first difference."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        with common.progress() as bar:
            async with target.open() as opened, opened.snapshot() as source:
                difference = await verify_image(
                    source, target.image, lambda done: bar("compared", done)
                )
        if json:
            common.as_json({"equal": difference is None, "difference": difference})
        else:
            typer.echo(difference or "the image holds what the store holds")
        return REFUSED if difference else DONE

    common.run(work)
