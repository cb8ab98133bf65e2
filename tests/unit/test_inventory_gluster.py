"""GlusterFS: peers, volumes, heketi; text, XML and JSON."""

from pathlib import Path

import pytest

from rwhoisd.inventory.facts import StorageNode
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import find_source
from tests.property.inventory_kit import read_text

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "gluster"


def nodes_of(name: str) -> list[StorageNode]:
    reading = scan(find_source("gluster"), [FIXTURES / name])
    return [fact for fact in reading.facts if isinstance(fact, StorageNode)]


def test_bricks_are_counted_per_volume() -> None:
    counted = {(node.name, node.belongs_to): node.drives for node in nodes_of("volume-info.txt")}
    assert counted == {
        ("brick1", "media"): 2,
        ("brick1", "backup"): 1,
        ("brick2", "media"): 2,
        (None, "media"): 2,
    }


def test_heketi_tells_zone_drives_and_capacity() -> None:
    found = [(node.crush_place, node.drives, node.capacity) for node in nodes_of("topology.json")]
    assert found == [
        ("zone 1", 2, None),
        ("zone 2", 2, "3000 KiB"),
        ("zone 2", None, None),
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param(
            "Hostname: a\nUuid: 1\nOther names:\nb.example\nHostname: c\n",
            [("a", None), ("c", None)],
            id="other names end with the next peer",
        ),
        pytest.param(
            "Hostname: a\nOther names:\n2001:db8::1\n\nVolume Name: v\nBrick1: a:/x\n",
            [("2001:db8::1", "v")],
            id="an IPv6 address among other names",
        ),
        pytest.param(
            "Status of volume: v\nBrick store1.example:/gluster/long-\npath  49152 0 Y 11\n"
            "NFS Server on localhost  2049 0 Y 12\nSelf-heal Daemon on store2 N/A N/A Y 13\n",
            [("store1.example", "v")],
            id="volume status",
        ),
        pytest.param(
            "Cluster Id: 1\n    Node Id: 2\n    State: online\n"
            "    Management Hostnames: m1.example\n    Storage Hostnames: 10.0.0.1\n",
            [("10.0.0.1", None)],
            id="heketi's topology as text",
        ),
        pytest.param(
            "uuid=f6fa44e7\nstate=3\nhostname1=a\nhostname2=10.0.0.2\n",
            [("10.0.0.2", None)],
            id="a file of /var/lib/glusterd/peers",
        ),
        pytest.param("Number of Peers: 0\n", [], id="no peers"),
        pytest.param("Brick1 VG: x\nBrick1: no brick\nBrick2: <a>:/x\n", [], id="no bricks"),
        pytest.param('{"clusters": [{"nodes": [{"node": 1}, 2]}]}', [], id="a topology of nothing"),
        pytest.param('{"x": 1}', [], id="JSON of others"),
        pytest.param("<a><volume><name>v</name></volume></a>", [], id="a volume without bricks"),
    ],
)
def test_outputs(text: str, rows: list[tuple[str, str | None]]) -> None:
    facts = read_text("gluster", text).facts
    assert [(str(fact.where or fact.name), fact.belongs_to) for fact in facts] == rows


def test_volume_status_in_xml() -> None:
    text = """<cliOutput><volStatus><volumes><volume><volName>v</volName>
        <node><hostname>a</hostname><path>/bricks/a</path></node>
        <node><hostname>Self-heal Daemon</hostname><path>localhost</path></node>
        </volume></volumes></volStatus></cliOutput>"""
    (fact,) = read_text("gluster", text).facts
    assert (fact.name, fact.belongs_to) == ("a", "v")


def test_a_torn_file_does_not_hide_the_others() -> None:
    reading = read_text("gluster", "<cliOutput><peer>", "Hostname: a\n")
    assert [fact.name for fact in reading.facts] == ["a"]
    assert any("not the whole source" in str(found) for found in reading.findings)
