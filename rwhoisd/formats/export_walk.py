"""What leaves the directory by an export: which objects, and which of their lines."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, summarize_address_range
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Source
from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.privacy import is_internal, veiled
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.visibility import SECRET_ATTRIBUTES, public_lines
from rwhoisd.formats.findings import Finding, Severity

RELEASED: Final = "released"  # Status of what the inventory is about to remove
_HINT: Final = " (--area takes an area whole)"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object on its way out; ``object`` holds only the lines that may leave."""

    area: AuthorityArea
    class_def: ClassDef
    object: Object

    def is_a(self, class_name: str) -> bool:
        """Whether its class is called so, by name or by an alias."""
        return class_name in {name.lower() for name in self.class_def.names}

    def values(self, name: str) -> tuple[str, ...]:
        """Values of an attribute by its name or an alias of it; blank ones do not count."""
        attribute = self.class_def.attribute(name)
        found = self.object.values(attribute.name) if attribute else ()
        return tuple(text for value in found if (text := value.strip()))

    def get(self, *names: str) -> str:
        """The first value of the first of these attributes that has one, else nothing."""
        return next((value for name in names for value in self.values(name)), "")

    def finding(self, message: str, severity: Severity = "warning") -> Finding:
        """A remark on the object."""
        name = self.object.id or f"a {self.class_def.name} without ID"
        return Finding(f"store:{self.area.name}", 0, f"{name}: {message}", severity)


class Gate:
    """Decides what may leave, and counts what stays.

    A *public* export goes to everybody, so it takes no private object, no private attribute
    of a guarded one and nothing of an area with an audience, unless the area is among
    ``named``: an operator who names an area means all of it. What privacy profiles hide stays
    even then, and so do internal objects: a profile says how an object is published. A *current*
    one takes no object that the inventory has released: no source has it any more. Guard-Info
    never leaves.
    """

    def __init__(self, *, public: bool, current: bool, named: Iterable[str] = ()) -> None:
        self._public = public
        self._current = current
        self._named = frozenset(name.lower() for name in named)
        self.left_out: Counter[str] = Counter()

    def closed(self, area: AuthorityArea) -> bool:
        """Whether nothing of the area leaves."""
        return self._public and bool(area.audience) and area.name.key not in self._named

    def entry(self, obj: Object, class_def: ClassDef, area: AuthorityArea) -> Entry | None:
        """The object as it leaves; None, when it stays."""
        whole = not self._public or area.name.key in self._named
        if reason := self._reason(obj, class_def, area, whole=whole):
            self.left_out[reason] += 1
            return None
        lines = self._lines(obj, class_def, area, whole=whole)
        kept = tuple((n, v) for n, v in lines if n.lower() not in SECRET_ATTRIBUTES)
        return Entry(area, class_def, replace(obj, lines=kept))

    def _lines(
        self, obj: Object, class_def: ClassDef, area: AuthorityArea, *, whole: bool
    ) -> tuple[Line, ...]:
        if not whole:
            return _public(obj, class_def, area)
        shown = veiled(obj, class_def, area) if self._public else None
        return (shown or obj).lines

    def _reason(self, obj: Object, class_def: ClassDef, area: AuthorityArea, *, whole: bool) -> str:
        if self._current and (obj.get("Status") or "").lower() == RELEASED:
            return "as released"
        if self.closed(area):
            return f"as area {area.name} is answered to named networks only{_HINT}"
        if self._public and is_internal(obj, class_def, area):
            return "as internal"
        return f"as private{_HINT}" if obj.private and not whole else ""

    def told(self) -> list[str]:
        """What was left out and why, for a person."""
        return [f"left out {why}: {n}" for why, n in self.left_out.items()]


def _public(obj: Object, class_def: ClassDef, area: AuthorityArea) -> tuple[Line, ...]:
    return tuple((a.name, value) for a, value in public_lines(obj, class_def, area))


async def walk(
    source: Source, areas: Sequence[AuthorityArea], classes: Collection[str], gate: Gate
) -> AsyncIterator[Entry]:
    """Objects of the classes, by name or alias, that pass the gate, in the store's order."""
    for area in areas:
        found = (area.schema.class_def(name) for name in classes)
        wanted = {c.name.lower(): c for c in found if c is not None}
        if not wanted:
            continue
        async for batch in source.objects(area.name.text):
            for stored in batch:
                class_def = wanted.get(stored.object.class_name.lower())
                if class_def and (entry := gate.entry(stored.object, class_def, area)):
                    yield entry


class TextExport(ABC):
    """A format that is one text: what ``add`` and then ``end`` return, in this order."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    @abstractmethod
    def add(self, entry: Entry) -> str:
        """Take an object; the text that can be written by now."""

    @abstractmethod
    def end(self) -> Iterator[str]:
        """The rest of the text."""

    def text(self, entries: Iterable[Entry]) -> str:
        """The whole text of a few objects."""
        return "".join([*(self.add(entry) for entry in entries), *self.end()])


def network_range(entry: Entry) -> AddressRange | None:
    """The addresses of a network object; None when they cannot be read."""
    return AddressRange.from_text(entry.get("IP-Network", "IP-Network-Block"))


def blocks(addresses: AddressRange) -> tuple[Network, ...]:
    """The range as CIDR blocks; nearly always it is one."""
    if addresses.length is not None:
        return (Network(addresses.family, addresses.first, addresses.length),)
    octets = ADDRESS_BITS[addresses.family] // 8
    ends = [ip_address(end.to_bytes(octets)) for end in (addresses.first, addresses.last)]
    return tuple(
        Network(addresses.family, int(block.network_address), block.prefixlen)
        for block in summarize_address_range(*ends)
    )


def file_name(text: str) -> str:
    """An address, a block or a zone as part of a file's name."""
    return text.replace(" - ", "-").replace("/", "-").replace(":", "_")
