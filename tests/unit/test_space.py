"""Free blocks, how full a block is, what addresses an object has."""

import pytest

from rwhoisd.directory.names import AddressRange, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.space import (
    addresses_of,
    blocks_of,
    free_block,
    gaps,
    parse_size,
    usage,
    where_attribute,
)
from rwhoisd.formats.classes import shipped


def net(text: str) -> Network:
    found = Network.from_text(text)
    assert found is not None
    return found


def spans(*texts: str) -> list[AddressRange]:
    found = [AddressRange.from_text(text) for text in texts]
    assert None not in found
    return [span for span in found if span is not None]


@pytest.mark.parametrize(
    ("outer", "taken", "length", "found"),
    [
        pytest.param("192.0.2.0/24", [], 29, "192.0.2.0/29", id="empty"),
        pytest.param("192.0.2.0/24", ["192.0.2.0/26"], 29, "192.0.2.64/29", id="behind"),
        pytest.param("192.0.2.0/24", ["192.0.2.1"], 29, "192.0.2.8/29", id="aligned"),
        pytest.param(
            "192.0.2.0/24", ["192.0.2.0/25", "192.0.2.192/26"], 26, "192.0.2.128/26", id="hole"
        ),
        pytest.param("192.0.2.0/24", ["192.0.2.3 - 192.0.2.200"], 27, "192.0.2.224/27", id="range"),
        pytest.param("192.0.2.0/24", ["192.0.0.0/16"], 32, None, id="all"),
        pytest.param("192.0.2.0/24", ["192.0.2.127", "192.0.2.128"], 25, None, id="two-halves"),
        pytest.param("192.0.2.0/24", ["2001:db8::/32"], 24, "192.0.2.0/24", id="other-family"),
        pytest.param("2001:db8::/32", ["2001:db8::/48"], 48, "2001:db8:1::/48", id="version-6"),
        pytest.param("2001:db8::/32", ["2001:db8::1"], 33, "2001:db8:8000::/33", id="half"),
        pytest.param("255.255.255.0/24", [], 32, "255.255.255.0/32", id="end-of-space"),
    ],
)
def test_the_lowest_free_block(
    outer: str, taken: list[str], length: int, found: str | None
) -> None:
    block = free_block(net(outer), spans(*taken), length)
    assert (str(block) if block else None) == found


@pytest.mark.parametrize("length", [23, 33, -1])
def test_a_block_cannot_be_larger_than_what_it_comes_from(length: int) -> None:
    with pytest.raises(ValueError, match="has a length of 24 to 32"):
        free_block(net("192.0.2.0/24"), [], length)


@pytest.mark.parametrize(("text", "length"), [("29", 29), ("/29", 29), ("32", 32)])
def test_a_size_is_a_prefix_length(text: str, length: int) -> None:
    assert parse_size(text, net("192.0.2.0/24")) == length


@pytest.mark.parametrize("text", ["24", "33", "", "/", "x", "-1", "²9"])
def test_a_wrong_size_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="25 to 32"):
        parse_size(text, net("192.0.2.0/24"))


def test_each_address_counts_once() -> None:
    [outer] = spans("192.0.2.0/24")
    one = usage(outer, spans("192.0.2.0/26", "192.0.2.0/28", "192.0.2.60 - 192.0.2.70"))
    assert (one.size, one.used, str(one.largest_free)) == (256, 71, "192.0.2.128/25")
    assert usage(outer, []).share == 0
    assert usage(outer, spans("10.0.0.0/8")).used == 0
    full = usage(outer, spans("192.0.0.0/16"))
    assert (full.share, full.largest_free) == (1, None)


def test_nearly_full_is_not_full() -> None:
    [outer] = spans("2001:db8::/32")
    nearly = usage(outer, spans("2001:db8::1 - 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"))
    assert nearly.share < 1
    assert usage(outer, spans("2001:db8::1")).share > 0


def test_gaps_and_blocks() -> None:
    [outer] = spans("192.0.2.0/28")
    free = list(gaps(outer, spans("192.0.2.3", "192.0.2.15")))
    assert [str(gap) for gap in free] == ["192.0.2.0 - 192.0.2.2", "192.0.2.4 - 192.0.2.14"]
    assert [str(block) for block in blocks_of(free[1])] == [
        "192.0.2.4/30",
        "192.0.2.8/30",
        "192.0.2.12/31",
        "192.0.2.14/32",
    ]
    [everything] = spans("0.0.0.0/0")
    assert [str(block) for block in blocks_of(everything)] == ["0.0.0.0/0"]


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("network", "IP-Network"), ("vip", "IP-Address"), ("host", "IP-Address"), ("contact", None)],
)
def test_which_attribute_holds_addresses(name: str, attribute: str | None) -> None:
    assert where_attribute(shipped(name)) == attribute


def test_addresses_of_an_object() -> None:
    obj = Object("a.com", "host", (("Host-Name", "a"), ("IP-Address", "10.0.0.1"), ("N", "10.1")))
    assert [str(s) for s in addresses_of(obj, shipped("host"))] == ["10.0.0.1/32"]
    assert [str(s) for s in addresses_of(obj, None)] == ["10.0.0.1/32"]
    assert addresses_of(obj, shipped("contact")) == []
