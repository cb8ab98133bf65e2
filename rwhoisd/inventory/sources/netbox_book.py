"""Records of NetBox (and Nautobot), and what they say of each other.

A record refers to others by a nested record (API), a primary key (dumpdata) or a name (CSV,
YAML); the ``Book`` of all records answers for each of them. Read by allow-list: secrets of
records (``auth_key`` of FHRP groups, custom fields) are never looked at.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Place
from rwhoisd.inventory.source import Report
from rwhoisd.inventory.sources.records import Fields
from rwhoisd.inventory.structures import Items, Row, text

ADDRESS: Final = "ipam.ipaddress"
PREFIX: Final = "ipam.prefix"
AGGREGATE: Final = "ipam.aggregate"
RANGE: Final = "ipam.iprange"
GROUP: Final = "ipam.fhrpgroup"
SERVICE: Final = "ipam.service"
DEVICE: Final = "dcim.device"
MACHINE: Final = "virtualization.virtualmachine"

_PROTOCOLS: Final = {"6": "tcp", "17": "udp", "132": "sctp"}
_PORTS: Final = re.compile(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?")
_MOST_PORTS: Final = 1024  # of one service
_ID: Final = re.compile(r"\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Port = tuple[int | None, str | None]
NO_PORT: Final[tuple[Port, ...]] = ((None, None),)


@dataclass(frozen=True)
class Record:
    """One record: its model as NetBox writes it (``ipam.prefix``), its fields, its key."""

    model: str
    fields: Fields
    key: str
    place: Place


def choice(value: Any, numbers: dict[str, str] | None = None) -> str:
    """The word of a choice: ``active``, 1, ``{"value": 1, "label": "Active"}``; "" for none."""
    if isinstance(value, Row):
        value = value.text("label", "name", "display", "slug", "value")
    word = text(value)
    return (numbers or {}).get(word, word)


class Book:
    """All records that were read, for those that refer to others."""

    def __init__(self, records: Iterable[Record], report: Report) -> None:
        self.records = list(records)
        self.report = report
        self._by_key = {(r.model, r.key): r for r in self.records if r.key}
        self.known: set[Address] = set()  # those that have a record of their own
        self._in_groups: dict[str, list[tuple[Place, Address]]] = defaultdict(list)
        for record in self._of(ADDRESS):
            self._note_address(record)
        self.services: dict[Address, list[Port]] = defaultdict(list)
        for record in self._of(SERVICE):
            for where in self.service_addresses(record):
                self.services[where] += ports_of(record)

    def _note_address(self, record: Record) -> None:
        where, fields = address_of(record), record.fields
        if where is not None:
            self.known.add(where)
            if self.model(fields.value("assignedobjecttype")) == GROUP:
                self._in_groups[fields.text("assignedobjectid")].append((record.place, where))

    def _of(self, model: str) -> Iterator[Record]:
        return (record for record in self.records if record.model == model)

    def find(self, model: str, value: Any) -> Record | None:
        """The record that a nested record or a key refers to, if it was read."""
        key = value.text("id") if isinstance(value, Row) else text(value)
        return self._by_key.get((model, key))

    def name(self, model: str, value: Any) -> str:
        """The name of what a field refers to; "" when it is not known."""
        found = self.find(model, value)
        if found is not None:
            return found.fields.text("name", "display", "label", "slug")
        if isinstance(value, Row):
            return value.text("name", "display", "display_name", "label", "slug")
        if isinstance(value, Items):
            return self.name(model, value[0]) if value else ""
        written = text(value)
        return "" if _ID.fullmatch(written) or words.is_placeholder(written) else written

    def model(self, value: Any) -> str:
        """``dcim.interface`` of a content type in any of its forms."""
        if isinstance(value, Items):
            return ".".join(map(text, value))
        found = self.find("contenttypes.contenttype", value)
        if found is not None:
            return f"{found.fields.text('applabel')}.{found.fields.text('model')}"
        return text(value)

    def address(self, value: Any) -> Address | None:
        """The address that a field refers to: nested, by key, or written out."""
        found = self.find(ADDRESS, value)
        if found is not None:
            return address_of(found)
        return words.address(
            value.text("address", "host") if isinstance(value, Row) else text(value)
        )

    def service_addresses(self, record: Record) -> list[Address]:
        """What a service listens on: its addresses, else those of its group or machine."""
        listed = record.fields.list_of("ipaddresses") or record.fields.list_of("ipaddress")
        found = [self.address(value) for item in listed for value in _parted(item)]
        return [where for where in found if where] or self._parent_addresses(record)

    def _parent_addresses(self, record: Record) -> list[Address]:
        fields = record.fields
        parents = [
            (DEVICE, fields.value("device")),
            (MACHINE, fields.value("virtualmachine")),
            (self.model(fields.value("parentobjecttype")), fields.value("parentobjectid")),
        ]
        for model, value in parents:
            parent = self.find(model, value)
            if parent is not None:
                addresses = self.group_addresses(parent) or self.primary(parent)
                return [where for _, where in addresses]
        return []

    def group_addresses(self, record: Record) -> list[tuple[Place, Address]]:
        """The addresses of an FHRP group."""
        if record.model != GROUP:
            return []
        nested = (self.address(item) for item in record.fields.list_of("ipaddresses"))
        found = [(record.place, where) for where in nested if where]
        return found + self._in_groups.get(record.key, [])

    def primary(self, record: Record) -> list[tuple[Place, Address]]:
        """The addresses that a device or virtual machine is reached at by all."""
        return self._held(record, "primaryip4", "primaryip6", "primaryip")

    def held(self, record: Record) -> list[tuple[Place, Address]]:
        """The same, and the address for its management."""
        names = ("primaryip4", "primaryip6", "primaryip", "ipv4address", "ipv6address", "oobip")
        return self._held(record, *names)

    def _held(self, record: Record, *names: str) -> list[tuple[Place, Address]]:
        found = (self.address(record.fields.value(name)) for name in names)
        return [(record.place, where) for where in dict.fromkeys(found) if where]

    def machine(self, record: Record) -> str:
        """The device or virtual machine that an address is on; "" when it is not known."""
        fields = record.fields
        model = self.model(fields.value("assignedobjecttype"))
        part = fields.value("assignedobject") or fields.value("interface", "vminterface")
        part = part if isinstance(part, Row) else self._interface(model, fields)
        if isinstance(part, Row):
            fields = Fields(part)
        return (
            self.name(DEVICE, fields.value("device"))
            or self.name(MACHINE, fields.value("virtualmachine"))
            or ("" if words.prefix(parent := fields.text("parent")) else self.name(DEVICE, parent))
        )

    def _interface(self, model: str, fields: Fields) -> Row | None:
        key = fields.value("assignedobjectid")
        if key is None:  # up to NetBox 2.8
            model, key = "dcim.interface", fields.value("interface")
        found = self.find(model, key)
        return found.fields.row if found is not None else None

    def group(self, record: Record) -> str | None:
        """The FHRP group that an address belongs to, "" if it has no name; None: to none."""
        fields = record.fields
        value = fields.value("fhrpgroup")
        if value is None and self.model(fields.value("assignedobjecttype")) == GROUP:
            value = fields.value("assignedobject", "assignedobjectid")
        if value is None:
            return None
        found = self.find(GROUP, value)
        return group_name(found.fields) if found is not None else self.name(GROUP, value)

    def site(self, fields: Fields) -> str | None:
        """The site, scope or location of a record."""
        scope = self.model(fields.value("scopetype")) or "dcim.site"
        return (
            self.name("dcim.site", fields.value("site"))
            or self.name(scope, fields.value("scope", "scopeid", "scopesite"))
            or self.name("dcim.location", fields.value("location"))
            or None
        )


def _parted(value: Any) -> list[Any]:
    """A cell that lists several values, one by one."""
    return value.split(",") if isinstance(value, str) else [value]


def group_name(fields: Fields) -> str:
    """The name of an FHRP group, else protocol and number: ``VRRPv2: 10``."""
    made = f"{choice(fields.value('protocol'))} {fields.text('groupid')}".strip()
    return fields.text("name", "display") or made


def address_of(record: Record) -> Address | None:
    """The address of an address record; its mask says nothing of a network."""
    return words.address(record.fields.text("address", "host", "ipaddress"))


def ports_of(record: Record) -> tuple[Port, ...]:
    """Ports and protocol of a service: one port up to NetBox 2.9, a list of them after."""
    fields = record.fields
    word = choice(fields.value("protocol"), _PROTOCOLS)
    protocol = words.protocol(word) or "tcp"
    written = " ".join(map(text, fields.list_of("ports") or fields.list_of("port")))
    ports: dict[int, None] = {}
    for first, last in _PORTS.findall(written):
        end = min(int(last or first), int(first) + _MOST_PORTS)
        ports.update(dict.fromkeys(range(int(first), end + 1)))
    good = [port for port in ports if 0 < port < 65536][:_MOST_PORTS]
    return tuple((port, protocol) for port in good)
