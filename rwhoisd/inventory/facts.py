"""What a source says of an address: facts, each with the file and line that says it.

A fact is small and made of what was asked for by name, never of a copied line or block: files
of operators are full of secrets (inventory-formats.md §0.2).
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import ClassVar, Final

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network
TCP: Final = "tcp"


class Kind(StrEnum):
    """What an address is for."""

    VIP = "vip"
    RIP = "rip"
    STORAGE_NODE = "storage-node"
    DBNODE = "dbnode"
    HOST = "host"
    NETWORK = "network"


class Forwarding(StrEnum):
    """How a director hands packets to a real server (ipvsadm(8))."""

    DSR = "DSR"  # gate, direct routing
    NAT = "NAT"  # masq, full NAT too
    TUNNEL = "tunnel"  # ipip
    PROXY = "proxy"  # two connections: HAProxy, nginx


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a fact stands: the file as it was named, and its line from 1 (0: the whole)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Span:
    """Addresses from ``first`` to ``last``, as a source writes a range."""

    first: Address
    last: Address

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


Where = Address | Prefix | Span | None  # None: known by name only


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What all kinds have. A fact without ``where`` has a ``name``.

    ``belongs_to`` of a real server: ``ADDR:PORT/PROTO`` of the VIP's service (``[v6]:PORT/PROTO``),
    ``fwmark:N``, or the name of its pool; of a VIP: VRRP instance, resource group or preferred
    node; of a node: cluster, group, volume or CRUSH parent.
    """

    kind: ClassVar[Kind]

    place: Place
    where: Where = None
    name: str | None = None
    port: int | None = None
    protocol: str | None = None  # tcp, udp, sctp; with a port only
    belongs_to: str | None = None
    disabled: bool = False

    @property
    def service(self) -> str | None:
        """``443/tcp``; None for a fact without a port."""
        return None if self.port is None else f"{self.port}/{self.protocol or TCP}"

    def as_row(self) -> dict[str, str | int | bool]:
        """The fact in the form of ``scan --json`` (inventory-formats.md §0.1)."""
        row: dict[str, str | int | bool] = {"kind": self.kind.value}
        if self.where is not None:
            row[_key(self.where)] = str(self.where)
        optional = {
            "name": self.name,
            "port": self.port,
            "protocol": None if self.port is None else self.protocol or TCP,
            "belongs_to": self.belongs_to,
        }
        row |= {key: value for key, value in optional.items() if value is not None}
        return row | ({"disabled": True} if self.disabled else {})


def _key(where: Address | Prefix | Span) -> str:
    if isinstance(where, IPv4Address | IPv6Address):
        return "address"
    return "prefix" if isinstance(where, IPv4Network | IPv6Network) else "range"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vip(Fact):
    """A virtual address, once for each of its services."""

    kind: ClassVar[Kind] = Kind.VIP

    forwarding: Forwarding | None = None
    pool: str | None = None  # of real servers behind it, where the format names pools; several
    # are separated by blanks
    on_loopback: bool = False  # the alias of a real server, not the director's address


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer(Fact):
    """A real server (RIP), once for each service that it belongs to."""

    kind: ClassVar[Kind] = Kind.RIP

    forwarding: Forwarding | None = None
    standby: bool = False  # backup or sorry server: used when no other is there
    pool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageNode(Fact):
    """A machine of a storage cluster."""

    kind: ClassVar[Kind] = Kind.STORAGE_NODE

    drives: int | None = None
    capacity: str | None = None  # as the source writes it, with its unit
    crush_place: str | None = None  # failure domain, outermost first: ``default/room1/rack3``


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseNode(Fact):
    """A machine of a database cluster."""

    kind: ClassVar[Kind] = Kind.DBNODE

    role: str | None = None  # master, slave, writer, reader, …
    peer: str | None = None  # the other master of a pair
    writable: bool | None = None  # None: the source does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Fact):
    """A machine, or an interface of one."""

    kind: ClassVar[Kind] = Kind.HOST

    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Fact):
    """A network: a prefix or a range."""

    kind: ClassVar[Kind] = Kind.NETWORK

    status: str | None = None  # as the source writes it
    role: str | None = None
    site: str | None = None
    tenant: str | None = None


def service_name(where: Address | str, port: int | None, protocol: str = TCP) -> str:
    """``belongs_to`` of a real server: the service of its VIP."""
    host = f"[{where}]" if isinstance(where, IPv6Address) else str(where)
    return f"{host}:{port or 0}/{protocol}"
