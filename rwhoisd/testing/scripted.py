"""A small RWhois server that says what a test tells it to, and keeps what it was asked.

It stands in for the servers of other people: those that refer, loop, answer slowly, break off
or never say a word. It knows of the protocol only what a script would have to repeat each time
(banner, ``-rwhois``, ``-holdconnect``, ``-quit``, close after a query).

    async with ScriptedServer({"10.0.0.1": "network:ID:1\\n\\n%ok\\n"}) as server:
        ...  # ask 127.0.0.1, server.port
        assert server.lines == ["10.0.0.1"]
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

NOTHING_FOUND: Final = "%error 230 No Objects Found\n"
_DIRECTIVES: Final = {"-rwhois": "{banner}%ok\n", "-holdconnect": "%ok\n", "-quit": "%ok\n"}


class ScriptedServer:
    """Answers on loopback from ``replies``; a reply may also be changed while it runs.

    Args:    replies: the answer to each line, with LF; it goes out with CR LF. None: the
             connection is closed without an answer. A line that has no reply gets ``otherwise``.
             A directive may be scripted by its whole line or by its name.
             capabilities: bits of the banner. banner: False for a server that never says a word.
             delay_seconds: before each answer. piece_octets: how much of an answer goes out
             at a time. endless: an answer is repeated until the client goes away.
             break_off: the connection is closed after an answer, whatever the client wants.
    """

    def __init__(
        self,
        replies: Mapping[str, str | None] | None = None,
        *,
        otherwise: str | None = NOTHING_FOUND,
        capabilities: int = 0x003FFF,
        banner: bool = True,
        delay_seconds: float = 0.0,
        piece_octets: int = 1 << 16,
        endless: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        self.replies: dict[str, str | None] = dict(replies or {})
        self.otherwise = otherwise
        self.banner = f"%rwhois V-1.5:{capabilities:06x}:00 scripted.test (scripted)\n"
        self.sessions: list[list[str]] = []  # the lines of each connection, in order of arrival
        self.host = host
        self.port = 0  # known once it runs
        self._silent = not banner
        self._delay_seconds = delay_seconds
        self._piece_octets = piece_octets
        self._endless = endless
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def lines(self) -> list[str]:
        """All lines it was sent, over all connections."""
        return [line for session in self.sessions for line in session]

    @property
    def queries(self) -> list[str]:
        """The lines that are no directives."""
        return [line for line in self.lines if not line.startswith("-")]

    @property
    def address(self) -> str:
        """Host and port as people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, area: str) -> str:
        """The referral that leads to this server."""
        return f"rwhois://{self.address}/auth-area={area}"

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        # Not asyncio.start_server: closed under load, it leaks connections it has just taken.
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        await asyncio.sleep(0)  # now every task has begun, and closes what it was given
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return  # the client changed its mind
        task = asyncio.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        lines: list[str] = []
        self.sessions.append(lines)
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            if not self._silent:
                await self._send(writer, self.banner)
            await self._converse(reader, writer, lines)
            writer.close()
            await writer.wait_closed()
        except OSError:
            pass  # the client went away, as it may
        finally:
            writer.transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: list[str]
    ) -> None:
        hold = False
        while data := await reader.readline():
            line = data.decode("utf-8", "surrogateescape").rstrip("\r\n")
            lines.append(line)
            if self._silent:
                continue
            await asyncio.sleep(self._delay_seconds)
            reply = self._reply(line)
            if reply is None:
                return
            await self._send(writer, reply)
            while self._endless and not line.startswith("-"):
                await self._send(writer, reply)
            name = line.split(" ")[0].lower()
            if name == "-holdconnect":
                hold = line.lower().endswith("on")
            if name == "-quit" or not (hold or line.startswith("-")):
                return

    def _reply(self, line: str) -> str | None:
        name = line.split(" ")[0].lower()
        for key in (line, name):
            if key in self.replies:
                return self.replies[key]
        if name.startswith("-"):
            return _DIRECTIVES.get(name, "%ok\n").format(banner=self.banner)
        return self.otherwise

    async def _send(self, writer: asyncio.StreamWriter, text: str) -> None:
        data = text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
        for start in range(0, len(data), self._piece_octets):
            writer.write(data[start : start + self._piece_octets])
            await writer.drain()


@contextmanager
def refusing_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses connections for as long as the context lasts: a dead server."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))  # bound, so that nobody else gets it; never listening
        yield int(sock.getsockname()[1])
