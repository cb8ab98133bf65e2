"""The session: bytes become requests, replies become bytes (RFC 2167 §3.1, §3.5).

Theory of operation. The owner of a connection writes ``banner()``, then feeds what it receives
and takes requests one at a time; each request gets exactly one reply before the next is taken:

    session.receive(data)
    while isinstance(request := session.next_request(), Request): ...
        write(session.send(service.handle(session.peer, request)))

A reply whose body is long comes in parts: while ``sending`` is true, ``send_part`` has to be
called for the next one, at the pace at which the client reads.

State is what the peer switched (``Peer``) and three flags: input has ended, a reply is due,
the session is over. ``-register on`` puts a spool into the peer; while it is there, lines that
are no directives go into it and nothing is said (R3.3.9-2). After a query without hold-connect
the session is over: what came behind the query is dropped (R3.1.6-2).

A PGP block is one request, its payload kept as it came. When the service put what it held into
``peer.opened``, that is the input until it is used up, and its proof holds for it alone: what
comes in the clear before or behind may be of somebody else (§3.3.11, N28).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import Credentials
from rwhoisd.protocol.lines import LineBuffer, LineRefusedError, LineRules
from rwhoisd.protocol.payload import BLOCKS, Opened, Payload, Sealing, Treatment
from rwhoisd.protocol.replies import OK_LINE, Reply, error_line
from rwhoisd.protocol.requests import (
    BLANKS,
    CLOSED,
    NEED_DATA,
    DirectiveRequest,
    PayloadRequest,
    QueryRequest,
    RefusedRequest,
    Request,
    Signal,
)
from rwhoisd.protocol.ripe import without_flags
from rwhoisd.protocol.spool import Spool

DEFAULT_LIMIT: Final = 20  # objects per answer at the start of a session (arin-rwhoisd.md §3)
_DASH: Final = ord("-")


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session. ``line_octets`` holds in rfc mode; in arin mode lines are cut.

    A registration that goes beyond ``spool_…`` is given up, which ``-register off`` is told.
    """

    line_octets: int = 2048
    spool_octets: int = 65536
    spool_lines: int = 4096
    spool_seconds: float = 600.0  # from -register on to -register off; the service has the clock
    objects: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Speech:
    """How all sessions of a server speak. ``banner`` is a finished line, see ``replies.banner``."""

    dialect: Dialect
    banner: bytes
    limits: SessionLimits
    ok: bytes = field(init=False)
    rules: LineRules = field(init=False)

    def __post_init__(self) -> None:
        dialect, octets = self.dialect, self.dialect.line_octets
        rules = LineRules(
            octets or self.limits.line_octets,
            cut=octets is not None,
            nul_ends=dialect.nul_ends_line,
        )
        object.__setattr__(self, "ok", OK_LINE + dialect.eol)
        object.__setattr__(self, "rules", rules)


class Peer:
    """The client of a session: where it is, and what its directives switched."""

    __slots__ = (
        "address",
        "client",
        "credentials",
        "display",
        "forward",
        "holdconnect",
        "limit",
        "limits",
        "opened",
        "sealing",
        "secure",
        "spool",
        "treatment",
    )

    def __init__(self, address: str, limits: SessionLimits) -> None:
        self.address = address  # literal IPv4 or IPv6 address, "" when there is none
        self.holdconnect = False  # R3.3.5-1
        self.forward = False  # R3.3.4-1
        self.limit = limits.objects  # objects per answer; 0: no limit
        self.display = ""  # as the client spelled it; "" until it did
        self.client = ""  # implementation text of -rwhois
        self.secure = False  # nobody on the way can read or change what is said: TLS
        self.credentials: Credentials | None = None
        self.treatment: Treatment | None = None  # of the payloads that it sends, once it said so
        self.sealing: Sealing | None = None  # of the responses that it gets, once it asked for it
        self.opened: Opened | None = None  # what the last payload held, for the session to take up
        self.spool: Spool | None = None  # set between -register on and off
        self.limits = limits


class Session:
    """One connection. ``closing`` turns true when nothing more will be answered."""

    __slots__ = (
        "_due",
        "_ended",
        "_fresh",
        "_input",
        "_lines",
        "_parts",
        "_payload",
        "_proof",
        "_speech",
        "closing",
        "peer",
    )

    def __init__(self, speech: Speech, address: str = "") -> None:
        self._speech = speech
        self._input = self._lines = LineBuffer(speech.rules)  # of the client; of what lines come
        self._payload: Payload | None = None  # a block under way
        self._proof: Credentials | None = None  # of the payload that lines come from now
        self._due: Request | None = None
        self._ended = False
        self._fresh = True  # no line has come yet
        self._parts: Iterator[bytes] | None = None
        self.closing = False
        self.peer = Peer(address, speech.limits)

    @property
    def pending(self) -> int:
        """Octets received and not yet taken as requests; the owner bounds it by reading less."""
        return self._input.pending

    @property
    def in_payload(self) -> bool:
        """Whether requests come out of a payload now: they are not to be written down."""
        return self._lines is not self._input

    def banner(self) -> bytes:
        """The line that is sent before any input (R3.1.9-11)."""
        return self._speech.banner

    def receive(self, data: bytes) -> None:
        """Take bytes as they came; any split of them gives the same requests."""
        if not self.closing:
            self._input.feed(data)

    def whole_lines(self, data: bytes) -> list[bytes] | None:
        """The lines of ``data``, to be answered without being received first.

        Only when nothing else is under way, else None: ``receive`` it. Of the lines those may be
        answered that ``is_clean_query``: they would become ``QueryRequest``; what comes behind
        is to be received. Then comes ``answered``.
        """
        peer, lines = self.peer, self._lines
        if (
            self._due is not None
            or self._payload is not None
            or self.closing
            or peer.spool is not None
            or peer.treatment is not None
            or lines is not self._input
            or not lines.is_empty
        ):
            return None
        return self._speech.rules.whole_lines(data)

    def answered(self) -> bool:
        """Take note that lines of ``whole_lines`` were answered; whether the session goes on."""
        self._fresh = False
        if self.peer.holdconnect:
            return True
        self._close()
        return False

    def receive_eof(self) -> None:
        """The client will send nothing more; a last line without line end counts."""
        self._ended = True

    def next_request(self) -> Request | Signal:
        """The next request, ``NEED_DATA``, or ``CLOSED`` when the session is over.

        Raises: RuntimeError, when the request before has no reply yet.
        """
        if self._due is not None:
            raise RuntimeError("the request before has no reply yet")
        while not self.closing:
            if self._payload is not None:
                return self._collect(self._payload)
            try:
                line = self._lines.next_line()
                if line is None:
                    if not self._ended and not self.in_payload:
                        return NEED_DATA
                    line = self._lines.last_line()
                    if line is None:
                        if self.in_payload:
                            self._leave_payload()
                            continue
                        self._close()
                        break
            except LineRefusedError as refusal:
                request = self._refused(refusal)
            else:
                request = self._request(line) if line else None
            if request is not None:
                self._due = request
                return request
        return CLOSED

    @property
    def sending(self) -> bool:
        """Whether parts of the last reply are still to be had from ``send_part``."""
        return self._parts is not None

    def send(self, reply: Reply) -> bytes:
        """The reply on the wire: its lines, then exactly one ``%ok`` or ``%error`` (R3.1.2-4).

        Only the first part of it when the reply has more, see ``sending``.
        """
        if reply.more is not None:
            self._parts = self._stream(reply, reply.more)
            return reply.body
        return reply.body + self._end(reply)

    def send_part(self) -> bytes:
        """The next part of a long reply; empty when there is none."""
        if self._parts is None:
            return b""
        return next(self._parts, b"")

    def refuse(self, code: ResponseCode, detail: str = "") -> bytes:
        """End the session without being asked: idle, too many sessions, too many queries.

        Gives the ``%error`` line to write before closing; nothing when the session is over.
        """
        if self.closing:
            return b""
        self._close()
        return error_line(self._speech.dialect, code, detail)

    def _stream(self, reply: Reply, more: Iterator[bytes]) -> Iterator[bytes]:
        """The parts of a long reply and its last line, which tells when a part failed."""
        try:
            yield from more
        except RwhoisError as failure:
            reply = reply._replace(code=failure.code, detail=failure.detail)
        yield self._end(reply)

    def _end(self, reply: Reply) -> bytes:
        """The last line of a reply; the request has got it then."""
        if (
            reply.close
            or (reply.code is not None and reply.code.fatal)
            or (not self.peer.holdconnect and self._ends_session())
        ):
            self._close()
        self._due = self._parts = None
        if reply.ended:
            self._enter_payload()
            return b""
        if reply.code is None:
            return self._speech.ok
        return error_line(self._speech.dialect, reply.code, reply.detail)

    def _ends_session(self) -> bool:
        due = self._due
        return type(due) is QueryRequest or (
            type(due) is RefusedRequest and due.code is ResponseCode.INVALID_QUERY_SYNTAX
        )

    def _close(self) -> None:
        self.closing = True
        self._due = None
        self._parts = None
        self.peer.spool = None
        self._payload = None
        self._input.clear()
        if self._lines is not self._input:
            self._lines.clear()

    def _collect(self, payload: Payload) -> Request | Signal:
        """The block once its last line is there; without it nothing happens."""
        while (piece := self._input.next_piece(ended=self._ended)) is not None:
            if payload.add(piece[0], ended=piece[1]):
                self._payload = None
                refusal = f"payload longer than {payload.max_octets} octets"
                self._due = PayloadRequest(
                    b"".join(payload.pieces), refusal if payload.refused else ""
                )
                return self._due
        if not self._ended:
            return NEED_DATA
        self._close()
        return CLOSED

    def _takes_payload(self) -> bool:
        """Whether a block that begins now is a payload.

        Unasked it is one as well, to be refused as a whole: its lines are no queries. In a
        registration they are data then.
        """
        return not self.in_payload and (self.peer.treatment is not None or self.peer.spool is None)

    def _enter_payload(self) -> None:
        """Go on with what a payload held, if the service opened one."""
        opened, self.peer.opened = self.peer.opened, None
        if opened is not None and not self.closing:
            self._lines = LineBuffer(self._speech.rules)
            self._lines.feed(opened.content)
            self._proof = self.peer.credentials = opened.credentials

    def _leave_payload(self) -> None:
        """Go on with what comes in the clear, and without the proof."""
        self._lines = self._input
        if self.peer.credentials is self._proof:
            self.peer.credentials = None
        self._proof = None

    def _request(self, line: bytes) -> Request | None:
        """The request in a line that is not empty; None when it went into the spool."""
        fresh, self._fresh = self._fresh, False
        if line[0] == _DASH and line in BLOCKS and self._takes_payload():
            self._payload = Payload(line, self.peer.limits.spool_octets)
            return None
        if line[0] == _DASH and self._is_directive(line):
            if fresh and (query := without_flags(line)):
                return QueryRequest(query)  # W15; no directive has a name of one letter
            return _directive(line[1:].decode("latin-1"))
        if self.peer.spool is not None:
            self.peer.spool.append(line, self._proof)
            return None
        return QueryRequest(line)

    def _is_directive(self, line: bytes) -> bool:
        """Whether a line that begins with a dash is a directive.

        In rfc mode it always is (R3.1.1-1, N12), but for the separator of a registration.
        """
        if self._speech.dialect.dash_digit_is_query or self.peer.spool is not None:
            return line[1:2].isalpha()
        return True

    def _refused(self, refusal: LineRefusedError) -> Request | None:
        if refusal.head.startswith(b"-") and self._is_directive(refusal.head):
            return RefusedRequest(ResponseCode.INVALID_DIRECTIVE_SYNTAX, refusal.reason)
        if self.peer.spool is not None:
            self.peer.spool.refuse(refusal.reason)
            return None
        return RefusedRequest(ResponseCode.INVALID_QUERY_SYNTAX, refusal.reason)


def _directive(text: str) -> DirectiveRequest:
    """The word up to the first blank, and what follows it (arin-rwhoisd.md §2)."""
    space, tab = text.find(" "), text.find("\t")
    end = min(space, tab) if min(space, tab) >= 0 else max(space, tab)
    return (
        DirectiveRequest(text, "")
        if end < 0
        else DirectiveRequest(text[:end], text[end:].strip(BLANKS))
    )
