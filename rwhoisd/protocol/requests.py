"""What a client asks for, one type each."""

from enum import Enum
from typing import NamedTuple

from rwhoisd.directory.errors import ResponseCode

_QUOTES = "\"'"
BLANKS = " \t"  # str.isspace would take bytes above 127 for blanks as well


class QueryRequest(NamedTuple):
    """A query: the cleaned line as it came."""

    line: bytes


class DirectiveRequest(NamedTuple):
    """A directive: the word after the dash as typed, and the text behind it, trimmed.

    Both are the line's bytes read as latin-1.
    """

    word: str
    text: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The text split into arguments."""
        return split_arguments(self.text)


class RefusedRequest(NamedTuple):
    """A line that is no request at all: too long, or with a NUL in it."""

    code: ResponseCode
    detail: str


class PayloadRequest(NamedTuple):
    """A PGP block from its first line to its last; empty and refused when it is too long."""

    data: bytes
    refusal: str = ""


Request = QueryRequest | DirectiveRequest | RefusedRequest | PayloadRequest


class Signal(Enum):
    """What ``next_request`` gives when there is no request."""

    NEED_DATA = "need data"
    CLOSED = "closed"


NEED_DATA = Signal.NEED_DATA
CLOSED = Signal.CLOSED


def split_arguments(text: str) -> tuple[str, ...]:
    """``text`` split at blanks as a shell does: ``"`` and ``'`` quote, each within its token (B28).

    A quote may begin anywhere in a token. One without a partner is an ordinary character, but
    at the beginning of a token it quotes the rest of the line, as it does at ARIN's.
    """
    if '"' not in text and "'" not in text:
        return tuple(filter(None, text.replace("\t", " ").split(" ")))
    tokens: list[str] = []
    position, size = 0, len(text)
    while position < size:
        if text[position] in BLANKS:
            position += 1
            continue
        token, position = _token(text, position)
        tokens.append(token)
    return tuple(tokens)


def _token(text: str, start: int) -> tuple[str, int]:
    """The token that begins at ``start`` and the position behind it."""
    parts: list[str] = []
    position = start
    while position < len(text) and text[position] not in BLANKS:
        character = text[position]
        if character in _QUOTES:
            end = text.find(character, position + 1)
            if end < 0 and position == start:
                end = len(text)
            if end >= 0:
                parts.append(text[position + 1 : end])
                position = end + 1
                continue
        parts.append(character)
        position += 1
    return "".join(parts), position
