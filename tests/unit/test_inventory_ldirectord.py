"""ldirectord: services, real servers with their defaults, ranges, fallbacks, odd files."""

import pytest

from rwhoisd.inventory.facts import Forwarding, RealServer
from tests.property.inventory_kit import read_text, rows_of


def rows(text: str) -> list[str]:
    return rows_of(read_text("ldirectord", text))


@pytest.mark.parametrize(
    ("virtual", "settings", "expected"),
    [
        pytest.param("192.0.2.1:80", "", "192.0.2.1 80/tcp", id="tcp is the default"),
        pytest.param("192.0.2.1:http", "", "192.0.2.1 80/tcp", id="port by name"),
        pytest.param("192.0.2.1:80", "\tprotocol=udp", "192.0.2.1 80/udp", id="udp"),
        pytest.param("192.0.2.1:80", "\tprotocol = UDP # x", "192.0.2.1 80/udp", id="spaced"),
        pytest.param("192.0.2.1:53", "", "192.0.2.1 53/udp", id="names are udp"),
        pytest.param("192.0.2.1:domain", "\tprotocol=tcp", "192.0.2.1 53/tcp", id="names over tcp"),
        pytest.param("192.0.2.1:80", "\tservicename=Shop", "192.0.2.1 80/tcp = Shop", id="title"),
        pytest.param("192.0.2.1", "", "192.0.2.1", id="all ports"),
        pytest.param("[2001:db8::1]:80", "", "2001:db8::1 80/tcp", id="v6"),
        pytest.param("vip.example.net:80", "", "80/tcp = vip.example.net", id="by name"),
    ],
)
def test_a_virtual_service_is_a_vip(virtual: str, settings: str, expected: str) -> None:
    assert rows(f"virtual={virtual}\n{settings}\n") == [f"vip {expected}"]


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        pytest.param("10.0.0.1:8080 gate", ["10.0.0.1 8080/tcp"], id="own port"),
        pytest.param("10.0.0.1 gate 5", ["10.0.0.1 80/tcp"], id="port of the service"),
        pytest.param("10.0.0.1:www\tmasq", ["10.0.0.1 80/tcp"], id="port by name, a tab"),
        pytest.param("10.0.0.1::8080 gate", ["10.0.0.1 8080/tcp"], id="two colons of the sample"),
        pytest.param("10.0.0.1:nosuch gate", ["10.0.0.1 80/tcp"], id="unknown port"),
        pytest.param("web1.example.net:80 gate", ["80/tcp = web1.example.net"], id="name"),
        pytest.param(
            "10.0.0.1->10.0.0.3:81 gate",
            ["10.0.0.1 81/tcp", "10.0.0.2 81/tcp", "10.0.0.3 81/tcp"],
            id="range",
        ),
        pytest.param("web1->web3:81 gate", ["81/tcp = web1", "81/tcp = web3"], id="range of names"),
        pytest.param(
            "10.0.0.0->10.9.9.9:81 gate", ["10.0.0.0 81/tcp", "10.9.9.9 81/tcp"], id="big"
        ),
        pytest.param("127.0.0.1:80 gate", [], id="this machine"),
        pytest.param("<real>:80 gate", [], id="placeholder"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_a_real_server(real: str, expected: list[str]) -> None:
    found = rows(f"virtual=192.0.2.1:80\n\treal={real}\n")
    assert found[1:] == [f"rip {row} @ 192.0.2.1:80/tcp" for row in expected]


def test_a_mark_has_real_servers_and_no_vip() -> None:
    assert rows(
        "virtual=7\n    real=10.0.0.1 gate\n    real=10.0.0.2:21 gate\n    protocol=fwm"
    ) == [
        "rip 10.0.0.1 @ fwmark:7",
        "rip 10.0.0.2 21/tcp @ fwmark:7",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "virtual=192.0.2.1:80\n\tfallback=10.0.0.9:81\n", ["10.0.0.9 81/tcp"], id="own"
        ),
        pytest.param("fallback=10.0.0.9\nvirtual=192.0.2.1:80\n", ["10.0.0.9 80/tcp"], id="of all"),
        pytest.param(
            "virtual=192.0.2.1:80\nfallback=10.0.0.9:80\n", ["10.0.0.9 80/tcp"], id="below"
        ),
        pytest.param(
            "fallback=10.0.0.9\nvirtual=192.0.2.1:80\n\tfallback=127.0.0.1:80\n", [], id="here"
        ),
        pytest.param(
            "fallback6=[2001:db8::9]:80\nvirtual=192.0.2.1:80\n", [], id="of the other kind"
        ),
        pytest.param("fallback=127.0.0.1:80\nvirtual=192.0.2.1:80\n", [], id="loopback"),
    ],
)
def test_a_fallback_is_a_standby(text: str, expected: list[str]) -> None:
    facts = read_text("ldirectord", text).facts
    found = [fact for fact in facts if isinstance(fact, RealServer)]
    assert [f"{fact.where} {fact.service}" for fact in found] == expected
    assert all(fact.standby and fact.belongs_to == "192.0.2.1:80/tcp" for fact in found)


@pytest.mark.parametrize(
    ("word", "way"),
    [
        ("gate", Forwarding.DSR),
        ("masq", Forwarding.NAT),
        ("ipip", Forwarding.TUNNEL),
        ("", None),
        ("5", None),
    ],
)
def test_the_way_of_forwarding(word: str, way: Forwarding | None) -> None:
    vip, real = read_text("ldirectord", f"virtual=192.0.2.1:80\n\treal=10.0.0.1:80 {word}\n").facts
    assert getattr(vip, "forwarding", "") is way
    assert getattr(real, "forwarding", "") is way


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            "\tservice=http\n# a note\n\treal=10.0.0.1:80 gate\n", id="comment at column 0"
        ),
        pytest.param("\tservice=http\n\n\treal=10.0.0.1:80 gate\n", id="blank line"),
        pytest.param("scheduler=rr\nreal=10.0.0.1:80 gate\n", id="not indented at all"),
        pytest.param("\treal=10.0.0.1:80 gate\n#\treal=10.0.0.2:80 gate\n", id="one commented out"),
        pytest.param('\treal=10.0.0.1:80 gate 1 "10.0.0.3", "10.0.0.4"\n', id="check of its own"),
        pytest.param('\treal=10.0.0.1:80 gate\n\treceive="10.0.0.5"\n\tcheckport=81\n', id="probe"),
    ],
)
def test_a_block_goes_on_until_a_keyword_of_all(block: str) -> None:
    assert rows(f"virtual=192.0.2.1:80\n{block}checktimeout=3\n\treal=10.0.0.6:80 gate\n") == [
        "vip 192.0.2.1 80/tcp",
        "rip 10.0.0.1 80/tcp @ 192.0.2.1:80/tcp",
    ]


def test_sections_of_a_front_end() -> None:
    text = (
        "[vip]\neth0:1=192.0.2.1\n\n[192.0.2.9:80]\nvirtual=192.0.2.2:80\n\treal=10.0.0.1:80 masq\n"
    )
    assert rows(text) == [
        "vip 192.0.2.1",
        "vip 192.0.2.2 80/tcp",
        "rip 10.0.0.1 80/tcp @ 192.0.2.2:80/tcp",
    ]


def test_a_service_without_an_address_is_a_warning() -> None:
    reading = read_text("ldirectord", "virtual=<vip>:80\n\treal=10.0.0.1:80 gate\n")
    assert reading.facts == []
    assert [found.line for found in reading.findings] == [1]


def test_a_service_by_name_has_real_servers_too() -> None:
    assert rows("virtual=vip.example.net:80\n\treal=10.0.0.1:80 gate\n") == [
        "vip 80/tcp = vip.example.net",
        "rip 10.0.0.1 80/tcp @ vip.example.net:80/tcp",
    ]
