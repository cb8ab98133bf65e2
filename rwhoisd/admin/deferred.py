"""Registrations that wait for the database, and those that were refused when it was back."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import DONE, REFUSED, ConfigOption, JsonOption, StateOption
from rwhoisd.service.deferred import Deferred, DeferredQueue


def deferred(
    config: ConfigOption = None,
    state: StateOption = None,
    retry: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Let a refused one wait again.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Forget a refused one.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show registrations that wait for the database or were refused afterwards, and why.

    What a refused one wanted stands in its file. Register or edit it by hand and drop it, or
    mend what was in its way and let it be tried again.
    """

    async def work() -> int:
        queue = common.target(config, state, None, None).deferred
        unknown = [name for name in retry or () if not queue.retry(name)]
        unknown += [name for name in drop or () if not queue.drop(name)]
        rows = list(_rows(queue))
        if json:
            common.as_json(rows)
        else:
            _tell(rows)
        for name in unknown:
            common.complain(f"no refused registration {name}")
        return REFUSED if unknown else DONE

    common.run(work)


def _rows(queue: DeferredQueue) -> Iterator[dict[str, Any]]:
    """What people need to know: no contents, as there may be secrets."""
    for state, entries in (("waiting", queue.waiting()), ("refused", queue.refused())):
        for entry in entries:
            yield {
                "name": entry.name,
                "state": state,
                "taken": entry.taken,
                "action": entry.action,
                "object": _object(entry),
                "maintainer": entry.maintainer,
                "client": entry.client,
                "reason": entry.reason,
                "file": str(queue.folder / state / f"{entry.name}.json"),
            }


def _object(entry: Deferred) -> str:
    """Which object it is about, as far as it says: an ID, or class and area."""
    first = dict(entry.records[0]) if entry.records else {}
    return first.get("ID") or " ".join(first.get(n, "?") for n in ("Class-Name", "Auth-Area"))


def _tell(rows: list[dict[str, Any]]) -> None:
    if not rows:
        typer.echo("no registration waits, and none was refused")
        return
    names = ("name", "state", "taken", "action", "object", "maintainer", "reason")
    table = common.table(*names)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    common.console().print(table)
