"""Byte layout of the index (docs/developers/image.md): keys, entries and sort items.

A *key* is a kind byte and what is looked for. An *entry* says who has it: a scope (area, class
and attribute in one number whose order is answer order, see scopes.py) and a record number.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import takewhile
from operator import eq
from struct import Struct, unpack
from typing import Final, NamedTuple

from rwhoisd.directory.names import ADDRESS_BITS, DomainName, HierarchicalName, Network

# Kinds of keys. E: text, N: network, P: phonetic code. In lower case they are concealed: those of
# private attributes of guarded objects, which nobody comes across who does not ask for them.
EXACT: Final = b"E"
NETWORK: Final = b"N"
PHONETIC: Final = b"P"

# Family → beginning of its keys, octets and bits of an address.
FAMILIES: Final = {4: (NETWORK + b"\4", 4, 32), 6: (NETWORK + b"\6", 16, 128)}

# Bytes that no key holds: control characters but TAB (arin-rwhoisd.md §8.3).
_CONTROLS: Final = bytes(c for c in (*range(32), 127) if c != 9)
CONTROLS_IN_LINES: Final = _CONTROLS.replace(b"\n", b"")  # of text that holds many values

# LMDB takes keys of at most 511 bytes. A longer one is cut here and ends in a digest of all of
# it, so it is longer than any that was not cut; what was cut stands in the table "long".
CUT: Final = 480
_DIGEST: Final = 16

# A posting with more entries than this moves from the value of its key to the table "many".
INLINE: Final = 64

ENTRY: Final = Struct(">II")  # scope, record
LISTED: Final = Struct(">IQQI")  # scope, order, row, record: an entry that sorts as it stands
TAILED: Final = Struct(">QQI")  # the same without the scope
TAIL: Final = LISTED.size
_SCOPE: Final = Struct(">I")
_PAIRED: Final = INLINE
_PAIRS: Final = [Struct(f">{2 * n}I") for n in range(_PAIRED + 1)]

# Boundaries of blocks are keys cut to this length; so that they fit behind a scope.
BOUNDARY: Final = 200
FIRST_BOUNDARY: Final = b"\0"
BLOCK: Final = 128  # keys between two boundaries when built


class Item(NamedTuple):
    """One entry with all that sorts it: by key, scope, the object's order and its row."""

    key: bytes
    scope: int
    order: int
    row: int
    record: int

    @property
    def listed(self) -> bytes:
        """The entry as it stands in the table "many"."""
        return LISTED.pack(self.scope, self.order, self.row, self.record)

    @property
    def packed(self) -> bytes:
        """Bytes that sort like the item: text keys hold no zero byte, others have one length."""
        return self.key + b"\0" + self.listed

    @classmethod
    def unpack(cls, packed: bytes) -> "Item":
        """The item that :attr:`packed` gave."""
        return cls(packed[: -TAIL - 1], *LISTED.unpack_from(packed, len(packed) - TAIL))


def normalized(text: bytes) -> bytes:
    """Upper case (ASCII, as in the C locale), control characters but TAB gone, trimmed."""
    return text.translate(None, _CONTROLS).strip().upper()


def text_key(text: bytes) -> bytes | None:
    """Key of a value as it stands in the area's charset; None when nothing is left of it."""
    text = normalized(text)
    return EXACT + text if text else None


def phonetic_key(code: str) -> bytes | None:
    """Key of a phonetic code; None for none."""
    return PHONETIC + code.encode("ascii") if code else None


def network_key(network: Network) -> bytes:
    """Family, first address and length: byte order is address order, covering before covered."""
    family, octets, _ = FAMILIES[network.family]
    return family + network.start.to_bytes(octets) + bytes((network.length,))


def network_of(key: bytes) -> Network:
    """The network that :func:`network_key` made ``key`` of."""
    return Network(key[1], int.from_bytes(key[2:-1]), key[-1])


def concealed(key: bytes) -> bytes:
    """The key, or bound of a range of keys, among those that are concealed."""
    return key[:1].lower() + key[1:]


def below_range(network: Network) -> tuple[bytes, bytes]:
    """First key and end of the keys of the networks at and below ``network``."""
    low = network_key(network)
    octets = ADDRESS_BITS[network.family] // 8
    return low, low[:2] + network.last.to_bytes(octets) + b"\xff"


def after_prefix(prefix: bytes) -> bytes:
    """The least bytes greater than everything that starts with ``prefix``.

    The kind byte in front is never 0xff, so there always are some.
    """
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,))


def is_cut(stored: bytes) -> bool:
    """Whether a key as LMDB has it was cut."""
    return len(stored) > CUT


def stored_key(key: bytes) -> bytes:
    """The key as LMDB has it: itself, or its beginning and a digest."""
    if len(key) <= CUT:
        return key
    return key[:CUT] + blake2b(key, digest_size=_DIGEST).digest()


def stored_range(low: bytes, high: bytes) -> tuple[bytes, bytes]:
    """A range of stored keys that holds all keys of ``[low, high)``, and some more when cut."""
    return low[:CUT], high if len(high) <= CUT else after_prefix(high[:CUT])


def entries(value: bytes) -> tuple[int, ...]:
    """Scope, record, scope, record, … of a posting."""
    count = len(value) >> 3
    return _PAIRS[count].unpack(value) if count <= _PAIRED else unpack(f">{2 * count}I", value)


def pack_entries(pairs: Iterable[tuple[int, int]]) -> bytes:
    """The posting of (scope, record) pairs."""
    return b"".join([ENTRY.pack(*pair) for pair in pairs])


def scope_bytes(scope: int) -> bytes:
    """A scope as prefix of an entry or of a key of the table "places"."""
    return _SCOPE.pack(scope)


def boundary_between(before: bytes, key: bytes) -> bytes | None:
    """The shortest boundary that ``key`` is at or after and ``before`` is not.

    None when cut keys are equal. Both are full keys, ``before`` the lesser one.
    """
    boundary = key[:BOUNDARY]
    if not before < boundary:
        return None
    same = sum(1 for _ in takewhile(bool, map(eq, before, boundary)))
    return boundary[: same + 1]


def reversed_key(key: bytes) -> bytes:
    """Key of the table "reversed" for a text key: its text backwards, cut if need be."""
    return stored_key(key[:0:-1])


def link_prefix(area: int) -> bytes:
    """What keys of the table "links" of an area begin with."""
    return area.to_bytes(2)


def link_key(area: int, place: HierarchicalName) -> bytes:
    """Key of the table "links": area and referred name."""
    if isinstance(place, Network):
        return link_prefix(area) + network_key(place)
    text = b"D" + ".".join(place.labels).encode("utf-8", "surrogateescape")
    return link_prefix(area) + stored_key(text)


def network_of_link(key: bytes) -> Network | None:
    """The network that :func:`link_key` made ``key`` of; None when it was a domain."""
    return network_of(key[2:]) if key[2:3] == NETWORK else None


def link_places(
    name: HierarchicalName, area: HierarchicalName, lengths: Sequence[int]
) -> list[HierarchicalName]:
    """Names at and above ``name`` that lie within ``area``, most specific first.

    ``lengths``: network lengths worth a look, longest first.
    """
    if isinstance(name, DomainName):
        assert isinstance(area, DomainName)
        count = len(name.labels) - len(area.labels)
        return [DomainName(name.labels[i:]) for i in range(count + 1)]
    assert isinstance(area, Network)
    return [name.shorten(n) for n in lengths if area.length <= n <= name.length]
