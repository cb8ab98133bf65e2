"""A whole store from one database into another, whatever engines they are.

Theory of operation. All rows of all tables are read in one transaction of the source, so they
belong to one moment while others go on changing it. They go into the target in batches, each
committed; its schema version says ``copying`` before the first one and becomes that of this
release in the last commit, after what arrived was read again and compared. So a copy that ends
early leaves a database that every release refuses, and never half a directory.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Select,
    Table,
    TypeDecorator,
    delete,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rwhoisd.store import schema
from rwhoisd.store.bulk import insert_tuples
from rwhoisd.store.engines import check_file, make_engine, parse_url, transaction
from rwhoisd.store.errors import StoreError, place_of
from rwhoisd.store.tables import (
    ROW_BITS,
    authority_area,
    journal,
    metadata,
    notice,
    object_class,
)

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much

BATCH: Final = 2_000  # rows of one commit
_TABLES: Final = tuple(metadata.sorted_tables)  # those that others point at come first
_DIGEST_BITS: Final = 128

# Gives false when another session asked the same of the same database: of PostgreSQL a schema.
_MEET: Final = {
    "postgresql": "SELECT pg_try_advisory_xact_lock(4321, hashtext(current_schema()))",
    "mysql": "SELECT GET_LOCK(CONCAT('rwhoisd ', MD5(DATABASE())), 0)",
}
# Makes a counter go on behind a number. The others do so by themselves behind rows that are
# there; but the number of an area that is gone must not be given again, for rows of the journal
# have it.
_COUNT_ON: Final = {
    "postgresql": ("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), {last})",),
    "mysql": ("ALTER TABLE {table} AUTO_INCREMENT = {next}",),
    "sqlite": (
        "DELETE FROM sqlite_sequence WHERE name = '{table}'",
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {last})",
    ),
}


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied from where to where: table → number of rows."""

    source: str
    target: str
    rows: Mapping[str, int]


@dataclass(slots=True)
class _Sum:
    """Number of rows and a digest of them that does not hang on their order."""

    rows: int = 0
    digest: int = 0

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self.rows += len(rows)
        for row in rows:
            digest = hashlib.blake2b(repr(row).encode(), digest_size=_DIGEST_BITS // 8).digest()
            self.digest = (self.digest + int.from_bytes(digest)) % (1 << _DIGEST_BITS)


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


async def copy_store(
    source: str, target: str, *, replace: bool = False, progress: Progress = _silent
) -> Copied:
    """Copy the store at ``source`` into the empty database ``target``: URLs or SQLite files.

    ``replace`` empties a target that is not, or that is an unfinished copy. Serials, row
    numbers and history stay, so an image of the one is an image of the other.
    Raises: StoreError, when one of them cannot be used or what arrived is not what was sent.
    """
    urls = parse_url(source), parse_url(target)
    check_file(urls[0], create=False)
    _check_other_file(*urls)
    check_file(urls[1], create=True)
    async with AsyncExitStack() as stack:
        old, new = (make_engine(url) for url in urls)
        stack.push_async_callback(new.dispose)
        stack.push_async_callback(old.dispose)
        reading = await stack.enter_async_context(transaction(old, change=False))
        await reading.run_sync(schema.check_current, place_of(urls[0]))
        counts = {table.name: await _count(reading, table) for table in _TABLES}
        await _meet(reading)
        await _clear(new, place_of(urls[1]), replace=replace)
        sums = await _pour(reading, new, sum(counts.values()), progress)
        await _compare(new, sums, progress)
        async with transaction(new, change=True) as writing:
            await _count_on(reading, writing)
            await writing.run_sync(schema.mark_finished)
    rows = {name: done.rows for name, done in sums.items()}
    return Copied(place_of(urls[0]), place_of(urls[1]), rows)


def _check_other_file(source: URL, target: URL) -> None:
    if source.get_backend_name() == target.get_backend_name() == "sqlite":
        one, other = (Path(url.database or "") for url in (source, target))
        if other.exists() and one.samefile(other):
            raise _same(place_of(target))


def _same(place: str) -> StoreError:
    return StoreError(f"{place} is the database to copy from: name another one to copy to")


async def _count(connection: AsyncConnection, table: Table) -> int:
    count = (await connection.execute(select(func.count()).select_from(table))).scalar()
    assert count is not None
    return count


def _engine_name(connection: AsyncConnection) -> str:
    name = connection.dialect.name
    return "mysql" if name == "mariadb" else name


async def _meet(connection: AsyncConnection) -> bool:
    """Whether this is the first session of a copy that came to this database."""
    question = _MEET.get(_engine_name(connection))
    return question is None or bool((await connection.exec_driver_sql(question)).scalar())


# -- the target --------------------------------------------------------------------------------


async def _clear(engine: AsyncEngine, place: str, *, replace: bool) -> None:
    """Make the target a store without rows that says it is unfinished."""
    async with transaction(engine, change=True) as writing:
        if not await _meet(writing):
            raise _same(place)
        if await writing.run_sync(schema.current) is None:
            await writing.run_sync(schema.check_free, place)
            await writing.run_sync(schema.upgrade)
        if not (replace and await writing.run_sync(schema.is_unfinished)):
            await writing.run_sync(schema.check_current, place)
        if not replace and await _has_rows(writing):
            raise StoreError(
                f"{place} is not empty: name an empty database, or give --replace to lose what"
                " is in it"
            )
        await writing.run_sync(schema.mark_unfinished)
    async with transaction(engine, change=True) as writing:
        for table in reversed(_TABLES):
            await writing.execute(delete(table))


async def _has_rows(connection: AsyncConnection) -> bool:
    for table in _TABLES:
        if (await connection.execute(select(literal(1)).select_from(table).limit(1))).first():
            return True
    return False


# -- rows --------------------------------------------------------------------------------------


def _all_of(table: Table) -> Select[Any]:
    """Every row as the columns keep it: without what the code makes of a value."""
    columns: list[ColumnElement[Any]] = [
        type_coerce(c, c.type.impl_instance) if isinstance(c.type, TypeDecorator) else c
        for c in table.c
    ]
    return select(*columns).execution_options(yield_per=BATCH)


async def _batches(
    connection: AsyncConnection, table: Table
) -> AsyncIterator[list[tuple[Any, ...]]]:
    result = await connection.stream(_all_of(table))
    async for rows in result.partitions():
        yield [tuple(row) for row in rows]


async def _pour(
    reading: AsyncConnection, engine: AsyncEngine, total: int, progress: Progress
) -> dict[str, _Sum]:
    """Copy every row; what was sent of each table."""
    sums, done = {table.name: _Sum() for table in _TABLES}, 0
    for table in _TABLES:
        async for rows in _batches(reading, table):
            async with transaction(engine, change=True) as writing:
                await insert_tuples(writing, table, rows)
            sums[table.name].add(rows)
            done += len(rows)
            progress("copied", done, total)
    return sums


async def _compare(engine: AsyncEngine, sent: Mapping[str, _Sum], progress: Progress) -> None:
    """Raise StoreError unless the target has what was sent, byte for byte."""
    total, done = sum(one.rows for one in sent.values()), 0
    async with transaction(engine, change=False) as reading:
        for table in _TABLES:
            found = _Sum()
            async for rows in _batches(reading, table):
                found.add(rows)
                done += len(rows)
                progress("compared", done, total)
            if found != sent[table.name]:
                raise StoreError(
                    f"{place_of(engine.url)}: table {table.name} is not what was copied:"
                    " see that nobody else writes there, then copy again with --replace"
                )


async def _count_on(reading: AsyncConnection, writing: AsyncConnection) -> None:
    """Let the counters of the target go on where those of the source are."""
    name = _engine_name(writing)
    last = {
        column: (await reading.execute(select(func.max(column)))).scalar() or 0
        for column in (authority_area.c.area_id, object_class.c.class_id, notice.c.notice_id)
    }
    gone = (await reading.execute(select(func.max(journal.c.row_id)))).scalar() or 0
    area_id = authority_area.c.area_id
    last[area_id] = max(last[area_id], gone >> ROW_BITS)
    for column, number in last.items():
        if not number or (name != "postgresql" and column is not area_id):
            continue
        words = {"table": column.table.name, "column": column.name}
        for statement in _COUNT_ON[name]:
            await writing.exec_driver_sql(statement.format(**words, last=number, next=number + 1))
