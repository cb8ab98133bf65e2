"""Words of ARIN's files: booleans, numbers, paths; what each reader of them needs."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rwhoisd.directory.objects import TRUE_WORDS
from rwhoisd.formats.findings import Finding, FormatError, Severity, failed
from rwhoisd.formats.records import LINE_OCTETS, Record, common_charset, records

_LEADING_NUMBER: Final = re.compile(r"\s*([+-]?[0-9]{1,18})")


def boolean(text: str) -> bool:
    """TRUE, YES and ON in any case are true, everything else is false (§11.1)."""
    return text.upper() in TRUE_WORDS


def leading_number(text: str) -> int | None:
    """The number a text begins with, as C's atoi takes it; None when there is none."""
    match = _LEADING_NUMBER.match(text)
    return int(match[1]) if match else None


@dataclass
class Reading:
    """One reading of an installation: where paths start, what was read, what was found odd.

    ``charset`` is the one to read with; None finds it for each file by itself.
    """

    root: Path
    charset: str | None = None
    findings: list[Finding] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def find(self, file: Path, line: int, message: str, severity: Severity = "warning") -> None:
        """Note a finding."""
        self.findings.append(Finding(str(file), line, message, severity))

    def path(self, text: str) -> Path:
        """A path of a file, relative to the root directory (§11.1)."""
        return self.root / text

    def read(self, path: Path, why: str = "") -> bytes:
        """The octets of a file, remembered for the fingerprint.

        Raises: FormatError naming the file and the reason.
        """
        self.files.append(path)
        return read_bytes(path, why)

    def records(self, path: Path, octets: int = LINE_OCTETS) -> tuple[list[Record], str]:
        """The records of a small file and their charset; lines without colon are findings."""
        data = self.read(path)
        found = list(records(data, octets))
        for record in found:
            for number, odd in record.odd:
                text = odd.decode("utf-8", "replace")[:60]
                self.find(path, number, f"line {text!r} has no ':' and is ignored")
        return found, self.charset or common_charset([data])


def read_bytes(path: Path, why: str = "") -> bytes:
    """The octets of a file. Raises: FormatError naming it and the reason."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, why) from error


def is_file(path: Path) -> bool:
    """Whether there is such a file; a path that is too long to be one names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder, as ``is_file``."""
    try:
        return path.is_dir()
    except OSError:
        return False


def unreadable(path: Path, error: OSError, why: str = "") -> FormatError:
    """The exception for a file that the system does not let us read."""
    return failed(path, 0, f"cannot be read{why}: {error.strerror}")
