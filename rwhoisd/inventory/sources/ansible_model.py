"""An Ansible inventory as its files give it: machines, groups, and variables with their places."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Place
from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.structures import Row, text

MOST_HOSTS: Final = 4096  # of one line with ranges
_RANGE: Final = re.compile(r"\[(?P<first>\w+):(?P<last>\w+)(?::(?P<step>\d+))?\]")
_CONNECTION: Final = ("ansible_connection", "connection")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1", "localhost.localdomain"})
# Where a machine's address stands, the surest first; ``ansible_host`` may be an alias of ssh.
_FIRST: Final = ("ansible_host", "ansible_ssh_host")
_NEXT: Final = (
    "ip", "management_ip", "ip_address", "access_ip", "ipaddr", "ipaddress", "address", "ipv4",
    "ipv4_address", "host_ip", "node_ip", "mgmt_ip", "private_ip", "internal_ip", "public_ip",
)  # fmt: skip
_NAMES: Final = ("nodename", "node_name", "hostname", "host_name", "fqdn")
# Other variables with an address of the machine: ``eth0_ip``, ``glusterfs_ip``, ``ip_mgmt``.
_AN_ADDRESS: Final = re.compile(r"(?:^|_)(?:ip|ipv4|ipv6|ipaddr|address|addr)(?:_|$)")
_NOT_ITS_OWN: Final = re.compile(
    r"vip|virtual|gateway|gw|mask|dns|ntp|peer|proxy|server|router|master|remote|broadcast|syslog"
    r"|float|cluster_ip|lb_|range|subnet|service|advertise_|bmc|ipmi|idrac|ilo|allow|deny"
)


@dataclass
class Machine:
    """A host line, or several of the same name."""

    name: str
    place: Place
    groups: dict[str, None] = field(default_factory=dict)  # that it stands in itself, in order
    values: dict[str, Any] = field(default_factory=dict)
    earlier: dict[Address, tuple[Place, str]] = field(default_factory=dict)  # given, then changed

    def stand_in(self, group: str, row: Row, place: Place) -> bool:
        """A line of it in a group; whether that gives it another address than it had."""
        before, since = self.address(), self.place
        owner = next(iter(self.groups), group)
        self.groups[group] = None
        self.take(row, place)
        if before is None or self.address() == before or words.address(self.name) == before:
            return False
        self.earlier[before] = since, owner
        self.place = place
        return True

    def take(self, row: Row, place: Place) -> None:
        """Variables of it; those that come later win, as with Ansible."""
        if not row:
            return
        had = self.address() is not None
        self.values |= row
        if not had and self.address() is not None:
            self.place = place

    def address(self) -> Address | None:
        """Its address; None: it is known by its name only."""
        given = (text(self.values.get(key)) for key in _FIRST)
        known = [*given, self.name, *(text(self.values.get(key)) for key in _NEXT)]
        found = (words.address(word) for word in known if word)
        return next((one for one in found if one is not None and words.is_publishable(one)), None)

    def any_address(self) -> Address | None:
        """Its address, by whatever variable."""
        if (surest := self.address()) is not None:
            return surest
        for key, value in self.values.items():
            if _AN_ADDRESS.search(key.lower()) and not _NOT_ITS_OWN.search(key.lower()):
                where = words.address(text(value))
                if where is not None and words.is_publishable(where):
                    return where
        return None

    def is_unfilled(self) -> bool:
        """Whether its address is a template, or a mark of what is still to be filled in."""
        return any(words.is_placeholder(text(self.values.get(key))) for key in (*_FIRST, *_NEXT))

    def shown_name(self) -> str | None:
        """Its name; where the inventory's is an address, that of a variable."""
        if words.address(self.name) is None:
            return self.name
        found = (text(self.values.get(key)) for key in _NAMES)
        return next((one for one in found if words.is_host_name(one)), None)

    def aliases(self) -> tuple[str, ...]:
        """Names that ssh uses."""
        found = (text(self.values.get(key)) for key in _FIRST)
        return tuple({one: None for one in found if words.is_host_name(one) and one != self.name})

    def is_local(self) -> bool:
        """Whether it is the machine that Ansible runs on."""
        if any(text(self.values.get(key)) == "local" for key in _CONNECTION):
            return True
        given = [text(self.values.get(key)) for key in _FIRST]
        return self.name.lower() in _LOCAL or (
            any(word.lower() in _LOCAL for word in given) and self.any_address() is None
        )


@dataclass(frozen=True)
class Scope:
    """Variables of a group, of a machine (with the group of its line), or of everybody."""

    row: Row
    file: TextFile
    group: str | None = None
    machine: str | None = None


@dataclass
class Inventory:
    """What one file says, with the variables that lie beside it."""

    file: TextFile
    machines: dict[str, Machine] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)  # every group is a key
    scopes: list[Scope] = field(default_factory=list)
    in_containers: bool = False  # services run in containers with addresses of their own

    def group(self, name: str) -> None:
        """There is a group of this name."""
        self.children.setdefault(name, [])

    def child(self, parent: str, name: str) -> None:
        """A group within a group."""
        self.group(parent)
        self.group(name)
        self.children[parent].append(name)

    def hosts(self, pattern: str, group: str, row: Row, line: int, report: Report) -> None:
        """A host line of a group; its name may hold ranges."""
        place = self.file.at(line)
        if words.is_placeholder(pattern):
            report.warn(place, "name of a host is still to be filled in; skipped")
            return
        names = [name for name in expanded(pattern) if _is_name(name)]
        if not names:
            report.warn(place, f"is no host, or a range of more than {MOST_HOSTS}; skipped")
        self.group(group)
        for name in names:
            machine = self.machines.setdefault(name, Machine(name, place))
            if machine.stand_in(group, row, place):
                report.warn(place, f"{name} had another address above; both are told")
        if row and names:
            self.scopes.append(Scope(row, self.file, group, names[0]))


def _is_name(name: str) -> bool:
    return words.is_host_name(name) or words.address(name) is not None


def expanded(pattern: str) -> Iterator[str]:
    """The names of ``node[01:10:2]-[a:c]``; none, when a range is none or they are too many."""
    names = [""]
    at = 0
    for found in _RANGE.finditer(pattern):
        values = _values(found["first"], found["last"], int((found["step"] or "1")[:6]) or 1)
        if len(values) * len(names) > MOST_HOSTS or not values:
            return
        before = pattern[at : found.start()]
        names = [f"{name}{before}{value}" for name in names for value in values]
        at = found.end()
    for name in names:
        yield name + pattern[at:]


def _values(first: str, last: str, step: int) -> list[str]:
    """A range has its ends in it; numbers keep the width of the first when it begins with 0."""
    if first.isdecimal() and last.isdecimal() and first.isascii() and last.isascii():
        if len(first) > 9 or len(last) > 9 or int(last) - int(first) > MOST_HOSTS * step:
            return []
        width = len(first) if first.startswith("0") else 0
        return [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    if len(first) == len(last) == 1 and first.isalpha() and last.isalpha():
        return [chr(code) for code in range(ord(first), ord(last) + 1, step)][:MOST_HOSTS]
    return []
