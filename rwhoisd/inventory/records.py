"""Facts become records: one for each address or machine, whatever number of files tell of it.

Pure. A record is what all sources say together (inventory-formats.md §0.2): the union of the
services, and of kinds the more special one. It is written down as an object for each area that
holds it, by ``placing``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, summarize_address_range
from itertools import islice
from typing import Any, Final

from rwhoisd.formats.findings import Finding
from rwhoisd.inventory.facts import (
    Address,
    Block,
    DatabaseNode,
    Fact,
    Host,
    Kind,
    Prefix,
    RealServer,
    Span,
    StorageNode,
    Vip,
)
from rwhoisd.inventory.words import address

_PIECES: Final = 64  # prefixes that a range may be made of
# An address is known by the first of these kinds that has it; the others only lend their names.
_SPECIAL: Final = (Kind.VIP, Kind.RIP, Kind.STORAGE_NODE, Kind.DBNODE)
_NODES: Final = (Kind.STORAGE_NODE, Kind.DBNODE, Kind.HOST)


@dataclass(frozen=True, slots=True)
class Sourced:
    """A fact with the source that gave it."""

    fact: Fact
    source: str
    cluster: str
    seen: date


@dataclass
class Record:
    """What is known of one address, machine or network; ``facts`` in the order of the sources."""

    kind: Kind
    key: str  # address, prefix or name: stable from one reading to the next
    facts: list[Sourced] = field(default_factory=list)
    addresses: dict[Address, None] = field(default_factory=dict)
    prefix: Prefix | None = None
    names: dict[str, None] = field(default_factory=dict)
    lenders: dict[str, None] = field(default_factory=dict)  # sources of a name or an address

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of its sources, each once; the first one is the one that publishes it."""
        return tuple(dict.fromkeys((*(one.source for one in self.facts), *self.lenders)))

    @property
    def seen(self) -> date:
        """When a source last had it."""
        return max(one.seen for one in self.facts)

    @property
    def services(self) -> tuple[str, ...]:
        """Its services as ``443/tcp``, by port."""
        found = {(f.port or 0, f.protocol or ""): f.service for f in self._facts() if f.service}
        return tuple(text for _, text in sorted(found.items()) if text)

    @property
    def status(self) -> str:
        """``active`` when any of its facts is, else ``standby``, else ``disabled``."""
        live = [f for f in self._facts() if not f.disabled]
        if not live:
            return "disabled"
        spare = all(isinstance(f, RealServer) and f.standby for f in live)
        return "standby" if spare else "active"

    def values(self, name: str) -> tuple[str, ...]:
        """The different values of a field of its facts, as text, in order."""
        found = (getattr(fact, name, None) for fact in self._facts())
        return tuple(dict.fromkeys(str(value) for value in found if value not in (None, "")))

    def words(self, name: str) -> tuple[str, ...]:
        """The same of a field that holds several words."""
        return tuple(dict.fromkeys(w for value in self.values(name) for w in value.split()))

    def _facts(self) -> Iterator[Any]:
        return (one.fact for one in self.facts)


@dataclass
class Gathered:
    """All records, by kind and key, and what could not become one."""

    records: dict[tuple[Kind, str], Record] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Record]:
        """The records of a kind."""
        return [record for record in self.records.values() if record.kind is kind]

    def at(self, kind: Kind, text: str) -> Record | None:
        """The record of a kind whose key is ``text``."""
        return self.records.get((kind, text))


def gather(facts: Sequence[Sourced]) -> Gathered:
    """The records of facts of all sources."""
    gathered = Gathered()
    known = _known_names(facts)
    for one in facts:
        if one.fact.kind in (Kind.VIP, Kind.RIP):
            _take_address(gathered, one, known)
        elif isinstance(one.fact, Block):
            _take_block(gathered, one)
    for kind in _NODES:
        _take_nodes(gathered, kind, [one for one in facts if one.fact.kind is kind], known)
    _drop_plain_hosts(gathered)
    for kind in _NODES:
        _join_namesakes(gathered, kind)
    return gathered


@dataclass(frozen=True, slots=True)
class _Known:
    """The address of a name, and the source that tells it."""

    where: Address
    source: str


def _known_names(facts: Iterable[Sourced]) -> dict[str, _Known]:
    """Names whose address some source tells; a name with two different ones tells nothing."""
    found: dict[str, dict[Address, str]] = {}
    for one in facts:
        fact = one.fact
        if fact.kind in _NODES and isinstance(fact.where, IPv4Address | IPv6Address):
            aliases = fact.aliases if isinstance(fact, Host) else ()
            for name in (fact.name, *aliases):
                if name:
                    found.setdefault(name.lower(), {}).setdefault(fact.where, one.source)
    known = {}
    for name, some in found.items():
        if len(_v4(some)) <= 1:
            first = min(some, key=_order)
            known[name] = _Known(first, some[first])
    return known


def _lent(one: Sourced, known: dict[str, _Known]) -> _Known | None:
    """The address that another fact tells for one that has a name only."""
    return known.get((one.fact.name or "").lower()) if one.fact.where is None else None


def _v4(some: Iterable[Address]) -> list[Address]:
    return [one for one in some if one.version == 4]


def _order(one: Address) -> tuple[int, int]:
    return one.version, int(one)


def _take_address(gathered: Gathered, one: Sourced, known: dict[str, _Known]) -> None:
    fact, lent = one.fact, _lent(one, known)
    where = lent.where if lent else fact.where
    if not isinstance(where, IPv4Address | IPv6Address):
        _leave_out(gathered, fact)
        return
    record = _record(gathered, fact.kind, str(where))
    record.addresses[where] = None
    _add(record, one, lent)


def _leave_out(gathered: Gathered, fact: Fact) -> None:
    """Tell of a fact that names no one machine or address."""
    message = (
        f"{fact.kind} {fact.name} is known by its name only and is not published; add a source that"
        " has its address, such as a hosts file"
        if fact.where is None
        else f"{fact.kind} {fact.where} is no single address and is not published"
    )
    gathered.findings.append(Finding(fact.place.file, fact.place.line, message))


def _record(gathered: Gathered, kind: Kind, key: str) -> Record:
    return gathered.records.setdefault((kind, key), Record(kind, key))


def _add(record: Record, one: Sourced, lent: _Known | None = None) -> None:
    record.facts.append(one)
    if lent is not None:
        record.lenders[lent.source] = None
    record.names |= dict.fromkeys(_names(one.fact))


def _names(fact: Fact) -> list[str]:
    """The names of a machine; an address is none."""
    aliases = fact.aliases if isinstance(fact, Host) else ()
    return [name for name in (fact.name, *aliases) if name and address(name) is None]


def _take_block(gathered: Gathered, one: Sourced) -> None:
    for prefix in _prefixes(one.fact):
        record = _record(gathered, Kind.NETWORK, str(prefix))
        record.prefix = prefix
        _add(record, one)


def _prefixes(fact: Fact) -> list[Prefix]:
    where = fact.where
    if isinstance(where, IPv4Network | IPv6Network):
        return [where]
    if isinstance(where, Span):
        ends: Any = (where.first, where.last)  # of one family
        return list(islice(summarize_address_range(*ends), _PIECES))
    return []


def _take_nodes(
    gathered: Gathered, kind: Kind, facts: Sequence[Sourced], known: dict[str, _Known]
) -> None:
    """Machines: facts with the same name or the same address are of one."""
    groups: dict[str, Record] = {}  # by name in lower case and by address
    made: dict[int, Record] = {}
    for one in facts:
        lent = _lent(one, known)
        where = lent.where if lent else one.fact.where or address(one.fact.name or "")
        handles = [str(where)] if isinstance(where, IPv4Address | IPv6Address) else []
        handles += [name.lower() for name in _names(one.fact)[:1]]
        if not handles:
            _leave_out(gathered, one.fact)
            continue
        found = list(dict.fromkeys(id(groups[h]) for h in handles if h in groups))
        record = made[found[0]] if found else Record(kind, "")
        made[id(record)] = record
        for other in found[1:]:
            _merge(record, made.pop(other), groups)
        if isinstance(where, IPv4Address | IPv6Address):
            record.addresses[where] = None
        _add(record, one, lent)
        groups.update(dict.fromkeys(handles, record))
    for record in made.values():
        record.key = next(iter(record.names), None) or str(next(iter(record.addresses)))
        gathered.records[kind, record.key] = record


def _merge(into: Record, other: Record, groups: dict[str, Record]) -> None:
    into.facts += other.facts
    into.addresses |= other.addresses
    into.names |= other.names
    into.lenders |= other.lenders
    for handle, record in groups.items():
        if record is other:
            groups[handle] = into


def _drop_plain_hosts(gathered: Gathered) -> None:
    """A host whose address has a role is that; its name goes to the record of the role."""
    roles: dict[Address, list[Record]] = {}
    for record in gathered.records.values():
        if record.kind in _SPECIAL:
            for one in record.addresses:
                roles.setdefault(one, []).append(record)
    for host in gathered.of(Kind.HOST):
        taken = [one for one in host.addresses if one in roles]
        for one in taken:
            for record in roles[one]:
                record.names |= host.names
                record.lenders |= dict.fromkeys(host.sources)
            del host.addresses[one]
        if taken and not host.addresses:
            del gathered.records[Kind.HOST, host.key]


def _join_namesakes(gathered: Gathered, kind: Kind) -> None:
    """Machines to which a host lent the same name are one: it is their primary key."""
    first: dict[str, Record] = {}
    for record in gathered.of(kind):
        name = next(iter(record.names), record.key).lower()
        into = first.setdefault(name, record)
        if into is not record:
            _merge(into, record, {})
            del gathered.records[kind, record.key]


class Links:
    """Which real servers stand behind which virtual addresses."""

    def __init__(self, gathered: Gathered) -> None:
        self.servers: dict[str, dict[str, Record]] = {}  # key of a VIP → real servers by key
        self.vips: dict[str, dict[str, Record]] = {}  # key of a real server → VIPs by key
        self.enabled: set[tuple[str, str]] = set()  # keys of VIP and real server
        pools: dict[tuple[str, str], list[Record]] = {}
        for vip in gathered.of(Kind.VIP):
            for one in vip.facts:
                for word in _pool_words(one.fact):
                    pools.setdefault((one.source, word), []).append(vip)
        for server in gathered.of(Kind.RIP):
            for one in server.facts:
                self._join(gathered.at(Kind.VIP, vip_of(one.fact) or ""), server, one.fact)
                for word in (*_pool_words(one.fact), one.fact.belongs_to or ""):
                    for vip in pools.get((one.source, word), ()):
                        self._join(vip, server, one.fact)

    def _join(self, vip: Record | None, server: Record, fact: Fact) -> None:
        if vip is not None:
            if not fact.disabled:
                self.enabled.add((vip.key, server.key))
            self.servers.setdefault(vip.key, {})[server.key] = server
            self.vips.setdefault(server.key, {})[vip.key] = vip
            # Where no source has both, the link stays on both while the source of one fails.
            ours, theirs = ({one.source: None for one in r.facts} for r in (vip, server))
            if ours.keys().isdisjoint(theirs):
                vip.lenders |= theirs
                server.lenders |= ours


def _pool_words(fact: Fact) -> list[str]:
    pool = fact.pool if isinstance(fact, Vip | RealServer) else None
    return (pool or "").split()


def vip_of(fact: Fact) -> str | None:
    """The virtual address that ``belongs_to`` of a real server names; None: it names none."""
    if not isinstance(fact, RealServer) or not fact.belongs_to:
        return None
    service, slash, _ = fact.belongs_to.rpartition("/")
    host, colon, _ = service.rpartition(":")
    found = address(host) if slash and colon else None
    return None if found is None else str(found)


def drives_of(record: Record) -> int | None:
    """Number of drives of a storage node, the largest that a source tells."""
    found = [
        one.fact.drives
        for one in record.facts
        if isinstance(one.fact, StorageNode) and one.fact.drives is not None
    ]
    return max(found, default=None)


def is_writable(record: Record) -> bool | None:
    """Whether a database node takes writes; None when no source tells."""
    told = [
        one.fact.writable
        for one in record.facts
        if isinstance(one.fact, DatabaseNode) and one.fact.writable is not None
    ]
    return any(told) if told else None
