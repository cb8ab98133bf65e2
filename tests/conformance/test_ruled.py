"""Mode rfc: what the rulings make of a recorded conversation."""

import pytest

from conformance.arinset import explained
from conformance.recorded import RecordedCase
from conformance.ruled import load_rules

BANNER = "%rwhois V-1.5:003fff:00 h (x)\n"
RULES = load_rules()


def case(reply: str, *commands: str) -> RecordedCase:
    pieces = tuple(f"{command}\r\n".encode("latin-1") for command in commands)
    return RecordedCase(
        id="any",
        tags=(),
        config={},
        fresh_data=False,
        pieces=pieces,
        quotas=(1,) * len(pieces),
        reply=BANNER + reply,
        closed=True,
    )


def expected(reply: str, *commands: str) -> str:
    return "".join(RULES.ruling(case(reply, *commands)).responses[1:])


def right(received: str, reply: str, *commands: str) -> bool:
    ruling = RULES.ruling(case(reply, *commands))
    return explained(ruling, ruling.responses[0] + received)


STATUS = "%status limit:{}\n%status display:{}\n%ok\n"
E338 = "%error 338 Invalid directive syntax\n"
E340 = "%error 340 Invalid authority area\n"
E342 = "%error 342 Invalid host/port\n"
E400 = "%error 400 Directive not available\n"
E350 = "%error 350 Invalid Query Syntax\n"


@pytest.mark.parametrize(
    ("commands", "reply", "wanted"),
    [
        pytest.param(["-status"], STATUS.format(20, "DUMP"), STATUS.format(20, "dump"), id="A10"),
        pytest.param(
            ["-limit 7abc", "-status"],
            "%ok\n" + STATUS.format(7, "DUMP"),
            E338 + STATUS.format(20, "dump"),
            id="N21",
        ),
        pytest.param(
            ["-limit 7", "-limit x", "-status"],
            "%ok\n%error 331 Invalid Limit\n" + STATUS.format(7, "dump"),
            "%ok\n" + E338 + STATUS.format(7, "dump"),
            id="N21 keeps what was set",
        ),
        pytest.param(
            ["-display"],
            "%display name:DUMP\n%display length:4\n%display\n%ok\n",
            "%display name:dump\n%display\n%ok\n",
            id="A8",
        ),
        pytest.param(
            ["-soa a.net"],
            "%soa hostmaster:h@a.net\n%soa primary:a.net:1\n%soa\n%ok\n",
            "%soa tech-contact:h@a.net\n%soa admin-contact:h@a.net\n%soa hostmaster:h@a.net\n"
            "%soa primary:a.net:1\n%soa\n%ok\n",
            id="A20",
        ),
        pytest.param(
            ["-schema a.net"],
            "%schema c:attribute:X\n%schema c:format:none\n%schema c:type:See-Also\n%schema\n%ok\n",
            "%schema c:attribute:X\n%schema c:type:SEE-ALSO\n%schema c:format:none\n%schema\n%ok\n",
            id="A17",
        ),
        pytest.param(["Bogus=x"], E350, "%error 320 Invalid attribute\n", id="A23"),
        pytest.param(["bogus x"], E350, "%error 341 Invalid class\n", id="A24"),
        pytest.param(["a b c"], E350, "%error 350 Invalid query syntax\n", id="A2"),
        pytest.param(
            ["x"],
            "%error 330 Exceeded Max Objects Limit\n",
            "%error 330 Exceeded maximum objects limit\n",
            id="A2 in other words",
        ),
        pytest.param(["-5"], "%referral r\n%ok\n", E400, id="N12"),
        pytest.param(
            ["b.com or c.com"], "%referral r\n" * 2 + "%ok\n", "%referral r\n%ok\n", id="A26"
        ),
        pytest.param(
            ["-forward on", "x.net"],
            "%ok\n%referral r\n%ok\n",
            "%ok\n%error 402 Unidentified error\n",
            id="A9",
        ),
        pytest.param(
            ["-forward on", "-forward off", "x.net"],
            "%ok\n%ok\n%referral r\n%ok\n",
            "%ok\n%ok\n%referral r\n%ok\n",
            id="A9 only while it is on",
        ),
        pytest.param(["-notify update h:port:example.net"], "%ok\n", E342, id="A11"),
        pytest.param(["-notify update h:1:nowhere.net"], "%ok\n", E340, id="A11 area"),
    ],
)
def test_expected_answers(commands: list[str], reply: str, wanted: str) -> None:
    assert expected(reply, *commands) == wanted


def test_the_x_bit_is_in_the_banner_and_its_repetition() -> None:
    ruling = RULES.ruling(case(BANNER + "%ok\n", "-rwhois V-1.5"))
    assert all("V-1.5:007fff:00" in response for response in ruling.responses)


def test_a_registered_object_is_answered_without_blanks() -> None:
    commands = ["-register on add a@b.com", "Name: x", "-register off"]
    wanted = "%ok\n%register ID:1.a\n%register Updated:2\n%ok\n"
    assert expected("%ok\n%register ID: 1.a\n%register Updated: 2\n%ok\n", *commands) == wanted


def test_a_directive_amid_a_registration_is_ruled_as_any_other() -> None:
    commands = ["-register on add a@b.com", "-status", "-register off"]
    replies = "%ok\n" + STATUS.format(20, "{}") + "%error 338 Invalid directive syntax\n"
    assert expected(replies.format("DUMP"), *commands) == replies.format("dump")


def test_a_directive_keeps_the_connection() -> None:
    assert RULES.ruling(case("%error 230 x\n", "-")).closed is False
    assert RULES.ruling(case("%error 230 x\n", "x")).closed is None


@pytest.mark.parametrize(
    ("commands", "reply", "received"),
    [
        pytest.param(["a b c"], E350, "%error 341 Invalid class\n", id="A24 leaves room"),
        pytest.param(["contact"], E350, "%error 230 No objects found\n", id="A28"),
        pytest.param(["Email=a=b"], E350, "%error 230 No objects found\n", id="R3.4-19"),
        pytest.param(["contact Name=*x"], "c:N:ax\n\nc:N:xa\n\n%ok\n", "c:N:ax\n\n%ok\n", id="N33"),
        pytest.param(["y" * 600], "%error 230 a\n%error 230 b\n", "%error 230 a\n", id="long line"),
        pytest.param(["\x00-status"], "", "%error 350 Invalid query syntax\n", id="NUL"),
        pytest.param(
            ["-class example.net"],
            "%class c:version:0\n%class\n%ok\n",
            "%class c:version:20260101000000000\n%class\n%ok\n",
            id="N17",
        ),
    ],
)
def test_other_right_answers(commands: list[str], reply: str, received: str) -> None:
    assert right(received, reply, *commands)


@pytest.mark.parametrize(
    ("commands", "reply", "received"),
    [
        pytest.param(["a b c"], E350, "%error 320 Invalid attribute\n", id="code"),
        pytest.param(["Bogus=x"], E350, E350, id="a ruled answer is asked for"),
        pytest.param(["x*"], "c:N:ax\n\nc:N:xa\n\n%ok\n", "c:N:ax\n\n%ok\n", id="part"),
        pytest.param(["contact Name=*x"], "c:N:a\n\n%ok\n", "c:N:b\n\n%ok\n", id="no part"),
        pytest.param(["-status"], "%status a:1\n%ok\n", "%status a:2\n%ok\n", id="value"),
        pytest.param(["x"], "%ok\n", "%ok\n%ok\n", id="more"),
        pytest.param(["x", "y"], "%ok\n%ok\n", "%ok\n", id="less"),
    ],
)
def test_what_no_rule_explains(commands: list[str], reply: str, received: str) -> None:
    assert not right(received, reply, *commands)
