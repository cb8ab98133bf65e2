"""``-notify``: bad referrals, changed data, slaves that come and go (RFC 2167 §3.3.7)."""

import logging
import re
from collections.abc import Awaitable
from typing import Final, cast, get_args

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.referral import Referral
from rwhoisd.image.reader import Image
from rwhoisd.protocol.replies import OK, Reply
from rwhoisd.protocol.requests import BLANKS, DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, find_area, syntax_error
from rwhoisd.service.ports import Notice, NoticeKind, Notices

log = logging.getLogger(__name__)

KINDS: Final = frozenset(get_args(NoticeKind))
_ABOUT_REFERRALS: Final = frozenset({"badref", "recurref"})
# host:port:area, split at the first two colons outside of brackets (N16)
_PLACE: Final = re.compile(
    r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[^:]*):(?P<area>.+)\Z"
)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+\Z")
_V6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\Z")
_PORT: Final = re.compile(r"[0-9]{1,5}\Z")
_URL: Final = re.compile(r"rwhois://[^ /]+(?:/.*)?\Z", re.IGNORECASE)


def notify(context: Context, peer: Peer, request: DirectiveRequest) -> Reply | Awaitable[Reply]:
    """Takes a notice. 338 syntax; in rfc mode also 342 host or port, 340 area, 401 policy (A11)."""
    word, _, text = request.text.replace("\t", " ").partition(" ")
    text = text.strip(BLANKS)
    if word.lower() not in KINDS or not text:
        raise syntax_error()
    kind = cast("NoticeKind", word.lower())
    notice = Notice(kind, text, peer.address, peer.client)
    if context.dialect.notify_validates:
        notice = _validated(context.image(peer), notice)
    log.info("%s: -notify %s %s", peer.address, kind, text)
    notices = context.ports.notices
    return OK if notices is None else _record(notices, notice)


async def _record(notices: Notices, notice: Notice) -> Reply:
    await notices.record(notice)
    return OK


def _validated(image: Image, notice: Notice) -> Notice:
    """The notice with its server and area. Raises: RwhoisError 338, 340, 342, 401."""
    if notice.kind in _ABOUT_REFERRALS:
        server, area = _referral(notice.text)
    else:
        server, area = _place(image, notice)
    return Notice(notice.kind, notice.text, notice.sender, notice.client, server, area)


def _referral(text: str) -> tuple[HostPort, str]:
    """Server and area of ``URL [class] query`` (R3.3.7-1)."""
    url, _, query = text.partition(" ")
    if not query or not _URL.match(url):
        raise syntax_error()
    try:
        referral = Referral.from_text(url)
    except ValueError:
        raise RwhoisError(ResponseCode.INVALID_HOST_PORT) from None
    return referral.server, referral.area.lower()


def _place(image: Image, notice: Notice) -> tuple[HostPort, str]:
    """Server and area of ``host:port:area``."""
    match = _PLACE.match(notice.text)
    if match is None:
        raise syntax_error()
    host, port = match["v6"] or match["host"] or "", match["port"]
    if not (_V6 if match["v6"] else _HOST).match(host) or not _PORT.match(port):
        raise RwhoisError(ResponseCode.INVALID_HOST_PORT)
    if not 0 < int(port) < 65536:
        raise RwhoisError(ResponseCode.INVALID_HOST_PORT)
    area = find_area(image, match["area"])
    if (area.role == "slave") != (notice.kind == "update"):
        # only a slave is told of changes, only a master has slaves (N22)
        raise RwhoisError(ResponseCode.NOT_AUTHORIZED)
    return HostPort(host, int(port)), area.name.key
