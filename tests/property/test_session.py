"""Any split of the bytes gives the same answers; no bytes make the session raise."""

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rwhoisd.directory.dialect import ARIN, DIALECTS, RFC, Dialect
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.protocol.payload import Opened
from rwhoisd.protocol.replies import OK, Reply
from rwhoisd.protocol.requests import (
    DirectiveRequest,
    PayloadRequest,
    QueryRequest,
    Request,
    Signal,
)
from rwhoisd.protocol.session import Session, SessionLimits, Speech
from rwhoisd.protocol.spool import Spool

LIMITS = SessionLimits(line_octets=64, spool_octets=200, spool_lines=5)
LINES = st.one_of(
    st.sampled_from(
        [
            *(b"-status", b"-holdconnect on", b"-holdconnect off", b"-quit", b"-register on"),
            *(b"-register off", b"john", b"", b"---", b"_NEW_", b"Name: x", b"-5", b"  -soa a "),
            *(b"a\0b", b"\0", b"x" * 63, b"x" * 66, b"-" + b"y" * 80, b"x" * 1100),
            *(b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----"),
            *(b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----END PGP SIGNATURE-----"),
        ]
    ),
    st.binary(max_size=90),
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b""])
WIRE = st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=12).map(b"".join)


def answer(session: Session, request: Request) -> Reply:
    """A small server: the switches that change how the session goes on."""
    peer = session.peer
    if isinstance(request, DirectiveRequest):
        match (request.word, request.text):
            case ("holdconnect", text):
                peer.holdconnect = text == "on"
            case ("register", "on"):
                limits = peer.limits
                peer.spool = Spool("add", "a@example.net", limits.spool_octets, limits.spool_lines)
            case ("register", "off"):
                lines = peer.spool.lines if peer.spool else []
                peer.spool = None
                return Reply(b"".join(b"%spooled " + line + b"\n" for line in lines))
            case ("quit", _):
                return Reply(close=True)
        return OK
    if isinstance(request, QueryRequest):
        return Reply(b"found " + request.line + b"\n")
    if isinstance(request, PayloadRequest):
        # a payload of this server holds lines that ask for something
        peer.opened = Opened(b"" if request.refusal else b"john\n-status\n", None)
        return Reply(ended=True) if request.data else OK
    return Reply(b"", request.code, request.detail)


def drain(session: Session) -> tuple[list[Request], bytes]:
    """Requests and answers until the session wants data or is over."""
    found: list[Request] = []
    wire = b""
    while not isinstance(request := session.next_request(), Signal):
        found.append(request)
        wire += session.send(answer(session, request))
    return found, wire


def play(dialect: Dialect, *parts: bytes) -> tuple[list[Request], bytes, bool]:
    """A whole conversation, the input in ``parts`` and then ended."""
    session = Session(Speech(dialect, b"", LIMITS))
    found: list[Request] = []
    wire = b""
    for part in parts:
        session.receive(part)
        requests, bytes_ = drain(session)
        found, wire = found + requests, wire + bytes_
    session.receive_eof()
    requests, bytes_ = drain(session)
    return found + requests, wire + bytes_, session.closing


@settings(deadline=None)  # a busy machine is no failure
@given(dialect=st.sampled_from([ARIN, RFC]), wire=WIRE, data=st.data())
def test_answers_do_not_depend_on_packet_boundaries(
    dialect: Dialect, wire: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    parts = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert play(dialect, *parts) == play(dialect, wire)


@given(dialect=st.sampled_from([ARIN, RFC]), wire=WIRE)
def test_byte_by_byte_is_the_same(dialect: Dialect, wire: bytes) -> None:
    assert play(dialect, *(wire[i : i + 1] for i in range(len(wire)))) == play(dialect, wire)


@given(dialect=st.sampled_from([ARIN, RFC]), wire=st.binary(max_size=3000))
def test_any_bytes_end_in_a_closed_session(dialect: Dialect, wire: bytes) -> None:
    requests, answers, closing = play(dialect, wire)
    assert closing
    finals = sum(line.startswith((b"%ok", b"%error ")) for line in answers.split(b"\n"))
    assert finals >= len(requests)


class Conversation(RuleBasedStateMachine):
    """Bytes, the end of input and refusals come in any order; the rules of a session hold."""

    def __init__(self) -> None:
        super().__init__()
        self.dialect = DIALECTS["arin"]
        self.session = Session(Speech(self.dialect, b"", LIMITS))
        self.wire = b""
        self.ended = False
        self.sent = b""
        self.refused = False

    @rule(data=WIRE)
    def receive(self, data: bytes) -> None:
        if not self.ended:
            self.session.receive(data)
            self.wire += data
        self.sent += drain(self.session)[1]

    @rule()
    def end_of_input(self) -> None:
        self.ended = True
        self.session.receive_eof()
        self.sent += drain(self.session)[1]
        assert self.session.closing

    @rule()
    def idle(self) -> None:
        was_closing = self.session.closing
        line = self.session.refuse(ResponseCode.IDLE)
        assert bool(line) is not was_closing
        self.refused = self.refused or not was_closing

    @invariant()
    def a_closed_session_says_nothing_and_keeps_nothing(self) -> None:
        if self.session.closing:
            self.session.receive(b"john\n")
            assert drain(self.session) == ([], b"")
            assert self.session.pending == 0
            assert self.session.peer.spool is None

    @invariant()
    def what_waits_is_less_than_a_line(self) -> None:
        assert self.session.pending < 511

    @invariant()
    def the_same_bytes_at_once_give_the_same_answers(self) -> None:
        if not self.refused:
            whole = Session(Speech(self.dialect, b"", LIMITS))
            whole.receive(self.wire)
            if self.ended:
                whole.receive_eof()
            assert drain(whole)[1] == self.sent


class RfcConversation(Conversation):
    """The same in rfc mode."""

    def __init__(self) -> None:
        super().__init__()
        self.dialect = DIALECTS["rfc"]
        self.session = Session(Speech(self.dialect, b"", LIMITS))


TestArin = Conversation.TestCase
TestRfc = RfcConversation.TestCase
TestArin.settings = TestRfc.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None
)
