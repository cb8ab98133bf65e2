"""The body of an object: its lines as one run of octets, lossless, as store and image read it."""

from collections.abc import Sequence

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.objects import Line


def encode_lines(lines: Sequence[Line]) -> bytes:
    """The body: an ``Attribute:value`` line each, in UTF-8 whatever the area's charset is.

    Raises: RwhoisError 321, for what would not come back as it was: a line end in a value, a
    colon in a name, or a lone surrogate.
    """
    text = "\n".join(map(":".join, lines)) + "\n" if lines else ""
    if text.count("\n") != len(lines) or "\r" in text:
        raise _unwritable(lines, "a line end; split the value into lines of its own")
    for name, _ in lines:
        if ":" in name:
            raise RwhoisError(
                ResponseCode.INVALID_ATTRIBUTE_SYNTAX, f"attribute name {name!r} has a colon"
            )
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _unwritable(lines, "a character that is no Unicode text") from error


def _unwritable(lines: Sequence[Line], what: str) -> RwhoisError:
    def bad(text: str) -> bool:
        surrogate = any("\ud800" <= c <= "\udfff" for c in text)
        return "\n" in text or "\r" in text or surrogate

    name = next(name for name, value in lines if bad(name) or bad(value))
    return RwhoisError(ResponseCode.INVALID_ATTRIBUTE_SYNTAX, f"attribute {name!r}: {what}")


def decode_lines(body: bytes) -> tuple[Line, ...]:
    """The lines of a body, exactly as they were encoded."""
    parts = [line.partition(":") for line in body.decode().split("\n")]
    parts.pop()  # what is behind the last line end
    return tuple([(name, value) for name, _, value in parts])
