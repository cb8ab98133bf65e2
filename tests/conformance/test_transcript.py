"""What a conversation's text means."""

import pytest

from conformance.transcript import (
    Response,
    escaped,
    meaning,
    normal,
    split_responses,
    terminators,
)

BANNER = "%rwhois V-1.5:003fff:00 a.example (one)\n"
RECORDS = "a:x:1\na:y:2\n\nb:x:1\n\n"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param("%ok\r\n", "%ok\n", id="line ends"),
        pytest.param(BANNER, BANNER.replace("a.example (one)", "b.example (two)"), id="banner"),
    ],
)
def test_what_does_not_count_is_equal(left: str, right: str) -> None:
    assert normal(left) == normal(right)


def test_the_capability_of_the_banner_counts() -> None:
    assert normal(BANNER) != normal(BANNER.replace("003fff", "003ffe"))


def test_server_made_values_are_masked_when_volatile() -> None:
    one = "%register ID: 17.a.net\n%register Updated: 20261122075644000\n%ok\nc:ID:17.a.net\n"
    two = one.replace("17.", "99.").replace("20261122075644000", "20270101000000000")
    assert normal(one) != normal(two)
    assert normal(one, volatile=True) == normal(two, volatile=True)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(
            "z:x:1\n\n" + RECORDS + "%ok\n", "z:x:1\n\nb:x:1\n\na:y:2\na:x:1\n\n%ok\n", id="order"
        ),
        pytest.param("%error 230 No Objects Found\n", "%error 230 nothing\n", id="words"),
        pytest.param(
            "%referral a\n%referral b\n%ok\n", "%referral b\n%referral a\n%ok\n", id="refs"
        ),
    ],
)
def test_equal_in_meaning(left: str, right: str) -> None:
    assert meaning(left) == meaning(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(RECORDS + "%ok\n", RECORDS + "%error 330 Exceeded\n", id="code"),
        pytest.param(RECORDS + "%ok\n", RECORDS.replace("2", "3") + "%ok\n", id="value"),
        pytest.param("%ok\n%ok\n", "%ok\n", id="number of answers"),
        pytest.param("%referral a\n%ok\n", "%ok\n", id="referral"),
        pytest.param("a:x:1\n", "a:x:1\n\n%ok\n", id="unfinished"),
    ],
)
def test_other_in_meaning(left: str, right: str) -> None:
    assert meaning(left) != meaning(right)


def test_meaning_in_full() -> None:
    assert meaning(RECORDS + "%referral rwhois://h:1\n%error 330 x\n") == [
        Response((("a:x:1", "a:y:2"), ("b:x:1",)), ("rwhois://h:1",), "error 330")
    ]


def test_answers_are_told_apart() -> None:
    banner, answers = split_responses(BANNER + "%ok\na:x:1\n\n%ok\nrest\n")
    assert banner == BANNER
    assert answers == ["%ok\n", "a:x:1\n\n%ok\n", "rest\n"]
    assert terminators(BANNER + "%ok\n%error 350 x\n%okay\n") == 2


def test_every_byte_can_be_shown() -> None:
    assert escaped("a\x00\xff\\") == "a\\x00\\xff\\\\"
