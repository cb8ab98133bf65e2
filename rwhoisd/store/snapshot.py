"""What the image is built from: the whole directory as it was at one moment."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
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
        self._areas: dict[str, tuple[int, AuthorityArea]] = {}
        self._serials: dict[str, TimeStamp] = {}

    async def start(self) -> "Snapshot":
        """Read the areas, which also fixes the moment that all later reads belong to."""
        a = authority_area.c
        query = select(a.area_id, a.name, a.name_key, a.serial).order_by(a.position, a.area_id)
        rows = (await self._connection.execute(query)).all()
        areas = await definitions.read_areas(self._connection)
        for row, area in zip(rows, areas, strict=True):
            self._areas[row.name_key] = (row.area_id, area)
            self._serials[row.name] = row.serial
        return self

    async def areas(self) -> tuple[AuthorityArea, ...]:
        """Areas by position."""
        return tuple(area for _, area in self._areas.values())

    async def serials(self) -> Mapping[str, TimeStamp]:
        """Area name → serial of its last journalled change."""
        return dict(self._serials)

    async def objects(self, area: str) -> AsyncIterator[Sequence[StoredObject]]:
        """All objects of an area in batches, by class (schema order) and position."""
        area_id, definition = self._areas[area.lower()]
        batches = object_batches(self._connection, area_id, definition)
        while (batch := await self._answered(anext(batches, None))) is not None:
            yield batch

    async def _answered(self, read: Awaitable[_T]) -> _T:
        async with answering(self._connection.engine.url):
            return await read

    async def bodies(self, area: str) -> AsyncIterator[Bodies]:
        """The same in columns, of one class each."""
        area_id, definition = self._areas[area.lower()]
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
