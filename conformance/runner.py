"""Plays cases: one server per variant, one per case that changes data, many lines at once."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from conformance.outcomes import Outcome, Report, Standing
from conformance.servers import ServerError, Target, Variant
from conformance.wire import Endpoint, Heard, Pace


class Play(Protocol):
    """A case that is ready to be played."""

    @property
    def id(self) -> str:
        """Unique within its suite."""
        ...

    @property
    def suite(self) -> str:
        """``arin`` or ``rfc``."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """Groups that it is counted in."""
        ...

    @property
    def variant(self) -> Variant:
        """What the server has to be started with."""
        ...

    @property
    def fresh(self) -> bool:
        """It may change data, so nothing else may see its server."""
        ...

    @property
    def volatile(self) -> bool:
        """Its answers hold IDs or time-stamps that the server makes."""
        ...

    @property
    def request(self) -> tuple[str, ...]:
        """What is sent, for people."""
        ...

    async def hear(self, endpoint: Endpoint, pace: Pace) -> list[Heard]:
        """Plays it; what came on each of its connections.

        Raises: OSError: no connection.
        """
        ...

    async def run(self, endpoint: Endpoint, pace: Pace) -> list[Outcome]:
        """Plays it and judges what was heard.

        Raises: OSError: no connection.
        """
        ...


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done at a time."""

    servers: int = 2
    connections: int = 12


def playable(play: Play, target: Target, *, everything: bool = False) -> bool:
    """Whether ``target`` can show it: a running server stays as it is and keeps its data."""
    return not target.fixed or everything or (play.variant.plain and not play.fresh)


def run_plays(
    plays: Sequence[Play],
    target: Target,
    pace: Pace,
    effort: Effort,
    *,
    everything: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Plays all that ``target`` can show; ``progress`` is called after each case."""
    chosen = [play for play in plays if playable(play, target, everything=everything)]
    ids = {id(play) for play in chosen}
    if target.fixed and everything:  # one data set for all: changes must not meet
        effort = Effort(servers=1, connections=1)
    begun = time.monotonic()
    outcomes, errors = asyncio.run(_Run(target, pace, effort, progress).all(chosen))
    return Report(
        target=target.name,
        outcomes=tuple(outcomes),
        skipped=tuple(play.id for play in plays if id(play) not in ids),
        errors=tuple(errors),
        seconds=time.monotonic() - begun,
    )


class _Run:
    def __init__(
        self, target: Target, pace: Pace, effort: Effort, progress: Callable[[], None]
    ) -> None:
        self._target = target
        self._pace = pace
        self._effort = effort
        self._progress = progress
        self._servers = asyncio.Semaphore(effort.servers)
        self._lines = asyncio.Semaphore(effort.connections)
        self._errors: list[str] = []

    async def all(self, plays: Sequence[Play]) -> tuple[list[Outcome], list[str]]:
        """Outcomes in the order of ``plays``, and the servers that failed."""
        groups = _groups(plays, fixed=self._target.fixed)
        parts = await asyncio.gather(*(self._group(group) for group in groups))
        found = {number: outcomes for part in parts for number, outcomes in part}
        return [item for number in sorted(found) for item in found[number]], self._errors

    async def _group(self, group: Sequence[tuple[int, Play]]) -> list[tuple[int, list[Outcome]]]:
        async with self._servers:
            try:
                async with self._target.serve(group[0][1].variant) as endpoint:
                    return await self._members(group, endpoint)
            except ServerError as error:
                self._errors.append(f"{group[0][1].id}: {error}")
                return [(number, self._failed(play, str(error))) for number, play in group]

    async def _members(
        self, group: Sequence[tuple[int, Play]], endpoint: Endpoint
    ) -> list[tuple[int, list[Outcome]]]:
        tasks = (self._one(number, play, endpoint) for number, play in group)
        return list(await asyncio.gather(*tasks))

    async def _one(self, number: int, play: Play, endpoint: Endpoint) -> tuple[int, list[Outcome]]:
        async with self._lines:
            try:
                outcomes = await play.run(endpoint, self._pace)
            except OSError as error:
                return number, self._failed(play, f"no connection: {error}")
        self._progress()
        return number, outcomes

    def _failed(self, play: Play, why: str) -> list[Outcome]:
        self._progress()
        return [
            Outcome(
                id=play.id,
                suite=play.suite,
                tags=play.tags,
                request=play.request,
                standing=Standing.REQUIRED,
                exact=False,
                semantic=False,
                close=False,
                detail=(why,),
            )
        ]


def _groups(plays: Iterable[Play], *, fixed: bool) -> list[list[tuple[int, Play]]]:
    """Cases that share a server, the large groups first so that the small ones fill the gaps.

    A running server is one group.
    """
    groups: dict[str, list[tuple[int, Play]]] = {}
    for number, play in enumerate(plays):
        key = "" if fixed else _key(play)
        groups.setdefault(key, []).append((number, play))
    return sorted(groups.values(), key=len, reverse=True)


def _key(play: Play) -> str:
    return f"fresh {play.suite} {play.id}" if play.fresh else repr(play.variant)
