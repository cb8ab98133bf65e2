"""``/etc/hosts``: which names an address has, from everything that is a machine or a service."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from rwhoisd.directory.names import ADDRESS_BITS, Network
from rwhoisd.formats.export_walk import Entry, TextExport

CLASSES: Final = ("host", "real-server", "vip", "storage-node", "database-node")
HEADER: Final = "# Made by rwhois-admin export hosts: do not edit."
_NAMES: Final = ("Host-Name", "Node-Name")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LONGEST: Final = 253


class Address(NamedTuple):
    """One address; sorts by family, then as a number."""

    family: int
    number: int

    @classmethod
    def from_text(cls, text: str) -> "Address | None":
        """An address, with a prefix length or without; None for anything else.

        With a length it has to be that of an interface (``10.0.0.5/24``), not a whole block.
        """
        written = Network.from_text(text.partition("/")[0])
        block = Network.from_text(text)
        if written is None or block is None:
            return None
        whole = block.length < ADDRESS_BITS[block.family] and block.start == written.start
        return None if whole else cls(written.family, written.start)

    def __str__(self) -> str:
        return str(Network(self.family, self.number, ADDRESS_BITS[self.family])).partition("/")[0]


Named = tuple[Address, tuple[str, ...]]


def host_name(text: str) -> str | None:
    """A host name (RFC 1123 §2.1), lower case and without final dot; None when it is none."""
    name = text.removesuffix(".").lower()
    labels = name.split(".")
    good = all(map(_LABEL.match, labels)) and len(name) <= _LONGEST
    return name if good and not labels[-1].isdigit() else None


class HostNames:
    """Addresses with their names, the first that came as the first name."""

    def __init__(self) -> None:
        self._names: dict[Address, dict[str, None]] = {}

    def add(self, entry: Entry) -> Iterator[str]:
        """Take a machine; what is wrong with it."""
        names = [value for name in _NAMES for value in entry.values(name)]
        good = dict.fromkeys(name for text in names if (name := host_name(text)))
        yield from (f"{t!r} is no host name; left out" for t in names if not host_name(t))
        for text in entry.values("IP-Address"):
            address = Address.from_text(text)
            if address is None:
                yield f"{text!r} is no address; left out"
            elif good:
                self._names.setdefault(address, {}).update(good)

    def sorted(self) -> list[Named]:
        """Addresses in order, each with its names."""
        return [(address, tuple(self._names[address])) for address in sorted(self._names)]


class Hosts(TextExport):
    """A hosts file: each address on one line, its names behind it."""

    def __init__(self) -> None:
        super().__init__()
        self._hosts = HostNames()

    def add(self, entry: Entry) -> str:
        """Take a machine; nothing is written before all are known and sorted."""
        self.findings += map(entry.finding, self._hosts.add(entry))
        return ""

    def end(self) -> Iterator[str]:
        """The file."""
        yield f"{HEADER}\n"
        for address, names in self._hosts.sorted():
            yield f"{address} {' '.join(names)}\n"
