"""``-security``: the client says who it is (RFC 2167 §3.3.11, arin-rwhoisd.md §4.1).

Nothing is proven here, as a password belongs to no object yet: the answer is %ok, and the check
comes with use (N27). It lasts until ``off``, the next ``on`` or the end of the session (N28).
With PGP it is the state that lasts, and each payload is proven by itself (``service.pgp``).
Where others could read it on its way a password is no method that is offered, if the operator
says so.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import PGP_SCHEME, SECRET_SCHEMES, Credentials
from rwhoisd.protocol.replies import OK
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Answering, Context, syntax_error
from rwhoisd.service.guardians import require_patience
from rwhoisd.service.pgp import seal_responses, treatment_of
from rwhoisd.service.ports import Ports
from rwhoisd.service.settings import ServiceSettings

SCHEMES: Final = SECRET_SCHEMES | {PGP_SCHEME}  # of guardians
_DIRECTIONS: Final = frozenset({"request", "response"})


def schemes(ports: Ports) -> frozenset[str]:
    """The schemes that a client may give a guardian: those that can be satisfied here."""
    return SECRET_SCHEMES if ports.keyring is None else SCHEMES


def security(context: Context, peer: Peer, request: DirectiveRequest) -> Answering:
    """Keeps or forgets what the client says of its requests, and wants of its responses.

    338 syntax, 352 for a method that is not offered, 401 when the client's net failed too often.
    Each ``on`` replaces the one before in its direction, ``off`` ends both.
    """
    arguments = request.arguments
    match arguments[0].lower() if arguments else "":
        case "on":
            return _on(context, peer, arguments[1:])
        case "off" if peer.credentials or peer.treatment or peer.sealing:
            peer.credentials = peer.treatment = peer.sealing = None
            return OK
    raise syntax_error()


def _on(context: Context, peer: Peer, words: Sequence[str]) -> Answering:
    """``DIRECTION METHOD DATA...``, checked in ARIN's order."""
    if len(words) < 2:
        raise syntax_error()
    direction, method = words[0].lower(), words[1].lower()
    if direction not in _DIRECTIONS:
        raise syntax_error()
    keyring = context.ports.keyring
    if method == PGP_SCHEME and keyring is not None:
        if direction == "response":
            require_patience(context.ports, peer.address)
            return seal_responses(keyring, peer, words[2:])
        treatment, credentials = treatment_of(words[2:]), None
    else:
        secrets = accepts_secrets(context.settings, peer)
        treatment, credentials = None, _credentials(direction, method, words[2:], secrets=secrets)
    require_patience(context.ports, peer.address)
    peer.treatment, peer.credentials = treatment, credentials
    return OK


def accepts_secrets(settings: ServiceSettings, peer: Peer) -> bool:
    """Whether a secret may come in the clear: nobody else reads it, or the operator allows it."""
    return settings.clear_passwords or peer.secure or _is_local(peer.address)


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _credentials(
    direction: str, scheme: str, words: Sequence[str], *, secrets: bool
) -> Credentials:
    """A password, which is the first of the words; further ones do not count.

    Without ``secrets`` nothing is looked at behind the scheme.
    """
    if scheme not in SECRET_SCHEMES:
        raise RwhoisError(ResponseCode.INVALID_SECURITY_METHOD)
    if not secrets:
        raise RwhoisError(ResponseCode.INVALID_SECURITY_METHOD, "TLS needed")
    if not words:
        raise syntax_error("Password not supplied")
    if direction == "response":
        raise syntax_error("Scheme not supported")  # a password encrypts nothing (R3.3.11-3)
    return Credentials(scheme, words[0])
