"""PGP: requests that are signed, responses that are signed or encrypted (RFC 2167 §3.3.11).

A payload is opened beside the loop. What it held becomes the session's input, and who signed it
is proven for that input only: lines in the clear, before or behind, may have been put there by
anybody on the way. Keys are those of the operator's keyring and no others.
"""

from collections.abc import Awaitable, Sequence

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import PGP_SCHEME, Credentials
from rwhoisd.protocol.payload import Opened, Sealing, Treatment
from rwhoisd.protocol.replies import OK, Reply, error
from rwhoisd.protocol.requests import PayloadRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Answering, Context, syntax_error
from rwhoisd.service.guardians import require_patience
from rwhoisd.service.ports import Keyring

_TAKEN: Reply = Reply(ended=True)  # nothing is said: the requests in the payload get the answers


def payload(context: Context, peer: Peer, request: PayloadRequest) -> Answering:
    """Opens a payload for the session. 338 unasked or too long, 401 after too many failures,
    353 for a signature that proves nothing, 354 when it cannot be decrypted.

    In a registration nothing is said, as for its other lines: the error comes at its end.
    """
    try:
        keyring = context.ports.keyring
        if keyring is None or peer.treatment is None:
            raise syntax_error("no payload was announced")
        if request.refusal:
            raise syntax_error(request.refusal)
        require_patience(context.ports, peer.address)
    except RwhoisError as failure:
        return _refused(peer, failure)
    return _open(context, keyring, peer, request.data, peer.treatment)


async def _open(
    context: Context, keyring: Keyring, peer: Peer, data: bytes, treatment: Treatment
) -> Reply:
    try:
        opened = await keyring.open(data, treatment, octets=peer.limits.spool_octets)
    except RwhoisError as failure:
        if failure.code is ResponseCode.AUTHENTICATION_FAILED:
            context.ports.failures.failed(peer.address, 1)
        return _refused(peer, failure)
    if peer.spool is None and not opened.content.strip():
        return OK  # nothing was asked, and somebody waits
    credentials = Credentials(PGP_SCHEME, "", keys=opened.keys) if opened.keys else None
    peer.opened = Opened(opened.content, credentials)
    return _TAKEN


def _refused(peer: Peer, failure: RwhoisError) -> Reply:
    if peer.spool is None:
        return error(failure)
    peer.spool.refuse(failure.detail or "payload refused", failure.code)
    return _TAKEN


def treatment_of(words: Sequence[str]) -> Treatment:
    """The first of the words behind ``pgp``. Raises: RwhoisError 338."""
    try:
        return Treatment(words[0].lower())
    except (IndexError, ValueError):
        raise syntax_error() from None


async def seal_responses(keyring: Keyring, peer: Peer, words: Sequence[str]) -> Reply:
    """Responses go out as ``words`` say from the next on. 338 without key, 352 when there is
    nothing to sign with, 354 for a key that is not there or cannot be used.
    """
    treatment = treatment_of(words)
    if treatment.signs and not keyring.signs:
        raise RwhoisError(ResponseCode.INVALID_SECURITY_METHOD, "no signing key")
    key = ""
    if treatment.encrypts:
        if len(words) < 2:
            raise syntax_error("no key")
        key = await keyring.key_for(words[1])
    peer.sealing = Sealing(treatment, key)
    return OK


async def sealed(keyring: Keyring, sealing: Sealing, coming: Answering, eol: bytes) -> Reply:
    """The reply with its lines in a PGP block; the last line stays outside (§3.3.11, N13)."""
    reply = await _here(coming)
    if not reply.body and reply.more is None:
        return reply
    try:
        block = await keyring.seal(reply.body, reply.more, sealing)
    except RwhoisError as failure:
        return error(failure)
    lines = block.replace(b"\r\n", b"\n").replace(b"\n", eol)
    return reply._replace(body=lines, more=None, ended=False)


async def _here(coming: Answering) -> Reply:
    if isinstance(coming, Reply):
        return coming
    waited: Awaitable[Reply] = coming
    return await waited
