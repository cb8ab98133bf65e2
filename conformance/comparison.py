"""Two servers side by side: the same cases, and where their answers differ."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.console import Console

from conformance.outcomes import Level, Outcome, Standing
from conformance.report import print_finding
from conformance.runner import Effort, Play, run_plays
from conformance.servers import Target, Variant
from conformance.transcript import difference, meaning, normal
from conformance.wire import Endpoint, Heard, Pace


@dataclass(frozen=True, slots=True)
class Comparison:
    """The cases that both played; an outcome says how far they agree."""

    left: str
    right: str
    outcomes: tuple[Outcome, ...]
    errors: tuple[str, ...]

    def differing(self, level: Level) -> list[Outcome]:
        """The cases in which they do not agree."""
        return [outcome for outcome in self.outcomes if not outcome.reached(level)]

    def print(self, console: Console, *, show: int) -> None:
        """A list of the differing cases for people, the first ``show`` of them in full."""
        console.print(
            f"A: {self.left}\nB: {self.right}", markup=False, emoji=False, highlight=False
        )
        differing = sorted(self.differing(Level.EXACT), key=lambda one: one.semantic)
        for outcome in differing[:show]:
            print_finding(outcome, console)
        for outcome in differing[show:]:
            kind = "other bytes" if outcome.semantic else "OTHER MEANING"
            sent = "; ".join(outcome.request)[:70]
            console.print(
                f"{outcome.suite} {outcome.id}  {kind}  {sent}", markup=False, emoji=False
            )
        close = sum(outcome.close for outcome in self.outcomes)
        total = len(self.outcomes)
        for error in self.errors:
            _say(console, f"ERROR {error}")
        console.print(
            f"{total} cases: exact {total - len(differing)}, "
            f"semantic {total - len(self.differing(Level.SEMANTIC))}, close {close}"
        )

    def as_json(self) -> str:
        """The same as one JSON object."""
        rows = [
            {
                "set": outcome.suite,
                "id": outcome.id,
                "exact": outcome.exact,
                "semantic": outcome.semantic,
                "close": outcome.close,
                "request": list(outcome.request),
                "detail": list(outcome.detail),
            }
            for outcome in self.outcomes
        ]
        return json.dumps(
            {"a": self.left, "b": self.right, "errors": list(self.errors), "cases": rows}, indent=1
        )


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, emoji=False, highlight=False)


@dataclass(slots=True)
class _Overheard:
    """A play that keeps what was heard instead of judging it."""

    play: Play
    heard: list[Heard] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.play.id

    @property
    def suite(self) -> str:
        return self.play.suite

    @property
    def tags(self) -> tuple[str, ...]:
        return self.play.tags

    @property
    def variant(self) -> Variant:
        return self.play.variant

    @property
    def fresh(self) -> bool:
        return self.play.fresh

    @property
    def volatile(self) -> bool:
        return self.play.volatile

    @property
    def request(self) -> tuple[str, ...]:
        return self.play.request

    async def hear(self, endpoint: Endpoint, pace: Pace) -> list[Heard]:
        return await self.play.hear(endpoint, pace)

    async def run(self, endpoint: Endpoint, pace: Pace) -> list[Outcome]:
        self.heard = await self.hear(endpoint, pace)
        return []


def compare_servers(
    plays: Sequence[Play],
    left: Target,
    right: Target,
    pace: Pace,
    effort: Effort,
    *,
    progress: Callable[[], None] = lambda: None,
) -> Comparison:
    """Plays the cases on both servers; cases that one of them did not play are left out."""
    sides = [_overhear(plays, target, pace, effort, progress) for target in (left, right)]
    (first, first_errors), (second, second_errors) = sides
    outcomes = [
        _judged(one.play, one.heard, other.heard)
        for one, other in zip(first, second, strict=True)
        if one.heard and other.heard
    ]
    return Comparison(left.name, right.name, tuple(outcomes), (*first_errors, *second_errors))


def _overhear(
    plays: Sequence[Play],
    target: Target,
    pace: Pace,
    effort: Effort,
    progress: Callable[[], None],
) -> tuple[list[_Overheard], list[str]]:
    listening = [_Overheard(play) for play in plays]
    report = run_plays(listening, target, pace, effort, progress=progress)
    failed = [f"{outcome.id}: {' '.join(outcome.detail)}" for outcome in report.outcomes]
    return listening, list(dict.fromkeys((*report.errors, *failed)))


def _judged(play: Play, left: Sequence[Heard], right: Sequence[Heard]) -> Outcome:
    mine = [normal(heard.text, volatile=play.volatile) for heard in left]
    theirs = [normal(heard.text, volatile=play.volatile) for heard in right]
    exact = mine == theirs
    same = exact or [meaning(text) for text in mine] == [meaning(text) for text in theirs]
    close = [heard.closed for heard in left] == [heard.closed for heard in right]
    detail = difference("".join(mine).split("\n"), "".join(theirs).split("\n"))
    if not close:
        detail.append("one of them hung up, the other kept the connection")
    return Outcome(
        id=play.id,
        suite=play.suite,
        tags=play.tags,
        standing=Standing.REQUIRED,
        exact=exact,
        semantic=same,
        close=close,
        request=play.request,
        detail=tuple(detail),
    )
