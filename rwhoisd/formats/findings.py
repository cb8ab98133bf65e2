"""What a reader of files has to say: where, what, how bad, and what mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rwhoisd.directory.errors import ResponseCode

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark on a file or an object.

    ``file`` is the path as a person would type it, or ``store:AREA``; ``line`` counts from 1,
    0 stands for the whole. ``code`` is the RFC 2167 code of a broken rule, where there is one.
    """

    file: str
    line: int
    message: str
    severity: Severity = "warning"
    code: ResponseCode | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        code = f" ({int(self.code)})" if self.code else ""
        return f"{place}: {self.severity}: {self.message}{code}"


class FormatError(Exception):
    """Files that cannot be read; ``findings`` holds every mistake found, at least one."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(f) for f in self.findings))

    def __reduce__(self) -> tuple[type["FormatError"], tuple[tuple[Finding, ...]]]:
        """As pickle needs it: made of its findings, not of its text."""
        return type(self), (self.findings,)


def failed(file: object, line: int, message: str) -> FormatError:
    """The exception for one mistake; the message tells the mend as well."""
    return FormatError([Finding(str(file), line, message, "error")])
