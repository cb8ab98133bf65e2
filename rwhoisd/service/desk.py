"""Where those are answered who are nobody in particular, from one version of the image.

A desk gives an answer as it goes out, for a line as it came, with nothing made in between. What it
gives is what the session and ``Service.handle`` give for the line, step by step; a property test
(tests/property/test_shortcuts.py) holds both together.
"""

from collections.abc import Mapping
from typing import Final

from rwhoisd.directory.addresses import plain_address
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.names import (
    LONGEST_TOP_LEVEL,
    HierarchicalName,
    Network,
    hierarchical_value,
)
from rwhoisd.directory.phonetic import is_phonetic
from rwhoisd.image.reader import Image
from rwhoisd.image.scopes import Plan, Sight
from rwhoisd.image.words import Found, Words
from rwhoisd.protocol.lines import is_clean_query
from rwhoisd.protocol.replies import OK_LINE, Reply, Told, error_line
from rwhoisd.query.parser import PLAIN, PLAIN_NAMED, PLAIN_QUOTED
from rwhoisd.service.cache import AnswerCache
from rwhoisd.service.query import Finding, QueryAnswerer

_ADDRESS_BITS: Final = 32
_MOST: Final = 256  # desks; clients choose their limits
_LIMIT_EXCEEDED: Final = int(ResponseCode.LIMIT_EXCEEDED)
_NO_OBJECTS_FOUND: Final = int(ResponseCode.NO_OBJECTS_FOUND)


class Desk:
    """Answers lines of clients with one limit who see the same areas."""

    __slots__ = (
        *("_begun", "_cache", "_closed", "_exceeded", "_links", "_mark", "_none", "_ok", "_plans"),
        *("_queries", "_reserved", "_stars", "_tree", "_words", "image", "limit"),
    )

    def __init__(
        self, queries: QueryAnswerer, image: Image, limit: int, cache: AnswerCache, mark: bytes
    ) -> None:
        """``mark`` tells this desk's answers from those of others in the same cache."""
        settings, scopes = queries.settings, image.scopes
        self._queries = queries
        self.image = image
        self.limit = limit
        self._cache = cache
        self._mark = mark
        self._closed = False
        self._begun: tuple[bytes, Reply | Finding] | None = None
        self._words = Words(image, limit)
        self._plans: Mapping[bytes | None, Plan] = scopes.heads if settings.allowed.terms else {}
        self._reserved = scopes.names.reserved
        self._stars = settings.allowed.wildcard
        self._tree = scopes.tree
        self._links = image.head.link_lengths  # areas with link referrals
        dialect = settings.dialect
        self._ok = OK_LINE + dialect.eol
        self._none = error_line(dialect, ResponseCode.NO_OBJECTS_FOUND)
        self._exceeded = error_line(dialect, ResponseCode.LIMIT_EXCEEDED)

    def answer(self, line: bytes) -> Told | None:
        """The answer to a line without its line end.

        None when it may be no query at all, or is not answered in one piece and in a moment:
        then ``begun`` has it.
        """
        key = line + self._mark if self._mark else line
        cache = self._cache
        told = cache.young.get(key)
        if told is None and cache.old:
            told = cache.again(key)
        if told is None:
            folded = line.upper()
            match = PLAIN(folded)
            if match is not None:
                head, name, place, star = match.groups()
                plan = self._plans.get(head)
                told = None if plan is None else self._word(plan, name, place, star)
            elif (match := PLAIN_NAMED(folded)) is not None:
                told = self._named(*match.groups())
            elif (match := PLAIN_QUOTED(folded)) is not None:
                told = self._quoted(*match.groups())
            if told is None:
                if match is None and not is_clean_query(line):
                    return None
                begun = self._queries.begin(self.image, self.limit, line)
                told = self.told(begun) if isinstance(begun, Reply) else None
                if told is None:
                    self._begun = (line, begun)
                    return None
            cache.put(key, told)
        return told

    def begun(self, line: bytes) -> Reply | Finding:
        """The reply to any query, or the search for it, if it takes its time."""
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] == line:
            return begun[1]
        return self._queries.begin(self.image, self.limit, line)

    def keep(self, line: bytes, reply: Reply) -> None:
        """Keep an answer that took its time, if it is one piece and was asked for before."""
        told = None if self._closed else self.told(reply)
        if told is not None and is_clean_query(line):
            self._cache.put(line + self._mark, told)

    def close(self) -> None:
        """Keep nothing from now on: what is kept is made from a newer version."""
        self._closed = True

    def told(self, reply: Reply) -> Told | None:
        """The reply as it goes out; None when it has more parts, or closes the connection."""
        code = reply.code
        if reply.more is not None:
            return None
        if code is None:
            return reply.body + self._ok, reply.hits, 0
        if code.fatal:
            return None
        end = error_line(self._queries.settings.dialect, code, reply.detail)
        return reply.body + end, reply.hits, int(code)

    def _named(
        self,
        head: bytes | None,
        attribute: bytes,
        name: bytes | None,
        place: bytes | None,
        star: bytes | None,
    ) -> Told | None:
        """The answer to ``[CLASS] ATTRIBUTE=WORD[*]`` in upper case; None when the long way has to
        look."""
        scopes = self.image.scopes
        known = scopes.names.attributes
        folded = attribute.lower().decode("ascii")
        if head not in self._plans or attribute in self._reserved or folded not in known:
            return None
        if (name or place or b"").lower().decode("latin-1") in known:
            return None  # the dialect decides whether that is a value
        class_name = None if head is None else scopes.names.heads[head]
        return self._word(scopes.plan(class_name, folded), name, place, star)

    def _quoted(
        self,
        head: bytes | None,
        attribute: bytes | None,
        name: bytes | None,
        place: bytes | None,
        star: bytes | None,
    ) -> Told | None:
        """The same for ``[CLASS] [ATTRIBUTE=]"TEXT[*]"``."""
        scopes = self.image.scopes
        plan = self._plans.get(head)
        if attribute is not None and plan is not None:
            folded = attribute.lower().decode("ascii")
            if attribute in self._reserved or folded not in scopes.names.attributes:
                return None
            plan = scopes.plan(None if head is None else scopes.names.heads[head], folded)
        if plan is None:
            return None
        if not star:  # blanks before a star count
            name, place = name and name.rstrip(b" "), place and place.rstrip(b" ")
        text = name or place
        if not text or (plan.sounds and is_phonetic(text.decode("latin-1"))):
            return None
        return self._word(plan, name, place, star)

    def _word(
        self, plan: Plan, name: bytes | None, place: bytes | None, star: bytes | None
    ) -> Told | None:
        """The answer for a word that looks where ``plan`` says."""
        if star and not self._stars:
            return None
        if name is None or len(name) <= LONGEST_TOP_LEVEL:
            return self._placed(plan, place or name or b"", star)
        if name in self._reserved or not plan.text or (plan.sounds and name.isalpha()):
            return None
        found = self._words.beginning(plan, name) if star else self._words.equal(plan, name)
        return None if found is None else self._written(found)

    def _placed(self, plan: Plan, word: bytes, star: bytes | None) -> Told | None:
        """The same for a word that may stand for a place in a hierarchy: an address, a domain."""
        text = word.decode("latin-1")
        if not star and plan.networks:
            address = plain_address(text)
            if address is not None:
                return self._address(plan, word, address)
        place = hierarchical_value(text)
        found: Found | None = None
        if word in self._reserved or (plan.sounds and word.isalpha()):
            return None
        if type(place) is Network and plan.networks:
            found = None if star else self._words.around(plan, word, place)
        elif plan.text:
            found = self._words.beginning(plan, word) if star else self._words.equal(plan, word)
        if found is None:
            return None
        return self._written(found, self._referred(place) if place else b"")

    def _address(self, plan: Plan, word: bytes, address: int) -> Told | None:
        found = self._words.around_address(plan, word, address)
        if found is None:
            return None
        area = self._tree.deciding_address(4, address)
        if area is None:
            return self._written(found, self._queries.punts)
        if area in self._links and self._words.refers(area, address):
            return self._written(found, self._referred(Network(4, address, _ADDRESS_BITS)))
        return self._written(found)

    def _referred(self, place: HierarchicalName) -> bytes:
        return self._queries.written(self._queries.texts_for(self.image, place))

    def _written(self, found: Found, referrals: bytes = b"") -> Told:
        """As ``QueryAnswerer.reply`` writes it down, with the last line."""
        body, count, exceeded = found
        if referrals:
            body += referrals
        if exceeded:
            return body + self._exceeded, count, _LIMIT_EXCEEDED
        if count or referrals:
            return body + self._ok, count, 0
        return self._none, 0, _NO_OBJECTS_FOUND


class Desks:
    """The desks of the newest version, made when they are first needed."""

    def __init__(self, queries: QueryAnswerer, cache_octets: int) -> None:
        self._queries = queries
        self._cache = AnswerCache(cache_octets)
        self._version: tuple[int, int] | None = None
        self._desks: dict[tuple[int, Sight], Desk] = {}

    def desk(self, image: Image, limit: int) -> Desk:
        """The desk for clients with this limit who see this image, the newest one."""
        if image.version != self._version or len(self._desks) >= _MOST:
            self._version = image.version
            self.clear()
        key = (limit, image.sight)
        desk = self._desks.get(key)
        if desk is None:
            # No line holds an LF: a line that did would be given another desk's answers.
            mark = b"\n%d" % len(self._desks) if self._desks else b""
            desk = self._desks[key] = Desk(self._queries, image, limit, self._cache, mark)
        return desk

    def clear(self) -> None:
        """Let go of all desks and answers, and so of the version of the image they are of."""
        for old in self._desks.values():
            old.close()
        self._desks.clear()
        self._cache.clear()
