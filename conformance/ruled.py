"""What the rulings change in the recorded set for a server that minds the RFC (mode ``rfc``).

A rule looks at a command and at the recorded answer, never at a case's id. There are three kinds,
all in ``arin/ruled.toml``:

- it *rewrites* the expected answer (``find``/``put``, ``answer``, ``transform``);
- it *accepts* other answers beside the expected one (``received``), where the papers leave room;
- it *masks*: what is the server's own is left out on both sides (``mask``).

A difference that no rule explains stays a finding.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.recorded import HERE, RecordedCase
from conformance.transcript import split_responses

# Appendix D.
_BITS = {
    "class": 0x1,
    "directive": 0x2,
    "display": 0x4,
    "forward": 0x8,
    "holdconnect": 0x10,
    "limit": 0x20,
    "notify": 0x40,
    "quit": 0x80,
    "register": 0x100,
    "schema": 0x200,
    "security": 0x400,
    "soa": 0x800,
    "status": 0x1000,
    "xfer": 0x2000,
}
# Appendix C, as far as its words are not ARIN's in another case.
_WORDING = {"330": "Exceeded maximum objects limit", "354": "Encryption failed"}
_SCHEMA_ORDER = (
    "attribute",
    "description",
    "type",
    "format",
    "indexed",
    "required",
    "multi-line",
    "repeatable",
    "primary",
    "hierarchical",
    "private",
)
ARIN_LINE = 511
_CONTROLS = re.compile(r"[\x01-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class Session:
    """What the rules have to remember along a conversation."""

    capability: int = 0
    forward: bool = False
    limit: str = "20"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command (for the end of a registration: with the lines registered) and its answer.

    The empty command stands for the connection; its answer is the banner.
    """

    command: str
    response: str


def _schema(exchange: Exchange, session: Session) -> str:  # noqa: ARG001
    """A17: the RFC's order of lines, types in capitals."""
    done: list[str] = []
    record: list[str] = []
    for line in exchange.response.splitlines(keepends=True):
        if re.match(r"%schema \S", line):
            record.append(_type_in_capitals(line))
        else:
            done += [*sorted(record, key=_schema_place), line]
            record = []
    return "".join(done)


def _type_in_capitals(line: str) -> str:
    return re.sub(r"(?<=:type:).*", lambda match: match[0].upper(), line)


def _schema_place(line: str) -> int:
    return _SCHEMA_ORDER.index(line.split(":")[1])


def _directives_that_are_on(exchange: Exchange, session: Session) -> str:
    """A7: what is off is not listed, and asked by name it is 400."""

    def listed(match: re.Match[str]) -> str:
        bit = _BITS.get(match[1].lower(), 0)
        return match[0] if not bit or session.capability & bit else ""

    kept = re.sub(
        r"%directive directive:(.*)\n%directive description:.*\n%directive\n",
        listed,
        exchange.response,
    )
    return "%error 400 Directive not available\n" if kept == "%ok\n" else kept


def _referrals_followed(exchange: Exchange, session: Session) -> str:
    """A9, N19: under -forward on no referral is shown; what came otherwise is given."""
    if not session.forward:
        return exchange.response
    kept = re.sub(r"(?m)^%referral.*\n", "", exchange.response)
    nothing_left = kept == "%ok\n" and kept != exchange.response
    return "%error 402 Unidentified error\n" if nothing_left else kept


def _each_referral_once(exchange: Exchange, session: Session) -> str:  # noqa: ARG001
    """A26."""
    seen: set[str] = set()
    lines = []
    for line in exchange.response.splitlines(keepends=True):
        if line.startswith("%referral") and line in seen:
            continue
        seen.add(line)
        lines.append(line)
    return "".join(lines)


def _limit_of_digits(exchange: Exchange, session: Session) -> str:
    """N21: digits or 338; the line of -status follows."""
    if match := re.fullmatch(
        r"-limit\S*\s+[\"']?([^\s\"']+)[\"']?", exchange.command, re.IGNORECASE
    ):
        if not match[1].isdigit():
            return "%error 338 Invalid directive syntax\n"
        if exchange.response.startswith("%ok"):
            session.limit = match[1].lstrip("0") or "0"
    return re.sub(r"(?m)^%status limit:.*$", f"%status limit:{session.limit}", exchange.response)


def _wording(exchange: Exchange, session: Session) -> str:  # noqa: ARG001
    """A2: Appendix C has sentence case, ARIN Title Case."""

    def worded(match: re.Match[str]) -> str:
        code, text, detail = match[1], match[2], match[3] or ""
        return f"%error {code} {_WORDING.get(code, text.capitalize())}{detail}"

    return re.sub(r"(?m)^%error (\d{3}) ([^:\n]*)(:.*)?$", worded, exchange.response)


def _x_bit(exchange: Exchange, session: Session) -> str:  # noqa: ARG001
    """A4: the data set has X directives."""

    def with_bit(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2], 16) | 0x4000:06x}"

    return re.sub(r"^(%rwhois V-1\.5:)([0-9a-f]{6})", with_bit, exchange.response)


Transform = Callable[[Exchange, Session], str]
TRANSFORMS: Mapping[str, Transform] = {
    "schema": _schema,
    "directives-that-are-on": _directives_that_are_on,
    "referrals-followed": _referrals_followed,
    "each-referral-once": _each_referral_once,
    "limit-of-digits": _limit_of_digits,
    "wording": _wording,
    "x-bit": _x_bit,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    It fits when ``request`` matches the whole command and ``recorded`` something in the answer.
    ``closes`` says what the ruled answer does to the connection; ``rest`` is ``unjudged`` when
    the remaining conversation depends on the answer ``received``. ``fewer``: a part of the
    recorded records will do.
    """

    id: str
    note: str
    request: str = r"(?s).*"
    recorded: str = ""
    find: str = ""
    put: str = ""
    answer: str = ""
    transform: str = ""
    received: str = ""
    mask: str = ""
    closes: bool | None = None
    rest: str = ""
    fewer: bool = False

    def fits(self, exchange: Exchange) -> bool:
        """Whether the rule speaks about this exchange."""
        return (
            re.fullmatch(self.request, exchange.command, re.IGNORECASE) is not None
            and re.search(self.recorded, exchange.response) is not None
        )

    def rewritten(self, exchange: Exchange, session: Session) -> str:
        """The expected answer under this rule."""
        if self.answer:
            return self.answer
        if self.transform:
            return TRANSFORMS[self.transform](exchange, session)
        if self.find:
            return re.sub(self.find, self.put, exchange.response)
        return exchange.response


@dataclass(frozen=True, slots=True)
class Leeway:
    """Another right answer: ``received`` matches it; ``ends``: what follows depends on it."""

    received: str
    ends: bool


@dataclass(slots=True)
class Ruling:
    """What the rules make of one case: the expected answers, the banner first, and the leeway.

    ``fewer`` holds the numbers of the answers for which a part of the records will do.
    """

    responses: list[str] = field(default_factory=list)
    leeway: dict[int, list[Leeway]] = field(default_factory=dict)
    fewer: set[int] = field(default_factory=set)
    masks: list[str] = field(default_factory=list)
    closed: bool | None = None

    def masked(self, text: str) -> str:
        """``text`` without what is the server's own."""
        for mask in self.masks:
            text = re.sub(mask, "", text)
        return text

    def explains(self, number: int, received: str) -> Leeway | None:
        """The leeway that allows this answer."""
        for leeway in self.leeway.get(number, ()):
            if re.fullmatch(leeway.received, received):
                return leeway
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """The table."""

    rules: tuple[Rule, ...]

    def ruling(self, case: RecordedCase) -> Ruling:
        """What is expected for ``case`` of a server in mode ``rfc``."""
        ruling = Ruling()
        session = Session()
        for exchange in _exchanges(case):
            _follow(exchange, session)
            self._rule(exchange, session, ruling)
        return ruling

    def _rule(self, exchange: Exchange, session: Session, ruling: Ruling) -> None:
        number = len(ruling.responses)
        for rule in self.rules:
            if not rule.fits(exchange):
                continue
            exchange = replace(exchange, response=rule.rewritten(exchange, session))
            if rule.received:
                leeway = Leeway(rule.received, ends=rule.rest == "unjudged")
                ruling.leeway.setdefault(number, []).append(leeway)
            if rule.fewer:
                ruling.fewer.add(number)
            if rule.mask and rule.mask not in ruling.masks:
                ruling.masks.append(rule.mask)
            if rule.closes is not None:
                ruling.closed = rule.closes
        ruling.responses.append(exchange.response)


def _exchanges(case: RecordedCase) -> Iterator[Exchange]:
    """The commands with their answers, the banner first; unanswered commands are left out."""
    banner, responses = split_responses(case.reply.replace("\r\n", "\n"))
    yield Exchange("", banner)
    left = list(responses)
    spool: list[str] | None = None
    for command in map(_cleaned, b"".join(case.pieces).decode("latin-1").split("\n")):
        if spool is not None and not re.match(r"-[A-Za-z]", command):
            spool.append(command)
            continue
        if command.startswith("\x00"):  # to ARIN's server an empty line; to others a command
            yield Exchange(command, "")
            continue
        if not command or not left:
            continue
        whole = [*(spool or ()), command] if _ends_spool(command) else [command]
        exchange = Exchange("\n".join(whole), left.pop(0))
        spool = _spooling(command, exchange.response, spool)
        yield exchange
    if left:
        yield Exchange("?", "".join(left))


def _cleaned(line: str) -> str:
    """A line as a command; one that is too long for ARIN's server keeps its blanks."""
    command = _CONTROLS.sub("", line)
    return command if len(command) > ARIN_LINE else command.strip()


def _spooling(command: str, response: str, spool: list[str] | None) -> list[str] | None:
    """The lines registered after this command; None outside of a registration."""
    if re.match(r"-register\s+on\b", command, re.IGNORECASE) and response.endswith("%ok\n"):
        return [command] if spool is None else spool
    return None if _ends_spool(command) else spool


def _ends_spool(command: str) -> bool:
    return re.match(r"-register\s+off\b", command, re.IGNORECASE) is not None


def _follow(exchange: Exchange, session: Session) -> None:
    """Keeps in mind what this exchange changes."""
    if match := re.match(r"%rwhois [^:]+:([0-9a-f]+):", exchange.response):
        session.capability = int(match[1], 16)
    switch = re.fullmatch(r"-forward\s+(on|off)", exchange.command, re.IGNORECASE)
    if switch and exchange.response.startswith("%ok"):
        session.forward = switch[1].lower() == "on"


def load_rules(path: Path = HERE / "ruled.toml", data: Path = HERE / "data") -> Rules:
    """The table, its ``{areas}``, ``{classes}`` and ``{attributes}`` filled in from ``data``."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    names = {
        "{areas}": _names([data / "rwhoisd.auth_area"], "name"),
        "{guarded}": _guarded(data / "rwhoisd.auth_area"),
        "{classes}": _names(data.glob("*/schema"), "name|alias"),
        "{attributes}": _names(
            data.glob("*/attribute_defs/*"), "attribute|attribute-alias", _BASE_ATTRIBUTES
        ),
    }
    return Rules(tuple(Rule(**_filled(row, names)) for row in table["rule"]))


_BASE_ATTRIBUTES = (
    *("Class-Name", "CN", "Object-Type", "Schema-Name", "ID", "Auth-Area", "AA", "Updated"),
    *("UP", "Guardian", "GRD", "Private", "PVT", "TTL"),
)


def _names(paths: Iterator[Path] | Sequence[Path], tags: str, known: Sequence[str] = ()) -> str:
    """A pattern that matches each name that stands behind one of ``tags`` in the files."""
    pattern = re.compile(rf"(?mi)^(?:{tags})[ \t]*:[ \t]*(\S+)")
    found = {name for path in paths for name in pattern.findall(path.read_text("latin-1"))}
    return "(?:" + "|".join(sorted(map(re.escape, found | set(known)), key=len, reverse=True)) + ")"


def _guarded(path: Path) -> str:
    """A pattern that matches the names of the areas with guardians of their own."""
    records = path.read_text("latin-1").split("---")
    names = [re.search(r"(?m)^name:\s*(\S+)", text) for text in records if "guardian:" in text]
    return "(?:" + "|".join(re.escape(match[1]) for match in names if match) + ")"


def _filled(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for key, value in row.items():
        text = value
        if key == "request" and isinstance(value, str):
            for mark, pattern in names.items():
                text = str(text).replace(mark, pattern)
        filled[key] = text
    return filled
