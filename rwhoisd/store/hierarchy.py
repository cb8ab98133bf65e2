"""Questions about addresses and references: what lies within, what overlaps, who points where."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.directory.names import AddressRange, AreaName, Network
from rwhoisd.store.codec import id_key, pack_address, unpack_span
from rwhoisd.store.tables import authority_area, network, reference, stored_object


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """Addresses that a value of an object stands for."""

    area: str
    class_name: str
    row: int
    object_id: str | None
    attribute: str
    span: AddressRange


@dataclass(frozen=True, slots=True)
class ReferenceEntry:
    """A value of an ID attribute: from an object to the ID of another one."""

    area: str
    class_name: str
    row: int
    object_id: str | None
    attribute: str
    target: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two objects of one area and class that claim the same addresses."""

    first: NetworkEntry
    second: NetworkEntry

    @property
    def equal(self) -> bool:
        """Whether both hold exactly the same addresses; else they cross."""
        return self.first.span == self.second.span


_o, _n, _r, _a = stored_object.c, network.c, reference.c, authority_area.c
_WHOSE = (_a.name, _o.class_name, _o.row_id, _o.object_id)


def _span_of(value: Network | AddressRange) -> AddressRange:
    if isinstance(value, AddressRange):
        return value
    return AddressRange(value.family, value.start, value.last)


def _networks(area: str | None) -> Select[Any]:
    columns = (_n.attribute, _n.family, _n.first_address, _n.last_address)
    query = select(*_WHOSE, *columns).join_from(network, stored_object).join(authority_area)
    return _in_area(query, area)


def _in_area(query: Select[Any], area: str | None) -> Select[Any]:
    return query if area is None else query.where(_a.name_key == AreaName.from_text(area).key)


def _network_entries(rows: Iterable[Any]) -> Iterator[NetworkEntry]:
    for area, class_name, row, object_id, attribute, family, first, last in rows:
        span = unpack_span(family, first, last)
        yield NetworkEntry(area, class_name, row, object_id, attribute, span)


async def networks_within(
    connection: AsyncConnection, area: str | None, outer: Network | AddressRange, limit: int | None
) -> list[NetworkEntry]:
    """Addresses at or below ``outer`` in address order, covering before covered."""
    span = _span_of(outer)
    first, last = pack_address(span.first), pack_address(span.last)
    query = _networks(area).where(
        _n.family == span.family,
        _n.first_address.between(first, last),
        _n.last_address <= last,
    )
    query = query.order_by(_n.first_address, _n.last_address.desc(), _n.row_id, _n.ordinal)
    return list(_network_entries(await connection.execute(query.limit(limit))))


async def networks_around(
    connection: AsyncConnection, area: str | None, inner: Network | AddressRange
) -> list[NetworkEntry]:
    """Addresses at or above ``inner``, the most specific first."""
    span = _span_of(inner)
    query = _networks(area).where(
        _n.family == span.family,
        _n.first_address <= pack_address(span.first),
        _n.last_address >= pack_address(span.last),
    )
    query = query.order_by(_n.first_address.desc(), _n.last_address, _n.row_id, _n.ordinal)
    return list(_network_entries(await connection.execute(query)))


async def networks_overlapping(
    connection: AsyncConnection, area: str | None, other: Network | AddressRange
) -> list[NetworkEntry]:
    """Addresses that share some with ``other``, in address order, covering before covered."""
    span = _span_of(other)
    query = _networks(area).where(
        _n.family == span.family,
        _n.first_address <= pack_address(span.last),
        _n.last_address >= pack_address(span.first),
    )
    query = query.order_by(_n.first_address, _n.last_address.desc(), _n.row_id, _n.ordinal)
    return list(_network_entries(await connection.execute(query)))


async def overlaps(connection: AsyncConnection, area: str | None) -> list[Overlap]:
    """Pairs within one area and class that are equal or cross; see ``sweep``."""
    order = (_a.position, _a.area_id, _o.class_key, _n.family)
    inner = (_n.first_address, _n.last_address.desc(), _n.row_id, _n.ordinal)
    rows = (await connection.execute(_networks(area).order_by(*order, *inner))).all()
    found: list[Overlap] = []
    for _, group in groupby(
        _network_entries(rows), key=lambda e: (e.area, e.class_name.lower(), e.span.family)
    ):
        found += sweep(group)
    return found


def sweep(entries: Iterable[NetworkEntry]) -> Iterator[Overlap]:
    """Overlaps of entries in address order, covering before covered.

    The stack holds the spans that reach to the present place. Each entry is told against the
    nearest one that is equal and every one that it crosses; nesting is as it should be. Two
    values of one object are no overlap.
    """
    stack: list[NetworkEntry] = []
    for entry in entries:
        stack = [open_ for open_ in stack if open_.span.last >= entry.span.first]
        equal_told = False
        for other in reversed(stack):
            same = other.span == entry.span
            crosses = other.span.last < entry.span.last
            if other.row != entry.row and (crosses or (same and not equal_told)):
                yield Overlap(other, entry)
                equal_told |= same
        stack.append(entry)


def _references(area: str | None) -> Select[Any]:
    columns = (_r.attribute, _r.target)
    query = select(*_WHOSE, *columns).join_from(reference, stored_object).join(authority_area)
    order = (_a.position, _a.area_id, _o.class_key, _o.position, _o.row_id, _r.ordinal)
    return _in_area(query, area).order_by(*order)


async def references_to(connection: AsyncConnection, object_id: str) -> list[ReferenceEntry]:
    """Who points at an ID."""
    query = _references(None).where(_r.target_key == id_key(object_id))
    return [ReferenceEntry(*row) for row in await connection.execute(query)]


async def dangling_references(
    connection: AsyncConnection, area: str | None
) -> list[ReferenceEntry]:
    """Values of ID attributes that are the ID of no stored object."""
    target = stored_object.alias("target_object")
    there = select(target.c.row_id).where(target.c.id_key == _r.target_key)
    query = _references(area).where(~there.exists())
    return [ReferenceEntry(*row) for row in await connection.execute(query)]
