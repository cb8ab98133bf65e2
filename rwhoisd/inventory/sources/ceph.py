"""Ceph: what its commands print with ``-f json`` (inventory-formats.md §9).

``ceph osd tree`` knows names and failure domains but no addresses; ``mon dump``, ``orch host ls``,
``osd dump``, ``osd metadata`` and the host specs of cephadm know addresses. Read together they
give one storage node for each machine with OSDs, and a host for each other one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Fact
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources.ceph_machines import Cluster
from rwhoisd.inventory.sources.ceph_text import read_text
from rwhoisd.inventory.structures import Items, Row, json_of, text, yaml_of

NAMES: Final = ("*.json", "*.yml", "*.yaml", "*osd*tree*", "*mon*dump*", "*node*ls*", "*host*ls*")
DEEPEST: Final = 32  # buckets above a host
# ``10.0.0.1:6789/0``, ``[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]``, ``v2:[2001:db8::1]:3300/0``
_ADDRESS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\]|(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d.])")
_SHADOW: Final = "~"  # ``default~hdd``: the same hosts again, for one class of devices
_OSDS: Final = "osd"
# ``ceph report`` and warnings print lines before it.
_JSON: Final = re.compile(r"\A(?:[ \t]*(?:[^{\[\s][^\n]*)?\n)*[ \t]*(?P<json>[{\[])")
_SPECS: Final = re.compile(r"^[ \t]*service_type:", re.MULTILINE)


def _read(inputs: Inputs, report: Report) -> Iterable[Fact]:
    cluster = Cluster()
    for file in inputs.files:
        if begin := _JSON.search(file.text):
            whole = replace(
                file,
                text="\n" * file.text.count("\n", 0, begin.start("json"))
                + file.text[begin.start("json") :],
            )
            try:
                _dispatch(json_of(whole), file, cluster, report)
            except FormatError as error:  # the other files still count
                report.partial(file.at(error.findings[0].line), error.findings[0].message)
        elif _SPECS.search(file.text):
            for document in yaml_of(file, report):
                _dispatch(document, file, cluster, report)
        else:
            read_text(file, cluster, report)
    return cluster.facts()


def _dispatch(value: Any, file: TextFile, cluster: Cluster, report: Report) -> None:
    """Every shape that fits; a report of the whole cluster holds several."""
    taken = False
    for fits, take in _SHAPES:
        if fits(value):
            take(value, file, cluster)
            taken = True
    if not taken and value is not None:
        report.warn(file.at(1), "is no output of ceph that is known; see the list of commands")


def addresses_in(value: Any) -> Iterator[Address]:
    """The addresses of a daemon, however a version of Ceph writes them."""
    if isinstance(value, Row):
        for key in ("addrvec", "addr"):
            yield from addresses_in(value.get(key))
    elif isinstance(value, Items):
        for item in value:
            yield from addresses_in(item)
    elif alone := words.address(text(value)):
        yield alone
    else:
        for found in _ADDRESS.finditer(text(value)):
            if one := words.address(found[1] or found[2]):
                yield one


def _first(row: Row, *keys: str) -> Address | None:
    """The first address below these keys that may be published."""
    found = (one for key in keys for one in addresses_in(row.get(key)))
    return next((one for one in found if words.is_publishable(one)), None)


# --- ceph osd tree, ceph osd df tree, ceph osd crush tree, ceph osd crush dump ---


def _is_tree(value: Any) -> bool:
    return isinstance(value, Row) and any("type" in node for node in value.rows("nodes"))


def _take_tree(tree: Row, file: TextFile, cluster: Cluster) -> None:
    _take_nodes(tree.rows("nodes"), file, cluster)


def _is_crush_map(value: Any) -> bool:
    return isinstance(value, Row) and any("type_name" in node for node in value.rows("buckets"))


def _take_crush_map(value: Row, file: TextFile, cluster: Cluster) -> None:
    """``ceph osd crush dump`` is the tree in other words."""
    _take_nodes(map(_node_of, value.rows("buckets")), file, cluster)


def _node_of(bucket: Row) -> Row:
    node, children = Row(), Items()
    node.line = bucket.line
    for item in bucket.rows("items"):
        children.append(item.text("id"))
        children.lines.append(item.line)
    node |= {"id": bucket.text("id"), "name": bucket.text("name"), "children": children}
    node["type"] = bucket.text("type_name")
    return node


def _take_nodes(rows: Iterable[Row], file: TextFile, cluster: Cluster) -> None:
    nodes = {node.text("id"): node for node in rows if node.text("id")}
    above = {text(child): node for node in nodes.values() for child in node.items_of("children")}
    for node in nodes.values():
        name = node.text("name")
        if node.text("type") != "host" or not name or _SHADOW in name:
            continue
        disks = _disks(node, nodes, above)
        if not disks:
            continue  # a bucket that was left behind: nothing is stored there
        machine = cluster.machine(name, file.at(node.line))
        machine.add_disks(disks)
        machine.put(_path(node, above))
        if node.text("kb").isdigit():
            machine.capacity = f"{node.text('kb')} KiB"


def _disks(host: Row, nodes: dict[str, Row], above: dict[str, Row]) -> list[str]:
    """The OSDs of a host, by number; there may be a chassis between. Buckets are negative.

    Whatever is wrong with the tree, this ends: a bucket is entered from the one above it only.
    """
    disks: list[str] = []
    waiting = [host]
    while waiting:
        bucket = waiting.pop()
        for child in dict.fromkeys(map(text, bucket.items_of("children"))):
            node = nodes.get(child)
            if child.isdigit():
                disks.append(child)
            elif node is not None and node.text("type") != "host" and above[child] is bucket:
                waiting.append(node)
    return disks


def _path(node: Row, above: dict[str, Row]) -> list[str]:
    """The names of the buckets above a node, outermost first."""
    path: list[str] = []
    seen = {node.text("id")}
    parent = above.get(node.text("id"))
    while parent is not None and parent.text("id") not in seen and len(path) < DEEPEST:
        seen.add(parent.text("id"))
        path.append(parent.text("name"))
        parent = above.get(parent.text("id"))
    return path[::-1]


# --- ceph node ls ---

_DAEMONS: Final = frozenset({"mon", "osd", "mds", "mgr", "rgw", "nfs", "rbd-mirror", "iscsi"})


def _is_node_list(value: Any) -> bool:
    return (
        isinstance(value, Row)
        and bool(value)
        and all(key in _DAEMONS and isinstance(value[key], Row) for key in value)
    )


def _take_node_list(value: Row, file: TextFile, cluster: Cluster) -> None:
    for daemon in value:
        hosts = value.row(daemon)
        for name in hosts:
            machine = cluster.machine(name, file.at(value.line_of(daemon)))
            if daemon == _OSDS:
                machine.add_disks([text(number) for number in hosts.items_of(name)])


# --- ceph mon dump, quorum_status, report ---


def _is_mon_map(value: Any) -> bool:
    return isinstance(value, Row) and (
        any("name" in mon for mon in value.rows("mons")) or _is_mon_map(value.get("monmap"))
    )


def _take_mon_map(value: Row, file: TextFile, cluster: Cluster) -> None:
    for mon in (value if "mons" in value else value.row("monmap")).rows("mons"):
        given = [mon.get(key) for key in ("public_addrs", "public_addr", "addr")]
        found = [one for value in given for one in addresses_in(value)]
        where = next((one for one in found if words.is_publishable(one)), None)
        if any(one.is_loopback for one in found) and where is None:
            continue  # a cluster for trying out; its monitors are no machines
        if where is not None or mon.text("name"):
            cluster.machine(mon.text("name"), file.at(mon.line), where)


# --- ceph orch host ls, specs of cephadm ---


def _host_rows(value: Any) -> list[Row]:
    """Hosts of ``orch host ls``, or of one document of a spec."""
    rows = value if isinstance(value, Items) else [value]
    return [
        row
        for row in rows
        if isinstance(row, Row)
        and row.text("hostname")
        and ("labels" in row or "addr" in row or row.text("service_type") == "host")
        and "id" not in row  # metadata of a daemon
        and "name" not in row
    ]


def _take_hosts(value: Any, file: TextFile, cluster: Cluster) -> None:
    for row in _host_rows(value):
        machine = cluster.machine(row.text("hostname"), file.at(row.line))
        machine.add(_first(row, "addr"))
        machine.labels.update(text(label) for label in row.items_of("labels"))
        machine.is_storage |= _OSDS in machine.labels
        location = row.row("location")
        machine.put([text(name) for kind, name in location.items() if kind != "host"])


def _is_service(value: Any) -> bool:
    return isinstance(value, Row) and bool(value.text("service_type"))


def _take_service(value: Row, file: TextFile, cluster: Cluster) -> None:
    """Where a spec wants OSDs; the other services make no storage node."""
    if value.text("service_type") != _OSDS:
        return
    placement = value.row("placement")
    for name in placement.items_of("hosts"):
        line = placement.line_of("hosts")
        cluster.machine(
            text(name).split()[0] if text(name) else "", file.at(line)
        ).is_storage = True
    label, pattern = placement.text("label"), placement.text("host_pattern")
    if label or pattern:
        cluster.place_disks(label, pattern)


# --- ceph osd|mon|mgr|mds metadata ---


def _metadata(value: Any) -> list[Row]:
    rows = value if isinstance(value, Items) else [value]
    return [
        row
        for row in rows
        if isinstance(row, Row) and row.text("hostname") and ("id" in row or "name" in row)
    ]


def _take_metadata(value: Any, file: TextFile, cluster: Cluster) -> None:
    for row in _metadata(value):
        machine = cluster.machine(row.text("hostname"), file.at(row.line))
        if "front_addr" in row or "back_addr" in row or "osd_objectstore" in row:
            machine.add_disks([row.text("id")])
        for key in ("front_addr", "back_addr", "addrs", "addr"):
            machine.add(_first(row, key))


# --- ceph osd dump ---


def _is_osd_map(value: Any) -> bool:
    return isinstance(value, Row) and any("public_addr" in osd for osd in value.rows("osds"))


def _take_osd_map(value: Row, file: TextFile, cluster: Cluster) -> None:
    for osd in value.rows("osds"):
        found = [_first(osd, f"{net}_addrs", f"{net}_addr") for net in ("public", "cluster")]
        cluster.disk_at(osd.text("osd"), [one for one in found if one], file.at(osd.line))


# --- ceph report, ceph insights ---

_PARTS: Final = ("osd_tree", "crushmap", "crush_map", "mon_map", "osdmap", "osd_dump",
                 "osd_metadata")  # fmt: skip


def _is_report(value: Any) -> bool:
    return isinstance(value, Row) and any(key in value for key in _PARTS)


def _take_report(value: Row, file: TextFile, cluster: Cluster) -> None:
    for key in _PARTS:
        part = value.get(key)
        for fits, take in _SHAPES[:-1]:
            if fits(part):
                take(part, file, cluster)


Fits = Callable[[Any], Any]
Take = Callable[[Any, TextFile, Cluster], None]
_SHAPES: Final[tuple[tuple[Fits, Take], ...]] = (
    (_is_tree, _take_tree),
    (_is_crush_map, _take_crush_map),
    (_is_node_list, _take_node_list),
    (_is_mon_map, _take_mon_map),
    (_host_rows, _take_hosts),
    (_is_service, _take_service),
    (_metadata, _take_metadata),
    (_is_osd_map, _take_osd_map),
    (_is_report, _take_report),
)

SOURCE: Final = WholeSource(
    "ceph", "Ceph: osd tree, node ls, mon dump, orch host ls, osd metadata (JSON)", NAMES, _read
)
