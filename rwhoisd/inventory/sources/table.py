"""Any table, CSV or JSON: a mapping file says which column is what.

Settings: ``mapping``, the path of the TOML file that ``table_mapping`` describes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from rwhoisd.formats.findings import failed
from rwhoisd.formats.toml import read_toml
from rwhoisd.inventory import words
from rwhoisd.inventory.facts import (
    TCP,
    Block,
    DatabaseNode,
    Fact,
    Forwarding,
    Host,
    Kind,
    Place,
    RealServer,
    StorageNode,
    Vip,
    Where,
)
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources.records import documents, is_json, is_sheet, row_of, sheet_of
from rwhoisd.inventory.sources.table_mapping import SKIP, YES, RecordMapping, TableMapping
from rwhoisd.inventory.structures import Items, Row, text

_KINDS: Final[Mapping[str, type[Fact]]] = {
    Kind.VIP: Vip,
    Kind.RIP: RealServer,
    Kind.STORAGE_NODE: StorageNode,
    Kind.DBNODE: DatabaseNode,
    Kind.HOST: Host,
    Kind.NETWORK: Block,
}
_FLAGS: Final = ("disabled", "standby", "on_loopback")
_TEXTS: Final = (
    "name", "belongs_to", "pool", "capacity", "crush_place", "role", "peer", "status", "site",
    "tenant",
)  # fmt: skip
_MOST: Final = 4096  # facts of one row
_FORWARDING: Final = {way.value.lower(): way for way in Forwarding}


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    name = inputs.settings.get("mapping", "")
    mapping, written = _mapping(name, inputs.settings)
    for file in inputs.files:
        rows = list(_rows(file, mapping, report))
        if rows:
            _check_columns(file, mapping, rows, TextFile(name, written), report)
        for row in rows:
            for record in mapping.record:
                yield from _Reading(mapping, record, file.at(row.line), report).facts(row)


def _mapping(name: str, settings: Mapping[str, str]) -> tuple[TableMapping, str]:
    """The mapping file of the settings, and its text. Raises: FormatError."""
    if not name:
        raise failed("settings of table", 0, "need mapping: the path of a mapping file (TOML)")
    unknown = sorted(set(settings) - {"mapping"})
    if unknown:
        raise failed("settings of table", 0, f"{unknown[0]!r} is unknown; known is mapping")
    return read_toml(Path(name), TableMapping)


def _rows(file: TextFile, mapping: TableMapping, report: Report) -> Iterator[Row]:
    if mapping.format == "csv" or (not mapping.format and is_sheet(file)):
        yield from _sheet(file, mapping, report)
        return
    for document in documents(file, report):
        yield from _below(file, document, mapping)


def _sheet(file: TextFile, mapping: TableMapping, report: Report) -> Iterator[Row]:
    header = mapping.columns
    for line in sheet_of(file, report, mapping.separator or None, mapping.comment):
        if not header:
            header = line.cells
        else:
            yield row_of(header, line)


def _below(file: TextFile, document: Any, mapping: TableMapping) -> Iterator[Row]:
    """The rows at the keys of ``rows``, else the document's own."""
    found = values_at(document, mapping.rows) if mapping.rows else [document]
    rows = [item for value in found for item in (value if isinstance(value, Items) else [value])]
    if mapping.rows and not rows:
        raise failed(file.name, 0, f"has nothing at {mapping.rows!r}; mend rows of the mapping")
    yield from (row for row in rows if isinstance(row, Row))


def values_at(value: Any, path: str) -> list[Any]:
    """What stands at keys with dots between them; every item of a list on the way is looked at.

    A key that holds dots itself is found first.
    """
    if isinstance(value, Row) and path in value:
        found = value[path]
        return list(found) if isinstance(found, Items) else [found]
    if isinstance(value, Items):
        return [found for item in value for found in values_at(item, path)]
    key, _, rest = path.partition(".")
    if isinstance(value, Row) and rest and key in value:
        return values_at(value[key], rest)
    return []


def _check_columns(
    file: TextFile, mapping: TableMapping, rows: list[Row], written: TextFile, report: Report
) -> None:
    """Tells of columns that no row has: in a sheet a mistake, in JSON they may be left out.

    Raises: FormatError.
    """
    known = {key for row in rows for key in row}
    for record in mapping.record:
        for column in [*record.column.given().values(), *record.only, *record.not_]:
            if column in known or column.partition(".")[0] in known:
                continue
            line = next((n for n, at in enumerate(written.lines, 1) if column in at), 0)
            has = ", ".join(sorted(known)[:20])
            message = f"names column {column!r}; {file.name} has {has}"
            if is_json(file):
                report.warn(written.at(line), message)
            else:
                raise failed(written.name, line, message)


@dataclass(frozen=True)
class _Reading:
    """One row by one record of the mapping."""

    mapping: TableMapping
    record: RecordMapping
    place: Place
    report: Report

    def facts(self, row: Row) -> Iterator[Fact]:
        """A fact for each address and each port of the row."""
        if not self._is_taken(row):
            return
        kind = _KINDS.get(self._one(row, "kind").lower())
        if kind is None:
            if self._one(row, "kind") != SKIP:
                self.report.warn(self.place, "kind is none of ours; skipped (map.kind mends it)")
            return
        base = self._base(kind, row)
        for where in self._wheres(kind, row)[:_MOST]:
            for port, protocol in self._ports(row)[:_MOST]:
                yield replace(base, where=where, port=port, protocol=protocol)

    def _is_taken(self, row: Row) -> bool:
        """Whether the filters let a row through."""
        wanted = (
            any(word in words or ("*" in words and word) for word in self._words(row, column))
            for column, words in self.record.only.items()
        )
        unwanted = (
            any(word in words or ("*" in words and word) for word in self._words(row, column))
            for column, words in self.record.not_.items()
        )
        return all(wanted) and not any(unwanted)

    def _words(self, row: Row, column: str) -> list[str]:
        return [text(value) for value in values_at(row, column)] or [""]

    def _all(self, row: Row, name: str) -> list[str]:
        """The words of a field: a constant, or those of its column as the map has them."""
        constant = getattr(self.record.constant, name)
        if constant:
            return self._parted(constant, name)
        column = getattr(self.record.column, name)
        found = self._words(row, column) if column else []
        mapped = self.record.map.get(name.replace("_", "-"), {})
        whole = [part for word in found for part in self._mapped(word, mapped, name)]
        return [part for part in whole if part]

    def _mapped(self, word: str, mapped: Mapping[str, str], name: str) -> list[str]:
        """A cell by the map, else each of its values by the map."""
        if word in mapped:
            return [mapped[word]]
        return [mapped.get(part, part) for part in self._parted(word, name)]

    def _parted(self, word: str, name: str) -> list[str]:
        """The values in one cell, of a field that may have several."""
        separator = self.mapping.list_separator
        if not separator or name not in ("address", "prefix", "range", "port", "aliases"):
            return [word]
        return [part.strip() for part in word.split(separator) if part.strip()]

    def _one(self, row: Row, name: str) -> str:
        return next(iter(self._all(row, name)), "")

    def _base(self, kind: type[Fact], row: Row) -> Fact:
        """The fact without its place in the world: only fields that its kind has."""
        has = {field.name for field in fields(kind)}
        made: dict[str, Any] = {key: self._one(row, key) or None for key in _TEXTS if key in has}
        made |= {key: self._is(row, key) for key in _FLAGS if key in has}
        if "aliases" in has:
            made["aliases"] = tuple(self._all(row, "aliases"))
        if "drives" in has:
            drives = self._one(row, "drives")[:9]
            made["drives"] = int(drives) if drives.isdecimal() else None
        if "writable" in has and self._one(row, "writable"):
            made["writable"] = self._is(row, "writable")
        if "forwarding" in has:
            made["forwarding"] = _FORWARDING.get(self._one(row, "forwarding").lower())
        return kind(place=self.place, **made)

    def _is(self, row: Row, name: str) -> bool:
        return self._one(row, name).lower() in YES

    def _wheres(self, kind: type[Fact], row: Row) -> list[Where]:
        """Where the facts of a row are; [None] for one that is known by name only."""
        found: list[Where] = []
        for name, read in _WHERE_READERS:
            for word in self._all(row, name):
                where = read(word, self._one(row, "mask"))
                if where is None:
                    why = "to be filled in" if words.is_placeholder(word) else "none"
                    self.report.warn(self.place, f"{name} is {why}; skipped")
                else:
                    found.append(where)
        first, last = self._one(row, "first"), self._one(row, "last")
        if first and last:
            between = words.span(f"{first}-{last}")
            if between is None:
                self.report.warn(self.place, "first and last are no range; skipped")
            found += [between] if between is not None else []
        is_named = not any(self._all(row, name) for name, _ in _WHERE_READERS) and not first
        named = is_named and kind is not Block and words.is_host_name(self._one(row, "name"))
        return [None] if named else found

    def _ports(self, row: Row) -> list[tuple[int | None, str | None]]:
        """Ports and their protocols; [(None, None)] when the row has none."""
        found: list[tuple[int | None, str | None]] = []
        for word in self._all(row, "port"):
            written, _, own = word.partition("/")
            port = words.port(written)
            protocol = words.protocol(own or self._one(row, "protocol") or TCP)
            if port is None or protocol is None:
                self.report.warn(self.place, "port or protocol is none; the row has no service")
            else:
                found.append((port, protocol))
        return found or [(None, None)]


def _prefix(word: str, mask: str) -> Where:
    return words.network_of(word, mask) if mask and "/" not in word else words.prefix(word)


def _address(word: str, mask: str) -> Where:
    del mask
    return words.address(word)


def _range(word: str, mask: str) -> Where:
    del mask
    return words.span(word)


_WHERE_READERS: Final = (("address", _address), ("prefix", _prefix), ("range", _range))


SOURCE: Final = WholeSource(
    "table",
    "any CSV or JSON table; a mapping file says which column is what",
    ("*.csv", "*.tsv", "*.json"),
    _read,
)
