"""Samples, and the ratios that are claimed from them. Pure: no files, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Literal

OURS: Final = "rwhoisd"
ECHO: Final = "echo"
ARIN: Final = "ARIN"
ONE_WORKER: Final = "one worker"  # ours again, with that many processes
TWO_WORKERS: Final = "two workers"
# Whose figures are divided by whose; echo answers every kind alike.
_PAIRS: Final = ((OURS, ECHO), (OURS, ARIN), (TWO_WORKERS, ONE_WORKER))


@dataclass(frozen=True, slots=True)
class Sample:
    """What the load generator saw in one run of one server."""

    objects: int
    server: str
    pattern: str
    kind: str
    connections: int
    round: int
    answers_per_s: float
    p50_us: float
    p99_us: float
    server_us_per_answer: float  # CPU time, over all processes of the server
    client_cpu: float  # share of one core that the generator used; near 1 it is the limit
    octets_per_answer: float
    ok: int
    error: int  # answers that were %error
    failed: int  # connections that broke or ended without an answer


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a sample that servers are compared by."""

    field: Literal["server_us_per_answer", "answers_per_s", "p50_us", "p99_us"]
    better: Literal["lower", "higher"]
    text: str


METRICS: Final[Mapping[str, Metric]] = {
    "cpu": Metric("server_us_per_answer", "lower", "server CPU per answer"),
    "rate": Metric("answers_per_s", "higher", "answers per second"),
    "p50": Metric("p50_us", "lower", "median latency"),
    "p99": Metric("p99_us", "lower", "99th percentile of latency"),
}


@dataclass(frozen=True, slots=True, order=True)
class RatioKey:
    """What a ratio is a ratio of: our figure divided by that of ``against``."""

    objects: int
    pattern: str
    connections: int
    kind: str
    against: str
    metric: str

    def __str__(self) -> str:
        what = f"{self.pattern} {self.kind}, {self.connections} clients, {self.objects} objects"
        return f"{what}: {METRICS[self.metric].text} against {self.against}"


Ratios = dict[RatioKey, float]


def ratios(samples: Iterable[Sample]) -> Ratios:
    """Median over the rounds of our figure divided by the peer's in the same round.

    The division is made within a round because the machine changes between rounds more than
    within one. The echo server answers every kind alike, so one run of it a round serves all.
    A round in which the peer's figure is 0 (too short to measure) gives no ratio.
    """
    table = {_place(sample): sample for sample in samples}
    found: dict[RatioKey, list[float]] = {}
    for sample in table.values():
        for key, value in _round_ratios(sample, table):
            found.setdefault(key, []).append(value)
    return {key: median(values) for key, values in sorted(found.items())}


_Place = tuple[int, str, str, int, int, str]


def _place(sample: Sample) -> _Place:
    kind = "" if sample.server == ECHO else sample.kind
    where = (sample.objects, sample.server, sample.pattern)
    return (*where, sample.connections, sample.round, kind)


def _round_ratios(ours: Sample, table: Mapping[_Place, Sample]) -> Iterator[tuple[RatioKey, float]]:
    for against in [peer for server, peer in _PAIRS if server == ours.server]:
        kind = "" if against == ECHO else ours.kind
        place = (ours.objects, against, ours.pattern, ours.connections, ours.round, kind)
        if not (peer := table.get(place)):
            continue
        for name, metric in METRICS.items():
            if divisor := getattr(peer, metric.field):
                key = RatioKey(
                    ours.objects, ours.pattern, ours.connections, ours.kind, against, name
                )
                yield key, getattr(ours, metric.field) / divisor


def growth(values: Ratios) -> Ratios:
    """How much dearer an answer is among the most objects than among the fewest.

    Server CPU per answer, each divided by the echo server's of its own run; ``objects`` of a
    key is the larger number. Empty when only one number of objects was measured.
    """
    by_size: dict[int, Ratios] = {}
    for key, value in values.items():
        if (key.against, key.metric) == (ECHO, "cpu"):
            by_size.setdefault(key.objects, {})[key] = value
    if len(by_size) < 2:
        return {}
    fewest = min(by_size)
    return {
        key: value / least
        for key, value in by_size[max(by_size)].items()
        if (least := by_size[fewest].get(replace(key, objects=fewest)))
    }


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio in two runs. ``worse`` is the share by which it got worse, negative for better."""

    key: RatioKey
    old: float
    new: float

    @property
    def worse(self) -> float:
        """0.1 when a cost rose by a tenth, or when a rate is left at 1/1.1."""
        if METRICS[self.key.metric].better == "lower":
            return self.new / self.old - 1
        return self.old / self.new - 1


def changes(old: Ratios, new: Ratios) -> list[Change]:
    """The ratios that both runs have, the worst change first."""
    both = [Change(key, old[key], new[key]) for key in old if key in new]
    return sorted(both, key=lambda change: change.worse, reverse=True)
