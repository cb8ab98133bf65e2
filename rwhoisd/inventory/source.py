"""What a source is, and what it gets: files (or settings of an API) in, facts out.

A source is found by its kind in the entry-point group ``rwhoisd.inventory.sources``, ours as
well as those of other packages. It never raises for what a file holds: what it does not
understand is a warning with its line, and it goes on.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.inventory.facts import Fact, Place

GROUP: Final = "rwhoisd.inventory.sources"
FILE_OCTETS: Final = 64 << 20  # a larger file is no configuration
INCLUDE_DEPTH: Final = 16
INCLUDED_FILES: Final = 4096  # of one source


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read. ``name`` is its path as a person named it."""

    name: str
    text: str
    path: Path | None = None  # None: it came from no disk
    modified: datetime | None = None

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends."""
        return self.text.split("\n")

    def at(self, line: int) -> Place:
        """A place in it."""
        return Place(self.name, line)

    @classmethod
    def read(cls, path: Path) -> "TextFile":
        """UTF-8, else Latin-1; a BOM and carriage returns go. Raises: FormatError."""
        try:
            stat = path.stat()
            if not path.is_file():
                raise failed(path, 0, "is no file; name a file or a folder of files")
            if stat.st_size > FILE_OCTETS:
                raise failed(path, 0, f"has {stat.st_size} octets, more than {FILE_OCTETS}")
            data = path.read_bytes()
        except OSError as error:
            raise failed(path, 0, f"cannot be read: {error.strerror}") from error
        return cls(str(path), text_of(data), path, datetime.fromtimestamp(stat.st_mtime, UTC))


def text_of(data: bytes) -> str:
    """Octets as text, whatever they are: UTF-8 (UTF-16 by its mark), else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _plain(data.decode("utf-16", "replace"))
    try:
        return _plain(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _plain(data.decode("latin-1"))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


class Report:
    """What a source has to say beside its facts.

    ``incomplete``: why the reading is not the whole source (a truncated file, a page of many);
    such a source never removes anything.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.incomplete: list[Finding] = []

    def warn(self, place: Place, message: str) -> None:
        """Something was skipped. The message names a keyword, never a whole line or a value."""
        self.findings.append(Finding(place.file, place.line, message))

    def partial(self, place: Place, reason: str) -> None:
        """The reading is not the whole source."""
        finding = Finding(place.file, place.line, f"is not the whole source: {reason}")
        self.findings.append(finding)
        self.incomplete.append(finding)


@dataclass(frozen=True)
class Inputs:
    """What a source is to read.

    ``root`` is the folder that includes may name files of; None: includes are not followed.
    ``settings`` are words of the operator for this source, such as the URL of an API.
    """

    files: tuple[TextFile, ...] = ()
    root: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    depth: int = 0
    taken: list[Path] = field(default_factory=list)  # files that were included, of all depths

    def included(self, pattern: str, origin: Place, report: Report) -> Iterator[TextFile]:
        """The files that an include statement at ``origin`` names, in order of their names.

        A relative pattern starts from the folder of the file. What is not there, lies outside
        ``root`` or is nested too deep is a warning.
        """
        if self.root is None:
            report.warn(origin, "include is not followed; name a folder with --include-root")
        elif self.depth >= INCLUDE_DEPTH:
            report.partial(origin, f"include is nested deeper than {INCLUDE_DEPTH}")
        else:
            yield from self._matching(self.root.resolve(), pattern, origin, report)

    def _matching(
        self, root: Path, pattern: str, origin: Place, report: Report
    ) -> Iterator[TextFile]:
        base = Path(origin.file).resolve().parent
        found = sorted(_glob(root, base, pattern))
        if not found:
            report.warn(origin, "include names no file within the include root")
        for path in found:
            if len(self.taken) >= INCLUDED_FILES:  # files that include each other come to many
                report.partial(origin, f"more than {INCLUDED_FILES} files are included")
                return
            self.taken.append(path)
            try:
                file = TextFile.read(path)
            except FormatError as error:
                report.findings += error.findings
                report.incomplete += error.findings
            else:  # as a person would name it, beside the file that includes it
                beside = Path(origin.file).parent / os.path.relpath(path, base)
                yield replace(file, name=os.path.normpath(beside))

    def deeper(self, files: Sequence[TextFile]) -> "Inputs":
        """The same for files that were included."""
        return replace(self, files=tuple(files), depth=self.depth + 1)


def _glob(root: Path, base: Path, pattern: str) -> Iterator[Path]:
    """Files within ``root``; an absolute pattern is tried as it is, then below ``root``."""
    relative = pattern.lstrip("/")
    starts = [(root, relative)] if pattern.startswith("/") else [(base, pattern), (root, pattern)]
    if pattern.startswith("/") and Path(pattern).is_relative_to(root):
        starts = [(root, str(Path(pattern).relative_to(root)))]
    for start, rest in starts:
        try:
            matches = [path.resolve() for path in start.glob(rest)]
        except (ValueError, OSError, NotImplementedError, RuntimeError):  # the last: link loops
            matches = []
        inside = [path for path in matches if path.is_relative_to(root) and path.is_file()]
        if inside:
            yield from inside
            return


@runtime_checkable
class Source(Protocol):
    """Where facts come from. Packages of others give one under their kind."""

    @property
    def kind(self) -> str:
        """The word for ``--kind``."""

    @property
    def summary(self) -> str:
        """One line for people: what it reads."""

    @property
    def names(self) -> tuple[str, ...]:
        """Patterns of the files that are taken from a folder; none: it reads no files."""

    def read(self, inputs: Inputs, report: Report) -> Iterable[Fact]:
        """The facts of the inputs. Raises: FormatError, when it cannot be read at all."""


Reader = Callable[[TextFile, Inputs, Report], Iterable[Fact]]


@dataclass(frozen=True)
class FileSource:
    """A source that reads each of its files by itself."""

    kind: str
    summary: str
    names: tuple[str, ...]
    reader: Reader

    def read(self, inputs: Inputs, report: Report) -> Iterable[Fact]:
        """The facts of one file after the other."""
        for file in inputs.files:
            yield from self.reader(file, inputs, report)


@dataclass(frozen=True)
class WholeSource:
    """A source whose files belong together: they are read at once."""

    kind: str
    summary: str
    names: tuple[str, ...]
    reader: Callable[[Inputs, Report], Iterable[Fact]]

    def read(self, inputs: Inputs, report: Report) -> Iterable[Fact]:
        """The facts of all files."""
        return self.reader(inputs, report)


def source_kinds() -> list[str]:
    """The kinds that are installed, in order."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find_source(kind: str) -> Source:
    """The source of a kind. Raises: FormatError, when none is installed or it is none."""
    found = next((entry for entry in entry_points(group=GROUP) if entry.name == kind), None)
    if found is None:
        known = ", ".join(source_kinds())
        raise failed(f"kind {kind!r}", 0, f"is not known; known are {known}")
    try:
        source = found.load()
    except Exception as error:
        reason = f"of {found.value} cannot be loaded: {type(error).__name__}: {error}"
        raise failed(f"kind {kind!r}", 0, f"{reason}; mend or remove its package") from error
    if not isinstance(source, Source):
        raise failed(f"kind {kind!r}", 0, f"of {found.value} is no inventory source")
    return source
