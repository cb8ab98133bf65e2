"""What is said back: response lines and the code that ends them."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.lines import CONTROLS

VERSION: Final = "V-1.5"


class Reply(NamedTuple):
    """The answer to one request.

    ``body`` are finished lines in the wire's charset and line end. The session adds ``%ok``,
    or ``%error`` when there is a ``code``. ``ended`` says that the body has its own last line,
    as the output of an external program may. ``more`` are the further parts of a long body, made
    while they are sent. ``hits`` is for the log: objects in the answer.
    """

    body: bytes = b""
    code: ResponseCode | None = None
    detail: str = ""
    close: bool = False
    ended: bool = False
    more: Iterator[bytes] | None = None
    hits: int = 0


OK: Final = Reply()
OK_LINE: Final = b"%ok"

# An answer as it goes out, its last line included; how many objects it has; its code, 0 for %ok.
Told = tuple[bytes, int, int]


def error(failure: RwhoisError) -> Reply:
    """The reply for a request that cannot be done."""
    return Reply(b"", failure.code, failure.detail)


def body(lines: Iterable[str], dialect: Dialect, charset: str = "utf-8") -> bytes:
    """Response lines as bytes; what ``charset`` lacks becomes a question mark."""
    eol = dialect.eol.decode("ascii")
    return "".join(line + eol for line in lines).encode(charset, "replace")


def error_line(dialect: Dialect, code: ResponseCode, detail: str = "") -> bytes:
    """``%error NNN Text[: detail]`` in the dialect's wording, with its line end (R3.1.9-10).

    The detail may hold what a client sent: it goes back as the bytes it came as.
    """
    text = f"%error {int(code)} {dialect.error_text(code)}" + (f": {detail}" if detail else "")
    return text.encode("latin-1", "replace").translate(None, CONTROLS) + dialect.eol


def banner(dialect: Dialect, capability: int, host: str) -> bytes:
    """``%rwhois V-1.5:CCCCCC:00 host name`` with its line end (§3.1.9, arin-rwhoisd.md §1.1)."""
    line = f"%rwhois {VERSION}:{capability:06x}:00 {host} {dialect.banner_name}"
    return line.encode("ascii", "replace") + dialect.eol
