"""``tag: value`` lines and records of them: the shape of all files of an ARIN installation.

Bytes in, bytes out; the charset is decided later for a whole area. The rules are those of
arin-rwhoisd.md §11.1 and §1.2: a line is cut after 511 (or 8191) octets, a NUL ends it,
control characters but TAB go, blanks around it go; then ``#`` is a comment, ``_`` a deleted
line, ``---…`` and ``_NEW_`` separate records.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

LINE_OCTETS: Final = 511  # schema, templates, SOA, data
CONFIG_OCTETS: Final = 8191  # main configuration and area file
_CONTROLS: Final = bytes((*range(9), *range(10, 32), 127))


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


def records(data: bytes, octets: int = LINE_OCTETS) -> Iterator[Record]:
    """The records of a file that have any line; runs of separators give none."""
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
