"""``-rwhois``: the client names its version (RFC 2167 §3.2)."""

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.replies import VERSION, Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error


def rwhois(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """The banner again (R3.2.1-2). 338 without version, 300 for one we do not speak."""
    arguments = request.arguments
    if not arguments:
        raise syntax_error()
    if arguments[0].upper() != VERSION:
        raise RwhoisError(ResponseCode.NOT_COMPATIBLE)
    peer.client = " ".join(arguments[1:])
    return Reply(context.banner)
