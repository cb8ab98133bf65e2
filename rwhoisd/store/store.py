"""The doorway to the database: open it, change it, take a snapshot, ask it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypeVar

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.changes import Change, StoredObject
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import AddressRange, AreaName, Network
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.store import definitions, hierarchy, journal, schema
from rwhoisd.store.change import AreaChange
from rwhoisd.store.codec import id_key, shown
from rwhoisd.store.engines import (
    BUSY_SECONDS,
    announce,
    answering,
    check_file,
    in_time,
    listen,
    make_engine,
    parse_url,
    schema_locked,
    transaction,
)
from rwhoisd.store.errors import StoreLockedError, place_of
from rwhoisd.store.snapshot import OBJECT_COLUMNS, Snapshot, stored_objects
from rwhoisd.store.tables import authority_area, notice, setting, slave, stored_object, unindexed
from rwhoisd.store.tables import journal as entries_table

NOTICES: Final = 1_000  # kept; peers make them, so there must be an end
NOTICE_CHARACTERS: Final = 1_024
TRIES: Final = 8  # of a change that meets another one
_T = TypeVar("_T")


def _clock() -> TimeStamp:
    return TimeStamp.from_datetime(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Notice:
    """What a peer told us with ``-notify``; newest first in lists."""

    received: TimeStamp
    kind: str
    peer: str
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many objects an area has of a class from a source."""

    area: str
    class_name: str
    source: str
    objects: int


class Store:
    """The directory's database. Safe for any number of tasks and processes at once."""

    def __init__(
        self,
        engine: AsyncEngine,
        now: Callable[[], TimeStamp] = _clock,
        patience: float = BUSY_SECONDS,
    ) -> None:
        """``patience``: seconds in which a change that meets others is tried again."""
        self._engine = engine
        self._now = now
        self._patience = patience

    @classmethod
    async def open(
        cls,
        url: str,
        create: bool = False,
        *,
        check: bool = True,
        now: Callable[[], TimeStamp] = _clock,
        busy_seconds: float = BUSY_SECONDS,
    ) -> "Store":
        """A store at a database URL or the path of an SQLite file.

        ``create`` makes file and tables when there are none. ``check=False`` leaves the version
        of the schema alone: for ``upgrade``. ``busy_seconds`` is how long SQLite waits for a
        lock. Raises: StoreError (missing, foreign, locked, unreachable), StoreOutdatedError.
        """
        parsed = parse_url(url)
        check_file(parsed, create=create)
        store = cls(make_engine(parsed, busy_seconds), now, busy_seconds)
        try:
            await store._prepare(create=create, check=check)
        except BaseException:
            await store.close()
            raise
        return store

    async def _prepare(self, *, create: bool, check: bool) -> None:
        async with self._reading() as connection:
            found = await connection.run_sync(schema.current)
        if found is None and create:
            await self.upgrade()
        elif check:
            async with self._reading() as connection:
                await connection.run_sync(schema.check_current, self.place)

    async def close(self) -> None:
        """Give back all connections; the store cannot be used afterwards."""
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def place(self) -> str:
        """What the database is called in messages: file, or URL without password."""
        return place_of(self._engine.url)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """For one question."""
        url = self._engine.url
        async with answering(url), transaction(self._engine, change=False) as connection:
            yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        async with transaction(self._engine, change=True) as connection:
            yield connection

    # -- schema ----------------------------------------------------------------------------

    async def revision(self) -> str | None:
        """Version of the schema; None for a database without tables of ours."""
        async with self._reading() as connection:
            return await connection.run_sync(schema.current)

    async def upgrade(self) -> None:
        """Bring the schema to this release's version; idempotent, all or nothing on SQLite.

        Several may do it at once, as nodes that are started together do: they take turns.
        """
        async with self._writing() as connection, schema_locked(connection):
            await connection.run_sync(schema.check_free, self.place)
            await connection.run_sync(schema.upgrade)

    async def downgrade(self, revision: str) -> None:
        """Take the schema back to ``revision``; ``base`` removes every table and all data."""
        async with self._writing() as connection:
            await connection.run_sync(schema.downgrade, revision)

    async def schema_differences(self) -> list[object]:
        """What the database's tables lack compared with those of this release."""
        async with self._reading() as connection:
            return await connection.run_sync(schema.differences)

    # -- changes and snapshots -------------------------------------------------------------

    @asynccontextmanager
    async def change(
        self, area: str, *, author: str, source: str, create: bool = False
    ) -> AsyncIterator[AreaChange]:
        """A change of one area, in one transaction that is committed on leaving.

        An exception rolls everything back. Raises: RwhoisError 340 for an unknown area unless
        ``create``, StoreLockedError when others did not let go (see ``run``), StoreError.
        """
        changing = self.changes((area,), author=author, source=source, create=create)
        async with changing as changes:
            yield changes[area]

    @asynccontextmanager
    async def changes(
        self, areas: Iterable[str], *, author: str, source: str, create: bool = False
    ) -> AsyncIterator[Mapping[str, AreaChange]]:
        """Changes of several areas by the names given, in one transaction: all happen or none.

        The areas are locked in one order, so that two of these never wait for each other.
        Raises: as ``change``.
        """
        names = sorted(((AreaName.from_text(area), area) for area in areas), key=_lock_order)
        async with self._writing() as connection:
            changes = {}
            for name, area in names:
                change = AreaChange(connection, name, author=author, source=source)
                changes[area] = await change.start(self._now(), create=create)
            yield changes
            for change in changes.values():
                await change.finish()
            for name, area in names:
                if changes[area].changed:
                    await announce(connection, name.key)

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` now and at each change of anybody, until the connection is lost.

        Returns at once where the database tells nobody: poll ``serials`` there. A notice may get
        lost with its connection, so poll elsewhere, too. Raises: StoreError.
        """
        await listen(self._engine, heard)

    async def run(
        self,
        area: str,
        callback: Callable[[AreaChange], Awaitable[_T]],
        *,
        author: str,
        source: str,
        create: bool = False,
    ) -> _T:
        """What ``callback`` returns for a change that was committed.

        It is called again, with a new change, when another writer was in the way: it must have
        no effect but on the change. Raises: as ``change``, the last StoreLockedError included.
        """

        async def work() -> _T:
            async with self.change(area, author=author, source=source, create=create) as change:
                return await callback(change)

        return await self._tried(work)

    async def run_all(
        self,
        areas: Iterable[str],
        callback: Callable[[Mapping[str, AreaChange]], Awaitable[_T]],
        *,
        author: str,
        source: str,
    ) -> _T:
        """The same for several areas, in one transaction; the changes by the names given."""

        async def work() -> _T:
            async with self.changes(areas, author=author, source=source) as changes:
                return await callback(changes)

        return await self._tried(work)

    async def _tried(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """What ``work`` returns once nobody is in its way. Raises: the last StoreLockedError."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._patience
        for attempt in range(TRIES):
            try:
                return await work()
            except StoreLockedError:
                # Who waited for a lock all that time need not wait as long again.
                if attempt == TRIES - 1 or clock() >= end:
                    raise
                # Not all at once again. No secret hangs on this number.
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """A ``Source``: everything read from it belongs to one moment.

        Each read raises StoreLostError when the database is silent too long.
        """
        url = self._engine.url
        async with in_time(url, transaction(self._engine, change=False)) as connection:
            async with answering(url):
                snapshot = await Snapshot(connection).start()
            yield snapshot

    # -- the directory ---------------------------------------------------------------------

    async def areas(self) -> tuple[AuthorityArea, ...]:
        """All authority areas by position."""
        async with self._reading() as connection:
            return await definitions.read_areas(connection)

    async def area(self, name: str) -> AuthorityArea | None:
        """The area of this name, in any case; None when there is none."""
        async with self._reading() as connection:
            found = await definitions.read_areas(connection, [AreaName.from_text(name).key])
        return found[0] if found else None

    async def serials(self) -> Mapping[str, TimeStamp]:
        """Area name → serial of its last change; cheap, for those who poll."""
        async with self._reading() as connection:
            rows = await connection.execute(select(authority_area.c.name, authority_area.c.serial))
            return dict(rows.all())

    async def find_objects(
        self,
        area: str | None = None,
        class_name: str | None = None,
        object_id: str | None = None,
        *,
        source: str | None = None,
        row: int | None = None,
        limit: int | None = None,
    ) -> list[StoredObject]:
        """Objects by area, class and position; conditions left out do not count."""
        o, a = stored_object.c, authority_area.c
        query = select(a.name, *OBJECT_COLUMNS).join_from(authority_area, stored_object)
        by_object = object_id is not None or row is not None
        conditions = {
            unindexed(a.name_key) if by_object else a.name_key: None
            if area is None
            else AreaName.from_text(area).key,
            o.class_key: None if class_name is None else class_name.lower(),
            o.id_key: None if object_id is None else id_key(object_id),
            o.source: source,
            o.row_id: row,
        }
        for column, value in conditions.items():
            if value is not None:
                query = query.where(column == value)
        query = query.order_by(a.position, a.area_id, o.class_key, o.position, o.row_id)
        async with self._reading() as connection:
            rows = (await connection.execute(query.limit(limit))).all()
        return [stored_objects(name, [rest])[0] for name, *rest in rows]

    async def journal(
        self,
        area: str | None = None,
        after: TimeStamp | None = None,
        limit: int | None = None,
        *,
        object_id: str | None = None,
        row: int | None = None,
        newest_first: bool = False,
    ) -> list[Change]:
        """Journal entries by serial, area and ordinal; conditions left out do not count.

        ``object_id`` gives the whole history of every object that ever had this ID.
        """
        query = journal.entries(
            area and AreaName.from_text(area).key,
            after=after,
            limit=limit,
            object_id=object_id,
            row=row,
            newest_first=newest_first,
        )
        async with self._reading() as connection:
            return await journal.read_entries(connection, query)

    async def journal_begins(self) -> Mapping[str, TimeStamp]:
        """Area, lower case → serial of the oldest entry of its journal, gone areas included."""
        c = entries_table.c
        query = select(c.area_key, func.min(c.serial)).group_by(c.area_key)
        async with self._reading() as connection:
            return dict((await connection.execute(query)).all())

    async def object_count(self) -> int:
        """How many objects there are, in all areas; an index is gone through."""
        query = select(func.count()).select_from(stored_object)
        async with self._reading() as connection:
            return (await connection.execute(query)).scalar_one()

    async def counts(self) -> list[Count]:
        """Objects per area (by position), class and source."""
        o, a = stored_object.c, authority_area.c
        query = (
            select(a.name, func.min(o.class_name), o.source, func.count())
            .join_from(authority_area, stored_object)
            .group_by(a.position, a.area_id, a.name, o.class_key, o.source)
            .order_by(a.position, a.area_id, o.class_key, o.source)
        )
        async with self._reading() as connection:
            return [Count(*row) for row in await connection.execute(query)]

    # -- the hierarchy ---------------------------------------------------------------------

    async def networks_within(
        self, area: str | None, within: Network | AddressRange, *, limit: int | None = None
    ) -> list[hierarchy.NetworkEntry]:
        """Addresses at or below ``within`` in address order, covering before covered."""
        async with self._reading() as connection:
            return await hierarchy.networks_within(connection, area, within, limit)

    async def networks_around(
        self, area: str | None, inner: Network | AddressRange
    ) -> list[hierarchy.NetworkEntry]:
        """Addresses at or above ``inner``, the most specific first."""
        async with self._reading() as connection:
            return await hierarchy.networks_around(connection, area, inner)

    async def networks_overlapping(
        self, area: str | None, other: Network | AddressRange
    ) -> list[hierarchy.NetworkEntry]:
        """Addresses that share some with ``other``, in address order, covering before covered."""
        async with self._reading() as connection:
            return await hierarchy.networks_overlapping(connection, area, other)

    async def overlaps(self, area: str | None = None) -> list[hierarchy.Overlap]:
        """Pairs of objects of one area and class that hold the same addresses, or share some
        of them without one enclosing the other."""
        async with self._reading() as connection:
            return await hierarchy.overlaps(connection, area)

    async def references_to(self, object_id: str) -> list[hierarchy.ReferenceEntry]:
        """Who points at the object with this ID."""
        async with self._reading() as connection:
            return await hierarchy.references_to(connection, object_id)

    async def dangling_references(self, area: str | None = None) -> list[hierarchy.ReferenceEntry]:
        """Values of ID attributes that are the ID of no stored object."""
        async with self._reading() as connection:
            return await hierarchy.dangling_references(connection, area)

    # -- settings, slaves, notices ---------------------------------------------------------

    async def settings(self) -> Mapping[str, str]:
        """All settings that are kept in the store."""
        async with self._reading() as connection:
            return dict((await connection.execute(select(setting))).all())

    async def set_setting(self, name: str, value: str | None) -> None:
        """Keep a setting, or forget it with None."""
        await self._tried(lambda: self._set_setting(name, value))

    async def _set_setting(self, name: str, value: str | None) -> None:
        async with self._writing() as connection:
            here = setting.c.name == name
            if value is None:
                await connection.execute(delete(setting).where(here))
                return
            done = await connection.execute(update(setting).where(here).values(value=value))
            if not done.rowcount and not await _exists(connection, setting, here):
                await connection.execute(insert(setting).values(name=name, value=value))

    async def slaves(self, area: str) -> tuple[HostPort, ...]:
        """Slave servers of an area: those of its definition, then those that announced
        themselves."""
        query = select(slave.c.host, slave.c.port).join(authority_area)
        query = query.where(authority_area.c.name_key == AreaName.from_text(area).key)
        order = (slave.c.defined.desc(), slave.c.ordinal, slave.c.host, slave.c.port)
        async with self._reading() as connection:
            rows = await connection.execute(query.order_by(*order))
            return tuple(HostPort(host, port) for host, port in rows)

    async def add_slave(self, area: str, at: HostPort) -> bool:
        """Note a slave that announced itself; False when it was known already.

        Raises: RwhoisError 340.
        """
        return await self._tried(lambda: self._add_slave(area, at))

    async def _add_slave(self, area: str, at: HostPort) -> bool:
        async with self._writing() as connection:
            area_id = await _area_id(connection, area)
            if await _exists(connection, slave, _slave_at(area_id, at)):
                return False
            row = {"area_id": area_id, "host": at.host, "port": at.port}
            await connection.execute(insert(slave).values(**row, ordinal=0, defined=False))
            return True

    async def remove_slave(self, area: str, at: HostPort) -> bool:
        """Forget a slave that announced itself; those of the definition stay (False).

        Raises: RwhoisError 340.
        """
        return await self._tried(lambda: self._remove_slave(area, at))

    async def _remove_slave(self, area: str, at: HostPort) -> bool:
        async with self._writing() as connection:
            area_id = await _area_id(connection, area)
            here = delete(slave).where(_slave_at(area_id, at), slave.c.defined.is_(False))
            return bool((await connection.execute(here)).rowcount)

    async def record_notice(self, kind: str, text: str, peer: str) -> None:
        """Keep what a peer told; only the last ``NOTICES`` stay, each cut to a bounded size."""
        row = {
            "received": self._now(),
            "kind": shown(kind[:40]),
            "peer": shown(peer[:NOTICE_CHARACTERS]),
            "text": shown(text[:NOTICE_CHARACTERS]),
        }
        await self._tried(lambda: self._record_notice(row))

    async def _record_notice(self, row: Mapping[str, object]) -> None:
        async with self._writing() as connection:
            result = await connection.execute(insert(notice).values(row))
            assert result.inserted_primary_key is not None
            oldest = result.inserted_primary_key[0] - NOTICES
            await connection.execute(delete(notice).where(notice.c.notice_id <= oldest))

    async def notices(self, limit: int = NOTICES) -> list[Notice]:
        """The last notices of peers, newest first."""
        n = notice.c
        query = select(n.received, n.kind, n.peer, n.text).order_by(n.notice_id.desc())
        async with self._reading() as connection:
            return [Notice(*row) for row in await connection.execute(query.limit(limit))]


def _lock_order(named: tuple[AreaName, str]) -> str:
    return named[0].key


async def _area_id(connection: AsyncConnection, area: str) -> int:
    """Number of an area, whose row is locked. Raises: RwhoisError 340."""
    here = authority_area.c.name_key == AreaName.from_text(area).key
    query = select(authority_area.c.area_id).where(here).with_for_update()
    found: int | None = (await connection.execute(query)).scalar()
    if found is None:
        raise RwhoisError(ResponseCode.INVALID_AREA, f"no authority area {area}")
    return found


def _slave_at(area_id: int, at: HostPort) -> ColumnElement[bool]:
    return and_(slave.c.area_id == area_id, slave.c.host == at.host, slave.c.port == at.port)


async def _exists(
    connection: AsyncConnection, table: FromClause, condition: ColumnElement[bool]
) -> bool:
    query = select(literal(1)).select_from(table).where(condition).limit(1)
    return (await connection.execute(query)).first() is not None
