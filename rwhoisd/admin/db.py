"""Verbs of the database: upgrade, status."""

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
from rwhoisd.store import Store, StoreOutdatedError

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
