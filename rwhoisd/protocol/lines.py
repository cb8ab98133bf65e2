"""Line assembly: a bounded buffer that gives cleaned lines (arin-rwhoisd.md §1.2, N15).

Theory of operation. Bytes are kept as they came; ``position`` is where the next line begins.
A line ends at LF. What is left of it loses its control characters (TAB stays, so a CR before
the LF is gone as well) and its outer blanks. What happens to a line that is too long depends
on the mode: ARIN's server cuts it into lines of 511 octets, each of them a command; else it is
refused once and skipped up to its end.
"""

import re
from dataclasses import dataclass, field
from typing import Final

LF: Final = b"\n"
_CRLF: Final = b"\r\n"
_CR: Final = 13
# Bytes that are removed from a line: all control characters but TAB. NUL is treated before.
CONTROLS: Final = bytes(b for b in (*range(0x20), 0x7F) if b != 0x09)
# Line end octets that do not count toward the limit of a line that is refused when too long.
_LINE_END_OCTETS: Final = 2


# A line that is clean already, and can be nothing but a query.
_CLEAN_QUERY: Final = re.compile(rb"(?=[^\0-\x20\x7f-])[^\0-\x1f\x7f]+(?<! )\Z").match


def is_clean_query(line: bytes) -> bool:
    """Whether ``line`` is a query whatever the mode is, and is what ``clean`` gives for it."""
    return _CLEAN_QUERY(line) is not None


class LineRefusedError(Exception):
    """A line that cannot be a request; ``head`` is its cleaned beginning."""

    def __init__(self, head: bytes, reason: str) -> None:
        super().__init__(reason)
        self.head = head
        self.reason = reason


def clean(line: bytes) -> bytes:
    """``line`` without control characters (TAB excepted) and outer blanks."""
    return line.translate(None, CONTROLS).strip()


@dataclass(frozen=True, slots=True)
class LineRules:
    """How bytes become lines.

    ``octets`` is the length of the longest line; with ``cut`` a longer one becomes several
    lines. With ``nul_ends`` a NUL ends a line early, else such a line is refused (R3.1.9-2).
    """

    octets: int
    cut: bool
    nul_ends: bool
    window: int = field(init=False)  # in which a line has to end

    def __post_init__(self) -> None:
        window = self.octets if self.cut else self.octets + _LINE_END_OCTETS
        object.__setattr__(self, "window", window)

    def whole_lines(self, data: bytes) -> list[bytes] | None:
        """The lines of ``data``, as they came but without line ends.

        None when the last one is not whole, one may be too long, or line ends are mixed. No line
        holds an LF, as the cache of answers relies on.
        """
        line, _, rest = data.partition(LF)
        if not rest and len(line) < len(data) <= self.octets:  # a lone line, mostly
            return [line[:-1] if line and line[-1] == _CR else line]
        lines = data.split(_CRLF if data.endswith(_CRLF) else LF)
        if lines.pop() or not lines or data.count(LF) != len(lines):
            return None
        if len(data) > self.octets and max(map(len, lines)) + _LINE_END_OCTETS > self.octets:
            return None
        return lines


class LineBuffer:
    """Received bytes, given out as cleaned lines."""

    __slots__ = ("_data", "_position", "_rules", "_skipping")

    def __init__(self, rules: LineRules) -> None:
        self._rules = rules
        self._data = b""
        self._position = 0
        self._skipping = False  # inside of a line that was refused already

    @property
    def pending(self) -> int:
        """Octets received and not yet given out."""
        return len(self._data) - self._position

    @property
    def is_empty(self) -> bool:
        """Whether what comes next begins a line, and is the first to be given out."""
        return self._position == len(self._data) and not self._skipping

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        if self._position == len(self._data):
            self._data = bytes(data)
        else:
            self._data = self._data[self._position :] + data
        self._position = 0

    def clear(self) -> None:
        """Forget everything that was not given out."""
        self._data, self._position, self._skipping = b"", 0, False

    def next_line(self) -> bytes | None:
        """The next line, possibly empty; None when it has not come in full.

        Raises: LineRefusedError, once for each line that is too long or holds a NUL.
        """
        data, start = self._data, self._position
        if start == len(data):
            return None
        end = data.find(LF, start, start + self._rules.window)
        if end < 0 or self._skipping:
            return self._without_line_end()
        self._position = end + 1
        return self._cleaned(data[start:end])

    def last_line(self) -> bytes | None:
        """What stands after the last line end; None when nothing does. Raises as above.

        To be asked at the end of input, when ``next_line`` gives nothing more.
        """
        rest = self._data[self._position :]
        skipping = self._skipping
        self.clear()
        return None if skipping or not rest else self._cleaned(rest)

    def next_piece(self, *, ended: bool) -> tuple[bytes, bool] | None:
        """The next line as it came, with its line end, and whether that is there.

        A long line comes in pieces, for whoever bounds their sum. None: it has not come in full;
        with ``ended`` nothing more comes, so what is there is a line.
        """
        data, start = self._data, self._position
        if start == len(data):
            return None
        end = data.find(LF, start, start + self._rules.window) + 1
        if end:
            self._position = end
            return data[start:end], True
        if self.pending < self._rules.window and not ended:
            return None
        self._position = min(start + self._rules.window, len(data))
        return data[start : self._position], ended and self._position == len(data)

    def _without_line_end(self) -> bytes | None:
        if self._skipping:
            return self._skip()
        if self.pending < self._rules.window:
            return None
        head = self._data[self._position : self._position + self._rules.octets]
        if self._rules.cut:
            self._position += self._rules.octets
            return self._cleaned(head)
        self._skipping = True
        raise LineRefusedError(clean(head), f"line longer than {self._rules.octets} octets")

    def _skip(self) -> bytes | None:
        """Drop the rest of a refused line; None when its end has not come."""
        end = self._data.find(LF, self._position)
        if end < 0:
            self._data, self._position = b"", 0
            return None
        self._position = end + 1
        self._skipping = False
        return b""

    def _cleaned(self, line: bytes) -> bytes:
        if 0 in line:
            head, _, _ = line.partition(b"\0")
            if not self._rules.nul_ends:
                raise LineRefusedError(clean(head), "NUL in line")
            line = head
        return line.translate(None, CONTROLS).strip()
