"""An object as an image keeps it: rendered, with the keys under which it is found, and back.

What is shown is decided by rwhoisd.directory.visibility and .render; here the same is done for
one class at a time with everything looked up beforehand, as a build renders millions. A property
test holds the two together.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.guardian import GUARDIAN_CLASS
from rwhoisd.directory.names import AreaName, HierarchicalName, Network
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.phonetic import phonetic_key
from rwhoisd.directory.schema import AttributeDef, IndexType
from rwhoisd.image import keys
from rwhoisd.image.errors import ImageError
from rwhoisd.image.scopes import Pair

REFERRED_AREA: Final = "referred-auth-area"


class Flag(IntFlag):
    """What the object table says of a record."""

    INDEXED = 1
    GUARDED = 2  # something guards the object
    HIDDEN = 4  # guarded and private: the public record is empty
    OWN_FULL = 8  # guardians see more; that view is in the table "full"
    ADDED_CLASS = 16  # the Class-Name line was put in front
    ADDED_AREA = 32  # so was Auth-Area
    RAW = 64  # has lines that are not shown: the object is in the table "raw"


@dataclass(frozen=True, slots=True)
class Rendered:
    """An object as bytes; ``full`` is None when it equals ``public``."""

    public: bytes
    full: bytes | None
    raw: bytes | None
    flags: Flag


class _Shown:
    """How a line of one attribute is shown, and which keys its values get."""

    __slots__ = ("cidr", "exact", "folded", "plain", "prefix", "private", "scope", "sound")

    def __init__(self, pair: Pair, attribute: AttributeDef, written: str) -> None:
        self.prefix = f"{pair.class_def.name}:{attribute.name}{attribute.type.mark}:"
        self.private = attribute.private
        self.folded = written.lower()
        self.plain = written == attribute.name
        self.scope = pair.scope_of[attribute.name.lower()]
        parts = attribute.index.parts
        self.exact = IndexType.EXACT in parts
        self.cidr = IndexType.CIDR in parts
        self.sound = IndexType.SOUNDEX in parts


class ClassRenderer:
    """Renders the objects of one class of one area."""

    def __init__(self, pair: Pair, eol: bytes) -> None:
        self.pair = pair
        self._eol = eol.decode("ascii")
        self._charset = pair.area.charset
        self._class = pair.class_def.name
        self._known: dict[str, _Shown] = {}
        self._always_guarded = bool(pair.area.guardians) or self._class.lower() == GUARDIAN_CLASS
        self._referred = pair.class_def.attribute(REFERRED_AREA) if pair.is_referral else None

    def _shown(self, name: str) -> _Shown | None:
        known = self._known.get(name)
        if known is None and (attribute := self.pair.class_def.attribute(name)):
            known = self._known[name] = _Shown(self.pair, attribute, name)
        return known

    def render(self, obj: Object) -> Rendered:
        """Both views of an object, as visibility and render define them.

        Raises: ImageError, when a value has no place in the area's charset.
        """
        shown = [(self._shown(name), value) for name, value in obj.lines]
        lines = [(s, v) for s, v in shown if s is not None]
        names = {s.folded for s, _ in lines}
        flags = Flag.INDEXED if obj.indexed else Flag(0)
        added: list[tuple[_Shown, str]] = []
        if "auth-area" not in names:
            added.append((self._base("Auth-Area"), obj.area))
            flags |= Flag.ADDED_AREA
        if "class-name" not in names:
            added.append((self._base("Class-Name"), self._class))
            flags |= Flag.ADDED_CLASS
        text = [s.prefix + v for s, v in added]
        text += [s.prefix + v for s, v in lines]
        full = self._encode(text, obj)
        public = full
        if self._always_guarded or "guardian" in names:
            flags |= Flag.GUARDED
            if obj.private:
                flags |= Flag.HIDDEN
                public = b""
            elif any(s.private for s, _ in lines):
                kept = [s.prefix + v for s, v in (*added, *lines) if not s.private]
                public = self._encode(kept, obj)
        if public is not full:
            flags |= Flag.OWN_FULL
        raw = None
        if not self._can_be_read_back(obj, lines, full, len(text)):
            flags |= Flag.RAW
            raw = json.dumps([obj.area, obj.class_name, obj.lines]).encode("ascii")
        return Rendered(public, None if public is full else full, raw, flags)

    def _base(self, name: str) -> _Shown:
        shown = self._shown(name)
        assert shown is not None
        return shown

    def _encode(self, lines: list[str], obj: Object) -> bytes:
        if not lines:
            return b""
        text = self._eol.join([*lines, "", ""])
        try:
            return text.encode(self._charset)
        except UnicodeEncodeError as error:
            raise ImageError(
                f"area {obj.area}, object {obj.id or '?'}: {error.object[error.start]!r} does not"
                f" exist in the area's charset {self._charset}"
            ) from error

    def _can_be_read_back(
        self, obj: Object, lines: Sequence[tuple[_Shown, str]], full: bytes, count: int
    ) -> bool:
        return (
            len(lines) == len(obj.lines)
            and all(s.plain for s, _ in lines)
            and full.count(self._eol.encode("ascii")) == count + 1
            and obj.area == self.pair.area.name.text
            and obj.class_name == self._class
        )

    def lines_of(self, full: bytes, flags: Flag) -> tuple[Line, ...]:
        """The lines of the object whose full view this is."""
        lines = self.shown_lines(full)
        added = bool(flags & Flag.ADDED_CLASS) + bool(flags & Flag.ADDED_AREA)
        return tuple([(n, v.decode(self._charset)) for n, v in lines[added:]])

    def shown_lines(self, view: bytes) -> list[tuple[str, bytes]]:
        """Attribute name and value of each line of a view."""
        skip = len(self._class) + 1
        found = []
        for line in view.split(self._eol.encode("ascii"))[:-2]:
            name, _, value = line[skip:].partition(b":")
            found.append((name.partition(b";")[0].decode("ascii"), value))
        return found

    def keys(self, obj: Object) -> list[tuple[bytes, int]]:
        """Key and scope under which an object is found, each once; none when it is not indexed."""
        if not obj.indexed:
            return []
        found: dict[tuple[bytes, int], None] = {}
        for name, value in obj.lines:
            shown = self._shown(name)
            if shown is None:
                continue
            if shown.exact and (key := keys.text_key(value.encode(self._charset))):
                found[key, shown.scope] = None
            if shown.cidr and (network := Network.from_text(value.strip())):
                found[keys.network_key(network), shown.scope] = None
            if shown.sound and (key := keys.phonetic_key(phonetic_key(value))):
                found[key, shown.scope] = None
        return list(found)

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
