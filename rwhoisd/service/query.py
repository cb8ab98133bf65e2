"""A query: parse, search, render, refer (RFC 2167 §3.4, arin-rwhoisd.md §8.6, §8.7)."""

from collections.abc import Generator, Iterator, Sequence
from typing import Final, NamedTuple

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import HierarchicalName
from rwhoisd.image.reader import Image
from rwhoisd.image.search import Hits, depends_on_eyes, search, searching
from rwhoisd.image.words import MOST_AT_ONCE
from rwhoisd.protocol.replies import Reply, error
from rwhoisd.query.ast import Query
from rwhoisd.query.parser import parse
from rwhoisd.service.guardians import Guardians
from rwhoisd.service.referrals import Referrals
from rwhoisd.service.settings import ServiceSettings

PART_RECORDS: Final = MOST_AT_ONCE  # of an answer that is sent in parts


class Found(NamedTuple):
    """What a query gives before it is written down."""

    image: Image
    hits: Hits
    referrals: Sequence[str]
    query: Query
    personal: bytes | None = None  # the records as the client gets to see them, if it is somebody

    @property
    def records(self) -> bytes:
        """The records, written down."""
        return self.image.public(self.hits.records) if self.personal is None else self.personal


Finding = Generator[None, None, Found]  # yields when others should have their turn


def at_once(finding: Finding) -> Found | None:
    """What is found up to the first stop; None when that is not all. Raises as ``finding``."""
    try:
        next(finding)
    except StopIteration as end:
        found: Found = end.value
        return found
    return None


class QueryAnswerer:
    """Answers queries from an image; holds what is the same for all of them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings: Final = settings
        self._referrals = Referrals(settings.punts, complete=settings.dialect.completes_referrals)
        self._eol = settings.dialect.eol.decode("ascii")
        self.punts: Final = (
            b"" if settings.skip_referrals else self.written(self._referrals.punts())
        )

    def begin(self, image: Image, limit: int, line: bytes) -> Reply | Finding:
        """The reply to ``line``; what is not found in a moment is left to be gone on with."""
        finding = self.finding(image, limit, line)
        try:
            found = at_once(finding)
        except RwhoisError as failure:
            return error(failure)
        return finding if found is None else self.reply(found)

    def finding(self, image: Image, limit: int, line: bytes) -> Finding:
        """Objects and referrals for ``line``. Raises: RwhoisError 350, 351, 320, 341."""
        query = self._parsed(image, line)
        hits = yield from searching(image, query, limit, scan=self.settings.allowed.scan)
        return self._found(image, query, hits)

    def find_as(self, guardians: Guardians, found: Found, limit: int) -> Found:
        """What a client finds that may satisfy guardians, in full where it does.

        ``found`` is what everybody finds. Private lines are searched only once the client has
        satisfied a guardian. Raises as ``finding``.
        """
        image, query = found.image, found.query
        records = guardians.records(found.hits.records)
        if depends_on_eyes(image, query) and guardians.satisfies_any():
            hits = search(image, query, limit, guardians.sees, scan=self.settings.allowed.scan)
            found = self._found(image, query, hits)
            records = guardians.records(hits.records)
        return found._replace(personal=records)

    def _parsed(self, image: Image, line: bytes) -> Query:
        return parse(line, image.names, self.settings.dialect, self.settings.allowed)

    def _found(self, image: Image, query: Query, hits: Hits) -> Found:
        texts = () if self.settings.skip_referrals else self._referrals.texts(image, query)
        return Found(image, hits, texts, query)

    def reply(self, found: Found) -> Reply:
        """The reply that tells what was found."""
        count = len(found.hits.records)
        if count > PART_RECORDS and found.personal is None:
            return self._in_parts(found)
        return self._written(found.records, count, found.hits.exceeded, found.referrals)

    def _in_parts(self, found: Found) -> Reply:
        """The same, made while the client reads: a long answer is never in memory as a whole."""
        image, records = found.image, found.hits.records
        last = self._written(b"", len(records), found.hits.exceeded, found.referrals)

        def parts() -> Iterator[bytes]:
            for start in range(0, len(records), PART_RECORDS):
                yield image.public(records[start : start + PART_RECORDS])
            yield last.body

        return last._replace(body=b"", more=parts())

    def _written(self, body: bytes, count: int, exceeded: bool, texts: Sequence[str]) -> Reply:
        """Records, then referrals, then the code (§8.7).

        A hidden object is found and shows nothing: a bare %ok (N6).
        """
        if texts:
            body += self.written(texts)
        code = None
        if exceeded:
            code = ResponseCode.LIMIT_EXCEEDED  # replaces %ok (N14)
        elif not (count or texts):
            code = ResponseCode.NO_OBJECTS_FOUND
        return Reply(body, code, hits=count)

    def texts_for(self, image: Image, place: HierarchicalName) -> Sequence[str]:
        """The referrals of a query of one word that stands for ``place``."""
        return () if self.settings.skip_referrals else self._referrals.texts_for(image, place)

    def written(self, texts: Sequence[str]) -> bytes:
        """Referrals as they are sent."""
        return "".join([f"%referral {text}{self._eol}" for text in texts]).encode("latin-1")
