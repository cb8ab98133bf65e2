"""The other end of the protocol: what a server said, read line by line (RFC 2167 §3.4).

Sans-IO like the rest of the package, for whoever asks other servers. A server of the field is
not always the RFC's: lines that are none of its forms are kept apart, never lost.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from rwhoisd.directory.errors import ResponseCode

ValueType = Literal["T", "I", "S"]

_RECORD_LINE: Final = re.compile(r"([A-Za-z0-9_-]+):([A-Za-z0-9_-]+)(?:;([TIStis]))?:(.*)\Z")
_ERROR_LINE: Final = re.compile(r"%error +([0-9]{3})(?: +(.*))?\Z", re.IGNORECASE)
_BANNER_LINE: Final = re.compile(
    r"%rwhois +(?P<versions>[^: ]+)(?::(?P<capabilities>[0-9A-Fa-f]{1,8}):[^ ]*)?"
    r"(?: +(?P<rest>.*))?\Z"
)
_REFERRAL: Final = "%referral "


@dataclass(frozen=True, slots=True)
class Banner:
    """The first line of a server: ``%rwhois V-1.5:00ffff:00 host (implementation)`` (§3.1.9)."""

    versions: tuple[str, ...]
    capabilities: int  # bits of Appendix D; 0 when the server left the field out
    rest: str  # host and implementation

    @classmethod
    def from_text(cls, line: str) -> "Banner | None":
        """Read the line; None when it is no banner."""
        match = _BANNER_LINE.match(line)
        if match is None:
            return None
        capabilities = int(match["capabilities"] or "0", 16)
        return cls(tuple(match["versions"].split(",")), capabilities, match["rest"] or "")


@dataclass(frozen=True, slots=True)
class ValueLine:
    """A line of a record. No type character means T (R3.4-10)."""

    attribute: str
    value: str
    type: ValueType = "T"


@dataclass(frozen=True, slots=True)
class Record:
    """An object as a server showed it: its class, and its lines in order."""

    class_name: str
    lines: tuple[ValueLine, ...]

    def values(self, attribute: str) -> tuple[str, ...]:
        """Values of an attribute; the case of its name does not count (N36)."""
        wanted = attribute.lower()
        return tuple(line.value for line in self.lines if line.attribute.lower() == wanted)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a server said to one line.

    ``code`` is that of the closing ``%error``, 0 when it closed with ``%ok``, None when the
    answer broke off before either.
    """

    records: tuple[Record, ...] = ()
    referrals: tuple[str, ...] = ()
    info: tuple[str, ...] = ()  # lines between %info on and %info off (§3.1.5)
    other: tuple[str, ...] = ()  # lines of no known form
    code: int | None = None
    text: str = ""  # wording of the %error

    @property
    def complete(self) -> bool:
        """Whether the last line came (R3.1.2-4)."""
        return self.code is not None

    @property
    def fatal(self) -> bool:
        """Whether the server could not serve at all: a code that closes the connection."""
        return self.code is not None and self.code >= ResponseCode.MEMORY


class AnswerReader:
    """Collects the lines of one answer. Every line belongs to it until ``feed`` says True."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._class_name = ""
        self._lines: list[ValueLine] = []
        self._referrals: list[str] = []
        self._info: list[str] = []
        self._other: list[str] = []
        self._in_info = False
        self._code: int | None = None
        self._text = ""

    def feed(self, line: str) -> bool:
        """Take one line without its end; True when it was the last of the answer."""
        if self._in_info:
            self._feed_info(line)
        elif not line:
            self._end_record()
        elif line.startswith("%"):
            self._feed_response(line)
        else:
            self._feed_value(line)
        return self._code is not None

    def answer(self) -> Answer:
        """What came so far; whole when ``feed`` said True."""
        self._end_record()
        return Answer(
            tuple(self._records),
            tuple(self._referrals),
            tuple(self._info),
            tuple(self._other),
            self._code,
            self._text,
        )

    def _feed_info(self, line: str) -> None:
        if line.lower().split() == ["%info", "off"]:
            self._in_info = False
        else:
            self._info.append(line)

    def _feed_response(self, line: str) -> None:
        if line.rstrip().lower() == "%ok":
            self._code = 0
        elif match := _ERROR_LINE.match(line):
            self._code, self._text = int(match[1]), match[2] or ""
        elif line.lower().startswith(_REFERRAL):
            self._referrals.append(line[len(_REFERRAL) :].strip())
        elif line.lower().split() == ["%info", "on"]:
            self._in_info = True
        else:
            self._other.append(line)

    def _feed_value(self, line: str) -> None:
        match = _RECORD_LINE.match(line)
        if match is None:
            self._other.append(line)
            return
        class_name, attribute, kind, value = match.groups()
        if class_name.lower() != self._class_name.lower():
            self._end_record()  # a server that leaves the empty line out
            self._class_name = class_name
        self._lines.append(ValueLine(attribute, value, _TYPES[(kind or "T").upper()]))

    def _end_record(self) -> None:
        if self._lines:
            self._records.append(Record(self._class_name, tuple(self._lines)))
        self._class_name, self._lines = "", []


_TYPES: Final[dict[str, ValueType]] = {"T": "T", "I": "I", "S": "S"}
