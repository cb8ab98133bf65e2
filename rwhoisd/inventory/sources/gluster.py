"""GlusterFS: ``peer status``, ``pool list``, ``volume info`` and heketi's topology (§9).

The commands print text, or XML with ``--xml``. ``peer status`` never lists the machine that it is
asked on; the bricks of ``volume info`` do. Read together, a brick's host gets the address that
another file tells of its name. ``auth.allow`` and the other options of a volume are not looked at.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Fact, Host, Place, StorageNode
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.structures import Items, Row, json_of, name_of, text, xml_of

NAMES: Final = ("*peer*", "*pool*", "*volume*", "*topology*", "*gluster*")
_LOCAL: Final = frozenset({"localhost", "localhost.localdomain"})  # ``pool list``: this machine
# ``server1:/data/brick``; an IPv6 address has no brackets here, so the last colon counts.
_BRICK: Final = re.compile(r"(?P<host>\S+?):(?P<path>/\S*)")
# Possessive, so that a long run of blanks is gone over once.
_LINE: Final = re.compile(
    r"\s*(?P<key>[A-Za-z][A-Za-z0-9]*+(?: ++[A-Za-z0-9]++)*+)\s*[:=]\s*+(?P<value>.*)\Z"
)
_STATUS_LINE: Final = re.compile(r"Brick\s+(?P<brick>\S+:/\S*)")
_POOL_LINE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}\s+(?P<host>\S+)\s+(?:Dis)?[Cc]onnected")


@dataclass
class _Node:
    name: str
    place: Place
    addresses: dict[Address, None] = field(default_factory=dict)  # in order
    managed: dict[Address, None] = field(default_factory=dict)  # for heketi alone, not for data
    drives: dict[str, int] = field(default_factory=dict)  # per volume or cluster
    zone: str = ""
    capacity: int = 0

    def facts(self) -> Iterator[Fact]:
        """A fact for each address and each volume."""
        known: list[Address | None] = [*self.addresses]
        for where in known or [None]:
            for group, drives in (self.drives or {"": 0}).items():
                yield StorageNode(
                    place=self.place,
                    where=where,
                    name=self.name or None,
                    belongs_to=group or None,
                    drives=drives or None,
                    crush_place=f"zone {self.zone}" if self.zone else None,
                    capacity=f"{self.capacity} KiB" if self.capacity else None,
                )
        for where in self.managed:
            if where not in self.addresses:
                yield Host(place=self.place, where=where, name=self.name or None)


class _Pool:
    """The nodes of a trusted storage pool, by each of their names and addresses."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._nodes: list[_Node] = []
        self._by_word: dict[str, _Node] = {}

    def node(self, hosts: Iterable[str], place: Place) -> _Node | None:
        """The node that has one of these names or addresses; None: none of them is one."""
        good = [host for host in hosts if self._is_good(host, place)]
        if not good:
            return None
        node = next(
            (self._by_word[one.lower()] for one in good if one.lower() in self._by_word), None
        )
        if node is None:
            node = _Node("", place)
            self._nodes.append(node)
        for host in good:
            self._by_word.setdefault(host.lower(), node)
            where = words.address(host)
            if where is None:
                node.name = node.name or host
            else:
                node.addresses[where] = None
        return node

    def _is_good(self, host: str, place: Place) -> bool:
        if words.is_placeholder(host):
            self._report.warn(place, "host is still to be filled in; skipped")
            return False
        where = words.address(host)
        if where is not None:
            return words.is_publishable(where)
        return words.is_host_name(host) and host.lower() not in _LOCAL

    def brick(self, brick: str, volume: str, place: Place) -> None:
        """``HOST:/PATH`` of a volume."""
        found = _BRICK.match(brick.strip())
        node = self.node([found["host"]], place) if found else None
        if node is not None:
            node.drives[volume] = node.drives.get(volume, 0) + 1

    def facts(self) -> Iterator[Fact]:
        for node in self._nodes:
            yield from node.facts()


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    pool = _Pool(report)
    for file in inputs.files:
        begin = file.text.lstrip()[:1]
        try:
            if begin == "<":
                _read_xml(xml_of(file), file, pool)
            elif begin == "{":
                _read_topology(json_of(file), file, pool, report)
            else:
                _Text(file, pool).read()
        except FormatError as error:  # the other files still count
            report.partial(file.at(error.findings[0].line), error.findings[0].message)
    yield from pool.facts()


# --- text ---


class _Text:
    """Lines ``Key: value`` of peers and volumes, one block after the other."""

    def __init__(self, file: TextFile, pool: _Pool) -> None:
        self._file = file
        self._pool = pool
        self._peer: list[str] = []
        self._place = file.at(1)
        self._volume = ""
        self._in_names = False
        self._manage: list[str] = []

    def read(self) -> None:
        for number, line in enumerate(self._file.lines, 1):
            place = self._file.at(number)
            if found := _STATUS_LINE.match(line):
                self._pool.brick(found["brick"], self._volume, place)
            elif found := _POOL_LINE.match(line):
                self._pool.node([found["host"]], place)
            elif self._in_names and line.strip() and not line.rstrip().endswith(":"):
                self._other_name(line.strip(), place)
            elif found := _LINE.match(line):
                self._statement(found["key"].lower(), found["value"].rstrip(), place)
            else:
                self._in_names = False
        self._end_peer()

    def _other_name(self, name: str, place: Place) -> None:
        """A name below ``Other names:``; the next peer's first line ends them."""
        found = _LINE.match(name)
        if found and words.address(name) is None:
            self._in_names = False
            self._statement(found["key"].lower(), found["value"].rstrip(), place)
        else:
            self._peer.append(name)

    def _statement(self, key: str, value: str, place: Place) -> None:
        self._in_names = key == "other names"
        if key in {"hostname", "hostname1"}:
            self._end_peer()
            self._peer, self._place = [value], place
        elif re.fullmatch(r"hostname\d+", key):
            self._peer.append(value)
        elif key in {"volume name", "status of volume"}:
            self._volume = value
        elif re.fullmatch(r"brick\d+", key):
            self._pool.brick(value, self._volume, place)
        elif key == "management hostnames":
            self._manage = re.split(r"[,\s]+", value)
        elif key == "storage hostnames":
            _take_heketi_node(self._pool, self._manage, re.split(r"[,\s]+", value), place)

    def _end_peer(self) -> None:
        if self._peer:
            self._pool.node(self._peer, self._place)
        self._peer = []


# --- XML ---


def _read_xml(root: etree._Element, file: TextFile, pool: _Pool) -> None:
    for element in root.iter():
        kind = name_of(element)
        if kind == "peer":
            names = [_text(one) for one in element.iter() if name_of(one) == "hostname"]
            pool.node(names, file.at(_line(element)))
        elif kind == "volume":
            _read_volume(element, file, pool)


def _read_volume(volume: etree._Element, file: TextFile, pool: _Pool) -> None:
    name = _child(volume, "name") or _child(volume, "volName")
    for element in volume.iter():
        place = file.at(_line(element))
        if name_of(element) == "brick":
            pool.brick(_text(element) or _child(element, "name"), name, place)
        elif name_of(element) == "node" and _child(element, "path").startswith("/"):
            pool.brick(f"{_child(element, 'hostname')}:{_child(element, 'path')}", name, place)


def _line(element: etree._Element) -> int:
    number: Any = element.sourceline
    return int(number or 1)


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _child(element: etree._Element, tag: str) -> str:
    return next((_text(one) for one in element if name_of(one) == tag), "")


# --- heketi ---


def _read_topology(value: Any, file: TextFile, pool: _Pool, report: Report) -> None:
    if not isinstance(value, Row) or "clusters" not in value:
        report.warn(file.at(1), "is no topology of heketi: it has no clusters")
        return
    for cluster in value.rows("clusters"):
        for entry in cluster.rows("nodes"):
            row = entry.row("node") if "node" in entry else entry
            hosts = row.row("hostnames")
            manage, storage = (_words(hosts.items_of(key)) for key in ("manage", "storage"))
            node = _take_heketi_node(pool, manage, storage, file.at(entry.line))
            if node is not None:
                devices = entry.items_of("devices")
                node.drives[cluster.text("id")] = len(devices)
                node.zone = row.text("zone")
                totals = [device.row("storage").text("total") for device in entry.rows("devices")]
                node.capacity = sum(int(total) for total in totals if total.isdigit())


def _words(items: Items) -> list[str]:
    return [text(item) for item in items]


def _take_heketi_node(
    pool: _Pool, manage: list[str], storage: list[str], place: Place
) -> _Node | None:
    """Data goes to the storage addresses; a management address may be another, or a name."""
    named = [one for one in manage if words.address(one) is None]
    others = [where for one in manage if (where := words.address(one)) is not None]
    node = pool.node([*storage, *named], place) or pool.node(map(str, others), place)
    if node is not None:
        node.managed |= dict.fromkeys(others)
    return node


SOURCE: Final = WholeSource(
    "gluster", "GlusterFS: peer status, pool list, volume info (text, XML), heketi topology",
    NAMES, _read,
)  # fmt: skip
