"""``-X-…``: external programs (RFC 2167 §3.3.15)."""

import logging
from collections.abc import Awaitable, Sequence
from typing import Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.directives import Directive
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error
from rwhoisd.service.ports import Programs

log = logging.getLogger(__name__)
_ERROR: Final = b"%error "


def external(context: Context, peer: Peer, request: DirectiveRequest) -> Awaitable[Reply]:
    """What the program prints, then %ok; 402 when it fails (B30), 338 for an option."""
    row = context.table.find(request.word)
    programs = context.ports.programs
    if row is None or programs is None:
        raise RwhoisError(ResponseCode.DIRECTIVE_NOT_AVAILABLE)
    arguments = request.arguments
    if not context.settings.program_options and any(a.startswith("-") for a in arguments):
        # The operator chose the program; a client has not to choose what it does.
        raise syntax_error("no options")
    return _run(programs, row, peer, arguments, context.dialect.eol)


async def _run(
    programs: Programs, row: Directive, peer: Peer, arguments: Sequence[str], eol: bytes
) -> Reply:
    result = await programs.run(row, arguments)
    output = result.output
    if output and not output.endswith(b"\n"):
        output += eol  # the last line of a response stands alone (R3.1.2-2)
    if not result.failure:
        return Reply(output)
    log.warning("%s: -%s failed: %s", peer.address, row.name, result.failure)
    if output.rstrip(b"\r\n").rpartition(b"\n")[2].startswith(_ERROR):
        return Reply(output, ended=True)  # it told its own error, as ARIN's expects (§3)
    return Reply(output, ResponseCode.UNIDENTIFIED)
