"""``-security``: the client says who it is (RFC 2167 §3.3.11, arin-rwhoisd.md §4.1).

Nothing is proven here, as a password belongs to no object yet: the answer is %ok, and the check
comes with use (N27). It lasts until ``off``, the next ``on`` or the end of the session (N28).
"""

from collections.abc import Sequence
from typing import Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import CRYPT_SCHEME, PASSWORD_SCHEMES, Credentials
from rwhoisd.protocol.replies import OK, Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error

SCHEMES: Final = PASSWORD_SCHEMES | {CRYPT_SCHEME}
_DIRECTIONS: Final = frozenset({"request", "response"})


def security(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Keeps or forgets credentials. 338 syntax, 352 for a method that is not offered."""
    del context
    arguments = request.arguments
    match arguments[0].lower() if arguments else "":
        case "on":
            peer.credentials = _credentials(arguments[1:])
        case "off" if peer.credentials is not None:
            peer.credentials = None
        case _:
            raise syntax_error()
    return OK


def _credentials(words: Sequence[str]) -> Credentials:
    """``request SCHEME PASSWORD``, checked in ARIN's order; further words do not count."""
    if len(words) < 2:
        raise syntax_error()
    direction, scheme = words[0].lower(), words[1].lower()
    if direction not in _DIRECTIONS:
        raise syntax_error()
    if scheme not in SCHEMES:
        raise RwhoisError(ResponseCode.INVALID_SECURITY_METHOD)
    if len(words) < 3:
        raise syntax_error("Password not supplied")
    if direction == "response":
        raise syntax_error("Scheme not supported")  # a password encrypts nothing (R3.3.11-3)
    return Credentials(scheme, words[2])
