"""One client's side of a conversation, played without fixed pauses.

How long to wait is told by counting: every command brings one ``%ok`` or ``%error`` line. When
an answer stays away for ``patience`` seconds, or to learn whether the server keeps the
connection, the client asks ``-rwhois V-1.5`` (the one directive that no server may switch off,
§3.1.1): answers come in order, so its answer proves that nothing else is under way. That
exchange is cut out of what was heard.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

_ASK = b"-rwhois V-1.5\r\n"
_ASKED = re.compile(rb"(?m)^%rwhois [^\n]*\n%ok\b[^\n]*\n")
_TERM = re.compile(rb"(?m)^%(?:ok|error)\b[^\n]*\n")
_FULL = re.compile(rb"(?m)^%error 501\b")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: ``timeout`` for one answer, ``patience`` of silence before asking for a sign."""

    timeout: float = 20.0
    patience: float = 3.0


@dataclass(frozen=True, slots=True)
class Heard:
    """All that the server sent (banner included), and whether it hung up by itself."""

    text: str
    closed: bool


class Line(asyncio.Protocol):
    """A connection as a growing buffer."""

    def __init__(self, pace: Pace) -> None:
        self.buffer = bytearray()
        self.ended = False
        self._pace = pace
        self._news = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._news.set()

    def eof_received(self) -> bool:
        self.ended = True
        self._news.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self.ended = True
        self._news.set()

    def send(self, data: bytes) -> None:
        """Writes unless the connection is gone already; the answer will show that it is."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def half_close(self) -> None:
        """Ends our side; the server may still speak."""
        if self._transport is None or self._transport.is_closing() or self.ended:
            return
        try:
            self._transport.write_eof()
        except OSError:  # reset meanwhile: there is nothing left to end
            self.ended = True

    def close(self) -> None:
        """Gives the connection up."""
        if self._transport is not None:
            self._transport.abort()

    def answers(self) -> int:
        """Complete responses heard so far."""
        return len(_TERM.findall(self.buffer))

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether ``condition`` came true before the end, or ``seconds`` without a byte."""
        while not condition():
            if self.ended:
                return False
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return condition()
        return True

    async def banner(self) -> None:
        """Waits for the first line."""
        await self.until(lambda: b"\n" in self.buffer, self._pace.timeout)

    async def wait_answers(self, total: int, *, may_ask: bool = True) -> None:
        """Waits for ``total`` responses, or for the proof that they will not come."""
        enough = lambda: self.answers() >= total  # noqa: E731
        if await self.until(enough, self._pace.patience) or self.ended:
            return
        if may_ask and await self.alive():
            return
        await self.until(enough, self._pace.timeout)

    async def alive(self) -> bool:
        """Asks for a sign of life; False: no answer came, or the server had hung up."""
        if self.ended:
            return False
        mark = len(self.buffer)
        self.send(_ASK)
        answered = lambda: _ASKED.search(self.buffer, mark) is not None  # noqa: E731
        found = await self.until(answered, self._pace.timeout)
        if found:
            self._cut(mark)
        return found

    def _cut(self, mark: int) -> None:
        match = _ASKED.search(self.buffer, mark)
        if match is not None:
            del self.buffer[match.start() : match.end()]

    async def drain(self) -> None:
        """Ends our side and hears the server out."""
        self.half_close()
        await self.until(lambda: False, self._pace.timeout)

    async def quiet(self, seconds: float) -> None:
        """Waits until nothing has come for ``seconds``."""
        await self.until(lambda: False, seconds)


@asynccontextmanager
async def connected(endpoint: Endpoint, pace: Pace, *, alone: bool = False) -> AsyncIterator[Line]:
    """A connection whose banner has been read.

    ``alone``: nobody else of ours is connected. A server that says it has too many sessions (501)
    has then not noticed yet that the one before is gone, and is asked again for
    ``pace.timeout``.

    Raises: OSError: nobody listens there, or not within ``pace.timeout``.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + pace.timeout
    line = await _opened(endpoint, pace)
    try:
        await line.banner()
        while alone and _FULL.search(line.buffer) and loop.time() < end:
            line.close()
            await asyncio.sleep(0.02)
            line = await _opened(endpoint, pace)
            await line.banner()
        yield line
    finally:
        line.close()
        await asyncio.sleep(0)


async def _opened(endpoint: Endpoint, pace: Pace) -> Line:
    opening = asyncio.get_running_loop().create_connection(
        lambda: Line(pace), endpoint.host, endpoint.port
    )
    _, line = await asyncio.wait_for(opening, pace.timeout)
    return line
