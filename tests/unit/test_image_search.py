"""What a query finds in an image, in which order, and how much it may cost."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import DomainName, HierarchicalName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, IndexType, Schema
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.reader import Image
from rwhoisd.image.search import search
from rwhoisd.query.ast import Match, Query, Term
from rwhoisd.testing.memory_source import MemorySource
from tests.unit.image_data import EXAMPLE, NET10, NETWORK, network, referral


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    source = MemorySource(NET10, EXAMPLE)
    for name, block, org in (
        ("A-NET", "10.0.0.0/8", "A Communications, Inc."),
        ("B-NET", "10.1.0.0/16", "Big Org"),
        ("C-NET", "10.1.2.0/24", "Big Org"),
        ("D-NET", "10.1.2.4", "Big Org"),
        ("TENTH", "10.0.0.0/10", "10.1.2.4"),
    ):
        source.add(network(name, block, ("Org-Name", org), ("Tech-Contact", "T"), ("City", "Oslo")))
    source.add(network("B-NET", "10.1.0.0/16", ("Org-Name", "T"), area="example.net"))
    source.add(replace(network("HIDDEN-FROM-QUERIES", "10.9.0.0/16"), indexed=False))
    for i in range(100):
        source.add(network(f"MANY-{i:03d}", "10.200.0.0/16", ("Org-Name", "Many Inc")))
    asyncio.run(build(source, tmp_path, b"\n", reverse=True))
    reader = ImageReader(tmp_path)
    yield reader.current()
    reader.close()


def names(image: Image, *terms: Term, class_name: str | None = None, limit: int = 0) -> list[str]:
    hits = search(image, Query(class_name, (terms,)), limit)
    return [image.object(r).values("Network-Name")[0] for r in hits.records]


MANY = [f"MANY-{i:03d}" for i in range(100)]
FOUND = {
    "text": (Term("C-NET"), ["C-NET"]),
    "in two areas": (Term("B-NET"), ["B-NET", "B-NET"]),
    "by alias of the attribute": (Term("C-NET", attribute="nn"), ["C-NET"]),
    "attribute that is not indexed": (Term("OSLO", attribute="city"), []),
    "unknown attribute": (Term("C-NET", attribute="bogus"), []),
    "class name is not indexed (B9)": (Term("NETWORK", attribute="class-name"), []),
    "bare value is no reference (N2)": (Term("T"), ["B-NET"]),
    "reference by its attribute": (
        Term("T", attribute="tech-contact"),
        ["A-NET", "B-NET", "C-NET", "D-NET", "TENTH"],
    ),
    "address, upwards": (Term("10.1.2.9"), ["C-NET", "B-NET", "TENTH", "A-NET", "B-NET"]),
    "text before networks": (
        Term("10.1.2.4"),
        ["TENTH", "D-NET", "C-NET", "B-NET", "A-NET", "B-NET"],
    ),
    "network, upwards only": (Term("10.1.0.0/15"), ["TENTH", "A-NET"]),
    "networks below": (
        Term("10.1.0.0/16", Match.BELOW),
        ["B-NET", "C-NET", "D-NET", "TENTH", "B-NET"],
    ),
    "a star makes /1 also /10": (Term("10.0.0.0/1", Match.PREFIX, "ip-network"), []),
    "a star after /8": (Term("10.0.0.0/8", Match.PREFIX, "ip-network"), ["A-NET"]),
    "as it sounds": (Term("A COMUNIKATIONS INC"), ["A-NET"]),
    "begins": (Term("B", Match.PREFIX, "network-name"), ["B-NET", "B-NET"]),
    "ends": (Term("-NET", Match.SUFFIX, "nn"), ["A-NET", "B-NET", "C-NET", "D-NET", "B-NET"]),
    "contains": (Term("ENT", Match.CONTAINS), ["TENTH"]),
    "nothing in nothing": (Term(""), []),
    "everything begins with nothing": (
        Term("", Match.PREFIX, "org-name"),
        ["TENTH", "A-NET", "B-NET", "C-NET", "D-NET", *MANY, "B-NET"],
    ),
    "not indexed at all": (Term("HIDDEN-FROM-QUERIES"), []),
    "not UTF-8": (Term("\xff\xfe"), []),
    "longer than a key of LMDB": (Term("X" * 2000), []),
}


@pytest.mark.parametrize(("term", "expected"), FOUND.values(), ids=FOUND.keys())
def test_a_term_finds(image: Image, term: Term, expected: list[str]) -> None:
    assert names(image, term) == expected


def test_later_terms_look_at_the_object_itself(image: Image) -> None:
    big = Term("BIG ORG")
    assert names(image, big, Term("OSLO")) == ["B-NET", "C-NET", "D-NET"]
    assert names(image, big, Term("OSLO", attribute="city"), Term("C-NET")) == ["C-NET"]
    assert names(image, big, Term("10.1.2.4", attribute="ip-network")) == ["D-NET"]
    assert names(image, big, Term("10.1.2.4/32", attribute="ip-network")) == []  # no CIDR here
    assert names(image, big, Term("NETWORK", attribute="class-name")) == ["B-NET", "C-NET", "D-NET"]
    assert names(image, big, Term("10.1.2.0/24", Match.BELOW)) == ["C-NET", "D-NET"]
    assert names(image, big, Term("OSLO", attribute="bogus")) == []


def test_branches_come_one_after_the_other_in_each_class(image: Image) -> None:
    query = Query(None, ((Term("C-NET"),), (Term("BIG ORG"),), (Term("X", attribute="bogus"),)))
    hits = search(image, query, 0)
    found = [image.object(r).values("Network-Name")[0] for r in hits.records]
    assert found == ["C-NET", "B-NET", "D-NET"]


@pytest.mark.parametrize(
    ("limit", "count", "exceeded"),
    [(0, 100, False), (1, 1, True), (99, 99, True), (100, 100, False), (101, 100, False)],
)
@pytest.mark.parametrize(
    "term",
    [
        Term("MANY INC"),
        Term("MANY-", Match.PREFIX),
        Term("10.200.0.0/16", Match.BELOW),
        Term("ANY-", Match.CONTAINS),
        Term("NY INC", Match.SUFFIX),
    ],
    ids=lambda term: term.match.value,
)
def test_limits(image: Image, term: Term, limit: int, count: int, exceeded: bool) -> None:
    hits = search(image, Query("network", ((term,),)), limit)
    assert (len(hits.records), hits.exceeded) == (count, exceeded)
    assert len(set(hits.records)) == count


def test_a_long_posting_is_read_up_to_the_limit_only(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    many_hits = Image.many_hits

    def counted(self: Image, stored: bytes, first: int, end: int) -> Iterator[tuple[int, int]]:
        for hit in many_hits(self, stored, first, end):
            read.append(hit)
            yield hit

    monkeypatch.setattr(Image, "many_hits", counted)
    assert len(search(image, Query(None, ((Term("MANY INC"),),)), 5).records) == 5
    assert len(read) == 6


def test_what_no_index_serves_is_bounded(image: Image) -> None:
    for terms in (
        (Term("NOWHERE", Match.CONTAINS),),
        (Term("MANY INC"), Term("NOT THERE")),
    ):
        with pytest.raises(RwhoisError) as caught:
            search(image, Query(None, (terms,)), 0, scan=20)
        assert caught.value.code is ResponseCode.QUERY_TOO_COMPLEX
    assert names(image, Term("MANY-007", Match.PREFIX), Term("NOT THERE")) == []


@pytest.mark.parametrize("eol", [b"\n", b"\r\n"], ids=["arin", "rfc"])
def test_private_values_are_kept_from_searches_in_rfc_mode(tmp_path: Path, eol: bytes) -> None:
    own = (*NETWORK.own_attributes, AttributeDef("Pin", index=IndexType.EXACT, private=True))
    area = replace(NET10, schema=Schema((replace(NETWORK, own_attributes=own),)))
    source = MemorySource(area)
    guard = (("Guardian", "G"), ("Pin", "1234"))
    source.add(network("GUARDED", "10.0.0.0/16", *guard))
    source.add(network("HIDDEN", "10.1.0.0/16", *guard, ("Private", "yes")))
    source.add(network("OPEN", "10.2.0.0/16", ("Pin", "1234")))
    asyncio.run(build(source, tmp_path, eol))
    reader = ImageReader(tmp_path)
    image = reader.current()
    assert image.conceals == (eol == b"\r\n")

    def found(*terms: Term, sees: Callable[[int], bool] | None = None) -> list[str]:
        hits = search(image, Query(None, (terms,)), 0, sees)
        return [image.object(r).values("Network-Name")[0] for r in hits.records]

    def everything(record: int) -> bool:
        return image.guarded(record)

    if not image.conceals:
        assert found(Term("1234")) == ["GUARDED", "HIDDEN", "OPEN"]
        assert found(Term("GUARDED"), Term("1234")) == ["GUARDED"]
    else:
        assert found(Term("1234")) == ["OPEN"]
        assert found(Term("12", Match.PREFIX)) == ["OPEN"]
        assert found(Term("23", Match.CONTAINS)) == ["OPEN"]
        assert found(Term("GUARDED"), Term("1234")) == []
        assert found(Term("1234"), sees=everything) == ["OPEN", "GUARDED", "HIDDEN"]
        assert found(Term("1234"), sees=lambda _: False) == ["OPEN"]
        assert found(Term("GUARDED"), Term("12", Match.PREFIX), sees=everything) == ["GUARDED"]
    assert found(Term("HIDDEN")) == ["HIDDEN"]  # by what is not private, and shows nothing (N6)
    assert found(Term("HIDDEN"), Term("10.1.0.0/16")) == ["HIDDEN"]
    (hidden,) = search(image, Query(None, ((Term("HIDDEN"),),)), 0).records
    assert image.public((hidden,)) == b""
    assert b"network:Pin:1234" in image.full((hidden,))
    assert image.guarded(hidden)
    reader.close()


def test_objects_by_id(image: Image) -> None:
    (record,) = image.by_id("c-net.10.0.0.0/8")
    assert image.object(record).id == "C-NET.10.0.0.0/8"
    assert image.by_id("nowhere") == ()
    assert image.by_id("HIDDEN-FROM-QUERIES.10.0.0.0/8") == ()
    stored = [obj.id for _, obj in image.transfer(0, "network")]
    assert "HIDDEN-FROM-QUERIES.10.0.0.0/8" in stored
    assert list(image.transfer(0, "nowhere")) == []


def test_neighbours_are_one_slice(image: Image) -> None:
    hits = search(image, Query("network", ((Term("MANY-", Match.PREFIX),),)), 0)
    joined = image.public(hits.records)
    assert joined == b"".join(image.public((r,)) for r in hits.records)
    assert image.public(hits.records[::-1]) != joined
    assert image.public(()) == b""
    mixed = (hits.records[0], hits.records[2], hits.records[1], hits.records[3])
    assert image.public(mixed) == b"".join(image.public((r,)) for r in mixed)


LINKED = {
    "most specific": ("10.1.2.3", 0, ["rwhois://c:4321/auth-area=10.1.2.0/24"]),
    "all its referrals, in order": (
        "10.1.0.1",
        0,
        ["rwhois://a:4321/auth-area=10.1.0.0/16", "rwhois://b/auth-area=x"],
    ),
    "the value that matched (B41)": ("10.5.0.1", 0, ["rwhois://d:4321/auth-area=10.4.0.0/14"]),
    "nothing above": ("10.99.0.1", 0, []),
    "a block above all": ("10.0.0.0/4", 0, []),
    "at a label (B15)": ("x.fddi.example.net", 1, ["rwhois://f:4321/auth-area=fddi.example.net"]),
    "not within a label": ("xfddi.example.net", 1, []),
    "another kind of name": ("fddi.example.net", 0, []),
    "the first object only": (
        "twice.example.net",
        1,
        ["rwhois://first/auth-area=Twice.example.net."],
    ),
}


@pytest.mark.parametrize(("name", "area", "expected"), LINKED.values(), ids=LINKED.keys())
@pytest.mark.parametrize("later", [False, True], ids=["built", "caught up"])
def test_link_referrals(
    tmp_path: Path, name: str, area: int, expected: list[str], later: bool
) -> None:
    source = MemorySource(NET10, EXAMPLE)
    if later:
        asyncio.run(build(source, tmp_path, b"\n"))
    source.add(referral("10.1.0.0/16", "rwhois://a:4321/", "rwhois://b/auth-area=x"))
    source.add(referral("10.1.2.0/24", "rwhois://c:4321"))
    two: Object = referral("10.7.0.0/16", "rwhois://d:4321")
    source.add(replace(two, lines=(("Referred-Auth-Area", "10.4.0.0/14"), *two.lines)))
    source.add(referral("FDDI.example.net", "rwhois://f:4321/", area="example.net"))
    source.add(referral("twice.example.net", "rwhois://second", area="example.net", order=2))
    source.add(referral("Twice.example.net.", "rwhois://first", area="example.net", order=1))
    gone = source.add(referral("10.99.0.0/16", "rwhois://gone"))
    source.add(referral("no area at all?", "rwhois://nowhere"))
    if later:
        asyncio.run(catch_up(source, tmp_path))
        source.delete(gone)
        asyncio.run(catch_up(source, tmp_path))
    else:
        source.delete(gone)
        asyncio.run(build(source, tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    place: HierarchicalName = Network.from_text(name) or DomainName.from_text(name)
    found = list(reader.current().links(area, place))
    assert [text.lower() for text in found] == [text.lower() for text in expected]
    reader.close()


def test_warming_changes_nothing(image: Image) -> None:
    records = range(image.head.records)
    before = image.public(records)
    image.generation.warm()
    assert before
    assert image.public(records) == before
