"""Areas, classes and attributes as numbers whose order is the order of answers.

A *scope* is an attribute of a class of an area: the area's number in the upper 16 bits, below it
the place in the list of all (class in schema order, attribute by the text of its number). So
sorting by scope sorts by area, class and attribute number (arin-rwhoisd.md §8.6). A *pair* is a
class of an area; its scopes follow each other.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from rwhoisd.directory.access import AccessRules, address_from_text
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.routing import AreaTree
from rwhoisd.directory.schema import (
    AttributeDef,
    AttributeType,
    ClassDef,
    IndexType,
    Schema,
    class_names,
)
from rwhoisd.directory.visibility import SECRET_ATTRIBUTES
from rwhoisd.image.errors import ImageError
from rwhoisd.query.parser import Names

REFERRAL_CLASS: Final = "referral"
AREA_BITS: Final = 16
_MOST: Final = 1 << AREA_BITS
_PARTS: Final = (
    ("text", IndexType.EXACT),
    ("networks", IndexType.CIDR),
    ("sounds", IndexType.SOUNDEX),
)
# Looks of kept plans: words of classes and attributes are few, but any two of them make a plan,
# and it has a look for each area that has both. A look takes about 300 octets.
_LOOKS: Final = 1 << 15
_VIEWS: Final = 64  # kept views; each hides other areas
_CLIENTS: Final = 4096  # clients whose view is remembered


@dataclass(frozen=True)
class Pair:
    """A class of an area. ``attributes`` are in the order of their numbers, as its scopes are."""

    number: int
    area_number: int
    class_number: int
    area: AuthorityArea
    class_def: ClassDef
    attributes: tuple[AttributeDef, ...]
    places: Mapping[str, int]  # of the attributes, by lower-case canonical name
    first: int  # scope of the first attribute

    @property
    def end(self) -> int:
        """The scope after the last. Each attribute has a second one: see :attr:`inner`."""
        return self.first + 2 * len(self.attributes)

    @property
    def inner(self) -> int:
        """What is added to an attribute's scope for an internal object, which few get to see."""
        return len(self.attributes)

    def scope_of(self, attribute: str) -> int:
        """The scope of an attribute, by its canonical name in lower case."""
        return self.first + self.places[attribute]

    @cached_property
    def private(self) -> frozenset[str]:
        """Names of its private attributes."""
        return frozenset(a.name for a in self.attributes if a.private)

    @cached_property
    def secret(self) -> frozenset[str]:
        """Names of attributes by which nobody finds anything, in neither mode: passwords."""
        return frozenset(a.name for a in self.attributes if a.name.lower() in SECRET_ATTRIBUTES)

    @property
    def is_referral(self) -> bool:
        """Whether unrestricted queries pass it by (§8.1)."""
        return self.class_def.name.lower() == REFERRAL_CLASS


@dataclass(frozen=True)
class Look:
    """Where a term looks in one pair: for each index kind the scopes that count, in turn."""

    pair: Pair
    kinds: tuple[tuple[IndexType, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Plan:
    """Where a term looks in all: by pair, and the scopes of each index over all pairs.

    ``text``, ``networks`` and ``sounds`` are those scopes again, empty when the index has none.
    ``classes`` are those of the pairs, each once however many areas share it. ``alone`` are the
    indexes that one pair only looks into.
    """

    looks: tuple[Look, ...]
    allowed: Mapping[IndexType, frozenset[int]] = field(init=False)
    by_pair: Mapping[int, Look] = field(init=False)
    text: frozenset[int] = field(init=False)
    networks: frozenset[int] = field(init=False)
    sounds: frozenset[int] = field(init=False)
    classes: tuple[ClassDef, ...] = field(init=False)
    alone: frozenset[IndexType] = field(init=False)

    def __post_init__(self) -> None:
        allowed: dict[IndexType, set[int]] = {}
        for look in self.looks:
            for kind, scopes in look.kinds:
                allowed.setdefault(kind, set()).update(scopes)
        object.__setattr__(self, "allowed", {k: frozenset(v) for k, v in allowed.items()})
        for name, kind in _PARTS:
            object.__setattr__(self, name, self.allowed.get(kind, frozenset()))
        object.__setattr__(self, "by_pair", {look.pair.number: look for look in self.looks})
        classes = {id(look.pair.class_def): look.pair.class_def for look in self.looks}
        object.__setattr__(self, "classes", tuple(classes.values()))
        kinds = Counter(kind for look in self.looks for kind, _ in look.kinds)
        object.__setattr__(self, "alone", frozenset(k for k, n in kinds.items() if n == 1))


class Sight(NamedTuple):
    """What a client gets to see, by numbers of areas."""

    hidden: frozenset[int]  # these do not exist for it
    inner: frozenset[int]  # of these it sees the internal objects


_Parts = Sequence[tuple[ClassDef, tuple[AttributeDef, ...], Mapping[str, int]]]


def _parts(schema: Schema) -> _Parts:
    """Its classes, each with its attributes by number and with their places."""
    numbers = schema.attribute_numbers
    found = []
    for class_def in schema.classes:
        attributes = sorted(class_def.attributes, key=lambda a: numbers[a.name.lower()])
        places = {a.name.lower(): i for i, a in enumerate(attributes)}
        found.append((class_def, tuple(attributes), places))
    return found


_Kinds = tuple[tuple[IndexType, tuple[int, ...]], ...]


def _kinds(pair: Pair, attribute: str | None, *, concealed: bool) -> _Kinds:
    """Kinds of index with the places of the attributes that a term looks for there."""
    if attribute is None:
        wanted = [a for a in pair.attributes if a.type is not AttributeType.ID]
    else:
        found = pair.class_def.attribute(attribute)
        wanted = [] if found is None else [found]
    if concealed:
        wanted = [a for a in wanted if a.private]
    return tuple(
        (kind, places)
        for kind in pair.class_def.index_order
        if (places := tuple(pair.places[a.name.lower()] for a in wanted if kind in a.index.parts))
    )


class Scopes:
    """All pairs of a list of areas, in answer order.

    A view of them (:meth:`view`) hides areas, or internal objects of areas: all numbers stay what
    they are, but nothing is looked for there, and words of hidden areas are unknown.
    """

    def __init__(self, areas: Sequence[AuthorityArea]) -> None:
        if len(areas) > _MOST:
            raise ImageError(f"{len(areas)} authority areas: an image holds {_MOST} at most")
        self.areas = tuple(areas)
        self.pairs: list[Pair] = []
        self.of_area: list[list[Pair]] = []  # by area number, then class number
        self._by_name: dict[tuple[int, str], Pair] = {}
        parts: dict[int, _Parts] = {}  # by schema, which most areas share
        for number, area in enumerate(areas):
            some = parts.get(id(area.schema)) or parts.setdefault(
                id(area.schema), _parts(area.schema)
            )
            self._add_area(number, area, some)
        # Lower-case name → number; of two with one name the first counts.
        self.numbers = {a.name.key: n for n, a in reversed(tuple(enumerate(areas)))}
        self._firsts = [pair.first for pair in self.pairs]
        self._plans: dict[tuple[str | None, str | None, bool], Plan] = {}
        self._kept_looks = 0
        self.whole = self
        self._audiences = [
            (n, AccessRules.from_texts(a.audience)) for n, a in enumerate(areas) if a.audience
        ]
        self._insiders = [
            (n, AccessRules.from_texts(a.internal_to)) for n, a in enumerate(areas) if a.internal_to
        ]
        self.sight = Sight(frozenset(), frozenset(n for n, _ in self._insiders))
        # Whether something is not for everybody, but for somebody.
        self.restricted = bool(self._audiences or self._insiders)
        self._clients: dict[str, Sight] = {}
        self._views: dict[Sight, Scopes] = {}

    def _add_area(self, number: int, area: AuthorityArea, parts: _Parts) -> None:
        first = number << AREA_BITS
        classes: list[Pair] = []
        for class_number, (class_def, attributes, places) in enumerate(parts):
            pair = Pair(
                len(self.pairs), number, class_number, area, class_def, attributes, places, first
            )
            self.pairs.append(pair)
            self._by_name[number, class_def.name.lower()] = pair
            first = pair.end
            classes.append(pair)
        if first - (number << AREA_BITS) > _MOST:
            raise ImageError(f"area {area.name}: more than {_MOST // 2} attributes in all classes")
        self.of_area.append(classes)

    @property
    def hidden(self) -> frozenset[int]:
        """Numbers of the areas that do not exist here."""
        return self.sight.hidden

    def sight_of(self, address: str) -> Sight:
        """What a client at ``address`` gets to see.

        Who has no address (a local socket) is outside of every audience.
        """
        sight = self._clients.get(address)
        if sight is None:
            if len(self._clients) >= _CLIENTS:
                self._clients.clear()
            client = address_from_text(address)
            hidden = frozenset(n for n, rules in self._audiences if not rules.allows(client))
            inner = frozenset(n for n, rules in self._insiders if rules.allows(client))
            sight = self._clients[address] = Sight(hidden, inner)
        return sight

    def view(self, sight: Sight) -> "Scopes":
        """The view of who sees so much."""
        if sight == self.whole.sight:
            return self.whole
        view = self._views.get(sight)
        if view is None:
            if len(self._views) >= _VIEWS:
                self._views.clear()
            view = self._views[sight] = self._made(sight)
        return view

    def _made(self, sight: Sight) -> "Scopes":
        view = copy(self)  # the numbering is shared, as the index is, and so are the views
        fields = vars(view)
        fields.update(sight=sight, _plans={}, _kept_looks=0)
        for name in ("heads", "id_ends", "id_scopes", "names", "shown", "tree"):
            fields.pop(name, None)  # it may have been made of other areas
        return view

    def shows(self, scope: int) -> bool:
        """Whether anything is looked for in a scope."""
        area = scope >> AREA_BITS
        if area in self.hidden:
            return False
        if area in self.sight.inner:
            return True
        pair = self.pair_of(scope)
        return scope - pair.first < pair.inner

    @cached_property
    def shown(self) -> tuple[Pair, ...]:
        """The pairs that are not hidden."""
        return tuple(p for p in self.pairs if p.area_number not in self.hidden)

    @cached_property
    def tree(self) -> AreaTree:
        """The areas by place, for referrals."""
        return AreaTree(None if n in self.hidden else a.name for n, a in enumerate(self.areas))

    def pair(self, area_number: int, class_name: str) -> Pair | None:
        """The class called ``class_name`` (any case, canonical) of an area."""
        return self._by_name.get((area_number, class_name.lower()))

    def pair_of(self, scope: int) -> Pair:
        """The pair that a scope belongs to."""
        return self.pairs[bisect_right(self._firsts, scope) - 1]

    def attribute_of(self, scope: int) -> AttributeDef:
        """The attribute that a scope stands for."""
        pair = self.pair_of(scope)
        return pair.attributes[(scope - pair.first) % pair.inner]

    @cached_property
    def id_scopes(self) -> frozenset[int]:
        """Scopes of the base attribute ID."""
        found = frozenset(p.scope_of("id") for p in self.shown)
        inner = [p for p in self.shown if p.area_number in self.sight.inner]
        return found | frozenset(p.scope_of("id") + p.inner for p in inner)

    def number(self, name: str) -> int | None:
        """Number of the area called ``name``, in any case; None when there is none here."""
        number = self.numbers.get(name.lower())
        return None if number in self.hidden else number

    @cached_property
    def id_ends(self) -> frozenset[str]:
        """What IDs of objects of the areas end in, behind a period, in lower case."""
        areas = (a for n, a in enumerate(self.areas) if n not in self.hidden)
        return frozenset(a.name.id_suffix.lower() for a in areas)

    @cached_property
    def names(self) -> Names:
        """The words that the query language knows as classes and attributes."""
        shown = (a.schema for n, a in enumerate(self.areas) if n not in self.hidden)
        schemas = list({id(schema): schema for schema in shown}.values())  # most are the same
        words = frozenset[str]().union(*(s.attribute_names for s in schemas))
        return Names(class_names(schemas), words)

    @cached_property
    def heads(self) -> Mapping[bytes | None, Plan]:
        """Where a word looks behind each class word (upper case), and without one (None)."""
        plans: dict[bytes | None, Plan] = {None: self.plan(None, None)}
        plans |= {head: self.plan(name, None) for head, name in self.names.heads.items()}
        return plans

    def plan(
        self, class_name: str | None, attribute: str | None, *, concealed: bool = False
    ) -> Plan:
        """Where a term looks that asks ``attribute`` (None: any) in ``class_name`` (None: all).

        A bare value never finds an attribute of type ID (N2); one that names an attribute finds
        it where class and area have it, and elsewhere nothing (B9, B10). ``concealed``: where it
        looks among the concealed keys, which are of private attributes only.
        """
        plan = self._plans.get((class_name, attribute, concealed))
        if plan is None:
            plan = Plan(tuple(self._looks(class_name, attribute, concealed=concealed)))
            self._kept_looks += 1 + len(plan.looks)
            if self._kept_looks > _LOOKS:
                self._plans.clear()
                self._kept_looks = 1 + len(plan.looks)
            self._plans[class_name, attribute, concealed] = plan
        return plan

    def _looks(
        self, class_name: str | None, attribute: str | None, *, concealed: bool
    ) -> list[Look]:
        looks = []
        kinds: dict[int, _Kinds] = {}  # by class of a schema, which many areas share
        for pair in self._in_class(class_name):
            found = kinds.get(id(pair.places))
            if found is None:
                found = _kinds(pair, attribute, concealed=concealed)
                kinds[id(pair.places)] = found
            if found:
                scopes = tuple((kind, self._scopes_at(pair, places)) for kind, places in found)
                looks.append(Look(pair, scopes))
        return looks

    def _scopes_at(self, pair: Pair, places: Sequence[int]) -> tuple[int, ...]:
        found = tuple([pair.first + place for place in places])
        if pair.area_number in self.sight.inner:
            found += tuple(scope + pair.inner for scope in found)
        return found

    def _in_class(self, class_name: str | None) -> list[Pair]:
        if class_name is None:
            return [p for p in self.shown if not p.is_referral]
        folded = class_name.lower()
        return [p for p in self.shown if p.class_def.name.lower() == folded]
