"""What a conversation's text means: lines made comparable, responses told apart. Pure.

Two levels of agreement between two texts:

- *exact*: the same text after CR LF became LF and the free part of the banner was blanked;
- *semantic*: the same sequence of responses; a response is its records (sets of lines, in any
  order), its referrals (a set), and its final ``%ok`` or ``%error`` code (wording free).
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

TERMINATOR = re.compile(r"^%(?:ok|error)\b")
_BANNER = re.compile(r"(?m)^(%rwhois V-[^ \n]*)[^\n]*$")
_REGISTER_ID = re.compile(r"(?mi)^%register ID:[ \t]*(.+?)[ \t]*$")
_REGISTER_UPDATED = re.compile(r"(?mi)^%register Updated:[ \t]*(.+?)[ \t]*$")
_STAMP = re.compile(r"\b(?:19|20)\d{12}(?:\d{3})?\b")
_ERROR = re.compile(r"%error\b *(\d*)")
_RECORD_END = re.compile(r"%[A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer by its meaning; ``code`` is ``ok``, ``error NNN``, or ``None``: never ended."""

    records: tuple[tuple[str, ...], ...]
    referrals: tuple[str, ...]
    code: str | None


def normal(text: str, *, volatile: bool = False) -> str:
    """``text`` ready for comparison; ``volatile`` masks server-made IDs and time-stamps too."""
    plain = _BANNER.sub(r"\1 <server>", text.replace("\r\n", "\n"))
    return _masked(plain) if volatile else plain


def _masked(text: str) -> str:
    for number, found in enumerate(dict.fromkeys(_REGISTER_ID.findall(text)), 1):
        text = text.replace(found, f"<ID{number}>")
    for found in dict.fromkeys(_REGISTER_UPDATED.findall(text)):
        text = text.replace(found, "<TIME>")
    return _STAMP.sub("<TIME>", text)


def meaning(text: str, *, volatile: bool = False) -> list[Response]:
    """The responses in ``text``, in order; an unfinished one at the end has no code."""
    responses: list[Response] = []
    part = _Part()
    for line in normal(text, volatile=volatile).split("\n"):
        code = part.take(line.rstrip())
        if code is not None:
            responses.append(part.closed(code))
            part = _Part()
    last = part.closed(None)
    if last.records or last.referrals:
        responses.append(last)
    return responses


class _Part:
    """The response that is being read."""

    def __init__(self) -> None:
        self._records: list[tuple[str, ...]] = []
        self._lines: list[str] = []
        self._referrals: set[str] = set()

    def take(self, line: str) -> str | None:
        """Reads one line; the code when the line ends the response."""
        if error := _ERROR.match(line):
            return f"error {error[1]}"
        if TERMINATOR.match(line):
            return "ok"
        if line.lower().startswith("%referral"):
            self._end_record()
            self._referrals.add(line[9:].strip())
        elif line == "" or _RECORD_END.fullmatch(line):
            self._end_record()
        else:
            self._lines.append(line)
        return None

    def _end_record(self) -> None:
        if self._lines:
            self._records.append(tuple(sorted(set(self._lines))))
            self._lines = []

    def closed(self, code: str | None) -> Response:
        self._end_record()
        return Response(tuple(sorted(self._records)), tuple(sorted(self._referrals)), code)


def terminators(text: str) -> int:
    """How many complete responses ``text`` holds."""
    return sum(1 for line in text.split("\n")[:-1] if TERMINATOR.match(line))


def split_responses(text: str) -> tuple[str, list[str]]:
    """The banner line and the responses of a whole reply, each with its own line ends.

    Text after the last terminator is one more, unfinished, element.
    """
    lines = text.splitlines(keepends=True)
    head = lines[0] if lines and lines[0].startswith("%rwhois") else ""
    responses: list[str] = []
    start = 1 if head else 0
    for number, line in enumerate(lines):
        if number >= start and TERMINATOR.match(line):
            responses.append("".join(lines[start : number + 1]))
            start = number + 1
    if start < len(lines):
        responses.append("".join(lines[start:]))
    return head, responses


def escaped(text: str) -> str:
    """``text`` with every byte outside printable ASCII made visible, for people and for XML."""
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char == "\\":
        return "\\\\"
    return char if " " <= char <= "~" else f"\\x{ord(char):02x}"


def difference(expected: Sequence[str], received: Sequence[str], context: int = 2) -> list[str]:
    """A unified diff of two lists of lines, escaped."""
    lines = difflib.unified_diff(
        [escaped(line) for line in expected],
        [escaped(line) for line in received],
        "expected",
        "received",
        lineterm="",
        n=context,
    )
    return list(lines)
