"""Ceph: shapes of its outputs, the tree, addresses, joining."""

import json
from pathlib import Path

import pytest

from rwhoisd.inventory.facts import Host, StorageNode
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import find_source
from rwhoisd.inventory.sources.ceph import addresses_in
from tests.property.inventory_kit import read_text

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "ceph"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("10.0.0.1:6789/0", ["10.0.0.1"]),
        ("10.0.0.1", ["10.0.0.1"]),
        ("2001:db8::1", ["2001:db8::1"]),
        ("[2001:db8::1]:6789/0", ["2001:db8::1"]),
        ("v2:[2001:db8::1]:3300/0", ["2001:db8::1"]),
        ("[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]", ["10.0.0.1", "10.0.0.1"]),
        ("[v2:[2001:db8::1]:3300/0,v1:10.0.0.1:6789/0]", ["2001:db8::1", "10.0.0.1"]),
        (":/0", []),
        ("(unrecognized address family 0)/0", []),
        ("mon.example.net:6789", []),
        (None, []),
    ],
)
def test_addresses_of_every_version_are_read(value: object, found: list[str]) -> None:
    assert [str(where) for where in addresses_in(value)] == found


def test_the_place_in_the_tree_is_kept() -> None:
    reading = scan(find_source("ceph"), [FIXTURES / "osd-tree.json"])
    nodes = [fact for fact in reading.facts if isinstance(fact, StorageNode)]
    assert [(node.name, node.crush_place, node.drives) for node in nodes] == [
        ("store1", "default/rack1", 2),
        ("store2", "default/rack1", 1),  # its disks are on a chassis below it
        ("store3", "default/rack2", 1),
    ]


def test_the_tree_as_a_table_says_the_same() -> None:
    reading = scan(find_source("ceph"), [FIXTURES / "tables.txt"])
    node = next(fact for fact in reading.facts if isinstance(fact, StorageNode))
    assert (node.crush_place, node.drives) == ("default/rack1", 2)


def test_a_tree_that_loops_ends() -> None:
    nodes = [
        {"id": -1, "name": "a", "type": "root", "children": [-2]},
        {"id": -2, "name": "h", "type": "host", "children": [-1, 0, -3]},
        {"id": -3, "name": "c", "type": "chassis", "children": [-3, -2]},
    ]
    (fact,) = read_text("ceph", json.dumps({"nodes": nodes})).facts
    assert isinstance(fact, StorageNode)
    assert (fact.name, fact.drives) == ("h", 1)


def test_capacity_has_its_unit() -> None:
    host = {"id": -2, "name": "h", "type": "host", "kb": 2048, "children": [0]}
    (fact,) = read_text("ceph", json.dumps({"nodes": [host]})).facts
    assert isinstance(fact, StorageNode)
    assert fact.capacity == "2048 KiB"


def test_a_host_below_two_roots_is_a_node_of_both() -> None:
    nodes = [
        {"id": -1, "name": "hdd", "type": "root", "children": [-3]},
        {"id": -2, "name": "ssd", "type": "root", "children": [-4]},
        {"id": -3, "name": "h", "type": "host", "children": [0]},
        {"id": -4, "name": "h", "type": "host", "children": [1]},
    ]
    facts = read_text("ceph", json.dumps({"nodes": nodes})).facts
    assert [fact.belongs_to for fact in facts] == ["hdd", "ssd"]


def test_lines_before_the_json_are_left_out() -> None:
    text = 'report 1188805303\nwarning: old\n {"mons": [{"name": "a", "addr": "10.0.0.1:6789/0"}]}'
    (fact,) = read_text("ceph", text).facts
    assert isinstance(fact, Host)
    assert (str(fact.where), fact.place.line) == ("10.0.0.1", 3)


def test_a_report_of_the_whole_cluster_holds_several() -> None:
    whole = {
        "monmap": {"mons": [{"name": "m", "addr": "10.0.0.1:6789/0"}]},
        "osdmap": {"osds": [{"osd": 0, "public_addr": "10.0.0.2:6800/1"}]},
        "osd_metadata": [{"id": 0, "hostname": "s", "front_addr": "10.0.0.2:6800/1"}],
    }
    facts = read_text("ceph", json.dumps(whole)).facts
    assert [(fact.kind, str(fact.where), fact.name) for fact in facts] == [
        ("host", "10.0.0.1", "m"),
        ("storage-node", "10.0.0.2", "s"),
    ]


def test_two_machines_of_one_short_name_are_not_joined() -> None:
    hosts = [
        {"hostname": "s1.a.example", "addr": "10.0.0.1"},
        {"hostname": "s1.b.example", "addr": "10.0.0.2"},
    ]
    tree = {"nodes": [{"id": -2, "name": "s1", "type": "host", "children": [0]}]}
    facts = read_text("ceph", json.dumps(hosts), json.dumps(tree)).facts
    assert [(fact.name, fact.where is None) for fact in facts] == [
        ("s1.a.example", False),
        ("s1.b.example", False),
        ("s1", True),
    ]


@pytest.mark.parametrize("text", ["{}", "[]", '{"health": {}}', "hello\n", "[global]\nfsid = 1\n"])
def test_other_files_are_told_of(text: str) -> None:
    reading = read_text("ceph", text)
    assert reading.facts == []
    assert reading.findings


def test_an_empty_file_is_nothing() -> None:
    reading = read_text("ceph", "")
    assert (reading.facts, reading.findings) == ([], [])


CRUSH = {
    "devices": [{"id": 0, "name": "osd.0"}],
    "types": [{"type_id": 1, "name": "host"}],
    "buckets": [
        {"id": -1, "name": "default", "type_name": "root", "items": [{"id": -2}]},
        {"id": -2, "name": "rack1", "type_name": "rack", "items": [{"id": -3}, {"id": -4}]},
        {"id": -3, "name": "node1", "type_name": "host", "items": [{"id": 0}, {"id": 1}]},
        {"id": -4, "name": "gone", "type_name": "host", "items": []},
        {"id": -5, "name": "node1~ssd", "type_name": "host", "items": [{"id": 0}]},
    ],
}


def test_the_crush_map_tells_of_the_same_tree() -> None:
    (fact,) = read_text("ceph", json.dumps(CRUSH)).facts
    assert isinstance(fact, StorageNode)
    assert (fact.name, fact.belongs_to, fact.crush_place) == ("node1", "rack1", "default/rack1")
    assert fact.drives == 2


def test_what_ceph_insights_has_collected_is_looked_into() -> None:
    tree = {"nodes": [
        {"id": -1, "name": "default", "type": "root", "children": [-2]},
        {"id": -2, "name": "daq", "type": "host", "children": [0]},
    ]}  # fmt: skip
    mons = {"mons": [{"name": "daq", "addr": "10.0.0.1:6789/0"}, {"name": "m", "addr": "10.0.0.2"}]}
    found = {"osd_tree": tree, "mon_map": mons, "osd_metadata": {"0": {}}, "version": {"major": 14}}
    reading = read_text("ceph", json.dumps(found))
    assert [fact.as_row() for fact in reading.facts] == [
        {"kind": "storage-node", "address": "10.0.0.1", "name": "daq", "belongs_to": "default"},
        {"kind": "host", "address": "10.0.0.2", "name": "m"},
    ]
    assert not reading.findings


def test_monitors_on_loopback_are_no_machines() -> None:
    mons = [{"name": "a", "addr": "127.0.0.1:40226/0"}, {"name": "b", "addr": ":/0"}]
    facts = read_text("ceph", json.dumps({"mons": mons})).facts
    assert [fact.name for fact in facts] == ["b"]  # one that is yet to start
