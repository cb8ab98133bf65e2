"""What the store hands to the image: stored objects, journalled changes, a source of both."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rwhoisd.directory.area import AuthorityArea
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
        """Area name → serial of its last journalled change."""

    def objects(self, area: str) -> AsyncIterator[Sequence[StoredObject]]:
        """All objects of an area in batches, by class (schema order) and position."""

    def changes(self, area: str, after: TimeStamp) -> AsyncIterator[Change]:
        """Journal entries with a serial greater than ``after``, by serial and ordinal."""
