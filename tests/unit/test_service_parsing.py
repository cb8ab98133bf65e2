"""Parse programs: what they get, what they may make of a registration, who has the last word."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.schema import Schema
from rwhoisd.service.ports import Parsed, Ports
from rwhoisd.service.service import Service
from tests.unit.service_kit import (
    CONTACT,
    DOMAIN_AREA,
    GUARDED_AREA,
    GUARDIAN,
    OBJECTS,
    FakePrograms,
    FakeRegistry,
    Talk,
    entry,
    open_reader,
    settings,
)

PARSED = replace(CONTACT, parse_program="bin/check")
SAFE = replace(GUARDIAN, parse_program="bin/safe")
AREAS = (
    replace(DOMAIN_AREA, schema=Schema((PARSED, SAFE))),
    replace(GUARDED_AREA, schema=Schema((PARSED, GUARDIAN))),
)
OURS = tuple(o for o in OBJECTS if o.class_name in ("contact", "guardian"))
SERIAL = "20260101000000002"  # the first transaction only asks whether the key is free
ADD = ("CN: person", "AA: a.com", "N: New", "ID: mine", "Email: n@a.com")
ADD_FILE = b"Class-Name:person\nAuth-Area:a.com\nName:New\nEmail:n@a.com\n"
MOD = ("ID: 1.a.com", "Updated: 20240101", "_NEW_", "CN: contact", "AA: a.com", "Name: Changed")
OLD_FILE = b"ID:1.a.com\nName:Jos\xe9\nEmail:j@a.com\nUpdated:20240101\n"
NEW_FILE = b"Class-Name:contact\nAuth-Area:a.com\nName:Changed\n"
FAILED = "%error 402 Unidentified Error"


class World:
    """A service whose contacts and guardians have a parse program."""

    def __init__(
        self,
        folder: Path,
        parsed: Parsed | None = None,
        compat: Compat = "arin",
        **changes: Any,
    ) -> None:
        self.programs = FakePrograms(parsed=parsed)
        self.registry = FakeRegistry(OURS, AREAS)
        self.before = dict(self.registry.rows)
        ports = Ports(registry=self.registry, programs=self.programs)
        reader = open_reader(folder, AREAS, OURS, compat=compat)
        self.talk = Talk(Service(reader, settings(compat, **changes), ports))

    def register(self, action: str, *lines: str) -> list[str]:
        """What ``-register off`` says after these lines."""
        opened, *said = self.talk.say(f"-register on {action} ops@a.com", *lines, "-register off")
        assert opened == "%ok"
        return said

    @property
    def unchanged(self) -> bool:
        return self.registry.rows == self.before

    @property
    def added(self) -> list[tuple[str, str]]:
        return list(self.registry.rows[len(self.before) + 1].lines)


def left(content: bytes, output: bytes = b"") -> Parsed:
    """A program that ends well, with this in its file."""
    return Parsed(output, 0, content)


# -- what it gets


def test_add_gives_it_the_new_record(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.talk.say("-rwhois V-1.5 Acme 1.0")
    assert world.register("add", *ADD)[-1] == "%ok"
    (parsing,) = world.programs.parsings
    assert parsing.content == ADD_FILE  # canonical names, without the client's ID
    assert (parsing.program, parsing.action) == ("bin/check", "ADD")
    assert (parsing.maintainer, parsing.client) == ("ops@a.com", "Acme 1.0")
    assert world.added[-2:] == [("ID", f"{SERIAL}.a.com"), ("Updated", SERIAL)]


def test_mod_gives_it_the_old_and_the_new_record(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.register("mod", *MOD) == ["%ok"]
    (parsing,) = world.programs.parsings
    assert parsing.action == "MOD"
    assert parsing.content == OLD_FILE + b"_NEW_\n" + NEW_FILE
    assert world.registry.rows[1].get("Name") == "Changed"


def test_del_gives_it_the_old_record(tmp_path: Path) -> None:
    """B31: exit status 0 is %ok, always."""
    world = World(tmp_path, Parsed(b"", 0, b"whatever"))
    assert world.register("del", *MOD[:2]) == ["%ok"]
    (parsing,) = world.programs.parsings
    assert (parsing.action, parsing.content) == ("DEL", OLD_FILE)
    assert 1 not in world.registry.rows


def test_a_value_of_several_lines_is_one_line_for_it(tmp_path: Path) -> None:
    """No value can begin another record."""
    world = World(tmp_path)
    world.registry.rows[1] = entry("a.com", "contact", "ID:1.a.com|Name:a\n_NEW_\nb|Updated:1")
    assert world.register("del", "ID: 1.a.com", "Updated: 1") == ["%ok"]
    assert world.programs.parsings[0].content == b"ID:1.a.com\nName:a _NEW_ b\nUpdated:1\n"


@pytest.mark.parametrize("compat", ["arin", "rfc"])
@pytest.mark.parametrize(
    ("action", "lines", "code"),
    [
        pytest.param("add", (*ADD, "Bogus: x"), 320, id="320"),
        pytest.param("add", ADD[:2], 322, id="322"),
        pytest.param("add", (*ADD, "Type: x"), 321, id="321"),
        pytest.param("add", (*ADD[:2], "Name: jane"), 324, id="324"),
        pytest.param("add", ("AA: b.net", "CN: contact", "Name: x"), 420, id="420"),
        pytest.param("mod", ("ID: 1.a.com", "Updated: 1", *MOD[2:]), 325, id="325"),
        pytest.param("mod", ("ID: 7.a.com", *MOD[1:]), 336, id="336"),
        pytest.param("mod", (*MOD, "ID: 2.a.com"), 338, id="338"),
        pytest.param("del", ("ID: 3.a.com", "Updated: 20250101000000000"), 420, id="420-del"),
    ],
)
def test_it_does_not_hear_of_what_is_refused_anyway(
    tmp_path: Path, compat: Compat, action: str, lines: Sequence[str], code: int
) -> None:
    world = World(tmp_path, compat=compat)
    (said,) = world.register(action, *lines)
    assert said.startswith(f"%error {code} ")
    assert world.programs.parsings == []
    assert world.unchanged


def test_mod_to_the_key_of_another_is_refused_first(tmp_path: Path) -> None:
    world = World(tmp_path, compat="rfc")
    assert world.register("mod", *MOD[:5], "Name: Jane") == ["%error 324 Primary key not unique"]
    assert world.programs.parsings == []


# -- what it makes of it


def test_what_it_leaves_is_registered(tmp_path: Path) -> None:
    content = b"# made better\r\ncn:contact\n\nAA: a.com\nN: New \nID:77.a.com\nType:Robot\nFax\n"
    world = World(tmp_path, left(content))
    assert world.register("add", *ADD)[-1] == "%ok"
    assert world.added == [
        *(("Class-Name", "contact"), ("Auth-Area", "a.com"), ("Name", "New"), ("Type", "Robot")),
        *(("ID", f"{SERIAL}.a.com"), ("Updated", SERIAL)),
    ]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(OLD_FILE + b"_new_\n" + NEW_FILE + b"Email:e\n", id="both"),
        pytest.param(NEW_FILE + b"Email:e\n", id="only-the-new-one"),
        pytest.param(b"---\n" + NEW_FILE + b"ID:1.a.com\nEmail:e\n", id="old-one-emptied"),
    ],
)
def test_what_it_leaves_of_a_mod_is_registered(tmp_path: Path, content: bytes) -> None:
    world = World(tmp_path, left(content))
    assert world.register("mod", *MOD) == ["%ok"]
    assert world.registry.rows[1].get("Email") == "e"
    assert world.registry.rows[1].id == "1.a.com"


@pytest.mark.parametrize(
    ("action", "content", "answer"),
    [
        pytest.param("add", b"", "338 Invalid Directive Syntax: record to", id="nothing"),
        pytest.param(
            "add", ADD_FILE + b"---\n" + ADD_FILE, "338 Invalid Directive Syntax: too", id="two"
        ),
        pytest.param("add", ADD_FILE + b"Bogus:x\n", "320 Invalid Attribute: Bogus", id="320"),
        pytest.param(
            "add",
            ADD_FILE.replace(b"Name:New\n", b""),
            "322 Required Attribute Missing: Name",
            id="322",
        ),
        pytest.param("add", ADD_FILE + b"Type:x\n", "321 Invalid Attribute Syntax: Type", id="321"),
        pytest.param("add", ADD_FILE + b"N:b\n", "320 Invalid Attribute: Name", id="twice"),
        pytest.param(
            "add", ADD_FILE.replace(b"New", b"Jane"), "324 Primary Key Not Unique", id="key"
        ),
        pytest.param(
            "add",
            ADD_FILE.replace(b"a.com", b"b.net", 1),
            "338 Invalid Directive Syntax: Auth-Area's",
            id="area",
        ),
        pytest.param(
            "add",
            ADD_FILE.replace(b"person", b"guardian").replace(b"Name:New\nEmail:n@a.com\n", b""),
            "338 Invalid Directive Syntax: Class-Name's",
            id="class",
        ),
        pytest.param(
            "mod", NEW_FILE + b"ID:2.a.com\n", "338 Invalid Directive Syntax: ID's", id="mod-id"
        ),
        pytest.param(
            "mod", NEW_FILE + b"UP:1\n", "325 Failed to Update Outdated Object", id="mod-updated"
        ),
        pytest.param(
            "mod", OLD_FILE + b"_NEW_\n", "338 Invalid Directive Syntax: record", id="mod-emptied"
        ),
    ],
)
def test_nothing_invalid_of_its_making_is_stored(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    action: str,
    content: bytes,
    answer: str,
) -> None:
    world = World(tmp_path, left(content, b"%note\n"))
    lines = ADD if action == "add" else MOD
    note, said = world.register(action, *lines)
    assert note == "%note"
    assert said.startswith("%error " + answer)
    assert world.unchanged
    if "324" not in answer:
        assert "what bin/check makes of a contact" in caplog.text


def test_bytes_of_the_charset(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.register("add", *ADD[:2], "Name: Andr\xe9")[-1] == "%ok"
    assert world.programs.parsings[0].content.endswith(b"Name:Andr\xe9\n")
    assert world.added[2] == ("Name", "Andr\xe9")


# -- guardians


def test_it_sees_a_hash_and_the_hash_stays(tmp_path: Path) -> None:
    world = World(tmp_path)
    guardian = ("CN: guardian", "AA: a.com", "Guard-Scheme: crypt-pw", "Guard-Info: hush")
    assert world.register("add", *guardian)[-1] == "%ok"
    content = world.programs.parsings[0].content
    assert b"hush" not in content
    stored = dict(world.added)["Guard-Info"]
    assert content.endswith(f"Guard-Info:{stored}\n".encode())


# -- how it ends


@pytest.mark.parametrize(
    ("parsed", "answer"),
    [
        pytest.param(
            Parsed(b"%error 120 Registration Deferred\n", 1, b""),
            ["%error 120 Registration Deferred"],
            id="deferred",
        ),
        pytest.param(
            Parsed(b"%error 321 Invalid Attribute Syntax: Email", 2, b""),
            ["%error 321 Invalid Attribute Syntax: Email"],
            id="refused-without-line-end",
        ),
        pytest.param(
            Parsed(b"a\r\n%error 420 no\nb\n%error 402 later\n%ok\n\n", 2, b""),
            ["a", "b", "%error 420 no"],
            id="the-first-error-comes-last-and-alone",
        ),
        pytest.param(Parsed(b"", 1, b""), [FAILED], id="silent"),
        pytest.param(Parsed(b"%error\n%error x\n", 2, b""), [FAILED], id="no-code"),
        pytest.param(Parsed(b"%error 321 x\n", 3, b""), [FAILED], id="status-3"),
        pytest.param(Parsed(b"half\n", None, b"", "signal"), ["half", FAILED], id="no-end"),
    ],
)
@pytest.mark.parametrize("action", ["add", "mod", "del"])
def test_a_registration_is_abandoned_with_one_last_line(
    tmp_path: Path, parsed: Parsed, answer: list[str], action: str
) -> None:
    """A5: whatever it prints, there is exactly one %error, and it comes last."""
    world = World(tmp_path, parsed)
    lines = {"add": ADD, "mod": MOD, "del": MOD[:2]}[action]
    assert world.register(action, *lines) == answer
    assert world.unchanged
    assert world.talk.say("-holdconnect on") == ["%ok"]


def test_an_error_of_the_fifth_hundred_closes_the_connection(tmp_path: Path) -> None:
    world = World(tmp_path, Parsed(b"%error 562 gone\n", 2, b""))
    assert world.register("add", *ADD) == ["%error 562 gone"]
    assert world.talk.session.closing


def test_its_words_come_before_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    world = World(tmp_path, left(ADD_FILE, b"hello\n%ok\n%error 402 x\n"), "rfc")
    said = world.register("add", *ADD)
    assert said == [
        "hello",
        f"%register ID:{SERIAL}.a.com",
        f"%register Updated:{SERIAL}",
        "%ok",
    ]
    assert "bin/check tells an end, yet its exit status is 0" in caplog.text


def test_lines_end_as_the_dialect_has_it(tmp_path: Path) -> None:
    world = World(tmp_path, left(ADD_FILE, b"hello\n"), "rfc")
    session, service = world.talk.session, world.talk.service
    lines = ("-register on add a@a.com", *ADD, "-register off")
    session.receive("".join(line + "\n" for line in lines).encode())
    session.send(service.handle(session.peer, session.next_request()))  # type: ignore[arg-type]
    request = session.next_request()
    wire = world.talk.answer(request)  # type: ignore[arg-type]
    assert wire.startswith(b"hello\r\n%register ID:")


def test_without_programs_it_is_402(tmp_path: Path) -> None:
    world = World(tmp_path)
    reader = open_reader(tmp_path / "2", AREAS, OURS)
    world.talk = Talk(Service(reader, settings(), Ports(registry=world.registry)))
    assert world.register("add", *ADD) == [FAILED]
    assert world.unchanged


def test_all_objects_of_a_del_are_looked_at_before_one_goes(tmp_path: Path) -> None:
    """Data of others has the same ID and Updated in several areas."""
    twin = entry("b.net", "contact", "ID:1.a.com|Name:Twin|Updated:20240101")
    world = World(tmp_path)
    world.registry.rows[99] = twin
    world.talk.say("-security on request pw area")
    assert world.register("del", *MOD[:2]) == ["%ok"]
    assert [p.content for p in world.programs.parsings] == [
        OLD_FILE,
        b"ID:1.a.com\nName:Twin\nUpdated:20240101\n",
    ]
    assert not {1, 99} & world.registry.rows.keys()
