"""A query: parse, search, render, refer (RFC 2167 §3.4, arin-rwhoisd.md §8.6, §8.7)."""

from collections.abc import Sequence
from typing import NamedTuple

from rwhoisd.directory.errors import ResponseCode
from rwhoisd.image.reader import Image
from rwhoisd.image.search import Hits, search
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.session import Peer
from rwhoisd.query.parser import parse
from rwhoisd.service.referrals import Referrals
from rwhoisd.service.settings import ServiceSettings


class Found(NamedTuple):
    """What a query gives before it is written down."""

    records: bytes
    hits: Hits
    referrals: Sequence[str]


class QueryAnswerer:
    """Answers queries from an image; holds what is the same for all of them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._dialect = settings.dialect
        self._allowed = settings.allowed
        self._referrals = Referrals(settings.punts, complete=settings.dialect.completes_referrals)
        self._skip_referrals = settings.skip_referrals
        self._eol = settings.dialect.eol.decode("ascii")

    def find(self, image: Image, peer: Peer, line: bytes) -> Found:
        """Objects and referrals for ``line``. Raises: RwhoisError 350, 351, 320, 341."""
        query = parse(line, image.names, self._dialect, self._allowed)
        hits = search(image, query, peer.limit)
        texts = () if self._skip_referrals else self._referrals.texts(image, query)
        return Found(image.public(hits.records), hits, texts)

    def reply(self, found: Found) -> Reply:
        """Records, then referrals, then the code (§8.7).

        A hidden object is found and shows nothing: a bare %ok (N6).
        """
        body, (records, exceeded), texts = found
        if texts:
            eol = self._eol
            body += "".join([f"%referral {text}{eol}" for text in texts]).encode("latin-1")
        code = None
        if exceeded:
            code = ResponseCode.LIMIT_EXCEEDED  # replaces %ok (N14)
        elif not (records or texts):
            code = ResponseCode.NO_OBJECTS_FOUND
        return Reply(body, code, hits=len(records))
