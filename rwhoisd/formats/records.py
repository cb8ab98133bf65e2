"""``tag: value`` lines and records of them: the shape of all files of an ARIN installation.

Bytes in, bytes out; the charset is decided later for a whole area. The rules are those of
arin-rwhoisd.md §11.1 and §1.2: a line is cut after 511 (or 8191) octets, a NUL ends it,
control characters but TAB go, blanks around it go; then ``#`` is a comment, ``_`` a deleted
line, ``---…`` and ``_NEW_`` separate records.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

LINE_OCTETS: Final = 511  # schema, templates, SOA, data
CONFIG_OCTETS: Final = 8191  # main configuration and area file
_CONTROLS: Final = bytes((*range(9), *range(10, 32), 127))
_PART_OCTETS: Final = 1 << 20
# What is a separator in whatever way the line is cut and cleaned; others are rare.
_SEPARATOR: Final = re.compile(rb"^---[^\n]{0,508}(?:\n|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TagLine:
    """A ``tag: value`` line; ``number`` counts lines of the file from 1."""

    number: int
    tag: bytes
    value: bytes


@dataclass(slots=True)
class Record:
    """The lines between two separators.

    ``offset`` is the octet where the record begins: right behind the separator before it, so
    comments in front belong to it. ``odd`` holds lines that are no ``tag: value``, with their
    numbers; blank ones, comments and deleted lines are not among them.
    """

    offset: int
    line: int
    lines: list[TagLine] = field(default_factory=list)
    odd: list[tuple[int, bytes]] = field(default_factory=list)


def is_separator(line: bytes) -> bool:
    """Whether a cleaned line ends a record."""
    return line.startswith(b"---") or (line[:1] == b"_" and line.upper() == b"_NEW_")


def clean(line: bytes) -> bytes:
    """A raw line as the C server sees it: up to a NUL, without controls and outer blanks."""
    nul = line.find(b"\0")
    if nul >= 0:
        line = line[:nul]
    return line.translate(None, _CONTROLS).strip()


def pieces(data: bytes, octets: int) -> Iterator[tuple[int, int, bytes]]:
    """Offset, line number and octets of each line, cut where the C server cuts it.

    The pieces of an overlong line count as lines of their own but share its number.
    """
    offset = 0
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) <= octets:
            yield offset, number, line
        else:
            for start in range(0, len(line), octets):
                yield offset + start, number, line[start : start + octets]
        offset += len(line) + 1


def records(
    data: bytes, octets: int = LINE_OCTETS, *, offset: int = 0, line: int = 1
) -> Iterator[Record]:
    """The records of a file that have any line; runs of separators give none.

    For a part of a file, ``offset`` and ``line`` tell where in it the part begins.
    """
    for record in _records(data, octets):
        if offset or line > 1:
            _shift(record, offset, line - 1)
        yield record


def _shift(record: Record, octets: int, lines: int) -> None:
    record.offset += octets
    record.line += lines
    record.lines = [TagLine(at.number + lines, at.tag, at.value) for at in record.lines]
    record.odd = [(number + lines, text) for number, text in record.odd]


def _records(data: bytes, octets: int) -> Iterator[Record]:
    record = Record(0, 1)
    for offset, number, raw in pieces(data, octets):
        line = clean(raw)
        if not line or line[0] == 35:  # "#"
            continue
        if is_separator(line):
            if record.lines or record.odd:
                yield record
            # The C server reads on behind the line end; a cut piece has none.
            behind = offset + len(raw)
            record = Record(behind + (data[behind : behind + 1] == b"\n"), number + 1)
        elif line[0] != 95:  # "_": deleted
            _take(record, number, line)
    if record.lines or record.odd:
        yield record


def _take(record: Record, number: int, line: bytes) -> None:
    tag, colon, value = line.partition(b":")
    if colon:
        record.lines.append(TagLine(number, tag.rstrip(), value.lstrip()))
    else:
        record.odd.append((number, line))


class Part(NamedTuple):
    """A stretch of a file that holds whole records: where it begins, and how long it is."""

    offset: int
    line: int
    octets: int


def parts(path: Path, octets: int = _PART_OCTETS) -> Iterator[Part]:
    """A file of 511-octet lines in parts of about ``octets``, which can be read one by one.

    A part ends behind a separator; a record that is longer makes a longer part.
    Raises: OSError.
    """
    with path.open("rb") as file:
        offset, line = 0, 1
        data = file.read(octets)
        while more := file.read(octets):
            if cut := _last_separator(data):
                yield Part(offset, line, cut)
                offset, line = offset + cut, line + data.count(b"\n", 0, cut)
            data = data[cut:] + more
        yield Part(offset, line, len(data))


def read_part(path: Path, part: Part) -> bytes:
    """The octets of a part. Raises: OSError."""
    with path.open("rb") as file:
        file.seek(part.offset)
        return file.read(part.octets)


def _last_separator(data: bytes) -> int:
    """Where the last separator ends that is whole; 0 when there is none."""
    at = data.rfind(b"\n---")
    while at >= 0:
        match = _SEPARATOR.match(data, at + 1)
        if match and match[0].endswith(b"\n"):
            return match.end()
        at = data.rfind(b"\n---", 0, at)
    return 0


def next_stretch(data: bytes, start: int) -> tuple[int, bytes]:
    """What lies between ``start`` and the next plain separator, and where that ends.

    It is nearly always one record. ``records`` of each stretch, at its offset, are together the
    ``records`` of the whole.
    """
    match = _SEPARATOR.search(data, start)
    if match is None:
        return len(data), data[start:]
    return match.end(), data[start : match.start()]


def is_utf8(data: bytes, octets: int = LINE_OCTETS) -> bool:
    """Whether every line of a file, cut as it is read, is valid UTF-8."""
    if data.isascii():
        return True
    try:
        if max(map(len, data.split(b"\n"))) <= octets:
            data.decode()
            return True
    except UnicodeDecodeError:
        pass  # what is cut away, control characters for one, may have been the trouble
    try:
        for _, _, line in pieces(data, octets):
            clean(line).decode()
    except UnicodeDecodeError:
        return False
    return True


def common_charset(files: Iterable[bytes]) -> str:
    """``utf-8`` when all files are, else ``latin-1``, which loses nothing either."""
    return "utf-8" if all(is_utf8(data) for data in files) else "latin-1"
