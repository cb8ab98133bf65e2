"""``-security``: the client says who it is (RFC 2167 §3.3.11, arin-rwhoisd.md §4.1).

Nothing is proven here, as a password belongs to no object yet: the answer is %ok, and the check
comes with use (N27). It lasts until ``off``, the next ``on`` or the end of the session (N28).
Where others could read it on its way a password is no method that is offered, if the operator
says so.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import SECRET_SCHEMES, Credentials
from rwhoisd.protocol.replies import OK, Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error
from rwhoisd.service.guardians import require_patience
from rwhoisd.service.settings import ServiceSettings

SCHEMES: Final = SECRET_SCHEMES
_DIRECTIONS: Final = frozenset({"request", "response"})


def security(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Keeps or forgets credentials.

    338 syntax, 352 for a method that is not offered, 401 when the client's net failed too often.
    """
    arguments = request.arguments
    match arguments[0].lower() if arguments else "":
        case "on":
            secrets = accepts_secrets(context.settings, peer)
            credentials = _credentials(arguments[1:], secrets=secrets)
            require_patience(context.ports, peer.address)
            peer.credentials = credentials
        case "off" if peer.credentials is not None:
            peer.credentials = None
        case _:
            raise syntax_error()
    return OK


def accepts_secrets(settings: ServiceSettings, peer: Peer) -> bool:
    """Whether a secret may come in the clear: nobody else reads it, or the operator allows it."""
    return settings.clear_passwords or peer.secure or _is_local(peer.address)


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _credentials(words: Sequence[str], *, secrets: bool) -> Credentials:
    """``request SCHEME PASSWORD``, checked in ARIN's order; further words do not count.

    Without ``secrets`` nothing is looked at behind the scheme.
    """
    if len(words) < 2:
        raise syntax_error()
    direction, scheme = words[0].lower(), words[1].lower()
    if direction not in _DIRECTIONS:
        raise syntax_error()
    if scheme not in SCHEMES:
        raise RwhoisError(ResponseCode.INVALID_SECURITY_METHOD)
    if not secrets:
        raise RwhoisError(ResponseCode.INVALID_SECURITY_METHOD, "TLS needed")
    if len(words) < 3:
        raise syntax_error("Password not supplied")
    if direction == "response":
        raise syntax_error("Scheme not supported")  # a password encrypts nothing (R3.3.11-3)
    return Credentials(scheme, words[2])
