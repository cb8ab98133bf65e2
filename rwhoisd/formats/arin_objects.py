"""Objects out of the records of an ARIN data file: names, rules, and what is odd (§11.9).

Most records of a file look alike: the same attributes in the same order, a ``Tag: value`` line
each and nothing else. What depends on the tags is worked out once for each such *shape*, and
such a record costs one match of a regular expression. Any other record is read line by line;
a property test holds the two ways together.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.objects import Line, Object, Run, file_order
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.validate import ObjectRules
from rwhoisd.formats.arin_text import is_file, read_bytes
from rwhoisd.formats.findings import Finding
from rwhoisd.formats.records import LINE_OCTETS, Part, Record, next_stretch, records

SOURCE: Final = "arin-files"
_SHAPES: Final = 256  # remembered for each class
_TAGS: Final = re.compile("^([A-Za-z0-9][A-Za-z0-9_-]*):", re.MULTILINE)
_CONTROLS: Final = bytes((*range(1, 9), *range(11, 32), 127))  # all but NUL, TAB, line end
_UNCLEAN: Final = _CONTROLS + b"\0\t"


@dataclass(slots=True)
class Found:
    """What a part of a file holds: objects in runs, the first line of each, what is odd about them.

    ``unknown`` tells of each unknown attribute how often it stands there, and its first line.
    """

    area: str
    class_name: str
    runs: list[Run] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def objects(self) -> list[Object]:
        """The objects, one by one."""
        area, class_name = self.area, self.class_name
        return [
            Object(
                *(area, class_name, tuple(zip(run.names, values, strict=True))),
                *(SOURCE, run.indexed, order),
            )
            for run in self.runs
            for values, order in zip(run.values, run.orders, strict=True)
        ]

    def add(
        self, names: tuple[str, ...], values: tuple[str, ...], order: int, line: int, indexed: bool
    ) -> Run:
        """Add an object; gives the run that it is in."""
        run = self.runs[-1] if self.runs else None
        if run is None or run.names != names or run.indexed != indexed:
            run = Run(names, [], [], indexed)
            self.runs.append(run)
        run.values.append(values)
        run.orders.append(order)
        self.lines.append(line)
        return run

    def note_unknown(self, name: str, line: int) -> None:
        """Count a line with an unknown attribute."""
        count, first = self.unknown.get(name, (0, line))
        self.unknown[name] = (count + 1, first)

    def tell(self, path: Path, line: int, message: str, code: ResponseCode | None = None) -> None:
        """Note what is odd."""
        self.findings.append(Finding(str(path), line, message, "warning", code))


class _Shape(NamedTuple):
    """Records with the same tags in the same order.

    ``tests`` holds the number of each line with a Format, and its test; ``unknown`` the same of
    lines whose attribute the class does not know.
    """

    pattern: re.Pattern[str]
    record: re.Pattern[str]  # the same with the separator behind it
    names: tuple[str, ...]  # canonical
    tests: tuple[tuple[int, Callable[[str], bool]], ...]
    unknown: tuple[int, ...]


class _At(NamedTuple):
    """A place in a part: number of the line in the file, character of the text, octet."""

    line: int
    place: int
    octet: int

    def moved(self, octets: bytes, charset: str) -> "_At":
        """The place behind ``octets``."""
        place = self.place + len(octets.decode(charset))
        return _At(self.line + octets.count(b"\n"), place, self.octet + len(octets))


class ClassReader:
    """Reads parts of the data files of one class."""

    def __init__(
        self, area: str, charset: str, class_def: ClassDef, indexes: tuple[Path, ...]
    ) -> None:
        self._area, self._charset, self._class = area, charset, class_def
        self._indexes = indexes
        self._rules = ObjectRules(class_def, Flavour.V8_UPPER)
        self._names: dict[str, tuple[str, bool]] = {}  # as written → canonical name, known
        self._shapes: dict[tuple[str, ...], _Shape | None] = {}
        self._last: _Shape | None = None
        self._entries: frozenset[bytes] | None = None

    def read(self, path: Path, file_number: int, part: Part, data: bytes) -> Found:
        """The objects of a part whose octets are ``data``."""
        found = Found(self._area, self._class.name)
        at = _At(part.line, 0, 0)
        text = self._clean_text(data)
        while at.octet < len(data):
            if text is not None:
                at = self._alike(text, at, part.offset, file_number, found)
            if at.octet < len(data):
                behind, octets = next_stretch(data, at.octet)
                if octets:
                    begin = Part(part.offset + at.octet, at.line, len(octets))
                    self._stretch(path, file_number, begin, octets, found)
                at = at.moved(data[at.octet : behind], self._charset if text else "latin-1")
        return found

    def _stretch(self, path: Path, file_number: int, at: Part, octets: bytes, found: Found) -> None:
        """Take what lies between two separators: nearly always one record."""
        values = None if b"\0" in octets else self._plain(octets, at.line, found)
        if values is not None:
            assert self._last is not None
            order = file_order(at.offset, file_number)
            found.add(self._last.names, values, order, at.line, indexed=True)
            return
        for record in records(octets, offset=at.offset, line=at.line):
            self._take(path, file_number, record, found)

    # -- many of one shape -----------------------------------------------------------------

    def _clean_text(self, data: bytes) -> str | None:
        """The text of a part in which nothing is to be cleaned away; None for any other, which
        is read record by record."""
        if len(data.translate(None, _UNCLEAN)) != len(data):
            return None
        try:
            return data.decode(self._charset)
        except UnicodeDecodeError:
            return None

    def _alike(self, text: str, at: "_At", offset: int, file_number: int, found: Found) -> "_At":
        """Take records of the last shape as long as they follow each other; the place behind.

        ``offset``: that of the part in its file.
        """
        shape, run = self._last, None
        if shape is None:
            return at
        narrow = text.isascii()  # a character is an octet
        line, place, octet = at
        while match := shape.record.match(text, place):
            octets = match.end() - place if narrow else len(match[0].encode(self._charset))
            if octets > LINE_OCTETS and self._has_long_lines(match[0]):
                break
            values = match.groups()
            if not all(fits(values[i]) for i, fits in shape.tests):
                break
            order = file_order(offset + octet, file_number)
            if run is None:
                run = found.add(shape.names, values, order, line, indexed=True)
            else:
                run.values.append(values)
                run.orders.append(order)
                found.lines.append(line)
            for i in shape.unknown:
                found.note_unknown(shape.names[i], line + i)
            line, place, octet = line + len(shape.names) + 1, match.end(), octet + octets
        return _At(line, place, octet)

    def _has_long_lines(self, text: str) -> bool:
        return max(map(len, text.encode(self._charset).split(b"\n"))) > LINE_OCTETS

    # -- by shape --------------------------------------------------------------------------

    def _plain(self, octets: bytes, line: int, found: Found) -> tuple[str, ...] | None:
        """The values of a record without NUL, when its shape has a pattern and no rule is broken.

        None when it has to be read line by line.
        """
        if len(octets) > LINE_OCTETS and max(map(len, octets.split(b"\n"))) > LINE_OCTETS:
            return None
        octets = octets.translate(None, _CONTROLS)
        if b" \n" in octets or b"\t" in octets:
            return None
        try:
            text = octets.decode(self._charset)
        except UnicodeDecodeError:
            return None  # a comment, or what is cut away, may be of another charset
        shape = self._last
        match = shape and shape.pattern.fullmatch(text)
        if not match:
            shape = self._last = self._shape(text)
            match = shape and shape.pattern.fullmatch(text)
        if not shape or not match:
            return None
        values = match.groups()
        for at, fits in shape.tests:
            if not fits(values[at]):
                return None
        for at in shape.unknown:
            found.note_unknown(shape.names[at], line + at)
        return values

    def _shape(self, text: str) -> _Shape | None:
        """The shape of a record; None for one with other lines than ``Tag: value``."""
        tags = tuple(_TAGS.findall(text))
        if tags not in self._shapes:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            self._shapes[tags] = self._new_shape(tags)
        return self._shapes[tags]

    def _new_shape(self, tags: tuple[str, ...]) -> _Shape | None:
        named = [self._name(tag) for tag in tags]
        known = [i for i, (_, is_known) in enumerate(named) if is_known]
        tests = self._rules.tests([named[i][0] for i in known])
        if not tags or tests is None:
            return None
        lines = [rf"{re.escape(tag)}: *([^ \n][^\n]*)" for tag in tags]
        return _Shape(
            re.compile("\n".join(lines) + "\n?"),
            re.compile("(?<! )\n".join([*lines, r"---[^\n]{0,508}(?:\n|\Z)"])),
            tuple(name for name, _ in named),
            tuple((known[i], fits) for i, fits in tests),
            tuple(i for i, (_, is_known) in enumerate(named) if not is_known),
        )

    def _name(self, tag: str) -> tuple[str, bool]:
        """Canonical name of a tag, and whether the class knows it."""
        if tag not in self._names:
            attribute = self._class.attribute(tag)
            self._names[tag] = (attribute.name, True) if attribute else (tag, False)
        return self._names[tag]

    # -- line by line ----------------------------------------------------------------------

    def _take(self, path: Path, file_number: int, record: Record, found: Found) -> None:
        """Add the object of a record, unless none of its lines says anything."""
        for number, odd in record.odd:
            shown = odd.decode(self._charset, "replace")[:60]
            found.tell(path, number, f"line {shown!r} has no ':' and is ignored")
        lines: list[Line] = []
        known_lines: list[Line] = []
        for line in record.lines:
            if not line.value:
                continue
            name, known = self._name(line.tag.decode(self._charset))
            pair = (name, line.value.decode(self._charset))
            if not name:
                found.tell(path, line.number, "line without attribute name is ignored")
                continue
            lines.append(pair)
            if known:
                known_lines.append(pair)
            else:
                found.note_unknown(name, line.number)
        if lines:
            indexed = self._is_indexed(path, file_number, record, known_lines, found)
            order = file_order(record.offset, file_number)
            names, values = zip(*lines, strict=True)
            found.add(names, values, order, record.lines[0].number, indexed)

    def _is_indexed(
        self, path: Path, file_number: int, record: Record, lines: list[Line], found: Found
    ) -> bool:
        """Whether queries find an object: ARIN's indexer leaves out what breaks a rule (§8.3).

        Unless it was told not to look: then its index files name the object.
        """
        violations = self._rules.violations(lines)
        if not violations:
            return True
        if self._entries is None:
            self._entries = frozenset(_entries(self._indexes))
        indexed = f"{record.offset}:{file_number}".encode() in self._entries
        end = "" if indexed else "; no query finds the object"
        first = record.lines[0].number
        for violation in violations:
            found.tell(path, first, violation.message + end, violation.code)
        return indexed


def _entries(indexes: tuple[Path, ...]) -> Iterator[bytes]:
    """``OFFSET:FILE`` of every live entry of index files."""
    for path in indexes:
        if not is_file(path):
            continue
        for line in read_bytes(path).split(b"\n"):
            fields = line.split(b":", 3)
            if len(fields) == 4 and fields[2] == b"0":
                yield b":".join(fields[:2])
