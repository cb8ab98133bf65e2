"""Queries: records, referrals, codes, the answer cache."""

from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.protocol.replies import Told
from rwhoisd.service.cache import AnswerCache
from rwhoisd.service.ports import Ports
from rwhoisd.service.referrals import punt_texts
from rwhoisd.service.service import Service
from tests.unit.service_kit import FakeConnector, Talk, open_reader, settings

PUNT = "rwhois://root.example.com:4321/auth-area=."
TEN = [
    *("network:Auth-Area:10.0.0.0/8", "network:Class-Name:network", "network:ID:N1.10.0.0.0/8"),
    *("network:Network-Name:TEN", "network:IP-Network:10.0.0.0/8", ""),
]


def talk(folder: Path, compat: Compat = "arin", ports: Ports | None = None, **changes: Any) -> Talk:
    reader = open_reader(folder, compat=compat)
    return Talk(Service(reader, settings(compat, punts=(PUNT,), **changes), ports))


def ids(lines: list[str]) -> list[str]:
    """IDs of the records among ``lines``."""
    return [line.partition(":ID:")[2] for line in lines if ":ID:" in line]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("network 10.1.2.3", [*TEN, "%ok"], id="record"),
        pytest.param("nothing", ["%error 230 No Objects Found"], id="nothing"),
        pytest.param("a b", ["%error 350 Invalid Query Syntax"], id="syntax"),
        pytest.param("*x", ["%error 351 Query Too Complex"], id="too-complex"),
        pytest.param(
            "x.sub.a.com",
            ["%referral rwhois://far.example.com:4321/auth-area=sub.a.com", "%ok"],
            id="link",
        ),
        pytest.param("x.example.com", [f"%referral {PUNT}", "%ok"], id="punt"),
        pytest.param("b.com or c.com", [f"%referral {PUNT}", "%ok"], id="B36"),
        pytest.param("x.a.com", ["%error 230 No Objects Found"], id="covered-but-unknown"),
        pytest.param("3.a.com", ["%ok"], id="hidden"),
    ],
)
def test_answers_of_arin_mode(tmp_path: Path, line: str, answer: list[str]) -> None:
    one = talk(tmp_path)
    assert one.say(line) == answer
    assert one.session.closing


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("nosuch x", "%error 341 Invalid class: nosuch", id="class-A24"),
        pytest.param("nosuch=x", "%error 320 Invalid attribute: nosuch", id="attribute-A23"),
    ],
)
def test_answers_of_rfc_mode(tmp_path: Path, line: str, answer: str) -> None:
    assert talk(tmp_path, "rfc").say(line) == [answer]


def test_octets_of_a_value_stay(tmp_path: Path) -> None:
    assert "contact:Name:Jos\xe9" in talk(tmp_path).say("jos\xe9")


def test_the_limit_replaces_ok(tmp_path: Path) -> None:
    one = talk(tmp_path)
    lines = one.say("-holdconnect on", "-limit 1", "email=j*")
    assert ids(lines) == ["1.a.com"]
    assert lines[-1] == "%error 330 Exceeded Max Objects Limit"
    assert len(ids(one.say("-limit 2", "email=j*"))) == 2
    assert ids(one.say("-limit 1", "email=j*")) == ["1.a.com"]  # the cache knows the limit


def test_records_come_before_referrals(tmp_path: Path) -> None:
    lines = talk(tmp_path).say("referral sub.a.com")
    assert ids(lines) == ["7.a.com"]
    assert lines[-2:] == ["%referral rwhois://far.example.com:4321/auth-area=sub.a.com", "%ok"]


def test_no_referrals_at_all(tmp_path: Path) -> None:
    one = talk(tmp_path, skip_referrals=True)
    assert one.say("x.example.com") == ["%error 230 No Objects Found"]


def test_a_session_goes_on_after_a_held_query(tmp_path: Path) -> None:
    one = talk(tmp_path)
    lines = one.say("-holdconnect on", "nothing", "network ten", "-quit", "network ten")
    assert lines == ["%ok", "%error 230 No Objects Found", *TEN, "%ok", "%ok"]


def test_a_repeat_is_the_same_reply(tmp_path: Path) -> None:
    one = talk(tmp_path)
    one.say("-holdconnect on")
    for _ in range(4):  # made, made and kept, from the cache
        assert one.say("network ten") == [*TEN, "%ok"]


def test_forward_of_arin_mode_changes_nothing(tmp_path: Path) -> None:
    connector = FakeConnector()
    one = talk(tmp_path, ports=Ports(connector=connector))
    assert one.say("-forward on", "x.example.com") == ["%ok", f"%referral {PUNT}", "%ok"]
    assert connector.asked == []


def test_punts_are_verbatim_but_comments() -> None:
    lines = ["# comment", "", " rwhois://a/ ", "anything", "\xe9"]
    assert punt_texts(lines) == ("rwhois://a", "anything", "\xc3\xa9")


def keep(cache: AnswerCache, key: bytes, answer: bytes = b"x" * 500) -> None:
    cache.put(key, (answer, 1, 0))
    cache.put(key, (answer, 1, 0))  # the second time counts


def kept(cache: AnswerCache, key: bytes) -> Told | None:
    return cache.young.get(key) or cache.again(key)


def test_cache_keeps_nothing_for_those_who_never_repeat() -> None:
    cache = AnswerCache(octets=1 << 20)
    cache.put(b"a", (b"one", 1, 0))
    assert kept(cache, b"a") is None
    cache.put(b"a", (b"one", 1, 0))
    assert kept(cache, b"a") == (b"one", 1, 0)


def test_cache_is_bounded_and_forgets_with_the_image() -> None:
    cache = AnswerCache(octets=20_000)
    for number in range(1000):
        keep(cache, b"%d" % number)
    found = [n for n in range(1000) if kept(cache, b"%d" % n) is not None]
    assert 5 <= len(found) <= 20
    assert found[-1] == 999
    keep(cache, b"big", b"x" * 20_000)
    assert kept(cache, b"big") is None
    cache.clear()
    assert kept(cache, b"999") is None


def test_cache_keeps_what_is_used() -> None:
    cache = AnswerCache(octets=20_000)
    keep(cache, b"hot", b"hot")
    for number in range(500):
        keep(cache, b"%d" % number)
        assert kept(cache, b"hot") == (b"hot", 1, 0)


def test_no_cache() -> None:
    cache = AnswerCache(octets=0)
    keep(cache, b"a", b"x")
    assert kept(cache, b"a") is None
