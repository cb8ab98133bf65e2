"""The leak test: what a privacy profile hides changes nothing that the public gets to read.

Two directories are alike but for the values that are hidden. Whatever a client asks that
satisfies no guardian, and whatever leaves by a public export, has to be the same, byte for byte.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import hypothesis.strategies as st
from hypothesis import given, settings

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.privacy import profile_of
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.formats.export_walk import Gate
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.verify import verify
from rwhoisd.testing.memory_source import MemorySource
from tests.property import test_image as data
from tests.property.test_audience import Server, answers

A, VERSION = AttributeDef, "20240101000000000"
CUSTOMER = ClassDef(
    "customer",
    (
        A("Org-Name", index=IndexType.ALL),
        A("Street-Address", index=IndexType.EXACT, multi_line=True),
        A("City", index=IndexType.EXACT),
        A("IP-Network", index=IndexType.CIDR),
        A("Tech-Contact", index=IndexType.EXACT, repeatable=True),
        A("Phone", index=IndexType.ALL, repeatable=True),
        A("Comment", multi_line=True),
        A("Pin", index=IndexType.EXACT, private=True, repeatable=True),
        A("Privacy"),
    ),
    version=VERSION,
)
PLACE = replace(CUSTOMER, name="place", privacy="residential")
GUARDIAN = replace(data.GUARDIAN, version=VERSION)


def area(name: str, position: int, **facts: str) -> AuthorityArea:
    soa = Soa("1", hostmaster="hostmaster@example.net", primary_server="ns.example.net:4321")
    schema = Schema((CUSTOMER, PLACE, GUARDIAN))
    place = AreaName.from_text(name)
    return AuthorityArea(place, soa, schema, position=position, **facts)  # type: ignore[arg-type]


AREAS: Final = (
    area("example.net", 0),
    area("10.0.0.0/8", 1, privacy="residential", operator="Smith", charset="latin-1"),
)
WORDS: Final = ["a", "ab", "Smith", "Smyth", "Private Customer", "10.1.2.0/24", "10.1.2.3", "b a"]
values = st.sampled_from(WORDS)
# Hidden lines stand behind the others: a name and a street always, of the rest any number.
rest = st.lists(st.tuples(st.sampled_from(["Phone", "Comment", "Bogus"]), values), max_size=3)
more = st.lists(st.tuples(st.sampled_from(["Org-Name", "Street-Address"]), values), max_size=2)
hidden = st.tuples(values, values, more, rest).map(
    lambda h: (("Org-Name", h[0]), ("Street-Address", h[1]), *h[2], *h[3])
)
shown = st.lists(
    st.tuples(st.sampled_from(["City", "IP-Network", "Tech-Contact", "Pin"]), values), max_size=4
)
extras = st.lists(
    st.sampled_from([("Guardian", "G.example.net"), ("Private", "yes"), ("ID", "1.example.net")]),
    unique=True,
)


@dataclass(frozen=True)
class Pair:
    """An object in both directories."""

    one: Object
    other: Object


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    where = draw(st.sampled_from(AREAS))
    class_def = draw(st.sampled_from([CUSTOMER, PLACE]))
    own = draw(st.sampled_from([(), (("Privacy", "residential"),), (("Privacy", "public"),)]))
    open_lines = (*draw(shown), *draw(extras), *own)
    made = Object(where.name.text, class_def.name, (*open_lines, *draw(hidden)))
    made = replace(made, indexed=draw(st.sampled_from([True, True, False])))
    if profile_of(made, class_def, where) == "public":
        return Pair(made, made)
    return Pair(made, replace(made, lines=(*open_lines, *draw(hidden))))


def guessed(attribute: str, word: str, form: str) -> str:
    return form.format(a=attribute, v=f'"{word}"')


ATTRIBUTES: Final = [a.name for a in CUSTOMER.own_attributes]
FORMS: Final = [
    *("{v}", "{a}={v}", "customer {a}={v}", "place {v}", "{a}={v} or City=ab"),
    *("City={v} and {a}=a*", "10.1.2.3 and {a}={v}", "Org-Name=Private* and {a}={v}"),
    *("Org-Name=Private* and {v}", "Private* and not-there={v}"),
]
lines = st.one_of(
    st.builds(guessed, st.sampled_from(ATTRIBUTES), values, st.sampled_from(FORMS)),
    st.builds("{}={}".format, st.sampled_from(ATTRIBUTES), st.sampled_from(["a*", "*b", "*m*"])),
    st.sampled_from(["a*", "Sm*", "*a", "*mit*", "10.1.2.3", "10.0.0.0/8**", "customer 10.1.2.3"]),
    st.sampled_from(["-limit 1", "-limit 100", "-status", "-soa", "-class example.net"]),
    st.sampled_from(["-xfer example.net", "-xfer 10.0.0.0/8", "-security on request pw wrong"]),
    st.builds(
        "-xfer {} class={} attr={}".format,
        st.sampled_from([a.name.text for a in AREAS]),
        st.sampled_from(["customer", "place"]),
        st.sampled_from(ATTRIBUTES),
    ),
)


def directory(objects: Sequence[Object]) -> MemorySource:
    source = MemorySource(*AREAS)
    secret = (("ID", "G.example.net"), ("Guard-Scheme", "pw"), ("Guard-Info", "Secret"))
    for obj in (Object("example.net", "guardian", secret), *objects):
        source.add(obj)
    return source


def leaving(objects: Sequence[Object], gate: Gate) -> list[tuple[tuple[str, str], ...] | None]:
    found = []
    for obj in objects:
        where = next(a for a in AREAS if a.name.text == obj.area)
        class_def = where.schema.class_def(obj.class_name)
        assert class_def is not None
        entry = gate.entry(obj, class_def, where)
        found.append(None if entry is None else entry.object.lines)
    return found


@settings(deadline=None, max_examples=150)
@given(
    stored=st.lists(pairs(), min_size=1, max_size=8),
    asked=st.lists(lines, min_size=5, max_size=25),
    compat=st.sampled_from(["arin", "rfc"]),
    reverse=st.booleans(),
    bounds=st.sampled_from([(2, 480, 2), (64, 480, 256), (1, 4, 1)]),
)
def test_what_is_hidden_changes_no_answer(
    stored: list[Pair],
    asked: list[str],
    compat: Compat,
    reverse: bool,
    bounds: tuple[int, int, int],
) -> None:
    ones, others = [p.one for p in stored], [p.other for p in stored]
    with data.small(*bounds), tempfile.TemporaryDirectory() as folder:
        one = Server.over(directory(ones), Path(folder, "1"), compat, reverse=reverse)
        other = Server.over(directory(others), Path(folder, "2"), compat, reverse=reverse)
        for _ in range(2):  # the second time answers are kept
            assert answers(one, "192.0.2.7", asked) == answers(other, "192.0.2.7", asked)
    for named in ((), [a.name.text for a in AREAS]):
        gate = Gate(public=True, current=True, named=named)
        assert leaving(ones, gate) == leaving(others, gate)


@settings(deadline=None, max_examples=50)
@given(stored=st.lists(pairs(), min_size=1, max_size=8), compat=st.sampled_from(["arin", "rfc"]))
def test_an_image_that_follows_is_that_of_a_build(stored: list[Pair], compat: Compat) -> None:
    source = MemorySource(*AREAS)
    rows = [source.add(pair.one) for pair in stored]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(build(source, Path(folder), DIALECTS[compat].eol))
        for row, pair in zip(rows, stored, strict=True):
            source.modify(row, pair.other)
        asyncio.run(catch_up(source, Path(folder)))
        assert asyncio.run(verify(source, Path(folder))) is None
