"""haresources: which resources are addresses, and lines that go on."""

import pytest

from tests.property.inventory_kit import read_text, rows_of


def rows(text: str) -> list[str]:
    return rows_of(read_text("heartbeat", text))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/24/eth0/192.0.2.255", "192.0.2.1"),
        ("2001:db8::1/64", "2001:db8::1"),
        ("IPaddr::192.0.2.1", "192.0.2.1"),
        ("IPaddr::192.0.2.1/24/eth0:0", "192.0.2.1"),
        ("IPaddr2::192.0.2.1/24/eth0/192.0.2.255", "192.0.2.1"),
        ("IPaddr2::192.0.2.1::eth0", "192.0.2.1"),
        ("IPv6addr::2001:db8::1/64/eth0", "2001:db8::1"),
        ("ns_IPaddr2::192.0.2.1", "192.0.2.1"),
        ("IPaddr::127.0.0.1/8", ""),
        ("IPsrcaddr::192.0.2.1", ""),
        ("SendArp::192.0.2.1/eth0", ""),
        ("Filesystem::192.0.2.1:/srv::/mnt::nfs", ""),
        ("drbddisk::r0", ""),
        ("ldirectord::ldirectord.cf", ""),
        ("apache", ""),
        ("IPaddr", ""),
        ("IPaddr::{{vip}}", ""),
    ],
)
def test_a_resource(resource: str, expected: str) -> None:
    assert rows(f"node1 {resource}\n") == ([f"vip {expected} @ node1"] if expected else [])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("node1\t192.0.2.1  192.0.2.2 httpd", id="one line, no end"),
        pytest.param("  node1 192.0.2.1 \\\n   192.0.2.2 \\\n httpd\n", id="goes on"),
        pytest.param("node1 192.0.2.1 \\\r\n192.0.2.2 httpd\r\n", id="other ends of lines"),
        pytest.param("#node1 192.0.2.9\nnode1 192.0.2.1 192.0.2.2 # 192.0.2.9\n", id="comments"),
        pytest.param("node1 192.0.2.1 192.0.2.2 \\", id="goes on into nothing"),
    ],
)
def test_a_line(text: str) -> None:
    assert rows(text) == ["vip 192.0.2.1 @ node1", "vip 192.0.2.2 @ node1"]


@pytest.mark.parametrize(
    "word",
    [
        "192.0.2.XXX",
        "192.0.2.",
        "IPaddr::<vip>",
        "IPaddr2::$VIP",
        "IPaddr::virtual_ip/mask/adapter:0",
        "IPaddr2::service.example.net/24",
    ],
)
def test_what_is_not_filled_in_is_a_warning(word: str) -> None:
    reading = read_text("heartbeat", f"# x\nnode1 {word} httpd\n")
    assert reading.facts == []
    assert [found.line for found in reading.findings] == [2]


def test_a_node_that_is_not_filled_in_owns_nothing() -> None:
    assert rows("{{node}} 192.0.2.1") == ["vip 192.0.2.1"]
