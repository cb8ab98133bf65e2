"""Objects by the thousand as an image keeps them: what rendering.py does, in a few calls.

Neighbours of a class mostly have the same attributes in the same order, a *shape*. The bodies of
objects of one shape, put together, are one text: a regular expression takes the values of all
from it at once, and a few replacements make it the text that is sent. Objects that somebody is
not to see all of, or that have lines which are not shown, go through rendering.py one by one. A
property test holds the two together.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from typing import Final, NamedTuple

from rwhoisd.directory.changes import Bodies
from rwhoisd.directory.names import HierarchicalName, Network
from rwhoisd.directory.phonetic import phonetic_key
from rwhoisd.image import keys
from rwhoisd.image.rendering import ClassRenderer, Flag, Shape

_NAMES: Final = re.compile(rb"([^:\n]*):[^\n]*\n")
_PLANS: Final = 1024  # kept for each class
_FEW: Final = 4  # so few objects of a shape are rendered one by one
_ASCII: Final = "".join(map(chr, range(128)))

_Column = Sequence[bytes]
_MakeKeys = Callable[["_Column", str], Iterable[bytes | None]]


class Rendering(NamedTuple):
    """A batch of objects as bytes; pairs name a record by its number."""

    public: bytes  # all public views, one after the other
    lengths: list[int]  # octets of each
    flags: list[int]
    full: list[tuple[int, bytes]]
    raw: list[tuple[int, bytes]]
    items: list[bytes]  # of the index, see keys.py
    links: list[tuple[HierarchicalName, bytes]]  # place and entry of a link referral


class BatchRenderer:
    """Renders batches of one class of one area."""

    def __init__(self, renderer: ClassRenderer) -> None:
        self._renderer = renderer
        self._charset = renderer.charset
        self._alike = not renderer.pair.is_referral and _is_ascii_like(renderer.charset)
        self._plans: dict[tuple[bytes, ...], _Plan | None] = {}
        self._last: _Plan | None = None

    def render(self, batch: Bodies, first: int) -> Rendering:
        """The objects of a batch, as records from number ``first`` on.

        Raises: ImageError, when a value has no place in the area's charset.
        """
        numbers = range(first, first + len(batch.rows))
        tails = list(map(keys.TAILED.pack, batch.orders, batch.rows, numbers))
        bodies = self._wire(batch.bodies) if self._alike else None
        if bodies is None or batch.class_name != self._renderer.pair.class_def.name:
            return self._one_by_one(batch, first, tails)
        plan = self._last
        columns = plan.columns(bodies) if plan else None
        if plan is None or columns is None:
            return self._by_shape(batch, first, bodies, tails)
        return _rendered(plan, bodies, columns, batch.indexed, tails)

    def _wire(self, bodies: Sequence[bytes]) -> Sequence[bytes] | None:
        """Bodies in the area's charset; None when there is a character that it lacks."""
        if self._charset == "utf-8":
            return bodies
        try:
            return [b if b.isascii() else b.decode().encode(self._charset) for b in bodies]
        except UnicodeEncodeError:
            return None

    def _plan(self, names: tuple[bytes, ...]) -> "_Plan | None":
        """How objects with these attribute names are rendered; None: one by one."""
        if names not in self._plans:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            area = self._renderer.pair.area.name.text
            shape = self._renderer.shape(tuple([n.decode(self._charset) for n in names]), area)
            usable = names and shape.same_for_all
            self._plans[names] = _Plan(self._renderer, shape, names) if usable else None
        return self._plans[names]

    def _by_shape(
        self, batch: Bodies, first: int, bodies: Sequence[bytes], tails: Sequence[bytes]
    ) -> Rendering:
        groups: dict[tuple[bytes, ...], list[int]] = {}
        for place, body in enumerate(bodies):
            groups.setdefault(tuple(_NAMES.findall(body)), []).append(place)
        self._last = self._plan(max(groups, key=lambda names: len(groups[names])))
        parts = _Parts(len(bodies))
        alone: list[int] = []
        for names, places in groups.items():
            plan = self._plan(names) if len(places) > _FEW else None
            some = [bodies[i] for i in places]
            columns = plan.columns(some) if plan else None
            if plan is None or columns is None:
                alone += places
                continue
            indexed, ends = [batch.indexed[i] for i in places], [tails[i] for i in places]
            parts.put(places, _rendered(plan, some, columns, indexed, ends))
        for place in alone:
            self._single(batch, place, first + place, tails[place], parts)
        return parts.joined()

    def _one_by_one(self, batch: Bodies, first: int, tails: Sequence[bytes]) -> Rendering:
        parts = _Parts(len(batch.rows))
        for place, tail in enumerate(tails):
            self._single(batch, place, first + place, tail, parts)
        return parts.joined()

    def _single(self, batch: Bodies, place: int, number: int, tail: bytes, parts: "_Parts") -> None:
        """Render the object at ``place`` of a batch as rendering.py does."""
        renderer = self._renderer
        obj = batch.object(renderer.pair.area.name.text, place)
        rendered = renderer.render(obj)
        parts.views[place], parts.flags[place] = rendered.public, rendered.flags
        if rendered.full is not None:
            parts.full.append((number, rendered.full))
        if rendered.raw is not None:
            parts.raw.append((number, rendered.raw))
        for key, scope in renderer.keys(obj):
            parts.items.append(b"%b\0%b%b" % (key, keys.scope_bytes(scope), tail))
        for name in renderer.links(obj):
            parts.links.append((name, keys.scope_bytes(0) + tail))


class _Parts:
    """A rendering in the making, object by object."""

    def __init__(self, count: int) -> None:
        self.views = [b""] * count
        self.flags = [0] * count
        self.full: list[tuple[int, bytes]] = []
        self.raw: list[tuple[int, bytes]] = []
        self.items: list[bytes] = []
        self.links: list[tuple[HierarchicalName, bytes]] = []

    def put(self, places: Sequence[int], part: Rendering) -> None:
        """Take in the rendering of the objects at ``places``."""
        ends = accumulate(part.lengths)
        for place, end, length, flags in zip(places, ends, part.lengths, part.flags, strict=True):
            self.views[place] = part.public[end - length : end]
            self.flags[place] = flags
        self.items += part.items

    def joined(self) -> Rendering:
        """All of it."""
        lengths = [len(view) for view in self.views]
        public = b"".join(self.views)
        return Rendering(public, lengths, self.flags, self.full, self.raw, self.items, self.links)


class _Plan:
    """How objects of one shape are rendered, all at once, and under what they are found."""

    def __init__(self, renderer: ClassRenderer, shape: Shape, names: Sequence[bytes]) -> None:
        self._charset = renderer.charset
        self.flags = shape.flags | (Flag.GUARDED if shape.guarded else 0)
        self._finding = _finding(shape)
        taken = sorted({slot.line for slot in shape.slots})
        self._column_of = {line: column for column, line in enumerate(taken)}
        value = rb":([^\n]*)"
        lines = [
            re.escape(name) + (value if i in self._column_of else b":[^\n]*")
            for i, name in enumerate(names)
        ]
        # Between two bodies stands an empty line, and nowhere else.
        self._pattern = re.compile(b"\n\n" + b"\n".join(lines) + b"(?=\n\n)")
        self._eol, self._prefix = renderer.eol, renderer.pair.class_def.name.encode() + b":"
        added = (renderer.template(shape.added, []) % ()).encode(self._charset)
        self._head = added.removesuffix(self._eol) + self._prefix
        marks = [mark.encode() for mark in shape.marks]
        self._marks = {name: mark for name, mark in zip(names, marks, strict=True) if mark}
        self._more = (  # octets that a record has beyond those of the body
            len(self._head)
            + (len(names) - 1) * len(self._prefix)
            + len(names) * (len(self._eol) - 1)
            + len(self._eol)
            + sum(map(len, marks))
        )

    def columns(self, bodies: Sequence[bytes]) -> list[_Column] | None:
        """The values of indexed lines, in columns; None when a body has another shape."""
        found = self._pattern.findall(b"\n\n" + b"\n".join(bodies) + b"\n")
        if len(found) != len(bodies):
            return None
        if len(self._column_of) <= 1:
            return [found] if self._column_of else []
        return list(zip(*found, strict=True))

    def records(self, bodies: Sequence[bytes]) -> tuple[bytes, list[int]]:
        """All records one after the other, and the octets of each."""
        eol, start = self._eol, self._eol + self._prefix
        text = b"\n".join(bodies).replace(b"\n", start)
        text = eol + self._head + text.replace(start + start, eol + eol + self._head)
        for name, mark in self._marks.items():
            text = text.replace(start + name + b":", start + name + mark + b":")
        text = text[len(eol) : -len(self._prefix)] + eol
        more = self._more
        lengths = [len(body) + more for body in bodies]
        assert len(text) == sum(lengths)
        return text, lengths

    def items(self, columns: Sequence[_Column], tails: Sequence[bytes]) -> Iterator[list[bytes]]:
        """The items of the index."""
        for make, scope, lines in self._finding:
            end = b"\0" + keys.scope_bytes(scope)
            made = [make(columns[self._column_of[line]], self._charset) for line in lines]
            if len(made) == 1:
                yield [key + end + tail for key, tail in zip(made[0], tails, strict=True) if key]
                continue
            for *found, tail in zip(*made, tails, strict=True):
                yield [key + end + tail for key in dict.fromkeys(found) if key]


def _rendered(
    plan: _Plan,
    bodies: Sequence[bytes],
    columns: Sequence[_Column],
    indexed: Sequence[bool],
    tails: Sequence[bytes],
) -> Rendering:
    """Objects of the shape of ``plan``; who is not indexed has no items."""
    public, lengths = plan.records(bodies)
    flags = [plan.flags | Flag.INDEXED if found else plan.flags for found in indexed]
    if not all(indexed):
        columns = [list(compress(column, indexed)) for column in columns]
        tails = list(compress(tails, indexed))
    items = [item for some in plan.items(columns, tails) for item in some] if tails else []
    return Rendering(public, lengths, flags, [], [], items, [])


def _finding(shape: Shape) -> list[tuple[_MakeKeys, int, list[int]]]:
    """How keys are made, their scope, and the lines whose values they are made of."""
    found: dict[tuple[_MakeKeys, int], list[int]] = {}
    for slot in shape.slots:
        makers = (_text_keys, slot.exact), (_network_keys, slot.cidr), (_sound_keys, slot.sound)
        for make, wanted in makers:
            if wanted:
                found.setdefault((make, slot.scope), []).append(slot.line)
    return [(make, scope, lines) for (make, scope), lines in found.items()]


def _text_keys(column: _Column, _charset: str) -> Iterable[bytes | None]:
    texts = b"\n".join(column).translate(None, keys.CONTROLS_IN_LINES).upper().split(b"\n")
    return [keys.EXACT + text if (text := t.strip()) else None for t in texts]


def _network_keys(column: _Column, charset: str) -> Iterable[bytes | None]:
    found = (Network.from_text(value.decode(charset).strip()) for value in column)
    return [keys.network_key(network) if network else None for network in found]


def _sound_keys(column: _Column, charset: str) -> Iterable[bytes | None]:
    return [keys.phonetic_key(phonetic_key(value.decode(charset))) for value in column]


def _is_ascii_like(charset: str) -> bool:
    """Whether ASCII is the same in a charset, so that its text can be cut as ASCII is."""
    return _ASCII.encode(charset) == _ASCII.encode("ascii")
