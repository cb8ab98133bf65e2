"""What the formats of Linux Virtual Server have in common: services and ways of forwarding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rwhoisd.inventory.facts import TCP, Address, Forwarding, service_name

# lb_kind of keepalived, options of ipvsadm, words of ldirectord and of the kernel's table.
FORWARDING: Final[Mapping[str, Forwarding]] = {
    "dr": Forwarding.DSR, "-g": Forwarding.DSR, "--gatewaying": Forwarding.DSR,
    "gate": Forwarding.DSR, "route": Forwarding.DSR,
    "nat": Forwarding.NAT, "-m": Forwarding.NAT, "--masquerading": Forwarding.NAT,
    "masq": Forwarding.NAT, "fnat": Forwarding.NAT, "fullnat": Forwarding.NAT,
    "snat": Forwarding.NAT, "-b": Forwarding.NAT, "--fullnat": Forwarding.NAT,
    "tun": Forwarding.TUNNEL, "-i": Forwarding.TUNNEL, "--ipip": Forwarding.TUNNEL,
    "ipip": Forwarding.TUNNEL, "tunnel": Forwarding.TUNNEL,
}  # fmt: skip


def forwarding(word: str) -> Forwarding | None:
    """The way of forwarding that a word stands for, in any case."""
    return FORWARDING.get(word.lower())


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service: an address with a port (None: all ports), or a firewall mark."""

    where: Address | None = None
    port: int | None = None
    protocol: str = TCP
    mark: int | None = None

    @property
    def key(self) -> str:
        """``belongs_to`` of its real servers."""
        if self.where is None:
            return f"fwmark:{self.mark}"
        return service_name(self.where, self.port, self.protocol)
