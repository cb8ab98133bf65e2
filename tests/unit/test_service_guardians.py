"""-security, and what guardians get to see."""

from pathlib import Path

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.guardian import Credentials
from rwhoisd.directory.objects import Object
from rwhoisd.service.guardians import normalized, proves
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.unit.service_kit import FakeRegistry, Talk, open_reader, settings

SYNTAX = "338 Invalid Directive Syntax"


def talk(folder: Path, compat: Compat = "arin") -> Talk:
    reader = open_reader(folder, compat=compat)
    return Talk(Service(reader, settings(compat), Ports(registry=FakeRegistry())))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("", SYNTAX, id="none"),
        pytest.param(" maybe", SYNTAX, id="maybe"),
        pytest.param(" on", SYNTAX, id="on"),
        pytest.param(" on request", SYNTAX, id="no-scheme"),
        pytest.param(" on foo pw x", SYNTAX, id="direction"),
        pytest.param(" on request foo x", "352 Invalid Security Method", id="scheme"),
        pytest.param(" on response pgp key", "352 Invalid Security Method", id="pgp"),
        pytest.param(" on request pw", SYNTAX + ": Password not supplied", id="B3-password"),
        pytest.param(" on response pw x", SYNTAX + ": Scheme not supported", id="B3-response"),
        pytest.param(" off", SYNTAX, id="off-without-on"),
        pytest.param(" off request", SYNTAX, id="off-with-argument"),
    ],
)
def test_errors(tmp_path: Path, line: str, answer: str) -> None:
    one = talk(tmp_path)
    assert one.say("-security" + line) == ["%error " + answer]
    assert one.session.peer.credentials is None
    assert not one.session.closing


@pytest.mark.parametrize(
    "line", ["on request pw x", "ON REQUEST Crypt-PW x", 'on request password ""']
)
def test_on_is_always_ok(tmp_path: Path, line: str) -> None:
    assert talk(tmp_path).say(f"-security {line}") == ["%ok"]


def test_it_lasts_until_off_or_the_next_on(tmp_path: Path) -> None:
    one = talk(tmp_path)
    lines = one.say(
        *("-holdconnect on", "-security on request pw wrong", "3.a.com"),
        *("-security on request pw Secret more", "3.a.com", "-security off", "3.a.com"),
        "-security off",
    )
    assert [line for line in lines if line.startswith(("%", "contact:Pin"))] == [
        *("%ok", "%ok", "%ok", "%ok", "contact:Pin:43", "%ok", "%ok", "%ok"),
        "%error 338 Invalid Directive Syntax",
    ]


@pytest.mark.parametrize(
    ("scheme", "secret", "query", "seen"),
    [
        pytest.param("pw", "Secret", "3.a.com", "contact:Pin:43", id="private-object"),
        pytest.param("pw", "Secret", "4.a.com", "contact:Pin:44", id="private-line"),
        pytest.param("pw", "secret", "4.a.com", None, id="case-of-the-secret"),
        pytest.param("crypt-pw", "Secret", "4.a.com", None, id="other-scheme"),
        pytest.param("pw", "area", "5.b.net", "contact:Pin:45", id="guardian-of-the-area"),
        pytest.param("pw", "Secret", "5.b.net", None, id="not-of-this-area"),
        pytest.param("passwd", "Secret", "9.a.com", "guardian:Guard-Info:Secret", id="itself"),
        pytest.param(
            "crypt-pw",
            "fjord-secret",
            "8.a.com",
            "guardian:Guard-Info:ab2Vqm.AnTodk",
            id="crypt",
        ),
        pytest.param("crypt-pw", "ab2Vqm.AnTodk", "8.a.com", None, id="hash-is-no-secret"),
        pytest.param("pw", "fjord-secret", "8.a.com", None, id="crypt-by-pw"),
        pytest.param("pw", "Secret", "2.a.com", "contact:Pin:42", id="unguarded"),
    ],
)
def test_guardians_see_what_is_theirs(
    tmp_path: Path, scheme: str, secret: str, query: str, seen: str | None
) -> None:
    lines = talk(tmp_path).say(f"-security on request {scheme} {secret}", query)
    hidden = [line for line in lines if "Pin" in line or "Guard-Info" in line]
    assert hidden == ([seen] if seen else [])
    assert lines[-1] == "%ok"


def test_a_guardian_named_without_period_is_searched(tmp_path: Path) -> None:
    objects = [
        Object("a.com", "contact", (("ID", "1.a.com"), ("Guardian", "keeper"), ("Pin", "1"))),
        Object(
            "a.com",
            "guardian",
            (("ID", "keeper"), ("Guard-Scheme", "pw"), ("Guard-Info", "x")),
        ),
    ]
    reader = open_reader(tmp_path, objects=objects)
    one = Talk(Service(reader, settings(), Ports(registry=FakeRegistry())))
    assert "contact:Pin:1" in one.say("-security on request pw x", "1.a.com")


def test_stale_guardians_close_an_object(tmp_path: Path) -> None:
    lines = (("ID", "1.a.com"), ("Guardian", "gone.a.com"), ("Pin", "1"))
    reader = open_reader(tmp_path, objects=[Object("a.com", "contact", lines)])
    one = Talk(Service(reader, settings(), Ports(registry=FakeRegistry())))
    said = one.say("-security on request pw x", "1.a.com")
    assert "contact:ID:1.a.com" in said
    assert "contact:Pin:1" not in said


def test_a_guardian_whose_own_guardians_are_gone_guards_itself(tmp_path: Path) -> None:
    lines = (("ID", "1.a.com"), ("Guardian", "gone.a.com"), ("Guard-Scheme", "pw"))
    alone = Object("a.com", "guardian", (*lines, ("Guard-Info", "x")))
    reader = open_reader(tmp_path, objects=[alone])
    one = Talk(Service(reader, settings(), Ports(registry=FakeRegistry())))
    assert "guardian:Guard-Info:x" in one.say("-security on request pw x", "1.a.com")


def guardian(scheme: str, info: str) -> Object:
    return Object("a.com", "guardian", (("Guard-Scheme", scheme), ("Guard-Info", info)))


@pytest.mark.parametrize(
    ("offered", "scheme", "info", "charset", "proven"),
    [
        pytest.param("\xe9", "pw", "\xe9", "latin-1", True, id="latin-1"),
        pytest.param("\xc3\xa9", "pw", "\xe9", "utf-8", True, id="utf-8"),
        pytest.param("\xe9", "pw", "\xe9", "utf-8", False, id="no-utf-8"),
        pytest.param("", "pw", "", "utf-8", False, id="no-info"),
        pytest.param("x", "pw ", "x", "utf-8", True, id="blank-after-scheme"),
        pytest.param("x", "other", "x", "utf-8", False, id="unknown-scheme"),
    ],
)
def test_proves(offered: str, scheme: str, info: str, charset: str, proven: bool) -> None:
    assert proves(Credentials("pw", offered), guardian(scheme, info), charset) is proven


@pytest.mark.parametrize("info", ["!", "*0", "$9$x", "\0"])
def test_what_is_no_hash_proves_nothing(info: str) -> None:
    assert not proves(Credentials("crypt-pw", "x"), guardian("crypt-pw", info))


def test_guardians_are_normalized() -> None:
    lines = guardian("PassWD", "x").lines
    assert normalized(lines) == (("Guard-Scheme", "pw"), ("Guard-Info", "x"))
    hashed = Object("a.com", "guardian", normalized(guardian("crypt-pw", "x").lines))
    assert hashed.get("Guard-Info") != "x"
    assert proves(Credentials("crypt-pw", "x"), hashed)
    assert normalized(hashed.lines, hashed) == hashed.lines


def test_credentials_are_never_printed() -> None:
    assert "Secret" not in repr(Credentials("pw", "Secret"))
