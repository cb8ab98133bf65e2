"""What changes cost: how soon they are answered, what queries feel of them, how the image grows.

``python -m bench.changes STORE IMAGE SECONDS RATE`` makes changes in a process of its own, as
whoever brings data in does, and tells what came of it as one line of JSON.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import datasets, generate, load
from bench.errors import BenchError
from bench.load import PATTERNS, Job
from bench.servers import Server
from bench.stats import OURS, Sample

if TYPE_CHECKING:
    from rwhoisd.directory.changes import StoredObject
    from rwhoisd.store import Store

RATE: Final = 1_000  # changes in a second
FULL_SECONDS: Final = 60.0  # of changes, where everything is measured
_SHORT_SECONDS: Final = 8.0
_FULL_FROM: Final = 1_000_000  # objects
_DELAYS: Final = 30  # changes whose delay is measured
_CHANGED: Final = 2_000  # objects that change again and again
_AT_ONCE: Final = 1_000  # changes of one transaction at most
_PACE_SECONDS: Final = 0.05  # between two transactions
_CLIENTS: Final = 8
# All windows are about equally long; the median of them counts, as one may be disturbed.
_WINDOW_SECONDS: Final = 5.0
_QUIET_WINDOWS: Final = 2  # before the changes, and as many behind them
_FELT: Final = (
    ("p99 of held queries", "p99_us", "µs"),
    ("p50 of held queries", "p50_us", "µs"),
    ("server CPU of a held query", "server_us_per_answer", "µs"),
)
_PATTERN: Final = PATTERNS["held"]
_COMPACTED_SECONDS: Final = 45.0  # the supervisor looks every five, and waits 30 between two
_SECONDS: Final = 10.0  # for an answer


@dataclass(frozen=True, slots=True)
class Found:
    """One figure; ``ratio`` is to what ``what`` says."""

    what: str
    value: float
    unit: str
    ratio: float | None = None


def measure(dataset: datasets.Dataset, server: Server, program: Path) -> Iterator[Found]:
    """All of it, at a server of ours that serves ``dataset``; ``program`` asks queries."""
    yield from asyncio.run(_delays(dataset, server))
    yield from _stream(dataset, server, program)


# -- how soon a change is answered


async def _delays(dataset: datasets.Dataset, server: Server) -> list[Found]:
    from rwhoisd.store import Store

    state = dataset.folder / "state"
    delays = []
    async with await Store.open(str(state / "store.sqlite")) as store:
        objects = await store.find_objects(generate.AREA, "network", limit=1)
        with _held(server) as ask:
            for number in range(_DELAYS):
                committed = await _change(store, state / "image", objects, f"City {number}")
                _until(lambda number=number: f"City {number}\n".encode() in ask())
                delays.append(time.perf_counter() - committed)
    delays.sort()
    what = "from commit to every worker's answer"
    return [
        Found(f"{what}, median", median(delays) * 1000, "ms"),
        Found(f"{what}, slowest of {_DELAYS}", delays[-1] * 1000, "ms"),
    ]


async def _change(store: "Store", image: Path, objects: Sequence["StoredObject"], to: str) -> float:
    """Give objects another city, and bring the image up to it; when that was committed."""
    from rwhoisd.image.catch_up import follow

    async with store.change(generate.AREA, author="bench", source="bench") as changing:
        for stored in objects:
            lines = tuple((n, to if n == "City" else v) for n, v in stored.object.lines)
            await changing.modify(stored.row, replace(stored.object, lines=lines))
    committed = time.perf_counter()
    await follow(store.snapshot, image)
    return committed


@contextmanager
def _held(server: Server) -> Iterator[Callable[[], bytes]]:
    """Asks for the first network on many held connections, so that every worker has some; gives
    the lines that all of their answers have."""
    query = f"network {generate.network_name(0)}\r\n".encode()
    with ExitStack() as stack:
        sockets = []
        for _ in range(16):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            sock.settimeout(_SECONDS)
            sock.sendall(b"-holdconnect on\r\n")
            read_answer(sock)
            sockets.append(sock)

        def ask() -> bytes:
            for sock in sockets:
                sock.sendall(query)
            answers = [read_answer(sock) for sock in sockets]
            common = set.intersection(*(set(a.splitlines(keepends=True)) for a in answers))
            return b"".join(common).replace(b"\r\n", b"\n")

        yield ask


def read_answer(sock: socket.socket) -> bytes:
    """What comes until a final line was read."""
    data = b""
    while (b"%ok" not in data and b"%error" not in data) or not data.endswith(b"\n"):
        some = sock.recv(1 << 16)
        if not some:
            raise BenchError("the server closed a held connection")
        data += some
    return data


def _until(condition: Callable[[], bool], seconds: float = _SECONDS) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            raise BenchError(f"a change was not answered within {seconds:.0f} s")


# -- many changes beside queries


def _stream(dataset: datasets.Dataset, server: Server, program: Path) -> Iterator[Found]:
    """Queries without changes, with, and without again; what the image came to."""
    seconds = FULL_SECONDS if dataset.count >= _FULL_FROM else _SHORT_SECONDS

    def asked(run_seconds: float) -> Sample:
        """What queries take meanwhile."""
        job = Job(
            objects=dataset.count,
            server=OURS,
            port=server.port,
            pid=server.pid,
            pattern=_PATTERN,
            kind="name",
            query_file=dataset.query_file("name"),
            connections=_CLIENTS,
            round=0,
            seconds=run_seconds,
        )
        return load.run(program, job)

    windows = round(seconds / _WINDOW_SECONDS)
    part = seconds / windows
    # A server that has just begun reads its image and looks at its data: ten times the p99.
    asked(part)
    without = [asked(part) for _ in range(_QUIET_WINDOWS)]
    before = dataset.image_octets(ours=True)
    state = dataset.folder / "state"
    command = [sys.executable, "-m", __name__, str(state / "store.sqlite"), str(state / "image")]
    command += [str(seconds + windows), str(RATE)]  # the generator warms up for each window
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        beside = [asked(part) for _ in range(windows)]
    finally:
        told, _ = writer.communicate(timeout=seconds + 60)
    if writer.returncode:
        raise BenchError(f"{' '.join(command)} ended with {writer.returncode}")
    after = dataset.image_octets(ours=True)
    without += [asked(part) for _ in range(_QUIET_WINDOWS)]
    made = json.loads(told)
    rate = made["changes"] / made["seconds"]
    yield Found(f"changes a second for {seconds:.0f} s ÷ {RATE}", rate, "/s", rate / RATE)
    yield Found("longest of its transactions, image included", made["longest"] * 1000, "ms")
    for name, field, unit in _FELT:
        usual = median(getattr(sample, field) for sample in without)
        felt = median(getattr(sample, field) for sample in beside)
        yield Found(f"{name} without changes", usual, unit)
        yield Found(f"{name} beside changes ÷ without", felt, unit, felt / usual)
    yield Found(
        f"image after {made['changes']} changes ÷ before", after / 1e6, "MB", after / before
    )
    settled = _settled(dataset)
    yield Found("the same when it was compacted, if need be", settled / 1e6, "MB", settled / before)


def _settled(dataset: datasets.Dataset) -> int:
    """Octets of the image once the server has compacted it, or does not need to."""
    from rwhoisd.image.compaction import is_worn

    image = dataset.folder / "state/image"
    end = time.perf_counter() + _COMPACTED_SECONDS + dataset.count / 5_000
    while is_worn(image) or len(list(image.glob("gen-*"))) > 1:
        if time.perf_counter() > end:
            raise BenchError("an image that had grown was not compacted in time")
        time.sleep(0.2)
    return dataset.image_octets(ours=True)


async def _make(store_path: str, image: Path, seconds: float, rate: float) -> dict[str, float]:
    """Change objects at a rate, as far as that is possible, for so long."""
    from rwhoisd.store import Store

    made, longest = 0, 0.0
    async with await Store.open(store_path) as store:
        objects = await store.find_objects(generate.AREA, "network", limit=_CHANGED)
        began = time.perf_counter()
        while (at := time.perf_counter() - began) < seconds:
            due = min(int(at * rate) - made, _AT_ONCE, len(objects))
            if due > 0:
                first = made % len(objects)
                some = (objects + objects)[first : first + due]
                await _change(store, image, some, f"City {made}")
                made += due
                longest = max(longest, time.perf_counter() - began - at)
            await asyncio.sleep(max(0.0, at + _PACE_SECONDS - (time.perf_counter() - began)))
        return {
            "changes": made,
            "seconds": time.perf_counter() - began,
            "longest": longest,
        }


def main() -> None:
    """Make changes (see the module)."""
    store, image, seconds, rate = sys.argv[1:]
    print(json.dumps(asyncio.run(_make(store, Path(image), float(seconds), float(rate)))))


if __name__ == "__main__":
    main()
