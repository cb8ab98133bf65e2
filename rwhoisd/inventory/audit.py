"""The checks that the platform's own documentation asks for, each a finding of its own.

One row of ``CHECKS`` for each: its name, what it is about, and a function of everything known.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import combinations
from typing import Final

from rwhoisd.directory.names import AddressRange
from rwhoisd.formats.findings import Finding
from rwhoisd.inventory.around import around, span_of
from rwhoisd.inventory.facts import (
    Address,
    Forwarding,
    Kind,
    Prefix,
    StorageNode,
    Vip,
)
from rwhoisd.inventory.machines import Machine, arp_faults, ask_machines, by_address, read_machines
from rwhoisd.inventory.placing import is_private
from rwhoisd.inventory.publish import Publisher
from rwhoisd.inventory.records import Links, Record, is_writable
from rwhoisd.inventory.settings import Inventory
from rwhoisd.inventory.survey import Known, Options, SourceState, states
from rwhoisd.store import Store


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is not as it should be. ``subject``: address, machine, network or source."""

    check: str
    subject: str
    message: str
    place: str = ""  # file and line that told of it


@dataclass(frozen=True, slots=True)
class Enclosing:
    """A network object of the directory that holds an address."""

    object_id: str
    span: AddressRange


@dataclass
class Evidence:
    """Everything that the checks look at."""

    inventory: Inventory
    known: Known
    links: Links
    machines: Mapping[Address, Machine] | None  # None: nobody said where to look
    remembered: Mapping[str, SourceState]
    pending: Mapping[str, int]  # source → objects that an apply would change
    around: dict[Address | Prefix, list[Enclosing]] = field(default_factory=dict)
    organizations: dict[Address, set[str]] = field(default_factory=dict)

    def of(self, *kinds: Kind) -> Iterator[Record]:
        """The records of these kinds."""
        return (r for r in self.known.gathered.records.values() if r.kind in kinds)


def _place(record: Record) -> str:
    return str(record.facts[0].fact.place)


def _no_server(found: Evidence) -> Iterator[AuditFinding]:
    """Only VIPs of sources that tell real servers at all: others know the address alone."""
    tells = {one.source for record in found.of(Kind.RIP) for one in record.facts}
    for vip in found.of(Kind.VIP):
        if not vip.services or not tells.intersection(vip.sources):
            continue
        behind = found.links.servers.get(vip.key, {}).values()
        if not any((vip.key, server.key) in found.links.enabled for server in behind):
            what = (
                "none of its real servers is enabled" if behind else "no real server is behind it"
            )
            yield AuditFinding("vip-without-server", vip.key, what, _place(vip))


def _dsr_pairs(found: Evidence) -> Iterator[tuple[Record, Record]]:
    """VIPs and the real servers that answer for them directly."""
    for vip in found.of(Kind.VIP):
        for server in found.links.servers.get(vip.key, {}).values():
            forwards = {*vip.values("forwarding"), *server.values("forwarding")}
            if Forwarding.DSR.value in forwards:
                yield vip, server


def _dsr_loopback(found: Evidence) -> Iterator[AuditFinding]:
    if found.machines is None:
        return
    for vip, server in _dsr_pairs(found):
        machine = _machine_of(found, server)
        if machine is None:
            message = "its files were not collected; nobody knows whether it answers for its VIPs"
            yield AuditFinding("machine-not-seen", server.key, message, _place(server))
        elif not machine.loopback.intersection(vip.addresses):
            message = f"real server of {vip.key} by DSR, but its loopback lacks that address"
            yield AuditFinding("dsr-loopback", server.key, message, machine.place)


def _dsr_arp(found: Evidence) -> Iterator[AuditFinding]:
    for vip, server in _dsr_pairs(found):
        machine = _machine_of(found, server)
        if machine is not None and any(one.version == 4 for one in vip.addresses):
            for fault in arp_faults(machine):
                yield AuditFinding("dsr-arp", server.key, fault, machine.place)


def _machine_of(found: Evidence, server: Record) -> Machine | None:
    machines = found.machines or {}
    return next((machines[one] for one in server.addresses if one in machines), None)


def _outside(found: Evidence) -> Iterator[AuditFinding]:
    declared = [ip_network(text) for text in found.inventory.table.audit.networks]
    blocks = [r.prefix for r in found.of(Kind.NETWORK) if r.prefix is not None]
    table = _Prefixes([*declared, *blocks])
    for record in found.of(Kind.VIP, Kind.RIP):
        for where in record.addresses:
            if not table.holds(where) and not found.around.get(where):
                message = f"{record.kind} lies in no network of the directory or the inventory"
                yield AuditFinding("outside-networks", str(where), message, _place(record))


class _Prefixes:
    """Networks, asked whether one of them holds an address."""

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        self._known = set(prefixes)
        self._lengths = sorted({(p.version, p.prefixlen) for p in self._known})

    def holds(self, where: Address) -> bool:
        whole = ip_network(where)
        return any(
            whole.supernet(new_prefix=length) in self._known
            for version, length in self._lengths
            if version == where.version
        )


def _two_owners(found: Evidence) -> Iterator[AuditFinding]:
    for where, organizations in found.organizations.items():
        if len(organizations) > 1:
            message = f"belongs to {' and to '.join(sorted(organizations))}"
            yield AuditFinding("two-owners", str(where), message)
    for one, other in combinations(found.inventory.table.owner, 2):
        for network in set(one.networks) & set(other.networks):
            message = "stands in two [[owner]] rules; keep one"
            yield AuditFinding("two-owners", network, message, str(found.inventory.path))


def _two_clusters(found: Evidence) -> Iterator[AuditFinding]:
    for vip in found.of(Kind.VIP):
        clusters = {
            one.cluster
            for one in vip.facts
            if isinstance(one.fact, Vip) and not one.fact.on_loopback
        }
        if len(clusters) > 1:
            message = f"is claimed by {' and by '.join(sorted(clusters))}"
            yield AuditFinding("vip-two-clusters", vip.key, message, _place(vip))


def _two_writers(found: Evidence) -> Iterator[AuditFinding]:
    """Two masters of each other, both writable: a write on each is a conflict in waiting."""
    nodes = {name.lower(): r for r in found.of(Kind.DBNODE) for name in (r.key, *r.names)}
    told: set[frozenset[str]] = set()
    for node in found.of(Kind.DBNODE):
        for peer in node.values("peer"):
            other = nodes.get(peer.lower())
            if other is None or other is node or frozenset((node.key, other.key)) in told:
                continue
            told.add(frozenset((node.key, other.key)))
            if is_writable(node) and is_writable(other):
                message = f"and its peer {other.key} both take writes; make one read_only"
                yield AuditFinding("two-writers", node.key, message, _place(node))


def _one_failure_domain(found: Evidence) -> Iterator[AuditFinding]:
    clusters: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for node in found.of(Kind.STORAGE_NODE):
        for one in node.facts:
            if isinstance(one.fact, StorageNode) and one.fact.crush_place:
                root, *inner = one.fact.crush_place.split("/")
                if inner:
                    clusters[one.cluster, root][node.key] = "/".join(inner)
    for (cluster, root), places in clusters.items():
        if len(places) > 1 and len(set(places.values())) == 1:
            place = next(iter(places.values()))
            message = f"all {len(places)} storage nodes under {root} stand in {place}"
            yield AuditFinding("one-failure-domain", cluster, message)


def _no_abuse_contact(found: Evidence) -> Iterator[AuditFinding]:
    for area, objects in found.known.placed.wanted.items():
        for wanted in objects:
            if wanted.object.get("Abuse-Contact") is None:
                name = wanted.object.id or ""
                message = f"no abuse contact in area {area}; add an [[owner]] for its network"
                yield AuditFinding("no-abuse-contact", name, message)


def _unreported(found: Evidence) -> Iterator[AuditFinding]:
    """Blocks that ARIN wants to see (NRPM 6.5.5), in use but without a record."""
    table = found.inventory.table.audit
    most = {4: table.reporting_v4, 6: table.reporting_v6}
    for record in found.of(Kind.NETWORK):
        prefix = record.prefix
        if prefix is None or prefix.prefixlen > most[prefix.version] or is_private(prefix):
            continue
        ends = (int(prefix[0]), int(prefix[-1]))
        if not any((n.span.first, n.span.last) == ends for n in found.around.get(prefix, [])):
            message = f"is in use, /{most[prefix.version]} or larger, and has no network record"
            yield AuditFinding("unreported-network", str(prefix), message, _place(record))


def _behind_source(found: Evidence) -> Iterator[AuditFinding]:
    for state in found.known.sources:
        last = found.remembered.get(state.name)
        pending = found.pending.get(state.name, 0)
        if state.held:
            yield AuditFinding("source-failed", state.name, state.held)
        if last is None and state.facts:
            yield AuditFinding("record-behind-source", state.name, "was never applied; apply it")
        elif last is not None and pending and state.modified != last.modified:
            when = (
                last.modified.isoformat(timespec="minutes") if last.modified else "its last state"
            )
            message = f"{pending} records are as of {when}, and the source has changed; apply it"
            yield AuditFinding("record-behind-source", state.name, message)


Check = Callable[[Evidence], Iterator[AuditFinding]]
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("a virtual address with no enabled real server", _no_server),
    ("a real server of a DSR VIP without the VIP on its loopback", _dsr_loopback),
    ("a real server of a DSR VIP whose ARP settings let it answer for the VIP", _dsr_arp),
    ("a virtual address or real server outside every known network", _outside),
    ("two owners of one address", _two_owners),
    ("a virtual address claimed by two clusters", _two_clusters),
    ("a master-master database pair in which both take writes", _two_writers),
    ("storage nodes of one cluster in one failure domain", _one_failure_domain),
    ("an allocation with no abuse contact", _no_abuse_contact),
    ("a network of the size that ARIN wants reported, without a record", _unreported),
    ("records that are older than their source", _behind_source),
)


async def audit(
    store: Store, inventory: Inventory, options: Options | None = None
) -> tuple[list[AuditFinding], list[Finding]]:
    """What is not as it should be, check by check, and what was seen while reading.

    Raises: FormatError, when the folder of machines cannot be read.
    """
    options = options or Options()
    known, outcome = await Publisher(store, inventory, options).prepare()
    pending: dict[str, int] = defaultdict(int)
    for plan in outcome.areas:
        for step in plan.steps:
            pending[step.owner] += 1
    found = Evidence(
        inventory=inventory,
        known=known,
        links=Links(known.gathered),
        machines=None,
        remembered={state.name: state for state in await states(store)},
        pending=pending,
    )
    findings = list(known.findings)
    found.machines, seen = await _machines(found)
    findings += seen
    await _ask_store(store, found)
    told = [finding for _, check in CHECKS for finding in check(found)]
    return list(dict.fromkeys(told)), findings


async def _machines(found: Evidence) -> tuple[Mapping[Address, Machine] | None, list[Finding]]:
    table = found.inventory.table.audit
    machines: list[Machine] = []
    findings: list[Finding] = []
    if table.hosts:
        machines, findings = read_machines(found.inventory.place(table.hosts))
    if table.ssh:
        there = by_address(machines)
        wanted = {one for _, server in _dsr_pairs(found) for one in server.addresses}
        missing = sorted(wanted - there.keys(), key=lambda a: (a.version, int(a)))
        asked, more = await ask_machines(table.ssh, missing)
        machines += asked
        findings += more
    return (by_address(machines) if table.hosts or table.ssh else None), findings


async def _ask_store(store: Store, found: Evidence) -> None:
    """The network objects around each address, and the organizations that have it."""
    asked = [
        where
        for record in found.of(*Kind)
        for where in ([record.prefix] if record.prefix is not None else record.addresses)
    ]
    ours = {  # what is wanted now counts, not what was
        stored.row
        for table in found.inventory.table.source
        for stored in await store.find_objects(source=table.name)
    }
    for where, entries in (await around(store, asked)).items():
        found.around[where] = [
            Enclosing(entry.object_id or "", entry.span)
            for entry in entries
            if entry.class_name.lower() == "network"
        ]
        is_one = isinstance(where, IPv4Address | IPv6Address)
        for entry in entries:
            if entry.row not in ours and entry.span == span_of(where) and is_one:
                await _note_owner(store, found, where, entry.row)
    for objects in found.known.placed.wanted.values():
        for wanted in objects:
            for text in wanted.object.values("IP-Address"):
                _note(found, text, wanted.object.get("Organization"))


async def _note_owner(store: Store, found: Evidence, where: Address | Prefix, row: int) -> None:
    for stored in await store.find_objects(row=row):
        _note(found, str(where), stored.object.get("Organization"))


def _note(found: Evidence, text: str, organization: str | None) -> None:
    where = ip_network(text).network_address
    if organization:
        found.organizations.setdefault(where, set()).add(organization)
