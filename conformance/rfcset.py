"""The written set as plays: scripts, performed against a server."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from conformance.outcomes import Outcome, Standing
from conformance.script import (
    Check,
    Compare,
    End,
    Expect,
    Pattern,
    Script,
    Send,
    Step,
    Switch,
    load_scripts,
)
from conformance.servers import Variant
from conformance.transcript import TERMINATOR, escaped
from conformance.wire import Endpoint, Heard, Line, Pace, connected

HERE = Path(__file__).parent / "rfc"
DATA = HERE / "data"
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ANY_ERROR = re.compile(r"%error \d{3}")


@dataclass(frozen=True, slots=True)
class RfcPlay:
    """A written case, ready to be played."""

    script: Script
    variant: Variant
    suite: str = "rfc"

    @property
    def id(self) -> str:
        """The script's."""
        return self.script.id

    @property
    def tags(self) -> tuple[str, ...]:
        """The script's, its strength, and the RFC section that it is about."""
        section = "§" + self.script.rules[0].removeprefix("R").partition("-")[0]
        return (*self.script.tags, self.script.strength, section)

    @property
    def fresh(self) -> bool:
        """It may change data."""
        return self.script.fresh

    @property
    def volatile(self) -> bool:
        """Server-made IDs and time-stamps differ between two servers."""
        return True

    @property
    def request(self) -> tuple[str, ...]:
        """The lines sent."""
        return tuple(escaped(line) for line in self.script.sent())

    async def hear(self, endpoint: Endpoint, pace: Pace) -> list[Heard]:
        """What came on each connection."""
        return (await perform(self.script, endpoint, pace)).heard

    async def run(self, endpoint: Endpoint, pace: Pace) -> list[Outcome]:
        """One outcome; the three measures are one here."""
        performance = await perform(self.script, endpoint, pace)
        passed = not performance.faults
        return [
            Outcome(
                id=self.id,
                suite=self.suite,
                tags=self.tags,
                standing=Standing.OPTIONAL if self.script.strength == "may" else Standing.REQUIRED,
                exact=passed,
                semantic=passed,
                close=passed,
                request=self.request,
                detail=tuple(performance.faults),
            )
        ]


def load_rfc(folder: Path = HERE) -> list[RfcPlay]:
    """The written set.

    Raises: ScriptError: a case is malformed. KeyError: it names an unknown variant.
    """
    variants = load_variants(folder)
    return [RfcPlay(script, variants[script.variant]) for script in load_scripts(folder)]


def load_variants(folder: Path = HERE) -> dict[str, Variant]:
    """What servers are started with, by name; the empty name is the data as they are."""
    table = tomllib.loads((folder / "variants.toml").read_text(encoding="utf-8"))
    plain = {"": Variant(folder / "data", mode="rfc")}
    return plain | {
        name: Variant(
            folder / "data", config=row.get("config", {}), files=row.get("files", {}), mode="rfc"
        )
        for name, row in table.items()
    }


@dataclass(slots=True)
class Performance:
    """What a played script showed; no ``faults``: all as written."""

    heard: list[Heard] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def perform(script: Script, endpoint: Endpoint, pace: Pace) -> Performance:
    """Plays a script to its end, or to the first answer that is not as written.

    Raises: OSError: no connection.
    """
    async with AsyncExitStack() as stack:
        actor = _Actor(endpoint, pace, stack)
        for step in script.steps:
            if fault := await actor.act(step):
                actor.faults.append(f"{script.place.partition(':')[0]}:{step.line}: {fault[0]}")
                actor.faults.extend(f"  {line}" for line in fault[1:])
                break
        return await actor.finished()


@dataclass(slots=True)
class _Side:
    """One connection: how much of it has been read, and how much is to come."""

    line: Line
    read: int = 0
    answers: int = 0
    last: list[str] = field(default_factory=list)
    fresh: bool = True
    closed: bool | None = None

    def text(self) -> str:
        return self.line.buffer.decode("latin-1")

    def lines(self) -> list[str]:
        """The complete lines that are not read yet."""
        return [line.removesuffix("\r") for line in self.text().split("\n")[:-1]][self.read :]


class _Actor:
    """Performs steps. A fault is a list of lines for people; an empty one: none."""

    def __init__(self, endpoint: Endpoint, pace: Pace, stack: AsyncExitStack) -> None:
        self._endpoint = endpoint
        self._pace = pace
        self._stack = stack
        self._sides: dict[str, _Side] = {}
        self._name = ""
        self._variables: dict[str, str] = {}
        self.faults: list[str] = []

    async def act(self, step: Step) -> list[str]:
        """One step."""
        match step.action:
            case Switch(name):
                self._name = name
            case Send(text):
                return await self._send(text)
            case Expect(patterns):
                return await self._expect(patterns)
            case Check(kind, argument):
                return await self._check(kind, argument)
            case Compare(left, operator, right):
                return self._compare(self._filled(left), operator, self._filled(right))
            case End():
                (await self._side()).line.half_close()
        return []

    async def _side(self) -> _Side:
        if self._name not in self._sides:
            opening = connected(self._endpoint, self._pace, alone=not self._sides)
            line = await self._stack.enter_async_context(opening)
            self._sides[self._name] = _Side(line)
        return self._sides[self._name]

    async def _send(self, text: str) -> list[str]:
        side = await self._side()
        if side.fresh:
            side.fresh = False
            side.read = 1  # the banner
        side.line.send(self._filled(text).encode("latin-1"))
        return []

    async def _expect(self, patterns: Sequence[Pattern]) -> list[str]:
        side = await self._side()
        side.fresh = False
        wanted = sum(pattern.ends_answer() for pattern in patterns)
        side.answers += wanted
        if wanted:
            await side.line.wait_answers(side.answers)
        else:
            await side.line.until(lambda: len(side.lines()) >= len(patterns), self._pace.patience)
        side.last = _taken(side.lines(), wanted, len(patterns))
        side.read += len(side.last)
        expected = [Pattern(kind, self._pattern(kind, text)) for kind, text in patterns]
        found = matched(expected, side.last)
        if found is None:
            return _shown(expected, side.last)
        self._variables |= found
        return []

    def _pattern(self, kind: str, text: str) -> str:
        if kind != "regex":
            return self._filled(text)
        return _VARIABLE.sub(lambda m: re.escape(self._variables.get(m[1], m[0])), text)

    def _filled(self, text: str) -> str:
        return _VARIABLE.sub(lambda m: self._variables.get(m[1], m[0]), text)

    async def _check(self, kind: str, argument: str) -> list[str]:
        side = await self._side()
        match kind:
            case "closed":
                await side.line.until(lambda: False, self._pace.patience)
                side.closed = side.line.ended or not await side.line.alive()
                return [] if side.closed else ["the server kept the connection"]
            case "open":
                side.closed = not await side.line.alive()
                return ["the server hung up"] if side.closed else []
            case "crlf":
                bad = [line for line in side.text().split("\n")[:-1] if not line.endswith("\r")]
                return [f"does not end CR LF: {escaped(line)}" for line in bad[:1]]
        return _check_lines(kind, self._filled(argument), side.last)

    def _compare(self, left: str, operator: str, right: str) -> list[str]:
        holds = {"<": left < right, "=": left == right, "!=": left != right}[operator]
        return [] if holds else [f"{left} {operator} {right} does not hold"]

    async def finished(self) -> Performance:
        """Hears every connection out; lines that nothing expected are a fault."""
        heard = []
        for name, side in self._sides.items():
            if side.closed is None:
                side.closed = not await side.line.alive()
            rest = side.lines()
            if rest and not self.faults:
                self.faults.append(f"unexpected lines{f' on {name}' if name else ''}:")
                self.faults.extend(f"  {escaped(line)}" for line in rest[:20])
            heard.append(Heard(side.text(), side.closed))
        return Performance(heard, self.faults)


def _taken(lines: Sequence[str], answers: int, count: int) -> list[str]:
    """The lines that belong to the next ``answers`` answers; to none: the next ``count``."""
    if not answers:
        return list(lines[:count])
    for number, line in enumerate(lines):
        answers -= bool(TERMINATOR.match(line))
        if not answers:
            return list(lines[: number + 1])
    return list(lines)


def _check_lines(kind: str, argument: str, lines: Sequence[str]) -> list[str]:
    number = 0
    if kind == "count":
        wanted, _, argument = argument.partition(" ")
        number = int(wanted)
    hits = [line for line in lines if re.search(argument, line)]
    good = {
        "has": bool(hits),
        "no": not hits,
        "each": len(hits) == len(lines),
        "count": len(hits) == number,
    }[kind]
    if good:
        return []
    shown = [f"received: {escaped(line)}" for line in lines[:30]]
    return [f"{kind} {number or ''} {argument}: {len(hits)} of {len(lines)} lines match", *shown]


def matched(patterns: Sequence[Pattern], lines: Sequence[str]) -> dict[str, str] | None:
    """The variables set by ``lines`` when they are as ``patterns`` say; None: they are not."""
    for found in _matches(patterns, lines):
        return found
    return None


def _matches(patterns: Sequence[Pattern], lines: Sequence[str]) -> Iterator[dict[str, str]]:
    if not patterns:
        if not lines:
            yield {}
        return
    first, rest = patterns[0], patterns[1:]
    if first.kind == "any":
        for skip in range(len(lines) + 1):
            yield from _matches(rest, lines[skip:])
        return
    if lines and (here := _line(first, lines[0])) is not None:
        for later in _matches(rest, lines[1:]):
            yield {**here, **later}


def _line(pattern: Pattern, line: str) -> dict[str, str] | None:
    if pattern.kind == "regex":
        match = re.fullmatch(pattern.text, line)
        return None if match is None else {k: v for k, v in match.groupdict().items() if v}
    if _ANY_ERROR.fullmatch(pattern.text):  # the wording is free, Appendix C
        return {} if line == pattern.text or line.startswith(pattern.text + " ") else None
    return {} if line == pattern.text else None


def _shown(patterns: Sequence[Pattern], lines: Sequence[str]) -> list[str]:
    marks = {"any": "...", "regex": "~"}
    return [
        "the answer is not as written",
        *(f"expected{marks.get(kind, ' ')} {escaped(text)}" for kind, text in patterns),
        *(f"received  {escaped(line)}" for line in lines[:40]),
    ]
