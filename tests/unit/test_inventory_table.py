"""The mapping file of the source ``table``: what it may say, and how its mistakes are told."""

from pathlib import Path
from typing import Any

import pytest

from rwhoisd.inventory.facts import Block, Forwarding, Host, RealServer, StorageNode, Vip
from rwhoisd.inventory.scan import Reading, scan
from rwhoisd.inventory.source import find_source

GOOD = '[[record]]\nconstant.kind = "host"\ncolumn.address = "IP"\n'


def read(path: Path, mapping: str, table: str, name: str = "table.csv") -> Reading:
    (path / "map.toml").write_text(mapping)
    (path / name).write_text(table)
    settings = {"mapping": str(path / "map.toml")}
    return scan(find_source("table"), [path / name], settings=settings)


def rows_of(reading: Reading) -> list[dict[str, Any]]:
    assert reading.whole, [str(failure) for failure in reading.failures]
    return [fact.as_row() for fact in reading.facts]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("", "set [[record]] once at least"),
        ("[[record]]\n", "set constant.kind or column.kind"),
        ('[[record]]\nconstant.kind = "host"\n', "set one of column.address"),
        (GOOD + 'column.first = "A"\n', "column.first and column.last go together"),
        (GOOD + 'column.kind = "Type"\n', "kind is set as a column and as a constant"),
        (GOOD + 'column.adress = "IP"\n', "did you mean 'address'?"),
        (GOOD + 'colum.name = "N"\n', "did you mean 'column'?"),
        (GOOD.replace('"host"', '"hots"'), "kind 'hots' is unknown; kinds are vip, rip"),
        (GOOD + 'map.knd = {a = "vip"}\n', "map.knd is no field"),
        (GOOD + 'map.kind = {a = "vipp"}\n', "kind 'vipp' is unknown"),
        (GOOD + 'map.forwarding = {a = "dsr"}\n', "forwarding 'dsr' is unknown"),
        (GOOD + "only.Type = 5\n", "record.0.only.Type"),
        ('separator = "::"\n' + GOOD, "separator"),
        ('format = "xml"\n' + GOOD, "format"),
        ("[[record]\n", "is no TOML"),
        (GOOD + 'column.name = "Nme"\n', "names column 'Nme'; "),
    ],
)
def test_a_mistake_in_a_mapping_is_told(tmp_path: Path, mapping: str, said: str) -> None:
    reading = read(tmp_path, mapping, "IP,Name\n192.0.2.1,a\n")
    assert reading.facts == []
    assert said in str(reading.failures[0])
    assert str(tmp_path / "map.toml") in str(reading.failures[0])


def test_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    reading = read(tmp_path, "# one\n" + GOOD + 'column.naem = "N"\n', "IP\n192.0.2.1\n")
    assert "map.toml:5: error: " in str(reading.failures[0])


def test_a_column_that_is_not_there_is_told_with_the_line_of_the_mapping(tmp_path: Path) -> None:
    reading = read(tmp_path, GOOD, "Address\n192.0.2.1\n")
    assert "map.toml:3: error: names column 'IP'" in str(reading.failures[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, "need mapping"), ({"mapping": "/nowhere.toml"}, "cannot be read"),
     ({"mapping": "m", "mapp": "x"}, "'mapp' is unknown")],
)  # fmt: skip
def test_settings_are_checked(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    reading = scan(find_source("table"), [], settings=settings)
    assert said in str(reading.failures[0])


def test_fields_that_no_row_shows_are_filled_as_well(tmp_path: Path) -> None:
    mapping = """
[[record]]
column.kind = "k"
column.address = "ip"
column.prefix = "net"
column.forwarding = "way"
column.standby = "standby"
column.drives = "drives"
column.capacity = "size"
column.site = "site"
column.tenant = "who"
column.aliases = "also"
column.pool = "pool"
column.on-loopback = "lo"
"""
    table = """k,ip,net,way,standby,drives,size,site,who,also,pool,lo
vip,192.0.2.1,,dsr,,,,,,,web,yes
rip,192.0.2.2,,NAT,x,,,,,,web,
storage-node,192.0.2.3,,,,12,120 TB,,,,,
network,,192.0.2.0/24,,,,,fra1,Acme,,,
host,192.0.2.4,,,,,,,,"a, b",,
"""
    found = read(tmp_path, mapping, table).facts
    vip, rip, node, block, host = found
    assert isinstance(vip, Vip)
    assert (vip.forwarding, vip.pool, vip.on_loopback) == (Forwarding.DSR, "web", True)
    assert isinstance(rip, RealServer)
    assert (rip.forwarding, rip.standby) == (Forwarding.NAT, True)
    assert isinstance(node, StorageNode)
    assert (node.drives, node.capacity) == (12, "120 TB")
    assert isinstance(block, Block)
    assert (block.site, block.tenant) == ("fra1", "Acme")
    assert isinstance(host, Host)
    assert host.aliases == ("a", "b")


def test_a_table_without_a_header_has_its_columns_in_the_mapping(tmp_path: Path) -> None:
    mapping = 'columns = ["IP", "", "N"]\n' + GOOD + 'column.name = "N"\n'
    reading = read(tmp_path, mapping, "192.0.2.1|x|web1\n192.0.2.2|x|web2\n")
    assert rows_of(reading) == [
        {"kind": "host", "address": "192.0.2.1", "name": "web1"},
        {"kind": "host", "address": "192.0.2.2", "name": "web2"},
    ]


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ('only.S = "live"', ["a"]),
        ('only.S = ["live", "new"]', ["a", "b"]),
        ('only.S = "*"', ["a", "b"]),
        ('not.S = "*"', ["c"]),
        ('not.S = ["new", ""]', ["a"]),
        ('only.S = "live"\nnot.N = "a"', []),
    ],
)
def test_rows_are_chosen_by_their_words(tmp_path: Path, only: str, names: list[str]) -> None:
    table = "IP,N,S\n192.0.2.1,a,live\n192.0.2.2,b,new\n192.0.2.3,c,\n"
    reading = read(tmp_path, GOOD + 'column.name = "N"\n' + only + "\n", table)
    assert [row["name"] for row in rows_of(reading)] == names


@pytest.mark.parametrize(
    ("column", "cell", "found"),
    [
        ("address", "192.0.2.1/24", {"address": "192.0.2.1"}),
        ("address", "2001:DB8::1", {"address": "2001:db8::1"}),
        ("prefix", "192.0.2.7/24", {"prefix": "192.0.2.0/24"}),
        ("range", "192.0.2.3-9", {"range": "192.0.2.3-192.0.2.9"}),
        ("range", "192.0.2.0-192.0.2.255", {"range": "192.0.2.0-192.0.2.255"}),
    ],
)
def test_a_cell_is_read_as_its_field_says(
    tmp_path: Path, column: str, cell: str, found: dict[str, str]
) -> None:
    mapping = f'[[record]]\nconstant.kind = "network"\ncolumn.{column} = "W"\n'
    assert rows_of(read(tmp_path, mapping, f"W\n{cell}\n")) == [{"kind": "network", **found}]


@pytest.mark.parametrize("cell", ["192.0.2.256", "{{ ip }}", "web1"])
def test_a_cell_that_is_no_address_is_a_warning(tmp_path: Path, cell: str) -> None:
    reading = read(tmp_path, GOOD, f"IP\n{cell}\n192.0.2.1\n")
    assert rows_of(reading) == [{"kind": "host", "address": "192.0.2.1"}]
    assert [finding.line for finding in reading.findings] == [2]


def test_a_port_that_is_none_leaves_the_address(tmp_path: Path) -> None:
    mapping = GOOD + 'column.port = "P"\nconstant.protocol = "udp"\n'
    reading = read(tmp_path, mapping, "IP,P\n192.0.2.1,domain\n192.0.2.2,0\n192.0.2.3,53/tcp\n")
    assert rows_of(reading) == [
        {"kind": "host", "address": "192.0.2.1", "port": 53, "protocol": "udp"},
        {"kind": "host", "address": "192.0.2.2"},
        {"kind": "host", "address": "192.0.2.3", "port": 53, "protocol": "tcp"},
    ]
    assert [finding.line for finding in reading.findings] == [3]


def test_rows_that_are_not_where_the_mapping_says_are_told(tmp_path: Path) -> None:
    reading = read(tmp_path, 'rows = "a.b"\n' + GOOD, '{"a": {"c": []}}', "table.json")
    assert "has nothing at 'a.b'" in str(reading.failures[0])


def test_a_key_with_dots_in_it_is_found(tmp_path: Path) -> None:
    mapping = GOOD.replace('"IP"', '"net.ip"')
    reading = read(tmp_path, mapping, '[{"net.ip": "192.0.2.1"}]', "table.json")
    assert rows_of(reading) == [{"kind": "host", "address": "192.0.2.1"}]


def test_a_key_that_json_leaves_out_is_only_a_warning(tmp_path: Path) -> None:
    reading = read(tmp_path, GOOD + 'column.name = "N"\n', '[{"IP": "192.0.2.1"}]', "table.json")
    assert rows_of(reading) == [{"kind": "host", "address": "192.0.2.1"}]
    assert len(reading.findings) == 1
