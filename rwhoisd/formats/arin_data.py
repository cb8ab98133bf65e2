"""Objects of an ARIN installation: file lists and data files (§11.9)."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Line, Object, file_order
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.validate import ObjectRules
from rwhoisd.formats.arin_areas import ClassFiles, Entry
from rwhoisd.formats.arin_text import Reading, boolean, leading_number, read_bytes
from rwhoisd.formats.findings import Finding, Severity
from rwhoisd.formats.records import Record, records

SOURCE: Final = "arin-files"
FILE_LIST: Final = "local.db"
SUFFIX: Final = ".txt"
_INDEX_TYPES: Final = frozenset({"EXACT", "CIDR", "SOUNDEX", "INDEX", "FIRST", "WORD_ONLY"})

Report = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file and its number, which orders answers with equal keys (see ``file_order``)."""

    path: Path
    number: int


@dataclass(frozen=True)
class ClassData:
    """The data files of a class, and those of its index files that say what can be found."""

    class_def: ClassDef
    files: tuple[DataFile, ...] = ()
    indexes: tuple[Path, ...] = ()


def class_data(class_files: ClassFiles, reading: Reading) -> ClassData:
    """The files of a class: those its list names, or every ``*.txt`` when there is no list.

    ARIN's server finds nothing without a list; a tree that was never indexed is taken over all
    the same. Its indexer numbers files as the directory happens to list them; here it is by
    name, so that the result is the same everywhere.
    """
    directory = class_files.directory
    if directory is None:
        return ClassData(class_files.class_def)
    file_list = directory / FILE_LIST
    if file_list.is_file():
        return _listed(class_files.class_def, file_list, reading)
    paths = sorted(
        (p for p in directory.iterdir() if p.name.endswith(SUFFIX) and p.is_file()),
        key=lambda p: p.name.encode(),
    )
    files = tuple(DataFile(path, number) for number, path in enumerate(paths))
    return ClassData(class_files.class_def, files)


def _listed(class_def: ClassDef, file_list: Path, reading: Reading) -> ClassData:
    found, charset = reading.records(file_list)
    files: dict[Path, DataFile] = {}
    indexes: list[Path] = []
    for record in found:
        entry = Entry.of(file_list, record, charset)
        kind, text = entry.get("type").upper(), entry.get("file")
        path = reading.path(text)
        if boolean(entry.get("lock")):
            reading.find(file_list, entry.line, f"{text} is locked and left out")
        elif kind in _INDEX_TYPES:
            indexes.append(path)
        elif kind != "DATA" or not text:
            reading.find(file_list, entry.line, "entry without type DATA or file is ignored")
        elif not path.is_file():
            reading.find(file_list, entry.line, f"data file {text} does not exist; left out")
        elif path in files:
            reading.find(file_list, entry.line, f"data file {text} is listed twice; read once")
        else:
            files[path] = DataFile(path, leading_number(entry.get("file_no")) or 0)
    return ClassData(class_def, tuple(files.values()), tuple(indexes))


@dataclass(frozen=True)
class ObjectFiles:
    """The objects of an area, read from its files anew by each iteration.

    The order is that of ``-xfer``: classes as in the schema, files as listed, then place.
    """

    area: AreaName
    charset: str
    classes: tuple[ClassData, ...]

    def __iter__(self) -> Iterator[Object]:
        return self.read(lambda _: None)

    def read(self, report: Report) -> Iterator[Object]:
        """The objects, one by one, telling what is odd about them on the way."""
        return (obj for obj, _, _ in self.located(report))

    def located(self, report: Report) -> Iterator[tuple[Object, Path, int]]:
        """The same with the file and first line of each."""
        for data in self.classes:
            yield from _ClassReader(self.area.text, self.charset, data, report).objects()

    def findings(self) -> Iterator[Finding]:
        """What is odd about the objects; reads all files."""
        found: list[Finding] = []
        for _ in self.read(found.append):
            yield from found
            found.clear()
        yield from found


class _ClassReader:
    """Reads the data files of one class."""

    def __init__(self, area: str, charset: str, data: ClassData, report: Report) -> None:
        self._area, self._charset, self._data, self._report = area, charset, data, report
        self._rules = ObjectRules(data.class_def, Flavour.V8_UPPER)
        self._names: dict[bytes, tuple[str, bool]] = {}  # as written → canonical name, known
        self._found: frozenset[bytes] | None = None

    def objects(self) -> Iterator[tuple[Object, Path, int]]:
        for file in self._data.files:
            unknown: Counter[str] = Counter()
            first: dict[str, int] = {}
            for record in records(read_bytes(file.path)):
                obj = self._object(file, record, unknown, first)
                if obj is not None:
                    yield obj, file.path, record.lines[0].number
            for name, count in unknown.items():
                times = f" in {count} lines" if count > 1 else ""
                self._tell(
                    file,
                    first[name],
                    f"attribute {name!r} is unknown in class {self._data.class_def.name}{times};"
                    " kept, but never shown",
                )

    def _object(
        self, file: DataFile, record: Record, unknown: Counter[str], first: dict[str, int]
    ) -> Object | None:
        for number, text in record.odd:
            shown = text.decode(self._charset, "replace")[:60]
            self._tell(file, number, f"line {shown!r} has no ':' and is ignored")
        lines: list[Line] = []
        known_lines: list[Line] = []
        for line in record.lines:
            if not line.value:
                continue
            name, known = self._names.get(line.tag) or self._name(line.tag)
            pair = (name, line.value.decode(self._charset))
            if not name:
                self._tell(file, line.number, "line without attribute name is ignored")
                continue
            lines.append(pair)
            if known:
                known_lines.append(pair)
            else:
                unknown[name] += 1
                first.setdefault(name, line.number)
        if not known_lines and not lines:
            return None
        return Object(
            area=self._area,
            class_name=self._data.class_def.name,
            lines=tuple(lines),
            source=SOURCE,
            indexed=self._is_indexed(file, record, known_lines),
            order=file_order(record.offset, file.number),
        )

    def _name(self, tag: bytes) -> tuple[str, bool]:
        text = tag.decode(self._charset)
        attribute = self._data.class_def.attribute(text)
        found = (attribute.name, True) if attribute else (text, False)
        self._names[tag] = found
        return found

    def _is_indexed(self, file: DataFile, record: Record, lines: list[Line]) -> bool:
        """Whether queries find an object: ARIN's indexer leaves out what breaks a rule (§8.3).

        Unless it was told not to look: then its index files name the object.
        """
        violations = self._rules.violations(lines)
        if not violations:
            return True
        if self._found is None:
            self._found = frozenset(_entries(self._data.indexes))
        indexed = f"{record.offset}:{file.number}".encode() in self._found
        first_line = record.lines[0].number
        for violation in violations:
            end = "" if indexed else "; no query finds the object"
            self._report(
                Finding(
                    str(file.path),
                    first_line,
                    violation.message + end,
                    "warning",
                    violation.code,
                )
            )
        return indexed

    def _tell(
        self, file: DataFile, line: int, message: str, severity: Severity = "warning"
    ) -> None:
        self._report(Finding(str(file.path), line, message, severity))


def _entries(indexes: tuple[Path, ...]) -> Iterator[bytes]:
    """``OFFSET:FILE`` of every live entry of index files."""
    for path in indexes:
        if not path.is_file():
            continue
        for line in read_bytes(path).split(b"\n"):
            fields = line.split(b":", 3)
            if len(fields) == 4 and fields[2] == b"0":
                yield b":".join(fields[:2])
