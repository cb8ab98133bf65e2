"""The recorded set as plays: judged against the recording, and against the right answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conformance.outcomes import Outcome, Standing
from conformance.recorded import HERE, RecordedCase, load_recorded, play_recorded
from conformance.ruled import Rules, load_rules
from conformance.servers import Variant
from conformance.transcript import difference, escaped, meaning, normal
from conformance.wire import Endpoint, Heard, Pace

DATA = HERE / "data"


@dataclass(frozen=True, slots=True)
class ArinPlay:
    """A recorded case. ``corrected``: the right answer, when the recorded one is a defect."""

    case: RecordedCase
    corrected: RecordedCase | None
    variant: Variant
    suite: str = "arin"

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
        return [await play_recorded(self.corrected or self.case, endpoint, pace)]

    async def run(self, endpoint: Endpoint, pace: Pace) -> list[Outcome]:
        """One outcome, or two for a defect: as recorded, and as it should be."""
        (heard,) = await self.hear(endpoint, pace)
        standing = Standing.DEFECT if self.case.defect else Standing.REQUIRED
        outcomes = [judge(self.case, heard, standing)]
        if self.corrected is not None:
            outcomes.append(judge(self.corrected, heard, Standing.CORRECTED))
        return outcomes


def judge(case: RecordedCase, heard: Heard, standing: Standing) -> Outcome:
    """The three measures for one case."""
    expected = normal(case.reply, volatile=case.volatile)
    received = normal(heard.text, volatile=case.volatile)
    exact = expected == received
    same = exact or (
        meaning(case.reply, volatile=case.volatile) == meaning(heard.text, volatile=case.volatile)
    )
    close = heard.closed == case.closed
    detail = difference(expected.split("\n"), received.split("\n"))
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


def load_arin(mode: str = "arin", folder: Path = HERE) -> list[ArinPlay]:
    """The recorded set; in mode ``rfc`` each expectation is as the rules change it."""
    corrected = load_corrected(folder / "corrected.jsonl")
    rules = load_rules() if mode == "rfc" else None
    return [
        _play(case, corrected.get(case.id), rules, mode, folder / "data")
        for case in load_recorded(folder / "cases.jsonl")
    ]


def _play(
    case: RecordedCase,
    right: Mapping[str, Any] | None,
    rules: Rules | None,
    mode: str,
    data: Path,
) -> ArinPlay:
    fixed = None
    if right is not None:
        changed = replace(case, volatile=bool(right.get("volatile", case.volatile)))
        fixed = changed.answered(right["reply"], bool(right["closed_by_server"]))
    if rules is not None:
        case = rules.applied(case)
        fixed = rules.applied(fixed) if fixed is not None else None
    return ArinPlay(case, fixed, Variant(data, config=case.config, mode=mode))


def load_corrected(path: Path) -> dict[str, Mapping[str, Any]]:
    """The right answers by case id, written by hand from the table of defects."""
    with path.open(encoding="utf-8") as lines:
        rows: Sequence[Mapping[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    return {row["id"]: row for row in rows}
