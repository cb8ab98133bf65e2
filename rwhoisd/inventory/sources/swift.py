"""OpenStack Swift: the devices of rings, and the hosts that a deployment gives them (§8).

Read are what ``swift-ring-builder FILE`` prints, the ``swift-ring-builder FILE add …`` lines of
scripts, and ``swift_hosts`` of OpenStack-Ansible. A storage node is a machine's address, not one
of its devices; the address for replication is one of its addresses.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Fact, Host, Place, StorageNode
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.structures import Row, text, yaml_of

NAMES: Final = ("*swift*", "*ring*", "*.builder*")
_HOSTS: Final = re.compile(r"^[A-Za-z][\w-]*_hosts\s*:", re.MULTILINE)
_TABLE: Final = re.compile(r"\s*Devices:\s+id\b(?P<columns>.*)")
_ADD: Final = re.compile(
    r"(?:^|[\s;&|])(?:[^\s;&|]*/)?swift-ring-builder\s+(?P<rest>\S+\s+add\s.*)"
)
# ``r1z2-10.0.0.1:6200R10.1.0.1:6200/sdb1_meta``; R… is for replication (swift-ring-builder(1))
_DEVICE: Final = re.compile(
    r"(?:d\d+)?(?:r(?P<region>\d+))?z(?P<zone>\d+)-(?P<host>\[[^\]\s]+\]|[^:/\s]+):(?P<port>[^/\sR]+)"
    r"(?:R(?P<other>\[[^\]\s]+\]|[^:/\s]+):[^/\s]+)?/(?P<device>\S+)"
)
_OPTIONS: Final = {
    "-r": "region", "--region": "region", "-z": "zone", "--zone": "zone",
    "-i": "host", "--ip": "host", "-j": "other", "--replication-ip": "other",
    "-d": "device", "--device": "device", "-w": "weight", "--weight": "weight",
    "-p": "port", "--port": "port", "-q": "otherport", "--replication-port": "otherport",
    "-m": "meta", "--meta": "meta",
}  # fmt: skip


@dataclass
class _Node:
    """An address of a machine, with the devices on it."""

    place: Place
    where: Address | None
    name: str | None
    devices: set[str] = field(default_factory=set)
    zone: str = ""
    group: str | None = None

    def fact(self) -> Fact:
        return StorageNode(
            place=self.place,
            where=self.where,
            name=self.name,
            belongs_to=self.group,
            drives=len(self.devices) or None,
            crush_place=self.zone or None,
        )


class _Nodes:
    """Storage nodes in the order in which they are met, each address once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._found: dict[str, _Node] = {}

    def add(self, host: str, place: Place, device: str = "", zone: str = "") -> None:
        """A device on a host, which is an address or a name."""
        where = words.address(host)
        if where is None and not words.is_host_name(host):
            if words.is_placeholder(host):
                self._report.warn(place, "address of a device is still to be filled in; skipped")
            return
        key = str(where or host.lower())
        node = self._found.setdefault(key, _Node(place, where, None if where else host))
        node.zone = node.zone or zone
        if device:
            node.devices.add(device)

    def facts(self) -> Iterator[Fact]:
        for node in self._found.values():
            yield node.fact()


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    del inputs
    if _HOSTS.search(file.text):
        for document in yaml_of(file, report):
            yield from _hosts(document, file, report)
        return
    nodes = _Nodes(report)
    _read_tables(file, nodes)
    for number, command in _commands(file):
        _read_command(command, file.at(number), nodes)
    yield from nodes.facts()


# --- what the builder prints ---


def _read_tables(file: TextFile, nodes: _Nodes) -> None:
    """Rows under ``Devices:``, until a line that begins with no number."""
    joined: bool | None = None  # None: no table; True: ``ip address:port`` is one column
    for number, line in enumerate(file.lines, 1):
        if found := _TABLE.match(line):
            joined = "address:port" in found["columns"]
        elif joined is not None:
            cells = line.split()
            if not cells or not cells[0].isdigit():
                joined = None
            else:
                _read_row(cells[1:], joined, file.at(number), nodes)


def _read_row(cells: list[str], joined: bool, place: Place, nodes: _Nodes) -> None:
    """``[region] zone host port [host port] name …``; region and replication came later."""
    at = next((n for n, cell in enumerate(cells[:3]) if not cell.isdigit()), len(cells))
    zone = _zone(cells[:at])
    width = 1 if joined else 2
    hosts: list[str] = []
    while at < len(cells) and len(hosts) < 2 and _is_host(cells[at], cells[at + 1 :], joined):
        hosts.append(words.host_port(cells[at])[0] if joined else cells[at])
        at += width
    device = cells[at] if at < len(cells) else ""
    for host in hosts:
        nodes.add(host, place, device, zone)


def _is_host(cell: str, after: Sequence[str], joined: bool) -> bool:
    """A host is followed by its port, so that the name of a device is not taken for one."""
    if joined:
        return words.port(words.host_port(cell)[1]) is not None
    return bool(after) and after[0].isdigit() and words.port(after[0]) is not None


def _zone(numbers: Sequence[str]) -> str:
    """Failure domain as rings name it: ``region 1/zone 2``."""
    labels = ("region", "zone") if len(numbers) == 2 else ("zone",)
    pairs = zip(labels, numbers, strict=False)
    return "/".join(f"{label} {number}" for label, number in pairs if number.isdigit())


# --- commands that add devices ---


def _commands(file: TextFile) -> Iterator[tuple[int, str]]:
    """Lines with ``swift-ring-builder FILE add``, joined over ``\\``; comments are none."""
    begin, whole = 0, ""
    for number, line in enumerate(file.lines, 1):
        begin = begin if whole else number
        whole += line.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1] + " "
            continue
        found = _ADD.search(whole)
        if found and not whole.lstrip().startswith("#"):
            yield begin, found["rest"]
        whole = ""


def _read_command(command: str, place: Place, nodes: _Nodes) -> None:
    try:
        parts = shlex.split(command, comments=True)[2:]
    except ValueError:
        parts = command.split()[2:]
    given: dict[str, str] = {}
    wanted = ""
    for part in parts:
        option, equals, value = part.partition("=")
        if wanted:
            given[wanted], wanted = part, ""
        elif option in _OPTIONS:
            given |= {_OPTIONS[option]: value} if equals else {}
            wanted = "" if equals else _OPTIONS[option]
        elif found := _DEVICE.match(part):
            _add_device(found.groupdict(), place, nodes)
    if "host" in given:
        _add_device(given, place, nodes)


def _add_device(given: dict[str, Any], place: Place, nodes: _Nodes) -> None:
    region, zone = given.get("region"), given.get("zone")
    where = _zone([part for part in (region, zone) if part])
    device = (given.get("device") or "").partition("_")[0]
    for host in (given.get("host"), given.get("other")):
        if host:
            nodes.add(host, place, device, where)


# --- swift_hosts ---


def _hosts(document: Any, file: TextFile, report: Report) -> Iterator[Fact]:
    if not isinstance(document, Row):
        return
    for group in document:
        if not group.endswith("_hosts") or "swift" not in group:
            continue
        hosts = document.row(group)
        for name in hosts:
            row = hosts.row(name)
            place = file.at(hosts.line_of(name))
            if "proxy" in group:
                where = words.address(row.text("ip", "management_ip"))
                if where is not None:
                    yield Host(place=place, where=where, name=name, belongs_to=group)
            else:
                yield from nodes_of(row, name, group, place, report)


def nodes_of(row: Row, name: str, group: str, place: Place, report: Report) -> Iterator[Fact]:
    """A host of ``swift_hosts``: its address, and those that its rings name instead."""
    swift = row.row("container_vars", "swift_vars")
    drives = list(swift.rows("drives"))
    found: dict[Address, None] = {}
    for source in (row, swift, *drives):
        for key in ("ip", "management_ip", "storage_ip", "repl_ip"):
            value = text(source.get(key))
            where = words.address(value)
            if where is not None:
                found[where] = None
            elif value and words.is_placeholder(value):
                report.warn(place, f"{key} is still to be filled in; skipped")
    zone = _zone([part for part in (swift.text("region"), swift.text("zone")) if part])
    count = len({drive.text("name") for drive in drives})
    places: list[Address | None] = [*found]
    for where in places or [None]:
        node = _Node(place, where, name, set(), zone, group)
        node.devices = {str(number) for number in range(count)}
        yield node.fact()


SOURCE: Final = FileSource(
    "swift", "OpenStack Swift: ring tables, swift-ring-builder add, swift_hosts", NAMES, _read
)
