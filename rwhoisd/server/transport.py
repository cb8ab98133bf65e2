"""The shell of sockets around ``protocol.Session``: bytes in, bytes out, and nothing of RWhois.

Theory of operation. A connection is open, then closing, then gone. While it is open, received
bytes go into the session and its requests to the service, a batch of pipelined lines at a time;
the answers of a batch leave in one write, at the end of the loop's turn with those of others. An
answer that has to be awaited becomes a task, and nothing is read until it is there, so order is
kept; the same holds while the peer does not take what was written. Closing is gentle (W5): our side
is ended with the last answer, what the peer still sends is thrown away, and the socket is closed at
the peer's end or after ``close_seconds``. A reset, which would destroy an answer in
flight, is sent only to a peer that keeps sending or does not read.

Connections in the clear have sockets of ours (``sockets``), unless the system has no sets of them.
On a listener with TLS a client is counted and let in as any other; then the handshake runs as a
task, and the connection goes on upon the transport that comes of it. TLS has no half-closed
connections, so there closing is up to the transport: it writes what is left and says goodbye.

There is no timer per connection: ``Hub.sweep`` compares one time per connection, a few times a
second.
"""

import asyncio
import logging
import math
import re
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Final, cast

from rwhoisd.directory.access import Address, address_from_text
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.protocol.directives import NAMES
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import (
    CLOSED,
    DirectiveRequest,
    PayloadRequest,
    QueryRequest,
    RefusedRequest,
    Request,
    Signal,
)
from rwhoisd.protocol.session import Session
from rwhoisd.server.hub import Hub
from rwhoisd.server.limits import Counter
from rwhoisd.server.sockets import SocketTransport
from rwhoisd.server.tls import HANDSHAKE_SECONDS

logger = logging.getLogger(__name__)

# What a client may still send after our last byte before it is cut off.
_IGNORED_OCTETS: Final = 1 << 18
# Answers are gathered into one write up to this size, then others have their turn.
_BATCH_OCTETS: Final = 1 << 18
_NO_LINGERING: Final = struct.pack("ii", 1, 0)
# What waits of one connection to be sent together with the answers of others.
_AT_ONCE_OCTETS: Final = 1 << 15
# What one connection takes of the worker's time before others have their turn.
_TURN_NANOSECONDS: Final = 2_000_000
# When the server stops: what a client has from its connecting on to send its first line, and
# what it gets to end its side. Who has been idle for longer has nothing under way.
_LAST_CHANCE_SECONDS: Final = 1.0
_TOO_FAST: Final = Reply(
    code=ResponseCode.UNIDENTIFIED, detail="Query rate limit exceeded", close=True
)  # W13: ipwhois waits and tries again when it reads these words
_TOO_MANY: Final = "exceeded max client sessions"
_FAULT: Final = Reply(code=ResponseCode.UNIDENTIFIED)
_CLIENTS: Final = 4096  # whose addresses are remembered
_REQUESTS: Final = int(Counter.REQUESTS)  # a plain number costs less than a member of an enum
# Directives whose arguments may be logged: never those that carry secrets or foreign data.
_PLAIN: Final = (
    *("rwhois", "class", "directive", "display", "forward", "holdconnect", "limit"),
    *("quit", "schema", "soa", "status", "xfer"),
)
_QUERIES: Final = (QueryRequest, PayloadRequest)
# Directives that count as queries do: those that read the directory, change it or start a program.
_CHARGED: Final = ("register", "xfer", "x-")
# Of the word of a directive: letters are its name, what follows may be anything.
_WORD: Final = re.compile(rf"{'|'.join(NAMES)}|(?:X-)?[a-z]{{1,16}}", re.IGNORECASE)


class Connection:
    """One client: an ``asyncio.Protocol`` in all but class.

    A class of Python's as a base would cost what compiling it saves (docs/adr/0013).
    """

    __slots__ = (
        "_answered",
        "_closing",
        "_early",
        "_ended",
        "_ends",
        "_full",
        "_hub",
        "_ignored",
        "_listener",
        "_manners",
        "_name",
        "_out",
        "_queued",
        "_row",
        "_secure",
        "_session",
        "_shaking",
        "_since",
        "_task",
        "_transport",
        "_unsent",
        "_yielded",
        "deadline",
    )

    _transport: SocketTransport | asyncio.Transport
    _session: Session
    _since: float  # of the loop's clock

    def __init__(self, hub: Hub, listener: int, name: str) -> None:
        self._hub = hub
        self._listener = listener
        self._name = name
        self._manners = hub.manners
        self._row: int | None = None  # what the limits charge; None until admitted
        self._task: asyncio.Task[None] | None = None
        self._answered = False  # at least one request
        self._out = b""  # what is sent at the end of this turn
        self._queued = False  # for that
        self._closing = False  # our side is ended, or is about to be
        self._ends = False  # the latter
        self._ended = False  # the peer's side is ended
        self._full = False  # the peer does not take what was written
        self._yielded = False  # the rest of a batch comes in the next turn of the loop
        self._early: bytes | None = None  # what came for TLS
        self._secure = False  # speaks TLS
        self._shaking = False  # hands, to get there
        self._ignored = 0
        self._unsent = 0
        self.deadline = math.inf  # of the loop's clock

    # -- events of the transport

    def connection_made(self, transport: SocketTransport | asyncio.BaseTransport) -> None:
        """Let the peer in, or not; the banner goes out at once (W1)."""
        # uvloop's transports are asyncio's in all but class.
        self._transport = cast("SocketTransport | asyncio.Transport", transport)
        hub, manners = self._hub, self._manners
        hub.connections.add(self)
        self._since = hub.now
        name = transport.get_extra_info("peername")
        # A socket of this machine has none. IPv4 is never shown as IPv6.
        text, address = _peer(name[0]) if isinstance(name, tuple) else ("", None)
        self._session = manners.service.session(text)
        if not self._welcome(address, text):
            hub.limits.count(Counter.DENIED)
            self._close()  # without a byte, as TCP wrappers do
            return
        context = manners.context(self._listener)
        self._secure = context is not None
        self._row = hub.limits.admit(address)
        if self._row is None:
            hub.limits.count(Counter.TOO_MANY)
            refusal = self._session.refuse(ResponseCode.SERVICE_NOT_AVAILABLE, _TOO_MANY)
            self._close(b"" if context else manners.service.banner + refusal)
            return
        if context is None:
            self._write(manners.service.banner)
            self._restart_idle()
        else:
            self._early = b""
            self._task = hub.loop.create_task(self._shake_hands(context))

    def send(self) -> None:
        """Send what was written in this turn, and end our side if it is to be."""
        self._queued = False
        self._send()

    def _send(self) -> None:
        data, self._out = self._out, b""
        ends, self._ends = self._ends, False
        transport = self._transport
        if not (data or ends) or transport.is_closing():
            return
        if not ends:
            transport.write(data)
        elif self._ended or self._secure:
            if data:
                transport.write(data)
            transport.close()
        else:
            if isinstance(transport, SocketTransport):
                transport.write_last(data)
            else:
                transport.write(data)
                transport.write_eof()
            self._read(True)

    def _write(self, data: bytes) -> None:
        """Have it sent at the end of this turn, or at once when it is much."""
        self._out += data
        if len(self._out) > _AT_ONCE_OCTETS:
            self._send()
        else:
            self._queue()

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._hub.send_soon(self)

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        """Go on in TLS; a client that cannot, or takes too long, is gone without a word.

        When it fails, ``connection_lost`` is called by the loop or it is not.
        """
        hub, plain = self._hub, self._transport
        self.deadline = math.inf
        self._shaking = True
        secure = None if plain.is_closing() else await self._secured(context)
        self._shaking = False
        self._task = None
        if secure is None or secure.get_extra_info("cipher") is None:
            hub.limits.count(Counter.NO_TLS)
            plain.abort()
            self.connection_lost(None)
        elif self._closing:  # it was lost right afterwards
            self._leave()
        else:
            self._transport = secure
            self._session.peer.secure = True
            self._write(self._manners.service.banner)
            self._restart_idle()
            if hub.draining:
                self.stop()
            self._go_on()  # what came with the handshake

    async def _secured(self, context: ssl.SSLContext) -> asyncio.Transport | None:
        """The transport that speaks TLS; None when the handshake failed."""
        loop, plain = self._hub.loop, cast("asyncio.Transport", self._transport)
        early, self._early = self._early or b"", None
        loop.call_soon(_feed, plain, early)  # when the next call has put TLS there
        try:
            return await loop.start_tls(
                plain,
                cast("asyncio.Protocol", self),
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=self._manners.timing.write_seconds,
            )
        except OSError as error:  # ssl.SSLError and TimeoutError are such
            logger.debug("peer=%s: no TLS: %s", self._session.peer.address, error)
            return None

    def data_received(self, data: bytes) -> None:
        """Answer every whole line in ``data``."""
        if self._early is not None:
            self._early += data  # it came before TLS could be put there to read it
            return
        if self._closing:
            self._ignored += len(data)
            if self._ignored > _IGNORED_OCTETS:
                self.reset()
            return
        if self._waits and not (data := self._answer_lines(data)):
            return
        self._session.receive(data)
        if self._waits:
            self._pump()
            # An idle limit covers the wait for a whole line, however its bytes trickle in.
            if b"\n" in data and self._waits:
                self._restart_idle()

    def eof_received(self) -> bool:
        """The peer has sent everything: answer it, then close. True keeps our side open."""
        self._ended = True
        if not self._closing:
            self._session.receive_eof()
            if self._waits:
                self._pump()
            if not self._secure:
                return True
        self._send()  # what waits for the end of the turn, before False closes
        return False

    def pause_writing(self) -> None:
        """The peer does not take its answers: nothing more is read or answered."""
        self._full = True
        self._unsent = self._transport.get_write_buffer_size()
        self._hub.wait_for(self, self._unsent)
        self.deadline = self._hub.loop.time() + self._manners.timing.write_seconds
        if not self._closing:
            self._read(False)

    def resume_writing(self) -> None:
        """The peer goes on taking."""
        self._full = False
        self._hub.wait_no_more(self)
        if self._closing:
            self._await_end()
        elif self._task is None:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, for whatever reason."""
        del exc
        self._closing = self._ended = True
        self._out = b""
        self.deadline = math.inf
        if self._task is None:  # what is under way is finished, and counts until then
            self._leave()

    def _leave(self) -> None:
        """Give back what the limits charged, once."""
        hub = self._hub
        if self not in hub.connections:
            return
        hub.connections.remove(self)
        if self._row is not None:
            hub.limits.leave(self._row)
        if hub.slow:
            hub.wait_no_more(self)
        if hub.draining and not hub.connections:
            hub.empty.set()

    # -- events of the worker

    def expire(self, now: float) -> None:
        """The deadline has passed: of taking an answer, of closing, or of sending a line."""
        hub = self._hub
        if self._full:
            unsent = self._transport.get_write_buffer_size()
            if self._unsent - unsent >= self._manners.timing.write_octets:  # slow, but moving
                self._unsent = unsent
                self.deadline = now + self._manners.timing.write_seconds
                return
            hub.limits.count(Counter.SLOW)
            self.reset()
        elif self._closing:
            self._transport.abort()
        elif self._task is None:
            if not hub.draining:
                hub.limits.count(Counter.IDLE)
                self._write(self._session.refuse(ResponseCode.IDLE))
            self._close()

    def stop(self) -> None:
        """The server stops: close when nothing is under way, else after the answer."""
        if self._closing:
            if not self._full:
                self._await_end()
        elif self._shaking:
            self._transport.abort()
        elif self._waits:
            last = self._since + _LAST_CHANCE_SECONDS
            if self._answered or last < self._hub.now:
                self._close()
            else:
                self.deadline = min(self.deadline, last)

    def abort(self) -> None:
        """Away with it."""
        self._transport.abort()

    def reset(self) -> None:
        """Away with it and with what the system holds for it, which nobody is going to take."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):  # it is gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self._transport.abort()

    # -- requests and answers

    @property
    def _waits(self) -> bool:
        """Whether the connection waits for its client, and for nothing else."""
        return not (self._closing or self._full or self._yielded or self._task is not None)

    def _answer_lines(self, data: bytes) -> bytes:
        """Answer queries that came as whole lines, in one write; what is left of ``data``.

        The short way for nearly all that comes: what ``_pump`` does, without a request and a
        reply for each line, and without looking for what a lone query has nothing to do with. It
        ends at a line that may be something else, or is at fault.
        """
        session, hub, manners = self._session, self._hub, self._manners
        peer = session.peer
        lines = session.whole_lines(data)
        tell = None if lines is None else manners.service.desk(peer)
        if lines is None or tell is None:
            return data
        row, limits, log = self._row or 0, hub.limits, hub.log
        charged, held = limits.cost and row >= 0, peer.holdconnect
        left = manners.timing.batch_lines if held else 1
        out: list[bytes] = []
        octets, clock = 0, time.perf_counter_ns
        now, started = time.time(), clock()
        end = started + _TURN_NANOSECONDS
        for line in lines:
            if charged and not limits.spend(row):
                break
            try:
                told = tell(line)
            except Exception:
                told = None  # the long way meets it again, and tells of it
            if told is None:
                if charged:
                    limits.give_back(row)
                break
            answer, hits, code = told
            out.append(answer)
            ended = clock()
            if log.on:
                spent = (ended - started) // 1000
                log.add((now, peer.address, self._name, line, hits, code, spent))
            started = ended
            left -= 1
            octets += len(answer)
            if not left or octets > _BATCH_OCTETS or ended > end:
                left = 0
                break
        if not out:
            return data
        answered = len(out)
        limits.counters[_REQUESTS] += answered
        self._answered = True
        if not session.answered():
            self._close(out[0])
            return b""
        self._write(b"".join(out) if answered > 1 else out[0])
        return self._after_lines(data, lines[answered:] if answered < len(lines) else (), left)

    def _after_lines(self, data: bytes, rest: Sequence[bytes], left: int) -> bytes:
        """What is left of ``data`` when its lines were answered but for ``rest``.

        When there are none ``left`` that may be answered at once it is for the next turn.
        """
        if self._hub.draining and not rest and not self._full:
            self._close()
            return b""
        if not self._full:
            self._restart_idle()
        if not rest:
            return b""
        eol = b"\r\n" if data.endswith(b"\r\n") else b"\n"
        data = eol.join([*rest, b""])
        if left:
            return data
        self._session.receive(data)
        self._yield()
        return b""

    def _pump(self) -> None:
        """Answer requests until there is none, one has to be awaited, or the batch is full."""
        session = self._session
        if session.sending and not self._send_parts():
            return
        out: list[bytes] = []
        octets = 0
        signal: Request | Signal = CLOSED
        clock = time.perf_counter_ns
        end = clock() + _TURN_NANOSECONDS
        for _ in range(self._manners.timing.batch_lines):
            started = clock()
            signal = session.next_request()
            if isinstance(signal, Signal):
                break
            answer = self._answer(signal, started)
            if answer is None:
                break
            out.append(answer)
            octets += len(answer)
            if octets > _BATCH_OCTETS or session.sending or started > end:
                break
        if out:
            self._answered = True
            self._hub.limits.count(_REQUESTS, len(out))
            self._write(b"".join(out) if len(out) > 1 else out[0])
        self._go_on_after(signal)

    def _go_on_after(self, signal: Request | Signal) -> None:
        """What a batch that ended with ``signal`` is followed by."""
        if signal is CLOSED:
            self._close()
        elif not isinstance(signal, Signal):
            if self._task is None:
                self._yield()
        elif self._hub.draining and self._answered:
            self._close()

    def _send_parts(self) -> bool:
        """Write parts of a long answer; True when that was the last of them."""
        session = self._session
        clock = time.perf_counter_ns
        end = clock() + _TURN_NANOSECONDS
        try:
            while clock() < end:
                self._write(session.send_part())
                if not session.sending:
                    return True
                if self._full:
                    break
        except Exception as error:
            self._hub.faulted(error)
            logger.exception("peer=%s: a long answer broke off", session.peer.address)
            self._write(session.refuse(ResponseCode.UNRECOVERABLE))
            return True
        self._yield()
        return False

    def _answer(self, request: Request, started: int) -> bytes | None:
        """The answer as it goes out; None when it has to be awaited."""
        if _is_charged(request) and not self._hub.limits.spend(self._row or 0):
            self._hub.limits.count(Counter.TOO_FAST)
            return self._finished(request, _TOO_FAST, started)
        try:
            reply = self._manners.service.handle(self._session.peer, request)
        except Exception as error:
            reply = self._fault(request, error)
        if isinstance(reply, Reply):
            return self._finished(request, reply, started)
        self._read(False)
        self.deadline = math.inf
        self._task = self._hub.loop.create_task(self._await(request, reply, started))
        return None

    async def _await(self, request: Request, coming: Awaitable[Reply], started: int) -> None:
        try:
            reply = await coming
        except Exception as error:
            reply = self._fault(request, error)
        finally:
            self._task = None
            if self._closing:  # the client is gone
                self._leave()
        if self._closing:
            return
        self._answered = True
        self._hub.limits.count(Counter.REQUESTS)
        self._write(self._finished(request, reply, started))
        if not self._full:  # else when the peer has taken it
            self._go_on()

    def _finished(self, request: Request, reply: Reply, started: int) -> bytes:
        """The reply's bytes, after it was logged."""
        log = self._hub.log
        session = self._session
        if log.on:
            if isinstance(request, QueryRequest) and not session.in_payload:
                text = request.line
            else:
                text = _loggable(request, session)
            spent = (time.perf_counter_ns() - started) // 1000
            place, code = session.peer.address, reply.code or 0
            log.add((time.time(), place, self._name, text, reply.hits, code, spent))
        return session.send(reply)

    def _fault(self, request: Request, error: BaseException) -> Reply:
        """A fault of ours: the traceback is for the operator, a bare 402 for the peer."""
        self._hub.faulted(error)
        peer = self._session.peer.address
        text = _loggable(request, self._session).decode("latin-1")
        logger.exception("peer=%s request=%s failed", peer, text)
        return _FAULT

    # -- what comes next

    def _go_on(self) -> None:
        """Take up the requests that waited, then read again."""
        self._yielded = False
        if self._closing or self._transport.is_closing():
            return
        self._pump()
        if self._waits:
            self._restart_idle()
            self._read(True)

    def _yield(self) -> None:
        """Let the other connections have their turn before the rest of the batch."""
        self._yielded = True
        self._read(False)
        if not self._full:
            self._hub.turns.call(self._go_on)

    def _close(self, last: bytes = b"") -> None:
        """End our side after the ``last`` bytes; gone is the connection when the peer's side is."""
        self._closing = self._ends = True
        if last:  # the client waits for nothing else
            self._out += last
            self._send()
        else:
            self._queue()
        if not self._full:
            self._await_end()

    def _await_end(self) -> None:
        """Give the peer its time to end its side, less of it when the server stops."""
        hub, seconds = self._hub, self._manners.timing.close_seconds
        if hub.draining:
            seconds = min(seconds, _LAST_CHANCE_SECONDS)
        self.deadline = hub.now + seconds

    def _read(self, on: bool) -> None:
        """Go on reading, or stop; after the peer's end there is nothing to read."""
        if not self._ended:
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _restart_idle(self) -> None:
        timing = self._manners.timing
        held = self._session.peer.holdconnect
        seconds = timing.held_idle_seconds if held else timing.idle_seconds
        self.deadline = self._hub.now + seconds if seconds else math.inf

    def _welcome(self, address: Address | None, text: str) -> bool:
        manners = self._manners
        rules = manners.rules[self._listener] if self._listener < len(manners.rules) else None
        return (rules is None or rules.allows(address)) and manners.welcome(text)


def factory(hub: Hub, listener: int, name: str) -> Callable[[], Connection]:
    """Makes the protocols of one listener; ``name`` is its address in the log."""
    return partial(Connection, hub, listener, name)


async def listen(hub: Hub, listener: int, name: str, sock: socket.socket, backlog: int) -> None:
    """Let clients of a bound socket in."""
    await hub.listen(factory(hub, listener, name), listener, sock, backlog)


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Hand ``data`` to the protocol of a transport as if it was received just now."""
    protocol = cast("asyncio.BufferedProtocol | None", transport.get_protocol())
    while data and protocol is not None:
        buffer = memoryview(protocol.get_buffer(len(data)))
        taken = min(len(buffer), len(data))
        buffer[:taken] = data[:taken]
        protocol.buffer_updated(taken)
        data = data[taken:]


@lru_cache(maxsize=_CLIENTS)
def _peer(host: str) -> tuple[str, Address | None]:
    """The peer's address as text and as a number."""
    text = host[7:] if host.startswith("::ffff:") and "." in host else host
    return text, address_from_text(text)


def _is_charged(request: Request) -> bool:
    return type(request) in _QUERIES or (
        isinstance(request, DirectiveRequest) and request.word.lower().startswith(_CHARGED)
    )


def _loggable(request: Request, session: Session) -> bytes:
    """What of a request may be written down: no credentials, no registration data, no payload.

    Of a directive that is none only the word's beginning is: a secret may hang on it.
    """
    if isinstance(request, PayloadRequest):
        return b"(PGP payload)"
    if session.in_payload:
        return b"(in a PGP payload)"
    if isinstance(request, QueryRequest):
        return request.line
    if isinstance(request, RefusedRequest):
        return request.detail.encode("latin-1", "replace")
    word = _WORD.match(request.word)
    name = word[0] if word else "?"
    text = f" {request.text}" if request.word.lower() in _PLAIN and request.text else ""
    return f"-{name}{text}".encode("latin-1", "replace")
