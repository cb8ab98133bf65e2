"""One conversation with one server over TCP: banner, ``-rwhois``, a line, its answer.

A server that is dead, slow, endless or no RWhois server at all ends in ``SessionError``; how
long it may take and how much it may send is bounded for the whole conversation.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.protocol.answers import Answer, AnswerReader, Banner

VERSION: Final = "V-1.5"
IMPLEMENTATION: Final = "rwhoisd client"
NOTIFY_CAPABILITY: Final = 0x40  # Appendix D


class SessionError(Exception):
    """A server gave no answer that could be read; says why, without naming the server."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one conversation may cost."""

    seconds: float = 30.0
    octets: int = 16 << 20
    line_octets: int = 64 << 10


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a server said: to the greeting and, unless that failed, to the line."""

    banner: Banner
    answer: Answer


async def ask(server: HostPort, line: str, limits: SessionLimits) -> Conversation:
    """The answer of ``server`` to one query or directive.

    An answer that broke off is given as far as it came (``Answer.complete`` is False).

    Raises: SessionError, when nothing that can be used came within the limits.
    """
    try:
        async with asyncio.timeout(limits.seconds), _connection(server, limits) as wire:
            return await _converse(wire, line)
    except TimeoutError:
        raise SessionError(f"no whole answer within {limits.seconds:g} s") from None
    except OSError as error:
        raise SessionError(_reason(error)) from error


def _reason(error: OSError) -> str:
    """Words of the operating system; asyncio's own hold a tuple, and a name is known already."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


@asynccontextmanager
async def _connection(server: HostPort, limits: SessionLimits) -> AsyncIterator["_Wire"]:
    reader, writer = await asyncio.open_connection(
        server.host, server.port, limit=limits.line_octets
    )
    try:
        yield _Wire(reader, writer, limits)
    finally:
        writer.close()
        with suppress(OSError):  # it is over; how the peer took it does not matter
            await writer.wait_closed()


async def _converse(wire: "_Wire", line: str) -> Conversation:
    greeting = await wire.read_line()
    banner = Banner.from_text(greeting or "")
    if banner is None:
        raise SessionError(_no_banner(greeting))
    hello = await wire.exchange(f"-rwhois {VERSION} {IMPLEMENTATION}")
    if not hello.complete:
        raise SessionError("the connection was closed after the banner")
    if hello.fatal or hello.code == ResponseCode.NOT_COMPATIBLE:
        return Conversation(banner, hello)
    answer = await wire.exchange(line)
    if answer == Answer():
        raise SessionError("the connection was closed without an answer")
    return Conversation(banner, answer)


def _no_banner(greeting: str | None) -> str:
    if greeting is None:
        return "the connection was closed without a word"
    return f"it is no RWhois server: it began with {greeting[:60]!r}"


class _Wire:
    """Lines out, lines in, and a count of what came."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: SessionLimits
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._line_octets = limits.line_octets
        self._octets = limits.octets
        self._octets_left = limits.octets

    async def exchange(self, line: str) -> Answer:
        """Send a line and read its answer, up to its last line or the end of the connection."""
        self._writer.write(line.encode("utf-8", "surrogateescape") + b"\r\n")
        await self._writer.drain()
        reader = AnswerReader()
        while (said := await self.read_line()) is not None:
            if reader.feed(said):
                break
        return reader.answer()

    async def read_line(self) -> str | None:
        """The next line without its end; None at the end of the connection."""
        try:
            data = await self._reader.readline()
        except ValueError:
            raise SessionError(f"a line of over {self._line_octets} octets came") from None
        self._octets_left -= len(data)
        if self._octets_left < 0:
            raise SessionError(f"an answer of over {self._octets} octets came")
        return decode(data.removesuffix(b"\n").removesuffix(b"\r")) if data else None


def decode(data: bytes) -> str:
    """Text of a line: UTF-8, and Latin-1 where it is none (the protocol is 8-bit, R3.1.9-2)."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
