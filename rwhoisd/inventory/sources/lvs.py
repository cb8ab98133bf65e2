"""What the formats of Linux Virtual Server have in common: services, servers, forwarding."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import TCP, Address, Forwarding, service_name

# lb_kind of keepalived, options of ipvsadm, words of ldirectord and of the kernel's table.
FORWARDING: Final[Mapping[str, Forwarding]] = {
    "dr": Forwarding.DSR, "-g": Forwarding.DSR, "--gatewaying": Forwarding.DSR,
    "gate": Forwarding.DSR, "route": Forwarding.DSR,
    "nat": Forwarding.NAT, "-m": Forwarding.NAT, "--masquerading": Forwarding.NAT,
    "masq": Forwarding.NAT, "fnat": Forwarding.NAT, "fullnat": Forwarding.NAT,
    "snat": Forwarding.NAT, "-b": Forwarding.NAT, "--fullnat": Forwarding.NAT,
    "tun": Forwarding.TUNNEL, "-i": Forwarding.TUNNEL, "--ipip": Forwarding.TUNNEL,
    "ipip": Forwarding.TUNNEL, "tunnel": Forwarding.TUNNEL, "gre": Forwarding.TUNNEL,
}  # fmt: skip
_ROLE: Final = re.compile(r"(?:[vrdl]?ip|rs)\d*\Z", re.IGNORECASE)


def forwarding(word: str) -> Forwarding | None:
    """The way of forwarding that a word stands for, in any case."""
    return FORWARDING.get(word.lower())


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual or real server: an address, or a name when the file gives no address."""

    where: Address | None = None
    name: str | None = None

    @classmethod
    def of(cls, word: str) -> "Machine | None":
        """None: neither, or to be filled in; ``vip1`` and ``REAL_IP_1`` only look like names."""
        where = words.address(word)
        if where is not None:
            return cls(where)
        is_name = words.is_host_name(word) and word != word.upper() and not _ROLE.match(word)
        return cls(None, word) if is_name else None


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service: a machine with a port (None: all ports), or a firewall mark."""

    machine: Machine | None = None
    port: int | None = None
    protocol: str = TCP
    mark: int | None = None

    @property
    def key(self) -> str:
        """``belongs_to`` of its real servers."""
        if self.machine is None:
            return f"fwmark:{self.mark}"
        host = self.machine.where or self.machine.name or ""
        return service_name(host, self.port, self.protocol)
