"""Verbs of address blocks: assign, release, utilization."""

from pathlib import Path
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
from rwhoisd.admin.editing import (
    AreaOption,
    AuthorOption,
    DryRunOption,
    Manner,
    SetOption,
    YesOption,
    confirmed,
    done_row,
    editing,
    lines_of,
    tell_done,
)
from rwhoisd.directory.names import Network
from rwhoisd.directory.space import parse_size
from rwhoisd.formats.addressing import Assigned, Assignment, Block, assign, release, utilization
from rwhoisd.formats.edits import Done
from rwhoisd.formats.newfile import new_file
from rwhoisd.formats.space_map import percent, space_map

ClassOption = Annotated[str, typer.Option("--class", help="Class of the block's object.")]


def _network(text: str, what: str) -> Network:
    found = Network.from_text(text)
    if found is None:
        common.misuse(f"{what} {text}: is no prefix/length such as 192.0.2.0/24 or 2001:db8::/32")
    return found


def assign_(
    outer: Annotated[str, typer.Option("--from", help="The block that it is taken out of.")] = ...,  # type: ignore[assignment]
    size: Annotated[str, typer.Option("--size", help="Prefix length, such as 29.")] = ...,  # type: ignore[assignment]
    organization: Annotated[
        str | None,
        typer.Option("--org", help="ID of the organization that gets it.", show_default=False),
    ] = None,
    sets: SetOption = None,
    class_name: ClassOption = "network",
    author: AuthorOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Register the lowest free block of a size, in one transaction: nobody else gets it."""
    block = _network(outer, "--from")
    try:
        length = parse_size(size, block)
    except ValueError as error:
        common.misuse(f"--size: {error}")
    wanted = Assignment(block, length, class_name, lines_of(sets), organization)
    manner = Manner(yes, dry_run, json)

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with editing(target, author) as editor:
            found = None
            if manner.asks or dry_run:
                found = await assign(editor, wanted, dry_run=True)
                if not confirmed(found.done.edits, manner):
                    return REFUSED
            if not dry_run:
                found = await assign(editor, wanted, only=found.block if found else None)
                await target.refresh_image(editor.store)
        assert found is not None  # a dry run finds, too
        _tell_assigned(found, manner)
        return DONE

    common.run(work)


def _tell_assigned(found: Assigned, manner: Manner) -> None:
    if manner.json:
        common.as_json({"block": str(found.block), **done_row(found.done, manner)})
        return
    typer.echo(str(found.block))
    tell_done([found.done], manner)


def release_(
    what: Annotated[str, typer.Argument(metavar="ID|PREFIX", help="An ID, or the addresses.")],
    class_name: ClassOption = "network",
    area: AreaOption = None,
    author: AuthorOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Return a block: delete its object. Refused while more specific objects stand in it."""
    manner = Manner(yes, dry_run, json)

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with editing(target, author) as editor:

            async def go(*, trying: bool) -> Done:
                return await release(editor, what, class_name=class_name, area=area, dry_run=trying)

            done = await go(trying=True)
            if not confirmed(done.edits, manner):
                return REFUSED
            if not dry_run:
                done = await go(trying=False)
                await target.refresh_image(editor.store)
        tell_done([done], manner)
        return DONE

    common.run(work)


def utilization_(
    prefixes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PREFIX]...",
            help="Blocks; default: areas, and networks that have more specific objects.",
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", help="Draw a map of the blocks to this file.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show how full blocks are: the addresses that more specific objects in them have."""
    blocks = [_network(text, "prefix") for text in prefixes or ()]

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            with common.progress() as show:
                found = await utilization(opened, blocks, show)
        if svg is not None:
            _draw(svg, found)
        if json:
            common.as_json([_row(block) for block in found])
        else:
            _tell_table(found)
        return DONE

    common.run(work)


def _draw(path: Path, blocks: list[Block]) -> None:
    with new_file(path) as write:
        write(space_map(blocks))


def _row(block: Block) -> dict[str, Any]:
    usage = block.usage
    return {
        "block": str(block.span),
        "name": block.name,
        "kind": block.kind,
        "size": usage.size,
        "used": usage.used,
        "free": usage.size - usage.used,
        "share": round(usage.share, 6),
        "largest_free": str(usage.largest_free) if usage.largest_free else None,
        "objects": len(block.inner),
    }


def _tell_table(blocks: list[Block]) -> None:
    table = common.table("block", "name", "size", "used", "full", "largest free", "objects")
    for block in blocks:
        usage = block.usage
        table.add_row(
            str(block.span),
            block.name,
            _count(usage.size),
            _count(usage.used),
            percent(usage.share),
            str(usage.largest_free or "none"),
            str(len(block.inner)),
        )
    common.console().print(table)


def _count(number: int) -> str:
    """A number of addresses; large ones as a power of ten."""
    return str(number) if number < 10**9 else f"{number:.3g}"
