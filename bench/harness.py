"""The run: for each number of objects all servers up, and rounds that go through them in turn."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import datasets, load, pieces, queries, servers, upkeep
from bench.errors import BenchError
from bench.load import PATTERNS, Job
from bench.servers import Server
from bench.stats import ARIN, ECHO, ONE_WORKER, OURS, TWO_WORKERS, Sample

KINDS: Final = ("name", "addr", "wild")
BUSY_SHARE: Final = 0.25  # load average per core above which a run is called disturbed
HOT_PATTERN: Final = "held"  # where an answer cache shows: no connection is made
SCALED_PATTERN: Final = "pipe"  # where a second process shows: the generator is not the limit
# What is measured with the further numbers of clients: enough to draw a line by.
LINE_PATTERNS: Final = ("conn", "held")
LINE_KIND: Final = "name"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured.

    ``connections`` are numbers of clients: everything is measured with the first, and lines are
    drawn through the others, at the largest of ``objects``.
    """

    out: Path
    objects: Sequence[int]
    rounds: int
    seconds: float
    connections: Sequence[int]
    workers: int
    arin_bin: Path | None
    with_ours: bool = True
    kinds_objects: Sequence[int] = ()  # for the table of kinds of queries; none: ``objects``

    @property
    def measured_servers(self) -> list[str]:
        """Names of the servers that take part."""
        peers = [ECHO, OURS] if self.with_ours else [ECHO]
        return [*peers, ARIN] if self.arin_bin else peers


@dataclass(frozen=True, slots=True)
class Startup:
    """What it took a server to give its first answer, and what it holds afterwards."""

    objects: int
    server: str
    load_seconds: float  # text to first answer: import and build, or ARIN's indexing and start
    restart_seconds: float | None  # the same with everything built already
    private_megabytes: float  # after the rounds, over all processes
    text_octets: int  # of the data files
    image_octets: int  # of what answers are read from: our image, or ARIN's text and index


@dataclass(slots=True)
class Results:
    """All that a run found."""

    samples: list[Sample] = field(default_factory=list)
    startups: list[Startup] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    costs: list[queries.Cost] = field(default_factory=list)
    parts: list[pieces.Piece] = field(default_factory=list)
    figures: list[upkeep.Figure] = field(default_factory=list)


_Place = tuple[str, str, str, int]  # server, pattern, kind, connections


def jobs_of_round(settings: Settings, *, largest: bool) -> Iterator[_Place]:
    """Server, pattern, kind and connections of each run of one round, in order.

    The servers take turns within a pattern, so that what else the machine does at that moment
    meets all of them. ``largest``: this is the largest number of objects.
    """
    first, *further = settings.connections
    others = [name for name in settings.measured_servers if name != ECHO]
    for pattern in PATTERNS:
        yield ECHO, pattern, "name", first
        for kind in (*KINDS, "hot") if pattern == HOT_PATTERN else KINDS:
            for server in others:
                yield server, pattern, kind, first
            if largest and pattern == SCALED_PATTERN and OURS in others:
                for server in (ONE_WORKER, TWO_WORKERS):
                    yield server, pattern, kind, first
    for connections in further if largest else ():
        for pattern in LINE_PATTERNS:
            for server in (ECHO, *others):
                yield server, pattern, LINE_KIND, connections


def job_count(settings: Settings) -> int:
    """Runs of the load generator in all."""
    return settings.rounds * sum(
        len(list(jobs_of_round(settings, largest=objects == max(settings.objects))))
        for objects in settings.objects
    )


def setup_steps(settings: Settings) -> int:
    """Steps besides the runs: data for each number of objects, and loading it."""
    servers_up = len(settings.objects) * len(settings.measured_servers)
    kinds = len(queries.KINDS)
    parts = len({min(settings.objects), max(settings.objects)})
    return servers_up + (1 + kinds + parts + 2 * len(settings.objects) if settings.with_ours else 0)


def measure(settings: Settings, advance: Callable[[str], None]) -> Results:
    """Run everything. ``advance`` is called with a short text before each step.

    Raises: BenchError, when a server or the load generator does not work.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    results = Results(notes=notes_of(settings, os.getloadavg()[0], os.cpu_count() or 1))
    program = load.compile_generator(settings.out)
    for objects in settings.objects:
        advance(f"{objects} objects: data")
        dataset = datasets.prepare(settings.out, objects)
        if settings.with_ours:
            advance(f"{objects} objects: load and image")
            with _told_only(results, f"loading {objects} objects"):
                results.figures += upkeep.building(dataset, settings.arin_bin)
            with _told_only(results, f"loading {objects} objects into PostgreSQL"):
                results.figures += upkeep.loading_postgresql(dataset, results.figures)
        _measure_size(settings, dataset, program, results, advance)
    if settings.with_ours:
        with _told_only(results, "kinds of queries"):
            results.costs += queries.measure(
                settings.out, settings.kinds_objects or settings.objects, advance
            )
        for objects in sorted({min(settings.objects), max(settings.objects)}):
            advance(f"{objects} objects: parts of a query")
            with _told_only(results, f"parts of a query among {objects} objects"):
                results.parts += pieces.measure(settings.out, objects)
    return results


@contextmanager
def _told_only(results: Results, what: str) -> Iterator[None]:
    """What cannot be measured is told; it does not cost a run what else it found."""
    try:
        yield
    except (BenchError, OSError) as error:
        results.notes.append(f"{what}: not measured, as {error}")


def _measure_size(
    settings: Settings,
    dataset: datasets.Dataset,
    program: Path,
    results: Results,
    advance: Callable[[str], None],
) -> None:
    with ExitStack() as stack:
        started = {ECHO: stack.enter_context(servers.running(_echo(settings)))}
        load_seconds: dict[str, tuple[float, float | None]] = {}
        if settings.with_ours:
            advance(f"{dataset.count} objects: {OURS} loads")
            ready = upkeep.seconds_to_ready(results.figures, dataset.count)
            load_seconds[OURS] = _start_ours(settings, dataset, ready, stack, started)
            if dataset.count == max(settings.objects):
                advance(f"{dataset.count} objects: {TWO_WORKERS} starts")
                _start_scaled(settings, dataset, stack, started)
        if settings.arin_bin:
            advance(f"{dataset.count} objects: {ARIN} indexes")
            load_seconds[ARIN] = _start_arin(settings.arin_bin, settings, dataset, stack, started)
        for name, server in started.items():
            if name not in (ECHO, ONE_WORKER):  # one worker may be the server above, again
                datasets.check_answers(dataset, name, server.port, [*KINDS, "hot"])
        datasets.warm(dataset.folder)
        _run_rounds(settings, dataset, started, program, results, advance)
        for name, (first, restart) in load_seconds.items():
            private = servers.private_megabytes(started[name].pid)
            sizes = dataset.text_octets(), dataset.image_octets(ours=name == OURS)
            results.startups.append(Startup(dataset.count, name, first, restart, private, *sizes))
        if settings.with_ours:
            advance(f"{dataset.count} objects: changes and idle connections")
            with _told_only(results, f"changes among {dataset.count} objects"):
                results.figures += upkeep.serving(dataset, started[OURS], program)
            advance(f"{dataset.count} objects: starts")
            with _told_only(results, f"starts with {dataset.count} objects"):
                results.figures += upkeep.starting(dataset, settings.workers)


def _echo(settings: Settings) -> servers.Start:
    return servers.echo(settings.out, settings.workers)


def _start_ours(
    settings: Settings,
    dataset: datasets.Dataset,
    ready_seconds: float | None,
    stack: ExitStack,
    started: dict[str, Server],
) -> tuple[float, float | None]:
    """Start our server on what was loaded and built, stop it, start it again: that is measured.

    ``ready_seconds``: what loading and building took. If they failed it starts on nothing.
    """
    patience = 60 + dataset.count / 2000
    state = dataset.fresh_state() if ready_seconds is None else dataset.folder / "state"
    first = servers.ours(settings.out, dataset.root, state, settings.workers, patience)
    with servers.running(first) as server:
        load_seconds = (ready_seconds or 0.0) + server.first_answer_seconds
    again = servers.ours(settings.out, dataset.root, state, settings.workers, patience)
    started[OURS] = stack.enter_context(servers.running(again))
    return load_seconds, started[OURS].first_answer_seconds


def _start_scaled(
    settings: Settings, dataset: datasets.Dataset, stack: ExitStack, started: dict[str, Server]
) -> None:
    """One worker and two, each on its own copy of what the first server built."""
    for name, workers in ((ONE_WORKER, 1), (TWO_WORKERS, 2)):
        if workers == settings.workers:
            started[name] = started[OURS]
            continue
        state = dataset.copied_state(workers)
        start = servers.ours(settings.out, dataset.root, state, workers, 60)
        started[name] = stack.enter_context(servers.running(start))


def _start_arin(
    binaries: Path,
    settings: Settings,
    dataset: datasets.Dataset,
    stack: ExitStack,
    started: dict[str, Server],
) -> tuple[float, float | None]:
    root = datasets.prepare_for_arin(dataset)
    indexing = servers.index_for_arin(root, binaries)
    started[ARIN] = stack.enter_context(servers.running(servers.arin(settings.out, root, binaries)))
    start = started[ARIN].first_answer_seconds
    return indexing + start, start


def _run_rounds(
    settings: Settings,
    dataset: datasets.Dataset,
    started: dict[str, Server],
    program: Path,
    results: Results,
    advance: Callable[[str], None],
) -> None:
    for number in range(settings.rounds):
        largest = dataset.count == max(settings.objects)
        for name, pattern, kind, connections in jobs_of_round(settings, largest=largest):
            advance(f"{dataset.count} objects, round {number + 1}: {name} {pattern} {kind}")
            job = Job(
                objects=dataset.count,
                server=name,
                port=started[name].port,
                pid=started[name].pid,
                pattern=PATTERNS[pattern],
                kind=kind,
                query_file=dataset.query_file(kind),
                connections=connections,
                round=number,
                seconds=settings.seconds,
            )
            results.samples.append(load.run(program, job))


def notes_of(settings: Settings, load_average: float, cores: int) -> list[str]:
    """What a reader of the figures has to know about this run, ``load_average`` before it."""
    notes = [] if settings.with_ours else ["our server was left out (--without-ours)"]
    if load_average > cores * BUSY_SHARE:
        notes.append(
            f"other work kept the machine busy (load average {load_average:.1f} on {cores} cores "
            "before it began), so latencies and rates are worth little"
        )
    if not settings.arin_bin:
        notes.append("ARIN's server did not take part (no --arin-bin)")
    elif not servers.without_dns(settings.out):
        notes.append(
            "ARIN's server looked clients up in this machine's DNS: no private mount "
            "namespace could be made (run as root, or allow user namespaces)"
        )
    return notes


def stamp() -> str:
    """Now, in UTC, for the report."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
