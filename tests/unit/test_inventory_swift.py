"""OpenStack Swift: tables of the builder, commands, hosts."""

from pathlib import Path

import pytest

from rwhoisd.inventory.facts import StorageNode
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import find_source
from tests.property.inventory_kit import read_text

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "swift"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("object.builder.txt", ("10.60.0.1", 2, "region 1/zone 1")),
        ("rings.sh", ("10.60.0.1", 2, "region 1/zone 1")),
        ("swift.yml", ("10.60.0.1", None, "region 1/zone 0")),
    ],
)
def test_drives_and_zone(name: str, found: tuple[str, int | None, str]) -> None:
    reading = scan(find_source("swift"), [FIXTURES / name])
    node = next(fact for fact in reading.facts if isinstance(fact, StorageNode))
    assert (str(node.where), node.drives, node.crush_place) == found


@pytest.mark.parametrize(
    ("command", "hosts"),
    [
        ("add z1-10.0.0.1:6200/sdb 100", ["10.0.0.1"]),
        ("add r1z1-10.0.0.1:6200R10.1.0.1:6200/sdb 100", ["10.0.0.1", "10.1.0.1"]),
        ("add r1z1-10.0.0.1:6200/sdb1_meta 1 r1z2-10.0.0.2:6200/sdb1 1", ["10.0.0.1", "10.0.0.2"]),
        ("add -r 1 -z 1 -i 10.0.0.1 -p 6200 -d sdb -w 1", ["10.0.0.1"]),
        ("add --ip=10.0.0.1 --port=6200 --device=sdb", ["10.0.0.1"]),
        ("add --ip 2001:db8::1 --port 6200 --device sdb", ["2001:db8::1"]),
        ("add --ip 10.0.0.1 -m 'it is'nt closed", ["10.0.0.1"]),
        ("add r1z1-10.0.0.1:6200/sdb 100 # was 10.9.9.9", ["10.0.0.1"]),
        ("search r1z1-10.0.0.1:6200/sdb", []),
        ("set_info r1z1-10.0.0.1:6200/sdb 10.0.0.2:6200/sdb", []),
        ("rebalance", []),
        ("add", []),
        ("add --ip", []),
    ],
)
def test_commands(command: str, hosts: list[str]) -> None:
    facts = read_text("swift", f"$ swift-ring-builder object.builder {command}\n").facts
    assert [str(fact.where) for fact in facts] == hosts


def test_a_table_ends_where_its_rows_end() -> None:
    head = "Devices: id region zone ip address port name"
    text = f"{head}\n 0 1 1 10.0.0.1 6200 sdb\nend\n 1 1 1 10.0.0.2 6200 sdb\n"
    assert [str(fact.where) for fact in read_text("swift", text).facts] == ["10.0.0.1"]


@pytest.mark.parametrize(
    "text",
    ["", "0 1 1 10.0.0.1 6200 sdb\n", "swift_hosts:\n", "x_hosts: [1]\n", "swift_hosts: 1\n"],
)
def test_what_is_no_ring_gives_nothing(text: str) -> None:
    assert read_text("swift", text).facts == []
