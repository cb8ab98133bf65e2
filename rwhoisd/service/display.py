"""``-display``: formats of answers; there is one, dump (RFC 2167 §3.3.3)."""

from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.replies import OK, Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error

DUMP = "dump"


def display(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """The formats without argument; else chooses one: 436 if unknown, 338 for several."""
    arguments = request.arguments
    if not arguments:
        return context.reply(*_formats(context.dialect, peer))
    if len(arguments) > 1:
        raise syntax_error()
    if arguments[0].lower() != DUMP:
        raise RwhoisError(ResponseCode.INVALID_DISPLAY)
    peer.display = arguments[0]
    return OK


def shown_format(dialect: Dialect, peer: Peer) -> str:
    """The format in ``-status`` and ``-display``: as typed, ``DUMP`` at first, at ARIN's (A10)."""
    return (peer.display or DUMP.upper()) if dialect.display_details else DUMP


def _formats(dialect: Dialect, peer: Peer) -> list[str]:
    name = shown_format(dialect, peer)
    if not dialect.display_details:
        return [f"%display name:{name}", "%display"]
    return [
        f"%display name:{name}",
        f"%display length:{len(name)}",
        f"%display description:display in {name} format",
        "%display",
    ]
