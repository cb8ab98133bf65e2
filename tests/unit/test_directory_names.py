"""Names in a hierarchy: what is read, what lies within what."""

import pytest

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import (
    AreaName,
    DomainName,
    HierarchicalName,
    Network,
    ObjectId,
    hierarchical_value,
    lies_within,
    looks_like_network,
    specificity,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("010.001.002.003", "10.1.2.3/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("fd00:1234::ffff:10.0.0.1", "fd00:1234::ffff:a00:1/128"),
    ],
)
def test_networks_are_read_and_masked(text: str, expected: str) -> None:
    assert str(Network.from_text(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "10/8",
        "10",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.2.0.0.16",  # B16
        "222.10.0.0.0/8",  # B16: an ID form
        "10.0.0.1 - 10.0.0.9",
        "::1",
        "::ffff:10.0.0.1",
        "2001:db8::/129",
        "2001:db8",
        "2001:db8:::1",
        "1" * 400 + ".0.0.0",
        "10.0.0.0/" + "9" * 5000,
        "",
    ],
)
def test_what_is_no_network(text: str) -> None:
    assert Network.from_text(text) is None


def test_order_of_key_texts_is_address_order() -> None:
    texts = ["9.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10"]
    keys = [n.key_text() for t in texts if (n := Network.from_text(t))]
    assert keys == ["009.000.000.000/8", "010.000.000.000/8", "100.064.000.000/10"]
    v6 = Network.from_text("2001:db8::/32")
    assert v6 is not None
    assert v6.key_text() == "2001:0db8:0000:0000:0000:0000:0000:0000/32"


def test_enclosing_networks_go_up_to_zero_and_stop() -> None:
    network = Network.from_text("128.0.0.0/2")
    assert network is not None
    assert [str(n) for n in network.enclosing()] == ["128.0.0.0/2", "128.0.0.0/1", "0.0.0.0/0"]
    assert network.last == 0xBFFFFFFF


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("198.41.0.0/22", "198.40.0.0/15", True),  # R2.1-2
        ("198.42.0.0/16", "198.40.0.0/15", False),
        ("198.40.0.0/15", "198.41.0.0/22", False),
        ("x.va.us", "va.us", True),  # R2.1-1
        ("va.us", "va.us", True),
        ("xva.us", "va.us", False),
        ("anything.example", ".", True),  # R2.4-6
        ("10.0.0.0/8", ".", False),
        ("2001:db8::/32", "0.0.0.0/0", False),
    ],
)
def test_within(inner: str, outer: str, expected: bool) -> None:
    def name(text: str) -> HierarchicalName:
        return Network.from_text(text) or DomainName.from_text(text)

    assert lies_within(name(inner), name(outer)) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.1.2.3", "10.1.2.3/32"),
        ("JO", "jo"),
        ("ID", "id"),
        ("-5", "-5"),
        ("COM", "com"),
        ("JOHN@B.ORG", "b.org"),
        ("X@Y@B.ORG", "b.org"),
        ("@B.ORG", "b.org"),
        ("NOC@EX", None),  # a mail address needs a dot in its domain
        ("X@B.O1", None),
        ("X@B.DE.", None),
        ("FOO BAR.A.COM", "foo bar.a.com"),
        ("555.FDDI.A.COM", "555.fddi.a.com"),
        ("ABBA.DE", "abba.de"),  # B18
        ("B.INFO", None),
        ("SMITH", None),
        (".", None),
        ("10", None),
        ("172.18", None),
        ("10.0.0.256", None),
        ("10/8", None),
        ("::1", None),
        ("", None),
        ("N0041.10.64", "n0041.10.64"),  # two digits are two characters, but in an address
        ("A@B.10", None),
        (".C1", "c1"),
        ("..C1", None),
        ("_X", None),
        ("A_B.C1", None),
        ("A_B.DE", "a_b.de"),
    ],
)
def test_place_of_a_search_value(value: str, expected: str | None) -> None:
    name = hierarchical_value(value)
    assert (None if name is None else str(name)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10.2.0.0.16", True), ("ABBA", True), ("10.0.0.0/", False), ("::1", False), ("x.y", False)],
)
def test_looks_like_network(value: str, expected: bool) -> None:
    assert looks_like_network(value) is expected


def test_area_names_fold_case_and_strip_dots() -> None:
    assert AreaName.from_text(".Example.NET.").key == "example.net"
    assert AreaName.from_text(".").place == DomainName(())
    assert AreaName.from_text("2001:db8::/32").id_suffix == "2001:db8::/32"


@pytest.mark.parametrize("text", ["", "a b", "10.0.0.0/33", "x/y", ".."])
def test_wrong_area_names_are_340(text: str) -> None:
    with pytest.raises(RwhoisError) as caught:
        AreaName.from_text(text)
    assert caught.value.code is ResponseCode.INVALID_AREA


def test_a_block_shorter_than_the_area_but_beginning_with_it_is_covered() -> None:
    area = AreaName.from_text("2001:db8::/32")
    shorter, other = Network.from_text("2001:db8::/29"), Network.from_text("2001::/16")
    assert shorter is not None
    assert other is not None
    assert area.covers(shorter)
    assert not area.covers(other)


def test_specificity_counts_bits_or_labels() -> None:
    network = Network.from_text("10.0.0.0/8")
    assert network is not None
    assert specificity(network) == 8
    assert specificity(DomainName.from_text("a.b.c")) == 3


def test_object_ids() -> None:
    assert ObjectId("7", AreaName.from_text("a.com")).to_text() == "7.a.com"
    assert ObjectId("7", AreaName.from_text(".")).to_text() == "7.root"  # N47
    with pytest.raises(ValueError, match="without period"):
        ObjectId("7.8", AreaName.from_text("a.com"))
