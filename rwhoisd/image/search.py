"""Finding objects: which records a query gives, in which order (arin-rwhoisd.md §8 and §14).

The order is area, class, branch of "or", index, key, attribute, object. A query never walks a
posting or a range of keys further than what it returns; of terms with "and" between them the
rarest decides what is looked at (narrowing.py). What no index serves (leading wildcards without a
reversed index, later terms that name no attribute or one without an index) is bounded, and beyond
the bound the query is too complex (351).

A search that takes its time stops every few milliseconds (``searching``), so that whoever
answers others as well can go on with it in turns.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import ADDRESS_BITS, Network
from rwhoisd.directory.phonetic import is_phonetic, phonetic_key
from rwhoisd.directory.schema import IndexType
from rwhoisd.image import keys
from rwhoisd.image.narrowing import Takers, beside, common, takers
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
_FEW_HITS: Final = 256  # that are found without a stop
_READ: Final = 1024  # keys of a range that are read at once
_READ_AT_ONCE: Final = 8  # numbers of entries that cost a step
_OF_ROWS: Final = itemgetter(0, 1, 2)
_OF_KEYS: Final = itemgetter(0, 1)
_CLASS: Final = 5  # steps that it takes to see whether a class has anything
_ENTERED: Final = 6  # steps that it takes to enter several long postings
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
    sees = sees if image.conceals else None
    if sees is None:
        hits = _at_once(image, query, limit)
        if hits is not None:
            return hits
    bound = _Bound(limit, scan)
    if sees is None:
        hits = yield from _in_one_class(image, query, limit, bound)
        if hits is not None:
            return hits
    return (yield from _collect(_stream(image, query, bound, sees), limit, bound))


def depends_on_eyes(image: Image, query: Query) -> bool:
    """Whether a client that satisfies guardians may find more by ``query`` than others."""
    return image.conceals and any(
        len(chain) > 1
        or image.scopes.plan(query.class_name, chain[0].attribute, concealed=True).looks
        for chain in query.branches
    )


# The shortcuts: what most queries find is little, or lies in one class, where the index has it in
# answer order. Each gives None when it is not so, and the long way goes on; a property test holds
# all to one model.


def _at_once(image: Image, query: Query, limit: int) -> Hits | None:
    """What is found when it is little: short postings, or what a rare later term may take."""
    branches = query.branches
    if len(branches) == 1 and len(branches[0]) == 1:
        found = _shortcut(image, query.class_name, branches[0][0], limit)
        if found is not None:
            return _cut(found, limit)
    rows: list[tuple[int, int, int, int]] = []  # pair, branch, place of the index, record
    for number, chain in enumerate(branches):
        plan = image.scopes.plan(query.class_name, chain[0].attribute)
        found_here = _few_hits(image, query.class_name, plan, chain)
        if found_here is None:
            return None
        rows += _rows(image, plan, number, found_here)
        if len(rows) > _FEW_HITS:
            return None
    if len(rows) > 1:
        rows.sort(key=_OF_ROWS)
    tests = [[_Test(term) for term in chain[1:]] for chain in branches]
    return _passing(image, rows, tests, limit)


def _passing(
    image: Image,
    rows: Sequence[tuple[int, int, int, int]],
    tests: Sequence[Sequence["_Test"]],
    limit: int,
) -> Hits:
    """The first records of rows that the later terms of their branches take."""
    found: dict[int, None] = {}
    for pair, number, _, record in rows:
        if record in found:
            continue
        if tests[number] and not _pass(image, image.scopes.pairs[pair], record, tests[number]):
            continue
        if limit and len(found) == limit:
            return Hits(tuple(found), exceeded=True)
        found[record] = None
    return Hits(tuple(found), exceeded=False)


def _cut(records: tuple[int, ...], limit: int) -> Hits:
    """The first ``limit`` of records that are different."""
    if limit and len(records) > limit:
        return Hits(records[:limit], exceeded=True)
    return Hits(records, exceeded=False)


def _rows(
    image: Image, plan: Plan, branch: int, found: Sequence[tuple[IndexType, Hit]]
) -> list[tuple[int, int, int, int]]:
    """Hits with what sorts them among those of all branches: pair, branch, place of the index."""
    places: dict[tuple[IndexType, int], tuple[int, int]] = {}
    rows = []
    for kind, (scope, record) in found:
        place = places.get((kind, scope))
        if place is None:
            number = image.scopes.pair_of(scope).number
            kinds = [k for k, _ in plan.by_pair[number].kinds]
            place = places[kind, scope] = number, kinds.index(kind)
        rows.append((place[0], branch, place[1], record))
    return rows


def _few_hits(
    image: Image, class_name: str | None, plan: Plan, chain: Sequence[Term]
) -> list[tuple[IndexType, Hit]] | None:
    """Hits of a chain's first term by index and in its order; None when they are many.

    Only those that its other terms may take, as far as an index knows.
    """
    hits = _short_hits(image, plan, chain[0])
    if len(chain) == 1 or (hits is not None and len(hits) <= _FEW):
        return hits
    rare = _rarest([takers(image, class_name, plan, term) for term in chain[1:]])
    if rare is None:
        return hits
    if hits is None:
        return _listed_hits(image, plan, chain[0], rare)
    some = frozenset(rare)
    return [hit for hit in hits if hit[1][1] in some]


def _rarest(found: Sequence[Takers | None]) -> Sequence[int] | None:
    """The fewest records of those that are known; None when none are."""
    known = [some.records for some in found if some is not None and some.records is not None]
    return min(known, key=len, default=None)


def _short_hits(image: Image, plan: Plan, term: Term) -> list[tuple[IndexType, Hit]] | None:
    """Hits of a term for a whole value, if all its postings are short; None: another, or long."""
    if term.match is not _EXACT or len(term.value) >= keys.CUT:
        return None
    text, found = term.value, list[tuple[IndexType, Hit]]()
    for kind, allowed in plan.allowed.items():
        flat: tuple[int, ...] | None = ()
        if kind is IndexType.CIDR:
            if text[:1] in _DIGITS or ":" in text:
                network = Network.from_text(text)
                flat = image.postings_around(network) if network else ()
        elif kind is IndexType.SOUNDEX:
            if is_phonetic(text) and (key := keys.phonetic_key(phonetic_key(text))):
                flat = image.posting(keys.stored_key(key))
        elif text:
            flat = image.posting(keys.stored_key(keys.EXACT + text.encode("latin-1")))
        if flat is None:
            return None
        found += [
            (kind, hit) for hit in zip(flat[::2], flat[1::2], strict=True) if hit[0] in allowed
        ]
    return found


def _listed_hits(
    image: Image, plan: Plan, term: Term, records: Sequence[int]
) -> list[tuple[IndexType, Hit]] | None:
    """Those of some records that a term finds in the text index alone; None: elsewhere, too."""
    if term.match is not _EXACT or len(plan.allowed) > 1 or not plan.text or not term.value:
        return None
    stored = keys.stored_key(keys.EXACT + term.value.encode("latin-1"))
    found: list[tuple[IndexType, Hit]] = []
    for record in records:
        look = plan.by_pair.get(image.pair(record).number)
        for _, scopes in look.kinds if look else ():
            found += [
                (IndexType.EXACT, (s, record)) for s in scopes if image.has_entry(stored, s, record)
            ]
    return sorted(found, key=lambda hit: hit[1][0])


def _in_one_class(
    image: Image, query: Query, limit: int, bound: "_Bound"
) -> Generator[None, None, Hits | None]:
    """What a range of keys has when only one class has such keys; None when it is not so."""
    term = query.branches[0][0]
    if len(query.branches) > 1 or len(query.branches[0]) > 1:
        return None
    plan = image.scopes.plan(query.class_name, term.attribute)
    wanted = _range_of(plan, term)
    if wanted is None or len(wanted[1]) > keys.CUT:
        return None
    kind, low, high = wanted
    if kind not in plan.alone:
        return None
    found: dict[int, None] = {}
    allowed = plan.allowed[kind]
    with image.txn.cursor(image.env.terms) as cursor:
        pairs: Any = cursor.iternext() if cursor.set_range(low) else iter(())
        while not limit or len(found) <= limit:
            some = list(islice(pairs, min(_READ, limit + 1 - len(found)) if limit else _READ))
            ended = not some or some[-1][0] >= high
            while some and some[-1][0] >= high:
                some.pop()
            values = [value for _, value in some]
            if b"" in values or any(len(key) > keys.CUT for key, _ in some):
                return None  # a long posting, or keys that may be out of order
            flat = keys.entries(b"".join(values))
            if allowed.issuperset(flat[::2]):
                found.update(dict.fromkeys(flat[1::2]))
            else:
                hits = zip(flat[::2], flat[1::2], strict=True)
                found.update(dict.fromkeys([record for scope, record in hits if scope in allowed]))
            if ended:
                break
            if bound.step(len(flat) // _READ_AT_ONCE):
                yield
    return _cut(tuple(found), limit)


def _range_of(plan: Plan, term: Term) -> tuple[IndexType, bytes, bytes] | None:
    """The keys that a term asks for, when they are one range of one index; None otherwise."""
    text = term.value
    network = Network.from_text(text)
    if term.match is Match.BELOW:
        if network is None or not plan.networks:
            return None
        return IndexType.CIDR, *keys.below_range(network)
    if term.match is not Match.PREFIX or not plan.text:
        return None
    if (network is not None and plan.networks) or (plan.sounds and is_phonetic(text)):
        return None
    low = keys.EXACT + text.encode("latin-1")
    return IndexType.EXACT, low, keys.after_prefix(low)


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
    if flat is None:
        return None
    if not plan.networks.issuperset(flat[::2]):  # what is not looked for: referred areas
        hits = zip(flat[::2], flat[1::2], strict=True)
        flat = tuple([n for hit in hits if hit[0] in plan.networks for n in hit])
    if not _one_class(image, plan, flat[::2]):
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
        if bound.step(_CLASS):
            yield _STOP
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
    """A chain of "and": the first term goes through the index, the others test what it finds.

    Where an index has few records that a later term may take, the first term's keys of those
    are asked for, and it does not matter how much it finds itself.
    """

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
        self._among: dict[int, list[int]] | None = None  # by pair: no others pass; None: any may
        if len(chain) > 1 and sees is None:
            self._narrow(class_name, chain[1:])

    def _narrow(self, class_name: str | None, terms: Sequence[Term]) -> None:
        image, plan = self._image, self._plans[0][0]
        found = [takers(image, class_name, plan, term) for term in terms]
        rare = _rarest(found)
        if rare is None:
            for find in self._finds.values():
                find.beside = [some for some in found if some is not None]
            return
        self._among = {}
        for record in rare:
            self._among.setdefault(image.pair(record).number, []).append(record)

    def prepare(self) -> Iterator[int]:
        """What has to be done before all else; gives stops only."""
        if self._among is None:
            for find in self._finds.values():
                yield from find.prepare()

    def pairs(self) -> set[int]:
        """Numbers of the pairs in which something may be found."""
        if self._among is not None:
            return set(self._among)
        return set[int]().union(*(find.pairs() for find in self._finds.values()))

    def records(self, number: int) -> Iterator[int]:
        """Records of a pair, in the order of its indexes, and stops."""
        for plan, concealed in self._plans:
            look = plan.by_pair.get(number)
            for kind, scopes in look.kinds if look else ():
                find = self._finds.get((kind, concealed))
                if find is not None and look is not None:
                    if self._among is None:
                        hits = find.hits(look, scopes)
                    else:
                        hits = find.among(scopes, self._takers(look.pair))
                    yield from self._passed(look.pair, hits, concealed=concealed)

    def _takers(self, pair: Pair) -> list[int]:
        """The records that pass, of those of a pair that may."""
        assert self._among is not None
        some = self._among.get(pair.number, ())
        return [record for record in some if self._passes(pair, record)]

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


def _pass(
    image: Image, pair: Pair, record: int, tests: Sequence[_Test], sees: Sees | None = None
) -> bool:
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


# First terms: what an index kind gives for them


class _Find(ABC):
    """What one index has for a term.

    ``beside``: what the long postings of later terms have is all that can pass.
    """

    beside: Sequence[Takers] = ()

    def prepare(self) -> Iterator[int]:
        """What has to be done before all else; gives stops only."""
        return iter(())

    @abstractmethod
    def pairs(self) -> set[int]:
        """Numbers of the pairs in which something may be found."""

    @abstractmethod
    def hits(self, look: Look, scopes: Sequence[int]) -> Iterator[Hit]:
        """Hits in one pair, with one of ``scopes``, by key and entry; and stops."""

    @abstractmethod
    def among(self, scopes: Sequence[int], records: Sequence[int]) -> Iterator[Hit]:
        """Those of some records of the pair, which come in the order of a posting."""


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
        return _Keys(image, [key], plan, kind, bound)
    if term.match is Match.PREFIX:
        return _Range(image, key, keys.after_prefix(key), None, plan, kind, bound)
    if term.match is Match.SUFFIX and kind is IndexType.EXACT and not concealed:
        ending = image.keys_ending_in(key[1:], _REVERSED)
        if ending is not None:
            return _Keys(image, ending, plan, kind, bound)
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
    return _Keys(image, wanted, plan, IndexType.CIDR, bound)


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
    """A few keys, in turn."""

    def __init__(
        self, image: Image, found: Sequence[bytes], plan: Plan, kind: IndexType, bound: _Bound
    ) -> None:
        self._image = image
        self._keys = found
        self._bound = bound
        self._by_pair = self._gathered(plan.allowed[kind])
        self._pairs: set[int] = set(self._by_pair or ())

    def prepare(self) -> Iterator[int]:
        """Find the classes that have anything: of very many only few may."""
        if self._by_pair is None:
            for key in self._keys:
                for number in self._image.pairs_of(keys.stored_key(key)):
                    self._pairs.add(number)
                    if self._bound.step():
                        yield _STOP

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
        return self._pairs

    def hits(self, look: Look, scopes: Sequence[int]) -> Iterator[Hit]:
        if self._by_pair is not None:
            yield from self._by_pair.get(look.pair.number, ())
            return
        for key in self._keys:
            stored = keys.stored_key(key)
            flat = self._image.posting(stored)
            if flat is None and self.beside:
                yield from self._in_all(stored, look.pair, scopes)
            else:
                yield from _of_scopes(self._image, stored, flat, scopes)

    def _in_all(self, stored: bytes, pair: Pair, scopes: Sequence[int]) -> Iterator[Hit]:
        """Those of a long posting that the long postings of later terms have as well."""
        for scope in scopes:
            others = beside(pair, scope, self.beside)
            if others is None:
                return
            for record in common(self._image, [(stored, scope), *others]):
                if record is not None:
                    yield scope, record
                    continue
                self._bound.spend()
                if self._bound.step(_ENTERED):
                    yield _STOP_HIT

    def among(self, scopes: Sequence[int], records: Sequence[int]) -> Iterator[Hit]:
        some = frozenset(records)
        for key in self._keys if records else ():
            stored = keys.stored_key(key)
            flat = self._image.posting(stored)
            if flat is None:
                for scope in scopes:
                    for record in records:
                        if self._image.has_entry(stored, scope, record):
                            yield scope, record
            else:
                hits = _of_scopes(self._image, stored, flat, scopes)
                yield from (hit for hit in hits if hit[1] in some)


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
        self._by_pair: dict[int, list[Hit]] = {}  # of the keys before ``_rest``
        self._rest: bytes | None = low  # None: all keys were read

    def prepare(self) -> Iterator[int]:
        if len(self._plan.looks) > 1:
            self._rest = yield from self._gathered(self._allowed)

    def _gathered(self, allowed: frozenset[int]) -> Generator[int, None, bytes | None]:
        """Read the first keys; gives the one to go on with, if there are many."""
        found = self._by_pair
        pair_of = self._image.scopes.pair_of
        seen = 0
        for key, stored, value in self._image.terms_between(self._low, self._high):
            if self._bound.step():
                yield _STOP
            if self._is_vain(key, stored, value):
                continue
            seen += 1
            if seen > self._bound.gathered or not value:
                return key
            flat = keys.entries(value)
            for i in range(0, len(flat), 2):
                if flat[i] in allowed:
                    hits = found.setdefault(pair_of(flat[i]).number, [])
                    hits.append((flat[i], flat[i + 1]))
        return None

    def _takes(self, key: bytes) -> bool:
        return self._test is None or self._test(key[1:])

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
        return set(self._by_pair if self._rest is None else self._plan.by_pair)

    def hits(self, look: Look, scopes: Sequence[int]) -> Iterator[Hit]:
        yield from self._by_pair.get(look.pair.number, ())
        if self._rest is None:
            return
        for key, stored, value in self._terms(self._rest, scopes):
            if self._bound.step():
                yield _STOP_HIT
            if self._is_vain(key, stored, value):
                continue
            flat = keys.entries(value) if value else None
            yield from _of_scopes(self._image, stored, flat, scopes)

    def among(self, scopes: Sequence[int], records: Sequence[int]) -> Iterator[Hit]:
        found: list[tuple[bytes, int, int]] = []
        for record in records:
            for key, scope in self._image.keys_of(record):
                if scope in scopes and self._low <= key < self._high and self._takes(key):
                    found.append((key, scope, record))
        found.sort(key=_OF_KEYS)
        yield from ((scope, record) for _, scope, record in found)

    def _terms(self, low: bytes, scopes: Sequence[int]) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Keys from ``low`` on: some all, when none were read, then those of blocks that hold
        the scopes."""
        image = self._image
        if low == self._low:
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
