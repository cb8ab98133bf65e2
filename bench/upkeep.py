"""What it takes to keep a directory: loading, building, changing, memory, idle connections.

Ratios are against ARIN's indexer on the same data in the same run, where it takes part.
"""

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench import changes, datasets, generate, servers
from bench.errors import BenchError
from bench.servers import Server

_LOAD_TIME: Final = "load: time"
_READY_TIME: Final = "load and image: time"
_POSTGRESQL_MOST: Final = 100_000  # objects
_PROBES: Final = 200  # queries of which p50 is taken
_HELD: Final = 10_000  # idle connections of each worker, where the limits of files allow it
_SPARE: Final = 256  # files of a process for all else
_ENDS: Final = 25_000  # connections from one address to one port: the ports that the system gives
_STARTS: Final = 5
_LOAD_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; ``ratio`` compares it with ARIN's indexer, or with what ``what`` says."""

    objects: int
    what: str
    value: float
    unit: str
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def building(dataset: datasets.Dataset, arin_bin: Path | None) -> Iterator[Figure]:
    """Figures of loading the text into a store, and of building an image of that store.

    Both are where a server of ours keeps them, which can start with them.
    """
    state = dataset.fresh_state()
    index = _arin_index(dataset, arin_bin) if arin_bin else None
    load = _cost_of("load", str(dataset.root / "rwhoisd.conf"), str(state / "store.sqlite"))
    image = _cost_of("image", str(state / "store.sqlite"), str(state / "image"))
    both = _Cost(
        load.seconds + image.seconds,
        load.cpu_seconds + image.cpu_seconds,
        max(load.peak_megabytes, image.peak_megabytes),
    )
    for name, cost in (("load", load), ("image", image), ("load and image", both)):
        ratio = cost.seconds / index.seconds if index else None
        cpu = cost.cpu_seconds / index.cpu_seconds if index else None
        yield Figure(dataset.count, f"{name}: time", cost.seconds, "s", ratio)
        yield Figure(dataset.count, f"{name}: CPU", cost.cpu_seconds, "s", cpu)
        yield Figure(dataset.count, f"{name}: largest process", cost.peak_megabytes, "MB")


def seconds_to_ready(figures: Sequence[Figure], objects: int) -> float | None:
    """What ``building`` took for so many objects; None when it was not measured."""
    found = _figure(figures, objects, _READY_TIME)
    return found and found.value


def _figure(figures: Sequence[Figure], objects: int, what: str) -> Figure | None:
    return next((f for f in figures if (f.objects, f.what) == (objects, what)), None)


def loading_postgresql(dataset: datasets.Dataset, figures: Sequence[Figure]) -> Iterator[Figure]:
    """What loading takes with PostgreSQL; the ratio is that of ``figures`` of this run.

    Raises: BenchError, when it is not installed, or there are so many objects that it would take
    most of the time of a run.
    """
    if dataset.count > _POSTGRESQL_MOST:
        raise BenchError(f"it is measured with {_POSTGRESQL_MOST} objects at most")
    try:
        from tests.store import servers as databases
    except ModuleNotFoundError as error:
        raise BenchError(f"the Python package {error.name} is not installed") from error
    if not (databases.program("postgres") and databases.program("initdb")):
        raise BenchError("PostgreSQL is not installed")
    with databases.postgresql() as server:
        cost = _cost_of("load", str(dataset.root / "rwhoisd.conf"), server("bench"))
    beside = _figure(figures, dataset.count, _LOAD_TIME)
    ratio = beside and beside.ratio and beside.ratio * cost.seconds / beside.value
    yield Figure(dataset.count, "load into PostgreSQL: time", cost.seconds, "s", ratio)


def _arin_index(dataset: datasets.Dataset, arin_bin: Path) -> _Cost:
    root = datasets.prepare_for_arin(dataset)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = servers.index_for_arin(root, arin_bin)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return _Cost(seconds, _cpu(after) - _cpu(before), 0)


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _cost_of(*work: str) -> _Cost:
    """What a process of ours needs for a piece of work (see ``main``)."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", __name__, *work])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"{' '.join(work)} ended with {process.returncode}")
    return _Cost(time.perf_counter() - began, _cpu(usage), usage.ru_maxrss / 1024)


def starting(dataset: datasets.Dataset, workers: int) -> Iterator[Figure]:
    """How long a start takes that finds its image, against what nobody can do without."""
    state, out = dataset.copied_state(0), dataset.folder
    start = servers.ours(out, dataset.root, state, workers, _LOAD_SECONDS)
    first, floor = [], []
    with servers.running(start):  # the copy is looked at as a whole before it is served
        pass
    for _ in range(_STARTS):
        with servers.running(start) as server:
            first.append(server.first_answer_seconds)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import asyncio, uvloop"], check=True)
        floor.append(time.perf_counter() - began)
    shutil.rmtree(state)
    what = "from start to first answer ÷ python -c 'import asyncio, uvloop'"
    yield Figure(dataset.count, what, min(first) * 1000, "ms", min(first) / min(floor))


def serving(dataset: datasets.Dataset, server: Server, program: Path) -> Iterator[Figure]:
    """Figures of a server that serves a data set: memory, idle connections, changes.

    ``program`` is the load generator.
    """
    workers = servers.family(server.pid)[1:]
    private = max(map(_private_megabytes, workers))
    yield Figure(dataset.count, "private memory of the largest child", private, "MB")
    yield from _idle(dataset, server, workers)
    for found in changes.measure(dataset, server, program):
        yield Figure(dataset.count, found.what, found.value, found.unit, found.ratio)


def _idle(dataset: datasets.Dataset, server: Server, workers: Sequence[int]) -> Iterator[Figure]:
    """What held connections cost that say nothing."""
    query = generate.queries("name", dataset.count)[0]
    _p50(server.port, query)
    alone = _p50(server.port, query)
    before = sum(map(_private_megabytes, workers))
    held = _most_connections(len(workers))
    with ExitStack() as stack:
        for _ in range(held):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            sock.sendall(b"-holdconnect on\r\n")
            changes.read_answer(sock)
        octets = (sum(map(_private_megabytes, workers)) - before) * (1 << 20) / held
        beside = _p50(server.port, query)
    yield Figure(dataset.count, f"memory of each of {held} idle connections", octets / 1000, "kB")
    what = f"p50 beside {held} idle connections ÷ without"
    yield Figure(dataset.count, what, beside * 1e6, "µs", beside / alone)


def _most_connections(workers: int) -> int:
    """How many connections we can hold at once, at most ``_HELD`` for each worker."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(_HELD * workers, hard - _SPARE, _ENDS)


def _p50(port: int, query: str) -> float:
    def once() -> float:
        began = time.perf_counter()
        servers.ask(port, query)
        return time.perf_counter() - began

    return median(once() for _ in range(_PROBES))


def _private_megabytes(pid: int) -> float:
    """Memory that a process has for itself alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


async def _load(conf: str, store_path: str) -> None:
    from rwhoisd.formats import load
    from rwhoisd.store import Store

    options = load.Options(author="bench", max_removals=1.0)
    async with await Store.open(store_path, create=True) as store:
        result = await load.import_if_changed(store, Path(conf), options)
    if result is None or result.refused:
        raise SystemExit(1)


async def _image(store_path: str, image_path: str) -> None:
    from rwhoisd.image.build import build
    from rwhoisd.store import Store

    async with await Store.open(store_path) as store, store.snapshot() as source:
        await build(source, Path(image_path), b"\n")


def main() -> None:
    """A piece of work in a process of its own: ``load CONF STORE`` or ``image STORE IMAGE``."""
    work, *arguments = sys.argv[1:]
    asyncio.run({"load": _load, "image": _image}[work](*arguments))


if __name__ == "__main__":
    main()
