"""A server with small limits, those who abuse it, and a second client that wants its answers."""

import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.wire.process import PATIENCE_SECONDS, Process, installation, read_all, running

QUERY: Final = b"192.0.2.1\r\n"
RECORD: Final = b"network:Network-Name:POP-1"
# The second client's answers come within milliseconds when the machine has nothing else to do,
# and nine of ten within this time when it has.
PROMPT_SECONDS: Final = 15.0


@contextmanager
def abused(
    folder: Path,
    limits: Mapping[str, object] | None = None,
    *,
    files: Mapping[str, str] | None = None,
    compat: str = "rfc",
    workers: int = 1,
    **sections: object,
) -> Iterator[Process]:
    """A server over a small installation; ``limits`` and other sections as the file has them."""
    conf = installation(folder / "arin", files)
    environment = {f"RWHOISD_LIMITS__{k.upper()}": _text(v) for k, v in (limits or {}).items()}
    environment |= {f"RWHOISD_{k.upper()}": _text(v) for k, v in sections.items()}
    environment.setdefault("RWHOISD_LOG__QUERIES", str(folder / "queries.log"))
    arguments = ("--arin-config", str(conf), "--listen", "127.0.0.1:0")  # RWHOISD_LISTEN wins
    more = ("--compat", compat, "--workers", str(workers))
    with running(folder, *arguments, *more, **environment) as server:
        server.ask(QUERY)
        yield server


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def memory(server: Process) -> int:
    """Octets of memory that the workers have for themselves."""
    total = 0
    for pid in server.workers():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Private_"):
                total += int(line.split()[1]) * 1024
    return total


def processor_seconds(server: Process) -> float:
    """Processor time that the workers have used."""
    ticks = 0
    for pid in server.workers():
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Second:
    """A client that keeps asking, each time with a connection of its own."""

    def __init__(self, server: Process, source: str = "127.0.0.2") -> None:
        self._server = server
        self._source = source
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.wrong: list[object] = []

    def once(self) -> None:
        """One question and its answer."""
        begun = time.monotonic()
        try:
            place = ("127.0.0.1", self._server.port)
            with socket.create_connection(
                place, PATIENCE_SECONDS, source_address=(self._source, 0)
            ) as client:
                client.sendall(QUERY)
                answer = read_all(client)
            if RECORD not in answer:
                self.wrong.append(answer)
        except OSError as error:
            self.wrong.append(error)
        self.seconds.append(time.monotonic() - begun)

    def run(self) -> None:
        """Until it is told to stop."""
        while not self._over.is_set():
            self.once()
            time.sleep(0.02)

    def stop(self) -> None:
        """No more."""
        self._over.set()


@contextmanager
def while_answered(server: Process, *, growth: int = 96 << 20) -> Iterator[Second]:
    """A second client gets its answers during the block, from the same workers.

    ``growth``: octets that the workers may have more afterwards.
    """
    workers, before = set(server.workers()), memory(server)
    second = Second(server)
    second.once()
    thread = threading.Thread(target=second.run)
    thread.start()
    try:
        yield second
    finally:
        second.stop()
        thread.join()
    second.once()
    assert not second.wrong
    took = sorted(second.seconds)
    assert took[len(took) * 9 // 10 - 1] < PROMPT_SECONDS
    assert set(server.workers()) == workers
    assert memory(server) < before + growth


def connect(
    server: Process, source: str = "127.0.0.3", seconds: float = PATIENCE_SECONDS, room: int = 0
) -> socket.socket:
    """A connection of the one who abuses; ``room``: octets that its system takes for it."""
    client = socket.socket()
    client.settimeout(seconds)
    if room:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    client.bind((source, 0))
    client.connect(("127.0.0.1", server.port))
    return client


@contextmanager
def many(
    server: Process, count: int, source: str = "127.0.0.3", room: int = 0
) -> Iterator[list[socket.socket]]:
    """So many connections at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(server, source, room=room)) for _ in range(count)]


def reset(client: socket.socket) -> None:
    """Close it with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def rest(client: socket.socket) -> bytes:
    """All that still comes; a reset ends it as well."""
    try:
        return read_all(client)
    except (ConnectionError, ssl.SSLError):
        return b""


def read_to(client: socket.socket, end: bytes) -> bytes:
    """What comes up to and with ``end``, and not an octet more."""
    said = b""
    while not said.endswith(end):
        octet = client.recv(1)
        assert octet, said
        said += octet
    return said


def counted(server: Process, name: str) -> int:
    """What the server told last of one of its counters; it does so every few seconds."""
    facts = json.loads((server.output.parent / "state/counters.json").read_text("ascii"))
    return int(facts[name])


def established(client: socket.socket) -> bool:
    """Whether a connection is there as a whole, without taking anything from it."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


def log_of(server: Process) -> str:
    """The query log."""
    return (server.output.parent / "queries.log").read_text("utf-8")


def pushed(client: socket.socket, data: bytes) -> int:
    """How many octets of ``data`` the server took before it closed or stopped reading."""
    sent = 0
    view = memoryview(data)
    try:
        while view:
            count = client.send(view[: 1 << 16])
            sent, view = sent + count, view[count:]
    except (ConnectionError, TimeoutError):
        pass
    return sent
