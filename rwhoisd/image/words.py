"""What one word finds, as it is sent: the shortest way through the index.

Nearly all that is asked is one word, perhaps behind a class, and what it finds lies in one class
of one area; then the index has it in answer order. Each method gives None when it is not so: the
long way (search.py) has to look. tests/property/test_shortcuts.py holds both to one answer.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from struct import Struct
from typing import Any, Final

from rwhoisd.directory.names import Network
from rwhoisd.image import keys
from rwhoisd.image.reader import Image
from rwhoisd.image.scopes import Plan

# Records as they are sent, how many they are, and whether the limit cut any off.
Found = tuple[bytes, int, bool]

NOTHING: Final[Found] = (b"", 0, False)
_ENTRY_OCTETS: Final = keys.ENTRY.size
_ADDRESS_KEY: Final = Struct(">2sIB").pack
_LINK_KEY: Final = Struct(">H2sIB").pack
_NETWORK_4: Final = keys.FAMILIES[4][0]
# Networks at least this large are few: what an image has of them is remembered by their bits.
_LARGE_BITS: Final = 16
_REMEMBERED: Final = 1024  # large networks, and first octets
_REMEMBERED_OCTETS: Final = 4096  # of records of large networks around one address
_FEW_LINKS: Final = 256  # so many are remembered, not looked for
MOST_AT_ONCE: Final = 256  # objects of an answer in one piece
_PASSED_BY: Final = 64  # entries of a long posting that are not looked for
_FEW: Final = 4  # keys read before it is known whether a range has many


class Words:
    """Looks into one version of an image (or a view of it), for clients with one limit."""

    __slots__ = (
        *("_around", "_begins", "_cursor", "_cut_keys", "_data", "_get", "_large"),
        *("_lengths", "_limit", "_link_keys", "_link_lengths", "_links", "_long", "_many"),
        *("_offsets", "_pair_of", "_shortest", "_terms"),
    )

    def __init__(self, image: Image, limit: int) -> None:
        """``limit``: objects in an answer; 0 is no limit."""
        self._limit = limit
        self._get: Callable[..., Any] = image.txn.get
        self._terms = image.env.terms
        self._cursor: Any = image.txn.cursor(image.env.terms)
        self._many = image.txn.cursor(image.env.many)
        self._long: Any = image.txn.cursor(image.env.long)
        self._cut_keys = image.txn.stat(image.env.long)["entries"] > 0
        self._pair_of = image.scopes.pair_of
        files = image.generation.files
        self._data, self._offsets = files.data, files.offsets
        self._around = image.postings_around
        lengths = [(length, 32 - length) for length in image.lengths[4]]
        self._lengths = [pair for pair in lengths if pair[0] > _LARGE_BITS]
        self._shortest = [pair for pair in lengths if pair[0] <= _LARGE_BITS]
        self._links = image.env.links
        self._link_keys: frozenset[bytes] | None = None  # all of them, when they are few
        if image.txn.stat(image.env.links)["entries"] <= _FEW_LINKS:
            links: Any = image.txn.cursor(image.env.links).iternext(values=False)
            self._link_keys = frozenset(links)
        self._link_lengths = {
            area: [(length, 32 - length) for length in sorted(found.get(4, ()), reverse=True)]
            for area, found in image.head.link_lengths.items()
        }
        self._large = image.large_networks
        self._begins: dict[bytes, bool] = {}

    def equal(self, plan: Plan, word: bytes) -> Found | None:
        """What has ``word``, in upper case, as a value: one get for all classes."""
        value = self._get(keys.EXACT + word, None, self._terms)
        if value is None:
            return NOTHING
        if len(value) == _ENTRY_OCTETS:
            scope, record = keys.ENTRY.unpack(value)
            if scope not in plan.text:
                return NOTHING
            return self._records(record, record + 1), 1, False
        if not value:
            return self._listed(plan, keys.EXACT + word)
        flat, scopes = keys.entries(value), plan.text
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return self._found(tuple(dict.fromkeys([n for scope, n in pairs if scope in scopes])))

    def _listed(self, plan: Plan, key: bytes) -> Found | None:
        """The same of a long posting, of which no more is read than what is sent needs."""
        most = self._limit or MOST_AT_ONCE
        bound = 2 * most + _PASSED_BY
        if not self._many.set_key(key):
            return None
        records: dict[int, None] = {}
        entries: Any = islice(self._many.iternext_dup(), bound)
        seen = 0
        for entry in entries:
            seen += 1
            if int.from_bytes(entry[:4]) in plan.text:
                records[int.from_bytes(entry[-4:])] = None
                if len(records) > most:
                    return self._found(tuple(records)) if self._limit else None
        return None if seen == bound else self._found(tuple(records))

    def around_address(self, plan: Plan, word: bytes, address: int) -> Found | None:
        """The networks around an IPv4 address, most specific first; ``word`` is how it stands."""
        if self._is_text(word):
            return None  # the same may be the text of another attribute
        get, terms, near = self._get, self._terms, b""
        for length, spare in self._lengths:
            key = _ADDRESS_KEY(_NETWORK_4, address >> spare << spare, length)
            value = get(key, None, terms)
            if value is not None:
                if not value:
                    return None
                near += value
        try:
            large = self._large[address >> _LARGE_BITS]
        except KeyError:
            large = self._large_networks(address)
        if large is None:
            return None
        flat, text = large
        if near:
            flat = keys.entries(near) + flat
        own = len(near) // _ENTRY_OCTETS if text else len(flat) // 2
        return self._networks(plan, flat, own, text)

    def refers(self, area: int, address: int) -> bool:
        """Whether an area has link referrals for an IPv4 address that lies in it."""
        get, links, keys_of_links = self._get, self._links, self._link_keys
        for length, spare in self._link_lengths.get(area, ()):
            key = _LINK_KEY(area, _NETWORK_4, address >> spare << spare, length)
            if keys_of_links is None:
                if get(key, None, links) is not None:
                    return True
            elif key in keys_of_links:
                return True
        return False

    def around(self, plan: Plan, word: bytes, network: Network) -> Found | None:
        """The same for any network: itself, then those around it."""
        if self._get(keys.EXACT + word, None, self._terms) is not None:
            return None
        flat = self._around(network)
        return None if flat is None else self._networks(plan, flat, len(flat) // 2, b"")

    def _networks(self, plan: Plan, flat: tuple[int, ...], own: int, text: bytes) -> Found | None:
        """What postings have, as it is sent; what is behind the first ``own`` is ``text``."""
        if not flat:
            return NOTHING
        if not self._one_class(plan.networks, flat[::2]):
            return None
        records = flat[1::2]
        count = len(records)
        if count > (self._limit or MOST_AT_ONCE):
            return self._found(records)
        parts = []
        for record in records[:own]:
            if records.count(record) > 1:
                return self._found(records)
            parts.append(self._records(record, record + 1))
        parts.append(text)
        return b"".join(parts), count, False

    def _large_networks(self, address: int) -> tuple[tuple[int, ...], bytes] | None:
        """The large networks around an address, see ``LargeNetworks``."""
        found = []
        for length, spare in self._shortest:
            key = _ADDRESS_KEY(_NETWORK_4, address >> spare << spare, length)
            value = self._get(key, None, self._terms)
            if value is not None:
                found.append(value)
        known = None
        if b"" not in found:
            flat = keys.entries(b"".join(found))
            records = flat[1::2]
            text = b"".join([self._records(record, record + 1) for record in records])
            whole = len(set(records)) == len(records) and len(text) <= _REMEMBERED_OCTETS
            known = flat, text if whole else b""
        if len(self._large) >= _REMEMBERED:
            self._large.clear()
        self._large[address >> _LARGE_BITS] = known
        return known

    def _is_text(self, text: bytes) -> bool:
        """Whether an address is the text of a value as well; mostly none begins like it."""
        end = text.index(b".") + 1
        if not self._begins_like(text[:end]):
            return False
        end = text.index(b".", end) + 1
        if not self._begins_like(text[:end]):
            return False
        return self._get(keys.EXACT + text, None, self._terms) is not None

    def _begins_like(self, octets: bytes) -> bool:
        """Whether the text of any value begins with these octets of an address."""
        begins = self._begins.get(octets)
        if begins is None:
            low = keys.EXACT + octets
            begins = bool(self._cursor.set_range(low)) and self._cursor.key().startswith(low)
            if len(self._begins) >= _REMEMBERED:
                self._begins.clear()
            self._begins[octets] = begins
        return begins

    def beginning(self, plan: Plan, word: bytes) -> Found | None:
        """What has a value that begins with ``word``: one range of keys.

        When it ends before the limit, or there is one class only; else answers are not in the
        order of keys.
        """
        low, limit, cursor = keys.EXACT + word, self._limit, self._cursor
        if not cursor.set_range(low):
            return NOTHING
        if self._cut_keys and self._has_cut(low):
            return None
        most = limit or MOST_AT_ONCE
        found: Any = cursor.iternext(keys=False)
        values = list(islice(found, _FEW))
        if len(values) == _FEW and cursor.key().startswith(low):
            values += islice(found, max(most + 1 - _FEW, 0))
        if not cursor.key():  # it went over the end of all keys
            cursor.last()
        while values and not cursor.key().startswith(low):
            values.pop()
            cursor.prev()
        if not values:
            return NOTHING
        posting = b"".join(values)
        if len(posting) != _ENTRY_OCTETS * len(values) or b"" in values:
            return None  # not one entry each
        flat = keys.entries(posting)
        if not self._one_class(plan.text, flat[::2]):
            return None
        records = flat[1::2]
        if len(records) > most and (  # there may be more than were read
            not limit or len(plan.looks) > 1 or len(set(records)) <= limit
        ):
            return None
        return self._found(records)

    def _has_cut(self, low: bytes) -> bool:
        """Whether a key that begins with ``low`` may be cut, and so be out of order."""
        long = self._long
        return bool(long.set_range(low[: keys.CUT]) and long.key().startswith(low[: keys.CUT]))

    def _one_class(self, allowed: frozenset[int], scopes: Sequence[int]) -> bool:
        """Whether all scopes are looked for, and are of one class of one area."""
        first = scopes[0]
        if scopes.count(first) == len(scopes):
            return first in allowed
        if not allowed.issuperset(scopes):
            return False
        return self._pair_of(min(scopes)) is self._pair_of(max(scopes))

    def _found(self, records: tuple[int, ...]) -> Found | None:
        """Records in answer order, which may repeat, as they are sent."""
        if not records:
            return NOTHING
        limit = self._limit
        count, first, last = len(records), records[0], records[-1]
        neighbours = last - first == count - 1 and records == tuple(range(first, last + 1))
        if not neighbours and len(set(records)) < count:
            records = tuple(dict.fromkeys(records))
            count = len(records)
        exceeded = 0 < limit < count
        if exceeded:
            records, count = records[:limit], limit
        if count > MOST_AT_ONCE:
            return None
        if neighbours:
            return self._records(first, first + count), count, exceeded
        return b"".join([self._records(n, n + 1) for n in records]), count, exceeded

    def _records(self, first: int, end: int) -> bytes:
        """Records that follow each other, as they are sent."""
        offsets = self._offsets
        start, stop = offsets[first], offsets[end]
        return self._data[start:stop]
