"""Names in a hierarchy: domain names, CIDR blocks, mail addresses, object IDs (RFC 2167 §2.1).

Whether one name lies within another decides area choice, referral routing and IDs; it is
decided here and nowhere else. Domain names compare by whole labels (R2.1-1), networks by
their leading bits (R2.1-2).
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from rwhoisd.directory.errors import ResponseCode, RwhoisError

ADDRESS_BITS: Final = {4: 32, 6: 128}

# A value looks like a network: hex digits, then "." or ":" with hex digits, an optional length
# (arin-rwhoisd.md §8.4). Text that begins with ":" never does, which keeps "::1" out.
_LOOKS_LIKE_NETWORK: Final = re.compile(r"[0-9A-Fa-f]+(?:[.:][0-9A-Fa-f]*)*(?:/[0-9]+)?\Z")
_FIELD: Final = "0*([0-9]{1,3})"  # a longer one is out of range
_QUAD: Final = re.compile(rf"{_FIELD}\.{_FIELD}\.{_FIELD}\.{_FIELD}(?:/{_FIELD})?\Z")
_SPARE: Final = {"": 0} | {f"/{bits}": 32 - bits for bits in range(33)}  # length → host bits
_V6: Final = re.compile(r"([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?:/([0-9]+))?\Z")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
# Words that may be domain names in a query: no "_", which ARIN's takes only before ".letters".
_DOMAIN_WORD: Final = re.compile(r"\.?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\Z")
_ENDS_IN_LETTERS: Final = re.compile(r".*\.[A-Za-z]+\Z")
# The generic domains that ARIN's server knows; any two-character label counts as well (§9.2).
TOP_LEVEL: Final = frozenset({"EDU", "GOV", "COM", "NET", "ORG", "MIL", "INT"})
LONGEST_TOP_LEVEL: Final = max(map(len, TOP_LEVEL))


class Network(NamedTuple):
    """A CIDR block. ``start`` is the first address as a number, its host bits are clear.

    A named tuple, because it costs half of a frozen dataclass to make.
    """

    family: int  # 4 or 6
    start: int
    length: int

    @classmethod
    def from_text(cls, text: str) -> "Network | None":
        """Block written as ``a.b.c.d[/n]`` or IPv6 text; None when it is none.

        Host bits are cleared, a missing length is the full one, leading zeros are allowed.
        Exactly four decimal fields are needed (B16); text that starts with ":" is no network.
        """
        if text.count(".") == 3:
            address, slash, bits = text.partition("/")
            try:
                # The common case, several times as fast; what it refuses may be right below.
                spare = _SPARE[slash + bits]
                start = int.from_bytes(socket.inet_pton(socket.AF_INET, address))
                return cls(4, start >> spare << spare, 32 - spare)
            except (LookupError, OSError, ValueError):
                pass
        if match := _QUAD.match(text):
            return cls._from_quad(match)
        if not text.startswith(":") and (match := _V6.match(text)):
            return cls._from_v6(match)
        return None

    @classmethod
    def _from_quad(cls, match: re.Match[str]) -> "Network | None":
        one, two, three, four, bits = match.groups()
        a, b, c, d = int(one), int(two), int(three), int(four)
        length = 32 if bits is None else int(bits)
        if length > 32 or a > 255 or b > 255 or c > 255 or d > 255:
            return None
        spare = 32 - length
        return cls(4, (a << 24 | b << 16 | c << 8 | d) >> spare << spare, length)

    @classmethod
    def _from_v6(cls, match: re.Match[str]) -> "Network | None":
        length = 128 if match[2] is None else _length(match[2])
        if length > 128:
            return None
        try:
            packed = socket.inet_pton(socket.AF_INET6, match[1])
        except OSError:
            return None
        return cls.masked(6, int.from_bytes(packed), length)

    @classmethod
    def masked(cls, family: int, address: int, length: int) -> "Network":
        """The block of ``length`` bits that holds ``address``."""
        spare = ADDRESS_BITS[family] - length
        return cls(family, address >> spare << spare, length)

    @property
    def last(self) -> int:
        """Last address of the block, as a number."""
        return self.start | (1 << ADDRESS_BITS[self.family] - self.length) - 1

    def within(self, outer: "Network") -> bool:
        """Whether ``outer`` is this block or encloses it."""
        return (
            self.family == outer.family
            and self.length >= outer.length
            and self.start >> ADDRESS_BITS[self.family] - outer.length
            == outer.start >> ADDRESS_BITS[self.family] - outer.length
        )

    def shorten(self, length: int) -> "Network":
        """The enclosing block of ``length`` bits."""
        return Network.masked(self.family, self.start, length)

    def enclosing(self) -> Iterator["Network"]:
        """This block and every block above it, most specific first, down to /0."""
        for length in range(self.length, -1, -1):
            yield self.shorten(length)

    def key_text(self) -> str:
        """Text whose byte order is address order: ``010.000.000.000/8``, eight groups for v6.

        It is the key of ARIN's CIDR index, so it also fixes the order of answers (§8.4).
        """
        if self.family == 4:
            octets = self.start.to_bytes(4)
            return "{:03d}.{:03d}.{:03d}.{:03d}/{}".format(*octets, self.length)
        digits = f"{self.start:032x}"
        return ":".join(digits[i : i + 4] for i in range(0, 32, 4)) + f"/{self.length}"

    def __str__(self) -> str:
        family = socket.AF_INET if self.family == 4 else socket.AF_INET6
        packed = self.start.to_bytes(ADDRESS_BITS[self.family] // 8)
        return f"{socket.inet_ntop(family, packed)}/{self.length}"


def _length(digits: str) -> int:
    return int(digits) if len(digits.lstrip("0")) <= 3 else 999


@dataclass(frozen=True, slots=True)
class DomainName:
    """A domain name as its labels, lower case, leftmost first; no labels is the root "."."""

    labels: tuple[str, ...]

    @classmethod
    def from_text(cls, text: str) -> "DomainName":
        """Name as written; case is folded, leading and trailing dots do not count."""
        text = text.strip(".").lower()
        return cls(tuple(text.split(".")) if text else ())

    def within(self, outer: "DomainName") -> bool:
        """Whether ``outer`` is this name or lies above it, by whole labels (B15)."""
        count = len(outer.labels)
        return count == 0 or self.labels[-count:] == outer.labels

    def enclosing(self) -> Iterator["DomainName"]:
        """This name and every name above it, the root last."""
        for i in range(len(self.labels) + 1):
            yield DomainName(self.labels[i:])

    def __str__(self) -> str:
        return ".".join(self.labels) or "."


HierarchicalName = Network | DomainName


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses from ``first`` to ``last``: what a block or a written range covers."""

    family: int  # 4 or 6
    first: int
    last: int

    @classmethod
    def from_text(cls, text: str) -> "AddressRange | None":
        """A CIDR block, or two addresses with a hyphen between them; None when it is neither."""
        if block := Network.from_text(text):
            return cls(block.family, block.start, block.last)
        parts = [Network.from_text(part.strip()) for part in text.split("-")]
        ends = [end for end in parts if end is not None]
        if len(parts) != 2 or len(ends) != 2 or "/" in text:
            return None
        first, last = ends
        if first.family != last.family or first.start > last.start:
            return None
        return cls(first.family, first.start, last.start)

    @property
    def length(self) -> int | None:
        """Prefix length when the range is one CIDR block, else None."""
        size = self.last - self.first + 1
        aligned = size & (size - 1) == 0 and self.first % size == 0
        return ADDRESS_BITS[self.family] - size.bit_length() + 1 if aligned else None

    def encloses(self, inner: "AddressRange") -> bool:
        """Whether every address of ``inner`` is one of this range."""
        return self.family == inner.family and self.first <= inner.first <= inner.last <= self.last

    def __str__(self) -> str:
        if (length := self.length) is not None:
            return str(Network(self.family, self.first, length))
        bits = ADDRESS_BITS[self.family]
        ends = (Network(self.family, end, bits) for end in (self.first, self.last))
        return " - ".join(str(end).partition("/")[0] for end in ends)


def looks_like_network(text: str) -> bool:
    """Whether ARIN's server would try to read ``text`` as an address (§8.4)."""
    return _LOOKS_LIKE_NETWORK.match(text) is not None


def lies_within(inner: HierarchicalName, outer: HierarchicalName) -> bool:
    """Whether ``outer`` is ``inner`` or encloses it; names of different kinds never do."""
    if isinstance(inner, Network):
        return isinstance(outer, Network) and inner.within(outer)
    return isinstance(outer, DomainName) and inner.within(outer)


def specificity(name: HierarchicalName) -> int:
    """How deep a name lies in its hierarchy: prefix bits or labels."""
    return name.length if isinstance(name, Network) else len(name.labels)


def hierarchical_value(text: str) -> HierarchicalName | None:
    """The name in the hierarchy that a search value stands for, or None (§2.5.1, R2.5.1-10).

    An address or block is a Network; a name that ends in a known top-level or two-character
    label is a DomainName; of a mail address the domain counts. What looks like an address but
    is none falls through to the domain test, unless its last label is all digits (B18); other
    words may end in two digits, like any two characters (``n41.10``).
    """
    if len(text) > LONGEST_TOP_LEVEL and "." not in text and ":" not in text:
        return None  # most names: one label, too long to be a top-level one
    if network := Network.from_text(text):
        return network
    if not (_DOMAIN_WORD.match(text) or _ENDS_IN_LETTERS.match(text)):
        return None
    domain = text.rpartition("@")[2]
    last = domain.rpartition(".")[2]
    if not (len(last) == 2 or last.upper() in TOP_LEVEL):
        return None
    if last.isdigit() and looks_like_network(text):
        return None
    return DomainName.from_text(domain)


@dataclass(frozen=True, slots=True)
class AreaName:
    """The name of an authority area (§2.4): how it is spelled, and its place in a hierarchy."""

    text: str
    place: HierarchicalName

    @classmethod
    def from_text(cls, text: str) -> "AreaName":
        """Read an area name; leading and trailing dots of a domain name do not count.

        Raises: RwhoisError 340, when it is neither ``prefix/length``, a domain name nor ".".
        """
        text = text.strip()
        if "/" in text:
            if network := Network.from_text(text):
                return cls(text, network)
            raise RwhoisError(ResponseCode.INVALID_AREA, f"{text!r} is no network prefix/length")
        if text == ".":
            return cls(".", DomainName(()))
        text = text.strip(".")
        if not _DOMAIN.match(text):
            raise RwhoisError(ResponseCode.INVALID_AREA, f"{text!r} is no domain name")
        return cls(text, DomainName.from_text(text))

    @property
    def key(self) -> str:
        """Spelling under which areas are compared: case does not count (N36)."""
        return self.text.lower()

    @property
    def id_suffix(self) -> str:
        """What follows the period in an ID of this area; "root" for the area "." (N47)."""
        return "root" if self.text == "." else self.text

    def covers(self, name: HierarchicalName) -> bool:
        """Whether ``name`` lies in this area.

        A block counts by its first address, so that one shorter than the area, but beginning
        with it, is ours to answer as well (arin-rwhoisd.md §9.4, kept).
        """
        if isinstance(name, Network):
            name = Network(name.family, name.start, ADDRESS_BITS[name.family])
        return lies_within(name, self.place)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ObjectId:
    """An ID: a local part without period, a period, the area's name (R2.3.4-3, R2.3.4-4)."""

    local: str
    area: AreaName

    def __post_init__(self) -> None:
        if not self.local or "." in self.local:
            raise ValueError(f"local part of an ID needs text without period, got {self.local!r}")

    def to_text(self) -> str:
        """The ID as it stands in an object."""
        return f"{self.local}.{self.area.id_suffix}"
