"""The recorded set: conversations of ARIN's server, and how they are played again."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.transcript import terminators
from conformance.wire import Endpoint, Heard, Line, Pace, connected

HERE = Path(__file__).parent / "arin"
_VALUES = {
    b"${ID}": re.compile(rb"(?mi)^%register ID:[ \t]*([^\r\n]*)"),
    b"${UPDATED}": re.compile(rb"(?mi)^%register Updated:[ \t]*([^\r\n]*)"),
}
_SPOOLING = re.compile(r"-register\s+(on|off)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """One session: what is sent in which pieces, and what was heard.

    ``quotas`` says how many terminators to wait for after each piece. ``defect`` is why the
    recorded answer is taken for a defect of ARIN's server; empty: it is a requirement.
    """

    id: str
    tags: tuple[str, ...]
    config: Mapping[str, str]
    fresh_data: bool
    pieces: tuple[bytes, ...]
    quotas: tuple[int, ...]
    reply: str
    closed: bool
    volatile: bool = False
    defect: str = ""
    note: str = field(default="", compare=False)

    def answered(self, reply: str, closed: bool) -> "RecordedCase":
        """This case with another expected answer."""
        return replace(self, reply=reply, closed=closed, quotas=_quotas(self.quotas, reply))

    def commands(self) -> list[str]:
        """The non-blank lines sent, decoded as Latin-1, blanks around trimmed."""
        text = b"".join(self.pieces).decode("latin-1")
        return [line.strip() for line in text.split("\n") if line.strip()]


def load_recorded(path: Path = HERE / "cases.jsonl") -> list[RecordedCase]:
    """The cases of a recording, in its order."""
    return [_case(row) for row in _rows(path)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _case(row: Mapping[str, Any]) -> RecordedCase:
    pieces = _pieces(row)
    given = [int(count) for count in row.get("terms", [])]
    padded = tuple((given + [1] * len(pieces))[: len(pieces)])
    return RecordedCase(
        id=row["id"],
        tags=tuple(row["tags"]),
        config=dict(row["config"]),
        fresh_data=bool(row["fresh_data"]),
        pieces=pieces,
        quotas=_quotas(padded, row["reply"]),
        reply=row["reply"],
        closed=bool(row["closed_by_server"]),
        volatile=bool(row.get("volatile")),
        defect=row.get("bug", ""),
        note=row.get("note", ""),
    )


def _pieces(row: Mapping[str, Any]) -> tuple[bytes, ...]:
    if "send_b64" in row:
        return (base64.b64decode(row["send_b64"]),)
    end = row.get("eol", "\r\n").encode("latin-1")
    lines = tuple(line.encode("latin-1") + end for line in row.get("send", []))
    return lines if row.get("lock_step") else ((b"".join(lines),) if lines else ())


def _quotas(given: Sequence[int], reply: str) -> tuple[int, ...]:
    """``given``, its sum made equal to the number of responses in ``reply``.

    A recording may have counted too few (the server was slow to answer); what lacks or is too
    much is settled at the end, where nothing more is sent.
    """
    quotas = list(given)
    missing = terminators(reply) - sum(quotas)
    for index in range(len(quotas) - 1, -1, -1):
        settled = max(0, quotas[index] + missing)
        missing -= settled - quotas[index]
        quotas[index] = settled
    return tuple(quotas)


async def play_recorded(case: RecordedCase, endpoint: Endpoint, pace: Pace) -> Heard:
    """Plays ``case`` over one connection.

    Raises: OSError: no connection.
    """
    async with connected(endpoint, pace) as line:
        total = 0
        for piece, quota in zip(case.pieces, case.quotas, strict=True):
            line.send(_filled(piece, line))
            total += quota
            if quota and not line.ended and piece.endswith(b"\n"):
                await line.wait_answers(total)
        closed = await _closed(case, line, pace)
        await line.drain()
        return Heard(line.buffer.decode("latin-1"), closed)


def _filled(piece: bytes, line: Line) -> bytes:
    """``piece`` with the values of the last %register lines filled in."""
    for name, pattern in _VALUES.items():
        if name in piece and (found := pattern.findall(bytes(line.buffer))):
            piece = piece.replace(name, found[-1].strip())
    return piece


async def _closed(case: RecordedCase, line: Line, pace: Pace) -> bool:
    """Whether the server hangs up by itself, heard with as little waiting as can be."""
    if case.closed:
        await line.until(lambda: False, pace.patience)
    if line.ended:
        return True
    if _can_ask(case):
        return not await line.alive()
    await line.quiet(0.1)
    return line.ended


def _can_ask(case: RecordedCase) -> bool:
    """Whether a further line is a command: not when the last one is unfinished or spooled."""
    sent = b"".join(case.pieces)
    spooling = [word.lower() for word in _SPOOLING.findall("\n".join(case.commands()))]
    return (not sent or sent.endswith(b"\n")) and (not spooling or spooling[-1] == "off")
