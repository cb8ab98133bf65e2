"""Queries: records, referrals, codes, the answer cache."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.dialect import Compat
from rwhoisd.protocol.replies import Reply
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


def keep(cache: AnswerCache, version: tuple[int, int], key: Hashable, reply: Reply) -> None:
    cache.put(version, key, reply)
    cache.put(version, key, reply)  # the second time counts


def test_cache_keeps_nothing_for_those_who_never_repeat() -> None:
    cache = AnswerCache(octets=1 << 20)
    now = (1, 1)
    assert cache.get(now, "a") is None
    cache.put(now, "a", Reply(b"one"))
    assert cache.get(now, "a") is None
    cache.put(now, "a", Reply(b"one"))
    assert cache.get(now, "a") == Reply(b"one")


def test_cache_is_bounded_and_forgets_with_the_image() -> None:
    cache = AnswerCache(octets=20_000)
    now, later = (1, 1), (1, 2)
    assert cache.get(now, "a") is None
    for number in range(1000):
        keep(cache, now, number, Reply(b"x" * 500))
    kept = [n for n in range(1000) if cache.get(now, n) is not None]
    assert 5 <= len(kept) <= 20
    assert kept[-1] == 999
    keep(cache, now, "big", Reply(b"x" * 20_000))
    assert cache.get(now, "big") is None
    assert cache.get(later, 999) is None
    keep(cache, now, "late", Reply())  # made from an image that is gone
    assert cache.get(later, "late") is None


def test_cache_keeps_what_is_used() -> None:
    cache = AnswerCache(octets=20_000)
    version = (1, 1)
    cache.get(version, "hot")
    keep(cache, version, "hot", Reply(b"hot"))
    for number in range(500):
        keep(cache, version, number, Reply(b"x" * 500))
        assert cache.get(version, "hot") == Reply(b"hot")


def test_no_cache() -> None:
    cache = AnswerCache(octets=0)
    cache.get((1, 1), "a")
    cache.put((1, 1), "a", Reply(b"x"))
    assert cache.get((1, 1), "a") is None
