"""What the commands of Ceph print for people: the tree of OSDs, monitors, hosts."""

import re
from typing import Final, Protocol

from rwhoisd.inventory import words
from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.sources.ceph_machines import Cluster

# ``-3  0.02930  host node1``, `` 0  hdd 0.02930  osd.0  up  1.00000 1.00000``
_BUCKET: Final = re.compile(
    r"\s*-?\d+\s+(?:[a-z]\S*\s+)?(?:[\d.]+|-)\s+(?P<name>(?:[a-z][a-z_-]* (?=\S))?\S+)"
)
_MON: Final = re.compile(r"(?:\d+: )?(?P<where>\S+) mon\.(?P<name>\S+)\s*$")
_IN_MON: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\]|(\d{1,3}(?:\.\d{1,3}){3})(?![\d.])")
_TREE_HEAD: Final = re.compile(r"#?\s*id\b.*\btype\s+name\b", re.IGNORECASE)
_HOST_HEAD: Final = re.compile(r"HOST\s+ADDR\b")
_MON_HEAD: Final = re.compile(r"(?:dumped monmap|epoch \d|min_mon_release|\d+: \S+ mon\.)")


class _Table(Protocol):
    def take(self, number: int, line: str) -> None:
        """What a line of the table says."""


def read_text(file: TextFile, cluster: Cluster, report: Report) -> None:
    """Takes the tables of one file, each under its own head."""
    tree = _Tree(file, cluster)
    heads: list[tuple[re.Pattern[str], _Table]] = [
        (_TREE_HEAD, tree), (_HOST_HEAD, _Hosts(file, cluster)), (_MON_HEAD, _Mons(file, cluster)),
    ]  # fmt: skip
    table: _Table | None = None
    for number, line in enumerate(file.lines, 1):
        table = next((taker for head, taker in heads if head.match(line)), table)
        if table is not None:
            table.take(number, line)
    tree.finish()
    if table is None and file.text.strip():
        report.warn(file.at(1), "is neither JSON nor a table of ceph; print it with -f json")


class _Tree:
    """``ceph osd tree``: how far a name is set in says what it is below."""

    def __init__(self, file: TextFile, cluster: Cluster) -> None:
        self._file = file
        self._cluster = cluster
        self._above: list[tuple[int, str, str]] = []  # column, type, name
        self._hosts: dict[str, tuple[int, list[str], list[str]]] = {}

    def take(self, number: int, line: str) -> None:
        found = _BUCKET.match(line)
        if found is None:
            return
        column = found.start("name")
        kind, _, name = found["name"].rpartition(" ")
        while self._above and self._above[-1][0] >= column:
            self._above.pop()
        if not kind:
            host = next((up[2] for up in reversed(self._above) if up[1] == "host"), "")
            if name.startswith("osd.") and host in self._hosts:
                self._hosts[host][2].append(name.removeprefix("osd."))
            return
        if kind == "host" and "~" not in name:
            self._hosts[name] = number, [up[2] for up in self._above], []
        self._above.append((column, kind, name))

    def finish(self) -> None:
        for name, (number, path, disks) in self._hosts.items():
            if disks:
                machine = self._cluster.machine(name, self._file.at(number))
                machine.add_disks(disks)
                machine.put(path)


class _Hosts:
    """``ceph orch host ls``: columns under HOST, ADDR, LABELS, STATUS."""

    def __init__(self, file: TextFile, cluster: Cluster) -> None:
        self._file = file
        self._cluster = cluster

    def take(self, number: int, line: str) -> None:
        cells = line.split()
        where = words.address(cells[1]) if len(cells) > 1 else None
        if where is None or not words.is_host_name(cells[0]):
            return
        machine = self._cluster.machine(cells[0], self._file.at(number))
        machine.add(where)
        labels = re.split(r"[,\s]+", " ".join(cells[2:]))
        machine.is_storage |= "osd" in labels


class _Mons:
    """``ceph mon dump``: ``0: ADDRESS mon.NAME``."""

    def __init__(self, file: TextFile, cluster: Cluster) -> None:
        self._file = file
        self._cluster = cluster

    def take(self, number: int, line: str) -> None:
        if not (found := _MON.match(line)):
            return
        at = _IN_MON.search(found["where"])
        where = words.address(at[1] or at[2]) if at else None
        self._cluster.machine(found["name"], self._file.at(number)).add(where)
