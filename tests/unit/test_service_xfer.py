"""-xfer: selection, serials, views, parts."""

from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.guardian import Credentials
from rwhoisd.directory.objects import Object
from rwhoisd.service.service import Service
from rwhoisd.service.xfer import changed_since
from tests.unit.service_kit import AREAS, Talk, open_reader, settings

SERIAL = "20240601000000000"


def talk(folder: Path, compat: Compat = "arin", **changes: Any) -> Talk:
    return Talk(Service(open_reader(folder, compat=compat), settings(compat, **changes)))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("", "338 Invalid Directive Syntax", id="none"),
        pytest.param(" no.net", "340 Invalid Authority Area", id="area"),
        pytest.param(
            " 0.0.0.0/0", "340 Invalid Authority Area: No world dumps allowed", id="world"
        ),
        pytest.param(" c.org", "333 Not Master for Authority Area", id="slave"),
        pytest.param(" a.com class=no", "341 Invalid Class", id="class"),
        pytest.param(" a.com class=", "341 Invalid Class", id="empty-class"),
        pytest.param(" a.com attr=Name", "338 Invalid Directive Syntax", id="attr-without-class"),
        pytest.param(" a.com class=contact attr=no", "320 Invalid Attribute", id="attr"),
        pytest.param(
            " a.com 123",
            "338 Invalid Directive Syntax: Wrong Version Number Format",
            id="short-serial",
        ),
        pytest.param(
            " a.com class = contact",
            "338 Invalid Directive Syntax: Wrong Version Number Format",
            id="blanks",
        ),
        pytest.param(
            " a.com =", "338 Invalid Directive Syntax: Wrong Version Number Format", id="no-key"
        ),
        pytest.param(" a.com 20991231235959999", "332 Nothing To Transfer", id="future"),
        pytest.param(" a.com class=contact attr=Pin", "332 Nothing To Transfer", id="private"),
    ],
)
def test_errors(tmp_path: Path, line: str, answer: str) -> None:
    assert talk(tmp_path).say("-xfer" + line) == ["%error " + answer]


def test_unknown_keys(tmp_path: Path) -> None:
    line = "-xfer 10.0.0.0/8 foo=bar class=network attr=ID"
    assert talk(tmp_path).say(line)[-1] == "%ok"
    assert talk(tmp_path, "rfc").say(line) == ["%error 338 Invalid directive syntax"]


def test_a_whole_area_without_private_data(tmp_path: Path) -> None:
    lines = talk(tmp_path).say("-xfer a.com")
    assert [line for line in lines if line.endswith(".a.com") and ":ID:" in line] == [
        f"%xfer {name}:ID:{number}.a.com"
        for name, number in [
            *[("contact", n) for n in (1, 2, 4)],
            *[("guardian", n) for n in (9, 8)],
            ("referral", 7),
        ]
    ]
    assert not any("Pin" in line or "Guard-Info" in line or "Hidden" in line for line in lines)
    assert lines.count("%xfer") == 6
    assert lines[-1] == "%ok"
    assert "%xfer contact:Manager:1.a.com" in lines  # no type mark (R3.3.14-7)
    assert "%xfer contact:Name:Jos\xe9" in lines


def test_classes_and_attributes_in_the_order_asked(tmp_path: Path) -> None:
    lines = talk(tmp_path).say("-xfer A.com class=referral attr=ID class=person attribute=N")
    assert lines == [
        *("%xfer referral:ID:7.a.com", "%xfer"),
        *("%xfer contact:Name:Jos\xe9", "%xfer", "%xfer contact:Name:Jane", "%xfer"),
        *("%xfer contact:Name:Guarded", "%xfer", "%ok"),
    ]


def test_since_a_serial(tmp_path: Path) -> None:
    one = talk(tmp_path)
    line = "-xfer a.com class=contact attr=ID "
    assert one.say(line + "20240101000000000") == ["%xfer contact:ID:1.a.com", "%xfer", "%ok"]
    assert one.say(line + "20240101000000001") == ["%error 332 Nothing To Transfer"]


@pytest.mark.parametrize(
    ("updated", "wanted"),
    [
        pytest.param(None, False, id="none"),
        pytest.param("20240601", True, id="B37-padded"),
        pytest.param("20240531", False, id="before"),
        pytest.param(SERIAL, True, id="inclusive"),
        pytest.param("20240601000000001", True, id="after"),
        pytest.param("yesterday", True, id="text"),
    ],
)
def test_changed_since(updated: str | None, wanted: bool) -> None:
    lines = (("Updated", updated),) if updated else ()
    assert changed_since(Object("a.com", "contact", lines), SERIAL) is wanted


def test_a_guardian_gets_everything_of_its_own(tmp_path: Path) -> None:
    one = talk(tmp_path)
    one.session.peer.credentials = Credentials("pw", "Secret")
    lines = one.say("-xfer a.com class=contact attr=ID attr=Pin")
    assert lines == [
        *("%xfer contact:ID:1.a.com", "%xfer"),
        *("%xfer contact:ID:2.a.com", "%xfer contact:Pin:42", "%xfer"),
        *("%xfer contact:ID:3.a.com", "%xfer contact:Pin:43", "%xfer"),
        *("%xfer contact:ID:4.a.com", "%xfer contact:Pin:44", "%xfer", "%ok"),
    ]


def test_an_area_may_be_closed_to_a_client(tmp_path: Path) -> None:
    one = talk(tmp_path, may_transfer=lambda area, address: (area, address) != ("a.com", "::1"))
    assert one.say("-xfer a.com class=referral attr=ID")[-1] == "%ok"
    far = Talk(one.service, "::1")
    assert far.say("-xfer a.com") == ["%error 401 Not Authorized for Directive"]


def test_a_large_area_comes_in_parts(tmp_path: Path) -> None:
    objects = [
        Object("a.com", "contact", (("ID", f"{n}.a.com"), ("Name", "x" * 200))) for n in range(2000)
    ]
    reader = open_reader(tmp_path, AREAS, objects)
    one = Talk(Service(reader, settings()))
    one.session.receive(b"-xfer a.com\n")
    request = one.session.next_request()
    reply = one.service.handle(one.session.peer, request)  # type: ignore[arg-type]
    assert len(one.session.send(reply)) < 1 << 17  # type: ignore[arg-type]
    parts = []
    while one.session.sending:
        parts.append(one.session.send_part())
    assert len(parts) > 5
    assert max(map(len, parts)) < 1 << 17
    assert parts[-1] == b"%ok\n"
    assert one.say("-xfer a.com").count("%xfer") == 2000
