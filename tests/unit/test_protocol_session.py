"""The session, driven with byte strings and no event loop."""

from collections.abc import Iterator

import pytest

from rwhoisd.directory.dialect import ARIN, RFC, Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.replies import OK, Reply, banner, body, error_line
from rwhoisd.protocol.requests import (
    CLOSED,
    NEED_DATA,
    DirectiveRequest,
    QueryRequest,
    RefusedRequest,
    Request,
    Signal,
    split_arguments,
)
from rwhoisd.protocol.session import Session, SessionLimits, Speech
from rwhoisd.protocol.spool import Spool, records


def session(dialect: Dialect = ARIN, **limits: int) -> Session:
    line = banner(dialect, 0x3FFF, "rwhois.example.net")
    return Session(Speech(dialect, line, SessionLimits(**limits)))


def play(session: Session, wire: bytes, reply: Reply = OK) -> list[Request | Signal]:
    """All requests of ``wire``, each answered by ``reply``, and the signal after them."""
    session.receive(wire)
    found: list[Request | Signal] = []
    while isinstance(request := session.next_request(), Request):
        found.append(request)
        session.send(reply)
    return [*found, request]


def test_banner() -> None:
    assert session().banner() == (
        b"%rwhois V-1.5:003fff:00 rwhois.example.net (by Network Solutions, Inc. V-1.5.9.6)\n"
    )
    assert session(RFC).banner() == b"%rwhois V-1.5:003fff:00 rwhois.example.net (rwhoisd)\r\n"


@pytest.mark.parametrize(
    ("line", "dialect", "request_"),
    [
        pytest.param(b"john", ARIN, QueryRequest(b"john"), id="query"),
        pytest.param(b"-status", ARIN, DirectiveRequest("status", ""), id="directive"),
        pytest.param(b"  -soa \x01", ARIN, DirectiveRequest("soa", ""), id="B24"),
        pytest.param(b"-limit\t5", ARIN, DirectiveRequest("limit", "5"), id="tab"),
        pytest.param(b"-soa  a b", RFC, DirectiveRequest("soa", "a b"), id="arguments"),
        pytest.param(b"-x \xa0\xe9", RFC, DirectiveRequest("x", "\xa0\xe9"), id="8-bit"),
        pytest.param(b"-5", ARIN, QueryRequest(b"-5"), id="dash-digit-arin"),
        pytest.param(b"-5", RFC, DirectiveRequest("5", ""), id="dash-digit-rfc"),
        pytest.param(b"-", ARIN, QueryRequest(b"-"), id="dash-arin"),
        pytest.param(b"-", RFC, DirectiveRequest("", ""), id="dash-rfc"),
        pytest.param(b"- limit 5", RFC, DirectiveRequest("", "limit 5"), id="dash-blank-rfc"),
        pytest.param(b"---", ARIN, QueryRequest(b"---"), id="dashes"),
        pytest.param(b"-\xe9", ARIN, QueryRequest(b"-\xe9"), id="no-ascii-letter"),
        pytest.param(b'"-status"', RFC, QueryRequest(b'"-status"'), id="quoted"),
    ],
)
def test_directive_or_query(line: bytes, dialect: Dialect, request_: Request) -> None:
    assert play(session(dialect), line + b"\r\n")[0] == request_


def test_a_query_ends_the_session_and_drops_what_follows() -> None:
    ends = session()
    assert play(ends, b"-status\njohn\n-status\n") == [
        DirectiveRequest("status", ""),
        QueryRequest(b"john"),
        CLOSED,
    ]
    assert ends.closing
    ends.receive(b"-status\n")
    assert ends.next_request() is CLOSED


def test_hold_connect_keeps_the_session() -> None:
    held = session()
    held.peer.holdconnect = True
    assert play(held, b"john\njane\n") == [QueryRequest(b"john"), QueryRequest(b"jane"), NEED_DATA]
    held.receive_eof()
    assert held.next_request() is CLOSED


def test_the_last_line_needs_no_line_end() -> None:
    one = session()
    one.receive(b"john")
    assert one.next_request() is NEED_DATA
    one.receive_eof()
    assert one.next_request() == QueryRequest(b"john")
    assert one.send(Reply(b"data\n")) == b"data\n%ok\n"
    assert one.next_request() is CLOSED


@pytest.mark.parametrize(
    ("dialect", "reply", "wire"),
    [
        pytest.param(ARIN, OK, b"%ok\n", id="ok"),
        pytest.param(RFC, OK, b"%ok\r\n", id="ok-rfc"),
        pytest.param(
            ARIN,
            Reply(b"x\n", ResponseCode.LIMIT_EXCEEDED),
            b"x\n%error 330 Exceeded Max Objects Limit\n",
            id="data-and-error",
        ),
        pytest.param(
            RFC,
            Reply(b"", ResponseCode.INVALID_ATTRIBUTE, "Caf\xe9\n%ok"),
            b"%error 320 Invalid attribute: Caf\xe9%ok\r\n",
            id="detail-is-one-line",
        ),
        pytest.param(ARIN, Reply(b"%error 402 own\n", ended=True), b"%error 402 own\n", id="own"),
    ],
)
def test_final_line(dialect: Dialect, reply: Reply, wire: bytes) -> None:
    one = session(dialect)
    one.receive(b"-status\n")
    one.next_request()
    assert one.send(reply) == wire
    assert not one.closing


@pytest.mark.parametrize("code", [c for c in ResponseCode if c >= 500])
def test_5xx_closes(code: ResponseCode) -> None:
    one = session()
    assert play(one, b"-status\n-status\n", Reply(b"", code))[1:] == [CLOSED]


def test_quit_closes() -> None:
    assert play(session(), b"-quit\n-status\n", Reply(close=True))[1:] == [CLOSED]


def test_refuse_tells_once_and_closes() -> None:
    idle = session()
    assert idle.refuse(ResponseCode.IDLE) == b"%error 503 Idle Time Exceeded\n"
    assert idle.next_request() is CLOSED
    assert idle.refuse(ResponseCode.IDLE) == b""


def test_each_request_needs_a_reply() -> None:
    one = session()
    one.receive(b"-status\n-status\n")
    one.next_request()
    with pytest.raises(RuntimeError, match="no reply"):
        one.next_request()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(b"x" * 100, ResponseCode.INVALID_QUERY_SYNTAX, id="query"),
        pytest.param(b"-x" * 50, ResponseCode.INVALID_DIRECTIVE_SYNTAX, id="directive"),
        pytest.param(b"a\0b", ResponseCode.INVALID_QUERY_SYNTAX, id="nul"),
    ],
)
def test_a_bad_line_is_refused_once(line: bytes, code: ResponseCode) -> None:
    one = session(RFC, line_octets=64)
    one.peer.holdconnect = True
    first, *rest = play(one, line + b"\r\njohn\r\n")
    assert isinstance(first, RefusedRequest)
    assert first.code is code
    assert rest == [QueryRequest(b"john"), NEED_DATA]


def test_a_refused_query_ends_the_session_a_refused_directive_does_not() -> None:
    assert play(session(RFC, line_octets=8), b"x" * 99 + b"\n-quit\n")[1:] == [CLOSED]
    assert play(session(RFC, line_octets=8), b"-" * 99 + b"\n-quit\n")[1:] == [
        DirectiveRequest("quit", ""),
        NEED_DATA,
    ]


@pytest.mark.parametrize("dialect", [ARIN, RFC], ids=["arin", "rfc"])
def test_spool_takes_lines_but_directives(dialect: Dialect) -> None:
    one = session(dialect)
    one.peer.spool = Spool("add", "a@example.net", 1000, 10)
    found = play(one, b"ID: 1.a\n---\n\n-status\n_NEW_\n-register off\n")
    assert found == [
        DirectiveRequest("status", ""),
        DirectiveRequest("register", "off"),
        NEED_DATA,
    ]
    assert one.peer.spool.lines == [b"ID: 1.a", b"---", b"_NEW_"]


def test_spool_is_bounded() -> None:
    one = session()
    spool = one.peer.spool = Spool("add", "a@example.net", 100, 1000)
    assert play(one, b"Name: x\n" * 1000) == [NEED_DATA]
    assert spool.lines == []
    assert spool.refusal == "registration longer than 100 octets"


def test_lines_of_a_spool_are_bounded() -> None:
    one = session()
    spool = one.peer.spool = Spool("add", "a@example.net", 1000, 10)
    assert play(one, b"\n" * 9 + b"a: b\n" * 10) == [NEED_DATA]  # empty ones do not count
    assert len(spool.lines) == 10
    assert play(one, b"a: b\n") == [NEED_DATA]
    assert spool.lines == []
    assert spool.refusal == "registration longer than 10 lines"


def test_a_bad_line_in_the_spool_is_told_at_the_end() -> None:
    one = session(RFC, line_octets=16)
    spool = one.peer.spool = Spool("add", "a@example.net", 100, 10)
    assert play(one, b"Name: " + b"x" * 99 + b"\r\n") == [NEED_DATA]
    assert spool.refusal == "line longer than 16 octets"


def test_records_of_a_spool() -> None:
    lines = [
        *(b"ID : 1.a ", b"no colon", b"# Name: comment", b"_Name: x", b"Fax:", b": x"),
        *(b"Policy: a: b", b"_new_", b"--- more", b"Name:\xe9"),
    ]
    first = (("ID", "1.a "), ("Fax", ""), ("", "x"), ("Policy", "a: b"))
    assert records(lines) == [first, (), (("Name", "\xe9"),)]
    assert records([]) == [()]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        pytest.param("", (), id="none"),
        pytest.param(" a \t b ", ("a", "b"), id="blanks"),
        pytest.param('a "b c" d e', ("a", "b c", "d", "e"), id="B28"),
        pytest.param("'two  words' three", ("two  words", "three"), id="single"),
        pytest.param('"a.com"', ("a.com",), id="first-token"),
        pytest.param('class=x attr="Na me"', ("class=x", "attr=Na me"), id="inside"),
        pytest.param('""', ("",), id="empty"),
        pytest.param("it's fine", ("it's", "fine"), id="lone-inside"),
        pytest.param('a "b c', ("a", "b c"), id="lone-at-start"),
        pytest.param("{a b}", ("{a", "b}"), id="brace-is-ordinary"),
        pytest.param("\xa0 \x85\xe9", ("\xa0", "\x85\xe9"), id="8-bit"),
    ],
)
def test_split_arguments(text: str, arguments: tuple[str, ...]) -> None:
    assert split_arguments(text) == arguments


def test_a_long_reply_comes_in_parts() -> None:
    one = session()
    one.receive(b"-xfer a\n-status\n")
    one.next_request()
    assert one.send(Reply(b"1\n", more=iter([b"2\n", b"3\n"]))) == b"1\n"
    parts = []
    while one.sending:
        with pytest.raises(RuntimeError, match="no reply"):
            one.next_request()
        parts.append(one.send_part())
    assert parts == [b"2\n", b"3\n", b"%ok\n"]
    assert one.send_part() == b""
    assert one.next_request() == DirectiveRequest("status", "")


def failing_parts() -> Iterator[bytes]:
    yield b"2\n"
    raise RwhoisError(ResponseCode.UNIDENTIFIED)


def test_a_part_that_fails_ends_in_an_error() -> None:
    one = session()
    one.receive(b"-xfer a\n")
    one.next_request()
    one.send(Reply(b"1\n", more=failing_parts()))
    assert one.send_part() == b"2\n"
    assert one.send_part() == b"%error 402 Unidentified Error\n"
    assert not one.sending
    assert one.next_request() is NEED_DATA


def test_refuse_gives_a_long_reply_up() -> None:
    one = session()
    one.receive(b"-xfer a\n")
    one.next_request()
    one.send(Reply(b"1\n", more=failing_parts()))
    assert one.refuse(ResponseCode.SERVICE_NOT_AVAILABLE)
    assert not one.sending


def test_body_and_error_line() -> None:
    assert body(["a", "\xe9"], RFC, "latin-1") == b"a\r\n\xe9\r\n"
    assert error_line(RFC, ResponseCode.NO_OBJECTS_FOUND) == b"%error 230 No objects found\r\n"
