"""Directives and queries whose answer has to wait: notices, programs, forwarding."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.directives import x_directive
from rwhoisd.service.ports import Notice, Ports, ProgramResult
from rwhoisd.service.service import Service
from rwhoisd.service.settings import ForwardLimits
from tests.unit.service_kit import (
    FakeConnector,
    FakeNotices,
    FakePrograms,
    Talk,
    open_reader,
    settings,
)

FAR = "rwhois://far.example.com:4321/auth-area=sub.a.com"


def talk(folder: Path, compat: Compat, ports: Ports, **changes: Any) -> Talk:
    return Talk(Service(open_reader(folder, compat=compat), settings(compat, **changes), ports))


# -- notify


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("badref not-a-url x", 338, id="no-url"),
        pytest.param(f"badref {FAR}", 338, id="no-query"),
        pytest.param("badref rwhois://h:99999/auth-area=a x", 342, id="port-of-url"),
        pytest.param("x y", 338, id="unknown"),
        pytest.param("inssec h:1", 338, id="no-area"),
        pytest.param("inssec h:99999:a.com", 342, id="port-range"),
        pytest.param("inssec h:x:a.com", 342, id="port-word"),
        pytest.param("inssec h h:1:a.com", 342, id="host"),
        pytest.param("inssec [::g]:1:a.com", 342, id="v6-host"),
        pytest.param("inssec h:1:no.net", 340, id="area"),
        pytest.param("update h:1:a.com", 401, id="update-to-a-master"),
        pytest.param("inssec h:1:c.org", 401, id="inssec-to-a-slave"),
    ],
)
def test_notify_is_validated(tmp_path: Path, text: str, code: int) -> None:
    notices = FakeNotices()
    lines = talk(tmp_path, "rfc", Ports(notices=notices)).say(f"-notify {text}")
    assert [line[:10] for line in lines] == [f"%error {code}"]
    assert notices.seen == []


def test_notices_are_recorded(tmp_path: Path) -> None:
    notices = FakeNotices()
    one = talk(tmp_path, "rfc", Ports(notices=notices))
    lines = one.say(
        "-rwhois V-1.5 me",
        f"-notify BADREF {FAR} contact x",
        "-notify inssec [2001:db8::1]:4321:10.0.0.0/8",
        "-notify update ns.c.org:43:C.org",
    )
    assert lines[1:] == ["%ok"] * 4
    place = "[2001:db8::1]:4321:10.0.0.0/8"
    far = HostPort("far.example.com", 4321)
    assert notices.seen == [
        Notice("badref", f"{FAR} contact x", "192.0.2.7", "me", far, "sub.a.com"),
        Notice("inssec", place, "192.0.2.7", "me", HostPort("2001:db8::1", 4321), "10.0.0.0/8"),
        Notice("update", "ns.c.org:43:C.org", "192.0.2.7", "me", HostPort("ns.c.org", 43), "c.org"),
    ]


def test_policy_may_refuse_a_notice(tmp_path: Path) -> None:
    notices = FakeNotices(refusal=RwhoisError(ResponseCode.NOT_AUTHORIZED))
    one = talk(tmp_path, "rfc", Ports(notices=notices))
    assert one.say("-notify delsec h:1:a.com") == ["%error 401 Not authorized for directive"]


def test_notices_are_recorded_as_they_come_in_arin_mode(tmp_path: Path) -> None:
    notices = FakeNotices()
    assert talk(tmp_path, "arin", Ports(notices=notices)).say("-notify update nosuch") == ["%ok"]
    assert notices.seen == [Notice("update", "nosuch", "192.0.2.7")]


# -- external programs


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        pytest.param(ProgramResult(b"hello\n"), ["hello", "%ok"], id="output"),
        pytest.param(ProgramResult(b"hello"), ["hello", "%ok"], id="no-line-end"),
        pytest.param(ProgramResult(b""), ["%ok"], id="silent"),
        pytest.param(
            ProgramResult(b"", "exit status 1"), ["%error 402 Unidentified Error"], id="B30"
        ),
        pytest.param(
            ProgramResult(b"half\n", "too slow"),
            ["half", "%error 402 Unidentified Error"],
            id="half",
        ),
        pytest.param(
            ProgramResult(b"%error 338 mine\n", "exit status 1"), ["%error 338 mine"], id="own"
        ),
    ],
)
def test_external_programs(tmp_path: Path, result: ProgramResult, answer: list[str]) -> None:
    programs = FakePrograms(result)
    echo = x_directive("echo", ["/bin/echo", "-e"], command_octets=2)
    one = talk(tmp_path, "arin", Ports(programs=programs), external=(echo,))
    assert one.say('-x-ecHELLO "two  words" three') == answer
    assert programs.calls == [("X-echo", ("/bin/echo", "-e", "two  words", "three"))]


# -- forwarding

BANNER = b"%rwhois V-1.5:00ffff:00 far\r\n"


def record(number: int) -> bytes:
    return b"contact:ID:%d\r\ncontact:Manager;I:x\r\n\r\n" % number


def shown(number: int) -> list[str]:
    return [f"contact:ID:{number}", "contact:Manager;I:x", ""]


def forwarding(tmp_path: Path, answers: dict[str, bytes], **limits: Any) -> Talk:
    connector = FakeConnector(answers)
    one = talk(
        tmp_path,
        "rfc",
        Ports(connector=connector),
        punts=("rwhois://root.example.com/auth-area=.",),
        forward=ForwardLimits(**limits),
    )
    one.say("-holdconnect on", "-forward on")
    return one


def asked(one: Talk) -> list[str]:
    connector = one.service._context.ports.connector
    assert isinstance(connector, FakeConnector)
    return [server.partition(":")[0].partition(".")[0] for server, _ in connector.asked]


def test_a_referral_is_followed(tmp_path: Path) -> None:
    one = forwarding(tmp_path, {"far.example.com": BANNER + record(1) + b"%ok\r\n"})
    assert one.say("x.sub.a.com") == [*shown(1), "%ok"]
    connector = one.service._context.ports.connector
    assert isinstance(connector, FakeConnector)
    assert connector.asked == [("far.example.com:4321", b"x.sub.a.com")]


def test_our_own_objects_come_first(tmp_path: Path) -> None:
    one = forwarding(tmp_path, {"far.example.com": BANNER + record(1) + b"%ok\r\n"})
    lines = one.say("referral sub.a.com")
    assert "referral:ID:7.a.com" in lines
    assert lines[-4:] == [*shown(1), "%ok"]


def test_no_referral_is_ever_returned(tmp_path: Path) -> None:
    one = forwarding(tmp_path, {})
    assert one.say("x.sub.a.com") == [
        "%error 402 Unidentified error: no answer from far.example.com:4321"
    ]
    assert one.say("-forward off", "x.sub.a.com") == ["%ok", f"%referral {FAR}", "%ok"]


def test_what_came_is_given_when_a_server_fails(tmp_path: Path) -> None:
    one = forwarding(tmp_path, {"far.example.com": BANNER + record(1) + b"%ok\r\n"})
    assert one.say("x.sub.a.com or x.example.com") == [*shown(1), "%ok"]
    assert asked(one) == ["far", "root"]


def test_nothing_found_there_is_230(tmp_path: Path) -> None:
    one = forwarding(tmp_path, {"far.example.com": BANNER + b"%error 230 No objects found\r\n"})
    assert one.say("x.sub.a.com") == ["%error 230 No objects found"]


def test_an_answer_that_breaks_off_counts_as_a_failure(tmp_path: Path) -> None:
    one = forwarding(tmp_path, {"far.example.com": BANNER})
    assert one.say("x.sub.a.com")[0].startswith("%error 402 ")


def test_loops_end(tmp_path: Path) -> None:
    loop = BANNER + b"%referral rwhois://FAR.example.com/auth-area=x\r\n%ok\r\n"
    own = BANNER + b"%referral rwhois://rwhois.a.com:4321/auth-area=y\r\n%ok\r\n"
    one = forwarding(tmp_path, {"far.example.com": loop, "root.example.com": own})
    assert one.say("x.sub.a.com or x.example.com") == ["%error 230 No objects found"]
    assert asked(one) == ["far", "root"]


def chain(length: int) -> dict[str, bytes]:
    hosts = ["far.example.com", *(f"h{n}.example.com" for n in range(1, length))]
    answers = {
        host: BANNER + b"%%referral rwhois://%s/auth-area=x\r\n%%ok\r\n" % after.encode()
        for host, after in pairwise(hosts)
    }
    return answers | {hosts[-1]: BANNER + record(1) + b"%ok\r\n"}


@pytest.mark.parametrize(
    ("limits", "servers"),
    [
        pytest.param({"depth": 2}, ["far", "h1"], id="depth"),
        pytest.param({"servers": 3}, ["far", "h1", "h2"], id="servers"),
        pytest.param({"seconds": 2.0}, ["far", "h1"], id="time"),
        pytest.param({}, ["far", "h1", "h2", "h3"], id="enough"),
    ],
)
def test_bounds(tmp_path: Path, limits: dict[str, Any], servers: list[str]) -> None:
    one = forwarding(tmp_path, chain(4), **limits)
    one.say("x.sub.a.com")
    assert asked(one) == servers


class Full:
    """A gate without a place; how long was waited for one."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncIterator[bool]:
        self.waited.append(seconds)
        yield False


def test_who_gets_no_place_among_those_who_are_forwarded_is_told(tmp_path: Path) -> None:
    """forward.at_once, forward.seconds: nobody is asked for him."""
    connector, gate = FakeConnector({}), Full()
    ports = Ports(connector=connector, forwarding=gate)
    one = talk(tmp_path, "rfc", ports, forward=ForwardLimits(seconds=7.0))
    told = "%error 402 Unidentified error: too many queries are forwarded"
    assert one.say("-forward on", "x.sub.a.com") == ["%ok", told]
    assert (gate.waited, connector.asked) == ([7.0], [])


def test_the_limit_holds_for_all_servers_together(tmp_path: Path) -> None:
    wire = BANNER + record(1) + record(2) + record(2) + record(3) + b"%ok\r\n"
    one = forwarding(tmp_path, {"far.example.com": wire})
    lines = one.say("-limit 2", "x.sub.a.com")
    assert lines == ["%ok", *shown(1), *shown(2), "%error 330 Exceeded maximum objects limit"]
    assert one.say("-limit 3", "x.sub.a.com")[-1] == "%ok"
