"""Who may come in and who may use a directive: allow and deny rules by address or prefix.

Pure: rules and an address in, yes or no out. The most specific prefix that holds the address
decides, whatever order the rules were written in; of an address that is listed on both sides
the deny counts. An address that no rule names is let in, unless there is an allow list: then
that list is meant to be complete.
"""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.directory.names import ADDRESS_BITS, Network

# An address as a number: family 4 or 6, and its value. A bare tuple, because one is made for
# every connection.
Address = tuple[int, int]

EVERYBODY: Final = "all"
_MAPPED: Final = 0xFFFF  # ::ffff:0:0/96 above its last 32 bits


def address_from_text(text: str) -> Address | None:
    """The address a socket names its peer by; None when ``text`` is none (a local socket).

    IPv4 clients of a dual-stack socket count as IPv4, a zone index (``fe80::1%eth0``) is cut.
    """
    if ":" not in text:
        return _parsed(socket.AF_INET, 4, text)
    found = _parsed(socket.AF_INET6, 6, text.partition("%")[0])
    if found is not None and found[1] >> 32 == _MAPPED:
        return 4, found[1] & 0xFFFFFFFF
    return found


def _parsed(family: int, version: int, text: str) -> Address | None:
    try:
        return version, int.from_bytes(socket.inet_pton(family, text))
    except (OSError, ValueError):
        return None


def prefixes_from_text(text: str) -> tuple[Network, ...]:
    """The prefixes one rule names: an address, a prefix, or ``all`` for both families.

    Raises: ValueError with the mend, when it is neither or has bits set behind the prefix.
    """
    if text.strip().lower() == EVERYBODY:
        return Network(4, 0, 0), Network(6, 0, 0)
    try:
        loose = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no address, prefix or {EVERYBODY!r}") from None
    address = ipaddress.ip_address(text.strip().partition("/")[0])
    if address != loose.network_address:
        raise ValueError(f"{text!r} has bits set behind the prefix; write {str(loose)!r}")
    return (_counted(Network(loose.version, int(loose.network_address), loose.prefixlen)),)


def _counted(network: Network) -> Network:
    """The block as clients are told apart: an IPv4-mapped one is IPv4."""
    if network.family == 6 and network.length >= 96 and network.start >> 32 == _MAPPED:
        return Network(4, network.start & 0xFFFFFFFF, network.length - 96)
    return network


def audience_from_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """The prefixes an area or part of it is answered to, as an ``AuthorityArea`` has them.

    Raises: ValueError with the mend, for what is no prefix, for none at all and for everybody,
    who needs no list.
    """
    found: dict[str, None] = {}
    for text in texts:
        networks = prefixes_from_text(text)
        if any(network.length == 0 for network in networks):
            raise ValueError(f"{text!r} is everybody; to answer everybody leave the list out")
        found.update((str(network), None) for network in networks)
    if not found:
        raise ValueError("no network is named; name one, or to answer everybody leave the list out")
    return tuple(found)


@dataclass(frozen=True)
class AccessRules:
    """Allow and deny lists of one listener, one directive or one authority area."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    # family → (bits to drop, prefix → allowed), longest prefixes first
    _table: dict[int, list[tuple[int, dict[int, bool]]]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_table", {f: self._rows(f, b) for f, b in ADDRESS_BITS.items()})

    @classmethod
    def from_texts(cls, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> "AccessRules":
        """Rules as they are written. Raises: ValueError, see ``prefixes_from_text``."""
        return cls(
            tuple(n for text in allow for n in prefixes_from_text(text)),
            tuple(n for text in deny for n in prefixes_from_text(text)),
        )

    def __bool__(self) -> bool:
        """Whether there is any rule at all."""
        return bool(self.allow or self.deny)

    def allows(self, address: Address | None) -> bool:
        """Whether ``address`` is let in; None (a peer without one) matches no rule."""
        if address is not None:
            family, number = address
            for shift, verdicts in self._table[family]:
                verdict = verdicts.get(number >> shift)
                if verdict is not None:
                    return verdict
        return not self.allow

    def _rows(self, family: int, bits: int) -> list[tuple[int, dict[int, bool]]]:
        rows: dict[int, dict[int, bool]] = {}
        for networks, verdict in ((self.allow, True), (self.deny, False)):  # deny overwrites
            for network in networks:
                if network.family == family:
                    shift = bits - network.length
                    rows.setdefault(shift, {})[network.start >> shift] = verdict
        return sorted(rows.items())


EVERYONE: Final = AccessRules()
