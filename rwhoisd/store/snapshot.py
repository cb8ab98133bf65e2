"""What the image is built from: the whole directory as it was at one moment."""

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.body import decode_lines
from rwhoisd.directory.changes import Bodies, Change, StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.store import definitions, journal
from rwhoisd.store.engines import answering
from rwhoisd.store.tables import authority_area, stored_object

_T = TypeVar("_T")
BATCH: Final = 5_000  # objects per query
FEW: Final = 200  # definitions that are read by name; of more all are read
_o = stored_object.c
OBJECT_COLUMNS: Final = (
    _o.row_id,
    _o.position,
    _o.class_name,
    _o.body,
    _o.source,
    _o.indexed,
    _o.answer_order,
)


def stored_objects(area: str, rows: Sequence[Any]) -> list[StoredObject]:
    """Objects of rows of ``OBJECT_COLUMNS``."""
    return [
        StoredObject(
            row_id,
            position,
            Object(area, class_name, decode_lines(body), source, indexed, order),
        )
        for row_id, position, class_name, body, source, indexed, order in rows
    ]


async def object_batches(
    connection: AsyncConnection, area_id: int, area: AuthorityArea, source: str | None = None
) -> AsyncIterator[list[StoredObject]]:
    """Objects of an area by class (schema order) and position, at most ``BATCH`` at a time."""
    async for rows in _row_batches(connection, area_id, area, source):
        yield stored_objects(area.name.text, rows)


async def _row_batches(
    connection: AsyncConnection, area_id: int, area: AuthorityArea, source: str | None = None
) -> AsyncIterator[Sequence[Any]]:
    """The same as rows of ``OBJECT_COLUMNS``.

    Each batch is a query of its own that goes on behind the last row, so that no cursor stays
    open between two of them.
    """
    for class_def in area.schema.classes:
        query = select(*OBJECT_COLUMNS).where(
            _o.area_id == area_id, _o.class_key == class_def.name.lower()
        )
        if source is not None:
            query = query.where(_o.source == source)
        query = query.order_by(_o.position, _o.row_id).limit(BATCH)
        rows: Sequence[Any] = (await connection.execute(query)).all()
        while rows:
            yield rows
            last = rows[-1]
            if len(rows) < BATCH:
                break
            rows = (await connection.execute(_behind(query, last.position, last.row_id))).all()


def _behind(query: Select[Any], position: int, row_id: int) -> Select[Any]:
    """The rest of a query by (position, row): as ranges that every engine takes from the index."""
    here = and_(_o.position >= position, or_(_o.position > position, _o.row_id > row_id))
    return query.where(here)


class Snapshot:
    """A ``directory.changes.Source`` over one read transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = {}  # by folded name, in order
        self._serials: dict[str, TimeStamp] = {}
        self._soa_serials: dict[str, str | None] = {}
        self._definitions: dict[str, AuthorityArea] = {}  # by folded name, as far as read

    async def start(self) -> "Snapshot":
        """Read the serials, which also fixes the moment that all later reads belong to."""
        a = authority_area.c
        query = select(a.area_id, a.name, a.name_key, a.serial, a.soa_serial)
        query = query.order_by(a.position, a.area_id)
        for row in (await self._connection.execute(query)).all():
            self._numbers[row.name_key] = row.area_id
            self._serials[row.name] = row.serial
            self._soa_serials[row.name] = row.soa_serial
        return self

    async def areas(self) -> tuple[AuthorityArea, ...]:
        """Areas by position."""
        return tuple((await self._read(self._numbers)).values())

    async def serials(self) -> Mapping[str, TimeStamp]:
        """Area name → serial of its last journalled change, areas by position."""
        return dict(self._serials)

    async def soa_serials(self) -> Mapping[str, str | None]:
        """Area name → Serial-Number that its SOA shows; None without SOA."""
        return dict(self._soa_serials)

    async def definitions(self, names: Collection[str]) -> Mapping[str, AuthorityArea]:
        """Areas of these names, by name."""
        found = await self._read({name.lower(): None for name in names})
        return {name: found[name.lower()] for name in names}

    async def _read(self, keys: Collection[str]) -> Mapping[str, AuthorityArea]:
        """Areas by folded name, in the order of ``keys``."""
        missing = [key for key in keys if key not in self._definitions]
        if missing:
            named = missing if len(missing) <= FEW else None
            areas = await self._answered(definitions.read_areas(self._connection, named))
            self._definitions |= {area.name.key: area for area in areas}
        return {key: self._definitions[key] for key in keys}

    async def _area(self, name: str) -> tuple[int, AuthorityArea]:
        key = name.lower()
        return self._numbers[key], (await self._read([key]))[key]

    async def objects(self, area: str) -> AsyncIterator[Sequence[StoredObject]]:
        """All objects of an area in batches, by class (schema order) and position."""
        area_id, definition = await self._area(area)
        batches = object_batches(self._connection, area_id, definition)
        while (batch := await self._answered(anext(batches, None))) is not None:
            yield batch

    async def _answered(self, read: Awaitable[_T]) -> _T:
        async with answering(self._connection.engine.url):
            return await read

    async def bodies(self, area: str) -> AsyncIterator[Bodies]:
        """The same in columns, of one class each."""
        area_id, definition = await self._area(area)
        async for rows in _row_batches(self._connection, area_id, definition):
            for class_name, run in groupby(rows, key=attrgetter("class_name")):
                row_ids, positions, _, bodies, sources, indexed, orders = zip(*run, strict=True)
                yield Bodies(class_name, row_ids, positions, sources, indexed, orders, bodies)

    async def changes(self, area: str, after: TimeStamp) -> AsyncIterator[Change]:
        """Journal entries with a serial greater than ``after``, by serial and ordinal."""
        query = journal.entries(area, after=after, limit=BATCH)
        while batch := await self._answered(journal.read_entries(self._connection, query)):
            for change in batch:
                yield change
            if len(batch) < BATCH:
                break
            here = journal.after_entry(batch[-1].serial, batch[-1].ordinal)
            query = journal.entries(area, limit=BATCH).where(here)
