"""The recorded set as plays: judged against the recording, and against the right answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conformance.outcomes import Outcome, Standing
from conformance.recorded import HERE, RecordedCase, load_recorded, play_recorded
from conformance.ruled import Rules, Ruling, load_rules
from conformance.servers import Variant
from conformance.transcript import (
    Response,
    difference,
    escaped,
    meaning,
    normal,
    split_responses,
)
from conformance.wire import Endpoint, Heard, Pace

DATA = HERE / "data"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A recorded case and, in mode ``rfc``, what the rulings make of it."""

    case: RecordedCase
    ruling: Ruling | None = None


@dataclass(frozen=True, slots=True)
class ArinPlay:
    """A recorded case. ``corrected``: the right answer, when the recorded one is a defect."""

    recorded: Expectation
    corrected: Expectation | None
    variant: Variant
    suite: str = "arin"

    @property
    def case(self) -> RecordedCase:
        """What is played."""
        return (self.corrected or self.recorded).case

    @property
    def id(self) -> str:
        """The recording's."""
        return self.case.id

    @property
    def tags(self) -> tuple[str, ...]:
        """The recording's."""
        return self.case.tags

    @property
    def fresh(self) -> bool:
        """It may change data."""
        return self.case.fresh_data

    @property
    def volatile(self) -> bool:
        """Its answers hold IDs or time-stamps that the server makes."""
        return self.case.volatile

    @property
    def request(self) -> tuple[str, ...]:
        """The lines sent."""
        return tuple(escaped(command) for command in self.case.commands())

    async def hear(self, endpoint: Endpoint, pace: Pace) -> list[Heard]:
        """The one connection's text."""
        return [await play_recorded(self.case, endpoint, pace)]

    async def run(self, endpoint: Endpoint, pace: Pace) -> list[Outcome]:
        """One outcome, or two for a defect: as recorded, and as it should be."""
        (heard,) = await self.hear(endpoint, pace)
        standing = Standing.DEFECT if self.case.defect else Standing.REQUIRED
        outcomes = [judge(self.recorded, heard, standing)]
        if self.corrected is not None:
            outcomes.append(judge(self.corrected, heard, Standing.CORRECTED))
        return outcomes


def judge(expectation: Expectation, heard: Heard, standing: Standing) -> Outcome:
    """The three measures for one case."""
    case, ruling = expectation.case, expectation.ruling
    expected = normal(case.reply, volatile=case.volatile)
    received = normal(heard.text, volatile=case.volatile)
    if ruling is not None:
        expected, received = ruling.masked(expected), ruling.masked(received)
    exact = expected == received
    same = exact or meaning(expected) == meaning(received)
    if not same and ruling is not None:
        same = explained(ruling, received, volatile=case.volatile)
    close = heard.closed == case.closed
    detail = [] if exact else difference(expected.split("\n"), received.split("\n"))
    if not close:
        detail.append(f"the server {'hung up' if heard.closed else 'kept the connection'}")
    return Outcome(
        id=case.id,
        suite="arin",
        tags=case.tags,
        standing=standing,
        exact=exact,
        semantic=same,
        close=close,
        request=tuple(escaped(command) for command in case.commands()),
        detail=tuple(detail),
    )


def explained(ruling: Ruling, received: str, *, volatile: bool = False) -> bool:
    """Whether each answer is the expected one, or one that a ruling allows beside it."""
    banner, rest = split_responses(ruling.masked(received))
    answers = [banner, *rest]
    for number, wanted in enumerate(ruling.responses):
        if number >= len(answers):
            return False
        expected = ruling.masked(normal(wanted, volatile=volatile))
        leeway = ruling.explains(number, answers[number])
        if leeway is not None and leeway.ends:
            return True
        if leeway is not None or meaning(expected) == meaning(answers[number]):
            continue
        if number not in ruling.fewer or not _part(answers[number], expected):
            return False
    return len(answers) == len(ruling.responses)


def _part(received: str, expected: str) -> bool:
    """Whether ``received`` holds no record beside those of ``expected``."""
    mine, whole = meaning(received), meaning(expected)
    return len(mine) == len(whole) == 1 and _within(mine[0], whole[0])


def _within(part: Response, whole: Response) -> bool:
    return (
        set(part.records) <= set(whole.records)
        and part.referrals == whole.referrals
        and (part.code in {"ok", whole.code} or not part.records)
    )


def load_arin(mode: str = "arin", folder: Path = HERE) -> list[ArinPlay]:
    """The recorded set; in mode ``rfc`` each expectation is as the rules change it."""
    corrected = load_corrected(folder / "corrected.jsonl")
    rules = load_rules(folder / "ruled.toml", folder / "data") if mode == "rfc" else None
    plays = []
    for case in load_recorded(folder / "cases.jsonl"):
        right = corrected.get(case.id)
        plays.append(
            ArinPlay(
                recorded=_expectation(case, rules),
                corrected=None if right is None else _expectation(_corrected(case, right), rules),
                variant=Variant(folder / "data", config=case.config, mode=mode),
            )
        )
    return plays


def _corrected(case: RecordedCase, right: Mapping[str, Any]) -> RecordedCase:
    case = replace(case, volatile=bool(right.get("volatile", case.volatile)))
    return case.answered(right["reply"], bool(right["closed_by_server"]))


def _expectation(case: RecordedCase, rules: Rules | None) -> Expectation:
    if rules is None:
        return Expectation(case)
    ruling = rules.ruling(case)
    closed = case.closed if ruling.closed is None else ruling.closed
    return Expectation(case.answered("".join(ruling.responses), closed), ruling)


def load_corrected(path: Path) -> dict[str, Mapping[str, Any]]:
    """The right answers by case id, written by hand from the table of defects."""
    with path.open(encoding="utf-8") as lines:
        rows: Sequence[Mapping[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    return {row["id"]: row for row in rows}
