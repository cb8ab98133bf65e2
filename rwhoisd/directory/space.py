"""Address space: what is free in a block, how full it is, what stands in it. Pure arithmetic."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import ClassDef, IndexType

_WHERE: Final = frozenset({"ip-network", "ip-address", "referred-auth-area"})


def span_of(block: Network) -> AddressRange:
    """The addresses of a block."""
    return AddressRange(block.family, block.start, block.last)


def size_of(span: AddressRange) -> int:
    """How many addresses a range has."""
    return span.last - span.first + 1


def meets(one: AddressRange, other: AddressRange) -> bool:
    """Whether two ranges share an address."""
    return one.family == other.family and one.first <= other.last and other.first <= one.last


def covered(outer: AddressRange, spans: Iterable[AddressRange]) -> list[AddressRange]:
    """What ``spans`` cover of ``outer``: ranges in order that neither meet nor touch."""
    inside = sorted(
        (max(s.first, outer.first), min(s.last, outer.last)) for s in spans if meets(outer, s)
    )
    found: list[tuple[int, int]] = []
    for first, last in inside:
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return [AddressRange(outer.family, first, last) for first, last in found]


def gaps(outer: AddressRange, spans: Iterable[AddressRange]) -> Iterator[AddressRange]:
    """What ``spans`` leave of ``outer``, in order."""
    following = outer.first
    for taken in covered(outer, spans):
        if taken.first > following:
            yield AddressRange(outer.family, following, taken.first - 1)
        following = taken.last + 1
    if following <= outer.last:
        yield AddressRange(outer.family, following, outer.last)


def free_block(outer: Network, spans: Iterable[AddressRange], length: int) -> Network | None:
    """The lowest block of ``length`` bits in ``outer`` that meets none of ``spans``, or None.

    Raises: ValueError, when no block of this length can lie in ``outer``.
    """
    bits = ADDRESS_BITS[outer.family]
    if not outer.length <= length <= bits:
        raise ValueError(f"a block in {outer} has a length of {outer.length} to {bits}")
    size = 1 << bits - length
    for gap in gaps(span_of(outer), spans):
        start = -(-gap.first // size) * size  # the first place at or behind it that is aligned
        if start + size - 1 <= gap.last:
            return Network(outer.family, start, length)
    return None


def blocks_of(span: AddressRange) -> Iterator[Network]:
    """A range as the fewest blocks, in order."""
    bits, first = ADDRESS_BITS[span.family], span.first
    while first <= span.last:
        room = (span.last - first + 1).bit_length() - 1
        aligned = (first & -first).bit_length() - 1 if first else bits
        host_bits = min(room, aligned)
        yield Network(span.family, first, bits - host_bits)
        first += 1 << host_bits


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a block is: addresses in it, those that are taken, the largest free block."""

    size: int
    used: int
    largest_free: Network | None

    @property
    def share(self) -> float:
        """From 0 to 1; neither is told of a block that is only nearly so."""
        share = self.used / self.size
        if self.used not in (0, self.size):
            share = min(max(share, 1e-12), 1 - 1e-12)
        return share


def usage(outer: AddressRange, inner: Iterable[AddressRange]) -> Usage:
    """How full ``outer`` is by ``inner``; each address counts once."""
    spans = covered(outer, inner)
    free = (block for gap in gaps(outer, spans) for block in blocks_of(gap))
    largest = min(free, key=lambda block: (block.length, block.start), default=None)
    return Usage(size_of(outer), sum(map(size_of, spans)), largest)


def strictly_within(outer: AddressRange, inner: AddressRange) -> bool:
    """Whether ``inner`` is more specific than ``outer``."""
    return outer.encloses(inner) and outer != inner


def parse_size(text: str, outer: Network) -> int:
    """A prefix length such as ``29`` or ``/29``, longer than that of ``outer``.

    Raises: ValueError that tells the mend.
    """
    digits, bits = text.removeprefix("/"), ADDRESS_BITS[outer.family]
    if not (digits.isascii() and digits.isdigit() and outer.length < int(digits) <= bits):
        raise ValueError(
            f"{text!r} is no length of a block in {outer}: {outer.length + 1} to {bits}"
        )
    return int(digits)


def where_attribute(class_def: ClassDef) -> str | None:
    """The attribute that says which addresses an object of a class has, its key before others."""
    indexed = (a for a in class_def.own_attributes if IndexType.CIDR in a.index.parts)
    # Names are searched as addresses, too (ALL), but stand in no hierarchy.
    found = [a for a in indexed if a.hierarchical or a.index is IndexType.CIDR]
    found.sort(key=lambda a: (not a.primary, not a.required))  # stable: else in template order
    return found[0].name if found else None


def addresses_of(obj: Object, class_def: ClassDef | None) -> Sequence[AddressRange]:
    """The addresses an object has by its class; without one by what attributes are called."""
    spans = []
    for name, value in obj.lines:
        attribute = class_def.attribute(name) if class_def else None
        if attribute is not None:
            counts = IndexType.CIDR in attribute.index.parts
        else:
            counts = class_def is None and name.lower() in _WHERE
        if counts and (span := AddressRange.from_text(value.strip())):
            spans.append(span)
    return spans
