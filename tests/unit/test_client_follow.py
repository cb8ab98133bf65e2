"""Which referrals are followed: the walk of a query, without any server."""

from collections.abc import Mapping, Sequence

import pytest

from rwhoisd.directory.area import HostPort
from rwhoisd.protocol.follow import Call, DeadEnd, FollowLimits, Walk, Why

DEAD = None


def url(host: str, area: str = "") -> str:
    return f"rwhois://{host}:4321" + (f"/auth-area={area}" if area else "")


def walk_through(
    world: Mapping[str, Sequence[str] | None], limits: FollowLimits | None = None
) -> tuple[list[str], list[DeadEnd]]:
    """Hosts asked in order, and dead ends; ``world`` has the referrals of each host."""
    walk = Walk(HostPort("start"), limits)
    asked, ends = [], []
    while call := walk.next_call():
        asked.append(call.server.host)
        referrals = world.get(call.server.host, ())
        if referrals is DEAD:
            walk.failed(call, Why.FAILED)
        else:
            walk.answered(call, referrals)
    ends = walk.take_dead_ends()
    return asked, ends


def whys(ends: list[DeadEnd]) -> list[Why]:
    return [end.why for end in ends]


def test_no_referral_is_one_call() -> None:
    assert walk_through({}) == (["start"], [])


def test_referrals_of_one_area_are_substitutes() -> None:
    # R3.4-13: follow one
    asked, ends = walk_through({"start": [url("a", "x.com"), url("b", "x.com")]})
    assert asked == ["start", "a"]
    assert ends == []


@pytest.mark.parametrize(
    "spelling", ["X.com", "x.com.", ".x.com"], ids=["case", "last-dot", "first-dot"]
)
def test_one_area_in_two_spellings(spelling: str) -> None:
    assert walk_through({"start": [url("a", "x.com"), url("b", spelling)]})[0] == ["start", "a"]


def test_referrals_of_different_areas_are_all_followed() -> None:
    # R3.4-14
    areas = ["x.com", "10.0.0.0/8", "2001:db8::/32", "odd:area"]
    referrals = [url(f"s{i}", area) for i, area in enumerate(areas)]
    assert walk_through({"start": referrals})[0] == ["start", "s0", "s1", "s2", "s3"]


def test_referrals_without_area_are_not_substitutes() -> None:
    assert walk_through({"start": [url("a"), url("b")]})[0] == ["start", "a", "b"]


def test_next_of_the_same_area_when_the_first_is_dead() -> None:
    world = {"start": [url("a", "x.com"), url("b", "x.com"), url("c", "x.com")], "a": DEAD}
    asked, ends = walk_through(world)
    assert asked == ["start", "a", "b"]
    assert ends == [DeadEnd(url("a", "x.com"), HostPort("start"), Why.FAILED)]


def test_a_server_that_refers_on() -> None:
    world = {"start": [url("a", "com")], "a": [url("b", "x.com")], "b": [url("c", "y.x.com")]}
    assert walk_through(world) == (["start", "a", "b", "c"], [])


@pytest.mark.parametrize("back", ["start", "a", "START", "start."], ids=str)
def test_loop_is_cut_and_blamed_on_who_closed_it(back: str) -> None:
    asked, ends = walk_through({"start": [url("a", "com")], "a": [url(back, "x.com")]})
    assert asked == ["start", "a"]
    assert ends == [DeadEnd(url(back, "x.com"), HostPort("a"), Why.LOOP)]
    assert ends[0].why.notice == "recurref"


def test_substitute_of_a_looping_referral_is_tried() -> None:
    asked, ends = walk_through({"start": [url("start", "x.com"), url("b", "x.com")]})
    assert asked == ["start", "b"]
    assert whys(ends) == [Why.LOOP]


def test_other_port_is_another_server() -> None:
    walk = Walk(HostPort("start"))
    call = walk.next_call()
    assert call is not None
    walk.answered(call, ["rwhois://start:4322/auth-area=x.com"])
    assert walk.next_call() == Call(
        HostPort("start", 4322),
        "rwhois://start:4322/auth-area=x.com",
        "x.com",
        (HostPort("start"),),
    )


def test_server_of_two_areas_is_asked_once() -> None:
    # the query is the same (R3.4-15), so its answer would be
    asked, ends = walk_through({"start": [url("a", "x.com"), url("a", "y.com")]})
    assert asked == ["start", "a"]
    assert whys(ends) == [Why.REPEATED]
    assert ends[0].why.notice == ""


def test_server_asked_already_serves_the_area_of_its_substitutes_too() -> None:
    world = {"start": [url("a", "x.com"), url("a", "y.com"), url("b", "y.com")]}
    assert walk_through(world)[0] == ["start", "a"]


def test_dead_server_is_not_tried_twice_but_reported_by_each_referral() -> None:
    world = {"start": [url("a", "x.com"), url("a", "y.com"), url("b", "y.com")], "a": DEAD}
    asked, ends = walk_through(world)
    assert asked == ["start", "a", "b"]
    assert [(end.url, end.why) for end in ends] == [
        (url("a", "x.com"), Why.FAILED),
        (url("a", "y.com"), Why.FAILED),
    ]


def test_dead_first_server() -> None:
    asked, ends = walk_through({"start": DEAD})
    assert asked == ["start"]
    assert ends == [DeadEnd("", None, Why.FAILED)]


@pytest.mark.parametrize("depth", [0, 1, 3], ids=str)
def test_depth_is_bounded(depth: int) -> None:
    world = {"start": [url("s1")]} | {f"s{i}": [url(f"s{i + 1}")] for i in range(1, 9)}
    asked, ends = walk_through(world, FollowLimits(depth=depth))
    assert asked == ["start", *(f"s{i}" for i in range(1, depth + 1))]
    assert whys(ends) == [Why.DEPTH]


def test_number_of_servers_is_bounded() -> None:
    world = {"start": [url(f"s{i}", f"{i}.com") for i in range(100)]}
    asked, ends = walk_through(world, FollowLimits(servers=5))
    assert len(asked) == 5
    assert whys(ends) == [Why.SERVERS] * 96


@pytest.mark.parametrize(
    "text",
    ["http://a.com/", "rwhois://a.com:99999/auth-area=x", "", "rwhois://", "rwhois://[::zz]:1/"],
    ids=["scheme", "port", "empty", "no-host", "no-address"],
)
def test_malformed_referral_is_a_bad_one(text: str) -> None:
    asked, ends = walk_through({"start": [text, url("a", "x.com")]})
    assert asked == ["start", "a"]
    assert ends == [DeadEnd(text, HostPort("start"), Why.MALFORMED)]
    assert ends[0].why.notice == "badref"


def test_ipv6_address_in_a_referral() -> None:
    asked, _ = walk_through({"start": ["rwhois://[2001:db8::1]:4321/auth-area=2001:db8::/32"]})
    assert asked == ["start", "2001:db8::1"]


def test_unavailable_server_is_passed_over_without_blame() -> None:
    walk = Walk(HostPort("start"))
    first = walk.next_call()
    assert first is not None
    walk.answered(first, [url("a", "x.com"), url("b", "x.com")])
    full = walk.next_call()
    assert full is not None
    walk.failed(full, Why.UNAVAILABLE)
    substitute = walk.next_call()
    assert substitute is not None
    assert substitute.server.host == "b"
    assert [end.why.notice for end in walk.take_dead_ends()] == [""]
    assert walk.take_dead_ends() == []


def test_path_tells_the_way() -> None:
    walk = Walk(HostPort("start"))
    for host in ("start", "a", "b"):
        call = walk.next_call()
        assert call is not None
        assert call.server.host == host
        walk.answered(call, [url({"start": "a", "a": "b", "b": "c"}[host], "x.com")])
    last = walk.next_call()
    assert last is not None
    assert [server.host for server in last.path] == ["start", "a", "b"]
    assert last.referrer == HostPort("b")
