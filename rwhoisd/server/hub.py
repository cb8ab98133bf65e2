"""What the connections of a worker share: how they are served, when they send and when they end."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

from rwhoisd.directory.access import AccessRules
from rwhoisd.protocol.replies import Reply, Told
from rwhoisd.protocol.requests import Request
from rwhoisd.protocol.session import Peer, Session
from rwhoisd.server.limits import Counter, WorkerLimits
from rwhoisd.server.querylog import QueryLog
from rwhoisd.server.sockets import HAS_SETS, Receiver, Sockets
from rwhoisd.server.turns import Turns

if TYPE_CHECKING:
    from rwhoisd.server.transport import Connection

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.25
_TOGETHER: Final = 16  # connections that wait to be sent for


@dataclass(frozen=True)
class Timing:
    """Seconds that a connection may take, and lines it may have answered at once."""

    idle_seconds: float = 50.0  # 0: no limit, as in the next
    held_idle_seconds: float = 600.0
    write_seconds: float = 30.0
    close_seconds: float = 5.0
    batch_lines: int = 64
    write_octets: int = 4096  # that have to be taken in write_seconds
    unsent_octets: int = 1 << 26  # that may wait for all slow clients together


class Serving(Protocol):
    """What the service is to a connection."""

    @property
    def banner(self) -> bytes:
        """The first line of every connection."""

    def session(self, address: str) -> Session:
        """A session with the client at ``address``."""

    def handle(self, peer: Peer, request: Request) -> Reply | Awaitable[Reply]:
        """The reply to a request, or an awaitable of it."""

    def desk(self, peer: Peer) -> Callable[[bytes], Told | None] | None:
        """What answers single lines of the client, at once and all from the same data; it gives
        None for what may be no query. None, when each has to go through ``handle``."""

    def renew(self) -> None:
        """Let go of data that is not the newest; to be called now and then."""


@dataclass(frozen=True)
class Manners:
    """How connections made from now on are served; a reload gives new ones."""

    service: Serving
    timing: Timing = Timing()
    rules: tuple[AccessRules, ...] = ()  # by listener; those without let everyone in
    welcome: Callable[[str], bool] = lambda _: True  # whether the files let an address in
    tls: tuple[ssl.SSLContext | None, ...] = ()  # by listener; those without speak in the clear

    def context(self, listener: int) -> ssl.SSLContext | None:
        """What a listener speaks TLS by; None in the clear."""
        return self.tls[listener] if listener < len(self.tls) else None


class Hub:
    """What the connections of a worker share."""

    def __init__(
        self, manners: Manners, limits: WorkerLimits, log: QueryLog, turns: Turns | None = None
    ) -> None:
        self.manners = manners
        self.limits = limits
        self.log = log
        self.turns = turns or Turns()
        self.faulted: Callable[[BaseException], None] = lambda _: None  # told of faults of ours
        self.draining = False
        self.empty = asyncio.Event()  # set when the last connection goes while draining
        self.connections: set[Connection] = set()
        self._waiting: list[Connection] = []  # with something to send at the end of this turn
        self.slow: dict[Connection, int] = {}  # that do not take their answers: octets that wait
        self.unsent = 0  # all of them
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()  # of the last sweep: near enough for idle limits
        self.has_sets = HAS_SETS  # of sockets; else the loop's own servers serve
        self._sockets: Sockets | None = None
        self._servers: list[asyncio.Server] = []

    async def listen(
        self, factory: Callable[[], Receiver], listener: int, sock: socket.socket, backlog: int
    ) -> None:
        """Let clients of a bound socket in; ``factory`` makes their connections."""
        if not self.has_sets:
            # A Connection is an asyncio.Protocol in all but class.
            make = cast("Callable[[], asyncio.Protocol]", factory)
            server = await self.loop.create_server(make, sock=sock, backlog=backlog)
            self._servers.append(server)
            return
        if self._sockets is None:
            self._sockets = Sockets(self.loop, self.send)
        self._sockets.listen(sock, backlog, factory, partial(self._is_secure, listener))

    def _is_secure(self, listener: int) -> bool:
        return self.manners.context(listener) is not None

    def sweep(self) -> None:
        """End what has waited too long; runs until the loop stops."""
        now = self.now = self.loop.time()
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.expire(now)
        self.loop.call_later(SWEEP_SECONDS, self.sweep)

    def send_soon(self, connection: "Connection") -> None:
        """Let a connection send at the end of this turn of the loop, or when enough others wait.

        Sent one after the other, answers wake those who wait for them less often than each by
        itself; and a banner goes out with the answer to a query that came with the connection.
        """
        waiting, sockets = self._waiting, self._sockets
        if not waiting and (sockets is None or not sockets.in_turn):
            self.loop.call_soon(self.send)
        waiting.append(connection)
        if len(waiting) >= _TOGETHER:
            self.send()

    def send(self) -> None:
        """Let those send who wait with something."""
        waiting = self._waiting[:]
        self._waiting.clear()
        for connection in waiting:
            try:
                connection.send()
            except Exception as error:  # the others are not to blame
                self.faulted(error)
                logger.exception("an answer was not sent")
                connection.abort()

    def wait_for(self, connection: "Connection", octets: int) -> None:
        """A connection lets so many octets wait. Beyond what may wait the worst one goes."""
        self.slow[connection] = octets
        self.unsent += octets
        while self.unsent > self.manners.timing.unsent_octets:
            worst = max(self.slow, key=self.slow.__getitem__)
            self.wait_no_more(worst)
            self.limits.count(Counter.SLOW)
            worst.reset()

    def wait_no_more(self, connection: "Connection") -> None:
        """It has taken them, or is gone."""
        self.unsent -= self.slow.pop(connection, 0)

    async def drain(self, seconds: float) -> None:
        """Let nobody in, answer what is under way, end all; after ``seconds`` by force."""
        self._stop_listening()
        self.draining = True
        self.now = self.loop.time()
        for connection in list(self.connections):
            connection.stop()
        if self.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.empty.wait(), seconds)
        for connection in list(self.connections):
            connection.abort()
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def _stop_listening(self) -> None:
        if self._sockets is not None:
            self._sockets.stop_listening()
        for server in self._servers:
            server.close()
