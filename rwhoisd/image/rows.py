"""Row of the store → record, in blocks: rows are handed out one after the other."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import lmdb

from rwhoisd.image.environment import Environment, get, items

_BITS: Final = 6
_PER_BLOCK: Final = 1 << _BITS
_NONE: Final = b"\xff" * 4  # where a row has no record
_EMPTY: Final = _NONE * _PER_BLOCK


def find(fetch: Callable[..., Any], env: Environment, row: int) -> int | None:
    """The record of a row, with a transaction's ``get``; None when there is none."""
    block = fetch((row >> _BITS).to_bytes(8), db=env.rows)
    if block is None:
        return None
    found = block[_at(row) : _at(row) + 4]
    return None if found == _NONE else int.from_bytes(found)


def change(env: Environment, txn: lmdb.Transaction, row: int, record: int | None) -> None:
    """Give a row another record, or none."""
    key = (row >> _BITS).to_bytes(8)
    block = get(txn, key, env.rows) or _EMPTY
    number = _NONE if record is None else record.to_bytes(4)
    block = block[: _at(row)] + number + block[_at(row) + 4 :]
    if block == _EMPTY:
        txn.delete(key, db=env.rows)
    else:
        txn.put(key, block, db=env.rows)


def blocks(rows: Iterable[tuple[int, int]]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the table for pairs of row and record, sorted by row."""
    for number, found in groupby(rows, key=lambda pair: pair[0] >> _BITS):
        block = bytearray(_EMPTY)
        for row, record in found:
            block[_at(row) : _at(row) + 4] = record.to_bytes(4)
        yield number.to_bytes(8), bytes(block)


def count(env: Environment, txn: lmdb.Transaction) -> int:
    """How many rows have a record."""
    return sum(
        _PER_BLOCK - [block[i : i + 4] for i in range(0, len(block), 4)].count(_NONE)
        for _, block in items(txn, env.rows, b"\0")
    )


def _at(row: int) -> int:
    return (row & _PER_BLOCK - 1) * 4
