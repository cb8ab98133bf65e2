"""Words of operators' files: what is an address, a range, a port, a name, a placeholder."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Span


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1/24 ", "192.0.2.1"),
        ("192.0.2.1 / 24", "192.0.2.1"),
        ("010.001.002.003", "10.1.2.3"),
        ("000.0.0.0", "0.0.0.0"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::A/64", "2001:db8::a"),
        ("192.0.2.256", None),
        ("192.0.2", None),
        ("192.0.2.1:80", None),
        ("3221225985", None),
        ("", None),
        ("/24", None),
        ("[192.0.2.1", None),
        ("web1", None),
        ("١٩٢.0.2.1", None),
    ],
)
def test_address(text: str, found: str | None) -> None:
    assert words.address(text) == (found and ip_address(found))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.128", "192.0.2.0/25"),
        ("2001:db8::7/64", "2001:db8::/64"),
        ("192.0.2.1", None),
        ("192.0.2.1/33", None),
        ("192.0.2.1/", None),
        ("a/24", None),
    ],
)
def test_prefix(text: str, found: str | None) -> None:
    assert words.prefix(text) == (found and ip_network(found))


def test_network_of_an_address_and_its_mask() -> None:
    assert words.network_of("192.0.2.7", "255.255.255.0") == ip_network("192.0.2.0/24")
    assert words.network_of("192.0.2.7/32", "24") == ip_network("192.0.2.0/24")
    assert words.network_of("192.0.2.7", "wide") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.0-192.0.2.255", "192.0.2.0-192.0.2.255"),
        ("192.0.2.0 - 192.0.2.127", "192.0.2.0-192.0.2.127"),
        ("192.0.2.1-9", "192.0.2.1-192.0.2.9"),
        ("192.0.2.1,192.0.2.9", "192.0.2.1-192.0.2.9"),
        ("192.0.2.1-192.0.2.1", "192.0.2.1-192.0.2.1"),
        ("192.0.2.8/30", "192.0.2.8/30"),
        ("192.0.2.8", "192.0.2.8"),
        ("2001:db8::1-ff", "2001:db8::1-2001:db8::ff"),
        ("2001:db8::-2001:db8::ffff", "2001:db8::-2001:db8::ffff"),
        ("192.0.2.9-192.0.2.1", "None"),
        ("192.0.2.1-2001:db8::1", "None"),
        ("192.0.2.1-", "None"),
        ("-192.0.2.1", "None"),
        ("a-b", "None"),
    ],
)
def test_span(text: str, found: str) -> None:
    assert str(words.span(text)) == found


@given(
    first=st.integers(0, 2**32 - 1).map(lambda n: ip_address(n)),
    size=st.integers(0, 300),
)
def test_a_range_holds_the_addresses_between_its_ends(first: object, size: int) -> None:
    start = int(first)  # type: ignore[call-overload]
    last = min(start + size, 2**32 - 1)
    found = words.addresses_of(f"{first}-{ip_address(last)}")
    assert found is not None
    assert [int(one) for one in found] == list(range(start, last + 1))


def test_a_range_of_too_many_addresses_is_not_expanded() -> None:
    assert words.addresses_of("10.0.0.0/8") is None
    assert words.addresses_of("::/0") is None
    assert words.addresses_of("192.0.2.0-192.0.2.9", most=10) is not None
    assert words.addresses_of("192.0.2.0-192.0.2.9", most=9) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("443", 443), (" 443 ", 443), ("https", 443), ("HTTPS", 443), ("mysql", 3306),
        ("65535", 65535), ("0", None), ("65536", None), ("99999999999", None), ("-1", None),
        ("", None), ("x", None), ("٤٤٣", None), ("4 43", None),
    ],
)  # fmt: skip
def test_port(text: str, found: int | None) -> None:
    assert words.port(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web1:80", ("web1", "80")),
        ("web1", ("web1", "")),
        ("[2001:db8::1]:443", ("2001:db8::1", "443")),
        ("[2001:db8::1]", ("2001:db8::1", "")),
        ("2001:db8::1", ("2001:db8::1", "")),
        (":80", ("", "80")),
        ("", ("", "")),
    ],
)
def test_host_port(text: str, found: tuple[str, str]) -> None:
    assert words.host_port(text) == found


def test_protocols() -> None:
    assert [words.protocol(text) for text in ("TCP", " udp ", "sctp", "icmp", "")] == [
        "tcp", "udp", "sctp", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["<vip>", "{{ vip }}", "${VIP}", "$VIP", "%VIP%", "@VIP@", "X.X.X.222", "192.0.2.XXX", "x.x.x"],
)
def test_placeholders_are_no_names(text: str) -> None:
    assert words.is_placeholder(text)
    assert not words.is_host_name(text)


@pytest.mark.parametrize(
    "text", ["web1", "web-1.example.net", "web_1", "1a", "x1", "xn--caf-dma.a"]
)
def test_host_names(text: str) -> None:
    assert words.is_host_name(text)
    assert not words.is_placeholder(text)


@pytest.mark.parametrize(
    "text", ["", "192.0.2.1", "192.0.2", "7", "a b", "-a", "a..b", "a\nb", "a" * 254, "a" * 64, "ä"]
)
def test_what_is_no_host_name(text: str) -> None:
    assert not words.is_host_name(text)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("192.0.2.1", True), ("10.0.0.1", True), ("2001:db8::1", True), ("fd00::1", True),
        ("127.0.0.1", False), ("0.0.0.0", False), ("169.254.1.1", False), ("224.0.0.18", False),
        ("255.255.255.255", False), ("::", False), ("::1", False), ("fe80::1", False),
        ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:192.0.2.1", True),
    ],
)  # fmt: skip
def test_what_may_be_published(text: str, may: bool) -> None:
    assert words.is_publishable(ip_address(text)) is may


def test_everything_at_once_is_no_allocation() -> None:
    assert not words.is_publishable(ip_network("0.0.0.0/0"))
    assert not words.is_publishable(ip_network("::/0"))
    assert words.is_publishable(ip_network("192.0.2.0/24"))
    assert not words.is_publishable(Span(ip_address("127.0.0.1"), ip_address("127.0.0.9")))


@given(st.text(max_size=60))
def test_no_word_is_too_strange(text: str) -> None:
    for ask in (
        words.address, words.prefix, words.span, words.port, words.host_port, words.protocol,
        words.is_placeholder, words.is_host_name, words.addresses_of,
    ):  # fmt: skip
        ask(text)
