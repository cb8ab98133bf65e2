"""What the store hands to the image: stored objects, journalled changes, a source of both."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.body import decode_lines
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object with its place in the store.

    ``row`` names it for good (IDs may be missing or double in data of others);
    ``position`` is its place within area and class: the order of ``-xfer``.
    """

    row: int
    position: int
    object: Object


class Bodies(NamedTuple):
    """Stored objects of one class in columns, their lines as directory.body writes them.

    For those who handle millions: columns are taken and given whole.
    """

    class_name: str
    rows: Sequence[int]
    positions: Sequence[int]
    sources: Sequence[str]
    indexed: Sequence[bool]
    orders: Sequence[int]
    bodies: Sequence[bytes]

    def object(self, area: str, place: int) -> Object:
        """One of them, which are of ``area``."""
        lines = decode_lines(self.bodies[place])
        source, indexed, order = self.sources[place], self.indexed[place], self.orders[place]
        return Object(area, self.class_name, lines, source, indexed, order)


class Operation(Enum):
    """What a journal entry did. ``AREA`` stands for a changed area: SOA, schema, guardians."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal of an area; the entries of one transaction share the serial."""

    area: str
    serial: TimeStamp
    ordinal: int  # place within the transaction, from 0
    operation: Operation
    row: int  # 0 for AREA
    position: int
    before: Object | None
    after: Object | None
    author: str
    source: str


class Source(Protocol):
    """A consistent view of the directory: all of it belongs to one moment."""

    async def areas(self) -> tuple[AuthorityArea, ...]:
        """Areas by position."""

    async def serials(self) -> Mapping[str, TimeStamp]:
        """Area name → serial of its last journalled change, areas by position."""

    async def soa_serials(self) -> Mapping[str, str | None]:
        """Area name → Serial-Number that its SOA shows; None without SOA."""

    async def definitions(self, names: Collection[str]) -> Mapping[str, AuthorityArea]:
        """Those of ``areas`` that have these names, by name.

        They differ from those of an earlier moment, but for the Serial-Number of the SOA, only
        where ``changes`` tells of an ``Operation.AREA``.
        """

    def objects(self, area: str) -> AsyncIterator[Sequence[StoredObject]]:
        """All objects of an area in batches, by class (schema order) and position."""

    def bodies(self, area: str) -> AsyncIterator[Bodies]:
        """The same in columns, of one class each."""

    def changes(self, area: str, after: TimeStamp) -> AsyncIterator[Change]:
        """Journal entries with a serial greater than ``after``, by serial and ordinal."""
