"""Finding objects: which records a query gives, in which order (arin-rwhoisd.md §8 and §14).

The order is area, class, branch of "or", index, key, attribute, object. A query never walks a
posting or a range of keys further than what it returns, but for terms that no index serves
(leading wildcards without a reversed index, later terms of "and"): those are bounded, and beyond
the bound the query is too complex (351).

A search that takes its time stops every few milliseconds (``searching``), so that whoever
answers others as well can go on with it in turns.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import ADDRESS_BITS, Network
from rwhoisd.directory.phonetic import is_phonetic, phonetic_key
from rwhoisd.directory.schema import IndexType
from rwhoisd.image import keys
from rwhoisd.image.reader import Hit, Image
from rwhoisd.image.rendering import Flag
from rwhoisd.image.scopes import Look, Pair, Plan
from rwhoisd.query.ast import Match, Query, Term

SCAN: Final = 100_000  # keys or objects looked at in vain before a query is too complex
_GATHERED: Final = 256  # keys read at once before the look goes class by class
_TURN: Final = 2_000  # steps, about a microsecond each, between two stops of a search
_FIRST_TURN: Final = 500  # up to the first one: most searches end before
_OBJECT: Final = 12  # steps that it takes to look at an object
_REVERSED: Final = 2_000  # reversed keys read before the look goes through the keys in order

_DIGITS: Final = frozenset("0123456789")
_EXACT: Final = Match.EXACT
_PREFIX: Final = Match.PREFIX
_UNSEEN: Final = 50  # what it costs to ask for the guardians of an object in vain
_FEW: Final = 4  # keys read before it is known whether a range has many
_EVERY_LENGTH: Final = {family: range(bits + 1) for family, bits in ADDRESS_BITS.items()}
_KIND: Final = {IndexType.EXACT: keys.EXACT, IndexType.SOUNDEX: keys.PHONETIC}


Sees = Callable[[int], bool]


class Hits(NamedTuple):
    """What was found: records in answer order, and whether the limit cut any off."""

    records: tuple[int, ...]
    exceeded: bool


Searching = Generator[None, None, Hits]


def search(
    image: Image, query: Query, limit: int, sees: Sees | None = None, *, scan: int = SCAN
) -> Hits:
    """What ``searching`` returns, whatever time it takes."""
    steps = searching(image, query, limit, sees, scan=scan)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            hits: Hits = end.value
            return hits


def searching(
    image: Image, query: Query, limit: int, sees: Sees | None = None, *, scan: int = SCAN
) -> Searching:
    """The first ``limit`` distinct objects that ``query`` finds; 0 is no limit.

    A generator that returns them, and yields whenever others should have their turn.
    ``sees``: whether the client satisfies a guardian of a record; only then are its private
    lines searched, if the image conceals them (rfc mode). ARIN's server searches them for
    everybody: the object counts, but what is private is not shown. ``scan``: keys and objects
    that may be looked at in vain.
    Raises: RwhoisError 351, when the search would have to look at too much.
    """
    branches = query.branches
    if len(branches) == 1 and len(branches[0]) == 1 and sees is None:
        found = _shortcut(image, query.class_name, branches[0][0], limit)
        if found is not None:
            if limit and len(found) > limit:
                return Hits(found[:limit], exceeded=True)
            return Hits(found, exceeded=False)
    bound = _Bound(limit, scan)
    return (yield from _collect(_stream(image, query, bound, sees), limit, bound))


def depends_on_eyes(image: Image, query: Query) -> bool:
    """Whether a client that satisfies guardians may find more by ``query`` than others."""
    return image.conceals and any(
        len(chain) > 1
        or image.scopes.plan(query.class_name, chain[0].attribute, concealed=True).looks
        for chain in query.branches
    )


# The shortcuts: nearly every query is one term, and what it finds lies in one class. Then the
# index has it in answer order. Each gives None when it is not so, and the long way goes on; a
# property test holds both to one model.


def _shortcut(
    image: Image, class_name: str | None, term: Term, limit: int
) -> tuple[int, ...] | None:
    text = term.value
    plan = image.scopes.plan(class_name, term.attribute)
    network = None
    if plan.networks and text and (text[0] in _DIGITS or ":" in text):
        network = Network.from_text(text)
    return find_word(image, plan, text, network, term.match, limit)


def find_word(
    image: Image, plan: Plan, text: str, network: Network | None, match: Match, limit: int
) -> tuple[int, ...] | None:
    """Records of one term, at least one more than ``limit`` when there are; None: ask ``search``.

    ``network``: what ``text`` is as a network, if it is one.
    """
    if not text or len(text) >= keys.CUT or (plan.sounds and is_phonetic(text)):
        return None
    if network is not None and plan.networks:
        return _walk(image, plan, network, text) if match is _EXACT else None
    if not plan.text:
        return None
    if match is _EXACT:
        return _equal(image, plan, text)
    return _beginning(image, plan, text, limit) if match is _PREFIX else None


def _equal(image: Image, plan: Plan, text: str) -> tuple[int, ...] | None:
    """One get: a posting is in answer order whatever the classes are."""
    flat = image.posting(keys.EXACT + text.encode("latin-1"))
    if flat is None:
        return None
    scopes = plan.text
    if len(flat) == 2:
        return (flat[1],) if flat[0] in scopes else ()
    records = zip(flat[::2], flat[1::2], strict=True)
    return tuple(dict.fromkeys([record for scope, record in records if scope in scopes]))


def _walk(image: Image, plan: Plan, network: Network, text: str) -> tuple[int, ...] | None:
    """One get for each network length in use."""
    if plan.text and image.has(keys.EXACT + text.encode("latin-1")):
        return None
    flat = image.postings_around(network)
    if flat is None or not _one_class(image, plan, flat[::2]):
        return None
    return tuple(dict.fromkeys(flat[1::2]))


def _beginning(image: Image, plan: Plan, text: str, limit: int) -> tuple[int, ...] | None:
    """One range of keys, when it ends before the limit or there is one class only."""
    low = keys.EXACT + text.encode("latin-1")
    most = limit + 1 if limit else _GATHERED
    with image.txn.cursor(image.env.terms) as cursor:
        found: Any = cursor.iternext() if cursor.set_range(low) else iter(())
        pairs = list(islice(found, _FEW))
        if len(pairs) == _FEW and pairs[-1][0].startswith(low):
            pairs += islice(found, max(most + 1 - _FEW, 0))
    while pairs and not pairs[-1][0].startswith(low):
        pairs.pop()
    values, cut = [value for _, value in pairs], keys.CUT
    flat = keys.entries(b"".join(values))
    if len(flat) != 2 * len(values) or b"" in values or [k for k, _ in pairs if len(k) > cut]:
        return None  # not one entry each, or keys that may be out of order
    if len(pairs) > most and not (limit and len(plan.looks) == 1):
        return None
    if not _one_class(image, plan, flat[::2]):
        return None
    records = flat[1::2]
    if len(set(records)) < len(records):
        records = tuple(dict.fromkeys(records))
    return records if len(pairs) <= most or len(records) >= most else None


def _one_class(image: Image, plan: Plan, scopes: Sequence[int]) -> bool:
    """Whether all scopes are looked for, by the same index, and are of one class of one area."""
    if not scopes:
        return True
    first = scopes[0]
    if scopes.count(first) == len(scopes):
        return first in plan.text or first in plan.networks
    different = set(scopes)
    if not (different <= plan.text or different <= plan.networks):
        return False
    return image.scopes.pair_of(min(different)) is image.scopes.pair_of(max(different))


# The long way


_STOP: Final = -1  # among records: let others have their turn
_STOP_HIT: Final[Hit] = (0, _STOP)


def _collect(records: Iterator[int], limit: int, bound: "_Bound") -> Searching:
    found: dict[int, None] = {}
    for record in records:
        if record == _STOP or bound.step():
            yield
        if record == _STOP or record in found:
            continue  # duplicates go at first sight (§8.6)
        if limit and len(found) == limit:
            return Hits(tuple(found), exceeded=True)  # B14: wherever the next one is
        found[record] = None
    return Hits(tuple(found), exceeded=False)


def _stream(image: Image, query: Query, bound: "_Bound", sees: Sees | None) -> Iterator[int]:
    """Records in answer order, with duplicates and stops: every branch in every class (B10)."""
    branches = [_Branch(image, query.class_name, c, bound, sees) for c in query.branches]
    numbers = set[int]()
    for branch in branches:
        yield from branch.prepare()
        numbers |= branch.pairs()
    for number in sorted(numbers):
        for branch in branches:
            yield from branch.records(number)


class _Bound:
    """Counts what is looked at. ``gathered``: how many keys to read at once."""

    def __init__(self, limit: int, scan: int) -> None:
        self._left = scan
        self._turn = _FIRST_TURN
        self.gathered = min(_GATHERED, 2 * limit + _GATHERED // 8) if limit else _GATHERED

    def step(self, steps: int = 1) -> bool:
        """So many more; whether others should have their turn now."""
        self._turn -= steps
        if self._turn > 0:
            return False
        self._turn = _TURN
        return True

    def spend(self, cost: int = 1) -> None:
        """One more in vain. Raises: RwhoisError 351, when it was too much."""
        self._left -= cost
        if self._left < 0:
            raise RwhoisError(ResponseCode.QUERY_TOO_COMPLEX)


class _Branch:
    """A chain of "and": the first term goes through the index, the others test what it finds."""

    def __init__(
        self,
        image: Image,
        class_name: str | None,
        chain: Sequence[Term],
        bound: _Bound,
        sees: Sees | None,
    ) -> None:
        self._image = image
        self._bound = bound
        self._sees = sees
        self._tests = [_Test(term) for term in chain[1:]]
        self._finds: dict[tuple[IndexType, bool], _Find] = {}
        self._plans: list[tuple[Plan, bool]] = []  # concealed keys come after all others
        for concealed in (False, True) if sees and image.conceals else (False,):
            plan = image.scopes.plan(class_name, chain[0].attribute, concealed=concealed)
            self._plans.append((plan, concealed))
            for kind in plan.allowed:
                find = _find(image, chain[0], kind, plan, bound, concealed=concealed)
                if find is not None:
                    self._finds[kind, concealed] = find
        if len(chain) > 1 and not (sees and image.conceals):
            self._narrow(chain[1:])

    def _narrow(self, terms: Sequence[Term]) -> None:
        """Look in long postings for those records only that the rarest of the tests may take."""
        image, pairs = self._image, [look.pair for look in self._plans[0][0].looks]
        found = (_takers(image, pairs, term) for term in terms)
        fewest = min((some for some in found if some is not None), key=len, default=None)
        for find in self._finds.values():
            if isinstance(find, _Keys):
                find.among = fewest

    def prepare(self) -> Iterator[int]:
        """What has to be done before all else; gives stops only."""
        for find in self._finds.values():
            yield from find.prepare()

    def pairs(self) -> set[int]:
        """Numbers of the pairs in which something may be found."""
        return set[int]().union(*(find.pairs() for find in self._finds.values()))

    def records(self, number: int) -> Iterator[int]:
        """Records of a pair, in the order of its indexes, and stops."""
        for plan, concealed in self._plans:
            look = plan.by_pair.get(number)
            for kind, scopes in look.kinds if look else ():
                find = self._finds.get((kind, concealed))
                if find is not None and look is not None:
                    hits = find.hits(look, scopes)
                    yield from self._passed(look.pair, hits, concealed=concealed)

    def _passed(self, pair: Pair, hits: Iterator[Hit], *, concealed: bool) -> Iterator[int]:
        steps = _OBJECT * (1 + len(self._tests) // 2) if self._tests or concealed else 0
        for hit in hits:
            record = hit[1]
            if hit is _STOP_HIT or (steps and self._bound.step(steps)):
                yield _STOP
            if hit is _STOP_HIT:
                continue
            if concealed and not (self._sees and self._sees(record)):
                self._bound.spend(_UNSEEN)
            elif self._passes(pair, record):
                yield record

    def _passes(self, pair: Pair, record: int) -> bool:
        if not self._tests or _pass(self._image, pair, record, self._tests, self._sees):
            return True
        self._bound.spend()
        return False


# Terms after the first: the object itself is looked at


class _Test:
    """A term against an object: values as they are, in upper case, without any index (§8.2)."""

    def __init__(self, term: Term) -> None:
        self.value = term.value.encode("latin-1")
        self.attribute = term.attribute
        self.is_below = term.match is Match.BELOW
        self._compare = _comparison(term, self.value)

    def holds(self, pair: Pair, lines: Sequence[tuple[str, bytes]]) -> bool:
        """Whether any value of the attribute (any attribute when none is named) compares."""
        if self.attribute is None:
            return any(self._compare(value.upper()) for _, value in lines)
        attribute = pair.class_def.attribute(self.attribute)
        if attribute is None:
            return False
        name = attribute.name
        return any(n == name and self._compare(value.upper()) for n, value in lines)


def _comparison(term: Term, value: bytes) -> Callable[[bytes], bool]:
    if term.match is Match.BELOW:
        outer = Network.from_text(term.value)
        return lambda text: _lies_within(text, outer)
    compare: dict[Match, Callable[[bytes], bool]] = {
        Match.EXACT: value.__eq__,
        Match.PREFIX: lambda text: text.startswith(value),
        Match.SUFFIX: lambda text: text.endswith(value),
        Match.CONTAINS: lambda text: value in text,
    }
    return compare[term.match]


def _lies_within(text: bytes, outer: Network | None) -> bool:
    inner = Network.from_text(text.decode("latin-1"))
    return inner is not None and outer is not None and inner.within(outer)


def _pass(image: Image, pair: Pair, record: int, tests: Sequence[_Test], sees: Sees | None) -> bool:
    flags = image.flags(record)
    concealed = image.conceals and bool(flags & Flag.GUARDED) and not (sees and sees(record))
    # A hidden object is found by what is not private of it, and shows nothing (N6). Whatever is
    # searched of private lines, what a privacy profile hides is not.
    whole = not flags & Flag.VEILED and (not concealed or bool(flags & Flag.HIDDEN))
    view = image.full_record(record) if whole else image.public((record,))
    folded = view.upper()
    if not all(test.is_below or test.value in folded for test in tests):
        return False  # most fail here, without taking the record apart
    lines = image.lines_of_view(pair, view)
    passed_by = pair.private if concealed else pair.secret
    if passed_by:
        lines = [line for line in lines if line[0] not in passed_by]
    return all(test.holds(pair, lines) for test in tests)


_ADDED: Final = ("auth-area", "class-name")  # lines that are shown when an object has none


def _takers(image: Image, pairs: Sequence[Pair], term: Term) -> Sequence[int] | None:
    """All records that a test by a term may take, and some more; None when they are many.

    They are known when an index has every value that the test looks at: it does if it names an
    attribute that all classes have in the text index. What no index has for want of rights, the
    test passes by as well.
    """
    text = term.value.encode("latin-1")
    if term.match is not Match.EXACT or term.attribute is None or keys.normalized(text) != text:
        return None
    named = [a for pair in pairs if (a := pair.class_def.attribute(term.attribute))]
    if not all(IndexType.EXACT in a.index.parts and a.name.lower() not in _ADDED for a in named):
        return None
    flat = image.posting(keys.stored_key(keys.EXACT + text)) if text else None
    return None if flat is None else sorted(set(flat[1::2]), key=image.order)


# First terms: what an index kind gives for them


class _Find(ABC):
    """What one index has for a term."""

    def prepare(self) -> Iterator[int]:
        """What has to be done before all else; gives stops only."""
        return iter(())

    @abstractmethod
    def pairs(self) -> set[int]:
        """Numbers of the pairs in which something may be found."""

    @abstractmethod
    def hits(self, look: Look, scopes: Sequence[int]) -> Iterator[Hit]:
        """Hits in one pair, with one of ``scopes``, by key and entry; and stops."""


def _find(
    image: Image, term: Term, kind: IndexType, plan: Plan, bound: _Bound, *, concealed: bool
) -> _Find | None:
    """How to look for a term in an index; None when it cannot be in there."""
    if kind is IndexType.CIDR:
        return _find_network(image, term, plan, bound, concealed=concealed)
    text = term.value
    if kind is IndexType.SOUNDEX:
        text = phonetic_key(text) if is_phonetic(text) else ""
    if not text and not (kind is IndexType.EXACT and term.match is Match.PREFIX):
        return None  # "" equals nothing, but everything begins with it
    key = _KIND[kind] + text.encode("latin-1")
    if concealed:
        key = keys.concealed(key)
    if term.match is Match.EXACT:
        return _Keys(image, [key], plan, kind)
    if term.match is Match.PREFIX:
        return _Range(image, key, keys.after_prefix(key), None, plan, kind, bound)
    if term.match is Match.SUFFIX and kind is IndexType.EXACT and not concealed:
        ending = image.keys_ending_in(key[1:], _REVERSED)
        if ending is not None:
            return _Keys(image, ending, plan, kind)
    compare = {
        Match.SUFFIX: lambda found: found.endswith(key[1:]),
        Match.CONTAINS: lambda found: key[1:] in found,
    }.get(term.match)
    if compare is None:
        return None
    return _Range(image, key[:1], keys.after_prefix(key[:1]), compare, plan, kind, bound)


def _find_network(
    image: Image, term: Term, plan: Plan, bound: _Bound, *, concealed: bool
) -> _Find | None:
    """The walk from a network up to those around it, most specific first (§8.4)."""
    network = Network.from_text(term.value)
    if network is None:
        return None
    if term.match is Match.BELOW:
        low, high = keys.below_range(network)
        if concealed:
            low, high = keys.concealed(low), keys.concealed(high)
        return _Range(image, low, high, None, plan, IndexType.CIDR, bound)
    if term.match not in (Match.EXACT, Match.SUFFIX):
        lengths = _EVERY_LENGTH[network.family] if concealed else image.lengths[network.family]
        found = list(_by_key_text(lengths, network))
    elif concealed:  # the lengths in use are those of the other keys
        found = list(network.enclosing())
    else:
        found = [network.shorten(n) for n in image.lengths_within(network)]
    wanted = [keys.network_key(n) for n in found]
    if concealed:
        wanted = list(map(keys.concealed, wanted))
    return _Keys(image, wanted, plan, IndexType.CIDR)


def _by_key_text(lengths: Iterable[int], network: Network) -> Iterator[Network]:
    """The walk with a star: each key on it is the beginning of a key as text (§8.4).

    So ``/2`` stands for ``/2`` and ``/20`` to ``/29`` with the same first address, in that order.
    """
    lengths = sorted(lengths, key=str)
    for outer in network.enclosing():
        for length in lengths:
            if str(length).startswith(str(outer.length)) and length >= outer.length:
                yield Network(network.family, outer.start, length)


class _Keys(_Find):
    """A few keys, in turn.

    ``among``: records, in their order, that hits of long postings have to be of; None: any.
    """

    def __init__(self, image: Image, found: Sequence[bytes], plan: Plan, kind: IndexType) -> None:
        self.among: Sequence[int] | None = None
        self._image = image
        self._keys = found
        self._plan = plan
        self._by_pair = self._gathered(plan.allowed[kind])

    def _gathered(self, allowed: frozenset[int]) -> Mapping[int, list[Hit]] | None:
        """All hits by pair; None when a posting is too long to be read at once."""
        found: dict[int, list[Hit]] = {}
        pair_of = self._image.scopes.pair_of
        for key in self._keys:
            flat = self._image.posting(keys.stored_key(key))
            if flat is None:
                return None
            for i in range(0, len(flat), 2):
                if flat[i] in allowed:
                    hits = found.setdefault(pair_of(flat[i]).number, [])
                    hits.append((flat[i], flat[i + 1]))
        return found

    def pairs(self) -> set[int]:
        return set(self._plan.by_pair if self._by_pair is None else self._by_pair)

    def hits(self, look: Look, scopes: Sequence[int]) -> Iterator[Hit]:
        if self._by_pair is not None:
            yield from self._by_pair.get(look.pair.number, ())
            return
        for key in self._keys:
            stored = keys.stored_key(key)
            flat = self._image.posting(stored)
            if flat is None and self.among is not None:
                yield from self._listed(stored, scopes, self.among)
            else:
                yield from _of_scopes(self._image, stored, flat, scopes)

    def _listed(self, stored: bytes, scopes: Sequence[int], among: Sequence[int]) -> Iterator[Hit]:
        """Those of some records that a long posting has, in its order."""
        for scope in scopes:
            for record in among:
                if self._image.has_entry(stored, scope, record):
                    yield scope, record


class _Range(_Find):
    """A range of keys, of which ``test`` may take some only (it gets the key without its kind).

    The index is by key first, answers are by class first: what is short is read at once and put
    in order, else each class has its turn, through the blocks that have anything of it.
    """

    def __init__(
        self,
        image: Image,
        low: bytes,
        high: bytes,
        test: Callable[[bytes], bool] | None,
        plan: Plan,
        kind: IndexType,
        bound: _Bound,
    ) -> None:
        self._image = image
        self._low = low
        self._high = high
        self._test = test
        self._plan = plan
        self._bound = bound
        self._allowed = plan.allowed[kind]
        self._by_pair: Mapping[int, list[Hit]] | None = None

    def prepare(self) -> Iterator[int]:
        if len(self._plan.looks) > 1:
            self._by_pair = yield from self._gathered(self._allowed)

    def _gathered(
        self, allowed: frozenset[int]
    ) -> Generator[int, None, Mapping[int, list[Hit]] | None]:
        found: dict[int, list[Hit]] = {}
        pair_of = self._image.scopes.pair_of
        seen = 0
        for key, stored, value in self._image.terms_between(self._low, self._high):
            if self._bound.step():
                yield _STOP
            if self._is_vain(key, stored, value):
                continue
            seen += 1
            if seen > self._bound.gathered or not value:
                return None
            flat = keys.entries(value)
            for i in range(0, len(flat), 2):
                if flat[i] in allowed:
                    hits = found.setdefault(pair_of(flat[i]).number, [])
                    hits.append((flat[i], flat[i + 1]))
        return found

    def _is_vain(self, key: bytes, stored: bytes, value: bytes) -> bool:
        """Whether the test does not take a key, which then counts.

        A key of hidden areas counts the same whether it would be taken or not: when a query is
        too complex does not depend on what stands there.
        """
        if self._test is None:
            return False
        if self._test(key[1:]) and not self._image.hides(stored, value):
            return False
        self._bound.spend()
        return True

    def pairs(self) -> set[int]:
        return set(self._plan.by_pair if self._by_pair is None else self._by_pair)

    def hits(self, look: Look, scopes: Sequence[int]) -> Iterator[Hit]:
        if self._by_pair is not None:
            yield from self._by_pair.get(look.pair.number, ())
            return
        for key, stored, value in self._terms(scopes):
            if self._bound.step():
                yield _STOP_HIT
            if self._is_vain(key, stored, value):
                continue
            flat = keys.entries(value) if value else None
            yield from _of_scopes(self._image, stored, flat, scopes)

    def _terms(self, scopes: Sequence[int]) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Keys of the range: the first ones all, then those of blocks that hold the scopes."""
        image, low = self._image, self._low
        for count, term in enumerate(image.terms_between(low, self._high)):
            if count == self._bound.gathered:
                low = term[0]
                break
            yield term
        else:
            return
        for boundary in image.blocks(low, self._high, scopes):
            end = image.block_end(boundary)
            stop = self._high if end is None else min(end, self._high)
            yield from image.terms_between(max(boundary, low), stop)


def _of_scopes(
    image: Image, stored: bytes, flat: tuple[int, ...] | None, scopes: Sequence[int]
) -> Iterator[Hit]:
    """Entries of a posting with one of the scopes (which are in their order)."""
    if flat is None:
        for scope in scopes:
            yield from image.many_hits(stored, scope, scope + 1)
        return
    for i in range(0, len(flat), 2):
        if flat[i] in scopes:
            yield flat[i], flat[i + 1]
