"""Reverse zones, read by dnspython."""

from dataclasses import replace

import dns.name
import dns.rdatatype
import dns.reversename
import dns.zone
import pytest

from rwhoisd.directory.names import Network
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.formats.export_hosts import HostNames
from rwhoisd.formats.export_ptr import (
    NameServers,
    Zone,
    area_around,
    hosts_within,
    mailbox,
    origin,
    serial_number,
    zone_prefixes,
)
from rwhoisd.formats.findings import FormatError
from tests.export_kit import SOA, area, entry

SERVERS = ("ns1.example.net", "ns2.example.net")
NAMES = {
    "192.0.2.1": "core1.example.net",
    "192.0.2.65": "a.example.net b.example.net short",
    "192.0.2.66": "short",
    "192.0.3.1": "other.example.net",
    "2001:db8::1": "core1.example.net",
}


def block(text: str) -> Network:
    found = Network.from_text(text)
    assert found is not None
    return found


def made(prefix: str) -> Zone:
    hosts = HostNames()
    for address, names in NAMES.items():
        for name in names.split():
            assert not list(hosts.add(entry("host", f"Host-Name: {name}\nIP-Address: {address}")))
    inside = hosts_within(hosts.sorted(), block(prefix))
    return Zone(block(prefix), SOA, 2026010501, SERVERS, inside)


def read(zone: Zone) -> dns.zone.Zone:
    return dns.zone.from_text("\n".join(zone.lines()), relativize=False, check_origin=True)


def pointers(zone: Zone) -> dict[str, str]:
    found = read(zone).iterate_rdatas(dns.rdatatype.PTR)
    return {str(name): rdata.to_text() for name, _, rdata in found}


def test_a_zone_has_its_soa_servers_and_pointers() -> None:
    zone = made("192.0.2.0/24")
    parsed = read(zone)
    assert str(parsed.origin) == "2.0.192.in-addr.arpa."
    (soa,) = parsed.find_rdataset(parsed.origin or "@", "SOA")
    assert soa.to_text() == ("ns1.example.net. dns.example.net. 2026010501 3600 60 1209600 3600")
    servers = parsed.find_rdataset(parsed.origin or "@", "NS")
    assert sorted(str(ns.target) for ns in servers) == [f"{s}." for s in SERVERS]
    assert pointers(zone) == {
        str(dns.reversename.from_address(address)): f"{name}."
        for address, name in (("192.0.2.1", "core1.example.net"), ("192.0.2.65", "a.example.net"))
    }
    assert [f.message for f in zone.findings()] == [
        "192.0.2.66: short is no full domain name; it gets no PTR"
    ]


def test_a_zone_of_ipv6_ends_at_a_nibble() -> None:
    name = str(dns.reversename.from_address("2001:db8::1"))
    for prefix in ("2001:db8::/32", "2001:db8::/48", "2001:db8::/124", "2001:db8::1/128"):
        zone = made(prefix)
        assert pointers(zone) == {name: "core1.example.net."}
        assert name.endswith(str(read(zone).origin))


def test_a_part_of_a_24_is_a_zone_of_rfc_2317() -> None:
    zone = made("192.0.2.64/26")
    assert pointers(zone) == {"65.64/26.2.0.192.in-addr.arpa.": "a.example.net."}
    # What the comment tells the parent's operator is true: the two together resolve.
    comments = [line.removeprefix(";   ") for line in zone.lines() if line.startswith(";   ")]
    head = "$ORIGIN 2.0.192.in-addr.arpa.\n$TTL 60\n@ SOA ns. h. 1 2 3 4 5\n@ NS ns.\n"
    parent = dns.zone.from_text(head + "\n".join(comments), relativize=False)
    assert len(comments) == 64 + len(SERVERS)
    alias = dns.reversename.from_address("192.0.2.65")
    (cname,) = parent.find_rdataset(alias, "CNAME")
    assert str(cname.target) in pointers(zone)
    delegated = parent.find_rdataset(dns.name.from_text("64/26.2.0.192.in-addr.arpa."), "NS")
    assert len(delegated) == 2


@pytest.mark.parametrize(
    ("prefix", "zones"),
    [
        ("192.0.2.0/23", ["2.0.192.in-addr.arpa", "3.0.192.in-addr.arpa"]),
        ("172.16.0.0/16", ["16.172.in-addr.arpa"]),
        ("172.16.0.0/15", ["16.172.in-addr.arpa", "17.172.in-addr.arpa"]),
        ("10.0.0.0/8", ["10.in-addr.arpa"]),
        ("192.0.2.128/25", ["128/25.2.0.192.in-addr.arpa"]),
        ("192.0.2.7/32", ["7/32.2.0.192.in-addr.arpa"]),
        ("2001:db8::/31", ["8.b.d.0.1.0.0.2.ip6.arpa", "9.b.d.0.1.0.0.2.ip6.arpa"]),
        ("2001:db8::/32", ["8.b.d.0.1.0.0.2.ip6.arpa"]),
    ],
)
def test_zones_end_at_labels(prefix: str, zones: list[str]) -> None:
    # Network.from_text clears host bits, as an operator's typing slip would be.
    found = [origin(z) for z in zone_prefixes(block(prefix))]
    assert found == zones


def test_what_is_no_zone_is_told() -> None:
    zone = made("192.0.2.0/24")
    (message,) = replace(zone, servers=()).mistakes()
    assert "--ns" in message
    (message,) = replace(zone, soa=replace(SOA, hostmaster="nobody")).mistakes()
    assert message == "the area's hostmaster 'nobody' is no mail address"


# --- serials, mail addresses ---


@pytest.mark.parametrize(
    ("how", "changed", "serial"),
    [
        ("unix", "20260105093000000", 1767605400),
        ("date", "20260105000000000", 2026010500),
        ("date", "20260105093000000", 2026010539),
        ("date", "20260105235959999", 2026010599),
        ("7", "20260105093000000", 7),
    ],
)
def test_serials(how: str, changed: str, serial: int) -> None:
    assert serial_number(how, TimeStamp(changed)) == serial


@pytest.mark.parametrize(
    ("how", "changed"),
    [("4294967296", "20260105093000000"), ("zork", "20260105093000000"), ("unix", "9" * 17)],
)
def test_what_is_no_serial(how: str, changed: str) -> None:
    with pytest.raises(FormatError, match=r"--serial: error: "):
        serial_number(how, TimeStamp(changed))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hostmaster@example.net", "hostmaster.example.net."),
        ("host.master@Example.net", r"host\.master.example.net."),
        ("a;b@example.net", r"a\;b.example.net."),
        *((text, None) for text in ("", "nobody", "@example.net", "a b@example.net", "a@b c")),
    ],
)
def test_mail_addresses(text: str, expected: str | None) -> None:
    assert mailbox(text) == expected
    if expected:
        assert dns.name.from_text(expected).labels[0] == text.partition("@")[0].encode()


# --- what the directory tells of a zone ---


def test_name_servers_are_those_of_the_smallest_block_around() -> None:
    servers = NameServers()
    for prefix, name in (("192.0.2.0/24", "ns1"), ("192.0.0.0/16", "ns0"), ("192.0.2.0/24", "n3")):
        servers.add(entry("network", f"IP-Network: {prefix}\nName-Server: {name}.example.net"))
    assert servers.around(block("192.0.2.64/26")) == ("ns1.example.net",)
    assert servers.around(block("192.0.3.0/24")) == ("ns0.example.net",)
    assert servers.around(block("198.51.100.0/24")) == ()
    servers.add(entry("network", "ID: N\nIP-Network: 198.51.100.0/24\nName-Server: a_b"))
    assert servers.around(block("198.51.100.0/24")) == ()
    assert [f.message for f in servers.findings] == ["N: a Name-Server is no host name; left out"]


def test_the_soa_is_that_of_the_smallest_area_around() -> None:
    areas = [area(n) for n in ("example.net", "192.0.0.0/16", "192.0.2.0/24", "2001:db8::/32")]
    assert area_around(areas, block("192.0.2.0/25")) is areas[2]
    assert area_around(areas, block("192.0.3.0/24")) is areas[1]
    assert area_around(areas, block("10.0.0.0/8")) is None
