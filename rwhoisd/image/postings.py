"""Writing the index: in bulk from sorted items, or one entry at a time within a transaction."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from typing import Final, NamedTuple

import lmdb

from rwhoisd.image import keys
from rwhoisd.image.environment import Environment, Table, get
from rwhoisd.image.keys import Item
from rwhoisd.image.sorting import Sorter

_BATCH: Final = 8192  # puts between two looks at the transaction's size
_ITEMS: Final = 32_768  # looked at in one go
_SPLIT: Final = -keys.TAIL - 1  # in an item: where the key ends
_SCOPE: Final = 4 - keys.TAIL  # where the scope ends
_RECORD: Final = -4  # where the record begins
_BATCHES_PER_TRANSACTION: Final = 32  # so that dirty pages stay few
Pairs = list[tuple[bytes, bytes]]


class BulkWriter:
    """Puts into empty tables, in key order where possible, over as many transactions as needed."""

    def __init__(self, env: Environment) -> None:
        self._env = env.env
        self._txn = self._env.begin(write=True)
        self._batches = 0

    def append(self, table: Table, pairs: Pairs) -> None:
        """Put pairs whose keys are greater than all before, or equal with a greater value."""
        with self._txn.cursor(table) as cursor:
            _, added = cursor.putmulti(pairs, append=True)
        if added != len(pairs):
            raise AssertionError("bulk load out of order")
        self._batches += 1
        if self._batches % _BATCHES_PER_TRANSACTION == 0:
            self._txn.commit()
            self._txn = self._env.begin(write=True)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Put one pair, wherever it belongs."""
        self._txn.put(key, value, db=table)

    def commit(self) -> None:
        """Commit what is left; nothing can be put after it."""
        self._txn.commit()


class Chunk(NamedTuple):
    """A stretch of the index, to be written in this order; plain values, to be sent anywhere."""

    terms: Pairs
    many: Pairs
    cut: list[tuple[bytes, bytes, bytes]]  # key as stored, posting, whole key
    cut_many: Pairs
    items: int  # how many it is made of


class Summary(NamedTuple):
    """What is known of the index when all of it was seen."""

    boundaries: list[bytes]
    places: dict[bytes, bytes]  # scope → numbers of boundaries, as an array of 32-bit numbers
    lengths: list[tuple[int, int]]  # family and length of networks


class Grouper:
    """Makes an index of sorted items. It needs no database, so any process can do it."""

    def __init__(self) -> None:
        self._terms: Pairs = []
        self._many: Pairs = []
        self._cut: list[tuple[bytes, bytes, bytes]] = []
        self._cut_many: Pairs = []
        self._listing = b""  # key whose posting goes on in "many"
        self._last_key = b""
        self._boundaries: list[bytes] = [keys.FIRST_BOUNDARY]
        self._places: dict[bytes, array[int]] = {}  # scope → numbers of boundaries
        self._lengths: set[tuple[int, int]] = set()

    def chunks(self, lists: Iterable[list[bytes]]) -> Iterator[Chunk]:
        """The index in stretches, of lists of items that follow each other."""
        held: list[bytes] = []  # items of a key that may have more
        for items in lists:
            for start in range(0, len(items), _ITEMS):
                some = items[start : start + _ITEMS]
                held = self._take(held + some)
                yield self._chunk(len(some))
        if held:
            self._group(held, [held[0][:_SPLIT]], [0, len(held)])
            yield self._chunk(0)

    def summary(self) -> Summary:
        """What is known when all chunks were taken."""
        places = {scope: blocks.tobytes() for scope, blocks in self._places.items()}
        return Summary(self._boundaries, places, sorted(self._lengths))

    def _take(self, items: list[bytes]) -> list[bytes]:
        """Group items; gives those of the last key, unless they are too many to wait for more."""
        item_keys = [item[:_SPLIT] for item in items]
        starts = [0, *(i for i, (a, b) in enumerate(pairwise(item_keys), 1) if a != b)]
        if len(items) - starts[-1] > max(_BATCH, keys.INLINE):
            starts.append(len(items))
        for block in range(0, len(starts) - 1, keys.BLOCK):
            self._group(items, item_keys, starts[block : block + keys.BLOCK + 1])
        return items[starts[-1] :]

    def _group(self, items: list[bytes], item_keys: list[bytes], starts: list[int]) -> None:
        """Group the keys of a block, which begin at ``starts``; the last start is the end."""
        first, end = starts[0], starts[-1]
        some, some_keys = items[first:end], item_keys[first:end]
        self._note(some_keys[0], {item[-keys.TAIL : _SCOPE] for item in some})
        if len(some) == len(starts) - 1 and self._are_plain(some_keys):
            self._terms += [(i[:_SPLIT], i[-keys.TAIL : _SCOPE] + i[_RECORD:]) for i in some]
        else:
            for start, stop in pairwise(starts):
                self._posting(item_keys[start], items[start:stop])
        self._last_key = item_keys[starts[-2]]

    def _are_plain(self, block_keys: list[bytes]) -> bool:
        """Whether keys are stored as they are, and none has more items than those at hand."""
        return max(map(len, block_keys)) <= keys.CUT and block_keys[0] != self._listing

    def _note(self, key: bytes, scopes: set[bytes]) -> None:
        """A block begins at ``key``; it has keys of these scopes."""
        if self._last_key and (boundary := keys.boundary_between(self._last_key, key)):
            self._boundaries.append(boundary)
        number = len(self._boundaries) - 1
        for scope in scopes:
            blocks = self._places.setdefault(scope, array("I"))
            if not blocks or blocks[-1] != number:
                blocks.append(number)

    def _posting(self, key: bytes, items: list[bytes]) -> None:
        if key == self._listing:
            self._list(key, items)
        elif len(items) > keys.INLINE:
            self._put(key, b"")
            self._list(key, items)
            self._listing = key
        else:
            self._put(key, b"".join([i[-keys.TAIL : _SCOPE] + i[_RECORD:] for i in items]))

    def _list(self, key: bytes, items: list[bytes]) -> None:
        stored = keys.stored_key(key)
        # Cut keys do not come in order.
        listed = self._cut_many if keys.is_cut(stored) else self._many
        listed += [(stored, item[-keys.TAIL :]) for item in items]

    def _put(self, key: bytes, value: bytes) -> None:
        if len(key) <= keys.CUT:
            self._terms.append((key, value))
        else:
            self._cut.append((keys.stored_key(key), value, key))

    def _chunk(self, items: int) -> Chunk:
        """What was gathered, and nothing is left of it here."""
        found = [key for key, _ in self._terms]
        first = bisect_left(found, keys.NETWORK)
        end = bisect_left(found, keys.after_prefix(keys.NETWORK))
        self._lengths |= {(key[1], key[-1]) for key in found[first:end]}
        cut = [key for _, _, key in self._cut if key[:1] == keys.NETWORK]
        self._lengths |= {(key[1], key[-1]) for key in cut}
        chunk = Chunk(self._terms, self._many, self._cut, self._cut_many, items)
        self._terms, self._many, self._cut, self._cut_many = [], [], [], []
        return chunk


class BulkIndex:
    """Fills an empty index. ``backwards`` collects text for "reversed"."""

    def __init__(self, env: Environment, backwards: Sorter | None) -> None:
        self._env = env
        self._backwards = backwards
        self._writer = BulkWriter(env)

    def write(self, chunk: Chunk) -> None:
        """Write a chunk. What comes in order goes first: nothing may be appended before it."""
        env, writer = self._env, self._writer
        writer.append(env.terms, chunk.terms)
        writer.append(env.many, chunk.many)
        for stored, value, key in chunk.cut:
            writer.put(env.terms, stored, value)
            writer.put(env.long, stored, key)
        for stored, entry in chunk.cut_many:
            writer.put(env.many, stored, entry)
        if self._backwards is not None:
            found = [*(key for key, _ in chunk.terms), *(key for _, _, key in chunk.cut)]
            self._backwards.add([key[:0:-1] for key in found if key[:1] == keys.EXACT])

    def finish(self, summary: Summary) -> None:
        """Write the rest."""
        boundaries = summary.boundaries
        self._writer.append(self._env.bounds, [(b, b"") for b in boundaries])
        places = (
            (scope + boundaries[i], b"")
            for scope, blocks in sorted(summary.places.items())
            for i in array("I", blocks)
        )
        while some := list(islice(places, _BATCH)):
            self._writer.append(self._env.places, some)
        if self._backwards is not None:
            self._reverse(self._backwards.sorted_lists())
        self._writer.commit()

    def _reverse(self, lists: Iterable[list[bytes]]) -> None:
        for texts in lists:
            self._writer.append(self._env.reversed, [(t, b"") for t in texts if len(t) <= keys.CUT])
            for text in texts:
                if len(text) > keys.CUT:
                    self._writer.put(self._env.reversed, keys.stored_key(text), text)


class IndexWriter:
    """Adds and removes single entries within one transaction.

    ``order_of`` tells order and row of a record, which sort it among equals; ``lengths`` are the
    network lengths in use, to which new ones are added.
    """

    def __init__(
        self,
        env: Environment,
        txn: lmdb.Transaction,
        order_of: Callable[[int], tuple[int, int]],
        lengths: dict[int, set[int]],
        *,
        reverse: bool,
    ) -> None:
        self._env = env
        self._txn = txn
        self._order_of = order_of
        self._lengths = lengths
        self._reverse = reverse

    def add(self, item: Item) -> None:
        """Add an entry that is not there."""
        stored = keys.stored_key(item.key)
        value = get(self._txn, stored, self._env.terms)
        if value is None:
            self._new_key(item.key, stored)
            self._txn.put(stored, keys.ENTRY.pack(item.scope, item.record), db=self._env.terms)
        elif value:
            self._into_posting(stored, value, item)
        else:
            self._txn.put(stored, item.listed, db=self._env.many)
        place = keys.scope_bytes(item.scope) + self._boundary(item.key)
        self._txn.put(place, b"", db=self._env.places)

    def _into_posting(self, stored: bytes, value: bytes, item: Item) -> None:
        flat = keys.entries(value)
        listed = [
            keys.LISTED.pack(scope, *self._order_of(record), record)
            for scope, record in zip(flat[::2], flat[1::2], strict=True)
        ]
        listed.append(item.listed)
        if len(listed) > keys.INLINE:
            self._txn.put(stored, b"", db=self._env.terms)
            for entry in listed:
                self._txn.put(stored, entry, db=self._env.many)
            return
        listed.sort()
        self._txn.put(stored, b"".join([e[:4] + e[-4:] for e in listed]), db=self._env.terms)

    def _new_key(self, key: bytes, stored: bytes) -> None:
        if keys.is_cut(stored):
            self._txn.put(stored, key, db=self._env.long)
        if key[:1] == keys.NETWORK:
            self._lengths[key[1]].add(key[-1])
        if self._reverse and key[:1] == keys.EXACT:
            backwards = key[:0:-1]
            value = backwards if len(backwards) > keys.CUT else b""
            self._txn.put(keys.stored_key(backwards), value, db=self._env.reversed)

    def _boundary(self, key: bytes) -> bytes:
        with self._txn.cursor(self._env.bounds) as cursor:
            return floor_boundary(cursor, key)

    def remove(self, item: Item) -> bool:
        """Remove an entry; False when it was not there. Places and lengths in use stay noted."""
        stored = keys.stored_key(item.key)
        value = get(self._txn, stored, self._env.terms)
        if value is None:
            return False
        if value:
            return self._out_of_posting(stored, value, item)
        if not self._txn.delete(stored, item.listed, db=self._env.many):
            return False
        if self._txn.get(stored, db=self._env.many) is None:
            self._drop_key(item.key, stored)
        return True

    def _out_of_posting(self, stored: bytes, value: bytes, item: Item) -> bool:
        gone = keys.ENTRY.pack(item.scope, item.record)
        kept = [e for i in range(0, len(value), 8) if (e := value[i : i + 8]) != gone]
        if len(kept) * 8 == len(value):
            return False
        if kept:
            self._txn.put(stored, b"".join(kept), db=self._env.terms)
        else:
            self._drop_key(item.key, stored)
        return True

    def _drop_key(self, key: bytes, stored: bytes) -> None:
        self._txn.delete(stored, db=self._env.terms)
        if keys.is_cut(stored):
            self._txn.delete(stored, db=self._env.long)
        if self._reverse and key[:1] == keys.EXACT:
            self._txn.delete(keys.reversed_key(key), db=self._env.reversed)


def floor_boundary(cursor: lmdb.Cursor, key: bytes) -> bytes:
    """The boundary of the block in which ``key`` is or would be."""
    wanted = key[: keys.BOUNDARY]
    if not cursor.set_range(wanted):
        cursor.last()
    elif cursor.key() != wanted:
        cursor.prev()
    return bytes(cursor.key())
