"""An object as an image keeps it: rendered, with the keys under which it is found, and back.

What is shown is decided by rwhoisd.directory.visibility and .render; here the same is done for
one class at a time with everything looked up beforehand, as a build renders millions. A property
test holds the two together.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from rwhoisd.directory.dialect import dialect_of
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.guardian import GUARDIAN_CLASS
from rwhoisd.directory.names import AreaName, HierarchicalName, Network
from rwhoisd.directory.objects import TRUE_WORDS, Line, Object
from rwhoisd.directory.phonetic import phonetic_key
from rwhoisd.directory.privacy import ATTRIBUTE, default_profile, is_internal, veiled
from rwhoisd.directory.schema import AttributeDef, IndexType
from rwhoisd.image import keys
from rwhoisd.image.errors import ImageError
from rwhoisd.image.scopes import Pair

REFERRED_AREA: Final = "referred-auth-area"
_SHAPES: Final = 1024  # kept for each class


class Flag:
    """Bits of what the object table says of a record. Plain numbers: an enum costs a µs each."""

    INDEXED: Final = 1
    GUARDED: Final = 2  # something guards the object
    HIDDEN: Final = 4  # guarded and private: the public record is empty
    OWN_FULL: Final = 8  # guardians see more; that view is in the table "full"
    ADDED_CLASS: Final = 16  # the Class-Name line was put in front
    ADDED_AREA: Final = 32  # so was Auth-Area
    RAW: Final = 64  # has lines that are not shown: the object is in the table "raw"
    INTERNAL: Final = 256  # the profile "internal": it is there for few, or for nobody
    VEILED: Final = 128  # a privacy profile hides some of it: it is found by what it shows only


class Rendered(NamedTuple):
    """An object as bytes; ``full`` is None when it equals ``public``."""

    public: bytes
    full: bytes | None
    raw: bytes | None
    flags: int


class Findable(NamedTuple):
    """How many objects queries find: everybody's, and those of the networks of "internal_to"."""

    shown: int
    inner: int

    def plus(self, other: "Findable", sign: int = 1) -> "Findable":
        """Both together, or without the other."""
        return Findable(self.shown + sign * other.shown, self.inner + sign * other.inner)


NOTHING: Final = Findable(0, 0)


class Slot(NamedTuple):
    """A line whose values are keys: its place among the lines, and the kinds of keys."""

    line: int
    scope: int
    exact: bool
    cidr: bool
    sound: bool
    private: bool


class Shape:
    """How objects with the same attribute names in the same order are shown and found.

    Most objects of a class have one of a few shapes, so what depends on names is worked out once
    and an object costs two "%" of its values.
    """

    __slots__ = (
        *("flags", "full", "guarded", "open", "plain", "private", "public", "shown", "slots"),
        *("added", "marks", "profiled"),
    )

    def __init__(self, renderer: "ClassRenderer", names: tuple[str, ...], area: str) -> None:
        class_def = renderer.pair.class_def
        known = [(i, a) for i, n in enumerate(names) if (a := class_def.attribute(n))]
        folded = [n.lower() for n in names]
        self.added, self.flags = _added_lines(folded, area, class_def.name)
        self.marks = [a.type.mark for _, a in known]
        self.shown = [i for i, _ in known]  # lines that are shown at all
        self.open = [i for i, a in known if not a.private]
        self.full = renderer.template(self.added, [a for _, a in known])
        self.public = renderer.template(self.added, [a for _, a in known if not a.private])
        self.guarded = renderer.always_guarded or "guardian" in folded
        self.private = folded.index("private") if "private" in folded else None
        self.profiled = renderer.profiled or ATTRIBUTE in folded
        self.plain = (
            len(known) == len(names)
            and all(names[i] == a.name for i, a in known)
            and area == renderer.pair.area.name.text
        )
        self.slots = [
            Slot(i, renderer.pair.scope_of(a.name.lower()), *_kinds(a), a.private)
            for i, a in known
            if a.indexed and a.name not in renderer.pair.secret
        ]

    @property
    def same_for_all(self) -> bool:
        """Whether everybody sees all lines, whatever the values are, and they are all there is."""
        guarded = self.guarded and (self.private is not None or len(self.open) < len(self.shown))
        return self.plain and not self.profiled and not guarded


def _added_lines(
    folded: Sequence[str], area: str, class_name: str
) -> tuple[list[tuple[str, str]], int]:
    """The lines that with_synthesized puts in front, and the flags that say so."""
    added, flags = [], 0
    if "auth-area" not in folded:
        added.append(("Auth-Area", area))
        flags |= Flag.ADDED_AREA
    if "class-name" not in folded:
        added.append(("Class-Name", class_name))
        flags |= Flag.ADDED_CLASS
    return added, flags


def _kinds(attribute: AttributeDef) -> tuple[bool, bool, bool]:
    parts = attribute.index.parts
    return IndexType.EXACT in parts, IndexType.CIDR in parts, IndexType.SOUNDEX in parts


class ClassRenderer:
    """Renders the objects of one class of one area."""

    def __init__(self, pair: Pair, eol: bytes) -> None:
        self.pair = pair
        self.always_guarded = (
            bool(pair.area.guardians or pair.class_def.guardians)
            or pair.class_def.name.lower() == GUARDIAN_CLASS
        )
        self.profiled = default_profile(pair.class_def, pair.area) != "public"
        self.eol = eol
        self._conceals = not dialect_of(eol).searches_private
        self.charset = pair.area.charset
        self._class = pair.class_def.name
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._referred = pair.class_def.attribute(REFERRED_AREA) if pair.is_referral else None

    def template(self, added: Sequence[tuple[str, str]], attributes: Sequence[AttributeDef]) -> str:
        """A record with a ``%s`` for each value of ``attributes``; "" without any line."""
        eol = self.eol.decode("ascii")
        lines = [f"{self._class}:{name}:{value}".replace("%", "%%") for name, value in added]
        lines += [f"{self._class}:{a.name}{a.type.mark}:%s" for a in attributes]
        return eol.join([*lines, "", ""]) if lines else ""

    def _shape(self, obj: Object) -> tuple[Shape, tuple[str, ...]]:
        names, values = zip(*obj.lines, strict=True) if obj.lines else ((), ())
        return self.shape(names, obj.area), values

    def shape(self, names: tuple[str, ...], area: str) -> Shape:
        """The shape of objects of ``area`` with these attribute names."""
        shape = self._shapes.get(names)
        if shape is None or area != self.pair.area.name.text:
            shape = Shape(self, names, area)
            if shape.plain:
                if len(self._shapes) >= _SHAPES:
                    self._shapes.clear()
                self._shapes[names] = shape
        return shape

    def render(self, obj: Object) -> Rendered:
        """Both views of an object, as visibility and render define them.

        Raises: ImageError, when a value has no place in the area's charset.
        """
        shape, values = self._shape(obj)
        rendered = self._rendered(obj, shape, values)
        shown = self._shown(obj) if shape.profiled else obj
        if shown is obj:
            if shape.profiled and self._is_internal(obj):
                return rendered._replace(flags=rendered.flags | Flag.INTERNAL)
            return rendered
        full = rendered.public if rendered.full is None else rendered.full
        public = self._rendered(shown, *self._shape(shown)).public
        flags = rendered.flags & ~Flag.OWN_FULL | Flag.VEILED
        if public == full:
            return Rendered(public, None, rendered.raw, flags)
        return Rendered(public, full, rendered.raw, flags | Flag.OWN_FULL)

    def _shown(self, obj: Object) -> Object:
        """The object as the public reads it; itself, when no privacy profile hides anything."""
        return veiled(obj, self.pair.class_def, self.pair.area) or obj

    def _is_internal(self, obj: Object) -> bool:
        return is_internal(obj, self.pair.class_def, self.pair.area)

    def findable(self, flags: int) -> Findable:
        """How many objects a record with these flags adds to those that queries find."""
        if not flags & Flag.INDEXED:
            return NOTHING
        if flags & Flag.INTERNAL:
            return Findable(0, 1) if self.pair.area.internal_to else NOTHING
        return Findable(1, 0)

    def _rendered(self, obj: Object, shape: Shape, values: tuple[str, ...]) -> Rendered:
        """Both views of an object without regard to privacy profiles."""
        flags = shape.flags | Flag.INDEXED if obj.indexed else shape.flags
        shown = values if shape.plain else tuple([values[i] for i in shape.shown])
        text = shape.full % shown
        full = public = self._encode(text, obj)
        if shape.guarded:
            flags |= Flag.GUARDED
            if shape.private is not None and values[shape.private].upper() in TRUE_WORDS:
                flags |= Flag.HIDDEN
                public = b""
            elif len(shape.open) < len(shape.shown):
                open_values = tuple([values[i] for i in shape.open])
                public = self._encode(shape.public % open_values, obj)
            if public is not full:
                flags |= Flag.OWN_FULL
        raw = None
        if not (shape.plain and obj.class_name == self._class and self._splits(full, shape)):
            flags |= Flag.RAW
            raw = json.dumps([obj.area, obj.class_name, obj.lines]).encode("ascii")
        return Rendered(public, None if public is full else full, raw, flags)

    def _splits(self, full: bytes, shape: Shape) -> bool:
        """Whether line ends stand at the end of lines only."""
        return full.count(self.eol) == shape.full.count(self.eol.decode("ascii"))

    def _encode(self, text: str, obj: Object) -> bytes:
        try:
            return text.encode(self.charset)
        except UnicodeEncodeError as error:
            raise ImageError(
                f"area {obj.area}, object {obj.id or '?'}: {error.object[error.start]!r} does not"
                f" exist in the area's charset {self.charset}"
            ) from error

    def lines_of(self, full: bytes, flags: int) -> tuple[Line, ...]:
        """The lines of the object whose full view this is."""
        lines = self.shown_lines(full)
        added = bool(flags & Flag.ADDED_CLASS) + bool(flags & Flag.ADDED_AREA)
        return tuple([(n, v.decode(self.charset)) for n, v in lines[added:]])

    def shown_lines(self, view: bytes) -> list[tuple[str, bytes]]:
        """Attribute name and value of each line of a view."""
        skip = len(self._class) + 1
        found = []
        for line in view.split(self.eol)[:-2]:
            name, _, value = line[skip:].partition(b":")
            found.append((name.partition(b";")[0].decode("ascii"), value))
        return found

    def keys(self, obj: Object) -> list[tuple[bytes, int]]:
        """Key and scope under which an object is found, each once; none when it is not indexed.

        What a privacy profile hides is no key for anybody: what is not there cannot be guessed.
        Nor are private values of guarded objects, in rfc mode, but among the concealed keys.
        """
        if not obj.indexed:
            return []
        found: list[tuple[bytes, int]] = []
        shape, values = self._shape(obj)
        inner = 0
        if shape.profiled:
            if self._is_internal(obj):
                if not self.pair.area.internal_to:
                    return []
                inner = self.pair.inner
            shape, values = self._shape(self._shown(obj))
        conceals = self._conceals and shape.guarded
        secret: list[tuple[bytes, int]] = []
        for line, place, exact, cidr, sound, private in shape.slots:
            value, scope = values[line], place + inner
            into = secret if private and conceals else found
            if exact and (key := keys.text_key(value.encode(self.charset))):
                into.append((key, scope))
            if cidr and (network := Network.from_text(value.strip())):
                into.append((keys.network_key(network), scope))
            if sound and (key := keys.phonetic_key(phonetic_key(value))):
                into.append((key, scope))
        if secret:
            found += [(keys.concealed(key), scope) for key, scope in secret]
        return list(dict.fromkeys(found))

    def links(self, obj: Object) -> list[HierarchicalName]:
        """Places for which an object of class ``referral`` holds the link (arin-rwhoisd.md §9).

        A name needs Referred-Auth-Area to be in the EXACT index, a network in the CIDR index.
        """
        if self._referred is None or not obj.indexed:
            return []
        found: dict[HierarchicalName, None] = {}
        for value in obj.values(self._referred.name):
            place = place_of(value)
            kind = IndexType.CIDR if isinstance(place, Network) else IndexType.EXACT
            if place is not None and kind in self._referred.index.parts:
                found[place] = None
        return list(found)


def place_of(value: str) -> HierarchicalName | None:
    """What an area name stands for; None for what is none."""
    value = value.strip()
    if network := Network.from_text(value):
        return network
    try:
        return AreaName.from_text(value).place
    except RwhoisError:
        return None


class Renderers:
    """A :class:`ClassRenderer` for each pair, made when it is first needed."""

    def __init__(self, pairs: Sequence[Pair], eol: bytes) -> None:
        self._pairs = pairs
        self._eol = eol
        self._made: dict[int, ClassRenderer] = {}

    def __getitem__(self, pair: Pair) -> ClassRenderer:
        renderer = self._made.get(pair.number)
        if renderer is None:
            renderer = self._made[pair.number] = ClassRenderer(pair, self._eol)
        return renderer


def raw_object(raw: bytes) -> tuple[str, str, tuple[Line, ...]]:
    """Area, class and lines of an object of the table "raw"."""
    area, class_name, lines = json.loads(raw)
    return area, class_name, tuple((n, v) for n, v in lines)
