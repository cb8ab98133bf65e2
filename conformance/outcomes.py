"""What playing a case showed."""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How much a case weighs."""

    REQUIRED = "required"
    OPTIONAL = "optional"  # strength may: not keeping it is no finding
    DEFECT = "defect"  # as ARIN's server answers, by mistake: information only
    CORRECTED = "corrected"  # the right answer where ARIN's server makes that mistake


class Level(StrEnum):
    """How much agreement is asked for."""

    SEMANTIC = "semantic"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, played and judged. ``detail`` are lines for people: what differed."""

    id: str
    suite: str
    tags: tuple[str, ...]
    standing: Standing
    exact: bool
    semantic: bool
    close: bool
    request: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()

    def reached(self, level: Level) -> bool:
        """Whether the agreement asked for is there."""
        return self.exact if level is Level.EXACT else self.semantic


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes of a run, in the order of the cases.

    ``skipped`` names the cases that this target cannot play (they need a server of their own);
    ``errors`` are servers that did not come up.
    """

    target: str
    outcomes: tuple[Outcome, ...]
    skipped: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    seconds: float = 0.0

    def findings(self, level: Level, *, corrected: bool = False) -> list[Outcome]:
        """What counts against the server."""
        weighty = {Standing.REQUIRED} | ({Standing.CORRECTED} if corrected else set())
        return [
            outcome
            for outcome in self.outcomes
            if outcome.standing in weighty and not outcome.reached(level)
        ]
