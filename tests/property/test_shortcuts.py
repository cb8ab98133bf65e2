"""What is skipped on the way of a query changes no answer: each shortcut against the long way."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory import names
from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.names import HierarchicalName, Network, hierarchical_value
from rwhoisd.directory.routing import AreaTree, route
from rwhoisd.image.reader import Image
from rwhoisd.protocol.lines import is_clean_query
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import QueryRequest
from rwhoisd.protocol.session import Session, Speech
from rwhoisd.query.ast import Query, Term
from rwhoisd.query.parser import Allowed
from rwhoisd.service.desk import Desks
from rwhoisd.service.query import QueryAnswerer
from rwhoisd.service.referrals import Referrals
from tests.unit import service_kit as kit

PARTS = ["A", "10", "A.COM", "X.SUB.A.COM", "10.1.2.3", "COM", "DE", "B", "::", "FD00:", ".", "@"]
VALUES = st.lists(st.sampled_from([*PARTS, "/8", "-", "_", "\xe9"]), max_size=4).map("".join)
PUNTS = ("rwhois://up.example.com/auth-area=.", "rwhois://up.example.com/auth-area=.", "other")


@pytest.fixture(scope="module")
def image() -> Image:
    with tempfile.TemporaryDirectory() as folder:
        return kit.open_reader(Path(folder)).current()


@given(value=VALUES | st.text(alphabet="AComDE.:/@-_019 \xe9", max_size=12))
def test_words_that_are_too_long_for_a_top_level_have_no_place(value: str) -> None:
    """The look at length and dots refuses only what the rules refuse."""
    shortly = hierarchical_value(value)
    with patch.object(names, "LONGEST_TOP_LEVEL", 1000):
        assert shortly == hierarchical_value(value)


@given(
    address=st.integers(0, 2**32 - 1),
    length=st.none() | st.integers(0, 40),
    zeros=st.integers(0, 2),
)
def test_addresses_read_quickly_read_the_same(address: int, length: int | None, zeros: int) -> None:
    """An address without length is read by the system; with one, and with zeros, field by field."""
    fields = [f"{'0' * zeros}{octet}" for octet in address.to_bytes(4)]
    text = ".".join(fields) + ("" if length is None else f"/{length}")
    bits = 32 if length is None else length
    expected = None if bits > 32 else Network.masked(4, address, bits)
    assert Network.from_text(text) == expected


@given(
    branches=st.lists(st.lists(VALUES.map(Term), min_size=1, max_size=2), min_size=1, max_size=2),
    punts=st.sampled_from([(), PUNTS]),
)
def test_referrals_are_those_of_the_route(
    image: Image, branches: list[list[Term]], punts: Sequence[str]
) -> None:
    """A query of one term that leads nowhere is not routed; all others are."""

    def links(area: int, name: HierarchicalName) -> Sequence[str]:
        return image.links(area, name)

    tree = AreaTree(area.name for area in image.areas)
    values = [[term.value for term in branch] for branch in branches]
    query = Query(None, tuple(map(tuple, branches)))
    referrals = Referrals(punts, complete=False)
    assert list(referrals.texts(image, query)) == route(values, tree, links, punts)


CLASSES = ["", "network ", "Contact ", "person  ", "referral ", "guardian ", "bogus "]
WORDS = ["jane", "j", "hidden", "j@a.com", "ten", "10.0.0.0/8", "10.1.2.3", "10.0.0.0", "11.0.0.1"]
MORE = [
    "a.com",
    "x.sub.a.com",
    "sub.a.com",
    "a",
    "",
    "1.a.com",
    "x.de",
    "and",
    "contact",
    "email",
    "jos\xe9",
]
NAMES = ["", "", "name=", "N=", "email=", "id=", "IP-Network=", "network-name=", "contact=", "x="]
QUOTED = st.builds(
    '{}{}"{}{}{}{}"'.format,
    st.sampled_from(CLASSES),
    st.sampled_from(NAMES),
    st.sampled_from(["", "", " ", "\t"]),
    st.sampled_from([*WORDS, *MORE, "jane d", "a=b", "JANE DOE", "!"]) | VALUES,
    st.sampled_from(["", "", " ", "  ."]),
    st.sampled_from(["", "", "*", "**", '"*']),
)
TERMS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(CLASSES),
    st.sampled_from(NAMES),
    st.sampled_from([*WORDS, *MORE]) | VALUES,
    st.sampled_from(["", "", "*", "**", " ", "=a", " or ten"]),
)
LINES = (QUOTED | TERMS).map(lambda line: line.encode("latin-1"))


@given(
    line=LINES | st.binary(max_size=20),
    compat=st.sampled_from(["arin", "rfc"]),
    limit=st.integers(0, 3),
    allowed=st.builds(Allowed, st.booleans(), st.booleans(), st.integers(0, 2)),
    skip=st.booleans(),
)
def test_an_answer_is_what_was_found(
    image: Image, line: bytes, compat: str, limit: int, allowed: Allowed, skip: bool
) -> None:
    """The short way from a line to its answer says what parsing, searching and routing say."""
    chosen = kit.settings(cast("Compat", compat), punts=PUNTS, allowed=allowed, skip_referrals=skip)
    answerer = QueryAnswerer(chosen)
    desk = Desks(answerer, 1 << 20).desk(image, limit)
    reply = answerer.begin(image, limit, line)
    assert isinstance(reply, Reply)
    session = Session(Speech(chosen.dialect, b"", chosen.limits))
    session.receive(line + b"\n")
    request = session.next_request()
    told = None
    if is_clean_query(line):
        assert request == QueryRequest(line)
        told = (session.send(reply), reply.hits, reply.code or 0)
    for _ in range(3):  # made, made and kept, from the cache
        assert desk.answer(line) == told
