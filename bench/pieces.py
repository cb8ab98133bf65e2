"""Where the time of an answer goes: the parts of the query path, each timed alone, no sockets.

What is measured is ours alone. What the kernel and the event loop take is the rest of what an
answer costs over a socket; the echo server has it, too.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from bench import queries
from bench.echo import Echo
from bench.errors import BenchError
from rwhoisd.directory.addresses import plain_address
from rwhoisd.image.current import ImageReader
from rwhoisd.image.scopes import Plan
from rwhoisd.image.words import Words
from rwhoisd.protocol.session import DEFAULT_LIMIT, Peer, SessionLimits
from rwhoisd.server.hub import Hub
from rwhoisd.server.querylog import Entry, Formatter, LogSettings
from rwhoisd.server.transport import Connection, factory

_LINES: Final = 2048
_TOGETHER: Final = 16  # lines in a packet of a client that does not wait
_RUNS: Final = 7
_MOST_RUNS: Final = 200
_CLASS: Final = "network"


@dataclass(frozen=True, slots=True)
class Piece:
    """Microseconds of CPU that a part of the way of a query takes."""

    objects: int
    query: str
    part: str
    microseconds: float


PARTS: Final = {
    "connection": "a connection for the query: all of ours, from its beginning to its end",
    "echo connection": "the same of the echo server",
    "packet": "a packet with one line: session, limits, answer, log entry, write",
    "line of 16": "a line of a packet with sixteen",
    "answer": "of these: from the line to the answer, expression and last line included",
    "look": "of these: the look into the index, and the records",
    "log line": "beside them: making the line of the log, many at once",
}


def _ways(words: Words, networks: Plan) -> dict[str, Callable[[str], object]]:
    """How each kind of query is looked up, by the word as it stands in upper case."""

    def address(word: str) -> object:
        number = plain_address(word)
        assert number is not None
        return words.around_address(networks, word.encode(), number)

    return {
        "name": lambda word: words.equal(networks, word.encode()),
        "address": address,
        "prefix": lambda word: words.beginning(networks, word[:-1].encode()),
    }


def _words_of(kind: str, numbers: queries.Numbers) -> list[str]:
    """The words that are asked for."""
    step = max(1, numbers.count // _LINES)
    made: dict[str, Callable[[int], str]] = {
        "name": lambda n: numbers.name(n * step),
        "address": numbers.address,
        "prefix": lambda n: f"{numbers.prefix(n)}*",
    }
    return [made[kind](n) for n in range(_LINES)]


def measure(out: Path, count: int) -> list[Piece]:
    """The parts of the three kinds of queries that the rounds have, among ``count`` networks.

    Raises: BenchError, when the machine is too busy.
    """
    return asyncio.run(_measure(queries.prepare(out, count), queries.Numbers(count)))


async def _measure(folder: Path, numbers: queries.Numbers) -> list[Piece]:
    hub, sink = queries.hub(folder), queries.Sink()
    image = ImageReader(folder / "image").current()
    ways = _ways(Words(image, DEFAULT_LIMIT), image.scopes.heads[_CLASS.upper().encode()])
    held = _opened(hub, sink)
    found = []
    for kind, way in ways.items():
        words = _words_of(kind, numbers)
        lines = [f"{_CLASS} {word}".encode() for word in words]
        packets = [line + b"\r\n" for line in lines]
        wide = [b"".join(packets[i : i + _TOGETHER]) for i in range(0, _LINES, _TOGETHER)]
        tell = hub.manners.service.desk(Peer("127.0.0.1", SessionLimits()))
        assert tell is not None
        runs: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
            "connection": (lambda packet: _connection(hub, sink, packet), packets),
            "echo connection": (lambda packet: _echo(sink, packet), packets),
            "packet": (lambda packet: _packet(held, sink, packet), packets),
            "line of 16": (lambda packet: _packet(held, sink, packet), wide),
            "answer": (tell, lines),
            "look": (way, [word.upper() for word in words]),
            "log line": (Formatter(LogSettings()).lines, [_entries(lines)]),
        }
        for part, (run, items) in runs.items():
            found.append(Piece(numbers.count, kind, part, await _least(run, items) / _LINES))
    return found


def _opened(hub: Hub, sink: queries.Sink) -> Connection:
    """A connection that is held."""
    connection = factory(hub, 0, "127.0.0.1:4321")()
    connection.connection_made(cast("asyncio.Transport", sink))
    connection.data_received(b"-holdconnect on\r\n")
    return connection


class _InterruptedError(Exception):
    """The machine did something else meanwhile, so the connection let others have their turn."""


def _packet(connection: Connection, sink: queries.Sink, packet: bytes) -> None:
    sink.last = b""
    connection.data_received(packet)
    connection.send()
    if not sink.last:
        raise _InterruptedError


def _connection(hub: Hub, sink: queries.Sink, packet: bytes) -> None:
    connection = factory(hub, 0, "127.0.0.1:4321")()
    connection.connection_made(cast("asyncio.Transport", sink))
    connection.data_received(packet)
    connection.send()
    connection.eof_received()
    connection.connection_lost(None)


def _echo(sink: queries.Sink, packet: bytes) -> None:
    echo = Echo()
    echo.connection_made(cast("asyncio.Transport", sink))
    echo.data_received(packet)
    echo.connection_lost(None)


def _entries(lines: Sequence[bytes]) -> list[Entry]:
    return [(time.time(), "127.0.0.1", "127.0.0.1:4321", line, 1, 0, 9) for line in lines]


async def _least(run: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Microseconds of CPU of the best of several runs: what else the machine does only adds.

    Raises: BenchError, when the machine is too busy for any.
    """
    spent: list[int] = []
    for _ in range(_MOST_RUNS):
        began = time.process_time_ns()
        with suppress(_InterruptedError):
            for item in items:
                run(item)
            spent.append(time.process_time_ns() - began)
        await asyncio.sleep(0)  # who waits for its turn gets it
        if len(spent) == _RUNS:
            return min(spent) / 1000
    raise BenchError("the machine does too much else for parts of a query to be timed")
