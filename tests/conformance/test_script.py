"""Written cases: how they are read, and how answers are held against them."""

import re
from pathlib import Path

import pytest

from conformance.rfcset import matched
from conformance.script import (
    Check,
    Expect,
    Pattern,
    Script,
    ScriptError,
    Send,
    Switch,
    load_scripts,
    parse_script,
)

HEAD = ["# id: a.b", "# source: R3.4-1 R3.4-2", "# strength: must", "# tags: query limit"]


def script(*lines: str) -> Script:
    return parse_script([*HEAD, *lines], 1, "f.txt")


def test_the_header_is_read() -> None:
    read = script("# fresh: yes", "# variant: slave", "C x")
    assert (read.id, read.rules, read.strength) == ("a.b", ("R3.4-1", "R3.4-2"), "must")
    assert (read.tags, read.fresh, read.variant) == (("query", "limit"), True, "slave")


def test_neighbouring_lines_are_one_piece() -> None:
    read = script("C one", "C two", "S %ok", "S ...", "E open", "@ b", "C three")
    assert [step.action for step in read.steps] == [
        Send("one\r\ntwo\r\n"),
        Expect((Pattern("text", "%ok"), Pattern("any", "..."))),
        Check("open"),
        Switch("b"),
        Send("three\r\n"),
    ]


def test_escapes() -> None:
    read = script(r"C> a\x00\t\\\xff\s\r\n")
    assert read.steps[0].action == Send("a\x00\t\\\xff \r\n")
    assert read.sent() == ("a\x00\t\\\xff ",)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([*HEAD, "Q x"], "f.txt:5: 'Q' begins no line", id="mark"),
        pytest.param([*HEAD, "E maybe"], "f.txt:5: no check is called 'maybe'", id="check"),
        pytest.param([*HEAD, "#nothing"], "f.txt:5: a header is", id="header"),
        pytest.param([*HEAD, "# color: red"], "`# color:` is unknown", id="key"),
        pytest.param(HEAD[:2], "f.txt:1: the case lacks `# strength:`", id="missing"),
        pytest.param([*HEAD, "A 1 > 2"], "f.txt:5: 'A' begins no line", id="operator"),
    ],
)
def test_a_malformed_case_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(said)):
        parse_script(lines, 1, "f.txt")


def test_an_id_is_used_once(tmp_path: Path) -> None:
    text = "\n".join([*HEAD, "C x", "", *HEAD, "C y"])
    (tmp_path / "3.4-query.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ScriptError, match=r"3\.4-query\.txt:7: the id a\.b is used"):
        load_scripts(tmp_path)


def test_files_come_in_the_order_of_the_sections(tmp_path: Path) -> None:
    for name in ("3.10-b", "3.9-a", "C-c"):
        text = "\n".join(HEAD).replace("a.b", name)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    assert [read.id for read in load_scripts(tmp_path)] == ["3.9-a", "3.10-b", "C-c"]


ANY = Pattern("any", "...")


def text(line: str) -> Pattern:
    return Pattern("text", line)


def regex(line: str) -> Pattern:
    return Pattern("regex", line)


@pytest.mark.parametrize(
    ("patterns", "lines"),
    [
        pytest.param([text("a"), text("b")], ["a", "b"], id="exactly"),
        pytest.param([ANY], [], id="none"),
        pytest.param([ANY, text("b"), ANY, text("d")], ["a", "b", "b", "c", "d"], id="gaps"),
        pytest.param([text("%error 350")], ["%error 350 any words"], id="any wording"),
        pytest.param([regex(r"n:\d+")], ["n:17"], id="regex"),
    ],
)
def test_answers_as_written(patterns: list[Pattern], lines: list[str]) -> None:
    assert matched(patterns, lines) == {}


@pytest.mark.parametrize(
    ("patterns", "lines"),
    [
        pytest.param([text("a")], ["a", "b"], id="too much"),
        pytest.param([text("a"), text("b")], ["a"], id="too little"),
        pytest.param([ANY, text("b")], ["b", "a"], id="wrong end"),
        pytest.param([text("%error 350")], ["%error 3501"], id="longer code"),
        pytest.param([text("%error 350")], ["%error 351 Query too complex"], id="other code"),
        pytest.param([regex(r"n:\d")], ["n:17"], id="the whole line"),
        pytest.param([text("%ok")], ["%ok fine"], id="only codes have words"),
    ],
)
def test_answers_not_as_written(patterns: list[Pattern], lines: list[str]) -> None:
    assert matched(patterns, lines) is None


def test_named_groups_become_variables() -> None:
    assert matched([ANY, regex("(?P<x>b+)"), ANY], ["a", "bb", "b"]) == {"x": "bb"}
