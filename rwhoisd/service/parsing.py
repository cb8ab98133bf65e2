"""Parse programs: what a class has look at each registration before it counts (§6.6).

The program gets the records in a file and may rewrite it. How it ends decides: 0, what the file
holds then is registered; 1 or 2, nothing is, and the program tells the client why with an
``%error`` line of its own; anything else is 402. Its other lines go to the client as they are,
but for those that only end an answer (A5).
"""

import logging
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.objects import Line
from rwhoisd.protocol.lines import clean
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.session import Peer
from rwhoisd.protocol.spool import NEW, Record, records
from rwhoisd.service.context import Context
from rwhoisd.service.ports import Parsed, Parsing

log = logging.getLogger(__name__)

_ABANDONED: Final = (1, 2)  # deferred, refused
_LAST: Final = (b"%ok", b"%error")
_ERROR: Final = re.compile(rb"%error ([1-5]\d\d)\b")
_ONE_LINE: Final = str.maketrans("\r\n", "  ")


class AbandonedError(Exception):
    """A parse program does not let a registration happen; ``reply`` is what the client gets."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("registration abandoned by its parse program")
        self.reply = reply


async def parsed(
    context: Context, peer: Peer, parsing: Parsing, class_name: str
) -> tuple[bytes, list[Record]]:
    """What a parse program says to the client, and the records that its file holds then.

    Raises: AbandonedError.
    """
    programs = context.ports.programs
    if programs is None:
        result = Parsed(b"", None, b"", "no programs are run here")
    else:
        result = await programs.parse(parsing)
    eol = context.dialect.eol
    lines = [line for raw in result.output.split(b"\n") if (line := raw.rstrip(b"\r"))]
    said = [line for line in lines if not line.startswith(_LAST)]
    body = b"".join(line + eol for line in said)
    told = (peer.address, parsing.action, class_name, parsing.program)
    if result.status == 0:
        if len(said) < len(lines):
            log.warning("%s: %s of a %s: %s tells an end, yet its exit status is 0", *told)
        return body, records([c for raw in result.content.split(b"\n") if (c := clean(raw))])
    error = next((line for line in lines if _ERROR.match(line)), None)
    if result.status in _ABANDONED and error is not None:
        log.info("%s: %s of a %s was abandoned by %s", *told)
        code, fatal = _code(error)
        raise AbandonedError(Reply(body + error + eol, code, close=fatal, ended=True))
    why = result.failure or f"exit status {result.status}"
    if result.status in _ABANDONED:
        why += ", but no %error line"
    log.warning("%s: %s of a %s: %s failed: %s", *told, why)
    raise AbandonedError(Reply(body, ResponseCode.UNIDENTIFIED))


def _code(error: bytes) -> tuple[ResponseCode, bool]:
    """The code that an ``%error`` line tells, 402 for one that is none of ours, and whether it
    closes the connection (RC-2)."""
    match = _ERROR.match(error)
    assert match is not None
    fatal = match[1].startswith(b"5")
    with suppress(ValueError):
        return ResponseCode(int(match[1])), fatal
    return ResponseCode.UNIDENTIFIED, fatal


def content(charset: str, *parts: Iterable[Line]) -> bytes:
    """Records as the file holds them: ``Name:value`` lines, ``_NEW_`` between two records."""
    return f"{NEW}\n".join(map(_written, parts)).encode(charset, "replace")


def _written(lines: Iterable[Line]) -> str:
    # A value is one line, wherever it came from: none can begin another record.
    return "".join(f"{name}:{value.translate(_ONE_LINE)}\n" for name, value in lines)


def replacement(found: Sequence[Record]) -> Record:
    """The record that is to be registered: the one behind ``_NEW_``, else the only one."""
    return found[1] if len(found) > 1 else found[0]
