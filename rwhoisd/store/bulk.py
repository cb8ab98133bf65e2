"""Many rows in one go: inserts of Core, compiled once, fed to the driver as tuples.

SQLAlchemy would process each value of each row; for a million objects that costs more than the
database does. The values are given as the columns keep them, so there is nothing to process.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from struct import unpack
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Index, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.store.codec import Row
from rwhoisd.store.tables import journal, network, reference, stored_object

_PREPARED: Final = 32
_FILTER_OCTETS: Final = 1 << 25
_FEW_KEYS: Final = 1 << 13  # that are remembered one by one
_FILLED: Final = (stored_object, network, reference, journal)


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have every column of ``table``, as the database keeps them."""
    pick = itemgetter(*(column.name for column in table.c))
    await insert_tuples(connection, table, [pick(row) for row in rows])


async def insert_tuples(
    connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
) -> None:
    """The same for rows that hold the columns in the order of ``table``."""
    if rows:
        await connection.run_sync(_insert, table, rows)


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.exec_driver_sql(_prepared(connection.dialect, table), list(rows))


@lru_cache(maxsize=_PREPARED)
def _prepared(dialect: Dialect, table: Table) -> str:
    """The statement for one row."""
    names = [column.name for column in table.c]
    compiled = insert(table).compile(dialect=dialect, column_keys=names)
    # Every driver of ours takes parameters by position, and they come as the columns do.
    assert compiled.positiontup == names
    return str(compiled)


def leave_indexes(connection: Connection) -> list[Index]:
    """Drop what a load fills at random places, and is faster made of all rows at once."""
    indexes = [index for table in _FILLED for index in sorted(table.indexes, key=_name)]
    for index in indexes:
        index.drop(connection)
    return indexes


def make_indexes(connection: Connection, indexes: list[Index]) -> None:
    """Make the indexes that ``leave_indexes`` dropped; the list is empty afterwards."""
    while indexes:
        indexes.pop().create(connection)


def _name(index: Index) -> str:
    return str(index.name)


class KeyFilter:
    """Which digests may have been given before: some it names wrongly, none it leaves out.

    A class that had no objects needs no look into the database for most of its new keys; the
    memory for it is little for few of them (there may be thousands of areas, each with its
    classes), and the same for however many more.
    """

    def __init__(self) -> None:
        self._few: set[int] = set()
        self._seen = bytearray()  # used once there are more than a few

    def seen_before(self, digests: Sequence[bytes]) -> list[bytes]:
        """Those that may have been given in an earlier call; all are remembered."""
        heads = b"".join([digest[:4] for digest in digests])
        places = [number % _FILTER_OCTETS for number in unpack(f"{len(digests)}I", heads)]
        if not self._seen and len(self._few) + len(places) <= _FEW_KEYS:
            found = [d for d, place in zip(digests, places, strict=True) if place in self._few]
            self._few.update(places)
            return found
        seen = self._seen = self._seen or self._many()
        found = [d for d, place in zip(digests, places, strict=True) if seen[place]]
        for place in places:
            seen[place] = 1
        return found

    def _many(self) -> bytearray:
        """A place for every key, with the few that were remembered so far."""
        seen = bytearray(_FILTER_OCTETS)
        for place in self._few:
            seen[place] = 1
        self._few.clear()
        return seen
