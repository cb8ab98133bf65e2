"""Reads a source: its files as they are named, its facts put in order."""

import os
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.inventory.facts import Fact, Place
from rwhoisd.inventory.source import Inputs, Report, Source, TextFile
from rwhoisd.inventory.words import is_publishable


@dataclass
class Reading:
    """What one source gave. ``failures`` say why it could not be read, wholly or in part."""

    kind: str
    facts: list[Fact] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    failures: list[Finding] = field(default_factory=list)
    modified: datetime | None = None  # of the newest file; None: it has no files

    @property
    def whole(self) -> bool:
        """Whether all of the source was read: only then may anything be removed."""
        return not self.failures


def scan(
    source: Source,
    paths: Sequence[Path],
    *,
    root: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Reading:
    """What a source says of files and folders. A file that cannot be read is a failure."""
    reading = Reading(source.kind)
    files = list(_files(source, paths, reading))
    times = [file.modified for file in files if file.modified]
    reading.modified = max(times, default=None)
    report = Report()
    facts: list[Fact] = []
    try:
        facts += source.read(Inputs(tuple(files), root, settings or {}), report)
    except FormatError as error:
        reading.failures += error.findings
    except Exception as error:  # a fault of one source stops no other
        reading.failures.append(_fault(source, error))
    reading.facts = list(in_order(facts))
    reading.findings += [f for f in report.findings if f not in report.incomplete]
    reading.failures += report.incomplete
    return reading


def _fault(source: Source, error: Exception) -> Finding:
    """What went wrong within a source, without the values that its message may hold."""
    *_, last = traceback.extract_tb(error.__traceback__)
    where = f"{Path(last.filename).name}:{last.lineno}"
    message = f"failed with {type(error).__name__} at {where}; tell those who make the source"
    return Finding(f"kind {source.kind!r}", 0, message, "error")


def _files(source: Source, paths: Sequence[Path], reading: Reading) -> Iterator[TextFile]:
    for path in paths:
        try:
            found = _below(source, path)
        except FormatError as error:
            reading.failures += error.findings
            continue
        for file in found:
            try:
                yield TextFile.read(file)
            except FormatError as error:
                reading.failures += error.findings


def _below(source: Source, path: Path) -> list[Path]:
    """The path itself, or the files in it that the source takes. Raises: FormatError."""
    if not path.is_dir():
        return [path]
    try:  # not rglob, which passes over what it may not look into
        walked = [(folder, names) for folder, _, names in os.walk(path, onerror=_raise)]
    except OSError as error:
        raise failed(error.filename, 0, f"cannot be read: {error.strerror}") from error
    found = sorted(
        file
        for folder, names in walked
        for file in map(Path(folder).joinpath, names)
        if any(_is_called(file, name) for name in source.names) and file.is_file()
    )
    if not found:
        raise failed(path, 0, f"holds no file that is called {' or '.join(source.names)}")
    return found


def _raise(error: OSError) -> None:
    raise error


def _is_called(file: Path, pattern: str) -> bool:
    """A pattern with a slash is one of the whole path: ``*/host_vars/*``."""
    return fnmatch(file.as_posix() if "/" in pattern else file.name, pattern)


def in_order(facts: Iterable[Fact]) -> Iterator[Fact]:
    """Each fact once, without those that are never published (inventory-formats.md §0.2)."""
    seen: set[Fact] = set()
    for fact in facts:
        if fact.where is None and not fact.name:
            continue
        if fact.where is not None and not is_publishable(fact.where):
            continue
        key = replace(fact, place=Place(""))
        if key not in seen:
            seen.add(key)
            yield fact
