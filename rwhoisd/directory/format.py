"""Format patterns of attributes, matched in linear time (R2.3.1-6, R2.3.1-7, N1).

``re:PATTERN`` is a POSIX extended expression; in ARIN's templates it is one of Henry Spencer's
V8 library (arin-rwhoisd.md §11.5). Both are translated for RE2, so that no pattern of a
template and no value of a client can take more than linear time; what RE2 works through for each
character is bounded, too. A pattern may match anywhere in the value: the author of the template
anchors (N1). Other texts are for people only.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Final

import re2

from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.schema import FORMAT_RE


class Flavour(Enum):
    """How a pattern is read and how the value is held against it."""

    POSIX = "posix"  # RFC 2167: the value as it is stored
    V8 = "v8"  # ARIN's templates: case does not count (N1)
    V8_UPPER = "v8-upper"  # ARIN's indexer: the value in capitals, the pattern as it stands (§11.5)

    @classmethod
    def of(cls, dialect: Dialect) -> "Flavour":
        """The flavour for registering and checking in one of the two modes."""
        return cls.V8 if dialect.format_ignores_case else cls.POSIX


_CAPITALS: Final = {ord(c): ord(c) - 32 for c in "abcdefghijklmnopqrstuvwxyz"}  # C locale
_CLASS: Final = re.compile(r"\[:([a-z]+):\]")
_CLASS_NAMES: Final = frozenset(
    (
        *("alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print"),
        *("graph", "cntrl", "xdigit"),
    )
)
_INTERVAL: Final = re.compile(r"\{(\d+)(,(\d*))?\}")
_REPEATS: Final = "*+?"
# RE2 may have to look at each instruction for each octet of a value: 64 kB against the largest
# pattern takes seconds, in a thread of its own. ``^.{1,1000}$`` has 9,000 of them.
MOST_INSTRUCTIONS: Final = 10_000
_MEMORY_OCTETS: Final = 1 << 20  # of one pattern, and of what is remembered while it matches


class PatternError(ValueError):
    """A pattern that is no expression of its syntax; the message says where and why."""


@lru_cache(maxsize=4096)
def matcher(format_text: str, flavour: Flavour) -> Callable[[str], bool] | None:
    """A test of values against a Format; None when the Format is text for people.

    Raises: PatternError, when the pattern is not well formed, or too large.
    """
    if format_text[: len(FORMAT_RE)].lower() != FORMAT_RE:
        return None
    pattern = format_text[len(FORMAT_RE) :].strip()
    options = re2.Options()
    options.case_sensitive = flavour is not Flavour.V8
    options.log_errors = False
    options.max_mem = _MEMORY_OCTETS
    try:
        compiled = re2.compile(translate(pattern, flavour), options)
    except re2.error as error:
        raise PatternError(f"pattern {pattern!r}: {_reason(error)}") from None
    if compiled.programsize > MOST_INSTRUCTIONS:
        raise PatternError(f"pattern {pattern!r}: pattern too large, let it repeat less")
    if flavour is Flavour.V8_UPPER:
        return lambda value: compiled.search(value.translate(_CAPITALS)) is not None
    return lambda value: compiled.search(value) is not None


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else error
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def translate(pattern: str, flavour: Flavour) -> str:
    """``pattern`` in RE2's syntax. Raises: PatternError, for what no part of it explains."""
    parts: list[str] = []
    place, may_repeat = 0, False
    while place < len(pattern):
        character = pattern[place]
        if character == "[":
            part, place = _bracket(pattern, place, flavour)
            may_repeat = True
        elif character in _REPEATS or (character == "{" and flavour is Flavour.POSIX):
            part, place = _repeat(pattern, place, may_repeat)
            may_repeat = False
        else:
            part, place, may_repeat = _single(pattern, place)
        parts.append(part)
    return "".join(parts)


def _single(pattern: str, place: int) -> tuple[str, int, bool]:
    """One character that is neither bracket nor repetition: text, next place, repeatable."""
    character = pattern[place]
    if character == "\\":
        if place + 1 == len(pattern):
            raise PatternError(f"pattern {pattern!r}: a backslash at the end quotes nothing")
        return _member(pattern[place + 1]), place + 2, True
    if character in "(|^$":
        return character, place + 1, False
    return (character if character in ")." else _member(character)), place + 1, True


def _repeat(pattern: str, place: int, may_repeat: bool) -> tuple[str, int]:
    if not may_repeat:
        raise PatternError(
            f"pattern {pattern!r}: {pattern[place]!r} at position {place + 1} repeats nothing"
        )
    if pattern[place] != "{":
        return pattern[place], place + 1
    match = _INTERVAL.match(pattern, place)
    if match is None:
        raise PatternError(f"pattern {pattern!r}: '{{' at position {place + 1} is no interval")
    return match[0], match.end()


def _bracket(pattern: str, place: int, flavour: Flavour) -> tuple[str, int]:
    """A bracket expression: every member is literal, a backslash as well."""
    end = place + 1
    negated = pattern[end : end + 1] == "^"
    end += negated
    first = end
    members: list[str] = []
    while end < len(pattern) and (pattern[end] != "]" or end == first):
        named = _CLASS.match(pattern, end) if flavour is Flavour.POSIX else None
        if named and named[1] in _CLASS_NAMES:
            members.append(named[0])
            end = named.end()
        elif pattern[end + 1 : end + 2] == "-" and pattern[end + 2 : end + 3] not in ("", "]"):
            members.append(f"{_member(pattern[end])}-{_member(pattern[end + 2])}")
            end += 3
        else:
            members.append(_member(pattern[end]))
            end += 1
    if end >= len(pattern):
        raise PatternError(f"pattern {pattern!r}: '[' at position {place + 1} is never closed")
    return f"[{'^' if negated else ''}{''.join(members)}]", end + 1


def _member(character: str) -> str:
    return character if character.isalnum() else f"\\x{{{ord(character):x}}}"
