"""Defects of ARIN's server that a session shows, by their numbers in its table (§14)."""

from pathlib import Path

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.unit.service_kit import OBJECTS, FakeRegistry, Talk, open_reader, settings


def _error(code: int, arin: str, rfc: str, compat: Compat, detail: str = "") -> str:
    return f"%error {code} {arin if compat == 'arin' else rfc}{detail}"


@pytest.fixture(params=["arin", "rfc"])
def compat(request: pytest.FixtureRequest) -> Compat:
    mode: Compat = request.param
    return mode


@pytest.fixture
def one(tmp_path: Path, compat: Compat) -> Talk:
    """A client, and a registry as ``registry`` of its service's ports."""
    reader = open_reader(tmp_path, compat=compat)
    return Talk(Service(reader, settings(compat), Ports(registry=FakeRegistry())))


def _stands(one: Talk) -> bool:
    """Whether the session goes on."""
    return one.say("-holdconnect on") == ["%ok"] and not one.session.closing


def test_b2_security_off_clears_what_on_gave(one: Talk) -> None:
    assert one.say("-security on request pw Secret", "-security off") == ["%ok", "%ok"]
    assert one.session.peer.credentials is None
    assert _stands(one)


@pytest.mark.parametrize("text", ["on request pw", "on response pw x"])
def test_b3_an_incomplete_security_is_an_error_and_no_more(one: Talk, text: str) -> None:
    (said,) = one.say(f"-security {text}")
    assert said.startswith("%error 338 ")
    assert _stands(one)


def test_b4_a_wrong_serial_is_an_error_and_no_more(one: Talk, compat: Compat) -> None:
    (said,) = one.say("-xfer a.com class=contact 123")
    text = ("Invalid Directive Syntax", "Invalid directive syntax")
    assert said.startswith(_error(338, *text, compat))
    assert _stands(one)


def test_b5_no_secret_is_transferred(one: Talk) -> None:
    said = one.say("-xfer a.com class=guardian", "-xfer a.com")
    assert said[-1] == "%ok"
    assert not [line for line in said if "Guard-Info" in line or "Secret" in line]
    assert not [line for line in said if ":Hidden" in line or ":Pin:" in line]


def test_b7_b8_an_error_is_all_that_comes_of_an_unknown_attribute(
    one: Talk, compat: Compat
) -> None:
    """§14.1: the conversation in which ARIN's server says %error, then %register and %ok."""
    said = one.say(
        *("-register on add hm@a.com", "Class-Name:contact", "Auth-Area:a.com", "Name:Test, One"),
        *("Email:t1@a.com", "Type:i", "Bogus:zzz", "-register off"),
    )
    bogus = _error(320, "Invalid Attribute", "Invalid attribute", compat, ": Bogus")
    assert said == ["%ok", bogus]
    assert _stands(one)


def test_b8_values_are_stored_as_they_were_sent(tmp_path: Path) -> None:
    registry = FakeRegistry()
    service = Service(open_reader(tmp_path), settings("arin"), Ports(registry=registry))
    lines = ("CN:contact", "AA:a.com", "Name:n", "Type:Robot")
    said = Talk(service).say("-register on add a@a.com", *lines, "-register off")
    assert said[-1] == "%ok"
    assert registry.rows[len(OBJECTS) + 1].get("Type") == "Robot"
