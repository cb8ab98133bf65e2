"""Records of NetBox (and Nautobot) as facts, whichever way they came: API, dump, CSV or YAML."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Block, Fact, Host, Vip
from rwhoisd.inventory.sources.netbox_book import (
    ADDRESS,
    AGGREGATE,
    DEVICE,
    GROUP,
    MACHINE,
    NO_PORT,
    PREFIX,
    RANGE,
    SERVICE,
    Book,
    Record,
    address_of,
    choice,
    group_name,
    ports_of,
)
from rwhoisd.inventory.sources.records import Fields

# Roles of addresses that machines share or take over; numbers were used up to NetBox 2.6.
_ROLES: Final = {
    "10": "loopback", "20": "secondary", "30": "anycast", "40": "vip", "41": "vrrp", "42": "hsrp",
    "43": "glbp", "44": "carp",
}  # fmt: skip
_VIRTUAL: Final = frozenset({"anycast", "loopback", "vip", "vrrp", "hsrp", "glbp", "carp"})
_STATUSES: Final = {
    "0": "container", "1": "active", "2": "reserved", "3": "deprecated", "5": "dhcp",
}  # fmt: skip
_NOT_IN_USE: Final = frozenset({"reserved", "deprecated"})


def facts_of(book: Book) -> Iterator[Fact]:
    """The facts of all records."""
    for record in book.records:
        read = _READERS.get(record.model)
        if read is not None:
            yield from read(record, book)


def _unread(record: Record, book: Book, written: str, what: str) -> None:
    """Warns of an address or prefix that is none."""
    if written:
        why = "still to be filled in" if words.is_placeholder(written) else f"no {what}"
        book.report.warn(record.place, f"{what} is {why}; skipped")


def _address(record: Record, book: Book) -> Iterator[Fact]:
    fields = record.fields
    where = address_of(record)
    if where is None:
        _unread(record, book, fields.text("address", "host", "ipaddress"), "address")
        return
    machine, group = book.machine(record), book.group(record)
    role = choice(fields.value("role"), _ROLES).lower()
    ports = dict.fromkeys(book.services.get(where, NO_PORT)) or dict.fromkeys(NO_PORT)
    is_virtual = group is not None or role in _VIRTUAL
    name = fields.text("dnsname") or ("" if is_virtual else machine or fields.text("name"))
    for port, protocol in ports:
        common = Host(
            place=record.place, where=where, name=name or None, port=port, protocol=protocol,
            disabled=_is_unused(fields),
        )  # fmt: skip
        yield _virtual(common, group or machine, role) if is_virtual else common


def _virtual(common: Host, owner: str, role: str) -> Vip:
    """The same of an address that no one machine has."""
    return Vip(
        place=common.place, where=common.where, name=common.name, port=common.port,
        protocol=common.protocol, disabled=common.disabled, belongs_to=owner or None,
        on_loopback=role == "loopback",
    )  # fmt: skip


def _is_unused(fields: Fields) -> bool:
    return choice(fields.value("status"), _STATUSES).lower() in _NOT_IN_USE


def _block(record: Record, book: Book) -> Iterator[Fact]:
    fields = record.fields
    written = fields.text("prefix", "prefixflat")
    if not written and "/" in fields.text("network"):  # Nautobot
        written = fields.text("network")
    where = words.prefix(written)
    if where is None and not written:  # Nautobot's dump has them apart
        written = fields.text("network")
        where = words.network_of(written, fields.text("prefixlength"))
    if where is None:
        _unread(record, book, written, "prefix")
        return
    is_aggregate = record.model == AGGREGATE
    status = choice(fields.value("status", "type", "prefixtype"), _STATUSES)
    yield Block(
        place=record.place,
        where=where,
        status="aggregate" if is_aggregate else status or None,
        role=book.name("ipam.role", fields.value("role")) or None,
        site=book.site(fields),
        tenant=_tenant(record, book),
        disabled=_is_unused(fields),
    )


def _range(record: Record, book: Book) -> Iterator[Fact]:
    fields = record.fields
    first, last = fields.text("startaddress"), fields.text("endaddress")
    where = words.span(f"{first}-{last}") if first and last else None
    if where is None:
        _unread(record, book, first or last, "range")
        return
    yield Block(
        place=record.place,
        where=where,
        status=choice(fields.value("status"), _STATUSES) or None,
        role=book.name("ipam.role", fields.value("role")) or None,
        tenant=_tenant(record, book),
        disabled=_is_unused(fields),
    )


def _tenant(record: Record, book: Book) -> str | None:
    return book.name("tenancy.tenant", record.fields.value("tenant")) or None


def _group(record: Record, book: Book) -> Iterator[Fact]:
    name = group_name(record.fields) or None
    for place, where in book.group_addresses(record):
        if where not in book.known:
            for port, protocol in book.services.get(where, NO_PORT):
                yield Vip(place=place, where=where, port=port, protocol=protocol, belongs_to=name)


def _service(record: Record, book: Book) -> Iterator[Fact]:
    fields = record.fields
    if not ports_of(record):
        book.report.warn(record.place, "service has no port; skipped")
        return
    machine = (
        book.name(DEVICE, fields.value("device"))
        or book.name(MACHINE, fields.value("virtualmachine"))
        or book.name("", fields.value("parent", "parentname"))
        or None
    )
    is_group = book.model(fields.value("parentobjecttype")) == GROUP
    listened = book.service_addresses(record)
    addresses: list[Address | None] = [w for w in listened if w not in book.known]
    if machine and not listened:
        addresses = [None]  # somewhere on a machine whose addresses are not told
    for port, protocol in ports_of(record):
        for where in addresses:
            found = Host(
                place=record.place, where=where, name=machine, port=port, protocol=protocol
            )
            yield _virtual(replace(found, name=None), machine or "", "") if is_group else found


def _device(record: Record, book: Book) -> Iterator[Fact]:
    name = record.fields.text("name", "display", "displayname") or None
    for place, where in book.held(record):
        if where not in book.known:
            for port, protocol in book.services.get(where, NO_PORT):
                yield Host(place=place, where=where, name=name, port=port, protocol=protocol)


_READERS: Final = {
    ADDRESS: _address,
    PREFIX: _block,
    AGGREGATE: _block,
    RANGE: _range,
    GROUP: _group,
    SERVICE: _service,
    DEVICE: _device,
    MACHINE: _device,
}
