"""The directory as it was: objects and addresses at a moment, from the journal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rwhoisd.directory.changes import Change
from rwhoisd.directory.names import AddressRange
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.directory.space import addresses_of, size_of
from rwhoisd.store import Store

_Row = tuple[str, int]  # area, lower case, and row: numbers of areas may come again


def moment(text: str) -> TimeStamp:
    """A moment as the RFC writes it (``20260131`` or longer) or as ISO 8601 does; UTC.

    A date stands for its first moment. Raises: ValueError, that tells how to write it.
    """
    if stamp := TimeStamp.padded(text):
        try:
            stamp.to_datetime()
        except ValueError:
            raise ValueError(f"{text!r} is no date; write 20260131 or 2026-01-31T12:00") from None
        return stamp
    try:
        read = datetime.fromisoformat("" if text.isdigit() else text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write 20260131 or 2026-01-31T12:00") from None
    return TimeStamp.from_datetime(read if read.tzinfo else read.replace(tzinfo=UTC))


def in_words(stamp: TimeStamp) -> str:
    """A moment for people: ``2026-01-31 12:00:00.000 UTC``; digits that are no date as they are."""
    try:
        at = stamp.to_datetime()
    except ValueError:
        return stamp.text
    return f"{at:%Y-%m-%d %H:%M:%S}.{stamp.text[14:]} UTC"


@dataclass(frozen=True)
class Then:
    """What there was at a moment, and what is not known of it.

    ``objects`` come with the entry that made them so, None when the journal has none of it.
    ``unknown``: area → where its journal begins, which is later.
    """

    objects: tuple[tuple[Object, Change | None], ...]
    unknown: Mapping[str, TimeStamp]


async def object_at(store: Store, object_id: str, at: TimeStamp) -> Then:
    """The objects that had an ID at a moment."""
    lives: dict[_Row, list[Change]] = {}
    for entry in await store.journal(object_id=object_id):
        lives.setdefault((entry.area.lower(), entry.row), []).append(entry)
    found = []
    for life in lives.values():
        before = [entry for entry in life if entry.serial <= at]
        obj = before[-1].after if before else life[0].before
        if obj is not None and (obj.id or "").lower() == object_id.lower():
            found.append((obj, before[-1] if before else None))
    areas = {life[0].area for life in lives.values()}
    return Then(tuple(found), await _unknown(store, areas, at))


async def holders_at(store: Store, span: AddressRange, at: TimeStamp) -> Then:
    """The objects that held all of ``span`` at a moment, the most specific first.

    What is stored now is rolled back by what the journal has since then, so the cost follows
    from that, not from the age of the directory.
    """
    classes = await _classes(store)

    def size_in(obj: Object) -> int | None:
        """Of the addresses of an object that hold ``span``, the smallest."""
        spans = addresses_of(obj, classes.get((obj.area, obj.class_name.lower())))
        return min((size_of(s) for s in spans if s.encloses(span)), default=None)

    begins = await store.journal_begins()
    held: dict[_Row, Object | None] = {}  # None: it did not hold them then
    async with store.snapshot() as source:
        for key in begins:
            async for entry in source.changes(key, at):
                row = (key, entry.row)
                if entry.row and row not in held:
                    holds = entry.before is not None and size_in(entry.before) is not None
                    held[row] = entry.before if holds else None
    for now in await store.networks_around(None, span):
        row = (now.area.lower(), now.row)
        if row not in held:
            stored = await store.find_objects(row=now.row)
            held[row] = stored[0].object if stored else None
    found = [(size_in(obj) or 0, row, obj) for row, obj in held.items() if obj is not None]
    objects = []
    for _, (area, number), obj in sorted(found, key=lambda one: one[:2]):
        entries = [e for e in await store.journal(area, row=number) if e.serial <= at]
        objects.append((obj, entries[-1] if entries else None))
    names = {a.name.key: a.name.text for a in await store.areas()}
    return Then(tuple(objects), await _unknown(store, {names.get(k, k) for k in begins}, at))


async def _unknown(store: Store, areas: Iterable[str], at: TimeStamp) -> dict[str, TimeStamp]:
    begins = await store.journal_begins()
    found = {area: begins.get(area.lower()) for area in sorted(areas)}
    return {area: begin for area, begin in found.items() if begin is not None and begin > at}


async def _classes(store: Store) -> dict[tuple[str, str], ClassDef]:
    return {
        (area.name.text, class_def.name.lower()): class_def
        for area in await store.areas()
        for class_def in area.schema.classes
    }
