"""Internal objects: answered to the networks an area names for them, to nobody else (ADR 0008)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.privacy import default_profile
from rwhoisd.directory.schema import IndexType, Schema
from rwhoisd.formats.check import Place, check_objects
from rwhoisd.formats.export_walk import Gate
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.verify import verify
from rwhoisd.protocol.replies import Told
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from rwhoisd.testing.memory_source import MemorySource
from tests.unit import service_kit as kit

STAFF, OTHERS = "10.9.9.9", "192.0.2.7"
HOST = replace(
    kit.NETWORK,
    version="20240101000000000",
    own_attributes=(
        kit.attribute("Network-Name", IndexType.ALL),
        kit.attribute("IP-Network", IndexType.CIDR, required=True, primary=True),
        kit.attribute("Pin", IndexType.EXACT, private=True),
        kit.attribute("Privacy"),
    ),
)
GUARDIANS = replace(kit.GUARDIAN, version="20240101000000000")
AREA = AuthorityArea(
    AreaName.from_text("10.0.0.0/8"),
    kit.SOA,
    Schema((HOST, GUARDIANS)),
    internal_to=("10.0.0.0/8",),
)
GUARDIAN = kit.entry("10.0.0.0/8", "guardian", "ID:G.10.0.0.0/8|Guard-Scheme:pw|Guard-Info:one")


def network(number: int, more: str = "") -> Object:
    text = f"ID:N{number}.10.0.0.0/8|Network-Name:net {number}|IP-Network:10.{number}.0.0/16"
    return kit.entry("10.0.0.0/8", "network", f"{text}|Updated:20240101000000000|Pin:7{more}")


OPEN = (network(1), GUARDIAN)
INTERNAL = (
    network(2, "|Privacy:internal"),
    network(3, "|Privacy:internal|Guardian:G.10.0.0.0/8"),
)


def talk(
    folder: Path,
    client: str,
    objects: Sequence[Object] = (*OPEN, *INTERNAL),
    where: AuthorityArea = AREA,
    compat: Compat = "rfc",
) -> kit.Talk:
    reader = kit.open_reader(folder, (where,), objects, compat)
    ports = Ports(registry=kit.FakeRegistry(objects, (where,)))
    one = kit.Talk(Service(reader, kit.settings(compat), ports), client)
    one.session.peer.holdconnect = True
    return one


def said(one: kit.Talk, asked: str) -> list[str]:
    """What is answered but the serial, which every change of the area moves, internal ones too."""
    return [x for x in one.say(*asked.split("\n")) if not x.startswith("%soa serial:")]


def ids(lines: Sequence[str]) -> list[str]:
    return [line.partition(":ID:")[2].partition(".")[0] for line in lines if ":ID:" in line]


DELETE = "-register on del a@b.com\nID:N2.10.0.0.0/8\nUpdated:20240101000000000\n-register off"
ASKED = [
    *("10.2.0.1", "10.0.0.0/8**", '"net 2"', "network net*", "id=N2.10.0.0.0/8", "pin=7", "7"),
    *('"net 3"', "id=N3.10.0.0.0/8", '"net 2" and id=N2*', "nit", "network 10.3.0.1"),
    *("-status", "-soa", "-class 10.0.0.0/8", "-schema 10.0.0.0/8 network", "-xfer 10.0.0.0/8"),
    *("-xfer 10.0.0.0/8 class=network attribute=Network-Name", "-limit 1", "net*", DELETE),
    *("-xfer 10.0.0.0/8 20230101000000000",),
]


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_for_others_an_internal_object_does_not_exist(tmp_path: Path, compat: Compat) -> None:
    one = talk(tmp_path / "1", OTHERS, compat=compat)
    less = talk(tmp_path / "2", OTHERS, OPEN, compat=compat)
    staff = kit.Talk(one.service, STAFF)
    for offer in ("-status", "-security on request pw one"):  # a guardian does not get in either
        one.say(offer), less.say(offer)
        for _ in range(3):
            for asked in ASKED:
                staff.say(*asked.split("\n"))  # what was answered to them is not given to others
                assert said(one, asked) == said(less, asked), asked


def test_answers_kept_for_staff_are_reached_by_no_line(tmp_path: Path) -> None:
    """Desks share a cache; what tells their answers apart is nothing that a client can send."""
    service = talk(tmp_path, OTHERS).service
    asked = {client: service.session(client) for client in (OTHERS, STAFF)}

    def told(client: str, data: bytes) -> list[Told | None]:
        session = asked[client]
        session.peer.holdconnect = True
        desk = service.desk(session.peer)
        assert desk
        return [desk(line) for line in session.whole_lines(data) or ()]

    assert told(OTHERS, b"10.2.0.1\r\n") == [(b"%error 230 No objects found\r\n", 0, 230)]
    for _ in range(3):
        assert b"ID:N2." in (told(STAFF, b"10.2.0.1\r\n")[0] or (b"",))[0]
    for mark in (b"\n", b"\r", b"\0", b" ", b"\t", b"\n\n", b""):
        for number in (b"", b"0", b"1", b"2"):
            for end in (b"\r\n", b"\n"):
                said = told(OTHERS, b"10.2.0.1" + mark + number + end)
                assert not any(one and b"ID:" in one[0] for one in said)


def test_staff_is_answered(tmp_path: Path) -> None:
    one = talk(tmp_path, STAFF)
    assert ids(one.say("10.2.0.1")) == ["N2"]
    assert ids(one.say("net*")) == ["N1", "N2", "N3"]
    assert ids(one.say("10.0.0.0/8**")) == ["N1", "N2", "N3"]
    assert ids(one.say("id=N3.10.0.0.0/8")) == ["N3"]
    assert "%status objects:4" in one.say("-status")
    assert ids(one.say("-xfer 10.0.0.0/8 class=network")) == ["N1", "N2", "N3"]
    assert one.say(*DELETE.split("\n")) == ["%ok", "%ok"]


def test_inside_guardians_guard_as_ever(tmp_path: Path) -> None:
    one = talk(tmp_path, STAFF)
    assert "network:Pin:7" not in one.say("id=N3.10.0.0.0/8")
    assert ids(one.say("pin=7")) == ["N1", "N2"]
    one.say("-security on request pw one")
    assert "network:Pin:7" in one.say("id=N3.10.0.0.0/8")
    assert ids(one.say("pin=7")) == ["N1", "N2", "N3"]


@pytest.mark.parametrize("client", [STAFF, OTHERS, ""])
def test_without_a_network_it_is_hidden_from_everybody(tmp_path: Path, client: str) -> None:
    where = replace(AREA, internal_to=())
    one = talk(tmp_path / "1", client, where=where)
    less = talk(tmp_path / "2", client, OPEN, where)
    for asked in ASKED:
        assert said(one, asked) == said(less, asked), asked
    stored = [(where, o, Place("store")) for o in (*OPEN, *INTERNAL)]
    told = [f.message for f in check_objects([where], stored, Flavour.POSIX)]
    assert any("internal-to names no network" in message for message in told)
    told = [
        f.message for f in check_objects([AREA], [(AREA, *s[1:]) for s in stored], Flavour.POSIX)
    ]
    assert not any("internal-to" in message for message in told)


@pytest.mark.parametrize(
    "where",
    [
        replace(AREA, privacy="internal"),
        replace(AREA, schema=Schema((replace(HOST, privacy="internal"), kit.GUARDIAN))),
    ],
    ids=["area", "class"],
)
def test_by_area_or_class(tmp_path: Path, where: AuthorityArea) -> None:
    one = talk(tmp_path, OTHERS, OPEN, where)
    assert one.say("10.1.0.1") == ["%error 230 No objects found"]
    assert ids(kit.Talk(one.service, STAFF).say("10.1.0.1")) == ["N1"]


def test_a_slip_hides_and_is_told(tmp_path: Path) -> None:
    slip = network(4, "|Privacy:intrenal")
    assert talk(tmp_path, OTHERS, (slip,)).say("10.4.0.1") == ["%error 230 No objects found"]
    findings = list(check_objects([AREA], [(AREA, slip, Place("store"))], Flavour.POSIX))
    assert any("Privacy 'intrenal' hides as internal" in f.message for f in findings)


def test_contacts_of_an_internal_area_are_internal() -> None:
    assert default_profile(kit.CONTACT, replace(AREA, privacy="internal")) == "internal"
    assert default_profile(kit.CONTACT, replace(AREA, privacy="residential")) == "public"
    assert default_profile(kit.GUARDIAN, replace(AREA, privacy="internal")) == "public"


@pytest.mark.parametrize("named", [(), ("10.0.0.0/8",)])
def test_no_public_export_has_it(named: tuple[str, ...]) -> None:
    gate = Gate(public=True, current=True, named=named)
    assert gate.entry(INTERNAL[0], HOST, AREA) is None
    assert gate.told() == ["left out as internal: 1"]
    assert Gate(public=False, current=True).entry(INTERNAL[0], HOST, AREA) is not None


def test_an_image_follows_changes_of_profile(tmp_path: Path) -> None:
    source = MemorySource(AREA)
    rows = [source.add(network(number)) for number in (1, 2)]
    asyncio.run(build(source, tmp_path, DIALECTS["rfc"].eol))
    reader = ImageReader(tmp_path)

    def counts() -> tuple[int, int]:
        image = reader.current()
        return image.view_for(OTHERS).findable_count, image.view_for(STAFF).findable_count

    assert counts() == (2, 2)
    for profile, expected in (("internal", (1, 2)), ("public", (2, 2)), ("residential", (2, 2))):
        source.modify(rows[1], network(2, f"|Privacy:{profile}"))
        assert asyncio.run(catch_up(source, tmp_path))
        assert asyncio.run(verify(source, tmp_path)) is None
        assert counts() == expected
    source.modify(rows[1], network(2, "|Privacy:internal"))
    source.put_area(replace(AREA, internal_to=("192.0.2.0/24",)))
    assert asyncio.run(catch_up(source, tmp_path))
    assert counts() == (2, 1)
    source.put_area(replace(AREA, internal_to=()))
    assert asyncio.run(catch_up(source, tmp_path))
    assert asyncio.run(verify(source, tmp_path)) is None
    assert counts() == (1, 1)
