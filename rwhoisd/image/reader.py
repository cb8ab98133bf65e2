"""Reading an image: one finished version at a time, for as long as somebody holds it."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import Any, Final

import lmdb

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import dialect_of
from rwhoisd.directory.names import HierarchicalName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.privacy import is_internal
from rwhoisd.directory.referral import link_text
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.image import keys, meta, rows
from rwhoisd.image.environment import Environment, items, key_range, open_environment, understanding
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import INDEX, OBJECTS, OFFSETS, RECORDS, read_manifest
from rwhoisd.image.memory import populate
from rwhoisd.image.meta import Head
from rwhoisd.image.postings import floor_boundary
from rwhoisd.image.records import RecordFiles
from rwhoisd.image.rendering import REFERRED_AREA, Findable, Flag, Renderers, place_of, raw_object
from rwhoisd.image.scopes import AREA_BITS, Pair, Scopes, Sight
from rwhoisd.query.parser import Names

_REFERRAL: Final = "Referral"
_VIEWS: Final = 64  # kept views of a version
_LINKS: Final = 256  # link referrals whose texts a version remembers
_HIDDEN: Final = 50  # hidden keys that are passed over for each that may be found

Hit = tuple[int, int]  # scope, record
_END: Final = 1 << 32  # above all scopes
# What is remembered by the leading 16 bits of an IPv4 address, bounded by ``words``: scope, record,
# scope, record, … of the networks of at least that size around it, and their records as they are
# sent, unless these are long or repeat; None where the long way has to look.
LargeNetworks = dict[int, tuple[tuple[int, ...], bytes] | None]


class Generation:
    """An open generation: what all its versions share."""

    def __init__(self, place: Path, number: int, eol: bytes | None) -> None:
        self.place = place
        self.number = number
        self.facts = read_manifest(place)
        if eol is not None and self.facts["eol"].encode("ascii") != eol:
            raise ImageError(f"{place}: its lines end {self.facts['eol']!r}; build the image anew")
        self.env = open_environment(place)
        self.files = RecordFiles(place)
        self._scopes: tuple[int, Scopes] | None = None

    def warm(self) -> None:
        """Bring the files into memory: an answer from cold pages costs many times as much.

        Takes as long as reading them does, so it is something for another thread. Files that
        would take more than half of the memory are left to be read when they are needed.
        """
        files = (INDEX, RECORDS, OFFSETS, OBJECTS)
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if sum((self.place / name).stat().st_size for name in files) > memory // 2:
            return
        for name in files:
            with (self.place / name).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
        populate(self.place)

    def version(self) -> "Image":
        """The version that is committed now."""
        with understanding(self.place):
            return self._version(self.env.env.begin())

    def _version(self, txn: lmdb.Transaction) -> "Image":
        head = meta.read_head(self.env, txn)
        if not self.files.holds(head.records, head.octets):
            self.files = RecordFiles(self.place)
            if not self.files.holds(head.records, head.octets):
                raise ImageError(f"{self.place}: records are missing; build the image anew")
        return Image(self, txn, head, self._scopes_of(txn, head))

    def _scopes_of(self, txn: lmdb.Transaction, head: Head) -> Scopes:
        """Areas and classes change rarely; they are read again only then."""
        if self._scopes is None or self._scopes[0] != head.definitions:
            self._scopes = (head.definitions, Scopes(meta.read_areas(self.env, txn)))
        return self._scopes[1]


class Image:
    """One version of the directory. It does not change; records are numbers that belong to it.

    A view of it (:meth:`view_for`) gives what it would give if some areas did not exist; numbers
    of areas and records stay what they are.
    """

    def __init__(
        self, generation: Generation, txn: lmdb.Transaction, head: Head, scopes: Scopes
    ) -> None:
        self.generation = generation
        self.head = head
        self.scopes = scopes
        self.hidden = scopes.hidden  # numbers of areas that a view leaves out
        self.restricted = scopes.restricted  # whether there are clients who get a view
        self.sight = scopes.sight
        self._views: dict[Sight, Image] = {}
        self._linked: dict[tuple[int, HierarchicalName], Sequence[str]] = {}
        self.version = (generation.number, head.counter)
        self.eol = head.eol.encode("ascii")
        self.conceals = not dialect_of(self.eol).searches_private
        self.object_count = head.objects  # all that are stored
        self._findable = head.objects - head.refused
        self.created = head.created
        self.env: Environment = generation.env
        self.txn = txn
        self._files = generation.files
        self._get: Callable[..., Any] = txn.get
        self._terms = generation.env.terms
        self.public = generation.files.joined
        self.lengths = {f: sorted(n, reverse=True) for f, n in head.lengths.items()}
        self._length_ends = {
            f: [(n, keys.FAMILIES[f][2] - n, bytes((n,))) for n in found]
            for f, found in self.lengths.items()
        }
        self._renderers = Renderers(scopes.pairs, self.eol)
        self.large_networks: LargeNetworks = {}

    # The directory as a whole

    def is_newest(self) -> bool:
        """Whether no later version of this generation is committed."""
        return bool(self.txn.id() == self.env.last_transaction)

    def view_for(self, address: str) -> "Image":
        """What a client at ``address`` gets to see.

        Areas with another audience do not exist, nor do internal objects of areas that do not
        name its network for them.
        """
        sight = self.scopes.sight_of(address)
        if sight == self.sight:
            return self
        view = self._views.get(sight)
        if view is None:
            if len(self._views) >= _VIEWS:
                self._views.clear()
            view = self._views[sight] = self._with(self.scopes.view(sight))
        return view

    @property
    def whole(self) -> "Image":
        """The image that this is a view of, for what does not depend on who asks."""
        # Made anew, as a view that kept it would be a cycle, and its transaction last too long.
        whole = self.scopes.whole
        return self if self.scopes is whole else self._with(whole)

    def _with(self, scopes: Scopes) -> "Image":
        view = copy(self)
        fields = vars(view)
        fields.update(scopes=scopes, hidden=scopes.hidden, sight=scopes.sight, _views={})
        for name in ("areas", "findable_count"):
            fields.pop(name, None)  # it may have been made of other areas
        return view

    @cached_property
    def areas(self) -> tuple[AuthorityArea, ...]:
        """All areas in the order of answers."""
        states = meta.read_states(self.env, self.txn)
        areas = map(meta.with_state, self.scopes.areas, states)
        return tuple(area for n, area in enumerate(areas) if n not in self.hidden)

    def area(self, name: str) -> AuthorityArea | None:
        """The area called ``name``, in any case, if there is one for this view."""
        number = self.scopes.number(name)
        return None if number is None else self.area_at(number)

    def area_at(self, number: int) -> AuthorityArea:
        """The area with a number, hidden or not."""
        state = meta.read_state(self.env, self.txn, number)
        return meta.with_state(self.scopes.areas[number], state)

    def area_number(self, area: AuthorityArea) -> int:
        """The number of an area; it is its place in ``areas`` unless this is a view."""
        return self.scopes.numbers[area.name.key]

    @cached_property
    def findable_count(self) -> int:
        """How many objects queries can find."""
        if self.scopes is self.scopes.whole:
            return self._findable
        counts = [(n, c) for n, c in enumerate(self.findable_counts) if n not in self.hidden]
        return sum(c.shown + c.inner * (n in self.sight.inner) for n, c in counts)

    @property
    def findable_counts(self) -> list[Findable]:
        """How many objects of each area queries can find, by its number."""
        states = meta.read_states(self.env, self.txn)
        return [Findable(*meta.findable_of(state)) for state in states]

    def findable_at(self, number: int) -> Findable:
        """The same of one area."""
        return Findable(*meta.findable_of(meta.read_state(self.env, self.txn, number)))

    def shows(self, obj: Object) -> bool:
        """Whether an object of the store is one that there is for who has this view."""
        number = self.scopes.number(obj.area)
        if number is None:
            return False
        area = self.scopes.areas[number]
        class_def = area.schema.class_def(obj.class_name)
        inner = class_def is not None and is_internal(obj, class_def, area)
        return not inner or number in self.sight.inner

    @cached_property
    def serials(self) -> dict[str, TimeStamp]:
        """Area name → serial of its last change that is in this version."""
        states = meta.read_states(self.env, self.txn)
        names = [area.name.text for area in self.scopes.areas]
        return dict(zip(names, map(meta.serial_of, states), strict=True))

    @property
    def names(self) -> Names:
        """The words that are classes and attributes here."""
        return self.scopes.names

    # Records

    def full(self, records: Sequence[int]) -> bytes:
        """What guardians see of records, one after the other."""
        return b"".join([self.full_record(n) for n in records])

    def full_record(self, record: int) -> bytes:
        """What guardians see of one record."""
        if self._files.flags(record) & Flag.OWN_FULL:
            return bytes(self._get(record.to_bytes(4), db=self.env.full))
        return self._files.record(record)

    def guarded(self, record: int) -> bool:
        """Whether anything guards the object."""
        return bool(self._files.flags(record) & Flag.GUARDED)

    def pair(self, record: int) -> Pair:
        """Area and class of a record."""
        entry = self._files.entry(record)
        return self.scopes.of_area[entry.area][entry.class_number]

    def flags(self, record: int) -> int:
        """The flags of a record (:class:`~rwhoisd.image.rendering.Flag`)."""
        return self._files.flags(record)

    def lines_of_view(self, pair: Pair, view: bytes) -> list[tuple[str, bytes]]:
        """Attribute names and values of a rendered record of a pair."""
        return self._renderers[pair].shown_lines(view)

    def object(self, record: int) -> Object:
        """The object as it is stored."""
        entry = self._files.entry(record)
        pair = self.pair(record)
        flags = entry.flags
        if flags & Flag.RAW:
            area, name, lines = raw_object(self._get(record.to_bytes(4), db=self.env.raw))
        else:
            area, name = pair.area.name.text, pair.class_def.name
            lines = self._renderers[pair].lines_of(self.full_record(record), flags)
        source = self.head.sources[entry.source]
        indexed = bool(flags & Flag.INDEXED)
        return Object(area, name, lines, source, indexed, entry.order)

    def keys_of(self, record: int) -> list[tuple[bytes, int]]:
        """Key and scope of each entry of a record, in no order."""
        return self._renderers[self.pair(record)].keys(self.object(record))

    def place(self, record: int) -> tuple[int, int]:
        """Position and row of a record: its turn in a transfer."""
        entry = self._files.entry(record)
        return entry.position, entry.row

    def order(self, record: int) -> tuple[int, int]:
        """Order and row of a record: what sorts it among equal keys."""
        return self._files.order(record)

    def record_of(self, row: int) -> int | None:
        """The record of a row of the store; None when the image has none."""
        return rows.find(self._get, self.env, row)

    # Looking up

    def by_id(self, object_id: str) -> Sequence[int]:
        """Records of the objects with an ID, over all areas, in their order. Case is folded."""
        found: dict[int, None] = {}
        for text in {object_id.encode("utf-8", "replace"), object_id.encode("latin-1", "replace")}:
            if key := keys.text_key(text):
                scopes = self.scopes.id_scopes
                found.update((record, None) for scope, record in self.hits(key) if scope in scopes)
        return tuple(found)

    def transfer(self, area_number: int, class_name: str) -> Iterator[tuple[ClassDef, Object]]:
        """Objects of a class that there are for this view, indexed or not, by position."""
        pair = self.scopes.pair(area_number, class_name)
        if pair is None:
            return
        inner = area_number in self.sight.inner
        for record in self.stored_records(pair):
            if inner or not self._files.flags(record) & Flag.INTERNAL:
                yield pair.class_def, self.object(record)

    def stored_records(self, pair: Pair) -> Iterator[int]:
        """Records of all objects of a class, by position."""
        starts = self._starts
        built = range(0)
        if pair.number + 1 < len(starts):
            built = range(starts[pair.number], starts[pair.number + 1])
        return merge(self._living(built), self._late(pair), key=self.place)

    @cached_property
    def _starts(self) -> "array[int]":
        return meta.read_built(self.env, self.txn)

    def _living(self, records: Iterable[int]) -> Iterator[int]:
        """Those of the records that are still what their row has."""
        for record in records:
            if self.record_of(self._files.entry(record).row) == record:
                yield record

    def _late(self, pair: Pair) -> Iterator[int]:
        prefix = pair.area_number.to_bytes(2) + pair.class_number.to_bytes(2)
        for key, value in items(self.txn, self.env.late, prefix):
            if key[:4] != prefix:
                return
            yield int.from_bytes(value)

    def links(self, area_number: int, name: HierarchicalName) -> Sequence[str]:
        """Link referrals of an area for a name: of the most specific referred area at or above.

        Only the first object that refers to that area counts, with its Referral values in
        order; where such a value names no area, the referred one is added (B17, B41).
        """
        lengths = self.head.link_lengths.get(area_number)
        area = self.scopes.areas[area_number]
        if lengths is None or type(name) is not type(area.name.place):
            return ()
        of_family = lengths[name.family] if isinstance(name, Network) else ()
        usable = sorted(of_family, reverse=True)
        for place in keys.link_places(name, area.name.place, usable):
            found = self._get(keys.link_key(area_number, place), db=self.env.links)
            if found is not None:
                link = int.from_bytes(found[keys.TAIL - 4 : keys.TAIL]), place
                texts = self._linked.get(link)
                if texts is None:
                    if len(self._linked) >= _LINKS:
                        self._linked.clear()
                    texts = self._linked[link] = self._link_texts(*link)
                return texts
        return ()

    def _link_texts(self, record: int, place: HierarchicalName) -> Sequence[str]:
        obj = self.object(record)
        referred = next(v for v in obj.values(REFERRED_AREA) if place_of(v) == place)
        return [link_text(value, referred) for value in obj.values(_REFERRAL)]

    # The index

    def hides(self, stored: bytes, value: bytes) -> bool:
        """Whether a key, with the posting that ``terms_between`` gives, has hidden entries only."""
        scopes = self.scopes
        if scopes is scopes.whole:
            return False
        if value:
            return not any(map(scopes.shows, keys.entries(value)[::2]))
        first = 0
        while first < _END and (hit := next(self.many_hits(stored, first, _END), None)):
            if scopes.shows(hit[0]):
                return False
            area = hit[0] >> AREA_BITS
            first = (area + 1) << AREA_BITS if area in self.hidden else hit[0] + 1
        return True

    def posting(self, key: bytes) -> tuple[int, ...] | None:
        """Scope, record, scope, record, … of a key that is not cut; None for a long posting."""
        value = self._get(key, None, self._terms)
        if value is None:
            return ()
        return keys.entries(value) if value else None

    def has(self, key: bytes) -> bool:
        """Whether a key that is not cut has a posting."""
        return self._get(key, None, self._terms) is not None

    def hits(self, key: bytes, first: int = 0, end: int = _END) -> Iterator[Hit]:
        """Entries of a key with scopes in ``[first, end)``, in answer order."""
        stored = keys.stored_key(key)
        flat = self.posting(stored)
        if flat is None:
            yield from self.many_hits(stored, first, end)
            return
        for i in range(0, len(flat), 2):
            if first <= flat[i] < end:
                yield flat[i], flat[i + 1]

    def many_hits(self, stored: bytes, first: int, end: int) -> Iterator[Hit]:
        with self.txn.cursor(self.env.many) as cursor:
            if cursor.set_range_dup(stored, keys.scope_bytes(first)):
                entries: Any = cursor.iternext_dup()
                for entry in entries:
                    scope = int.from_bytes(entry[:4])
                    if scope >= end:
                        return
                    yield scope, int.from_bytes(entry[-4:])

    def pairs_of(self, stored: bytes) -> Iterator[int]:
        """Numbers of the pairs that have entries of a key, in their order; one step for each."""
        flat = self.posting(stored)
        if flat is not None:
            yield from dict.fromkeys([self.scopes.pair_of(scope).number for scope in flat[::2]])
            return
        first = 0
        with self.txn.cursor(self.env.many) as cursor:
            while cursor.set_range_dup(stored, keys.scope_bytes(first)):
                pair = self.scopes.pair_of(int.from_bytes(cursor.value()[:4]))
                yield pair.number
                first = pair.end

    def has_entry(self, stored: bytes, scope: int, record: int) -> bool:
        """Whether a long posting has an entry."""
        entry = keys.LISTED.pack(scope, *self.order(record), record)
        with self.txn.cursor(self.env.many) as cursor:
            return bool(cursor.set_key_dup(stored, entry))

    def terms_between(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Keys in ``[low, high)`` in their order, each as it is stored, and with its posting."""
        start, stop = keys.stored_range(low, high)
        cut: list[tuple[bytes, bytes, bytes]] = []  # keys with one beginning, not yet in order
        with self.txn.cursor(self._terms) as cursor:
            found: Any = cursor.iternext() if cursor.set_range(start) else ()
            for stored, value in found:
                if cut and stored[: keys.CUT] != cut[0][0][: keys.CUT]:
                    yield from sorted(cut)
                    cut = []
                if stored >= stop:
                    return
                if len(stored) <= keys.CUT:
                    if low <= stored:
                        yield stored, stored, value
                elif low <= (key := self._whole(stored)) < high:
                    cut.append((key, stored, value))
        yield from sorted(cut)

    def _whole(self, stored: bytes) -> bytes:
        return bytes(self._get(stored, db=self.env.long))

    def blocks(self, low: bytes, high: bytes, scopes: Sequence[int]) -> Iterator[bytes]:
        """Boundaries of the blocks of ``[low, high)`` in which any of the scopes has keys."""
        with self.txn.cursor(self.env.bounds) as cursor:
            start = floor_boundary(cursor, low)
        found = merge(*(self._scope_blocks(scope, start, high) for scope in scopes))
        last = None
        for boundary in found:
            if boundary != last:
                yield boundary
                last = boundary

    def _scope_blocks(self, scope: int, start: bytes, high: bytes) -> Iterator[bytes]:
        prefix = keys.scope_bytes(scope)
        for key in key_range(self.txn, self.env.places, prefix + start):
            if key[:4] != prefix or key[4:] >= high:
                return
            yield key[4:]

    def block_end(self, boundary: bytes) -> bytes | None:
        """The boundary after ``boundary``; None after the last."""
        with self.txn.cursor(self.env.bounds) as cursor:
            return bytes(cursor.key()) if cursor.set_range(boundary + b"\0") else None

    def keys_ending_in(self, text: bytes, most: int) -> list[bytes] | None:
        """Text keys that end in ``text``, in order; None when it would take more than ``most``.

        None as well, when the image was built without the reversed index.
        """
        if not self.head.reversed:
            return None
        wanted = text[::-1]
        found: list[bytes] = []
        hidden = 0
        with self.txn.cursor(self.env.reversed) as cursor:
            pairs: Any = cursor.iternext() if cursor.set_range(wanted[: keys.CUT]) else ()
            for stored, value in pairs:
                if not stored.startswith(wanted[: keys.CUT]):
                    break
                backwards = value or stored
                if backwards.startswith(wanted):
                    key = keys.EXACT + backwards[::-1]
                    if self._hides_key(key):
                        hidden += 1
                    else:
                        found.append(key)
                if len(found) > most or hidden > most * _HIDDEN:
                    return None
        return sorted(found)

    def _hides_key(self, key: bytes) -> bool:
        if self.scopes is self.scopes.whole:
            return False
        stored = keys.stored_key(key)
        return self.hides(stored, self._get(stored, None, self._terms))

    def postings_around(self, network: Network) -> tuple[int, ...] | None:
        """Entries of the network, then of each around it; None when a posting is long."""
        get, terms = self._get, self._terms
        start, length = network.start, network.length
        family, octets, _ = keys.FAMILIES[network.family]
        found = []
        for shorter, spare, end in self._length_ends[network.family]:
            if shorter <= length:
                key = family + (start >> spare << spare).to_bytes(octets) + end
                value = get(key, None, terms)
                if value:
                    found.append(value)
                elif value is not None:
                    return None
        return keys.entries(b"".join(found))

    def lengths_within(self, network: Network) -> list[int]:
        """Network lengths in use that are not longer than that of ``network``, longest first."""
        lengths = self.lengths[network.family]
        return lengths[bisect_left(lengths, -network.length, key=int.__neg__) :]
