"""What the property tests of inventory sources share: broken files, and secrets planted in them."""

import json
from collections.abc import Sequence
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory.scan import Reading, in_order
from rwhoisd.inventory.source import Inputs, Report, Source, TextFile, find_source, text_of

SEPARATORS = st.sampled_from([" ", " ", "\n", "\n", "\t", "  ", "", "\r\n", "\n\n"])
UNHURRIED = settings(deadline=None)  # a busy machine is no failure
SECRETS = st.from_regex(r"Zq[A-Za-z0-9]{10}Zq", fullmatch=True)  # a word that no format has


@cache
def _source(kind: str) -> Source:
    return find_source(kind)


def read_text(kind: str, *texts: str) -> Reading:
    """What a source makes of files with these texts; as ``scan``, but from no disk."""
    files = tuple(
        TextFile(f"file{number}", text_of(text.encode("utf-8", "replace")))
        for number, text in enumerate(texts)
    )
    reading, report = Reading(kind), Report()
    try:
        reading.facts = list(in_order(_source(kind).read(Inputs(files), report)))
    except FormatError as error:
        reading.failures += error.findings
    reading.findings = report.findings
    return reading


def rows_of(reading: Reading) -> list[str]:
    """Facts as people read them: ``rip 192.0.2.1 80/tcp = NAME @ OWNER (off)``."""
    return [
        " ".join(
            part
            for part in (
                fact.kind.value,
                str(fact.where or ""),
                fact.service or "",
                f"= {fact.name}" if fact.name else "",
                f"@ {fact.belongs_to}" if fact.belongs_to else "",
                "(off)" if fact.disabled else "",
            )
            if part
        )
        for fact in reading.facts
    ]


def said(reading: Reading) -> str:
    """All that a reading could let out: rows, each field of each fact, warnings, failures."""
    rows = json.dumps([fact.as_row() for fact in reading.facts])
    texts = map(str, [*reading.findings, *reading.failures])
    return "\n".join([rows, *map(repr, reading.facts), *texts])


@st.composite
def soups(draw: st.DrawFn, tokens: Sequence[str], most: int = 60) -> str:
    """Text of a format's own tokens in any order, with any separators and a bit of anything."""
    token = st.sampled_from(list(tokens)) | st.text(max_size=8)
    pairs = draw(st.lists(st.tuples(token, SEPARATORS), max_size=most))
    return "".join(part for pair in pairs for part in pair)


@st.composite
def mangled(draw: st.DrawFn, text: str) -> str:
    """A good file with lines lost, doubled, swapped and torn, and perhaps its end cut off."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(0, 6))):
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(st.sampled_from(["lose", "double", "swap", "tear", "join"])):
            case "lose" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(other, lines[at])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "tear":
                cut = draw(st.integers(0, len(lines[at])))
                lines[at : at + 1] = [lines[at][:cut], lines[at][cut:]]
            case "join":
                lines[at : at + 2] = [" ".join(lines[at : at + 2])]
    whole = "\n".join(lines)
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


@st.composite
def planted(draw: st.DrawFn, texts: Sequence[str], hidden: Sequence[str]) -> tuple[str, str]:
    """A secret, and a broken file that holds it in lines such as ``password {}``."""
    secret = draw(SECRETS)
    lines = draw(st.sampled_from(texts).flatmap(mangled)).split("\n")
    for _ in range(draw(st.integers(1, 3))):
        line = draw(st.sampled_from(hidden)).format(secret)
        lines.insert(draw(st.integers(0, len(lines))), line)
    return secret, "\n".join(lines)
