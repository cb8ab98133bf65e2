"""Objects of a class as CSV (RFC 4180), one a row, and back again without loss.

Columns: ``ID``, ``(area)``, ``(class)``, ``(source)``, every other attribute of the class, and
``(other)`` for lines whose attribute the class does not know. A name in parentheses can be no
attribute's. Repeated values stand in one field, a line each. An attribute that is absent is an
empty field; one with an empty value is ``""``. What is not kept: the order of lines of
*different* attributes, which becomes that of the columns.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.visibility import SECRET_ATTRIBUTES
from rwhoisd.formats.export_walk import Entry, TextExport
from rwhoisd.formats.findings import failed

AREA, CLASS, SOURCE, OTHER = "(area)", "(class)", "(source)", "(other)"
_LINE_END: Final = "\r\n"
_PLACE: Final = ("ID", AREA, CLASS, SOURCE)
_FIELD: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|\Z)')
_QUOTED: Final = re.compile(r'[",\r\n]|\A\s|\s\Z')
_FORMULA: Final = ("=", "+", "-", "@")  # what a spreadsheet calculates


def attribute_names(classes: Iterable[ClassDef]) -> tuple[str, ...]:
    """Attributes of the classes in order, without ID, which has its place, and secrets."""
    names = dict.fromkeys(a.name for c in classes for a in c.attributes)
    return tuple(n for n in names if n != "ID" and n.lower() not in SECRET_ATTRIBUTES)


class Csv(TextExport):
    """The objects of one class of some areas; ``spreadsheet`` defuses formulas, with loss."""

    def __init__(
        self, areas: Iterable[AuthorityArea], class_name: str, *, spreadsheet: bool = False
    ) -> None:
        super().__init__()
        found = [area.schema.class_def(class_name) for area in areas]
        self._attributes = attribute_names(c for c in found if c is not None)
        self._spreadsheet = spreadsheet
        self._begun = False

    def add(self, entry: Entry) -> str:
        """The row of an object, the header before the first one."""
        obj = entry.object
        groups: dict[str, list[str]] = {"ID": [], **{n: [] for n in self._attributes}}
        other = []
        for name, value in obj.lines:
            if name in groups:
                groups[name].append(value)
            else:
                other.append(f"{name}:{value}")
        ids = groups.pop("ID")
        place = ([obj.area], [obj.class_name], [obj.source])
        return self._header() + self._row((ids, *place, *groups.values(), other))

    def _header(self) -> str:
        if self._begun:
            return ""
        self._begun = True
        return self._row([name] for name in (*_PLACE, *self._attributes, OTHER))

    def _row(self, fields: Iterable[Sequence[str]]) -> str:
        return ",".join(map(self._field, fields)) + _LINE_END

    def _field(self, values: Sequence[str]) -> str:
        text = "\n".join(values)
        if self._spreadsheet and text.lstrip().startswith(_FORMULA):
            text = f"'{text}"
        if (values and not text) or _QUOTED.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text

    def end(self) -> Iterator[str]:
        """The header, when there was no object."""
        yield self._header()


def read_csv(text: str, file: str = "csv") -> list[Object]:
    """The objects of a text that ``Csv`` wrote without ``spreadsheet``. Raises: FormatError."""
    rows = _rows(text, file)
    _, header = next(rows, (1, []))
    names = ["".join(values or ()) for values in header]
    if tuple(names[: len(_PLACE)]) != _PLACE or names[-1] != OTHER:
        raise failed(file, 1, f"the columns begin with {','.join(_PLACE)} and end with {OTHER}")
    return [_object(names, row, number, file) for number, row in rows]


def _rows(text: str, file: str) -> Iterator[tuple[int, list[list[str]]]]:
    """Rows with their lines; a field is its values, none when nothing stands there."""
    at, began, number, row = 0, 0, 1, list[list[str]]()
    while at < len(text) or row:
        match = _FIELD.match(text, at)
        if match is None:
            raise failed(file, number, "a field with a quote in it has to stand in quotes")
        quoted, plain, separator = match.groups()
        value = plain if quoted is None else quoted.replace('""', '"')
        row.append(value.split("\n") if value or quoted is not None else [])
        at = match.end()
        if separator != ",":
            yield number, row
            number += text.count("\n", began, at)
            began, row = at, []


def _object(names: Sequence[str], row: Sequence[list[str]], number: int, file: str) -> Object:
    if len(row) != len(names):
        raise failed(file, number, f"{len(row)} fields for {len(names)} columns")
    fields = dict(zip(names, row, strict=True))
    area, class_name, source = ("".join(fields.pop(name)) for name in _PLACE[1:])
    other = fields.pop(OTHER)
    lines: list[Line] = [(name, value) for name, values in fields.items() for value in values]
    for line in other:
        name, colon, value = line.partition(":")
        if not colon:
            raise failed(file, number, f"{OTHER}: {line!r} is no Attribute:value")
        lines.append((name, value))
    return Object(area, class_name, tuple(lines), source)
