"""Geofeeds, read back by a small reader of RFC 8805 that shares nothing with the writer."""

import csv
import ipaddress
import re

import pytest

from rwhoisd.formats.export_geofeed import Geofeed
from tests.export_kit import entry

PLACE = "City: Reston\nState: VA\nCountry-Code: US"


def feed(*texts: str) -> tuple[str, list[str]]:
    export = Geofeed()
    text = export.text(entry("network", "ID: N\n" + t) for t in texts)
    return text, [f.message for f in export.findings]


def read(text: str) -> dict[str, tuple[str, str, str]]:
    """RFC 8805 §2.1: comments from # on, CRLF, five fields of RFC 4180."""
    places = {}
    assert text.isascii() or text.encode()
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    for line in text.split("\r\n"):
        if not (content := line.partition("#")[0].strip()):
            continue
        ((prefix, country, region, city, postal),) = csv.reader([content], strict=True)
        assert str(ipaddress.ip_network(prefix)) == prefix
        assert re.fullmatch("[A-Z]{2}", country)
        assert not region or re.fullmatch(f"{country}-[A-Z0-9]{{1,3}}", region)
        assert postal == ""
        assert prefix not in places
        places[prefix] = (country, region, city)
    return places


def test_a_line_for_each_network_with_its_place() -> None:
    text, findings = feed(
        f"IP-Network: 2001:db8::/32\n{PLACE}",
        f"IP-Network: 192.0.2.64/26\n{PLACE}",
        f"IP-Network: 192.0.2.0/24\n{PLACE}",
    )
    assert text == (
        "# Geofeed (RFC 8805): prefix,country,region,city,\r\n"
        "192.0.2.0/24,US,US-VA,Reston,\r\n"
        "192.0.2.64/26,US,US-VA,Reston,\r\n"
        "2001:db8::/32,US,US-VA,Reston,\r\n"
    )
    assert findings == []


@pytest.mark.parametrize(
    ("place", "expected", "finding"),
    [
        ("Country-Code: us\nState: va", ("US", "US-VA", ""), ""),
        ("Country-Code: US\nState: US-VA", ("US", "US-VA", ""), ""),
        ("Country-Code: AT\nState: 9\nCity: Wien", ("AT", "AT-9", "Wien"), ""),
        ("Country-Code: US\nState: Virginia", ("US", "", ""), "is no code of ISO 3166-2"),
        ("Country-Code: SE\nCity: Malmö", ("SE", "", "Malmö"), ""),
        ('Country-Code: US\nCity: "Here", there', ("US", "", '"Here", there'), ""),
        ("Country-Code: US\nCity: Suite #5", ("US", "", ""), "begins a comment"),
    ],
)
def test_places_read_back(place: str, expected: tuple[str, str, str], finding: str) -> None:
    text, findings = feed(f"IP-Network: 192.0.2.0/24\n{place}")
    assert read(text) == {"192.0.2.0/24": expected}
    assert [finding in message for message in findings] == [True] * bool(finding)


def test_the_same_set_comes_back() -> None:
    wanted = {f"198.51.{i}.0/24": ("CA", "CA-NS", f"Town, {i}") for i in (100, 7, 33)}
    text, _ = feed(
        *(f"IP-Network: {p}\nCountry-Code: CA\nState: NS\nCity: {c[2]}" for p, c in wanted.items())
    )
    assert read(text) == wanted
    assert list(read(text)) == [f"198.51.{i}.0/24" for i in (7, 33, 100)]


def test_a_range_becomes_its_blocks() -> None:
    text, _ = feed(f"IP-Network-Block: 192.0.2.0 - 192.0.2.95\n{PLACE}")
    assert list(read(text)) == ["192.0.2.0/26", "192.0.2.64/27"]


def test_of_one_prefix_the_first_place_counts() -> None:
    again = f"IP-Network: 192.0.2.0/24\n{PLACE}"
    text, findings = feed(again, again, again.replace("Reston", "Fairfax"))
    assert read(text) == {"192.0.2.0/24": ("US", "US-VA", "Reston")}
    assert findings == ["N: 192.0.2.0/24 has another place already; left out"]


@pytest.mark.parametrize(
    ("facts", "finding"),
    [
        ("IP-Network: 192.0.2.0/24\nCity: Reston", "no Country-Code"),
        ("IP-Network: 192.0.2.0/24\nCountry-Code: USA", "no Country-Code"),
        (f"IP-Network: zork\n{PLACE}", "no address block"),
        (f"Network-Name: N\n{PLACE}", "no address block"),
        (f"IP-Network: 10.1.0.0/16\n{PLACE}", "private or reserved"),
        (f"IP-Network: 0.0.0.0/0\n{PLACE}", "private or reserved"),
        (f"IP-Network: 255.0.0.0/8\n{PLACE}", "private or reserved"),
        (f"IP-Network: fd00::/8\n{PLACE}", "private or reserved"),
        (f"IP-Network: 0::/0\n{PLACE}", "private or reserved"),
    ],
)
def test_what_has_no_place_is_left_out(facts: str, finding: str) -> None:
    text, (message,) = feed(facts)
    assert read(text) == {}
    assert finding in message
