"""A database node by its address or name, as all files of MySQL clusters have it."""

from dataclasses import dataclass
from typing import Final

from rwhoisd.inventory.facts import TCP, DatabaseNode, Place
from rwhoisd.inventory.source import Report
from rwhoisd.inventory.words import address, is_host_name, is_placeholder, port

_NO_NODE: Final = frozenset({"localhost", "localhost.localdomain"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a file says of a node. ``host`` is an address or a name; ``name`` what it is called."""

    place: Place
    host: str
    port: str = ""
    name: str | None = None
    role: str | None = None
    peer: str | None = None
    writable: bool | None = None
    disabled: bool = False

    def fact(self, report: Report) -> DatabaseNode | None:
        """The fact, or None with a warning; a socket and this machine itself are no node."""
        where = address(self.host)
        if where is None and (self.host.lower() in _NO_NODE or self.host.startswith("/")):
            return None
        if where is None and not is_host_name(self.host):
            unfilled = is_placeholder(self.host)
            what = "is still to be filled in" if unfilled else "is neither address nor name"
            report.warn(self.place, f"the host of a database node {what}; skipped")
            return None
        number = port(self.port)
        if self.port and number is None:
            report.warn(self.place, "the port of a database node is none; it is left out")
        return DatabaseNode(
            place=self.place,
            where=where,
            name=self.host if where is None else self._own_name(),
            port=number,
            protocol=None if number is None else TCP,
            role=self.role,
            peer=self.peer,
            writable=self.writable,
            disabled=self.disabled,
        )

    def _own_name(self) -> str | None:
        return None if not self.name or address(self.name) else self.name
