"""Objects of an ARIN installation: file lists and data files (§11.9)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import ClassDef
from rwhoisd.formats.arin_areas import ClassFiles, Entry
from rwhoisd.formats.arin_objects import ClassReader, Found
from rwhoisd.formats.arin_text import Reading, boolean, is_file, leading_number, unreadable
from rwhoisd.formats.findings import Finding
from rwhoisd.formats.records import Part, parts, read_part
from rwhoisd.formats.trust import is_trap, lies_below

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
        (
            path
            for path in directory.iterdir()
            if path.name.endswith(SUFFIX) and path.is_file() and not is_trap(path)
        ),
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
        elif not lies_below(path, reading.root, file_list.parent):
            # Who may change data is not always who may choose what the server reads.
            reading.find(file_list, entry.line, f"file {text} leaves the tree; left out")
        elif kind in _INDEX_TYPES:
            indexes.append(path)
        elif kind != "DATA" or not text:
            reading.find(file_list, entry.line, "entry without type DATA or file is ignored")
        elif not is_file(path):
            reading.find(file_list, entry.line, f"data file {text} does not exist; left out")
        elif is_trap(path):
            reading.find(
                file_list, entry.line, f"data file {text} is another user's link; left out"
            )
        elif path in files:
            reading.find(file_list, entry.line, f"data file {text} is listed twice; read once")
        else:
            files[path] = DataFile(path, leading_number(entry.get("file_no")) or 0)
    return ClassData(class_def, tuple(files.values()), tuple(indexes))


@dataclass(frozen=True, slots=True)
class FilePart:
    """A stretch of a data file; the numbers are those of its class and of the file in there."""

    class_number: int
    file_number: int
    part: Part


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
        reader = PartReader(self)
        unknown = UnknownNames(self)
        for part in self.parts():
            path = self.file(part).path
            found = reader.read(part)
            for finding in (*found.findings, *unknown.note(part, found.unknown)):
                report(finding)
            for obj, line in zip(found.objects, found.lines, strict=True):
                yield obj, path, line
        for finding in unknown.rest():
            report(finding)

    def without(self, names: Collection[str]) -> "ObjectFiles":
        """The same but for the objects of some classes, named in lower case."""
        kept = tuple(c for c in self.classes if c.class_def.name.lower() not in names)
        return replace(self, classes=kept)

    def parts(self) -> Iterator[FilePart]:
        """All files in parts that can be read apart from each other, in order.

        Raises: FormatError, when a file cannot be read.
        """
        for class_number, data in enumerate(self.classes):
            for file_number, file in enumerate(data.files):
                try:
                    for part in parts(file.path):
                        yield FilePart(class_number, file_number, part)
                except OSError as error:
                    raise unreadable(file.path, error) from error

    def file(self, part: FilePart) -> DataFile:
        """The file that a part is one of."""
        return self.classes[part.class_number].files[part.file_number]

    def findings(self) -> Iterator[Finding]:
        """What is odd about the objects; reads all files."""
        found: list[Finding] = []
        for _ in self.read(found.append):
            yield from found
            found.clear()
        yield from found


class PartReader:
    """Reads parts of the files of an area, in any order."""

    def __init__(self, files: ObjectFiles) -> None:
        self._files = files
        self._readers: dict[int, ClassReader] = {}

    def read(self, at: FilePart) -> Found:
        """The objects of a part. Raises: FormatError, when its file cannot be read."""
        files, reader = self._files, self._readers.get(at.class_number)
        data, file = files.classes[at.class_number], files.file(at)
        if reader is None:
            reader = ClassReader(files.area.text, files.charset, data.class_def, data.indexes)
            self._readers[at.class_number] = reader
        try:
            octets = read_part(file.path, at.part)
        except OSError as error:
            raise unreadable(file.path, error) from error
        return reader.read(file.path, file.number, at.part, octets)


class UnknownNames:
    """Gathers unknown attributes part by part, for one finding per file and name."""

    def __init__(self, files: ObjectFiles) -> None:
        self._files = files
        self._at: FilePart | None = None
        self._counts: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def note(self, at: FilePart, unknown: dict[str, tuple[int, int]]) -> list[Finding]:
        """Take in those of a part: name → count, first line. What is known of files before."""
        before = []
        if self._at is not None and self._files.file(self._at) != self._files.file(at):
            before = self.rest()
        self._at = at
        for name, (count, line) in unknown.items():
            self._counts[name] += count
            self._first.setdefault(name, line)
        return before

    def rest(self) -> list[Finding]:
        """The findings of the file that was noted last."""
        if self._at is None:
            return []
        path = str(self._files.file(self._at).path)
        class_name = self._files.classes[self._at.class_number].class_def.name
        findings = [
            Finding(
                path,
                self._first[name],
                f"attribute {name!r} is unknown in class {class_name}"
                f"{f' in {count} lines' if count > 1 else ''}; kept, but never shown",
            )
            for name, count in self._counts.items()
        ]
        self._counts.clear()
        self._first.clear()
        return findings
