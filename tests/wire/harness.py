"""A hub on loopback with a service that answers what its line says, and clients for it."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from rwhoisd.directory.access import EVERYONE, AccessRules
from rwhoisd.directory.dialect import ARIN, Dialect
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import (
    DirectiveRequest,
    PayloadRequest,
    RefusedRequest,
    Request,
)
from rwhoisd.protocol.session import Peer, Session, SessionLimits, Speech
from rwhoisd.server.hub import Hub, Manners, Timing
from rwhoisd.server.limits import LimitSettings, LimitTable, WorkerLimits
from rwhoisd.server.querylog import OFF, LogSettings, QueryLog
from rwhoisd.server.transport import listen

LONG_SECONDS = 60.0  # nothing of what is waited for takes as long
BANNER = b"%rwhois V-1.5:003fff:00 test (test)\n"


class EchoService:
    """Answers a query with itself. ``wait X`` takes a moment, ``big N`` gives N octets,
    ``parts N`` gives N parts of 64 kB, ``fault`` is an error of ours, ``secure`` tells whether
    nobody can listen."""

    banner = BANNER

    def __init__(self, dialect: Dialect = ARIN) -> None:
        self.dialect = dialect
        self.release = asyncio.Event()
        self.parts_made = 0
        self.asked = 0  # queries and directives, so far

    def session(self, address: str) -> Session:
        return Session(Speech(self.dialect, self.banner, SessionLimits()), address)

    def desk(self, peer: Peer) -> None:
        """All of them go through ``handle``."""
        del peer

    def renew(self) -> None:
        """It has no data."""

    def handle(self, peer: Peer, request: Request) -> Reply | Awaitable[Reply]:
        self.asked += 1
        if isinstance(request, DirectiveRequest):
            return self._directive(peer, request)
        if isinstance(request, RefusedRequest):
            return Reply(b"", request.code, request.detail)
        if isinstance(request, PayloadRequest):
            return Reply(b"%d octets\n" % len(request.data))
        word, _, rest = request.line.partition(b" ")
        if word == b"fault":
            raise KeyError("a fault of ours")
        if word == b"wait":
            return self._wait(rest)
        if word == b"big":
            return Reply(b"x" * (int(rest) - 1) + b"\n")
        if word == b"secure":
            return Reply(b"yes\n" if peer.secure else b"no\n")
        if word == b"parts":
            return Reply(more=self._parts(int(rest)))
        return Reply(request.line + b"\n", hits=1)

    def _directive(self, peer: Peer, request: DirectiveRequest) -> Reply:
        if request.word == "holdconnect":
            peer.holdconnect = request.text == "on"
        return Reply(close=request.word == "quit")

    async def _wait(self, rest: bytes) -> Reply:
        await self.release.wait()
        if rest == b"fault":
            raise KeyError("a fault of ours")
        return Reply(rest + b"\n")

    def _parts(self, count: int) -> Any:
        for _ in range(count):
            self.parts_made += 1
            yield b"x" * 65535 + b"\n"


@dataclass
class Server:
    """A hub that listens on loopback."""

    hub: Hub
    service: EchoService
    port: int
    table: LimitTable

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that has not read its banner yet."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, data: bytes, *, eof: bool = False) -> bytes:
        """All that comes back for ``data`` until the server closes, banner left out."""
        reader, writer = await self.connect()
        writer.write(data)
        if eof:
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), LONG_SECONDS)
        writer.close()
        assert answer.startswith(BANNER)
        return answer[len(BANNER) :]


@asynccontextmanager
async def serving(
    *,
    timing: Timing | None = None,
    limits: LimitSettings | None = None,
    log: QueryLog | None = None,
    rules: AccessRules = EVERYONE,
    welcome: Callable[[str], bool] = lambda _: True,
    tls: ssl.SSLContext | None = None,
    has_sets: bool = True,
) -> AsyncIterator[Server]:
    """A server that is drained and closed at the end."""
    service = EchoService()
    table = LimitTable(1024, 1)
    worker = WorkerLimits(table, 0, limits or LimitSettings())
    query_log = log or QueryLog(LogSettings(OFF))
    hub = Hub(Manners(service, timing or Timing(), (rules,), welcome, (tls,)), worker, query_log)
    hub.has_sets = has_sets
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    await listen(hub, 0, "test:0", sock, 100)
    query_log.start()
    hub.sweep()
    try:
        yield Server(hub, service, port, table)
    finally:
        service.release.set()
        await hub.drain(2.0)
        query_log.close()
    assert table.connections() == 0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test on the loop that the server uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main, 2 * LONG_SECONDS))


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(LONG_SECONDS):
        while not condition():  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)


def open_files() -> int:
    """Files this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
