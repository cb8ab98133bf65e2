"""The sockets of a worker's clients, watched in a set of their own which the event loop watches.

Theory of operation. The loop waits for the set (epoll) as for one file. When it has events, a
*turn* takes them all: clients are let in, what they sent goes to their protocols, and at its end
``ended`` is called once, so that answers of a turn go out together. Clients who were let in are
looked at again in the same turn, as their query is mostly there already. To its protocol a
``SocketTransport`` is one of the loop's, and what it promises is theirs: bytes are sent at once or
kept in order, a protocol is paused while too many wait, ``connection_lost`` comes once and last.

Compared with the loop's own, a connection is fewer system calls (options of the listening socket
hold for it, its peer's address comes with it, its descriptor leaves the set by being closed) and
far fewer objects; what that buys is in docs/adr/0014. What speaks TLS goes to the loop.

Reading is stopped lazily: most who stop go on before anything comes. Only when something does,
the descriptor is watched for it no more.
"""

import asyncio
import errno
import logging
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol, cast

logger = logging.getLogger(__name__)

HAS_SETS: Final = hasattr(select, "epoll")  # else the loop's own transports serve
# Octets that may wait for a peer before its protocol is paused, and when it goes on (as asyncio's).
_HIGH_OCTETS: Final = 1 << 16
_LOW_OCTETS: Final = 1 << 14
_READ_OCTETS: Final = 1 << 14  # at once
_EVENTS: Final = 64  # in one look
_ACCEPTED: Final = 16  # at once of one listening socket
_PAUSE_SECONDS: Final = 0.5  # when the system has no descriptor or memory for another client
_SCARCE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_IN: Final[int] = getattr(select, "EPOLLIN", 1)
_OUT: Final[int] = getattr(select, "EPOLLOUT", 4)
# No descriptor has to be made non-blocking when no call blocks.
_NOW: Final[int] = socket.MSG_DONTWAIT
# Held back by the kernel for what follows at once, which is the end.
_WITH_END: Final[int] = socket.MSG_DONTWAIT | getattr(socket, "MSG_MORE", 0)


class Receiver(Protocol):
    """A protocol as asyncio has it."""

    def connection_made(self, transport: Any) -> None:
        """The connection is there."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""

    def eof_received(self) -> bool | None:
        """The peer's side has ended; what is not true closes ours."""

    def pause_writing(self) -> None:
        """Many octets wait for the peer."""

    def resume_writing(self) -> None:
        """Few do."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""


class SocketTransport:
    """A connection in the clear: an ``asyncio.Transport`` in all but class (docs/adr/0013)."""

    __slots__ = (
        "_closing",
        "_ends",
        "_heard_all",
        "_number",
        "_paused",
        "_peer",
        "_protocol",
        "_reading",
        "_sent",
        "_sock",
        "_sockets",
        "_waiting",
        "_watched",
    )

    def __init__(
        self, sockets: "Sockets", sock: socket.SocketType, peer: object, protocol: Receiver
    ) -> None:
        self._sockets = sockets
        self._sock = sock
        self._number = sock.fileno()
        self._peer = peer
        self._protocol: Receiver | None = protocol
        self._watched = 0  # events that the set has for it; none: it is not in the set
        self._reading = True
        self._heard_all = False  # the peer's side has ended
        self._waiting = b""  # for the peer to take it
        self._sent = 0  # octets of it
        self._ends = False  # our side ends when nothing waits
        self._closing = False
        self._paused = False  # the protocol, by us

    # -- for the protocol

    def get_extra_info(self, name: str, default: object = None) -> Any:
        """The peer's address as ``peername``, the socket as ``socket``."""
        if name == "peername":
            return self._peer
        return self._sock if name == "socket" else default

    def is_closing(self) -> bool:
        """Whether it is closed, or is going to be."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Octets that wait for the peer."""
        return len(self._waiting) - self._sent

    def pause_reading(self) -> None:
        """Take nothing more from the peer."""
        self._reading = False

    def resume_reading(self) -> None:
        """Go on, as long as the peer's side has not ended."""
        if self._heard_all:
            return
        self._reading = True
        if not self._watched & _IN and not self._closing:
            self._watch(self._watched | _IN)

    def write(self, data: bytes) -> None:
        """Send bytes now, or when the peer takes them."""
        self._write(data, _NOW)

    def write_last(self, data: bytes) -> None:
        """Send bytes and end our side, in one segment where that can be; the peer's stays open.

        Written and ended by themselves they are two packets, and the client wakes up twice.
        """
        if data:
            self._write(data, _WITH_END)
        self.write_eof()

    def write_eof(self) -> None:
        """End our side behind what waits."""
        self._ends = True
        if not self._waiting and not self._closing:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:  # the peer has reset the connection
                self._lose(error)

    def close(self) -> None:
        """Be gone when the peer has taken what waits."""
        self._reading = False
        if self._closing:
            return
        if self._waiting:
            self._closing = True
        else:
            self._lose(None)

    def abort(self) -> None:
        """Be gone now."""
        if self._protocol is not None:
            self._lose(None)

    def _write(self, data: bytes, how: int) -> None:
        if self._closing or self._ends:
            return
        if not self._waiting:
            try:
                sent = self._sock.send(data, how)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            self._waiting, self._sent = data, sent
            self._watch(self._watched | _OUT)
        else:
            self._waiting, self._sent = self._waiting[self._sent :] + data, 0
        if not self._paused and self.get_write_buffer_size() > _HIGH_OCTETS:
            self._paused = True
            assert self._protocol is not None
            self._protocol.pause_writing()

    # -- for the set

    def begin(self) -> None:
        """Tell the protocol, and watch for what the peer sends."""
        protocol = self._protocol
        assert protocol is not None
        protocol.connection_made(self)
        if self._reading and not self._closing:
            self._watch(self._watched | _IN)

    def happened(self, events: int) -> bytes | None:
        """Send what waits for the peer, take what it sent; None when it sent nothing new."""
        if events & _OUT and self._waiting:
            self._send_rest()
        if not events & ~_OUT or self._protocol is None:
            return None
        if not self._reading:
            self._watch(self._watched & ~_IN)
            return None
        try:
            return self._sock.recv(_READ_OCTETS, _NOW)
        except BlockingIOError:  # an event of one that had the same number before
            return None
        except OSError as error:
            self._lose(error)
            return None

    def received(self, data: bytes) -> None:
        """Give the protocol what ``happened`` took: no bytes are the end of the peer's side."""
        protocol = self._protocol
        if protocol is None:  # lost meanwhile
            return
        if data:
            protocol.data_received(data)
            return
        self._heard_all = True
        self._reading = False
        if not protocol.eof_received():
            self.close()
        if not self._closing:
            self._watch(self._watched & ~_IN)

    def _send_rest(self) -> None:
        try:
            self._sent += self._sock.send(memoryview(self._waiting)[self._sent :], _NOW)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        left = self.get_write_buffer_size()
        if not left:
            self._waiting, self._sent = b"", 0
            self._watch(self._watched & ~_OUT)
            if self._closing:
                self._lose(None)
                return
            if self._ends:
                self.write_eof()
        protocol = self._protocol
        if self._paused and left <= _LOW_OCTETS and protocol is not None:
            self._paused = False
            protocol.resume_writing()

    def _watch(self, events: int) -> None:
        """Have the set watch for these events; for none it lets go of the descriptor.

        It would tell of errors and of the end of both sides anyway, again and again.
        """
        if events != self._watched:
            self._sockets.watch(self._number, self._watched, events)
            self._watched = events

    def _lose(self, error: Exception | None) -> None:
        """Close the socket now, and tell the protocol soon."""
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            return
        self._closing = True
        self._reading = False
        self._waiting, self._sent = b"", 0
        self._sock.close()
        self._sockets.lost(self._number, protocol, error)


class _Listening:
    """A listening socket and what its clients get."""

    __slots__ = ("factory", "secure", "sock")

    def __init__(
        self, sock: socket.socket, factory: Callable[[], Receiver], secure: Callable[[], bool]
    ) -> None:
        self.sock = sock
        self.factory = factory
        self.secure = secure


class Sockets:
    """Listening sockets and the connections that come of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        """``ended`` is called at the end of each turn."""
        self.loop: Final = loop
        self.in_turn = False
        self._ended = ended
        self._set = select.epoll()
        self._listening: dict[int, _Listening] = {}  # by descriptor, as the next
        self._transports: dict[int, SocketTransport] = {}
        self._lost: list[tuple[Receiver, Exception | None]] = []
        self._handing: set[asyncio.Task[None]] = set()
        loop.add_reader(self._set.fileno(), self._turn)

    def listen(
        self,
        sock: socket.socket,
        backlog: int,
        factory: Callable[[], Receiver],
        secure: Callable[[], bool],
    ) -> None:
        """Let clients of a bound socket in; to the loop those, when they come to speak TLS."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those accepted inherit it
        sock.setblocking(False)
        sock.listen(backlog)
        self._listening[sock.fileno()] = _Listening(sock, factory, secure)
        self._set.register(sock.fileno(), _IN)

    def stop_listening(self) -> None:
        """Close the listening sockets."""
        for number, listening in self._listening.items():
            with suppress(OSError):  # it waits for descriptors
                self._set.unregister(number)  # others have the socket as well, so it would stay
            listening.sock.close()
        self._listening.clear()

    def close(self) -> None:
        """Let go of everything; connections that are left are cut."""
        self.stop_listening()
        for transport in list(self._transports.values()):
            transport.abort()
        self.loop.remove_reader(self._set.fileno())
        self._set.close()

    def watch(self, number: int, before: int, events: int) -> None:
        """Watch a descriptor for other events than before; none: it is not in the set."""
        if not events:
            self._set.unregister(number)
        elif before:
            self._set.modify(number, events)
        else:
            self._set.register(number, events)

    def lost(self, number: int, protocol: Receiver, error: Exception | None) -> None:
        """A connection is over, which its protocol is told when nothing else calls it.

        By being closed a descriptor leaves the set.
        """
        self._transports.pop(number, None)
        if not self.in_turn and not self._lost:
            self.loop.call_soon(self._tell_lost)
        self._lost.append((protocol, error))

    def _tell_lost(self) -> None:
        while self._lost:
            protocol, error = self._lost.pop()
            try:
                protocol.connection_lost(error)
            except Exception as fault:
                self._tell(fault)

    def _turn(self) -> None:
        self.in_turn = True
        try:
            if self._look():
                self._look()
        finally:
            self.in_turn = False
            if self._lost:
                self._tell_lost()
            self._ended()

    def _look(self) -> bool:
        """Take what there is; whether somebody was let in.

        First everything is taken, then everything is answered: code that answers stays in the
        processor's caches so.
        """
        let_in = False
        transports = self._transports
        taken: list[tuple[SocketTransport, bytes]] = []
        for number, events in self._set.poll(0, _EVENTS):
            transport = transports.get(number)
            if transport is None:
                let_in = self._accept(number) or let_in
                continue
            try:
                data = transport.happened(events)
            except Exception as error:
                self._fault(transport, error)
            else:
                if data is not None:
                    taken.append((transport, data))
        for transport, data in taken:
            try:
                transport.received(data)
            except Exception as error:
                self._fault(transport, error)
        return let_in

    def _accept(self, number: int) -> bool:
        listening = self._listening.get(number)
        if listening is None:
            return False
        # socket.accept() would wrap it in much that nobody needs.
        accept: Any = cast("Any", listening.sock)._accept  # noqa: SLF001
        for count in range(_ACCEPTED):
            try:
                found, peer = accept()
            except BlockingIOError:
                return count > 0
            except OSError as error:
                if error.errno in _SCARCE:
                    self._pause(number, error)
                    return count > 0
                continue  # the client is gone already
            self._let_in(listening, found, peer)
        return True

    def _let_in(self, listening: _Listening, number: int, peer: object) -> None:
        if listening.secure():
            self._hand_over(listening, number)
            return
        sock = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, number)
        transport = SocketTransport(self, sock, peer, listening.factory())
        self._transports[number] = transport
        try:
            transport.begin()
        except Exception as error:
            self._fault(transport, error)

    def _hand_over(self, listening: _Listening, number: int) -> None:
        task = self.loop.create_task(self._handed_over(listening.factory, number))
        self._handing.add(task)
        task.add_done_callback(self._handing.discard)

    async def _handed_over(self, factory: Callable[[], Any], number: int) -> None:
        try:
            sock = socket.socket(fileno=number)
            sock.setblocking(False)
            await self.loop.connect_accepted_socket(factory, sock)
        except OSError as error:
            logger.debug("a client was gone at once: %s", error)

    def _pause(self, number: int, error: OSError) -> None:
        """Let nobody in for a moment: clients wait in the kernel meanwhile."""
        logger.error("no client can be let in: %s", error.strerror)
        self._set.unregister(number)
        self.loop.call_later(_PAUSE_SECONDS, self._go_on, number)

    def _go_on(self, number: int) -> None:
        if number in self._listening:
            self._set.register(number, _IN)

    def _fault(self, transport: SocketTransport, error: Exception) -> None:
        self._tell(error)
        transport.abort()

    def _tell(self, error: Exception) -> None:
        """A protocol failed, which is a fault of ours."""
        self.loop.call_exception_handler({"message": "a protocol failed", "exception": error})
