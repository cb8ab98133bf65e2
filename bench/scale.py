"""docs/operators/scale.md from a run: every figure there is one that was measured, or its product.

``python -m bench.scale docs/performance.json docs/operators/scale.md``
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer

from bench import record
from bench.errors import BenchError
from bench.stats import ECHO, ONE_WORKER, OURS, Sample

GOAL_OBJECTS: Final = 100_000_000
GOAL_RATE: Final = 1_000_000  # answers a second
SHARE: Final = 0.5  # of a core that is planned with: the rest is for peaks and for a lost node
CORES: Final = 32  # of a node on paper
# What there is, one for each what, shared with whom, at what cost.
_PARTS: Final = (
    ("worker", "core", "nobody: no locks, no messages", "a core; a share of the private memory"),
    ("image", "node", "all workers of the node, by the page cache", "{image}"),
    ("table of limits", "node", "all workers", "some MB, whatever clients do"),
    ("follower", "node", "", "a process, nearly always asleep"),
    ("database", "directory", "all nodes; no answer waits for it", "two rows a change"),
)
_KINDS: Final = {"name": "a name", "addr": "an address", "wild": "a prefix, 20 records"}
_PATTERNS: Final = {
    "conn": "a connection for each query",
    "held": "held connections",
    "pipe": "held, 16 queries in flight",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run says of its largest number of objects."""

    objects: int
    clients: int
    microseconds: Mapping[tuple[str, str], float]  # CPU of an answer, by pattern and kind
    echo: Mapping[str, float]  # the same of the echo server, by pattern
    two_workers: Mapping[str, float]  # rate of two workers ÷ one, pipelined, by kind
    private_megabytes: float  # all processes of the server with its workers
    restart_seconds: float
    load_seconds: float
    image_octets: int
    text_octets: int

    @property
    def image_per_object(self) -> float:
        """Octets of the image for each network."""
        return self.image_octets / self.objects

    def rate(self, pattern: str, kind: str) -> float:
        """Answers a second of one core that does nothing else."""
        return 1e6 / self.microseconds[pattern, kind]


def measured(run: Mapping[str, Any]) -> Measured:
    """The figures of a run. Raises: BenchError, when it lacks some."""
    samples = record.samples_of(dict(run))
    most = max((s.objects for s in samples), default=0)
    clients = int(run["settings"]["connections"][0])
    mine = [s for s in samples if (s.objects, s.connections) == (most, clients)]
    start = next(
        (s for s in record.startups_of(dict(run)) if (s.objects, s.server) == (most, OURS)), None
    )
    if start is None or start.restart_seconds is None:
        raise BenchError("the run has no start of our server: make one without --without-ours")
    cpu = {
        (pattern, kind): _cpu(
            s for s in mine if (s.server, s.pattern, s.kind) == (OURS, pattern, kind)
        )
        for pattern in _PATTERNS
        for kind in _KINDS
    }
    echo = {p: _cpu(s for s in mine if (s.server, s.pattern) == (ECHO, p)) for p in _PATTERNS}
    two = {
        key.kind: value
        for key, value in record.ratios_of(dict(run)).items()
        if (key.objects, key.against, key.metric) == (most, ONE_WORKER, "rate")
    }
    return Measured(
        most,
        clients,
        cpu,
        echo,
        two,
        start.private_megabytes,
        start.restart_seconds,
        start.load_seconds,
        start.image_octets,
        start.text_octets,
    )


def _cpu(samples: Iterable[Sample]) -> float:
    values = [s.server_us_per_answer for s in samples]
    if not values:
        raise BenchError("the run lacks a pattern or a kind of query: make a full one")
    return median(values)


def page(run: Mapping[str, Any]) -> str:
    """The page."""
    found = measured(run)
    machine = run["machine"]
    return _PAGE.format(
        when=run["when"],
        commit=run["commit"],
        machine=f"{machine['cores']} cores ({machine['processor']})",
        objects=_count(found.objects),
        clients=found.clients,
        parts=_table(("part", "one for each", "shared with", "costs"), _part_rows(found)),
        core=_table(("clients", *_KINDS.values(), "echo"), _core_rows(found)),
        two=", ".join(f"{value:.2f} ({_KINDS[kind]})" for kind, value in found.two_workers.items())
        or "not measured in this run",
        private=f"{found.private_megabytes:.0f}",
        restart=f"{found.restart_seconds * 1000:.0f}",
        load=f"{found.load_seconds:.0f}",
        per_object=f"{found.image_per_object:.0f}",
        objects_table=_table(
            ("objects", "image", "time to build it with one node's cores"), _object_rows(found)
        ),
        goal_objects=_count(GOAL_OBJECTS),
        goal_rate=_count(GOAL_RATE),
        goal_image=_size(GOAL_OBJECTS * found.image_per_object),
        share=f"{SHARE:.0%}",
        cores=CORES,
        goal=_table(("clients", "query", "cores", f"nodes of {CORES}"), _goal_rows(found)),
    )


def _part_rows(found: Measured) -> Iterable[Sequence[str]]:
    ratio = found.image_octets / found.text_octets
    image = f"{found.image_per_object:.0f} octets an object on disk, {ratio:.2f} × the text"
    for *place, costs in _PARTS:
        yield *place, costs.format(image=image)


def _core_rows(found: Measured) -> Iterable[Sequence[str]]:
    for pattern, text in _PATTERNS.items():
        rates = (f"{found.rate(pattern, kind):,.0f}" for kind in _KINDS)
        yield text, *rates, f"{1e6 / found.echo[pattern]:,.0f}"


def _object_rows(found: Measured) -> Iterable[Sequence[str]]:
    for objects in (1_000_000, 10_000_000, GOAL_OBJECTS):
        seconds = found.load_seconds / found.objects * objects
        how = "measured" if objects == found.objects else "in proportion"
        size = _size(objects * found.image_per_object)
        yield _count(objects), size, f"{_time(seconds)} ({how})"


def _goal_rows(found: Measured) -> Iterable[Sequence[str]]:
    for pattern, text in _PATTERNS.items():
        for kind, query in _KINDS.items():
            cores = GOAL_RATE / found.rate(pattern, kind) / SHARE
            yield text, query, f"{cores:.0f}", f"{-(-cores // CORES):.0f}"


def _count(number: int) -> str:
    return f"{number // 1_000_000} million" if number >= 1_000_000 else f"{number:,}"


def _size(octets: float) -> str:
    return f"{octets / 1e9:.1f} GB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} min"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_PAGE: Final = """\
# Scale: from one core to many nodes

Written by `python -m bench.scale` from `docs/performance.json`; edit `bench/scale.py`, not this
page. **Every number below is one of that run, or a product of such numbers that is shown.** The
run: {when}, commit `{commit}`, {machine}, {objects} networks, {clients} clients. Another machine
gives other numbers in much the same proportions: make your own with `make bench`, then
`.venv/bin/python -m bench.scale docs/performance.json docs/operators/scale.md`.

## What there is, and what is shared

{parts}

## One core

Answers a second of one core that does nothing else: 1 000 000 ÷ the CPU time of an answer in µs,
as measured. **echo** is what the kernel and the event loop take alone.

{core}

## More cores

`workers = 0` takes one worker for each core; the kernel deals connections out between them. Two
workers gave {two} times the answers of one here (more than 2 is
the machine's own change between the two), while the load generator took its share of the
same cores. All processes of the server together held {private} MB for themselves, whatever the
number of objects: what grows with objects is the image, and that is page cache.

## More objects

A point query reads a few pages of the index and one slice of the records, so its price hardly
grows: see *Growth* in [performance.md](../performance.md). What grows is the image.

{objects_table}

Keep the index and the records that are asked for in memory; the rest may stay on an SSD. A node
that has its image answers {restart} ms after it was started. It never builds anew what it has: it
reads the journal from where it stopped.

## More nodes

A node is a machine with `[store] url` of the common database and a state folder of its own
([databases.md](databases.md)). It answers from its own image: it needs the database only to learn
of changes, and goes on without.

- **Anycast.** All nodes announce the same address; routing brings a client to the nearest. A
  query is one short connection, so what moves a client to another node in the middle of one costs
  it that one connection. Announce the address while the node answers a query of your own, and
  withdraw it when it does not: `rwhois -h 127.0.0.1 YOUR-NETWORK` in the check of your routing
  daemon.
- **Changes.** A change goes to the database from any node and is in the images of all others
  within a second, in the order of the journal. The database sees changes and one look a second
  for each node, never a query.
- **A new node** builds its image from the database: the time is in the table above. To save that,
  copy the state folder of a node that is stopped.
- **Limits** are counted by node: a client that reaches several has the limit of each.

## On paper: {goal_objects} objects, {goal_rate} answers a second

Planned with {share} of each core, so that peaks and a lost node have room. Cores: {goal_rate}
÷ answers a second of one core ÷ {share}.

{goal}

- **Memory and disk of each node:** {goal_objects} × {per_object} octets = {goal_image} of image,
  twice that on disk while an image is built beside the old one. The part that is asked for wants
  to be in memory.
- **Database:** the objects and their journal once, however many nodes. It is not on the path of a
  query.
- **What we have not tried:** {goal_objects} objects on one machine, and more than two nodes. The
  image is one file of records and one LMDB environment, whose limits (octets in 64 bits) are far.
"""


def main(
    run: Annotated[Path, typer.Argument(help="A run, written by python -m bench --json.")],
    target: Annotated[Path, typer.Argument(help="The page to write.")],
) -> None:
    """Write the page on scale from a run.

    Example: python -m bench.scale docs/performance.json docs/operators/scale.md
    """
    try:
        text = page(record.read(run))
    except BenchError as error:
        typer.echo(f"bench.scale: {error}", err=True)
        raise typer.Exit(2) from None
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
