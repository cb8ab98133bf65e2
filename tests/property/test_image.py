"""An image gives what a plain list gives, when built and after any sequence of changes."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwhoisd.directory.addresses import plain_address
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.phonetic import is_phonetic
from rwhoisd.directory.render import record_lines
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.directory.visibility import full_lines, public_lines
from rwhoisd.image import keys, postings, search, words
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.reader import Image
from rwhoisd.image.rendering import ClassRenderer
from rwhoisd.image.scopes import Scopes
from rwhoisd.image.verify import verify
from rwhoisd.query.ast import Match, Query, Term
from rwhoisd.testing.memory_source import MemorySource
from tests.property.image_model import Model

A = AttributeDef
NETWORK = ClassDef(
    "network",
    (
        A("Name", aliases=("N",), index=IndexType.EXACT, repeatable=True),
        A("IP-Network", index=IndexType.CIDR, repeatable=True),
        A("Contact", type=AttributeType.ID, index=IndexType.EXACT),
        A("Note"),
        A("Address", index=IndexType.ALL),  # its number is less than that of Name: see PERSON
        A("Secret", private=True, index=IndexType.EXACT),
    ),
)
PERSON = ClassDef(
    "person",
    (
        A("Spoken", index=IndexType.SOUNDEX),
        A("Address", index=IndexType.ALL, repeatable=True),
        A("Name", index=IndexType.ALL),
    ),
    aliases=("contact",),
)
REFERRAL = ClassDef(
    "referral",
    (A("Referred-Auth-Area", index=IndexType.ALL, repeatable=True), A("Referral", repeatable=True)),
)
GUARDIAN = ClassDef("guardian", (A("Guard-Info", private=True), A("Name", index=IndexType.EXACT)))

AREAS = (
    AuthorityArea(
        AreaName.from_text("example.net"),
        Soa("1"),
        Schema((PERSON, NETWORK, REFERRAL, GUARDIAN)),
        position=0,
    ),
    AuthorityArea(
        AreaName.from_text("10.0.0.0/8"),
        Soa("1"),
        Schema((NETWORK, REFERRAL)),
        charset="latin-1",
        guardians=("G.example.net",),
        position=1,
    ),
    AuthorityArea(AreaName.from_text("fd00::/16"), None, Schema((NETWORK,)), position=2),
)

# Few and short words, so that they meet; some blanks, controls, letters of both charsets.
_TEXTS = [
    *("a", "A", "ab", "abc", "ABCD", "b", "ba", "Smith", "smyth", "Ann Smith", "x y", "a\tb"),
    *(" a ", "a\x01b", "é", "aé", "éa", "1", "10.0.0.1", "tail", "ail", "ÿ", "ÿÿ"),
    *("long " * 3, "abc" + "x" * 600, "abc" + "x" * 600 + "y", "abc" + "x" * 500),
]
_NETWORKS = [
    *("10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.0/2", "10.0.1.0/24", "10.0.0.1"),
    *(
        "10.0.1.7/24",
        "010.0.0.1/32",
        "0.0.0.0/0",
        "0.0.0.0/2",
        "0.0.0.0/24",
        "0.0.0.0/20",
        "10.0.0.0/20",
        "11.0.0.0/8",
        "10.0.0.256",
    ),
    *("fd00::/16", "fd00::/32", "fd00::1", "fd00::/128", "10.0.0.0 - 10.0.0.255", "::1"),
]
_IDS = ["1.example.net", "2.example.net", "G.example.net", "3.10.0.0.0/8"]
_REFERRED = ["10.1.0.0/16", "10.0.0.0/8", "10.1.2.0/24", "a.example.net", "b.A.example.net.", "?"]

texts = st.sampled_from(_TEXTS)
values = st.one_of(texts, st.sampled_from(_NETWORKS), st.sampled_from(_IDS))


def lines_of(class_def: ClassDef) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Lines of an object: any attribute, any number of times, unknown ones and aliases too."""
    own = [a.name for a in class_def.own_attributes]
    line = st.one_of(
        st.tuples(st.sampled_from(own), values),
        st.tuples(st.just("ID"), st.sampled_from(_IDS)),
        st.tuples(st.just("Guardian"), st.just("G.example.net")),
        st.tuples(st.just("Private"), st.sampled_from(["yes", "no"])),
        st.tuples(st.sampled_from(["Class-Name", "Auth-Area", "Bogus", "CN", "updated"]), texts),
        st.tuples(st.just(own[0]), st.sampled_from(_REFERRED)),
    )
    return st.lists(line, min_size=1, max_size=6).map(tuple)


@st.composite
def objects(draw: st.DrawFn) -> Object:
    area = draw(st.sampled_from(AREAS))
    class_def = draw(st.sampled_from(area.schema.classes))
    lines = draw(lines_of(class_def))
    fits = tuple((n, v if _encodes(v, area.charset) else "a") for n, v in lines)
    return Object(
        area.name.text,
        class_def.name,
        fits,
        source=draw(st.sampled_from(["zone", "registration"])),
        indexed=draw(st.sampled_from([True, True, True, False])),
        order=draw(st.integers(0, 3)),
    )


def _encodes(value: str, charset: str) -> bool:
    try:
        value.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@st.composite
def terms(draw: st.DrawFn) -> Term:
    match = draw(st.sampled_from(list(Match)))
    if match is Match.BELOW:
        networks = [n for n in _NETWORKS if Network.from_text(n)]
        value = draw(st.sampled_from(networks))
    else:
        value = draw(values)
        value = value[draw(st.integers(0, 2)) : draw(st.sampled_from([1, 2, 490, None]))]
    octets = value.strip().encode(draw(st.sampled_from(["utf-8", "latin-1"])), "replace")
    word = draw(
        st.sampled_from([None, None, None, "name", "n", "id", "address", "contact", "spoken"])
        | st.sampled_from(["ip-network", "note", "secret", "class-name", "cn", "bogus"])
    )
    clean = bytes(c for c in octets if c == 9 or 32 <= c != 127)
    return Term(clean.upper().decode("latin-1"), match, word)


queries = st.builds(
    Query,
    st.sampled_from([None, None, "network", "person", "referral", "guardian"]),
    st.lists(st.lists(terms(), min_size=1, max_size=2).map(tuple), min_size=1, max_size=3).map(
        tuple
    ),
)


@dataclass(frozen=True)
class Change:
    """A change to make: the number picks one of the objects there are."""

    kind: str
    pick: int
    position: int
    object: Object


changes = st.builds(
    Change,
    st.sampled_from(["add", "add", "modify", "modify", "delete"]),
    st.integers(0, 1000),
    st.integers(0, 5),
    objects(),
)


def make(source: MemorySource, change: Change) -> None:
    stored = source.stored()
    if change.kind == "add" or not stored:
        source.add(change.object, change.position)
        return
    old = stored[change.pick % len(stored)]
    if change.kind == "delete":
        source.delete(old.row)
        return
    obj = replace(change.object, area=old.object.area)
    area = next(a for a in AREAS if a.name.text == obj.area)
    if area.schema.class_def(obj.class_name) and all(
        _encodes(v, area.charset) for _, v in obj.lines
    ):
        source.modify(old.row, obj, change.position)


@contextmanager
def small(inline: int = 2, cut: int = 480, gathered: int = 2) -> Iterator[None]:
    """Small bounds, so that few objects reach what otherwise takes thousands."""
    with ExitStack() as stack:
        for module, name, value in (
            (keys, "INLINE", inline),
            (keys, "BLOCK", 2),
            (keys, "CUT", cut),
            (keys, "BOUNDARY", min(200, cut)),
            (search, "_GATHERED", gathered),
            (search, "_REVERSED", gathered),
            (words, "MOST_AT_ONCE", 3),
            (words, "_PASSED_BY", 2),
            (words, "_FEW_LINKS", 1),
            (words, "_LARGE_BITS", 9),
            (words, "_REMEMBERED_OCTETS", 150),
            (postings, "_BATCH", 3),
            (postings, "_ITEMS", 5),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


def found_by_word(image: Image, query: Query, limit: int) -> words.Found | None:
    """What the short way finds, asked as the service asks it; None when it is not asked."""
    term = query.branches[0][0]
    if len(query.branches) > 1 or len(query.branches[0]) > 1 or not term.value:
        return None
    plan = image.scopes.plan(query.class_name, term.attribute)
    asked, word = words.Words(image, limit), term.value.encode("latin-1")
    network = Network.from_text(term.value) if plan.networks else None
    if len(word) >= keys.CUT or (plan.sounds and is_phonetic(term.value)):
        return None
    if network is not None:
        if term.match is not Match.EXACT:
            return None
        if (address := plain_address(term.value)) is not None:
            return asked.around_address(plan, word, address)
        return asked.around(plan, word, network)
    if not plan.text or term.match not in (Match.EXACT, Match.PREFIX):
        return None
    return (asked.equal if term.match is Match.EXACT else asked.beginning)(plan, word)


def assert_answers(image: Image, source: MemorySource, query: Query, limit: int) -> None:
    areas = asyncio.run(source.areas())
    stored = source.stored()
    rows, exceeded = Model(areas, stored, image.conceals).search(query, limit)
    hits = search.search(image, query, limit)
    assert ([image.place(r)[1] for r in hits.records], hits.exceeded) == (rows, exceeded)
    found = found_by_word(image, query, limit)
    assert found in (None, (image.public(hits.records), len(hits.records), hits.exceeded))
    seen = frozenset(s.row for s in stored if s.row % 2)  # as by who satisfies some guardians
    rows, exceeded = Model(areas, stored, image.conceals, seen).search(query, limit)
    hits = search.search(image, query, limit, lambda r: image.place(r)[1] in seen)
    assert ([image.place(r)[1] for r in hits.records], hits.exceeded) == (rows, exceeded)


def assert_records(image: Image, source: MemorySource) -> None:
    """Every object reads as the directory renders it, and comes back as it was."""
    by_row = {s.row: s for s in source.stored()}
    for row, stored in by_row.items():
        record = image.record_of(row)
        assert record is not None
        area, class_def = image.pair(record).area, image.pair(record).class_def
        assert image.object(record) == stored.object
        full = record_lines(class_def.name, full_lines(stored.object, class_def))
        public = record_lines(class_def.name, public_lines(stored.object, class_def, area))
        assert image.full((record,)) == encoded(full, area, image.eol)
        assert image.public((record,)) == encoded(public, area, image.eol)


def encoded(lines: list[str], area: AuthorityArea, eol: bytes) -> bytes:
    return b"".join([line.encode(area.charset) + eol for line in lines])


def assert_transfers(image: Image, source: MemorySource) -> None:
    for number, area in enumerate(image.areas):
        for class_def in area.schema.classes:
            have = [obj for _, obj in image.transfer(number, class_def.name)]
            want = [
                s.object
                for s in source.stored()
                if (s.object.area, s.object.class_name) == (area.name.text, class_def.name)
            ]
            assert have == want


@settings(deadline=None, max_examples=100)
@given(
    first=st.lists(objects(), max_size=12),
    later=st.lists(changes, max_size=8),
    asked=st.lists(st.tuples(queries, st.integers(0, 4)), min_size=1, max_size=6),
    reverse=st.booleans(),
    eol=st.sampled_from([b"\n", b"\r\n"]),
    bounds=st.sampled_from([(2, 480, 2), (64, 480, 256), (1, 4, 1)]),
)
def test_an_image_answers_like_a_list_built_or_caught_up(
    first: list[Object],
    later: list[Change],
    asked: list[tuple[Query, int]],
    reverse: bool,
    eol: bytes,
    bounds: tuple[int, int, int],
) -> None:
    source = MemorySource(*AREAS)
    for i, obj in enumerate(first):
        source.add(obj, i % 4)
    with tempfile.TemporaryDirectory() as folder, small(*bounds):
        path = Path(folder)
        asyncio.run(build(source, path, eol, reverse=reverse))
        reader = ImageReader(path, eol)
        for query, limit in asked:
            assert_answers(reader.current(), source, query, limit)
        for i, change in enumerate(later):
            make(source, change)
            if i % 3 == 2:
                assert asyncio.run(catch_up(source, path))
        asyncio.run(catch_up(source, path))
        image = reader.current()
        assert asyncio.run(verify(source, path)) is None
        for query, limit in asked:
            assert_answers(image, source, query, limit)
        assert_records(image, source)
        assert_transfers(image, source)
        reader.close()


def dense_object(random: Random) -> Object:
    area = random.choice(AREAS)
    class_def = random.choice(area.schema.classes)
    own = [a.name for a in class_def.own_attributes]
    lines = [
        (random.choice(own), random.choice(random.choice((_TEXTS[:12], _NETWORKS, _TEXTS[-4:]))))
        for _ in range(random.randint(1, 4))
    ]
    lines += [("ID", random.choice(_IDS))] * random.randint(0, 1)
    lines += [("Guardian", "G"), ("Private", "on")] * (random.random() < 0.2)
    order = random.randint(0, 3)
    name = class_def.name
    return Object(area.name.text, name, tuple(lines), "zone", random.random() < 0.9, order)


def dense_query(random: Random) -> Query:
    words = ["name", "n", "id", "address", "contact", "spoken", "ip-network", "secret", "bogus"]

    def term() -> Term:
        match = random.choice(list(Match))
        value = random.choice(_TEXTS[:12] + _NETWORKS * 2 + _TEXTS[-4:] + _IDS).strip().upper()
        if match is Match.BELOW:
            value = random.choice(["10.0.0.0/8", "0.0.0.0/0", "FD00::/16", "10.0.0.0/16"])
        elif match is not Match.EXACT and random.random() < 0.6:
            count = random.choice((1, 2, 7))
            value = value[-count:] if match is Match.SUFFIX else value[:count]
        return Term(value, match, random.choice([None, None, random.choice(words)]))

    chains = [
        tuple(term() for _ in range(1 + (random.random() < 0.3)))
        for _ in range(random.choice((1, 1, 2, 3)))
    ]
    return Query(random.choice([None, None, "network", "person", "referral"]), tuple(chains))


@pytest.mark.parametrize("bounds", [(2, 480, 2), (64, 480, 256), (1, 4, 1), (3, 100, 8)], ids=str)
@pytest.mark.parametrize("reverse", [False, True], ids=["", "reversed"])
@pytest.mark.parametrize("seed", range(2))
def test_a_dense_directory_with_many_equal_keys(
    seed: int, reverse: bool, bounds: tuple[int, int, int], tmp_path: Path
) -> None:
    random = Random(seed)
    source = MemorySource(*AREAS)
    for _ in range(60):
        source.add(dense_object(random), random.randint(0, 9))
    with small(*bounds):
        asyncio.run(build(source, tmp_path, (b"\n", b"\r\n")[seed], reverse=reverse))
        reader = ImageReader(tmp_path)
        for step in range(3):
            for _ in range(70):
                assert_answers(
                    reader.current(), source, dense_query(random), random.choice((0, 0, 1, 2, 7))
                )
            assert asyncio.run(verify(source, tmp_path)) is None
            for _ in range(8):
                kind = random.choice(("add", "modify", "delete"))
                change = Change(
                    kind, random.randrange(1000), random.randint(0, 9), dense_object(random)
                )
                make(source, change)
            assert asyncio.run(catch_up(source, tmp_path)), step
        assert_records(reader.current(), source)
        assert_transfers(reader.current(), source)
        reader.close()


@given(obj=objects(), eol=st.sampled_from([b"\n", b"\r\n"]))
def test_the_fast_renderer_writes_what_the_directory_writes(obj: Object, eol: bytes) -> None:
    scopes = Scopes(AREAS)
    number = next(i for i, a in enumerate(AREAS) if a.name.text == obj.area)
    pair = scopes.pair(number, obj.class_name)
    assert pair is not None
    rendered = ClassRenderer(pair, eol).render(obj)
    full = record_lines(obj.class_name, full_lines(obj, pair.class_def))
    public = record_lines(obj.class_name, public_lines(obj, pair.class_def, pair.area))
    assert rendered.public == encoded(public, pair.area, eol)
    assert (rendered.full or rendered.public) == encoded(full, pair.area, eol)


@given(st.lists(st.tuples(st.binary(max_size=12), st.integers(0, 9), st.integers(0, 9))))
def test_packed_items_sort_like_items(found: list[tuple[bytes, int, int]]) -> None:
    items = []
    for text, scope, order in found:
        if key := keys.text_key(text):
            items.append(keys.Item(key, scope, order, 7, 1))
    packed = sorted(item.packed for item in items)
    assert [keys.Item.unpack(p) for p in packed] == sorted(items)
