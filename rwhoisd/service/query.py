"""A query: parse, search, render, refer (RFC 2167 §3.4, arin-rwhoisd.md §8.6, §8.7)."""

from collections.abc import Sequence
from typing import NamedTuple

from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.names import Network, hierarchical_value
from rwhoisd.image.reader import Image
from rwhoisd.image.search import Hits, depends_on_eyes, find_word, search
from rwhoisd.protocol.replies import Reply
from rwhoisd.query.ast import Query
from rwhoisd.query.parser import parse, plain_words
from rwhoisd.service.guardians import Guardians
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

    def answer(self, image: Image, limit: int, line: bytes) -> Reply:
        """The reply to ``line`` for a client who is nobody in particular. Raises as ``find``.

        Nearly all lines are one word, perhaps behind a class, and what it finds is told by one
        look into the index: these need no query as a value, and the place of the word in the
        hierarchy is read once for search and referrals.
        """
        words = plain_words(line, image.scopes.names, self._allowed)
        if words is not None:
            class_name, text, match = words
            place = hierarchical_value(text)
            network = place if type(place) is Network else None
            plan = image.scopes.plan(class_name, None)
            records = find_word(image, plan, text, network, match, limit)
            if records is not None:
                exceeded = 0 < limit < len(records)
                if exceeded:
                    records = records[:limit]
                texts: Sequence[str] = ()
                if place is not None and not self._skip_referrals:
                    texts = self._referrals.texts_for(image, place)
                return self._written(image.public(records), len(records), exceeded, texts)
        return self.reply(self.find(image, limit, line))

    def find(self, image: Image, limit: int, line: bytes) -> Found:
        """Objects and referrals for ``line``. Raises: RwhoisError 350, 351, 320, 341."""
        query = self._parsed(image, line)
        return self._found(image, query, search(image, query, limit))

    def find_as(self, guardians: Guardians, image: Image, limit: int, line: bytes) -> Found:
        """What a client finds that may satisfy guardians, in full where it does.

        Private lines are searched for it only once it has satisfied one. Raises as ``find``.
        """
        query = self._parsed(image, line)
        hits = search(image, query, limit)
        records = guardians.records(hits.records)
        if depends_on_eyes(image, query) and guardians.satisfies_any():
            hits = search(image, query, limit, guardians.sees)
            records = guardians.records(hits.records)
        return self._found(image, query, hits)._replace(records=records)

    def _parsed(self, image: Image, line: bytes) -> Query:
        return parse(line, image.names, self._dialect, self._allowed)

    def _found(self, image: Image, query: Query, hits: Hits) -> Found:
        texts = () if self._skip_referrals else self._referrals.texts(image, query)
        return Found(image.public(hits.records), hits, texts)

    def reply(self, found: Found) -> Reply:
        """The reply that tells what was found."""
        records, hits, texts = found
        return self._written(records, len(hits.records), hits.exceeded, texts)

    def _written(self, body: bytes, count: int, exceeded: bool, texts: Sequence[str]) -> Reply:
        """Records, then referrals, then the code (§8.7).

        A hidden object is found and shows nothing: a bare %ok (N6).
        """
        if texts:
            eol = self._eol
            body += "".join([f"%referral {text}{eol}" for text in texts]).encode("latin-1")
        code = None
        if exceeded:
            code = ResponseCode.LIMIT_EXCEEDED  # replaces %ok (N14)
        elif not (count or texts):
            code = ResponseCode.NO_OBJECTS_FOUND
        return Reply(body, code, "", False, False, None, count)  # by place: as cheap as can be
