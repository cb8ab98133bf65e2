"""Hosts files: one host for each address, by its first name."""

import pytest

from rwhoisd.inventory.facts import Host
from tests.property.inventory_kit import read_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("10.0.0.1 a b", {"10.0.0.1": ("a", ("b",))}, id="aliases"),
        pytest.param(
            "10.0.0.1 a\n10.0.0.2 c\n10.0.0.1 r1 a",
            {"10.0.0.1": ("a", ("r1",)), "10.0.0.2": ("c", ())},
            id="an address on several lines",
        ),
        pytest.param("\t10.0.0.1\ta#b c", {"10.0.0.1": ("a", ())}, id="remark without a blank"),
        pytest.param("2001:DB8:0::1 a", {"2001:db8::1": ("a", ())}, id="canonical form"),
        pytest.param("10.0.0.1 localhost a", {"10.0.0.1": ("a", ())}, id="distribution's name"),
        pytest.param("10.0.0.1 a.example.net.", {"10.0.0.1": ("a.example.net.", ())}, id="dot"),
        pytest.param("127.0.1.1 a\n::1 b\n0.0.0.0 ads\nfe80::1%lo0 c", {}, id="never published"),
        pytest.param("fe00::0 ip6-localnet\n10.0.0.1 ip6-allnodes", {}, id="distribution"),
        pytest.param("# 10.0.0.1 a\n#10.0.0.2 b\n\n", {}, id="remarks"),
    ],
)
def test_hosts_by_address(text: str, expected: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    reading = read_text("hosts", text)
    found = {str(f.where): (f.name, f.aliases) for f in reading.facts if isinstance(f, Host)}
    assert found == expected
    assert reading.findings == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param("{{ ip }} web", "to be filled in", id="address of a template"),
        pytest.param("10.0.0.X web", "to be filled in", id="address with an X"),
        pytest.param("10.0.0.1 <name>", "to be filled in", id="name of a template"),
        pytest.param("10.0.0.1", "no name", id="address alone"),
        pytest.param("web 10.0.0.1", "address is none", id="the wrong way round"),
    ],
)
def test_a_line_that_says_nothing_is_warned_about(line: str, says: str) -> None:
    reading = read_text("hosts", f"# first\n{line}\n10.0.0.9 good")
    assert [str(fact.where) for fact in reading.facts] == ["10.0.0.9"]
    assert [(found.line, says in found.message) for found in reading.findings] == [(2, True)]


@pytest.mark.parametrize("names", ["*.apps.example.net", "-web", "m\xfcller", "ansible_port=22"])
def test_an_address_is_in_use_whatever_it_is_called(names: str) -> None:
    reading = read_text("hosts", f"10.0.0.1 {names}\n10.0.0.2 {names} b")
    found = [(str(f.where), f.name) for f in reading.facts]
    assert found == [("10.0.0.1", None), ("10.0.0.2", "b")]
    assert [(one.line, "no host name" in one.message) for one in reading.findings] == [
        (1, True),
        (2, True),
    ]
