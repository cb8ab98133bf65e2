"""Many rows in one go: inserts of Core, compiled once, fed to the driver as tuples.

SQLAlchemy would process each value of each row; for a million objects that costs more than the
database does. The values are given as the columns keep them, so there is nothing to process.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Insert, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.store.codec import Row

_PREPARED: Final = 32


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have every column of ``table``, as the database keeps them."""
    if rows:
        await connection.run_sync(_insert, table, rows)


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    text, names = _prepared(connection.dialect, table)
    pick = itemgetter(*names)
    values: list[tuple[Any, ...]] = [pick(row) for row in rows]
    connection.exec_driver_sql(text, values)


@lru_cache(maxsize=_PREPARED)
def _prepared(dialect: Dialect, table: Table) -> tuple[str, tuple[str, ...]]:
    """The statement for one row, and the order of its parameters."""
    statement: Insert = insert(table)
    compiled = statement.compile(dialect=dialect, column_keys=[c.name for c in table.c])
    assert compiled.positiontup is not None  # every driver of ours takes parameters by position
    return str(compiled), tuple(compiled.positiontup)
