"""Which records the later terms of "and" leave over, as far as an index knows.

A later term is a test of the object itself (§8.2). Where an index has every value that the test
looks at, it tells beforehand which records may pass; so of several terms the rarest one decides
what is looked at, whatever their order. What is given here is never too little: the object has
the last word.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rwhoisd.directory.names import Network
from rwhoisd.directory.schema import ClassDef, IndexType
from rwhoisd.image import keys
from rwhoisd.image.reader import Image
from rwhoisd.image.scopes import Pair, Plan
from rwhoisd.query.ast import Match, Term

MOST: Final = 64  # records of a term that is rare
_ADDED: Final = ("auth-area", "class-name")  # lines that are shown when an object has none
_TAIL: Final = keys.TAILED.size

_Range = tuple[bytes, bytes | None]  # first key and end; None: that key alone


class Takers(NamedTuple):
    """Records that a test may take, and some more."""

    records: Sequence[int] | None  # in the order of a posting; None: they are many,
    listed: bytes  # and this is the key, as it is stored, of the long posting that has them
    attribute: str  # that the test names


def takers(image: Image, class_name: str | None, plan: Plan, term: Term) -> Takers | None:
    """The records that a test by ``term`` may take; None when no index tells.

    ``plan``: where the first term looks. What no index has for want of rights, the test passes
    by as well. Cost: that of ``MOST`` keys, at most.
    """
    attribute = term.attribute
    if attribute is None or not term.value:
        return None
    kinds = _kinds(plan.classes, attribute, term)
    if kinds is None:
        return None
    allowed = image.scopes.plan(class_name, attribute).allowed
    found: set[int] = set()
    for kind in kinds:
        some = _few(image, _range(kind, term), allowed.get(kind, frozenset()))
        if some is None:
            if kind is IndexType.EXACT and term.match is Match.EXACT and len(kinds) == 1:
                return Takers(None, _range(kind, term)[0], attribute)
            return None
        found |= some
    return Takers(sorted(found, key=image.order), b"", attribute)


def _kinds(classes: Sequence[ClassDef], attribute: str, term: Term) -> set[IndexType] | None:
    """The indexes that have every value which the test takes; None when some are in none."""
    text = term.value.encode("latin-1")
    as_text = term.match in (Match.EXACT, Match.PREFIX) and keys.normalized(text) == text
    as_network = term.match in (Match.EXACT, Match.BELOW) and Network.from_text(term.value)
    kinds = set()
    for class_def in classes:
        known = class_def.attribute(attribute)
        if known is None:
            continue
        if known.name.lower() in _ADDED:
            return None
        if as_text and IndexType.EXACT in known.index.parts:
            kinds.add(IndexType.EXACT)
        elif as_network and IndexType.CIDR in known.index.parts:
            kinds.add(IndexType.CIDR)  # equal text is an equal network
        else:
            return None
    return kinds


def _range(kind: IndexType, term: Term) -> _Range:
    if kind is IndexType.CIDR:
        network = Network.from_text(term.value)
        assert network is not None
        return keys.below_range(network) if term.match is Match.BELOW else _only(network)
    key = keys.EXACT + term.value.encode("latin-1")
    if term.match is Match.PREFIX:
        return key, keys.after_prefix(key)
    return keys.stored_key(key), None


def _only(network: Network) -> _Range:
    return keys.stored_key(keys.network_key(network)), None


def _few(image: Image, wanted: _Range, scopes: frozenset[int]) -> set[int] | None:
    """Records that a range of keys has with one of the scopes; None when there are many."""
    low, high = wanted
    if high is None:
        flat = image.posting(low)
        return None if flat is None else _with(scopes, flat)
    found: set[int] = set()
    for count, (_, _, value) in enumerate(image.terms_between(low, high)):
        if count == MOST or not value:
            return None
        found |= _with(scopes, keys.entries(value))
    return found if len(found) <= MOST else None


def _with(scopes: frozenset[int], flat: Sequence[int]) -> set[int]:
    return {flat[i + 1] for i in range(0, len(flat), 2) if flat[i] in scopes}


def beside(pair: Pair, scope: int, others: Sequence[Takers]) -> list[tuple[bytes, int]] | None:
    """Where in the long postings of ``others`` objects stand that have ``scope`` in a pair.

    A key, as it is stored, and a scope for each; None when the class lacks an attribute.
    """
    inner = pair.inner if scope - pair.first >= pair.inner else 0
    found = []
    for other in others:
        known = pair.class_def.attribute(other.attribute)
        if known is None:
            return None
        found.append((other.listed, pair.scope_of(known.name.lower()) + inner))
    return found


def common(image: Image, lists: Sequence[tuple[bytes, int]]) -> Iterator[int | None]:
    """Records that all of some long postings have, each in one scope, in their order.

    None after each step that found none: each posting is entered where the one before stands, so
    what lies between is passed over, however much it is.
    """
    cursors = [image.txn.cursor(image.env.many) for _ in lists]
    places = [(c, key, keys.scope_bytes(s)) for c, (key, s) in zip(cursors, lists, strict=True)]
    tail, agreed = bytes(_TAIL), 0
    try:
        while True:
            for cursor, key, scope in places:
                if not cursor.set_range_dup(key, scope + tail):
                    return
                entry = bytes(cursor.value())
                if not entry.startswith(scope):
                    return
                if entry[4:] == tail:
                    agreed += 1
                else:
                    tail, agreed = entry[4:], 1
                if agreed == len(places):
                    yield int.from_bytes(tail[-4:])
                    tail, agreed = (int.from_bytes(tail) + 1).to_bytes(_TAIL), 0
                    break
            else:
                yield None
    finally:
        for cursor in cursors:
            cursor.close()
