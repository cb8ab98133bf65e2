"""Row of the store → record, in blocks: rows are handed out one after the other.

A block as it is built mostly has records that follow each other as its rows do: then only the
first of them is kept. A block that changed has a number for each row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from struct import Struct, pack
from typing import Any, Final

import lmdb

from rwhoisd.image.environment import Environment, get, items

_BITS: Final = 6
_PER_BLOCK: Final = 1 << _BITS
_NONE: Final = b"\xff" * 4  # where a row has no record
_EMPTY: Final = _NONE * _PER_BLOCK
_SHORT: Final = 4  # octets of a block that keeps the first record only
_STRETCH: Final = Struct(">QII")  # row, record, how many


def find(fetch: Callable[..., Any], env: Environment, row: int) -> int | None:
    """The record of a row, with a transaction's ``get``; None when there is none."""
    block = fetch((row >> _BITS).to_bytes(8), db=env.rows)
    if block is None:
        return None
    if len(block) == _SHORT:
        return int.from_bytes(block) + (row & _PER_BLOCK - 1)
    found = block[_at(row) : _at(row) + 4]
    return None if found == _NONE else int.from_bytes(found)


def change(env: Environment, txn: lmdb.Transaction, row: int, record: int | None) -> None:
    """Give a row another record, or none."""
    key = (row >> _BITS).to_bytes(8)
    block = _whole(get(txn, key, env.rows) or _EMPTY)
    number = _NONE if record is None else record.to_bytes(4)
    block = block[: _at(row)] + number + block[_at(row) + 4 :]
    if block == _EMPTY:
        txn.delete(key, db=env.rows)
    else:
        txn.put(key, block, db=env.rows)


def stretches(rows: Sequence[int], first: int) -> list[bytes]:
    """Rows whose records are counted from ``first``, as bytes that sort by row.

    Rows that follow each other are one stretch: row, record, and how many.
    """
    if rows[-1] - rows[0] == len(rows) - 1 and tuple(rows) == tuple(range(rows[0], rows[-1] + 1)):
        return [_STRETCH.pack(rows[0], first, len(rows))]
    numbered = enumerate(rows, first)
    found = []
    for _, run in groupby(numbered, key=lambda pair: pair[1] - pair[0]):
        some = list(run)
        found.append(_STRETCH.pack(some[0][1], some[0][0], len(some)))
    return found


def blocks(sorted_stretches: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the table."""
    number, block = -1, bytearray(_EMPTY)
    for row, record, count in map(_STRETCH.unpack, sorted_stretches):
        while count:
            if row >> _BITS != number:
                if number >= 0:
                    yield number.to_bytes(8), _kept(block)
                number, block = row >> _BITS, bytearray(_EMPTY)
            some = min(count, _PER_BLOCK - (row & _PER_BLOCK - 1))
            records = range(record, record + some)
            block[_at(row) : _at(row) + 4 * some] = pack(f">{some}I", *records)
            row, record, count = row + some, record + some, count - some
    if number >= 0:
        yield number.to_bytes(8), _kept(block)


def _kept(block: bytearray) -> bytes:
    """A block as it is kept when it is built."""
    first, last = bytes(block[:_SHORT]), block[-_SHORT:]
    follows = int.from_bytes(last) - int.from_bytes(first) == _PER_BLOCK - 1
    return first if follows and _whole(first) == block else bytes(block)


def _whole(block: bytes) -> bytes:
    """A block with a number for each row."""
    if len(block) != _SHORT:
        return block
    first = int.from_bytes(block)
    return pack(f">{_PER_BLOCK}I", *range(first, first + _PER_BLOCK))


def count(env: Environment, txn: lmdb.Transaction) -> int:
    """How many rows have a record."""
    return sum(
        _PER_BLOCK - [block[i : i + 4] for i in range(0, len(block), 4)].count(_NONE)
        for block in (_whole(kept) for _, kept in items(txn, env.rows, b"\0"))
    )


def _at(row: int) -> int:
    return (row & _PER_BLOCK - 1) * 4
