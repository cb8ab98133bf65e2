"""Writing the index: in bulk from sorted items, or one entry at a time within a transaction."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import lmdb

from rwhoisd.image import keys
from rwhoisd.image.environment import Environment, Table, get
from rwhoisd.image.keys import Item
from rwhoisd.image.sorting import Sorter

_BATCH: Final = 8192  # puts between two looks at the transaction's size
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


class BulkIndex:
    """Fills an empty index from sorted items. ``backwards`` collects text for "reversed"."""

    def __init__(self, env: Environment, backwards: Sorter | None) -> None:
        self._env = env
        self._backwards = backwards
        self._writer = BulkWriter(env)
        self._terms: Pairs = []
        self._many: Pairs = []
        self._last_key = b""
        self._keys_in_block = 0
        self._boundaries: list[bytes] = [keys.FIRST_BOUNDARY]
        self._places: dict[bytes, array[int]] = {}  # scope → numbers of boundaries
        self._last_block: dict[bytes, int] = {}  # scope → number of its last boundary
        self.lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def load(self, lists: Iterator[list[bytes]], progress: Callable[[int], None]) -> None:
        """Write everything; ``progress`` is told the number of items after each list."""
        key = b""
        posting: list[bytes] = []
        done, split = 0, -keys.TAIL - 1
        continued = False  # a posting of any length goes through in pieces
        for items in lists:
            for item in items:
                if item[:split] != key:
                    if posting:
                        self._posting(key, posting, continued)
                    key, posting, continued = item[:split], [], False
                elif len(posting) == _BATCH:
                    self._listed(key, posting, continued)
                    posting, continued = [], True
                posting.append(item[split + 1 :])
            done += len(items)
            progress(done)
        if posting:
            self._posting(key, posting, continued)
        self._finish()

    def _posting(self, key: bytes, posting: list[bytes], continued: bool) -> None:
        if continued or len(posting) > keys.INLINE:
            self._listed(key, posting, continued)
            return
        self._note(key, posting)
        self._put(key, b"".join([entry[:4] + entry[-4:] for entry in posting]))

    def _listed(self, key: bytes, posting: list[bytes], continued: bool) -> None:
        self._note(key, posting)
        if not continued:
            self._put(key, b"")
        stored = keys.stored_key(key)
        if keys.is_cut(stored):  # cut keys do not come in order
            for entry in posting:
                self._writer.put(self._env.many, stored, entry)
            return
        self._many += [(stored, entry) for entry in posting]
        if len(self._many) >= _BATCH:
            self._flush()

    def _put(self, key: bytes, value: bytes) -> None:
        if len(key) > keys.CUT:
            self._flush()
            stored = keys.stored_key(key)
            self._writer.put(self._env.terms, stored, value)
            self._writer.put(self._env.long, stored, key)
        else:
            self._terms.append((key, value))
            if len(self._terms) >= _BATCH:
                self._flush()
        if self._backwards is not None and key[:1] == keys.EXACT:
            self._backwards.add([key[:0:-1]])

    def _note(self, key: bytes, posting: list[bytes]) -> None:
        """Keep blocks, places and network lengths."""
        if key != self._last_key:
            self._new_key(key)
        number = len(self._boundaries) - 1
        for entry in posting:
            if self._last_block.get(entry[:4]) != number:
                self._place(entry[:4], number)

    def _place(self, scope: bytes, number: int) -> None:
        self._last_block[scope] = number
        blocks = self._places.get(scope)
        if blocks is None:
            blocks = self._places[scope] = array("I")
        blocks.append(number)

    def _new_key(self, key: bytes) -> None:
        if self._keys_in_block >= keys.BLOCK and (
            boundary := keys.boundary_between(self._last_key, key)
        ):
            self._boundaries.append(boundary)
            self._keys_in_block = 0
        self._keys_in_block += 1
        self._last_key = key
        if key[:1] == keys.NETWORK:
            self.lengths[key[1]].add(key[-1])

    def _flush(self) -> None:
        self._writer.append(self._env.terms, self._terms)
        self._writer.append(self._env.many, self._many)
        self._terms, self._many = [], []

    def _finish(self) -> None:
        self._flush()
        self._writer.append(self._env.bounds, [(b, b"") for b in self._boundaries])
        places = (
            (scope + self._boundaries[i], b"")
            for scope in sorted(self._places)
            for i in self._places[scope]
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
