r"""The text format of written cases: one file per RFC section, people read it first.

::

    # id: query.limit.exceeded
    # source: R3.4-7 R3.3.6-1
    # strength: should
    # tags: query limit
    C -limit 1
    S %ok
    C domain ibm
    S domain:Class-Name:domain
    S ...
    S
    S %error 330
    E closed

A case begins with ``# id:``. ``source`` names the rules that it shows, the first one is what it
is about and gives the ``strength``. ``variant`` names a row of ``variants.toml`` (what the server
is started with), ``fresh: yes`` asks for a server of its own (the case changes data). Other
comments begin with ``##``.

==========  ===================================================================================
``C text``  the client sends the line, ended by CR LF; lines that follow each other go out in one
            piece. ``C> text`` sends the bytes without a line end
``S text``  the server sends exactly this line; ``S %error NNN`` stands for any wording
``S~ re``   the server sends a line that the regular expression matches as a whole; named groups
            are kept as variables
``S ...``   any lines, or none
``E``       a check: see ``CHECKS`` below
``A x < y`` the texts compare so (also ``=``, ``!=``); usually variables
``X``       the client ends its side
``@ name``  what follows happens on the connection of that name, opened when first named
==========  ===================================================================================

``${name}`` is a variable. Escapes: ``\xNN``, ``\t``, ``\r``, ``\n``, ``\s`` (a blank at the end
of a line), ``\\``. The banner is read silently unless a connection's first line is an ``S``.
The lines after a ``C`` are the whole answer: what comes beyond them is a finding.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

CHECKS: Mapping[str, str] = {
    "closed": "the server hangs up by itself",
    "open": "the server keeps the connection",
    "crlf": "every line so far ended CR LF",
    "has": "a line of the last answer matches the regular expression",
    "no": "no line of the last answer matches it",
    "each": "every line of the last answer matches it",
    "count": "that many lines of the last answer match it (count N RE)",
}


class ScriptError(ValueError):
    """A case is not written as it should be; the text names file and line."""


class Pattern(NamedTuple):
    """A line that is expected; ``kind`` is ``text``, ``regex`` or ``any`` (lines)."""

    kind: str
    text: str

    def ends_answer(self) -> bool:
        """Whether it is a final %ok or %error."""
        return self.kind != "any" and self.text.startswith(("%ok", "%error", "%(ok|error"))


class Send(NamedTuple):
    """Bytes for the server, before variables are filled in."""

    text: str


class Expect(NamedTuple):
    """An answer, or several."""

    patterns: tuple[Pattern, ...]


class Check(NamedTuple):
    """A check of the last answer or of the connection."""

    kind: str
    argument: str = ""


class Compare(NamedTuple):
    """Two texts and how they relate."""

    left: str
    operator: str
    right: str


class End(NamedTuple):
    """The client ends its side."""


class Switch(NamedTuple):
    """Another connection."""

    name: str


Action = Send | Expect | Check | Compare | End | Switch


class Step(NamedTuple):
    """An action and where it is written."""

    line: int
    action: Action


@dataclass(frozen=True, slots=True)
class Script:
    """A written case."""

    id: str
    rules: tuple[str, ...]
    strength: str
    tags: tuple[str, ...]
    variant: str
    fresh: bool
    steps: tuple[Step, ...] = field(compare=False)
    place: str = ""

    def sent(self) -> tuple[str, ...]:
        """The lines that the client sends, for people."""
        texts = [step.action.text for step in self.steps if isinstance(step.action, Send)]
        return tuple(line for text in texts for line in text.replace("\r", "").split("\n") if line)


_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([trns\\]))")
_SIMPLE = {"t": "\t", "r": "\r", "n": "\n", "s": " ", "\\": "\\"}
_HEADER = re.compile(r"# ?([a-z]+):\s*(.*)")
_COMPARE = re.compile(r"(\S+) (<|=|!=) (\S+)")
_KEYS = {"id", "source", "strength", "tags", "variant", "fresh"}


def unescaped(text: str) -> str:
    """``text`` with its escapes resolved; one character is one byte."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _SIMPLE[m[2]], text)


def load_scripts(folder: Path) -> list[Script]:
    """The cases of all files in ``folder``, in the order of the RFC's sections.

    Raises: ScriptError: a case is malformed, or an id occurs twice.
    """
    scripts = [
        script for path in sorted(folder.glob("*.txt"), key=_section) for script in _read(path)
    ]
    seen: dict[str, str] = {}
    for script in scripts:
        if script.id in seen:
            raise ScriptError(f"{script.place}: the id {script.id} is used at {seen[script.id]}")
        seen[script.id] = script.place
    return scripts


def _section(path: Path) -> list[tuple[int, str]]:
    numbers = path.stem.partition("-")[0].split(".")
    return [(int(part), "") if part.isdigit() else (99, part) for part in numbers]


def _read(path: Path) -> Iterator[Script]:
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("# id:")]
    for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield parse_script(lines[begin:end], begin + 1, path.name)


def parse_script(lines: Sequence[str], first: int, name: str) -> Script:
    """The case written in ``lines``, of which ``first`` is the number of the first.

    Raises: ScriptError.
    """
    header: dict[str, str] = {}
    steps: list[Step] = []
    for number, line in enumerate(lines, first):
        if line.startswith("##") or not line.strip():
            continue
        if match := _HEADER.fullmatch(line.rstrip()):
            header[match[1]] = match[2].strip()
        elif line.startswith("#"):
            raise ScriptError(f"{name}:{number}: a header is `# key: value`, a comment begins ##")
        else:
            steps.append(_step(line, number, name))
    place = f"{name}:{first}"
    _check_header(header, place)
    return Script(
        id=header["id"],
        rules=tuple(header["source"].split()),
        strength=header["strength"],
        tags=tuple(header.get("tags", "").split()),
        variant=header.get("variant", ""),
        fresh=header.get("fresh", "no") == "yes",
        steps=tuple(_joined(steps)),
        place=place,
    )


def _check_header(header: Mapping[str, str], place: str) -> None:
    if missing := {"id", "source", "strength"} - header.keys():
        raise ScriptError(f"{place}: the case lacks `# {min(missing)}:`")
    if unknown := header.keys() - _KEYS:
        raise ScriptError(f"{place}: `# {min(unknown)}:` is unknown; there are {sorted(_KEYS)}")


def _step(line: str, number: int, name: str) -> Step:
    mark, _, rest = line.partition(" ")
    match mark:
        case "C":
            return Step(number, Send(unescaped(rest) + "\r\n"))
        case "C>":
            return Step(number, Send(unescaped(rest)))
        case "S":
            kind = "any" if rest.strip() == "..." else "text"
            return Step(number, Expect((Pattern(kind, unescaped(rest)),)))
        case "S~":
            return Step(number, Expect((Pattern("regex", rest),)))
        case "X":
            return Step(number, End())
        case "@":
            return Step(number, Switch(rest.strip()))
        case "E":
            return Step(number, _check(rest, f"{name}:{number}"))
        case "A" if match := _COMPARE.fullmatch(rest.strip()):
            return Step(number, Compare(match[1], match[2], match[3]))
    raise ScriptError(
        f"{name}:{number}: {mark!r} begins no line of a case (C, C>, S, S~, E, A, X, @)"
    )


def _check(text: str, place: str) -> Check:
    kind, _, argument = text.strip().partition(" ")
    if kind not in CHECKS:
        raise ScriptError(f"{place}: no check is called {kind!r}; there are {', '.join(CHECKS)}")
    return Check(kind, argument)


def _joined(steps: Iterable[Step]) -> Iterator[Step]:
    """``steps`` with neighbouring sends, and neighbouring expectations, made one."""
    held: Step | None = None
    for step in steps:
        if held is not None and (both := _both(held.action, step.action)) is not None:
            held = Step(held.line, both)
            continue
        if held is not None:
            yield held
        held = step
    if held is not None:
        yield held


def _both(left: Action, right: Action) -> Action | None:
    if isinstance(left, Send) and isinstance(right, Send):
        return Send(left.text + right.text)
    if isinstance(left, Expect) and isinstance(right, Expect):
        return Expect(left.patterns + right.patterns)
    return None
