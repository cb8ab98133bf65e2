"""The leak test: to those outside its audience an area does not exist, whatever they send.

Every answer is compared with that of a directory from which the areas hidden from the client
were removed altogether: same service, same lines, byte for byte.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rwhoisd.directory.access import AccessRules, address_from_text
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.image.build import build
from rwhoisd.image.current import ImageReader
from rwhoisd.query import parser
from rwhoisd.query.parser import Allowed
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from rwhoisd.testing.memory_source import MemorySource
from tests.property import test_image as data
from tests.unit import service_kit as kit

# The version of a class that has none is the time of the build, which is not the same in both.
PERSON, NETWORK, REFERRAL, GUARDIAN = (
    replace(c, version="20240101000000000")
    for c in (data.PERSON, data.NETWORK, data.REFERRAL, data.GUARDIAN)
)
RACK = ClassDef(  # words that only one area knows
    "rack",
    (AttributeDef("Row", index=IndexType.EXACT), AttributeDef("Name", index=IndexType.ALL)),
    aliases=("cage",),
    version="20240101000000000",
)


def area(name: str, position: int, *classes: ClassDef, **fields: str) -> AuthorityArea:
    soa = Soa("1", hostmaster=f"hostmaster@{position}.example", primary_server="ns.example:4321")
    schema = Schema((*classes, GUARDIAN))
    return AuthorityArea(
        AreaName.from_text(name),
        soa,
        schema,
        position=position,
        **fields,  # type: ignore[arg-type]  # fields by name
    )


AREAS: Final = (
    area("example.net", 0, PERSON, NETWORK, REFERRAL),
    area("10.0.0.0/8", 1, NETWORK, REFERRAL, charset="latin-1"),
    area("10.1.0.0/16", 2, NETWORK, RACK, PERSON),  # within the one before
    area("a.example.net", 3, RACK, PERSON),
    area("fd00::/16", 4, NETWORK, role="slave"),
)
NAMES: Final = [a.name.text for a in AREAS]
AUDIENCES: Final = [(), ("10.0.0.0/8",), ("192.0.2.0/24", "2001:db8::/32"), ("192.0.2.7/32",)]
CLIENTS: Final = ["192.0.2.7", "192.0.2.8", "::ffff:10.0.0.1", "2001:db8::1", "203.0.113.1", ""]

IDS: Final = [*(f"G.{name}" for name in NAMES), "1.example.net", "2.example.net", "3.10.0.0.0/8"]


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """Objects with few words, so that those of different areas meet under one key."""
    where = draw(st.sampled_from(AREAS))
    class_def = draw(st.sampled_from(where.schema.classes))
    lines = list(draw(data.lines_of(class_def)))
    if draw(st.booleans()):
        lines.append(("Guardian", guardian_id(where)))
    charset = where.charset
    fits = tuple((n, v if _encodes(v, charset) else "a") for n, v in lines)
    indexed = draw(st.sampled_from([True, True, False]))
    return Object(where.name.text, class_def.name, fits, "zone", indexed, draw(st.integers(0, 3)))


def _encodes(value: str, charset: str) -> bool:
    return value.encode(charset, "replace").decode(charset) == value


def guardian_id(where: AuthorityArea) -> str:
    return f"G.{where.name.text}"


def guardian(where: AuthorityArea) -> Object:
    """Each area has one of its own, so that no object hangs on another area."""
    pairs = [("ID", guardian_id(where)), ("Updated", "1"), ("Name", "a"), ("Guard-Info", "Secret")]
    return Object(where.name.text, "guardian", (*pairs, ("Guard-Scheme", "pw")))


WHERE: Final = [*NAMES, "nowhere.example", "x.a.example.net"]
CLASS_WORDS: Final = ["network", "person", "rack", "cage", "guardian", "bogus"]


def about(where: str) -> list[str]:
    """Directives that name an area."""
    named = [f"-{d} {where}" for d in ("soa", "class", "schema", "xfer", "soa example.net")]
    some = [f"-{d} {where} {word}" for d in ("class", "schema") for word in CLASS_WORDS]
    some += [f"-xfer {where} class={word} attr=Name" for word in CLASS_WORDS]
    told = [f"-notify {kind} h.example:4321:{where}" for kind in ("update", "inssec")]
    return [*named, *some, f"-xfer {where} 20240101000000000", *told]


SWITCHES: Final = [
    *("-status", "-soa", "-directive", "-limit 1", "-limit 100", "-forward on", "-class"),
    *("-security on request pw Secret", "-security off", "-display", "-forward off"),
]


def registration(action: str, object_id: str, where: str, class_name: str, more: str) -> str:
    named = f"ID: {object_id}\nUpdated: 1\n"
    record = f"Auth-Area: {where}\nClass-Name: {class_name}\nName: a\n{more}"
    body = {"add": record, "mod": f"{named}_NEW_\n{record}", "del": named}[action]
    return f"-register on {action} a@example.net\n{body}-register off"


REGISTRATIONS: Final = st.builds(
    registration,
    st.sampled_from(["add", "mod", "del"]),
    st.sampled_from(IDS),
    st.sampled_from(WHERE),
    st.sampled_from(["network", "person", "rack", "guardian"]),
    st.sampled_from(["", "Row: 1\n", "Guard-Info: x\n"])
    | st.sampled_from(IDS).map("Contact: {}\n".format),
)
QUERIES: Final = [
    *("10.1.2.3", "10.2.0.0/16", "10.1.0.0/16", "10.1.0.0/16**", "10.0.0.0/8**", "11.0.0.1"),
    *("x.a.example.net", "a.example.net", "b.example.net", "example.net", "fd00::1", "a*"),
    *("fd00::/16**", "*a", "*a*", "row=1", "rack a", "cage a*", "rack row=1", "rack", "row"),
    *("id=G.10.1.0.0/16", "id=g.*", "guardian id=G.*", "name=a and address=a", "1 or a"),
    *("referral 10.1.0.0/16", "auth-area=10.1.0.0/16", "class-name=rack", "person and a"),
    *("network 10.1.0.0", "network name=a*", "person spoken=smith", "smith", "10.0.0.0/2*", "ab"),
]
lines = st.one_of(
    st.sampled_from(QUERIES),
    data.queries.map(lambda query: parser.text(query).decode("latin-1")),
    st.sampled_from(WHERE).flatmap(lambda where: st.sampled_from(about(where))),
    st.sampled_from(SWITCHES),
    REGISTRATIONS,
)


@dataclass(frozen=True)
class Server:
    """A service over a directory, and where its registrations go."""

    service: Service
    registry: kit.FakeRegistry

    @classmethod
    def over(cls, source: MemorySource, folder: Path, compat: Compat, *, reverse: bool) -> "Server":
        asyncio.run(build(source, folder, DIALECTS[compat].eol, reverse=reverse))
        registry = kit.FakeRegistry((), asyncio.run(source.areas()))
        registry.rows = {s.row: s.object for s in source.stored()}
        ports = Ports(
            notices=kit.FakeNotices(),
            connector=kit.FakeConnector({"up.example": b"network:Name:far\n\n%ok\n"}),
            registry=registry,
        )
        chosen = kit.settings(
            compat,
            contact="",
            punts=("rwhois://up.example:4321/auth-area=.",),
            allowed=Allowed(leading_wildcard=True),
        )
        return cls(Service(ImageReader(folder), chosen, ports), registry)


def answers(server: Server, client: str, asked: Sequence[str]) -> list[tuple[str, list[str]]]:
    talk = kit.Talk(server.service, client)
    talk.session.peer.holdconnect = True
    return [(line, talk.say(*line.split("\n"))) for line in asked]


def hidden_from(client: str, areas: Iterable[AuthorityArea]) -> set[str]:
    """Told once more, plainly: the areas with an audience that the client is not in."""
    address = address_from_text(client)
    return {
        a.name.text
        for a in areas
        if a.audience and not AccessRules.from_texts(a.audience).allows(address)
    }


def rows_of(registry: kit.FakeRegistry, names: set[str]) -> Mapping[int, Object]:
    return {row: obj for row, obj in registry.rows.items() if obj.area in names}


def directory(stored: Sequence[Object], chosen: Sequence[tuple[str, ...]]) -> MemorySource:
    source = MemorySource(*(replace(a, audience=who) for a, who in zip(AREAS, chosen, strict=True)))
    for obj in [*map(guardian, AREAS), *stored]:
        source.add(obj)
    return source


def assert_same(
    source: MemorySource,
    less: MemorySource,
    client: str,
    asked: Sequence[str],
    compat: Compat,
    *,
    reverse: bool,
) -> None:
    """Both directories say the same, and nothing has happened to what was hidden."""
    hidden = hidden_from(client, asyncio.run(source.areas()))
    for name in hidden:
        less.drop_area(name)
    with tempfile.TemporaryDirectory() as folder:
        whole = Server.over(source, Path(folder, "whole"), compat, reverse=reverse)
        without = Server.over(less, Path(folder, "without"), compat, reverse=reverse)
        answers(whole, CLIENTS[0], asked)  # somebody else has asked before
        whole.registry.rows = {s.row: s.object for s in source.stored()}
        whole.registry.serial = without.registry.serial
        untouched = rows_of(whole.registry, hidden)
        for _ in range(3):  # from the second time on answers are kept
            assert answers(whole, client, asked) == answers(without, client, asked)
        assert rows_of(whole.registry, hidden) == untouched


@settings(deadline=None, max_examples=100)
@given(
    stored=st.lists(objects(), max_size=14),
    chosen=st.lists(st.sampled_from(AUDIENCES), min_size=len(AREAS), max_size=len(AREAS)),
    client=st.sampled_from(CLIENTS[1:]),
    asked=st.lists(lines, min_size=4, max_size=14),
    compat=st.sampled_from(["arin", "rfc"]),
    reverse=st.booleans(),
    bounds=st.sampled_from([(2, 480, 2), (64, 480, 256), (1, 4, 1)]),
)
def test_an_area_does_not_exist_outside_of_its_audience(
    stored: list[Object],
    chosen: list[tuple[str, ...]],
    client: str,
    asked: list[str],
    compat: Compat,
    reverse: bool,
    bounds: tuple[int, int, int],
) -> None:
    with data.small(*bounds):
        source, less = directory(stored, chosen), directory(stored, chosen)
        assert_same(source, less, client, asked, compat, reverse=reverse)


def dense_objects(random: Random) -> list[Object]:
    """Some of every class of every area, that share their words."""
    texts, networks = ["a", "ab", "1", "Smith", "b a"], ["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8"]
    found = []
    for where in AREAS:
        for class_def in where.schema.classes[:-1]:
            for number in range(4):
                own = [a.name for a in class_def.own_attributes]
                lines = [(name, random.choice(texts + networks)) for name in own]
                lines += [("ID", f"{number}.{where.name}"), ("Updated", "1")]
                found.append(Object(where.name.text, class_def.name, tuple(lines)))
        alien = f"alien.{NAMES[where.position - 1]}"  # an ID that is another area's
        found.append(Object(where.name.text, "guardian", (("ID", alien), ("Name", "a"))))
    url = "rwhois://caf\xe9.example:4321/auth-area=10.2.0.0/16"
    pairs = (("Referred-Auth-Area", "10.2.0.0/16"), ("Referral", url))
    return [*found, Object("10.0.0.0/8", "referral", pairs)]


@pytest.mark.parametrize("compat", ["arin", "rfc"])
@pytest.mark.parametrize("hidden", [(0,), (1,), (2,), (3,), (4,), (0, 2), (1, 2), (0, 1, 2, 3, 4)])
def test_every_kind_of_line_with_each_area_hidden(hidden: tuple[int, ...], compat: Compat) -> None:
    random = Random(f"{hidden}")
    chosen = [("192.0.2.7/32",) if n in hidden else () for n in range(len(AREAS))]
    stored = dense_objects(random)
    asked = ["-limit 100", *QUERIES, *SWITCHES]
    asked += [
        f"{word} {value}" for word in CLASS_WORDS for value in ("a", "a*", "id=*", "10.1.2.3")
    ]
    asked += [line for where in WHERE for line in about(where)]
    asked += [
        "-security on request pw Secret",
        "-limit 100",
        *QUERIES,
        *map("-xfer {}".format, NAMES),
    ]
    asked += [
        registration(action, object_id, where, class_name, "Row: 1\n" * (class_name == "rack"))
        for where in WHERE
        for class_name in ("network", "person", "rack")
        for action, object_id in (
            *(("add", ""), ("mod", f"1.{where}"), ("mod", "2.10.1.0.0/16"), ("del", f"3.{where}")),
        )
    ]
    asked += [
        registration("add", "", where, "network", f"Contact: alien.{name}\n")
        for where in NAMES
        for name in NAMES
    ]
    source, less = directory(stored, chosen), directory(stored, chosen)
    with data.small():
        assert_same(source, less, "192.0.2.8", asked, compat, reverse=hidden == (2,))
