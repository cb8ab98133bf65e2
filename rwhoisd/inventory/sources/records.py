"""Records of address managers: JSON, YAML or CSV by what a file holds, read by field name.

Tools spell one field as ``ip_address``, ``ipAddress`` or ``IP Address``: ``Fields`` folds that.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from rwhoisd.formats.findings import FormatError, failed
from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.structures import Items, Row, json_of, text, yaml_of

SEPARATORS: Final = ",;\t|"
_SAMPLE: Final = 20  # lines that a separator is guessed from
_YAML: Final = re.compile(r"(---|- |[\w.-]+\s*:(\s|$))")
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]+")
_YAML_NAMES: Final = (".yml", ".yaml")
_SHEET_NAMES: Final = (".csv", ".tsv")


def squash(key: str) -> str:
    """A field's name without case and punctuation: ``IP Address*`` is ``ipaddress``."""
    return _PUNCTUATION.sub("", key.lower())


class Fields:
    """A row by squashed names. Of two spellings of one field, the first that is filled counts."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self._values: dict[str, Any] = {}
        for key, value in row.items():
            name = squash(key)
            if self._values.get(name) in (None, ""):
                self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> Iterable[str]:
        """Its squashed names."""
        return self._values.keys()

    def value(self, *names: str) -> Any:
        """The first of these fields that is filled, else None."""
        found = (self._values.get(name) for name in names)
        return next((value for value in found if value not in (None, "")), None)

    def text(self, *names: str) -> str:
        """The first of these fields that holds a scalar, as text; "" when none does."""
        found = (text(self._values.get(name)) for name in names)
        return next((value for value in found if value), "")

    def list_of(self, name: str) -> list[Any]:
        """The items of a field; one value alone is a list of it."""
        value = self.value(name)
        if isinstance(value, Items):
            return list(value)
        return [] if value is None else [value]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a sheet: its cells, and where it begins."""

    number: int
    cells: tuple[str, ...]


def documents(file: TextFile, report: Report) -> Iterator[Any]:
    """The JSON or YAML documents of a file, which is no sheet. Raises: FormatError."""
    if not is_json(file):
        yield from (document for document in yaml_of(file, report) if document is not None)
        return
    try:
        yield json_of(file)
    except FormatError:
        lines = _json_lines(file)
        if lines is None:
            raise
        yield from lines


def _json_lines(file: TextFile) -> list[Any] | None:
    """A document on each line; None: the file is none of that kind."""
    found: list[Any] = []
    for number, line in enumerate(file.lines, 1):
        if not line.strip():
            continue
        try:
            value = json_of(TextFile(file.name, line))
        except FormatError:
            return None
        if isinstance(value, Row):
            value.line = number
        found.append(value)
    return found


def is_json(file: TextFile) -> bool:
    """Whether the text begins as JSON does."""
    return file.text.lstrip()[:1] in ("{", "[") and not file.name.endswith(_YAML_NAMES)


def is_sheet(file: TextFile) -> bool:
    """Whether the file is a table of cells: neither JSON nor YAML."""
    if is_json(file) or file.name.endswith(_YAML_NAMES):
        return False
    if file.name.endswith(_SHEET_NAMES):
        return True
    first = next((line for line in _filled(file)), "")
    return _YAML.match(first) is None


def _filled(file: TextFile) -> Iterator[str]:
    stripped = (line.strip() for line in file.lines)
    return (line for line in stripped if line and not line.startswith("#"))


def guess_separator(file: TextFile) -> str:
    """The separator of cells: the one that the first line with any has most of."""
    for _, line in zip(range(_SAMPLE), _filled(file), strict=False):
        counts = {char: line.count(char) for char in SEPARATORS}
        most = max(counts, key=lambda char: counts[char])
        if counts[most]:
            return most
    return SEPARATORS[0]


def sheet_of(
    file: TextFile, report: Report, separator: str | None = None, comment: str = "#"
) -> Iterator[Line]:
    """The lines of a sheet, without empty ones and comments."""
    reader = csv.reader(
        (line + "\n" for line in file.lines),
        delimiter=separator or guess_separator(file),
        skipinitialspace=True,
    )
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report.partial(file.at(start), f"it is no table of cells: {error}")
            return
        stripped = tuple(cell.strip() for cell in cells)
        if any(stripped) and not (comment and stripped[0].startswith(comment)):
            yield Line(start, stripped)


def row_of(header: Iterable[str], line: Line) -> Row:
    """The cells of a line by the names of the header; cells without a name are left out."""
    row = Row()
    row.line = line.number
    for name, cell in zip(header, line.cells, strict=False):
        if name and name not in row:
            row[name] = cell
            row.lines[name] = line.number
    return row


def children(value: Row | Items, left_out: frozenset[str] = frozenset()) -> list[Row | Items]:
    """The rows and items below a value, without fields of these squashed names."""
    if isinstance(value, Row):
        inner = [item for key, item in value.items() if squash(key) not in left_out]
    else:
        inner = list(value)
    return [item for item in inner if isinstance(item, Row | Items)]


def no_records(file: TextFile) -> FormatError:
    """The mistake of a file in which nothing is what the source reads."""
    return failed(file.name, 0, "holds no records that are known; is the kind right?")
