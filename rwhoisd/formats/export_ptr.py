"""Reverse zones (RFC 1035 §5, RFC 2317): which name an address has, for a name server.

A zone ends at a label: a prefix of IPv4 is divided at /8, /16 and /24, one of IPv6 at each
nibble. What is longer than /24 becomes a zone of RFC 2317, with the lines for the parent zone
as a comment. An address has one PTR record, for its first full name.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from operator import itemgetter
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import ADDRESS_BITS, Network
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.formats.export_hosts import Address, Named, host_name
from rwhoisd.formats.export_walk import Entry, network_range
from rwhoisd.formats.findings import Finding, failed

NETWORK_CLASSES: Final = ("network",)
UNIX, DATE = "unix", "date"  # how a serial is made of a time
_LABEL_BITS: Final = {4: 8, 6: 4}
_ROOT: Final = {4: "in-addr.arpa", 6: "ip6.arpa"}
# RFC 1912 §2.2: an SOA of RWhois has neither of these.
_EXPIRE: Final = 14 * 86400
_NEGATIVE: Final = 3600
_SERIALS: Final = 1 << 32
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9_-]")


def zone_prefixes(prefix: Network) -> list[Network]:
    """The blocks that have zones of their own: ``prefix`` divided where labels end."""
    bits = _LABEL_BITS[prefix.family]
    length = -(-prefix.length // bits) * bits
    if prefix.family == 4 and prefix.length > 24:
        return [prefix]
    size = 1 << ADDRESS_BITS[prefix.family] - length
    starts = range(prefix.start, prefix.last + 1, size)
    return [Network(prefix.family, start, length) for start in starts]


def labels(family: int, number: int) -> list[str]:
    """Labels of an address in the reverse tree, those of the host first."""
    digits = _LABEL_BITS[family]
    style = "d" if family == 4 else "x"
    shifts = range(0, ADDRESS_BITS[family], digits)
    return [format(number >> shift & (1 << digits) - 1, style) for shift in shifts]


def _own_labels(prefix: Network) -> int:
    """How many labels of an address stand before the zone's own name."""
    return (ADDRESS_BITS[prefix.family] - prefix.length) // _LABEL_BITS[prefix.family]


def origin(prefix: Network) -> str:
    """Name of the zone of a block of ``zone_prefixes``, without final dot."""
    names = labels(prefix.family, prefix.start)
    if prefix.family == 4 and prefix.length > 24:
        return ".".join((f"{names[0]}/{prefix.length}", *names[1:], _ROOT[4]))
    return ".".join((*names[_own_labels(prefix) :], _ROOT[prefix.family]))


def owner(address: Address, prefix: Network) -> str:
    """Name of an address within the zone of a block; ``@`` when it is the zone's own."""
    names = labels(*address)
    small = prefix.family == 4 and prefix.length > 24
    return ".".join(names[: 1 if small else _own_labels(prefix)]) or "@"


def serial_number(how: str, changed: TimeStamp) -> int:
    """A serial: ``unix`` or ``date`` of the last change of the directory, or a given number.

    ``date`` is yyyymmddnn with nn counting the day in hundredths, so that it grows with every
    change that is a quarter of an hour later. Raises: FormatError.
    """
    if how.isascii() and how.isdigit() and int(how) < _SERIALS:
        return int(how)
    try:
        moment = changed.to_datetime()
    except ValueError as error:
        hint = "is no date; give the serial as a number"
        raise failed("--serial", 0, f"the area's serial {changed.text} {hint}") from error
    if how == DATE:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return int(f"{moment:%Y%m%d}{(moment - midnight) * 100 // timedelta(days=1):02d}")
    if how == UNIX:
        return int(moment.timestamp())
    raise failed("--serial", 0, f"{how!r}: it is {UNIX}, {DATE} or a number below 2^32")


def mailbox(text: str) -> str | None:
    """A mail address as the SOA has it (RFC 1035 §8); None when it is none."""
    local, _, domain = text.strip().rpartition("@")
    name = host_name(domain)
    if not (local and name and local.isascii() and local.isprintable() and " " not in local):
        return None
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", local) + f".{name}."


class NameServers:
    """Name-Server lines of network objects: those of the smallest block around a zone count."""

    def __init__(self) -> None:
        self._servers: dict[Network, tuple[str, ...]] = {}
        self.findings: list[Finding] = []

    def add(self, entry: Entry) -> None:
        """Take a network object."""
        found = network_range(entry)
        written = entry.values("Name-Server")
        names = tuple(name for text in written if (name := host_name(text.split()[0])))
        if len(names) < len(written):
            self.findings.append(entry.finding("a Name-Server is no host name; left out"))
        if found is not None and found.length is not None and names:
            block = Network(found.family, found.first, found.length)
            self._servers.setdefault(block, names)

    def around(self, prefix: Network) -> tuple[str, ...]:
        """Name servers of a zone; nothing when no block around it has any."""
        return next((s for b in prefix.enclosing() if (s := self._servers.get(b))), ())


def area_around(areas: Iterable[AuthorityArea], prefix: Network) -> AuthorityArea | None:
    """The area of the smallest block around a prefix."""
    around = [
        (area.name.place.length, -order, area)
        for order, area in enumerate(areas)
        if isinstance(area.name.place, Network) and prefix.within(area.name.place)
    ]
    return max(around, key=lambda found: found[:2])[2] if around else None


def hosts_within(hosts: Sequence[Named], prefix: Network) -> Sequence[Named]:
    """Those of a sorted sequence whose address lies in a block."""
    first, last = (Address(prefix.family, end) for end in (prefix.start, prefix.last))
    begin = bisect_left(hosts, first, key=itemgetter(0))
    return hosts[begin : bisect_right(hosts, last, key=itemgetter(0))]


@dataclass(frozen=True)
class Zone:
    """What a zone file is made of; ``servers`` and the names of its ``hosts`` without final dot."""

    prefix: Network
    soa: Soa
    serial: int
    servers: Sequence[str]
    hosts: Sequence[Named]

    def mistakes(self) -> Iterator[str]:
        """Why it would be no zone."""
        if not self.servers:
            yield "no network object around it has a Name-Server; name one with --ns"
        if mailbox(self.soa.hostmaster) is None:
            yield f"the area's hostmaster {self.soa.hostmaster!r} is no mail address"

    def lines(self) -> Iterator[str]:
        """The file, line by line."""
        mail = mailbox(self.soa.hostmaster)
        assert mail is not None  # see ``mistakes``
        yield f"; Reverse zone of {self.prefix}, made by rwhois-admin export ptr: do not edit."
        yield from self._for_the_parent()
        yield f"$ORIGIN {origin(self.prefix)}."
        yield f"$TTL {self.soa.time_to_live}"
        yield f"@ IN SOA {self.servers[0]}. {mail} ("
        yield f"    {self.serial} ; serial"
        yield f"    {self.soa.refresh_interval} ; refresh"
        yield f"    {self.soa.retry_interval} ; retry"
        yield f"    {_EXPIRE} ; expire"
        yield f"    {_NEGATIVE} ) ; negative answers"
        yield from (f"@ IN NS {server}." for server in self.servers)
        yield from self._records()

    def _records(self) -> Iterator[str]:
        for address, names in self.hosts:
            if full := [n for n in names if "." in n]:
                also = f" ; also {' '.join(full[1:])}" if full[1:] else ""
                yield f"{owner(address, self.prefix)} IN PTR {full[0]}.{also}"

    def findings(self) -> Iterator[Finding]:
        """Addresses of the zone that get no record."""
        for address, names in self.hosts:
            if not any("." in n for n in names):
                message = f"{address}: {names[0]} is no full domain name; it gets no PTR"
                yield Finding(f"zone {origin(self.prefix)}", 0, message)

    def _for_the_parent(self) -> Iterator[str]:
        """What RFC 2317 §4 has the parent zone hold, for whoever runs that."""
        if self.prefix.family != 4 or self.prefix.length <= 24:
            return
        small, parent = origin(self.prefix), origin(self.prefix.shorten(24))
        yield f"; The parent zone {parent} needs (RFC 2317):"
        yield from (f";   {small.split('.')[0]} IN NS {server}." for server in self.servers)
        last = self.prefix.last & 255
        for host in count(self.prefix.start & 255):
            yield f";   {host} IN CNAME {host}.{small}."
            if host == last:
                return
