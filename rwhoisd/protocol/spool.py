"""The spool of ``-register``: lines kept between ``on`` and ``off`` (arin-rwhoisd.md §6.2)."""

from dataclasses import dataclass, field
from typing import Final, Literal

from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.guardian import Credentials
from rwhoisd.protocol.requests import BLANKS

Action = Literal["add", "mod", "del"]
NEW: Final = "_NEW_"  # between the two records of a mod
Record = tuple[tuple[str, str], ...]


_LINE_OCTETS: Final = 48  # of memory for a line, beside its own


class Room:
    """Memory for all open registrations together."""

    def __init__(self, octets: int = 1 << 26) -> None:
        self.octets = octets  # that are left

    def take(self, octets: int) -> bool:
        """So much of it, if it is left."""
        if octets > self.octets:
            return False
        self.octets -= octets
        return True

    def give(self, octets: int) -> None:
        """So much of it back."""
        self.octets += octets


@dataclass(slots=True)
class Spool:
    """An open registration. Nothing of it happens unless ``-register off`` comes (R3.3.9-24)."""

    action: Action
    maintainer: str
    max_octets: int
    max_lines: int
    opened: float = 0.0  # seconds of whatever clock its owner goes by
    lines: list[bytes] = field(default_factory=list)
    room: Room = field(default_factory=Room)
    octets: int = 0
    taken: int = 0  # of the room
    refusal: str = ""  # why it can no longer be registered; told at -register off
    code: ResponseCode = ResponseCode.INVALID_DIRECTIVE_SYNTAX  # that goes with it
    proof: Credentials | None = None  # of the payload that the lines came in
    unsigned: bool = False  # lines came outside of it as well

    def append(self, line: bytes, proof: Credentials | None = None) -> None:
        """Keep a line; beyond the limits the spool is given up and holds nothing.

        ``proof`` is that of the payload the line was in. Lines of two payloads prove nothing: who
        put them together is not known.
        """
        if self.octets == 0:
            self.proof = proof
        self.unsigned |= proof is None or proof is not self.proof
        if self.refusal:
            return
        self.octets += len(line) + 1
        if self.octets > self.max_octets:
            self.refuse(f"registration longer than {self.max_octets} octets")
        elif len(self.lines) == self.max_lines:
            self.refuse(f"registration longer than {self.max_lines} lines")
        elif not self.room.take(len(line) + _LINE_OCTETS):
            self.refuse("too many registrations are under way, try later")
        else:
            self.taken += len(line) + _LINE_OCTETS
            self.lines.append(line)

    def refuse(
        self, reason: str, code: ResponseCode = ResponseCode.INVALID_DIRECTIVE_SYNTAX
    ) -> None:
        """Give the registration up; its answer comes with ``-register off``."""
        if not self.refusal:
            self.refusal, self.code = reason, code
        self.lines.clear()
        self._leave()

    def _leave(self) -> None:
        self.room.give(self.taken)
        self.taken = 0

    def __del__(self) -> None:
        """The room is taken as long as the memory is: a client may go without a word."""
        self._leave()


def records(lines: list[bytes]) -> list[Record]:
    """The spool as records: always one more than there are separators; any may be empty.

    A line is ``name:value``, either of which may be empty. Lines without colon, comments
    (``#``) and lines that begin with ``_`` do not count. Names and values are the bytes read as
    latin-1, as no area is known yet.
    """
    found: list[list[tuple[str, str]]] = [[]]
    for raw in lines:
        line = raw.decode("latin-1")
        if is_separator(line):
            found.append([])
        elif pair := _pair(line):
            found[-1].append(pair)
    return [tuple(record) for record in found]


def is_separator(line: str) -> bool:
    """Whether ``line`` parts two records: ``---…`` or ``_NEW_`` in any case."""
    return line.startswith("---") or line.upper() == NEW


def _pair(line: str) -> tuple[str, str] | None:
    name, colon, value = line.partition(":")
    if not colon or line.startswith(("_", "#")):
        return None
    return name.rstrip(BLANKS), value.lstrip(BLANKS)
