"""What a query finds, written down naively from arin-rwhoisd.md §8 with the corrections of §14."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.guardian import is_guarded
from rwhoisd.directory.names import Network
from rwhoisd.directory.objects import with_synthesized
from rwhoisd.directory.phonetic import is_phonetic, phonetic_key
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType
from rwhoisd.query.ast import Match, Query, Term

Found = tuple[str, int]  # area, row


@dataclass(frozen=True)
class Model:
    """Areas in order, and all their objects in any order."""

    areas: Sequence[AuthorityArea]
    stored: Sequence[StoredObject]
    conceals: bool = False  # rfc mode: private lines of guarded objects are not searched,
    seen: frozenset[int] = frozenset()  # but those of these rows

    def search(self, query: Query, limit: int) -> tuple[list[int], bool]:
        """Rows of the first ``limit`` objects, and whether there are more."""
        rows = list(dict.fromkeys(self._rows(query)))
        return (rows[:limit], len(rows) > limit) if limit else (rows, False)

    def _rows(self, query: Query) -> Iterator[int]:
        for area in self.areas:
            for class_def in area.schema.classes:
                name = class_def.name.lower()
                if name != query.class_name if query.class_name else name == "referral":
                    continue
                objects = [
                    s
                    for s in self.stored
                    if s.object.area == area.name.text and s.object.class_name == class_def.name
                ]
                for first, *rest in query.branches:
                    for stored in self._first(area, class_def, objects, first):
                        without = self.conceals and stored.row not in self.seen
                        without = without and is_guarded(stored.object, area)
                        if all(
                            _holds(class_def, stored, term, area.charset, without=without)
                            for term in rest
                        ):
                            yield stored.row

    def _first(
        self, area: AuthorityArea, class_def: ClassDef, objects: Sequence[StoredObject], term: Term
    ) -> Iterator[StoredObject]:
        """Objects by what everybody may ask, then by what only guardians may."""
        if not self.conceals:
            yield from _first(area, class_def, objects, term)
            return
        open_ones = [s for s in objects if not is_guarded(s.object, area)]
        closed = [s for s in objects if is_guarded(s.object, area)]
        yield from _first(area, class_def, open_ones, term, closed)
        seen = [s for s in closed if s.row in self.seen]
        yield from _first(area, class_def, [], term, seen, private=True)


def _first(
    area: AuthorityArea,
    class_def: ClassDef,
    objects: Sequence[StoredObject],
    term: Term,
    closed: Sequence[StoredObject] = (),
    *,
    private: bool = False,
) -> Iterator[StoredObject]:
    """``closed``: of these only the attributes count that are private or not, as ``private``."""
    numbers = area.schema.attribute_numbers
    if term.attribute is None:
        wanted = [a for a in class_def.attributes if a.type is not AttributeType.ID]
    else:
        found = class_def.attribute(term.attribute)
        wanted = [] if found is None else [found]
    for kind in class_def.index_order:
        entries = []
        for stored in (*objects, *closed):
            for attribute in wanted:
                if stored in closed and attribute.private != private:
                    continue
                if kind in attribute.index.parts and stored.object.indexed:
                    for key in _keys(stored, attribute, kind, area.charset):
                        number = numbers[attribute.name.lower()]
                        entries.append((key, number, stored.object.order, stored.row, stored))
        yield from _of_index(entries, kind, term)


Entries = list[tuple[bytes, str, int, int, StoredObject]]


def _of_index(entries: Entries, kind: IndexType, term: Term) -> Iterator[StoredObject]:
    entries.sort(key=lambda e: e[:4])
    text = term.value.encode("latin-1")
    if kind is IndexType.CIDR:
        yield from _of_networks(entries, term)
        return
    if kind is IndexType.SOUNDEX:
        if not is_phonetic(term.value):
            return
        text = phonetic_key(term.value).encode()
    if text or (kind is IndexType.EXACT and term.match is Match.PREFIX):
        yield from (e[4] for e in entries if _compare(e[0], term.match, text))


def _of_networks(entries: Entries, term: Term) -> Iterator[StoredObject]:
    network = Network.from_text(term.value)
    if network is None:
        return
    if term.match is Match.BELOW:
        below = [(_network(e[0]), e) for e in entries if _network(e[0]).within(network)]
        below.sort(key=lambda found: (found[0], found[1][1:4]))
        yield from (e[4] for _, e in below)
        return
    for outer in network.enclosing():
        key = outer.key_text().encode()
        yield from (e[4] for e in entries if _compare(e[0], term.match, key))


def _network(key: bytes) -> Network:
    network = Network.from_text(key.decode())
    assert network is not None
    return network


def _keys(
    stored: StoredObject, attribute: AttributeDef, kind: IndexType, charset: str
) -> Iterator[bytes]:
    for value in stored.object.values(attribute.name):
        if kind is IndexType.EXACT:
            octets = bytes(c for c in value.encode(charset) if c == 9 or 32 <= c != 127)
            key = octets.strip().upper()
        elif kind is IndexType.CIDR:
            network = Network.from_text(value.strip())
            key = b"" if network is None else network.key_text().encode()
        else:
            key = phonetic_key(value).encode()
        if key:
            yield key


def _compare(text: bytes, match: Match, value: bytes) -> bool:
    match match:
        case Match.EXACT:
            return text == value
        case Match.PREFIX:
            return text.startswith(value)
        case Match.SUFFIX:
            return text.endswith(value)
        case Match.CONTAINS:
            return value in text
        case Match.BELOW:
            return False


def _holds(
    class_def: ClassDef, stored: StoredObject, term: Term, charset: str, *, without: bool
) -> bool:
    """A later term: every known attribute of the object, as it stands (§8.2)."""
    obj = stored.object
    lines = with_synthesized(obj.lines, obj.area, class_def.name)
    wanted = class_def.attribute(term.attribute) if term.attribute else None
    for name, value in lines:
        attribute = class_def.attribute(name)
        if attribute is None or (term.attribute and attribute is not wanted):
            continue
        if (without and attribute.private) or attribute.name == "Guard-Info":
            continue
        if term.match is Match.BELOW:
            inner, outer = Network.from_text(value), Network.from_text(term.value)
            if inner and outer and inner.within(outer):
                return True
        elif _compare(value.encode(charset).upper(), term.match, term.value.encode("latin-1")):
            return True
    return False
