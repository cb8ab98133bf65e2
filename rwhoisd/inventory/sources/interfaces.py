"""An address on an interface, as the files of all network scripts have it."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from rwhoisd.inventory.facts import Address, Place, Prefix
from rwhoisd.inventory.source import Report
from rwhoisd.inventory.words import address, is_placeholder, network_of

_LOOPBACK: Final = re.compile(r"lo[0-9]*(?:[:.].*)?\Z")
_DUMMY: Final = re.compile(r"dummy[0-9]*(?:[:.].*)?\Z")


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address that a file gives to an interface of the machine it belongs to."""

    place: Place
    interface: str  # ``lo:0``, ``eth0``; "" when the file does not say
    address: Address
    length: int | None = None  # of the prefix; None: the file has no mask
    dummy: bool = False  # an interface without a wire, whatever its name
    started: bool = True  # when the machine starts

    @property
    def loopback(self) -> bool:
        """Whether the interface is the loopback itself, or an alias of it."""
        return _LOOPBACK.match(self.interface) is not None

    @property
    def on_loopback(self) -> bool:
        """Whether the machine keeps the address to itself: on the loopback or on a dummy."""
        return self.loopback or self.dummy or _DUMMY.match(self.interface) is not None

    @property
    def is_alias(self) -> bool:
        """Whether this is the alias of a VIP: one address alone, with no wire.

        The loopback without a mask is taken for one too: who writes an address there means it.
        """
        alone = self.length == self.address.max_prefixlen
        return self.on_loopback and (alone or (self.loopback and self.length is None))

    @property
    def network(self) -> Prefix | None:
        """The network it stands in; None: it stands alone, or has no mask."""
        if self.length is None or self.length == self.address.max_prefixlen:
            return None
        return ipaddress.ip_network((self.address, self.length), strict=False)


def interface_address(
    place: Place,
    interface: str,
    text: str,
    report: Report,
    *,
    mask: str = "",
    dummy: bool = False,
    started: bool = True,
) -> InterfaceAddress | None:
    """The address in ``text`` (``A``, ``A/LENGTH``, ``A/MASK``), or None with a warning.

    ``mask``: a mask or length given apart, for a ``text`` without one.
    """
    found = address(text)
    if found is None:
        unfilled = is_placeholder(text)
        what = "is still to be filled in" if unfilled else "is none"
        report.warn(place, f"the address of {interface or 'an interface'} {what}; skipped")
        return None
    own = text.partition("/")[2].strip() or mask.strip()
    network = network_of(str(found), own) if own else None
    if own and network is None:
        report.warn(place, f"the mask of {interface or 'an interface'} is none; it is left out")
    length = None if network is None else network.prefixlen
    return InterfaceAddress(place, interface, found, length, dummy, started)
