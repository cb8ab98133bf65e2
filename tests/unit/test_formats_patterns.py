"""Format patterns: V8 syntax of ARIN's templates, POSIX of the RFC (R2.3.1-7, §11.5)."""

import time

import pytest

from rwhoisd.directory.dialect import ARIN, RFC
from rwhoisd.directory.format import Flavour, PatternError, matcher

POSIX, V8, UPPER = Flavour.POSIX, Flavour.V8, Flavour.V8_UPPER


@pytest.mark.parametrize(
    ("pattern", "flavour", "value", "expected"),
    [
        pytest.param("^(I|R)", UPPER, "role", True, id="value-in-capitals"),
        pytest.param("^[a-z]+$", UPPER, "role", False, id="lower-case-never-matches"),
        pytest.param("^[a-z]+$", V8, "ROLE", True, id="case-does-not-count"),
        pytest.param("^[a-z]+$", POSIX, "ROLE", False, id="case-counts"),
        pytest.param("b", POSIX, "abc", True, id="anywhere"),
        pytest.param("^b", POSIX, "abc", False, id="anchored"),
        pytest.param("[+][0-9-]+", V8, "+1-2", True, id="hyphen-at-the-end"),
        pytest.param(r"^\.$", V8, ".", True, id="quoted"),
        pytest.param(r"^\d$", V8, "d", True, id="backslash-d-is-d"),
        pytest.param(r"^\d$", V8, "1", False, id="backslash-d-is-no-digit"),
        pytest.param("^a{2}$", V8, "a{2}", True, id="v8-has-no-intervals"),
        pytest.param("^a{2}$", POSIX, "aa", True, id="intervals"),
        pytest.param("^[a-z]{2}$", POSIX, "a", False, id="interval-too-short"),
        pytest.param("^[[:alpha:]]+$", POSIX, "ab", True, id="classes"),
        pytest.param("^[[:alpha:]]+$", V8, "ab", False, id="v8-has-no-classes"),
        pytest.param("^[]x]+$", POSIX, "]x", True, id="bracket-first"),
        pytest.param("^[^]x]+$", POSIX, "]", False, id="bracket-first-negated"),
        pytest.param(r"^[\d]+$", POSIX, "\\d", True, id="backslash-is-a-member"),
        pytest.param("^.$", POSIX, "é", True, id="a-character-is-one"),
        pytest.param("", POSIX, "anything", True, id="empty"),
        pytest.param("^(a|b)?c*$", POSIX, "acc", True, id="operators"),
    ],
)
def test_patterns(pattern: str, flavour: Flavour, value: str, expected: bool) -> None:
    matches = matcher(f"re: {pattern}", flavour)
    assert matches is not None
    assert matches(value) is expected


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize(
    "pattern", ["*a", "a**", "(", ")", "[a", "a\\", "+", "(?:a)", "a|*", "[z-a]"]
)
def test_malformed_patterns_say_so(pattern: str, flavour: Flavour) -> None:
    with pytest.raises(PatternError, match="pattern"):
        matcher(f"re:{pattern}", flavour)


def test_text_for_people_is_no_pattern() -> None:
    assert matcher("Date, for instance 20240115", POSIX) is None


def test_the_mode_decides_the_flavour() -> None:
    assert (Flavour.of(ARIN), Flavour.of(RFC)) == (V8, POSIX)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(a{1000}){1000}", id="repeated-repetition"),
        pytest.param("a{1001}", id="more-than-RE2-repeats"),
        pytest.param("(.*a.*b.*c){1000}", id="large"),
        pytest.param("((a{30}){30}){30}", id="three-deep"),
        pytest.param("(" * 5000 + "a" + ")" * 5000, id="deeply-nested"),
    ],
)
def test_a_pattern_that_would_take_too_much_is_refused(pattern: str) -> None:
    """It constrains nothing then, and where the class is read it is a finding."""
    with pytest.raises(PatternError, match=r"repetition size|too large|deeply"):
        matcher(f"re:{pattern}", POSIX)


def test_there_are_no_back_references() -> None:
    """POSIX has none: a backslash quotes, so that nothing needs backtracking."""
    matches = matcher(r"re:^(a+)\1$", POSIX)
    assert matches is not None
    assert matches("aa1")
    assert not matches("aaaa")


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("^(a+)+$", id="nested-plus"),
        pytest.param("^(a|aa)+$", id="ambiguous-alternatives"),
        pytest.param("^(a*)*(a*)*(a*)*c$", id="nested-stars"),
        pytest.param("(x+x+)+y", id="the-book"),
        pytest.param("^(a?){500}a{500}$", id="optional"),
        pytest.param("(a|b)*a(a|b){400}c", id="exponential-automaton"),
        pytest.param("(.*a){300}c", id="stars-in-a-row"),
    ],
)
@pytest.mark.parametrize("character", ["a", "ab", "x"])
def test_time_is_linear(pattern: str, character: str) -> None:
    """Values of 8 kB, as much as four of the longest lines."""
    matches = matcher(f"re:{pattern}", POSIX)
    assert matches is not None
    start = time.process_time()
    matches(character * (8192 // len(character)) + "!")
    assert time.process_time() - start < 10
