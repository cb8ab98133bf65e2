"""Records become objects of authority areas: which area holds what, and what it says of it.

A record goes to every area whose rule takes it: an area that is answered to few may hold all
that a public one holds, and more. What is private is shown to everybody only by a rule that
names its network, and never by the way: an object of a public area has no link to an object that
the public is not answered about, and no private address in any line.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName, ObjectId
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.findings import Finding
from rwhoisd.inventory.facts import Address, Kind, Prefix
from rwhoisd.inventory.records import Gathered, Links, Record, drives_of, is_writable
from rwhoisd.inventory.settings import AreaTable, InventoryTable, OwnerTable
from rwhoisd.inventory.words import address

CLASSES: Final[Mapping[Kind, str]] = {
    Kind.VIP: "vip",
    Kind.RIP: "real-server",
    Kind.STORAGE_NODE: "storage-node",
    Kind.DBNODE: "database-node",
    Kind.HOST: "host",
    Kind.NETWORK: "network",
}
_ID: Final[Mapping[Kind, str]] = {
    Kind.VIP: "VIP",
    Kind.RIP: "RIP",
    Kind.STORAGE_NODE: "SN",
    Kind.DBNODE: "DB",
    Kind.HOST: "H",
    Kind.NETWORK: "NET",
}
# RFC 1918, 6598, 4193. Documentation networks count as public: examples use them so.
PRIVATE: Final[tuple[Prefix, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_V4_IN_TEXT: Final = re.compile(r"(?<![0-9])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])")
_V6_IN_TEXT: Final = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_CONTACTS: Final = ("Tech-Contact", "Admin-Contact", "Abuse-Contact", "NOC-Contact")
_OWNER_LINES: Final = ("Organization", "Org-Name", *_CONTACTS)


def is_private(where: Address | Prefix) -> bool:
    """Whether an address or network lies in private space, or encloses some of it."""
    network = ipaddress.ip_network(where)
    if isinstance(network, ipaddress.IPv6Network) and _within(network, _MAPPED):
        start = int(network.network_address) & 0xFFFFFFFF
        network = ipaddress.ip_network((start, network.prefixlen - _MAPPED.prefixlen))
    return any(_within(network, p) or _within(p, network) for p in PRIVATE)


def _within(inner: Prefix, outer: Prefix) -> bool:
    """Whether ``outer`` is ``inner`` or encloses it."""
    if inner.version != outer.version or inner.prefixlen < outer.prefixlen:
        return False
    shift = outer.max_prefixlen - outer.prefixlen
    return int(inner.network_address) >> shift == int(outer.network_address) >> shift


@dataclass(frozen=True)
class Area:
    """An area of the inventory with its rule, ready to be asked."""

    name: AreaName
    audience: tuple[Prefix, ...]
    networks: tuple[Prefix, ...]
    kinds: frozenset[Kind]
    table: AreaTable

    @classmethod
    def of(cls, table: AreaTable) -> "Area":
        """The area of a table."""
        return cls(
            AreaName.from_text(table.name),
            tuple(ipaddress.ip_network(text) for text in table.answer_to),
            tuple(ipaddress.ip_network(text) for text in table.networks),
            frozenset(table.kinds),
            table,
        )

    @property
    def is_public(self) -> bool:
        """Whether it is answered to everybody."""
        return not self.audience

    def takes(self, where: Address | Prefix) -> bool:
        """Whether its rule is for this address or network."""
        if not self.networks:
            return not (self.is_public and is_private(where))
        network = ipaddress.ip_network(where)
        return any(_within(network, outer) for outer in self.networks)

    def may_name(self, other: "Area") -> bool:
        """Whether all who are answered here are answered about ``other`` as well."""
        if other.is_public or other == self:
            return True
        return bool(self.audience) and all(
            any(_within(mine, theirs) for theirs in other.audience) for mine in self.audience
        )

    def definition(self, position: int = 0) -> AuthorityArea:
        """The authority area with the classes that it needs."""
        table = self.table
        kinds = [kind for kind in Kind if kind in self.kinds]
        soa = Soa(
            serial_number="",
            refresh_interval=table.refresh_interval,
            increment_interval=table.increment_interval,
            retry_interval=table.retry_interval,
            time_to_live=table.time_to_live,
            primary_server=table.primary_server,
            hostmaster=table.hostmaster,
        )
        return AuthorityArea(
            name=self.name,
            soa=soa,
            schema=Schema(tuple(shipped(CLASSES[kind]) for kind in kinds)),
            position=position,
            audience=table.answer_to,
        )


@dataclass(frozen=True)
class Wanted:
    """An object that an area is to have. ``sources``: those who tell of it, the first owns it."""

    object: Object
    sources: tuple[str, ...]
    seen: date


@dataclass
class Placed:
    """What every area is to have, and what was seen on the way."""

    areas: tuple[Area, ...]
    wanted: dict[str, list[Wanted]] = field(default_factory=dict)  # by area name
    findings: list[Finding] = field(default_factory=list)


Owner = tuple[Line, ...]
OwnerOf = Callable[[Address | Prefix], Owner]


class Owners:
    """Whose an address is: the rule with the longest prefix, else what ``fallback`` tells."""

    def __init__(self, tables: Sequence[OwnerTable], fallback: OwnerOf = lambda _: ()) -> None:
        self._rules: dict[Prefix, OwnerTable] = {}
        for table in tables:
            for text in table.networks:
                self._rules[ipaddress.ip_network(text)] = table
        self._lengths = sorted({(n.version, n.prefixlen) for n in self._rules}, reverse=True)
        self._fallback = fallback

    def of(self, where: Address | Prefix) -> Owner:
        """Organization and contacts as lines; what the rule leaves out comes from the fallback."""
        told = _owner_lines(self._rule(where))
        if is_told(told):
            return told
        named = {name for name, _ in told}
        rest = [line for line in self._fallback(where) if line[0] not in named]
        both = (*told, *rest)
        return tuple(line for name in _OWNER_LINES for line in both if line[0] == name)

    def of_names(self) -> Owner:
        """Of what has no address: the rule for all addresses, if there is one."""
        whole = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
        found = (self._rules[network] for network in whole if network in self._rules)
        return _owner_lines(next(found, None))

    def _rule(self, where: Address | Prefix) -> OwnerTable | None:
        network = ipaddress.ip_network(where)
        for version, length in self._lengths:
            if version == network.version and length <= network.prefixlen:
                found = self._rules.get(network.supernet(new_prefix=length))
                if found is not None:
                    return found
        return None


def is_told(owner: Owner) -> bool:
    """Whether all is there that a record needs: whose it is, and whom to tell."""
    return {"Organization", "Tech-Contact", "Abuse-Contact"} <= {name for name, _ in owner}


def _owner_lines(rule: OwnerTable | None) -> Owner:
    if rule is None:
        return ()
    values = {
        "Organization": (rule.organization,),
        "Org-Name": (rule.org_name,),
        "Tech-Contact": rule.tech_contact,
        "Admin-Contact": rule.admin_contact,
        "Abuse-Contact": rule.abuse_contact,
        "NOC-Contact": rule.noc_contact,
    }
    return tuple((name, value) for name, some in values.items() for value in some if value)


def place(gathered: Gathered, table: InventoryTable, owners: Owners) -> Placed:
    """The objects of every area, in the order of their addresses and names."""
    areas = tuple(Area.of(one) for one in table.area)
    return _Placing(gathered, areas, owners).run()


class _Placing:
    """One go through all records."""

    def __init__(self, gathered: Gathered, areas: tuple[Area, ...], owners: Owners) -> None:
        self._gathered = gathered
        self._areas = areas
        self._owners = owners
        self._links = Links(gathered)
        self._placed = Placed(areas, {area.name.text: [] for area in areas})
        self._ids: dict[tuple[str, str], str] = {}  # area and local part → key of the record

    def run(self) -> Placed:
        self._placed.findings += self._gathered.findings
        records = sorted(self._gathered.records.values(), key=_sort_key)
        for record in records:
            self._place(record)
        return self._placed

    def _place(self, record: Record) -> None:
        holding = [area for area in self._areas if _holds(area, record)]
        for area in holding:
            obj = Object(
                area.name.text,
                CLASSES[record.kind],
                tuple(_tidy(self._lines(record, area))),
                source=record.sources[0],
            )
            wanted = Wanted(obj, record.sources, record.seen)
            self._placed.wanted[area.name.text].append(wanted)
            self._warn_public(record, area)
        if not holding and any(record.kind in area.kinds for area in self._areas):
            self._tell(record, "goes to no area; add its network to an [[area]]")

    def _tell(self, record: Record, message: str) -> None:
        place_ = record.facts[0].fact.place
        what = f"{record.kind} {record.key} {message}"
        self._placed.findings.append(Finding(place_.file, place_.line, what))

    def _warn_public(self, record: Record, area: Area) -> None:
        shown = [record.prefix] if record.prefix is not None else _shown(area, record)
        if area.is_public and any(is_private(one) for one in shown):
            self._tell(
                record,
                f"is private and becomes public in area {area.name}; take its network out of the"
                " area's networks, or give the area answer-to",
            )

    # -- lines

    def _lines(self, record: Record, area: Area) -> Iterator[Line]:
        shown = _shown(area, record)
        yield "ID", self._id(record, area)
        yield "Auth-Area", area.name.text
        names = [name for name in record.names if not (area.is_public and tells_private(name))]
        if record.kind is Kind.NETWORK:
            yield from _network_lines(record, names)
        else:
            yield from _machine_lines(record, shown, names or [_label(record, area)])
        for name, value in self._role_lines(record, area):
            if not (area.is_public and tells_private(value)):
                yield name, value
        yield "Status", record.status
        where = record.prefix or next(iter(shown), None) or next(iter(record.addresses), None)
        yield from self._owners.of(where) if where is not None else self._owners.of_names()
        for source in record.sources:
            yield "Source", source

    def _role_lines(self, record: Record, area: Area) -> Iterator[Line]:
        match record.kind:
            case Kind.VIP:
                yield from _balanced(record)
                servers = self._links.servers.get(record.key, {}).values()
                yield from self._linked("Served-By", servers, area)
                yield from _each("Cluster", record.values("belongs_to"))
            case Kind.RIP:
                yield from _balanced(record)
                vips = self._links.vips.get(record.key, {}).values()
                yield from self._linked("Serves", vips, area)
                yield from _each("Cluster", record.values("belongs_to"))
            case Kind.STORAGE_NODE:
                yield from _storage(record)
            case Kind.DBNODE:
                yield from _database(record)

    def _linked(self, name: str, others: Iterable[Record], area: Area) -> Iterator[Line]:
        for other in sorted(others, key=_sort_key):
            holder = self._nearest(other, area)
            if holder is not None:
                yield name, self._id(other, holder)

    def _nearest(self, record: Record, area: Area) -> Area | None:
        """The area whose object of the record may be named: this one, else one all here see."""
        holding = [one for one in self._areas if _holds(one, record) and area.may_name(one)]
        return area if area in holding else next(iter(holding), None)

    def _id(self, record: Record, area: Area) -> str:
        """An ID that is the same each time; another record with the same spelling gets a mark."""
        local = start = f"{_ID[record.kind]}-{_slug(_label(record, area))}"
        number = 1
        while self._ids.setdefault((area.name.key, local.lower()), record.key) != record.key:
            number += 1
            local = f"{start}-{number}"
        return ObjectId(local, area.name).to_text()


def _holds(area: Area, record: Record) -> bool:
    if record.kind not in area.kinds:
        return False
    if record.prefix is not None:
        return area.takes(record.prefix)
    if not record.addresses:  # known by name: nobody can say that it is public
        return not area.is_public and not area.networks
    return any(area.takes(one) for one in record.addresses)


def _shown(area: Area, record: Record) -> list[Address]:
    return sorted((a for a in record.addresses if area.takes(a)), key=lambda a: (a.version, int(a)))


def _label(record: Record, area: Area) -> str:
    """What a record is called in an area: its key, unless that is an address not shown there."""
    shown = _shown(area, record)
    key = address(record.key)
    if key is not None and shown and key not in shown:
        return str(shown[0])
    if area.is_public and key is None and tells_private(record.key):
        return str(shown[0])
    return record.key


def _sort_key(record: Record) -> tuple[int, int, int, str]:
    where = record.prefix.network_address if record.prefix else next(iter(record.addresses), None)
    kind = list(Kind).index(record.kind)
    return kind, where.version if where else 9, int(where) if where else 0, record.key


def _slug(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "-", key)


def _tidy(lines: Iterable[Line]) -> Iterator[Line]:
    """Lines whose values are one line of text, whatever the source holds; empty ones go."""
    for name, value in lines:
        plain = "".join(char if char.isprintable() else " " for char in value)
        if text := " ".join(plain.split()):
            yield name, text


def _each(name: str, values: Sequence[str]) -> Iterator[Line]:
    return ((name, value) for value in values)


def _machine_lines(
    record: Record, shown: Sequence[Address], names: Sequence[str]
) -> Iterator[Line]:
    if record.kind in (Kind.STORAGE_NODE, Kind.DBNODE, Kind.HOST):
        yield from _each("Host-Name", names[:1])
        yield from _each("IP-Address", [str(one) for one in shown])
        if names[1:]:
            yield "Comment", f"also called {', '.join(names[1:])}"
        return
    yield from _each("IP-Address", [str(one) for one in shown])
    yield from _each("Host-Name", [name for name in names if name in record.names])


def _network_lines(record: Record, names: Sequence[str]) -> Iterator[Line]:
    assert record.prefix is not None
    first, last = record.prefix[0], record.prefix[-1]
    yield "Network-Name", next(iter(names), None) or f"NET-{_slug(record.key)}"
    yield "IP-Network", str(record.prefix)
    yield "IP-Network-Block", f"{first} - {last}"
    yield "Network-Type", "infrastructure"
    told = [*record.values("role"), *record.values("site"), *record.values("tenant")]
    if told:
        yield "Comment", ", ".join(told)


def _balanced(record: Record) -> Iterator[Line]:
    yield from _each("Service", record.services)
    yield from _each("Forwarding", record.values("forwarding"))
    yield from _each("Pool", record.words("pool"))


def _storage(record: Record) -> Iterator[Line]:
    yield from _each("Service", record.services)
    yield from _each("Cluster", record.values("belongs_to"))
    drives = drives_of(record)
    if drives is not None:
        yield "Drives", str(drives)
    yield from _each("Capacity", record.values("capacity")[:1])
    yield from _each("Crush-Place", record.values("crush_place")[:1])


def _database(record: Record) -> Iterator[Line]:
    yield from _each("Service", record.services)
    yield from _each("Cluster", record.values("belongs_to"))
    yield from _each("Role", record.values("role"))
    yield from _each("Peer", record.values("peer"))
    writable = is_writable(record)
    if writable is not None:
        yield "Writable", "yes" if writable else "no"


def tells_private(text: str) -> bool:
    """Whether a value holds a private address somewhere."""
    words = _V4_IN_TEXT.findall(text)
    for word in _V6_IN_TEXT.findall(text):
        words += [word, word.rpartition(":")[0], word.rstrip(".")]  # with a port, or a full stop
    found = [one for word in words if (one := address(word)) is not None]
    return any(is_private(one) for one in found)
