"""Lines that are answered at once are answered as those that are received: the same bytes, the
same in the log, in the counters, in the limits, and the connection in the same state after it."""

import asyncio
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rwhoisd.directory.access import EVERYONE
from rwhoisd.directory.dialect import Compat
from rwhoisd.image.current import ImageReader
from rwhoisd.protocol.replies import Told
from rwhoisd.protocol.requests import QueryRequest, Request
from rwhoisd.protocol.session import Peer, SessionLimits
from rwhoisd.server.hub import Hub, Manners, Timing
from rwhoisd.server.limits import LimitSettings, LimitTable, WorkerLimits
from rwhoisd.server.querylog import OFF, LogSettings, QueryLog
from rwhoisd.server.transport import Connection
from rwhoisd.service.service import Service
from tests.unit import service_kit as kit


class Faulty(Service):
    """Has a fault that a line can find; ``short`` says whether lines are answered at once."""

    short = True

    def desk(self, peer: Peer) -> Callable[[bytes], Told | None] | None:
        found = super().desk(peer)
        if found is None or not self.short:
            return None
        tell = found

        def answer(line: bytes) -> Told | None:
            if line == b"fault":
                raise KeyError(line)
            return tell(line)

        return answer

    def handle(self, peer: Peer, request: Request) -> Any:
        if isinstance(request, QueryRequest) and request.line == b"fault":
            raise KeyError(request.line)
        return super().handle(peer, request)


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; is full once ``room`` octets were, until it is emptied."""

    def __init__(self, room: int) -> None:
        super().__init__({"peername": ("192.0.2.1", 4321)})
        self.room = room
        self.protocol: Connection | None = None
        self.written = b""
        self.events: list[str] = []
        self._full = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if not self._full and len(self.written) > self.room and self.protocol:
            self._full = True
            self.protocol.pause_writing()

    def empty(self) -> None:
        self.room = MUCH
        if self._full and self.protocol:
            self._full = False
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def is_closing(self) -> bool:
        return "close" in self.events

    def write_eof(self) -> None:
        self.events.append("eof")

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


LINES = st.sampled_from(
    [
        *(b"ten", b"network ten", b"Network TE*", b"10.1.2.3", b"network 10.0.0.0/8", b"a.com"),
        *(b"contact jane", b"contact j*", b"x.example.com", b"nobody", b"contact", b"hidden"),
        *(b"contact name=jane", b"jane or ten", b'"ten"', b"bogus ten", b"a b c", b"*n"),
        *(b"-limit 1", b"-limit 0", b"-holdconnect on", b"-holdconnect off", b"-rwhois V-1.5"),
        *(b"-forward on", b"-security on request password a.com.x", b"-5", b"-b ten", b"-quit"),
        *(
            b"",
            b" ten",
            b"ten ",
            b"\tten",
            b"t\0en",
            b"te\rn",
            b"jos\xe9",
            b"fault",
            b"-register on",
        ),
        *(b"x" * 600, b"network " + b"x" * 505, b"-directive nothing", b"-class a.com"),
    ]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\n", b"", b" \r\n"])
DATA = st.lists(st.lists(st.builds(bytes.__add__, LINES, ENDS), max_size=7).map(b"".join))
HOLD = b"-holdconnect on\r\n"
NOW = 1e6
MUCH = 1 << 60  # octets


@pytest.fixture(scope="module")
def reader() -> ImageReader:
    with tempfile.TemporaryDirectory() as folder:
        return kit.open_reader(Path(folder))


@settings(deadline=None)  # it makes two loops
@given(
    data=DATA,
    hold=st.booleans(),
    compat=st.sampled_from(["arin", "rfc"]),
    queries=st.sampled_from([0, 0, 3]),
    batch=st.sampled_from([1, 3, 64]),
    room=st.sampled_from([0, 1000, MUCH]),
    draining=st.booleans(),
)
@example([b"ten\nfault\nten\n"], True, "arin", 0, 64, MUCH, False)
@example([b"ten\r\nten\r\nten\r\nten\r\nten\r\n"], True, "arin", 3, 64, MUCH, False)
@example([b"ten\r\n" * 6, b"ten\r\n-limit 1\r\n"], True, "arin", 0, 3, 1000, False)
@example([b"ten\r\nten\r\nten\r\nten\r\n-limit 1\r\nj*\r\n"], True, "rfc", 0, 3, 0, True)
def test_lines_answered_at_once_are_answered_the_same(
    reader: ImageReader,
    data: list[bytes],
    hold: bool,
    compat: str,
    queries: int,
    batch: int,
    room: int,
    draining: bool,
) -> None:
    def seen(short: bool) -> object:
        service = Faulty(
            reader, kit.settings(cast("Compat", compat), limits=SessionLimits(line_octets=512))
        )
        service.short = short
        chunks = [HOLD, *data] if hold else data
        limits = LimitSettings(queries_per_net=queries, exempt=EVERYONE)
        with (
            patch.object(time, "monotonic", lambda: NOW),
            patch.object(time, "perf_counter_ns", lambda: 0),  # no turn takes too long
        ):
            return asyncio.run(conversation(service, chunks, limits, batch, room, draining))

    assert seen(short=True) == seen(short=False)


async def conversation(
    service: Service,
    chunks: list[bytes],
    limits: LimitSettings,
    batch: int,
    room: int,
    draining: bool,
) -> object:
    """All that can be seen of one connection that gets ``chunks``."""
    table = LimitTable(8, 1)
    log = QueryLog(LogSettings(OFF))
    log.on = True  # type: ignore[misc]  # but nobody writes it
    hub = Hub(Manners(service, Timing(batch_lines=batch)), WorkerLimits(table, 0, limits), log)
    connection = Connection(hub, 0, "test:0")
    transport = MemoryTransport(room)
    transport.protocol = connection
    connection.connection_made(transport)
    states = []
    for chunk in chunks:
        connection.data_received(chunk)
        for _ in range(20):  # whatever is done at once, and whatever in the next turns
            await asyncio.sleep(0)
        states.append((transport.written, connection.deadline < math.inf))
        hub.draining = draining
    transport.empty()
    for _ in range(40):
        await asyncio.sleep(0)
    transport.protocol = None
    entries = [entry[1:6] for entry in log._entries]
    peer = connection._session.peer
    switched = (peer.limit, peer.holdconnect, peer.forward, connection._session.closing)
    charged = max(max(0, round((due - NOW) / 20)) for due in table.due)  # queries
    found = (transport.written, transport.events, switched, charged)
    # When it becomes full amid a chunk it depends on what was written together what waits.
    paces = states if room in (0, MUCH) else []
    return (*found, paces, entries, list(table.counters[0]))
