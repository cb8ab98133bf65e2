"""-register: the order of the checks, what is stored, what is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import Credentials
from rwhoisd.directory.objects import Object, late_order
from rwhoisd.directory.schema import ClassDef, Schema
from rwhoisd.service.guardians import proves
from rwhoisd.service.ports import Inline, Ports
from rwhoisd.service.service import Service
from tests.unit.service_kit import (
    DOMAIN_AREA,
    OBJECTS,
    FakeChange,
    FakeRegistry,
    Talk,
    attribute,
    entry,
    open_reader,
    settings,
)

T = TypeVar("T")

ADD = ("Class-Name: contact", "Auth-Area: a.com", "Name: New", "Email: n@a.com")
MOD = (
    *("ID: 1.a.com", "Updated: 20240101", "_NEW_"),
    *("Class-Name: contact", "Auth-Area: a.com", "Name: Changed"),
)
DEL = ("ID: 1.a.com", "Updated: 20240101")
NO_RECORD = "338 Invalid Directive Syntax: record to be registered not found"
NEW_SERIAL = "20260101000000001"


def talk(folder: Path, compat: Compat = "arin", **changes: Any) -> tuple[Talk, FakeRegistry]:
    registry = FakeRegistry()
    reader = open_reader(folder, compat=compat)
    return Talk(Service(reader, settings(compat, **changes), Ports(registry=registry))), registry


def registered(one: Talk, action: str, *lines: str) -> list[str]:
    """What ``-register off`` says after these lines."""
    opened, *said = one.say(f"-register on {action} ops@a.com", *lines, "-register off")
    assert opened == "%ok"
    return said


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("", "338 Invalid Directive Syntax", id="none"),
        pytest.param(" maybe", "338 Invalid Directive Syntax", id="maybe"),
        pytest.param(" add a@a.com", "338 Invalid Directive Syntax", id="no-on"),
        pytest.param(" on add", "338 Invalid Directive Syntax", id="no-mail"),
        pytest.param(" on foo a@a.com", "338 Invalid Directive Syntax", id="action"),
        pytest.param(" on add a@localhost", "338 Invalid Directive Syntax", id="one-label"),
        pytest.param(" on add a@b.c1", "338 Invalid Directive Syntax", id="digit-at-end"),
        pytest.param(" on add a@b_c.de", "338 Invalid Directive Syntax", id="underscore"),
        pytest.param(" on add @b.com", "338 Invalid Directive Syntax", id="nobody"),
        pytest.param(" off", "338 Invalid Directive Syntax", id="off-without-on"),
    ],
)
def test_errors_of_the_directive(tmp_path: Path, line: str, answer: str) -> None:
    one, _ = talk(tmp_path)
    assert one.say("-register" + line) == ["%error " + answer]
    assert one.session.peer.spool is None


def test_on_within_a_registration_is_400_and_it_goes_on(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    lines = one.say("-Register ON Add a@b.net more", "-register on del x@b.net", *ADD, "-status")
    assert lines[:2] == ["%ok", "%error 400 Directive Not Available"]
    assert lines[2] == "%status limit:20"
    assert one.say("-register off")[-1] == "%ok"
    assert registry.changes == [("a.com", "a@b.net")]


@pytest.mark.parametrize(
    ("compat", "answer"),
    [
        pytest.param(
            "arin",
            [f"%register ID: {NEW_SERIAL}.a.com", f"%register Updated: {NEW_SERIAL}", "%ok"],
            id="arin",
        ),
        pytest.param(
            "rfc",
            [f"%register ID:{NEW_SERIAL}.a.com", f"%register Updated:{NEW_SERIAL}", "%ok"],
            id="rfc",
        ),
    ],
)
def test_add(tmp_path: Path, compat: Compat, answer: list[str]) -> None:
    one, registry = talk(tmp_path, compat)
    lines = ("cn:person", "AA: A.com", "n: Andr\xe9 ", "ID: mine.a.com", "", "# no", "Notes:", "x")
    assert registered(one, "add", *lines) == answer
    assert registry.rows[len(OBJECTS) + 1] == Object(
        "a.com",
        "contact",
        (
            *(("Class-Name", "person"), ("Auth-Area", "A.com"), ("Name", "Andr\xe9")),
            *(("ID", f"{NEW_SERIAL}.a.com"), ("Updated", NEW_SERIAL)),
        ),
        source="registration",
        order=late_order(int(NEW_SERIAL)),
    )


def test_an_updated_line_is_replaced_where_it_stands(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    registered(one, "add", "UP: 2000", *ADD)
    names = [name for name, _ in registry.rows[len(OBJECTS) + 1].lines]
    assert names == ["Updated", "Class-Name", "Auth-Area", "Name", "Email", "ID"]


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        pytest.param((), NO_RECORD, id="nothing"),
        pytest.param(("no colon",), NO_RECORD, id="no-line"),
        pytest.param(
            (*ADD, "---", *ADD), "338 Invalid Directive Syntax: too many records", id="two"
        ),
        pytest.param(ADD[:1], "322 Required Attribute Missing: Auth-Area", id="area-missing"),
        pytest.param(ADD[1:], "322 Required Attribute Missing: Class-Name", id="class-missing"),
        pytest.param(
            ("AA: no.net", "CN: no"), "340 Invalid Authority Area: no.net", id="area-unknown"
        ),
        pytest.param(("AA: a.com", "CN: no"), "341 Invalid Class: no", id="class-unknown"),
        pytest.param((*ADD, "Bogus:"), "320 Invalid Attribute: Bogus", id="unknown-and-empty"),
        pytest.param((*ADD, ": z"), "320 Invalid Attribute", id="no-name"),
        pytest.param(("Name:",), "322 Required Attribute Missing: Auth-Area", id="empty-line"),
        pytest.param(
            ("AA:", *ADD[:1]), "322 Required Attribute Missing: Auth-Area", id="empty-area"
        ),
        pytest.param((*ADD, "Bogus: z"), "320 Invalid Attribute: Bogus", id="B7"),
        pytest.param(
            ("AA: c.org", "CN: contact", "Name: x"),
            "333 Not Master for Authority Area: c.org",
            id="slave",
        ),
        pytest.param(ADD[:2], "322 Required Attribute Missing: Name", id="required"),
        pytest.param((*ADD, "AA: b.net"), "320 Invalid Attribute: Auth-Area", id="two-areas"),
        pytest.param((*ADD, "CN: user"), "320 Invalid Attribute: Class-Name", id="two-classes"),
        pytest.param(
            (*ADD, "AA: b", "CN: user"), "320 Invalid Attribute: Class-Name", id="two-of-both"
        ),
        pytest.param((*ADD[:2], "AA: b"), "322 Required Attribute Missing: Name", id="322-first"),
        pytest.param((*ADD, "N: again"), "320 Invalid Attribute: Name", id="repeated"),
        pytest.param((*ADD, "Type: x"), "321 Invalid Attribute Syntax: Type", id="format"),
        pytest.param((*ADD, "Email: b", "Type: x"), "320 Invalid Attribute: Email", id="order"),
        pytest.param((*ADD[:2], "Name: jane"), "324 Primary Key Not Unique", id="key"),
        pytest.param(
            ("AA: b.net", "CN: contact", "Name: x"), "420 Registration Not Authorized", id="B43"
        ),
    ],
)
def test_add_is_refused(tmp_path: Path, lines: tuple[str, ...], answer: str) -> None:
    one, registry = talk(tmp_path)
    assert registered(one, "add", *lines) == ["%error " + answer]
    assert registry.rows == dict(enumerate(OBJECTS, 1))
    assert one.session.peer.spool is None


def test_values_are_kept_as_sent(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    assert registered(one, "add", *ADD, "Type: robot")[-1] == "%ok"  # case does not count (N1)
    assert registry.rows[len(OBJECTS) + 1].get("Type") == "robot"  # B8
    assert registered(one, "add", *ADD[:2], 'Name: N "quoted" *x')[-1] == "%ok"  # B13


def test_a_network_below_another_has_a_key_of_its_own(tmp_path: Path) -> None:
    one, _ = talk(tmp_path)
    base = ("Class-Name: network", "Auth-Area: 10.0.0.0/8")
    assert registered(one, "add", *base, "IP-Network: 10.5.0.0/16")[-1] == "%ok"  # B21
    assert registered(one, "add", *base, "IP-Network: 10.0.0.0/8") == [
        "%error 324 Primary Key Not Unique"
    ]


def test_each_add_has_an_id_of_its_own(tmp_path: Path) -> None:
    one, _ = talk(tmp_path)
    first = registered(one, "add", *ADD)
    second = registered(one, "add", *ADD[:2], "Name: Other")
    assert first[0] != second[0]  # B20


def test_the_guardian_of_an_area_may_add(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    one.say("-security on request pw area")
    assert registered(one, "add", "AA: b.net", "CN: contact", "Name: x")[-1] == "%ok"
    assert registry.changes == [("b.net", "ops@a.com")]


def test_bytes_that_are_not_of_the_charset(tmp_path: Path) -> None:
    one, _ = talk(tmp_path)
    one.say("-security on request pw area")
    assert registered(one, "add", "AA: b.net", "CN: contact", "Name: \xe9") == [
        "%error 321 Invalid Attribute Syntax: Name"
    ]


@pytest.mark.parametrize(
    ("compat", "reference", "code"),
    [
        pytest.param("rfc", "1.a.com", 0, id="there"),
        pytest.param("rfc", "no.a.com", 323, id="dangling"),
        pytest.param("rfc", "no.example.com", 0, id="of-others"),
        pytest.param("rfc", "NEW.a.com", 0, id="registered-at-another-node"),
        pytest.param("arin", "no.a.com", 0, id="arin"),
    ],
)
def test_references(tmp_path: Path, compat: Compat, reference: str, code: int) -> None:
    one, registry = talk(tmp_path, compat)
    registry.rows[70] = entry("a.com", "contact", "ID:new.a.com|Name:Not in the image yet")
    last = registered(one, "add", *ADD, f"Manager: {reference}")[-1]
    assert last.startswith(f"%error {code}" if code else "%ok")


def test_a_secret_is_stored_as_its_hash(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    guardian = ("CN: guardian", "AA: a.com", "Guard-Scheme: crypt-pw", "Guard-Info: hush")
    assert registered(one, "add", *guardian)[-1] == "%ok"
    stored = registry.rows[len(OBJECTS) + 1]
    assert stored.get("Guard-Info") != "hush"
    assert proves(Credentials("crypt-pw", "hush"), stored)


@pytest.mark.parametrize(
    ("compat", "answer"),
    [("arin", "%ok"), ("rfc", "%error 321 Invalid attribute syntax: Guard-Scheme")],
)
def test_a_scheme_that_nobody_can_use(tmp_path: Path, compat: Compat, answer: str) -> None:
    one, _ = talk(tmp_path, compat)
    guardian = ("CN: guardian", "AA: a.com", "Guard-Scheme: smoke", "Guard-Info: hush")
    assert registered(one, "add", *guardian)[-1] == answer


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_mod(tmp_path: Path, compat: Compat) -> None:
    one, registry = talk(tmp_path, compat)
    assert registered(one, "mod", "Name: ignored", *MOD) == ["%ok"]
    assert registry.rows[1].lines == (
        *(("Class-Name", "contact"), ("Auth-Area", "a.com"), ("Name", "Changed")),
        *(("ID", "1.a.com"), ("Updated", NEW_SERIAL)),
    )


def test_mod_keeps_places_of_what_was_sent(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    lines = (*MOD[:3], "UP: 20240101", "ID: 1.A.com", *MOD[3:], "---", "Name: further")
    assert registered(one, "mod", *lines) == ["%ok"]
    assert registry.rows[1].lines[:2] == (("Updated", NEW_SERIAL), ("ID", "1.a.com"))


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        pytest.param(DEL, "336 Object Not Found", id="no-separator"),
        pytest.param(("_NEW_", *MOD[3:]), NO_RECORD, id="first-empty"),
        pytest.param(MOD[:3], NO_RECORD, id="second-empty"),
        pytest.param(
            (*DEL, "---", "AA: no.net", "CN: x"), "340 Invalid Authority Area: no.net", id="area"
        ),
        pytest.param((*MOD, "Bogus: x"), "320 Invalid Attribute: Bogus", id="unknown"),
        pytest.param(
            (*DEL, "---", "AA: c.org", "CN: contact", "Name: x"),
            "333 Not Master for Authority Area: c.org",
            id="slave",
        ),
        pytest.param(MOD[1:], "322 Required Attribute Missing: ID", id="no-id"),
        pytest.param((MOD[0], *MOD[2:]), "322 Required Attribute Missing: Updated", id="no-up"),
        pytest.param(("ID: no.a.com", *MOD[1:]), "336 Object Not Found", id="not-found"),
        pytest.param(("ID: bad id x", *MOD[1:]), "336 Object Not Found", id="B13"),
        pytest.param(
            (MOD[0], "Updated: 2000", *MOD[2:]), "325 Failed to Update Outdated Object", id="old"
        ),
        pytest.param(MOD[:5], "322 Required Attribute Missing: Name", id="required"),
        pytest.param((*MOD, "Type: x"), "321 Invalid Attribute Syntax: Type", id="format"),
        pytest.param(
            (*MOD, "ID: 2.a.com"), "338 Invalid Directive Syntax: ID's must match", id="other-id"
        ),
        pytest.param(
            (*MOD, "Updated: 2001"), "325 Failed to Update Outdated Object", id="other-updated"
        ),
        pytest.param(
            (*MOD[:3], "AA: b.net", "CN: contact", "Name: x"),
            "338 Invalid Directive Syntax: Auth-Area's must match",
            id="B44-area",
        ),
        pytest.param(
            (*MOD[:3], "AA: a.com", "CN: guardian"),
            "338 Invalid Directive Syntax: Class-Name's must match",
            id="B44-class",
        ),
        pytest.param(
            ("ID: 3.a.com", "Updated: 20250101000000000", *MOD[2:]),
            "420 Registration Not Authorized",
            id="guarded",
        ),
        pytest.param(
            ("ID: 3.a.com", "Updated: 20250101000000000", "---", "AA: a.com", "CN: guardian"),
            "420 Registration Not Authorized",
            id="guarded-before-B44",
        ),
    ],
)
def test_mod_is_refused(tmp_path: Path, lines: tuple[str, ...], answer: str) -> None:
    one, registry = talk(tmp_path)
    assert registered(one, "mod", *lines) == ["%error " + answer]
    assert registry.rows == dict(enumerate(OBJECTS, 1))


def test_mod_to_the_key_of_another(tmp_path: Path) -> None:
    lines = (*MOD[:5], "Name: Jane")
    assert registered(talk(tmp_path, "rfc")[0], "mod", *lines) == [
        "%error 324 Primary key not unique"
    ]
    assert registered(talk(tmp_path / "arin")[0], "mod", *lines) == ["%ok"]


def test_mod_of_the_same_key_is_no_conflict(tmp_path: Path) -> None:
    one, _ = talk(tmp_path, "rfc")
    assert registered(one, "mod", *MOD[:5], "Name: jos\xe9") == ["%ok"]


def test_a_guardian_may_change_and_remove(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    one.say("-security on request pw Secret")
    target = ("ID: 3.a.com", "Updated: 20250101000000000")
    assert registered(one, "mod", *target, *MOD[2:]) == ["%ok"]
    assert registry.rows[3].get("Name") == "Changed"
    again = ("ID: 3.a.com", f"Updated: {NEW_SERIAL}")
    registry.rows[3] = OBJECTS[2]
    assert registered(one, "del", *again) == ["%error 325 Failed to Update Outdated Object"]
    assert registered(one, "del", *target) == ["%ok"]
    assert 3 not in registry.rows


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        pytest.param((), NO_RECORD, id="nothing"),
        pytest.param(DEL[1:], "322 Required Attribute Missing: ID", id="no-id"),
        pytest.param(DEL[:1], "322 Required Attribute Missing: Updated", id="no-updated"),
        pytest.param(("ID: no.a.com", DEL[1]), "336 Object Not Found", id="not-found"),
        pytest.param(("ID: bad id x", DEL[1]), "336 Object Not Found", id="B13"),
        pytest.param(
            (DEL[0], "Updated: 19990101"), "325 Failed to Update Outdated Object", id="old"
        ),
        pytest.param(
            ("ID: 2.a.com", DEL[1]), "325 Failed to Update Outdated Object", id="B23-without"
        ),
        pytest.param(
            ("ID: 3.a.com", "Updated: 20250101000000000"),
            "420 Registration Not Authorized",
            id="guarded",
        ),
    ],
)
def test_del_is_refused(tmp_path: Path, lines: tuple[str, ...], answer: str) -> None:
    one, registry = talk(tmp_path)
    assert registered(one, "del", *lines) == ["%error " + answer]
    assert registry.rows == dict(enumerate(OBJECTS, 1))


def test_del(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    lines = ("id: 1.A.COM", "up: 20240101", "Nosuch: x", "Name: ignored", "---", "ID: 2.a.com")
    assert registered(one, "DEL", *lines) == ["%ok"]
    assert 1 not in registry.rows
    assert len(registry.rows) == len(OBJECTS) - 1


@pytest.mark.parametrize(
    ("compat", "answer"),
    [
        pytest.param("arin", "%error 336 Object Not Found", id="arin"),
        pytest.param("rfc", "%ok", id="rfc"),
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"class_name": "referral"}, id="referral"),
        pytest.param({"indexed": False}, id="refused-by-the-indexer"),
    ],
)
def test_what_no_query_for_the_id_finds_is_changed_in_rfc_mode_only(
    tmp_path: Path, compat: Compat, answer: str, change: dict[str, Any]
) -> None:
    one, registry = talk(tmp_path, compat)
    registry.rows[1] = replace(registry.rows[1], **change)
    assert registered(one, "del", *DEL) == [answer]
    assert (1 in registry.rows) is (compat == "arin")


def test_a_spool_that_is_too_long(tmp_path: Path) -> None:
    limits = settings().limits
    one, registry = talk(tmp_path, limits=type(limits)(spool_octets=100))
    said = registered(one, "add", *ADD, "Notes: " + "x" * 100)
    assert said == ["%error 338 Invalid Directive Syntax: registration longer than 100 octets"]
    assert registry.changes == []


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [
        pytest.param(30.0, f"%register ID: {NEW_SERIAL}.a.com", id="in-time"),
        pytest.param(
            31.0,
            "%error 338 Invalid Directive Syntax: registration took longer than 30 seconds",
            id="late",
        ),
    ],
)
def test_a_registration_has_its_time(tmp_path: Path, seconds: float, answer: str) -> None:
    registry, moment = FakeRegistry(), [1000.0]
    limits = replace(settings().limits, spool_seconds=30.0)
    ports = Ports(registry=registry, clock=lambda: moment[0])
    one = Talk(Service(open_reader(tmp_path), settings(limits=limits), ports))
    one.say("-register on add ops@a.com", *ADD)
    moment[0] += seconds
    assert one.say("-register off")[0] == answer
    assert one.session.peer.spool is None
    assert bool(registry.changes) is (seconds == 30.0)


def test_lines_of_a_registration_are_bounded(tmp_path: Path) -> None:
    limits = replace(settings().limits, spool_lines=4)
    one, registry = talk(tmp_path, limits=limits)
    assert registered(one, "add", *ADD)[-1] == "%ok"
    said = registered(one, "add", *ADD[:2], "Name: Other", "Notes: 1", "Notes: 2")
    assert said == ["%error 338 Invalid Directive Syntax: registration longer than 4 lines"]
    assert len(registry.changes) == 1


def test_no_id_is_given_twice(tmp_path: Path) -> None:
    """B20: not even when loaded data has an ID that looks like the next one of ours."""
    one, registry = talk(tmp_path)
    registry.rows[50] = entry("a.com", "contact", f"ID:{NEW_SERIAL}.A.com|Name:Loaded")
    registry.rows[51] = entry("a.com", "contact", f"ID:{NEW_SERIAL}-2.a.com|Name:Loaded too")
    assert registered(one, "add", *ADD)[0] == f"%register ID: {NEW_SERIAL}-3.a.com"


@pytest.mark.parametrize(
    ("compat", "answer"),
    [("arin", "%ok"), ("rfc", "%error 324 Primary key not unique")],
)
def test_a_key_that_no_query_finds(tmp_path: Path, compat: Compat, answer: str) -> None:
    """§6.3: the key is looked for by a query, so one that is not indexed is never taken."""
    plain = ClassDef("contact", (attribute("Name", required=True, primary=True),))
    area = replace(DOMAIN_AREA, schema=Schema((plain,)))
    registry = FakeRegistry((), (area,))
    reader = open_reader(tmp_path, (area,), (), compat=compat)
    one = Talk(Service(reader, settings(compat), Ports(registry=registry)))
    assert registered(one, "add", *ADD[:3])[-1] == "%ok"
    assert registered(one, "add", *ADD[:3])[-1] == answer


@pytest.mark.parametrize("code", [324, 325, 336, 340])
@pytest.mark.parametrize(
    ("action", "lines"),
    [
        pytest.param("add", ADD, id="add"),
        pytest.param("mod", MOD, id="mod"),
        pytest.param("del", DEL, id="del"),
    ],
)
def test_what_another_change_made_impossible_is_told_by_its_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    lines: tuple[str, ...],
    code: int,
) -> None:
    """What the store says about it is not for clients."""
    one, registry = talk(tmp_path, "rfc")

    async def refuse(*_: Any, **__: Any) -> None:
        raise RwhoisError(ResponseCode(code), "row 7 of the area")

    for name in ("add", "modify", "delete"):
        monkeypatch.setattr(FakeChange, name, refuse)
    text = ResponseCode(code).text
    assert registered(one, action, *lines) == [f"%error {code} {text}"]
    assert registry.changes == []


def test_del_of_several_areas_is_one_change(tmp_path: Path) -> None:
    """Data of others has an ID twice: all of them go, or none."""
    one, registry = talk(tmp_path)
    twin = entry("b.net", "contact", "ID:1.a.com|Name:Twin|Updated:20240101")
    registry.rows[50] = twin
    assert registered(one, "del", *DEL) == ["%error 420 Registration Not Authorized"]
    assert {1, 50} <= registry.rows.keys()
    one.say("-security on request pw area")
    assert registered(one, "del", *DEL) == ["%ok"]
    assert not {1, 50} & registry.rows.keys()
    assert registry.transactions == 1


def test_del_of_several_areas_of_which_one_is_a_slaves(tmp_path: Path) -> None:
    one, registry = talk(tmp_path)
    registry.rows[50] = entry("c.org", "contact", "ID:1.a.com|Name:Twin|Updated:20240101")
    assert registered(one, "del", *DEL) == ["%error 333 Not Master for Authority Area: c.org"]
    assert {1, 50} <= registry.rows.keys()


def test_a_pattern_is_tried_aside(tmp_path: Path) -> None:
    """So that it keeps no other client waiting, however long it takes over a value."""

    class Counted(Inline):
        works = 0

        async def run(self, work: Callable[[], T]) -> T:
            self.works += 1
            return work()

    aside = Counted()
    ports = Ports(registry=FakeRegistry(), aside=aside)
    one = Talk(Service(open_reader(tmp_path), settings(), ports))
    assert registered(one, "add", *ADD, "Type: x") == ["%error 321 Invalid Attribute Syntax: Type"]
    assert aside.works == 1


def test_without_a_registry_it_is_400(tmp_path: Path) -> None:
    one = Talk(Service(open_reader(tmp_path), settings()))
    assert one.say("-register on add a@a.com") == ["%error 400 Directive Not Available"]
    assert b":003eff:" in one.service.banner


def test_with_a_registry_its_bit_is_set(tmp_path: Path) -> None:
    assert b":003fff:" in talk(tmp_path)[0].service.banner
