"""Verbs of the database: upgrade, status, copy."""

from typing import Annotated

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    REFUSED,
    ConfigOption,
    JsonOption,
    StateOption,
    StoreOption,
)
from rwhoisd.store import Copied, Store, StoreOutdatedError, copy_store

app = typer.Typer(help="The database behind the store.", no_args_is_help=True)


@app.command(epilog="Example: rwhois-admin db upgrade --store postgresql://rwhoisd@db/rwhoisd")
def upgrade(
    config: ConfigOption = None, state: StateOption = None, store: StoreOption = None
) -> None:
    """Bring the tables to this release, making them if need be; doing it twice does no harm."""

    async def work() -> int:
        target = common.target(config, state, store, None)
        async with target.open_any(create=True) as opened:
            before = await opened.revision()
            await opened.upgrade()
            after = await opened.revision()
            came = f", was {before or 'empty'}" if before != after else ""
            typer.echo(f"{opened.place}: schema {after}{came}")
        return DONE

    common.run(work)


@app.command(epilog="Example: rwhois-admin db status --state /var/lib/rwhoisd --json")
def status(
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show the version of the tables, and whether this release can use them."""

    async def work() -> int:
        target = common.target(config, state, store, None)
        async with target.open_any() as opened:
            revision, place = await opened.revision(), opened.place
        problem = await _problem(target.url)
        if json:
            common.as_json(
                {"store": place, "revision": revision, "usable": not problem, "problem": problem}
            )
        else:
            typer.echo(f"{place}: schema {revision}{', usable' if not problem else ''}")
        if problem and not json:
            common.complain(problem)
        return REFUSED if problem else DONE

    common.run(work)


async def _problem(url: str) -> str | None:
    try:
        async with await Store.open(url):
            return None
    except StoreOutdatedError as error:
        return str(error)


@app.command(
    epilog="Example: rwhois-admin db copy /var/lib/rwhoisd/store.sqlite"
    " postgresql://rwhoisd@db/rwhoisd"
)
def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="URL of the store to copy, or an SQLite file.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="URL of an empty database, or a new SQLite file.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Empty TO first, whatever is in it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Copy a whole directory into another database: objects, journal, settings and all.

    FROM may be in use; what is changed there meanwhile is not copied. A copy that is interrupted
    leaves TO unusable until it is copied again with --replace.
    """

    async def work() -> int:
        with common.progress() as bar:
            copied = await copy_store(source, target, replace=replace, progress=bar)
        if json:
            common.as_json(copied)
        else:
            _tell_copied(copied)
        return DONE

    common.run(work)


def _tell_copied(copied: Copied) -> None:
    for table, rows in copied.rows.items():
        typer.echo(f"{table}: {rows}")
    typer.echo(f"{copied.target} holds what {copied.source} held")
