"""Hosts files."""

import pytest

from rwhoisd.directory.schema import AttributeDef, ClassDef
from rwhoisd.formats.export_hosts import Address, Hosts, host_name
from tests.export_kit import area, entry


def hosts(*objects: tuple[str, str]) -> tuple[list[str], list[str]]:
    export = Hosts()
    text = export.text(entry(c, "ID: H\n" + t) for c, t in objects)
    header, *lines = text.splitlines()
    assert header.startswith("#")
    return lines, [f.message for f in export.findings]


def test_addresses_in_order_with_their_names() -> None:
    lines, findings = hosts(
        ("vip", "Host-Name: www.example.net\nIP-Address: 203.0.113.80\nIP-Address: 2001:db8::80"),
        ("host", "Host-Name: NS1.Example.net.\nIP-Address: 192.0.2.53"),
        ("real-server", "Host-Name: web1\nIP-Address: 10.0.0.5/24"),
        ("database-node", "Host-Name: db1\nIP-Address: 9.255.255.255/32"),
        ("storage-node", "Host-Name: osd-1\nIP-Address: 010.000.000.006"),
    )
    assert lines == [
        "9.255.255.255 db1",
        "10.0.0.5 web1",
        "10.0.0.6 osd-1",
        "192.0.2.53 ns1.example.net",
        "203.0.113.80 www.example.net",
        "2001:db8::80 www.example.net",
    ]
    assert findings == []


def test_names_of_a_class_of_ones_own() -> None:
    brick = ClassDef("brick", (AttributeDef("Node-Name"), AttributeDef("IP-Address")), ("host",))
    found = entry("host", "Node-Name: brick1\nIP-Address: 10.0.0.7", area("a.com", brick))
    assert Hosts().text([found]).splitlines()[1:] == ["10.0.0.7 brick1"]


def test_an_address_stands_on_one_line() -> None:
    lines, _ = hosts(
        ("host", "Host-Name: a.example.net\nIP-Address: 192.0.2.1"),
        ("vip", "Host-Name: b.example.net\nIP-Address: 192.0.2.1/32"),
        ("host", "Host-Name: A.example.net\nIP-Address: 192.0.2.1"),
    )
    assert lines == ["192.0.2.1 a.example.net b.example.net"]


@pytest.mark.parametrize(
    ("facts", "finding"),
    [
        ("Host-Name: a b\nIP-Address: 192.0.2.1", "'a b' is no host name"),
        ("Host-Name: a#b\nIP-Address: 192.0.2.1", "'a#b' is no host name"),
        ("Host-Name: host_1\nIP-Address: 192.0.2.1", "'host_1' is no host name"),
        ("Host-Name: 192.0.2.9\nIP-Address: 192.0.2.1", "'192.0.2.9' is no host name"),
        ("Host-Name: a\nIP-Address: 192.0.2.0/24", "'192.0.2.0/24' is no address"),
        ("Host-Name: a\nIP-Address: 192.0.2.1 x", "'192.0.2.1 x' is no address"),
        ("Host-Name: a\nIP-Address: 192.0.2.1/33", "'192.0.2.1/33' is no address"),
    ],
)
def test_what_would_break_the_file_is_left_out(facts: str, finding: str) -> None:
    assert hosts(("host", facts)) == ([], [f"H: {finding}; left out"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a", "a"),
        ("A-1.Example.", "a-1.example"),
        ("3com.example", "3com.example"),
        *(("-a", None), ("a-", None), ("a..b", None), ("", None), (".", None), ("ä", None)),
        *(("a" * 64, None), (".".join(["a" * 63] * 4), None), ("a\n", None)),
    ],
)
def test_host_names(text: str, name: str | None) -> None:
    assert host_name(text) == name


def test_addresses_are_written_shortest() -> None:
    assert str(Address.from_text("2001:0db8:0::0001")) == "2001:db8::1"
    assert Address.from_text("") is None
