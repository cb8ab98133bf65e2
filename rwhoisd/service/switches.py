"""``-holdconnect``, ``-forward``, ``-limit``, ``-quit``: the session's own switches (§3.3.4-8)."""

import re
from typing import Final

from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.replies import OK, Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, on_or_off, syntax_error

_LEADING_NUMBER: Final = re.compile(r"[ \t]*([+-]?)([0-9]+)")
_DIGITS: Final = 18  # a number of more digits is out of any range


def holdconnect(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Whether the connection stays after a query; 338 for anything but on and off."""
    del context
    peer.holdconnect = on_or_off(request)
    return OK


def forward(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Whether the server follows referrals for the client; ARIN's only shows it (A9)."""
    del context
    peer.forward = on_or_off(request)
    return OK


def limit(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Sets the largest number of objects in an answer; 338, 331 outside of the range."""
    arguments = request.arguments
    if len(arguments) != 1:
        raise syntax_error()
    number = _number(arguments[0], context.dialect)
    ceiling = context.settings.max_objects
    least = 1 if ceiling else 0  # 0 is "no limit", for servers that set none (N20)
    if number is None or number < least or (ceiling and number > ceiling):
        raise RwhoisError(ResponseCode.INVALID_LIMIT)
    peer.limit = number
    return OK


def quit_(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """%ok and the end; arguments do not matter (R3.3.8-2)."""
    del context, peer, request
    return Reply(close=True)


def _number(text: str, dialect: Dialect) -> int | None:
    """The number; None when it is out of any range. ARIN reads leading digits (N21).

    Raises: RwhoisError 338, in rfc mode when it is not all digits.
    """
    if not dialect.limit_leading_digits and not (text.isascii() and text.isdigit()):
        raise syntax_error()
    match = _LEADING_NUMBER.match(text)
    if match is None:
        return 0
    digits = match[2].lstrip("0") or "0"
    return None if len(digits) > _DIGITS else int(match[1] + digits)
