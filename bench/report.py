"""A run for people: tables on the terminal, and docs/performance.md with ratios only."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from rich.table import Table

from bench import pieces, plots, queries, record
from bench.harness import Startup
from bench.load import PATTERNS
from bench.stats import ARIN, ECHO, ONE_WORKER, OURS, RatioKey, Ratios, Sample, growth
from bench.upkeep import Figure

_NONE = "–"
_TEXT_HEADS = frozenset({"pattern", "query", "server", "what"})


def _figure(value: float | None) -> str:
    """A number with as many digits as it deserves."""
    if value is None:
        return _NONE
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


_Group = tuple[int, str, int, str]


def _groups(values: Ratios) -> list[_Group]:
    order = list(PATTERNS)
    found = {
        (key.objects, key.pattern, key.connections, key.kind)
        for key in values
        if key.against != ONE_WORKER
    }
    return sorted(found, key=lambda group: (group[0], group[2], order.index(group[1]), group[3]))


def _ratio(values: Ratios, group: _Group, against: str, metric: str) -> float | None:
    objects, pattern, connections, kind = group
    return values.get(RatioKey(objects, pattern, connections, kind, against, metric))


_RATIO_COLUMNS = (
    ("CPU/answer ÷ echo", ECHO, "cpu"),
    ("answers/s ÷ echo", ECHO, "rate"),
    ("p50 ÷ echo", ECHO, "p50"),
    ("p99 ÷ echo", ECHO, "p99"),
    ("answers/s ÷ ARIN", ARIN, "rate"),
    ("CPU/answer ÷ ARIN", ARIN, "cpu"),
    ("p50 ÷ ARIN", ARIN, "p50"),
)


def ratio_rows(values: Ratios) -> Iterable[list[str]]:
    """One row for each number of objects, pattern and kind."""
    for group in _groups(values):
        objects, pattern, connections, kind = group
        figures = [_figure(_ratio(values, group, *column[1:])) for column in _RATIO_COLUMNS]
        yield [f"{objects}", pattern, str(connections), kind, *figures]


_RATIO_HEADS = ("objects", "pattern", "clients", "query", *(c[0] for c in _RATIO_COLUMNS))


def ratio_table(values: Ratios) -> Table:
    """The ratios, for a terminal."""
    return _table("rwhoisd beside the same run's peers", _RATIO_HEADS, ratio_rows(values))


def figure_table(samples: Sequence[Sample]) -> Table:
    """The medians themselves, of this machine and this hour."""
    groups: dict[tuple[int, str, int, str, str], list[Sample]] = {}
    for sample in samples:
        kind = "" if sample.server == ECHO else sample.kind
        group = (sample.objects, sample.pattern, sample.connections, kind, sample.server)
        groups.setdefault(group, []).append(sample)
    heads = ("objects", "pattern", "clients", "query", "server", "answers/s", "p50 µs", "p99 µs")
    rows = ([*map(str, group), *_medians(members)] for group, members in groups.items())
    return _table("medians", (*heads, "server µs/answer", "generator CPU", "kB/answer"), rows)


def _medians(samples: Sequence[Sample]) -> list[str]:
    def middle(of: Callable[[Sample], float]) -> float:
        return median(of(sample) for sample in samples)

    return [
        f"{middle(lambda s: s.answers_per_s):.0f}",
        _figure(middle(lambda s: s.p50_us)),
        _figure(middle(lambda s: s.p99_us)),
        _figure(middle(lambda s: s.server_us_per_answer)),
        f"{middle(lambda s: s.client_cpu):.2f}",
        f"{middle(lambda s: s.octets_per_answer) / 1000:.1f}",
    ]


def startup_table(startups: Sequence[Startup]) -> Table:
    """Start and memory, for a terminal."""
    rows = (
        [
            str(s.objects),
            s.server,
            _figure(s.load_seconds),
            _seconds(s.restart_seconds),
            _figure(s.private_megabytes),
            _figure(s.image_octets / s.text_octets),
        ]
        for s in startups
    )
    heads = ("objects", "server", "text to first answer, s", "restart, s", "private memory, MB")
    heads = (*heads, "image ÷ text")
    return _table("start and memory", heads, rows)


def upkeep_table(figures: Sequence[Figure]) -> Table:
    """Loading, changing, memory, idle connections, for a terminal."""
    rows = (
        [str(f.objects), f.what, f"{_figure(f.value)} {f.unit}", _figure(f.ratio)] for f in figures
    )
    return _table("upkeep", ("objects", "what", "figure", "ratio"), rows)


def _upkeep_rows(run: dict[str, Any]) -> Iterable[list[str]]:
    """Ratios only: a figure says little about another machine."""
    for row in run.get("upkeep", ()):
        if row["ratio"] is not None:
            yield [str(row["objects"]), row["what"], _figure(row["ratio"])]


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, justify="left" if head in _TEXT_HEADS else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _load_rows(startups: Sequence[Startup]) -> Iterable[list[str]]:
    by_place = {(s.objects, s.server): s for s in startups}
    for (objects, server), ours in by_place.items():
        if server == OURS and (peer := by_place.get((objects, ARIN))):
            ratio = ours.load_seconds / peer.load_seconds
            yield [str(objects), _figure(ratio)]


def _growth_rows(values: Ratios) -> Iterable[list[str]]:
    return ([key.pattern, key.kind, _figure(value)] for key, value in growth(values).items())


def _scaled_rows(values: Ratios) -> Iterable[list[str]]:
    for key, value in values.items():
        if (key.against, key.metric) == (ONE_WORKER, "rate"):
            yield [str(key.objects), key.pattern, key.kind, _figure(value)]


def _cost_rows(costs: Sequence[queries.Cost]) -> Iterable[list[str]]:
    """µs by kind and number of objects, and how much they grow."""
    by_place = {(c.kind, c.objects): c for c in costs}
    sizes = sorted({c.objects for c in costs})
    for kind in queries.KINDS:
        first, *more = found = [by_place[kind.name, size] for size in sizes]
        figures = [_figure(c.microseconds) for c in found]
        figures += [_figure(c.microseconds / first.microseconds) for c in more]
        # What is no point query has longer answers among more objects: by octet, too.
        last = found[-1]
        octets = max(last.octets / max(first.octets, 1), 1e-9)
        yield [
            *(kind.name, kind.text),
            *figures,
            _figure(last.microseconds / first.microseconds / octets),
        ]


def _cost_heads(costs: Sequence[queries.Cost]) -> list[str]:
    first, *more = sizes = sorted({c.objects for c in costs})
    growth = [f"{size} ÷ {first}" for size in more]
    return ["query", "what", *map(str, sizes), *growth, "the last for each octet"]


def cost_table(costs: Sequence[queries.Cost]) -> Table:
    """What a query costs by its kind, for a terminal."""
    return _table("µs of CPU for a query, no sockets", _cost_heads(costs), _cost_rows(costs))


def _piece_rows(found: Sequence[pieces.Piece]) -> Iterable[list[str]]:
    """µs by query and part, a column for each number of objects."""
    by_place = {(p.query, p.part, p.objects): p.microseconds for p in found}
    sizes = sorted({p.objects for p in found})
    for query in dict.fromkeys(p.query for p in found):
        for part, text in pieces.PARTS.items():
            yield [query, text, *(_figure(by_place[query, part, size]) for size in sizes)]


def _piece_heads(found: Sequence[pieces.Piece]) -> list[str]:
    return ["query", "what", *map(str, sorted({p.objects for p in found}))]


def piece_table(found: Sequence[pieces.Piece]) -> Table:
    """Where the time of an answer goes, for a terminal."""
    return _table("µs of CPU by part, no sockets", _piece_heads(found), _piece_rows(found))


def performance_page(run: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """docs/performance.md for one run; ``pictures`` are the files of bench.plots beside it."""
    values, startups = record.ratios_of(run), record.startups_of(run)
    machine, versions, settings = run["machine"], run["versions"], run["settings"]
    sizes = settings["objects"]
    parts = [
        _HEAD.format(
            when=run["when"],
            commit=run["commit"],
            machine=f"{machine['cores']} cores ({machine['processor']}), "
            f"{machine['memory_gb']} GB, {machine['kernel']}",
            versions=", ".join(f"{name} {text}" for name, text in versions.items()),
            rounds=settings["rounds"],
            seconds=settings["seconds"],
            workers=settings["workers"],
            patterns="\n".join(f"- **{p.name}**: {p.text}." for p in PATTERNS.values()),
            notes="".join(f"- In this run {note}.\n" for note in run["notes"]),
        ),
        _markdown(_RATIO_HEADS, ratio_rows(values)),
    ]
    parts += [f"\n![{_PICTURES[name]}]({name})\n" for name in pictures]
    if rows := list(_scaled_rows(values)):
        parts += [_SCALED, _markdown(("objects", "pattern", "query", "two ÷ one"), rows)]
    if rows := list(_growth_rows(values)):
        parts.append(_GROWTH.format(least=min(sizes), most=max(sizes)))
        parts.append(_markdown(("pattern", "query", "CPU/answer, most ÷ fewest"), rows))
    if costs := record.costs_of(run):
        parts += [_COSTS, _markdown(_cost_heads(costs), _cost_rows(costs))]
    if found := record.pieces_of(run):
        parts += [_PIECES, _markdown(_piece_heads(found), _piece_rows(found)), _FINDINGS]
    if rows := list(_load_rows(startups)):
        parts += [_LOAD, _markdown(("objects", "seconds ÷ ARIN's"), rows)]
    if rows := list(_upkeep_rows(run)):
        parts += [_UPKEEP, _markdown(("objects", "what", "ratio"), rows)]
    parts.append(_REPEAT)
    return "\n".join(parts)


_HEAD = """\
# Performance

Written by `make bench`, with everything that was measured in `performance.json`; edit
`bench/report.py`, not this page.

**Only ratios are claimed.** Each figure below is ours divided by that of another server in
the same round on the same machine. Answers per second and microseconds of one run on one
machine say little about another, and on a shared machine they move by a fifth within the hour.
Of the ratios, that of the CPU time of an answer is the steadiest.

## Method

- Peers: **echo**, a bare uvloop protocol that gives each query the same 500 octets
  (`bench/echo.py`), is what the event loop and the kernel cost alone. **ARIN** is ARIN's
  `rwhoisd` 1.5.9.6 built by an operator (`--arin-bin`), on the same data, with its own index
  and without DNS look-ups, which flatters it.
- Data: networks nested as 10.0.0.0/8, /16, /24, /29 with 14 attributes each and a contact to
  every twenty (`bench/generate.py`). Queries are all different, in shuffled order, and both
  servers' answers are counted before anything is measured. **name**: one network by its
  name, 0.5 kB. **addr**: one address, the chain of four networks, 2 kB. **wild**: a name
  prefix, twenty networks, 10 kB. **hot**: the same name again and again.
- Load: `bench/rwload.c` (C, epoll, one thread) on loopback.
{patterns}
- All servers stay up; each round runs every server, pattern and query once in turn. A ratio
  is the median over {rounds} rounds of {seconds} s each (after 0.3 s of warm-up) of the ratio
  within the round. Number of worker processes of rwhoisd, and of echo: {workers}.
- `CPU/answer` is user and system time of all processes of a server, divided by the answers.
- In **conn** the kernel and the generator are the limit for every fast server, so answers per
  second say little there; CPU per answer does.
{notes}
Run of {when}, commit `{commit}`, on {machine}; {versions}.

## Ratios

Below 1 is better for CPU, p50 and p99; above 1 is better for answers per second.
"""

_PICTURES = {
    plots.CLIENTS: "Answers per second and latency against clients, in this run",
    plots.OBJECTS: "CPU of an answer against objects, in this run",
}

_SCALED = """
## Two workers

Answers per second of two worker processes, divided by those of one. The load generator takes
its share of the same cores. The two are measured one after the other: more than 2 says that the
machine had become faster meanwhile, and nothing of ours.
"""

_GROWTH = """
## Growth

The price of an answer among {most} networks, divided by that among {least}. Where there are
fewer different queries than answers fit into rwhoisd's cache they repeat within a run, so a
large figure here is the price of an answer that is not in the cache.
"""

_COSTS = """
## Kinds of queries

Microseconds of CPU for a query among so many networks (`bench/queries.py`): connection, session,
service, image and query log of a worker, without sockets and without the answer cache. They are
of this machine; what counts is how they grow.

Ten million networks were measured in the run of commit 4230c82. Their prices divided by those
among a thousand, in that run: name 1.20, address 1.32, prefix 1.18, miss 0.95, attribute 1.60, and
1.03, both 0.80, rarest 1.10, or 1.08, common 0.84, phonetic 1.00, below 1.19, referral 1.02,
guardian 1.21.
"""

_PIECES = """
## Where the time goes

Microseconds of CPU of each part of the way of a query (`bench/pieces.py`), again without sockets,
the best of several runs, by the number of networks. What an answer costs over a socket beyond its
packet or connection here is the kernel's and the event loop's.
"""

_FINDINGS = """
What the profiles found (cProfile and the table above for what is ours, `strace -c` for the system
calls), where more is paid than echo pays:

- **A connection for each query.** Beside what echo does there are two system calls: `shutdown`,
  and the `recv` that sees the client's end. An answer in flight must not be destroyed by a reset
  when its client still sends something, so our side is ended first and the socket is closed
  behind the client's. Closing at once would save both, and lose answers. To make up for it the
  banner waits for the rest of the turn, so that it goes out with the answer to a query that came
  with the connection, and the last answer with the end of our side, in one segment: two packets
  and two wakings of the client less. Side by side in nine rounds at a million networks (before →
  after), CPU ÷ echo: name 2.19 → 1.54, twenty records 2.45 → 2.12.
- **The loop's transports.** Then `perf` with call graphs had more in what a connection costs uvloop
  (its transport, handle and queue, and a second object around its socket for that last answer) than
  in everything of ours: of 128 µs for a name 57 were the kernel's (64 of echo's 89), 39 the
  interpreter's library (14), 12 uvloop (8), 9 our compiled modules. Clear connections have sockets
  of ours now, in one set that uvloop watches (ADR 0014). Nine rounds: CPU ÷ echo 1.79 → 1.11,
  2.29 → 1.38, 2.25 → 1.45; p50 ÷ echo 1.62 → 0.96, 2.02 → 1.26, 1.98 → 1.28. `strace -c` for a
  connection: `accept4`, `getsockname` (Python asks whose descriptor it wraps), `epoll_ctl`,
  `recvfrom` twice, `sendto`, `shutdown`, `close`, and a share of the looks for events.
- **Held, one query at a time.** A packet costs the same whether it has one line or sixteen: line
  ends, limits, the clock for the log, the next idle limit. It is the difference between "packet"
  and "line of 16".
- **Pipelined.** Echo multiplies a constant, which costs it next to nothing for a line, so this
  ratio is all Python of ours: one expression, one look, one entry for the log.
- **Addresses.** One look for each prefix length in use below /16, then the records found are
  copied together with those of the large networks, which are remembered as they are sent. That
  made 3.83 of 4.37 for a held one, 18.3 of 20.1 with sixteen in flight (CPU ÷ echo, 21 rounds). The
  chain of enclosing networks is not stored with each network, as a changed /8 would then rewrite
  everything below it (ADR 0003).
- **Prefixes.** Twenty keys are read one after the other, which is most of their price. They are
  one slice of the records only where records lie in the order of their names.

- **An interpreter that is not warm.** `perf` of a worker with a million networks, held
  connections, names that are all different, before the modules on the way of a query were
  compiled; µs of CPU for an answer in that run, which was slower than those of the tables:

  | where | echo | rwhoisd |
  | --- | --- | --- |
  | the kernel: sockets | 7.9 | 9.8 |
  | Python's interpreter | 1.3 | 13.5 |
  | the C library: copies, memory | 0.4 | 2.5 |
  | LMDB: the look into the index | | 1.8 |
  | uvloop | 0.4 | 0.7 |

  So neither the index nor the disk's pages are what an answer costs, but the interpreter: the same
  lines of Python take 4 to 5 in a loop without sockets (the table above), where nothing drives
  them and their objects out of the processor's caches between two queries.
- **Compiled.** So those modules are compiled from their own sources (ADR 0013), which took a
  quarter to a third of the CPU of an answer. What is left, of a connection for a name among a
  million (`perf` with call graphs; shares of all that the worker does): 32 % writing to sockets, a
  half of that waking the client; 10 accepting; 6.5 `shutdown`, 6.5 closing; 11 from the line to the
  answer; 7 the beginning of a connection without its banner. Of a held one asked for addresses: 36
  writing, 41 from the line to the answer, of which 9 are LMDB and 9 the four records, out of memory
  that no cache has.
- **Waking clients.** Of a held answer for an address 40 % was `write`, a half of that waking a
  client that sleeps; echo's clients do not sleep, as echo waits for them. In `perf` of a held name
  the kernel takes 19 µs of ours and 14 of echo's for the same calls. Answers of one turn are sent
  together at its end (sixteen at most), and what came is taken as a whole before anything is
  answered, which keeps the code that answers warm (31 rounds: rate ÷ echo 0.35 → 0.38 and
  0.28 → 0.30). Sent together, at 64 clients, nine rounds: CPU ÷ echo 2.84 → 2.07, rate ÷ echo
  0.36 → 0.49, p99 ÷ echo 4.14 → 2.66. With 8 clients it changes p99 (2.77 → 2.73
  and 4.75 → 3.15) and hardly the rest. Last answers of a connection are sent at once: to let
  them wait, too, made connections dearer (1.67 → 1.83).
- **p99 ÷ p50.** The echo server itself has 1.6 to 7.7 by round with 64 held clients on this
  machine.
  Making the lines of the query log takes a worker 1 to 3 ms, a few times a second. In smaller
  batches, tried, every hundredth answer meets one: p99 ÷ p50 with 8 clients went from 3.3 to 4.5.
- **What varies.** On this shared machine echo itself took from 7.6 to 17 for an answer within
  three rounds of one minute; that is why only ratios of one round are used, and why those of
  latencies move even so. In the run above a held name among a million took 96, 38 and 154 in its
  three rounds, echo 14, 13 and 22: rates and CPU of held connections there are the neighbours' as
  much as ours. Nine short rounds in turn right behind it had CPU ÷ echo 2.99 and rate ÷ echo 0.34
  for it, others in the hours before 2.2 to 2.9 and 0.33 to 0.46. And one day differs from another:
  what was measured as 1.96 (a held name) and 3.43 (an address) times echo's CPU was 2.78 and 5.46
  on another day. Loading and the image, in which nothing changed between two runs, went from 4.47
  to 5.54 times ARIN's indexer.
- **The query log** took 4 to 5, most of it for the expression that looks for secrets in each
  batch. A quick look for its beginnings now comes first: 1.5 µs a line became 0.2.

What was done about it, with what it bought by the least of many runs in one hour: the row of
limits of a client is remembered (coming and going from 4.1 to 2.2 µs), a session makes less
(1.8 to 1.0), values of a range are read without their keys and neighbours are seen before
doubles (the look for a prefix from 9.8 to 7.5), link referrals are looked for by number (an
address from 12.2 to 9.3). A connection as a whole went from 16.0 to 9.6 µs of ours.

Tried and left: splitting a line and looking at its octets by `bytes.translate` in place of one
regular expression: 1.0 µs where the expression takes 0.6.

Tried and left: the image in pages of 2 MiB. The kernel maps large files of ext4 so by itself where
they were read at once, and beside a copy that was asked for them (`MADV_HUGEPAGE`) there was no
difference that three rounds show. A table of hashes for whole words would save a part of LMDB's
1.8 µs and cost 16 octets for each key, where the image is as large as it may be.

Tried and left as well: more modules compiled. Those that build an image gain a twentieth, for a
minute of compiling; those that read and check what is loaded gain nothing that two runs show; of
names and addresses (`directory/names.py`) the compiled tuples are slower. And the interpreter's
heap in pages of 2 MiB, which only the C library's allocator can have, and that costs more than they
save.

Not tried: records in the order of names, an index of address ranges.
"""

_LOAD = """
## From text to the first answer

Seconds from data files nobody has read yet to the first whole answer: for rwhoisd loading and image
as in the next table, and a start on them that looks at every record; for ARIN's server indexing and
start.
"""

_UPKEEP = """
## Loading, building, changing

Loading text into the store (SQLite, everything checked and journalled) and building the image,
divided by ARIN's indexer on the same data in the same run, where it takes part; the other rows
say what they compare. PostgreSQL took 14 times the indexer's time for a million, measured once and
apart from this run: each batch goes to another process and back.
"""

_REPEAT = """
## To repeat it

```
make bench BENCH=--quick             # two minutes, beside echo
make bench ARIN=DIR                  # writes this page, its pictures and performance.json
make bench ARIN=DIR BENCH="--json new.json"
make bench ARIN=DIR BENCH="--kinds-objects 1000,100000,1000000,10000000"   # 12 GB, half an hour
.venv/bin/python -m bench.compare docs/performance.json new.json   # what got worse by over 10 %
```

On a machine that does other work as well, latencies and rates of two runs differ by more than
that: `bench.compare --metric cpu` looks at the CPU of an answer only, the steadiest of them.

`DIR` holds an operator's own built `rwhoisd` and `rwhois_indexer`. A million networks need
about 4 GB of disk below `bench/out`. A C compiler is needed for the load generator.
"""
