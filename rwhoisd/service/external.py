"""``-X-…``: external programs (RFC 2167 §3.3.15)."""

import logging
from collections.abc import Awaitable
from typing import Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.directives import Directive
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context
from rwhoisd.service.ports import Programs

log = logging.getLogger(__name__)
_ERROR: Final = b"%error "


def external(context: Context, peer: Peer, request: DirectiveRequest) -> Awaitable[Reply]:
    """What the program prints, then %ok; 402 when it fails (B30)."""
    row = context.table.find(request.word)
    programs = context.ports.programs
    if row is None or programs is None:
        raise RwhoisError(ResponseCode.DIRECTIVE_NOT_AVAILABLE)
    return _run(programs, row, peer, request, context.dialect.eol)


async def _run(
    programs: Programs, row: Directive, peer: Peer, request: DirectiveRequest, eol: bytes
) -> Reply:
    result = await programs.run(row, request.arguments)
    output = result.output
    if output and not output.endswith(b"\n"):
        output += eol  # the last line of a response stands alone (R3.1.2-2)
    if not result.failure:
        return Reply(output)
    log.warning("%s: -%s failed: %s", peer.address, row.name, result.failure)
    if output.rstrip(b"\r\n").rpartition(b"\n")[2].startswith(_ERROR):
        return Reply(output, ended=True)  # it told its own error, as ARIN's expects (§3)
    return Reply(output, ResponseCode.UNIDENTIFIED)
