"""Verbs that look at what is stored: show, find, soa, journal, notices, status."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from json import loads
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    REFUSED,
    ConfigOption,
    Failure,
    ImageOption,
    JsonOption,
    StateOption,
    StoreOption,
    Target,
)
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Change, StoredObject
from rwhoisd.directory.dialect import RFC
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AddressRange, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.render import schema_record
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.directory.visibility import masked_lines
from rwhoisd.formats import history
from rwhoisd.formats.plan import diff
from rwhoisd.image.errors import ImageError
from rwhoisd.image.info import ImageInfo, info
from rwhoisd.inventory.survey import states
from rwhoisd.store import Store

_NAMED: Final = 3  # areas in a message


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="An authority area, or the ID of an object; with --at an address, too."
        ),
    ],
    class_name: Annotated[
        str | None, typer.Argument(metavar="[CLASS]", help="A class of the area.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="The object with this ID, or all that held this address, as it was at a time:"
            " 20260131 or 2026-01-31T12:00, UTC.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show an area, a class of it, or an object with everything that is kept of it."""
    moment = None if at is None else _moment(at)
    if moment is not None and class_name is not None:
        common.misuse("--at shows objects; leave out the class")

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            if moment is not None:
                return await _show_then(opened, name, moment, json=json)
            area = await _area(opened, name)
            if area is not None and class_name is not None:
                _show_class(area, class_name, json=json)
            elif area is not None:
                await _show_area(opened, area, json=json)
            elif not await _show_objects(opened, name, json=json):
                raise Failure(f"{name}: no area has this name, no object this ID")
        return DONE

    common.run(work)


def _moment(text: str) -> TimeStamp:
    try:
        return history.moment(text)
    except ValueError as error:
        common.misuse(f"--at {error}")


async def _show_then(store: Store, name: str, at: TimeStamp, *, json: bool) -> int:
    """Show what had an ID or held an address at a moment."""
    span = Network.from_text(name) or AddressRange.from_text(name)
    if span is None:
        then = await history.object_at(store, name, at)
    else:
        if isinstance(span, Network):
            span = AddressRange(span.family, span.start, span.last)
        then = await history.holders_at(store, span, at)
    _tell_begins(then, at)
    if json:
        common.as_json([_then_row(obj, entry) for obj, entry in then.objects])
    elif not then.objects:
        what = "no object had this ID" if span is None else "no object held it"
        common.complain(f"{name}: {what} at {history.in_words(at)}, as far as is known")
    else:
        for obj, entry in then.objects:
            _tell_then(obj, entry)
    return DONE if then.objects else REFUSED


def _tell_begins(then: history.Then, at: TimeStamp) -> None:
    """Tell which journals do not reach back to a moment."""
    if not then.unknown:
        return
    first = min(then.unknown.values())
    names = list(then.unknown)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    common.complain(
        f"the journal of {', '.join(names[:_NAMED])}{more} begins {history.in_words(first)}:"
        f" what was there at {history.in_words(at)} is not known"
    )


def _then_row(obj: Object, entry: Change | None) -> dict[str, Any]:
    return {
        "area": obj.area,
        "class": obj.class_name,
        "id": obj.id,
        "source": obj.source,
        "since": entry.serial.text if entry else None,
        "author": entry.author if entry else None,
        "lines": [list(line) for line in masked_lines(obj)],
    }


def _tell_then(obj: Object, entry: Change | None) -> None:
    since = "since before the journal"
    if entry is not None:
        since = f"since {history.in_words(entry.serial)}, by {entry.author}"
    typer.echo(f"# {obj.class_name} of {obj.area}, from {obj.source}, {since}")
    for name, value in masked_lines(obj):
        typer.echo(f"{name}: {value}")
    typer.echo()


async def _area(store: Store, name: str) -> AuthorityArea | None:
    try:
        return await store.area(name)
    except RwhoisError:  # what is no area name may be an ID
        return None


def _show_class(area: AuthorityArea, name: str, *, json: bool) -> None:
    class_def = area.schema.class_def(name)
    if class_def is None:
        known = ", ".join(c.name for c in area.schema.classes)
        raise Failure(f"{area.name} has no class {name}; it has {known}")
    if json:
        common.as_json(class_def)
        return
    for attribute in class_def.attributes:
        for line in schema_record(class_def.name, attribute, RFC)[:-1]:
            typer.echo(line.removeprefix("%schema "))
        typer.echo(f"{class_def.name}:index:{attribute.index.value}")
        typer.echo(f"{class_def.name}:aliases:{' '.join(attribute.aliases)}\n")


async def _show_area(store: Store, area: AuthorityArea, *, json: bool) -> None:
    counts = [c for c in await store.counts() if c.area == area.name.text]
    slaves = await store.slaves(area.name.text)
    facts = {
        "name": area.name.text,
        "role": area.role,
        "charset": area.charset,
        "soa": _soa_facts(area.soa),
        "guardians": list(area.guardians),
        "masters": [str(m) for m in area.masters],
        "slaves": [str(s) for s in slaves],
        "answer-to": list(area.audience),
        "privacy": area.privacy or "public",
        "operator": area.operator or None,
        "internal-to": list(area.internal_to),
        "classes": [c.name for c in area.schema.classes],
        "objects": {f"{c.class_name} from {c.source}": c.objects for c in counts},
    }
    if json:
        common.as_json(facts)
        return
    facts["answer-to"] = facts["answer-to"] or "everybody"
    facts["internal-to"] = facts["internal-to"] or "nobody"
    for name, value in facts.items():
        typer.echo(f"{name}: {_in_words(value)}")


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {k}: {v}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _soa_facts(soa: Soa | None) -> dict[str, Any] | None:
    return {k.replace("_", "-"): v for k, v in asdict(soa).items()} if soa else None


async def _show_objects(store: Store, object_id: str, *, json: bool) -> bool:
    found = await store.find_objects(object_id=object_id)
    if json:
        common.as_json([object_row(stored) for stored in found])
    else:
        for stored in found:
            _tell_object(stored)
    return bool(found)


def object_row(stored: StoredObject) -> dict[str, Any]:
    """A stored object as JSON shows it."""
    obj = stored.object
    return {
        "area": obj.area,
        "class": obj.class_name,
        "id": obj.id,
        "source": obj.source,
        "row": stored.row,
        "position": stored.position,
        "indexed": obj.indexed,
        "lines": [list(line) for line in masked_lines(obj)],
    }


def _tell_object(stored: StoredObject) -> None:
    obj = stored.object
    found = "" if obj.indexed else ", found by no query"
    typer.echo(f"# {obj.class_name} of {obj.area}, from {obj.source}{found}")
    for name, value in masked_lines(obj):
        typer.echo(f"{name}: {value}")
    typer.echo()


def find(
    text: Annotated[str, typer.Argument(help="An address, a network, an ID, or part of a value.")],
    area: Annotated[str | None, typer.Option(help="Only in this area.")] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of this source.")] = None,
    below: Annotated[
        bool, typer.Option("--below", help="Networks within, not those around.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Objects shown at most.")] = 100,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Find stored objects, hidden and private ones as well."""

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            found = [
                stored
                async for stored in _matches(opened, text, area, below=below, limit=limit)
                if class_name in (None, stored.object.class_name)
                and source in (None, stored.object.source)
            ][:limit]
        if json:
            common.as_json([object_row(stored) for stored in found])
        else:
            for stored in found:
                _tell_object(stored)
        return DONE if found else REFUSED

    common.run(work)


async def _matches(
    store: Store, text: str, area: str | None, *, below: bool, limit: int
) -> AsyncIterator[StoredObject]:
    span = Network.from_text(text) or AddressRange.from_text(text)
    if span is not None:
        look = store.networks_within if below else store.networks_around
        for row in dict.fromkeys(entry.row for entry in await look(area, span)):
            for stored in await store.find_objects(row=row):
                yield stored
        return
    by_id = await store.find_objects(area, object_id=text, limit=limit)
    for stored in by_id:
        yield stored
    if not by_id:
        async for stored in _holding(store, text.lower(), area):
            yield stored


async def _holding(store: Store, text: str, area: str | None) -> AsyncIterator[StoredObject]:
    async with store.snapshot() as source:
        for one in await source.areas():
            if area is not None and one.name.key != area.lower():
                continue
            async for batch in source.objects(one.name.text):
                for stored in batch:
                    if any(text in value.lower() for _, value in masked_lines(stored.object)):
                        yield stored


def soa(
    areas: Annotated[
        list[str] | None, typer.Argument(help="Areas; all when none is named.")
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show start of authority and serial of areas."""

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            found = common.chosen(await opened.areas(), areas or [])
            serials = await opened.serials()
        rows = [
            {
                "area": area.name.text,
                "role": area.role,
                "last-change": serials[area.name.text].text,
                **(_soa_facts(area.soa) or {}),
            }
            for area in found
        ]
        if json:
            common.as_json(rows)
            return DONE
        for row in rows:
            for name, value in row.items():
                typer.echo(f"{name}: {value}")
            typer.echo()
        return DONE

    common.run(work)


def journal(
    of: Annotated[
        str | None,
        typer.Argument(metavar="[AREA|ID]", help="Only this area, or the life of an object."),
    ] = None,
    object_id: Annotated[
        str | None, typer.Option("--id", help="The whole history of an object.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Only later than this serial.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entries shown at most, the newest.")] = 50,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what was changed, when and by whom, the newest first."""
    start = TimeStamp.padded(after) if after else None
    if after and start is None:
        common.misuse(f"--after {after}: a serial has 8 to 17 digits, such as 20260131")

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            area, wanted_id = await _journal_of(opened, of, object_id)
            entries = await opened.journal(
                area, start, limit, object_id=wanted_id, newest_first=True
            )
            if not entries and area is None and wanted_id is not None and start is None:
                raise Failure(f"{wanted_id}: no area has this name, no object ever had this ID")
        if json:
            common.as_json([_entry_row(entry) for entry in entries])
            return DONE
        for entry in entries:
            _tell_entry(entry)
        return DONE

    common.run(work)


async def _journal_of(
    store: Store, of: str | None, object_id: str | None
) -> tuple[str | None, str | None]:
    """Area and ID that a journal is asked of: a word is an area when one has, or had, the name."""
    if of is None or object_id is not None:
        return of, object_id
    areas = await store.journal_begins()
    named = of.lower() if of == "." else of.strip(".").lower()
    return (of, None) if named in areas else (None, of)


def _entry_row(entry: Change) -> dict[str, Any]:
    def lines(obj: Object | None) -> list[list[str]] | None:
        return [list(line) for line in masked_lines(obj)] if obj else None

    return {
        "serial": entry.serial.text,
        "area": entry.area,
        "operation": entry.operation.value,
        "author": entry.author,
        "source": entry.source,
        "before": lines(entry.before),
        "after": lines(entry.after),
    }


def _tell_entry(entry: Change) -> None:
    what = "definition"
    change = None
    if entry.before or entry.after:
        change = diff(entry.operation.value, entry.before, entry.after)
        what = f"{change.class_name} {change.name}"
    who = f"{entry.author} ({entry.source})"
    typer.echo(f"{entry.serial.text} {entry.area} {entry.operation.value} {what} by {who}")
    if change is not None and entry.operation.value == "modify":
        for line in change.minus:
            typer.echo(f"  - {line}")
        for line in change.plus:
            typer.echo(f"  + {line}")


def notices(
    limit: Annotated[int, typer.Option(min=1, help="Notices shown at most, the newest.")] = 50,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what other servers and clients told with -notify, the newest first."""

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            found = await opened.notices(limit)
        if json:
            rows = [{**asdict(notice), "received": notice.received.text} for notice in found]
            common.as_json(rows)
            return DONE
        for notice in found:
            told = f"{notice.received.text} {notice.kind} {notice.text} from {notice.peer}"
            # It came from the network: nothing of it may steer the terminal.
            typer.echo("".join(c if c.isprintable() else repr(c)[1:-1] for c in told))
        return DONE

    common.run(work)


def status(
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Show areas, objects by source, whether the image is up to date, and what was counted."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with target.open() as opened:
            facts = await _status(opened, target)
        if json:
            common.as_json(facts)
        else:
            _tell_status(facts)
        return DONE

    common.run(work)


async def _status(store: Store, target: Target) -> dict[str, Any]:
    serials = {name: serial.text for name, serial in (await store.serials()).items()}
    counts = await store.counts()
    areas = []
    for area in await store.areas():
        mine = [c for c in counts if c.area == area.name.text]
        ordered = sorted(mine, key=lambda c: c.source)
        by_source = groupby(ordered, key=lambda c: c.source)
        areas.append(
            {
                "area": area.name.text,
                "role": area.role,
                "serial": serials[area.name.text],
                "objects": sum(c.objects for c in mine),
                "sources": {s: sum(c.objects for c in some) for s, some in by_source},
            }
        )
    image = image_info(target)
    return {
        "store": store.place,
        "revision": await store.revision(),
        "areas": areas,
        "inventory": [
            {
                "source": source.name,
                "kind": source.kind,
                "facts": source.facts,
                "read": source.read.isoformat(timespec="seconds"),
                "age": source.age(datetime.now(UTC)),
                "held": source.held,
            }
            for source in await states(store)
        ],
        "deferred": {
            "waiting": len(list(target.deferred.waiting())),
            "refused": len(list(target.deferred.refused())),
        },
        "image": image,
        "image_current": image is not None and dict(image.serials) == serials,
        "counted": _counted(target),
    }


def _counted(target: Target) -> dict[str, Any] | None:
    """What the server that uses this state folder counted since its start, as it wrote it last."""
    try:
        found = loads(target.counters.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def image_info(target: Target) -> ImageInfo | None:
    """Figures of the image, None when there is no good one."""
    try:
        return info(target.image)
    except ImageError:
        return None


def _tell_status(facts: dict[str, Any]) -> None:
    typer.echo(f"store: {facts['store']}, schema {facts['revision']}")
    table = Table("area", "role", "objects", "sources", "last change", box=None, pad_edge=False)
    for row in facts["areas"]:
        sources = ", ".join(f"{count} {name}" for name, count in row["sources"].items())
        table.add_row(row["area"], row["role"], str(row["objects"]), sources, row["serial"])
    common.console().print(table)
    if facts["inventory"]:
        told = common.table("inventory source", "kind", "facts", "age", "held")
        for row in facts["inventory"]:
            told.add_row(row["source"], row["kind"], str(row["facts"]), row["age"], row["held"])
        common.console().print(told)
    if any(facts["deferred"].values()):
        waiting, refused = facts["deferred"].values()
        typer.echo(f"deferred registrations: {waiting} wait, {refused} refused")
    image = facts["image"]
    if image is None:
        typer.echo("image: none that can be served; make one with: rwhois-admin image build")
    else:
        current = "up to date" if facts["image_current"] else "behind the store"
        typer.echo(f"image: generation {image.generation}, {image.objects} objects, {current}")
    if counted := facts["counted"]:
        since, at = counted.pop("since", "?"), counted.pop("at", "?")
        numbers = ", ".join(f"{str(n).replace('_', ' ')} {count}" for n, count in counted.items())
        typer.echo(f"counted from {since} to {at}: {numbers}")
