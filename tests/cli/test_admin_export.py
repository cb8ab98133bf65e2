"""``rwhois-admin export`` in the formats of others: run in-process on the sample data."""

import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import dns.zone
import pytest
from typer.testing import CliRunner, Result

from rwhoisd.admin.cli import app
from rwhoisd.formats.export_csv import read_csv

SAMPLE = Path(__file__).parents[2] / "data"
FORMS = (
    *(("geofeed",), ("csv",), ("hosts",)),
    ("ptr", "--prefix", "192.0.2.0/24", "--ns", "ns.example.net"),
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "state"
    assert CliRunner().invoke(app, ["load", str(SAMPLE), "--state", str(path)]).exit_code == 0
    return path


def export(state: Path, *arguments: object) -> Result:
    words = ["export", *map(str, arguments), "--state", str(state)]
    return CliRunner().invoke(app, words)


def hidden(folder: Path) -> Path:
    """A store with a private network and a private host, guarded and not."""
    zone = folder / "zone"
    zone.mkdir()
    (zone / "zone.toml").write_text(
        'name = "192.0.2.0/24"\nclasses = ["network", "host", "guardian"]\n'
        '[soa]\nprimary-server = "h.example.net:4321"\nhostmaster = "h@example.net"\n'
    )
    place = "City: Reston\nState: VA\nCountry-Code: US\nPostal-Code: 1\nStreet-Address: 1 A Street"
    for number, more in (("0", ""), ("1", "Private: true\n"), ("2", "Guardian: G.192.0.2.0/24\n")):
        with (zone / "network.txt").open("a") as file:
            file.write(
                f"ID: N{number}.192.0.2.0/24\nNetwork-Name: N{number}\n{more}{place}\nOrg-Name: O\n"
                f"IP-Network: 192.0.2.{number}/32\nNetwork-Type: reassignment\n\n"
            )
        with (zone / "host.txt").open("a") as file:
            file.write(
                f"ID: H{number}.192.0.2.0/24\nHost-Name: h{number}.example.net\n{more}"
                f"IP-Address: 192.0.2.{number}\n\n"
            )
    (zone / "guardian.txt").write_text(
        "ID: G.192.0.2.0/24\nGuard-Scheme: pw\nGuard-Info: zork1234\nPrivate: true\n"
    )
    state = folder / "state"
    assert CliRunner().invoke(app, ["load", str(zone), "--state", str(state)]).exit_code == 0
    return state


def test_geofeed(state: Path) -> None:
    result = export(state, "geofeed")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout_bytes.decode().split("\r\n")
    assert lines[1:3] == ["192.0.2.0/24,US,US-VA,Reston,", "192.0.2.0/26,US,US-VA,Reston,"]
    assert len(lines) == 1 + 21 + 1
    one = export(state, "geofeed", "--area", "203.0.113.0/24", "--area", "198.51.100.0/24")
    assert len(one.stdout.splitlines()) == 1 + 7


def test_csv_is_the_class_whole(state: Path, tmp_path: Path) -> None:
    assert export(state, "csv", tmp_path / "orgs.csv", "--class", "org").exit_code == 0
    objects = read_csv((tmp_path / "orgs.csv").read_bytes().decode())
    found = {obj.id: obj for obj in objects}
    orchard = found["ORG-ORCHARD.example.net"]
    assert (orchard.area, orchard.class_name, orchard.source) == (
        *("example.net", "organization", "zone"),
    )
    assert orchard.values("Street-Address") == ("81 Orchard Lane", "Building C")
    result = export(state, "csv", "--class", "zork")
    assert result.exit_code == 1
    assert "zork: no area has such a class; there are " in result.stderr


def test_csv_for_a_spreadsheet(state: Path) -> None:
    plain, defused = (
        next(csv.DictReader(io.StringIO(export(state, *words).stdout)))["Phone"]
        for words in (
            ("csv", "--class", "contact"),
            ("csv", "--class", "contact", "--spreadsheet"),
        )
    )
    assert plain.startswith("+")
    assert defused == f"'{plain}"


def test_hosts(state: Path) -> None:
    result = export(state, "hosts", "--area", "example.org")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1:] == [
        "198.51.100.80 www.example.org",
        "2001:db8:0:2::80 www.example.org",
    ]


def test_a_reverse_zone(state: Path) -> None:
    result = export(state, "ptr", "--prefix", "192.0.2.0/24", "--serial", "7")
    assert (result.exit_code, result.stderr) == (0, "")
    zone = dns.zone.from_text(result.stdout)
    assert str(zone.origin) == "2.0.192.in-addr.arpa."
    assert zone.get_soa().serial == 7
    assert zone.find_rdataset("25", "PTR")[0].to_text() == "mail.example.net."


def test_reverse_zones_of_all_areas(state: Path, tmp_path: Path) -> None:
    result = export(state, "ptr", tmp_path / "one")
    assert result.exit_code == 1
    assert "zone 100.51.198.in-addr.arpa: error: no network object" in result.stderr
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["2.0.192.in-addr.arpa.zone"]
    result = export(state, "ptr", tmp_path / "all", "--ns", "ns1.example.net")
    assert (result.exit_code, result.stderr) == (0, "")
    zones = [dns.zone.from_file(str(path)) for path in (tmp_path / "all").iterdir()]
    pointers = [rdata for zone in zones for rdata in zone.iterate_rdatas("PTR")]
    assert (len(zones), len(pointers)) == (4, 14)


def test_a_zone_that_cannot_be_made_leaves_the_file(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "zone"
    file.write_text("old")
    result = export(state, "ptr", file, "--prefix", "203.0.113.0/24")
    assert result.exit_code == 1
    assert "name one with --ns" in result.stderr
    assert file.read_text() == "old"
    outside = ("ptr", "--prefix", "10.0.0.0/24", "--ns", "ns.example.net")
    assert "no area around it has an SOA" in export(state, *outside).stderr
    assert export(state, *outside, "--area", "example.net").exit_code == 0


def test_reassignments(state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "swip"
    told = ("--parent-org", "EXAMPLE-1", "--parent-net", "192.0.2.0/24=NET-192-0-2-0-1")
    result = export(state, "swip", folder, "--area", "192.0.2.0/24", *told)
    assert (result.exit_code, result.stderr) == (0, "")
    calls = (folder / "calls.txt").read_text().splitlines()
    assert calls[0] == "POST /rest/net/NET-192-0-2-0-1/customer 192.0.2.64-26.customer.xml"
    files = {line.split()[2] for line in calls}
    assert files | {"calls.txt"} == {path.name for path in folder.iterdir()}
    roots = {ET.fromstring((folder / name).read_bytes()).tag for name in files}
    assert roots == {f"{{http://www.arin.net/regrws/core/v1}}{tag}" for tag in ("customer", "net")}
    whole = export(state, "swip", tmp_path / "whole")
    assert whole.exit_code == 1
    assert "a reallocation needs an organization with ARIN-Handle" in whole.stderr
    assert export(state, "swip", folder).exit_code == 1


# --- what stays ---


def test_a_public_export_tells_what_stays(tmp_path: Path) -> None:
    state = hidden(tmp_path)
    stays = "rwhois-admin: left out as private (--area takes an area whole): 1\n"
    feed = export(state, "geofeed")
    assert feed.stdout.splitlines()[1:] == [f"192.0.2.{n}/32,US,US-VA,Reston," for n in (0, 2)]
    assert feed.stderr == stays
    zone = export(state, *FORMS[-1])
    assert ("h0.example.net" in zone.stdout, "h1.example.net" in zone.stdout) == (True, False)
    assert zone.stderr == stays
    swip = export(state, "swip", tmp_path / "swip")
    assert stays in swip.stderr
    assert not list((tmp_path / "swip").glob("192.0.2.1-32*"))


def test_a_named_area_is_exported_whole(tmp_path: Path) -> None:
    state = hidden(tmp_path)
    name = ("--area", "192.0.2.0/24")
    assert "192.0.2.1/32" in export(state, "geofeed", *name).stdout
    assert "h1.example.net" in export(state, *FORMS[-1], *name).stdout
    export(state, "swip", tmp_path / "swip", *name)
    assert "true" in (tmp_path / "swip" / "192.0.2.1-32.customer.xml").read_text()
    for mine in ("hosts", "csv"):
        assert "192.0.2.1" in export(state, mine).stdout


def test_an_area_with_an_audience_stays(tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    zone.mkdir()
    (zone / "zone.toml").write_text(
        'name = "192.0.2.0/24"\nclasses = ["network", "real-server"]\nanswer-to = ["10.0.0.0/8"]\n'
        '[soa]\nprimary-server = "h.example.net:4321"\nhostmaster = "h@example.net"\n'
    )
    (zone / "network.txt").write_text(
        "ID: N.192.0.2.0/24\nNetwork-Name: N\nIP-Network: 192.0.2.0/24\nCountry-Code: US\n"
        "Name-Server: ns.example.net\n"
    )
    (zone / "real-server.txt").write_text(
        "ID: R.192.0.2.0/24\nIP-Address: 192.0.2.5\nHost-Name: web1.example.net\n"
    )
    state = tmp_path / "state"
    assert CliRunner().invoke(app, ["load", str(zone), "--state", str(state)]).exit_code == 0
    feed = export(state, "geofeed")
    assert "192.0.2.0" not in feed.stdout
    assert "area 192.0.2.0/24 is answered to named networks only" in feed.stderr
    everywhere = export(state, "ptr", tmp_path / "zones")
    assert (everywhere.exit_code, (tmp_path / "zones").exists()) == (1, False)
    one = ("ptr", "--prefix", "192.0.2.0/24", "--ns", "ns.example.net")
    assert "web1" not in export(state, *one).stdout
    named = ("--area", "192.0.2.0/24")
    assert "5 IN PTR web1.example.net." in export(state, *one[:3], *named).stdout
    assert "192.0.2.0/24,US,,," in export(state, "geofeed", *named).stdout
    assert "192.0.2.5 web1.example.net" in export(state, "hosts").stdout


def test_guard_info_stays(tmp_path: Path) -> None:
    state = hidden(tmp_path)
    for name in ((), ("--area", "192.0.2.0/24")):
        result = export(state, "csv", "--class", "guardian", *name)
        assert "G.192.0.2.0/24" in result.stdout
        assert "Guard-Info" not in result.stdout
        assert "zork1234" not in result.output


# --- files, standard output, status ---


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0])
def test_a_file_holds_what_standard_output_shows(
    state: Path, tmp_path: Path, form: tuple[str, ...]
) -> None:
    shown = export(state, form[0], "-", *form[1:])
    file = tmp_path / "out"
    written = export(state, form[0], file, *form[1:])
    assert (shown.exit_code, written.exit_code) == (0, 0)
    assert (written.stdout, file.read_bytes()) == ("", shown.stdout_bytes)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0])
def test_what_cannot_be_written_is_told(state: Path, tmp_path: Path, form: tuple[str, ...]) -> None:
    for place in (tmp_path, tmp_path / "none" / "out"):
        result = export(state, form[0], place, *form[1:])
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
    result = export(state, form[0], tmp_path / "out", *form[1:], "--area", "nosuch.net")
    assert (result.exit_code, "nosuch.net: no such area" in result.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("zork",),
        ("arin",),
        ("swip",),
        ("swip", "-"),
        ("ptr",),
        ("ptr", "-", "--prefix", "192.0.2.0/23"),
        ("ptr", "--prefix", "zork"),
        ("ptr", "--prefix", "192.0.2.0/24", "--ns", "a_b"),
        ("swip", "out", "--parent-net", "192.0.2.0/24"),
        ("swip", "out", "--kind", "zork"),
        ("geofeed", "--class", "network"),
    ],
)
def test_misuse_is_status_2(state: Path, words: tuple[str, ...]) -> None:
    result = export(state, *words)
    assert result.exit_code == 2
    assert result.stderr
