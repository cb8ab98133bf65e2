"""The directives that are answered at once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import Compat
from rwhoisd.protocol.directives import NAMES, x_directive
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.unit.service_kit import (
    AREAS,
    OBJECTS,
    FakeConnector,
    FakePrograms,
    Talk,
    open_reader,
    settings,
)

SYNTAX = "%error 338 Invalid Directive Syntax"
STATUS = [
    "%status limit:20",
    "%status holdconnect:OFF",
    "%status forward:OFF",
    "%status objects:10",
    "%status display:DUMP",
    "%status contact:root@a.com",
    "%ok",
]


def talk(folder: Path, compat: Compat = "arin", ports: Ports | None = None, **changes: Any) -> Talk:
    return Talk(Service(open_reader(folder, compat=compat), settings(compat, **changes), ports))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("-rwhois", [SYNTAX], id="rwhois-no-version"),
        pytest.param("-rwhois V-1.0", ["%error 300 Not Compatible With Version"], id="rwhois-old"),
        pytest.param("-rwhois V-1.5.1", ["%error 300 Not Compatible With Version"], id="rwhois-x"),
        pytest.param("-limit", [SYNTAX], id="limit-none"),
        pytest.param("-limit 5 6", [SYNTAX], id="limit-two"),
        pytest.param("-limit 0", ["%error 331 Invalid Limit"], id="limit-0"),
        pytest.param("-limit 101", ["%error 331 Invalid Limit"], id="limit-over"),
        pytest.param("-limit -3", ["%error 331 Invalid Limit"], id="limit-negative"),
        pytest.param("-limit abc", ["%error 331 Invalid Limit"], id="limit-word"),
        pytest.param("-limit " + "5" * 480, ["%error 331 Invalid Limit"], id="limit-huge"),
        pytest.param("-limit 10abc", ["%ok"], id="limit-leading-digits"),
        pytest.param('-limit "9"', ["%ok"], id="limit-quoted"),
        pytest.param("-holdconnect", [SYNTAX], id="hold-none"),
        pytest.param("-holdconnect on x", [SYNTAX], id="hold-two"),
        pytest.param("-HoldConnect ON", ["%ok"], id="hold-on"),
        pytest.param("-forward maybe", [SYNTAX], id="forward-maybe"),
        pytest.param("-forward on", ["%ok"], id="forward-on"),
        pytest.param("-status x", [SYNTAX], id="status-argument"),
        pytest.param("-statusfoo", STATUS, id="status-suffix"),
        pytest.param("  -status \x01", STATUS, id="B24"),
        pytest.param("-stat", ["%error 400 Directive Not Available"], id="no-abbreviation"),
        pytest.param("-display foo", ["%error 436 Invalid Display Format"], id="display-unknown"),
        pytest.param("-display x y", [SYNTAX], id="display-two"),
        pytest.param('-display "dump"', ["%ok"], id="display-quoted"),
        pytest.param("-directive quit x", [SYNTAX], id="directive-two"),
        pytest.param("-directive no", ["%error 400 Directive Not Available"], id="B1"),
        pytest.param("-class", [SYNTAX], id="class-none"),
        pytest.param("-class no.net", ["%error 340 Invalid Authority Area"], id="class-area"),
        pytest.param("-class a.com contact no", ["%error 341 Invalid Class"], id="class-unknown"),
        pytest.param("-schema a.com no", ["%error 341 Invalid Class"], id="schema-unknown"),
        pytest.param("-soa a.com no.net", ["%error 340 Invalid Authority Area"], id="soa-unknown"),
        pytest.param("-soa c.org", ["%ok"], id="soa-of-slave-never-synchronised"),
        pytest.param("-quit now", ["%ok"], id="quit"),
        pytest.param("-notify", [SYNTAX], id="notify-none"),
        pytest.param("-notify badref", [SYNTAX], id="notify-no-text"),
        pytest.param("-notify gossip x", [SYNTAX], id="notify-unknown"),
        pytest.param("-notify UPDATE anything", ["%ok"], id="notify-unchecked"),
        pytest.param("-X-none", ["%error 400 Directive Not Available"], id="x-unknown"),
    ],
)
def test_arin_mode(tmp_path: Path, line: str, answer: list[str]) -> None:
    assert talk(tmp_path).say(line) == answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("-limit 10abc", ["%error 338 Invalid directive syntax"], id="limit-N21"),
        pytest.param("-limit 0", ["%error 331 Invalid limit"], id="limit-0"),
        pytest.param("-5", ["%error 400 Directive not available"], id="N12"),
        pytest.param("-display", ["%display name:dump", "%display", "%ok"], id="display-A8"),
        pytest.param("-forward on", ["%error 400 Directive not available"], id="no-connector"),
        pytest.param("-directive register", ["%error 400 Directive not available"], id="N18-off"),
        pytest.param(
            "-directive soa quit",
            [
                *("%directive directive:soa", "%directive description:ask server's authority area"),
                *("%directive", "%directive directive:quit"),
                *("%directive description:quit connection", "%directive", "%ok"),
            ],
            id="directive-A7",
        ),
        pytest.param("-soa 10.0.0.0/8 a b", ["%error 340 Invalid authority area"], id="soa"),
        pytest.param("x" * 3000, ["%error 350 Invalid query syntax"], id="long-line"),
    ],
)
def test_rfc_mode(tmp_path: Path, line: str, answer: list[str]) -> None:
    said = talk(tmp_path, "rfc").say(line)
    assert [text.partition(": line longer")[0] for text in said] == answer


def test_status_follows_the_session(tmp_path: Path) -> None:
    one = talk(tmp_path)
    lines = one.say("-limit 7", "-holdconnect on", "-forward on", "-display Dump", "-status")
    assert lines[4:10] == [
        *("%status limit:7", "%status holdconnect:ON", "%status forward:ON", "%status objects:10"),
        *("%status display:Dump", "%status contact:root@a.com"),
    ]


@pytest.mark.parametrize(
    ("compat", "contact"), [("arin", " "), ("rfc", "root@a.com")], ids=["arin", "rfc"]
)
def test_status_without_a_contact(tmp_path: Path, compat: Compat, contact: str) -> None:
    assert f"%status contact:{contact}" in talk(tmp_path, compat, contact="").say("-status")


def test_status_counts_what_queries_can_find(tmp_path: Path) -> None:
    refused = replace(OBJECTS[0], indexed=False)
    reader = open_reader(tmp_path, objects=(refused, *OBJECTS[1:]))
    one = Talk(Service(reader, settings("arin")))
    assert "%status objects:9" in one.say("-status")


def test_no_ceiling_means_any_limit_and_none(tmp_path: Path) -> None:
    one = talk(tmp_path, max_objects=0)
    assert one.say("-limit 0", "-limit 99999", "-limit -1") == [
        *("%ok", "%ok", "%error 331 Invalid Limit"),
    ]


def test_display_names_the_format_as_it_was_chosen(tmp_path: Path) -> None:
    assert talk(tmp_path).say("-display Dump", "-display") == [
        "%ok",
        *("%display name:Dump", "%display length:4"),
        *("%display description:display in Dump format", "%display", "%ok"),
    ]


def test_display_in_arin_mode(tmp_path: Path) -> None:
    assert talk(tmp_path).say("-display") == [
        *("%display name:DUMP", "%display length:4"),
        *("%display description:display in DUMP format", "%display", "%ok"),
    ]


def test_rwhois_repeats_the_banner_and_names_the_client(tmp_path: Path) -> None:
    one = talk(tmp_path)
    assert one.say("-rwhois v-1.5  some  client") == [
        "%rwhois V-1.5:003eff:00 rwhois.a.com (by Network Solutions, Inc. V-1.5.9.6)",
        "%ok",
    ]
    assert one.session.banner() == one.service.banner
    assert one.session.peer.client == "some client"


def test_class_in_the_order_asked(tmp_path: Path) -> None:
    assert talk(tmp_path).say("-class A.COM referral person guardian") == [
        *("%class referral:description:0", "%class referral:version:0", "%class"),
        "%class contact:description:People",
        *("%class contact:version:20240115093000000", "%class"),
        *("%class guardian:description:0", "%class guardian:version:0", "%class", "%ok"),
    ]


def test_class_names_all_classes_in_schema_order(tmp_path: Path) -> None:
    lines = talk(tmp_path, "rfc").say("-class a.com")
    assert [line.split()[1].split(":")[0] for line in lines[:-1] if ":version:" in line] == [
        *("contact", "guardian", "referral")
    ]
    versions = [line.rpartition(":")[2] for line in lines if ":version:" in line]
    assert all(len(text) == 17 and text.isdigit() for text in versions)  # R3.3.1-4


def test_schema_of_one_class(tmp_path: Path) -> None:
    lines = talk(tmp_path).say("-schema 10.0.0.0/8 network")
    assert lines.count("%schema") == 9  # seven base attributes and two
    assert "%schema network:attribute:IP-Network" in lines
    assert lines[-1] == "%ok"


def test_soa_of_all_areas_and_of_those_named(tmp_path: Path) -> None:
    one = talk(tmp_path)
    authorities = [line for line in one.say("-soa") if "authority:" in line]
    assert authorities == [f"%soa authority:{a}" for a in ("a.com", "10.0.0.0/8", "b.net")]
    named = [line for line in one.say('-soa "10.0.0.0/8" a.com') if "authority:" in line]
    assert named == [f"%soa authority:{a}" for a in ("10.0.0.0/8", "a.com")]


def test_directive_lists_what_is_off_in_arin_mode_only(tmp_path: Path) -> None:
    on = frozenset(NAMES) - {"xfer", "quit"}
    lines = talk(tmp_path, directives=on).say("-directive")
    assert [line for line in lines if "directive:" in line] == [
        f"%directive directive:{name}" for name in NAMES
    ]
    shown = talk(tmp_path, "rfc", directives=on).say("-directive")
    off = ("xfer", "quit", "register", "forward")
    assert [line for line in shown if "directive:" in line] == [
        f"%directive directive:{name}" for name in NAMES if name not in off
    ]


def test_the_banner_tells_what_is_on(tmp_path: Path) -> None:
    reader = open_reader(tmp_path)
    echo = x_directive("echo", ["/bin/echo"])
    with_all = Ports(programs=FakePrograms(), connector=FakeConnector())
    for compat, ports, bits in [
        ("arin", Ports(), "003eff"),
        ("rfc", Ports(), "003ef7"),
        ("arin", with_all, "003eff"),
        ("rfc", with_all, "007eff"),
    ]:
        service = Service(reader, settings(compat, external=(echo,)), ports)  # type: ignore[arg-type]
        assert f":{bits}:".encode() in service.banner, (compat, bits)


@pytest.mark.parametrize("line", ["-quit", "-xfer a.com", "-statusfoo"])
def test_what_is_off_is_400(tmp_path: Path, line: str) -> None:
    one = talk(tmp_path, directives=frozenset(NAMES) - {"quit", "xfer", "status"})
    assert one.say(line) == ["%error 400 Directive Not Available"]
    assert not one.session.closing


def test_access_is_asked_by_the_canonical_name(tmp_path: Path) -> None:
    def rule(name: str, address: str) -> bool:
        return not (name in {"class", "X-date"} and address == "192.0.2.7")

    service = Service(
        open_reader(tmp_path),
        settings(may_use=rule, external=(x_directive("date", ["/bin/date"]),)),
        Ports(programs=FakePrograms()),
    )
    denied = ["%error 401 Not Authorized for Directive"]
    for line in ("-class a.com", "-CLASSES a.com", "-X-dateFOO"):
        assert Talk(service).say(line) == denied  # B6
        assert Talk(service, "192.0.2.8").say(line) != denied


def test_an_area_with_another_charset(tmp_path: Path) -> None:
    def with_hostmaster(area: AuthorityArea) -> AuthorityArea:
        from dataclasses import replace

        assert area.soa is not None
        return replace(area, soa=replace(area.soa, hostmaster="jos\xe9@a.com"))

    reader = open_reader(tmp_path, areas=(with_hostmaster(AREAS[0]),), objects=())
    lines = Talk(Service(reader, settings())).say("-soa")
    assert "%soa hostmaster:jos\xe9@a.com" in lines
