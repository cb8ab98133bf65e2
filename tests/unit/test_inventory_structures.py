"""JSON, YAML and XML of others: lines, and everything that wants to do harm."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory.source import Report, TextFile, text_of
from rwhoisd.inventory.structures import (
    Items,
    Row,
    is_true,
    json_of,
    line_of,
    name_of,
    text,
    xml_as_far,
    xml_of,
    yaml_of,
)


def file(content: str) -> TextFile:
    return TextFile("f", content)


def yaml(content: str) -> tuple[list[Any], list[str]]:
    report = Report()
    values = list(yaml_of(file(content), report))
    assert report.findings == report.incomplete
    return values, [str(finding) for finding in report.findings]


def refused(read: Any, content: str) -> str:
    with pytest.raises(FormatError) as caught:
        read(file(content))
    return str(caught.value)


# --- JSON ---


def test_json_knows_the_line_of_every_mapping_and_item() -> None:
    value = json_of(file('{\n "a": [\n  {"x": 1},\n\n  {"x": 2}\n ],\n "b": {\n }\n}'))
    assert (value.line, value["a"][0].line, value["b"].line) == (1, 3, 7)
    assert [line for line, _ in value["a"].placed()] == [3, 5]
    assert value.line_of("b") == 7
    assert value.line_of("missing") == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_json_is_read_as_the_standard_reads_it(value: Any) -> None:
    assert json_of(file(json.dumps(value, indent=1))) == value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "f:1: error: is no JSON: Expecting value"),
        ('{"a": 1,\n}', "f:2: error: is no JSON"),
        ("{} {}", "f:1: error: is no JSON: Extra data"),
        ("[" * 100_000, "f: error: is nested too deeply"),
        ('{"a":' * 100_000, "f: error: is nested too deeply"),
        ("[" + "9" * 5000 + "]", "f: error: is no JSON: a number in it is too long"),
    ],
    ids=["empty", "comma", "two", "deep", "deep-mappings", "digits"],
)
def test_json_that_is_none(content: str, told: str) -> None:
    assert refused(json_of, content).startswith(told)


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert json_of(file('{"a": 1, "a": 2}')) == {"a": 2}
    assert yaml("a: 1\na: 2\n") == ([{"a": "2"}], [])


def test_a_mark_at_the_beginning_is_no_part_of_the_text() -> None:
    assert json_of(file(text_of(b'\xef\xbb\xbf{"a": 1}'))) == {"a": 1}
    assert json_of(file(text_of('{"a": 1}'.encode("utf-16")))) == {"a": 1}
    assert yaml(text_of(b"\xef\xbb\xbfa: 1\r\n")) == ([{"a": "1"}], [])
    assert xml_of(file(text_of(b"\xef\xbb\xbf<a/>"))).tag == "a"


# --- YAML ---


def test_yaml_keeps_scalars_as_they_were_written() -> None:
    content = "a: 10.0\nb: 0755\nc: 12:30\nd: yes\ne: ~\nf: ''\ng: '~'\nh: 2026-01-01\n"
    assert yaml(content)[0] == [
        {"a": "10.0", "b": "0755", "c": "12:30", "d": "yes", "e": None, "f": "", "g": "~",
         "h": "2026-01-01"}
    ]  # fmt: skip


def test_yaml_knows_its_lines() -> None:
    ((value,), _) = yaml("# first\na:\n  - x\n  - y: 1\n    z: 2\nb: 3\n")
    assert (value.line, value.line_of("a"), value.line_of("b")) == (2, 2, 6)
    assert [line for line, _ in value["a"].placed()] == [3, 4]
    assert value["a"][1].line_of("z") == 5


def test_documents_before_a_mistake_are_read_and_the_rest_is_told() -> None:
    values, told = yaml("a: 1\n---\nb: 2\n---\n{\n")
    assert values == [{"a": "1"}, {"b": "2"}]
    assert len(told) == 1
    assert told[0].startswith("f:6: warning: is not the whole source: it is no YAML")


def test_merge_keys_and_aliases() -> None:
    content = "a: &a {x: 1, y: 1}\nb:\n  <<: *a\n  y: 2\nc:\n  <<: [*a, null, {z: 3}]\nd: *a\n"
    ((value,), told) = yaml(content)
    assert told == []
    assert value["b"] == {"x": "1", "y": "2"}
    assert value["c"] == {"x": "1", "y": "1", "z": "3"}
    assert value["d"] is value["a"]


def test_tags_make_nothing_and_encrypted_text_is_nothing() -> None:
    content = (
        "a: !!python/object/apply:os.getcwd []\nb: !vault |\n  $ANSIBLE_VAULT;1\nc: !x {d: 1}\n"
    )
    assert yaml(content) == ([{"a": [], "b": None, "c": {"d": "1"}}], [])


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(FormatError, match=r"^f:\d: error: aliases make too much of it$"):
        yaml("\n".join(lines))


@pytest.mark.parametrize("content", ["a: &a [*a]", "a: &a\n  <<: *a\n", "a: &a\n  b: {c: *a}\n"])
def test_an_alias_within_its_anchor_is_refused(content: str) -> None:
    with pytest.raises(FormatError, match="an alias stands within its anchor"):
        yaml(content)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 5_000 + "x",
        "[" * 900 + "]" * 900,
        "".join(" " * depth + "a:\n" for depth in range(3_000)),
        "a: \x01",
        "a: \ud800",
        "a: *b",
        "a: %",
        "\t- a",
    ],
    ids=["flow", "maps", "block", "900", "stairs", "control", "half", "alias", "percent", "tab"],
)
def test_yaml_that_is_none_is_told_and_is_not_whole(content: str) -> None:
    values, told = yaml(content)
    assert values == []
    assert len(told) == 1


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@ \n\t<", max_size=80))
def test_no_yaml_is_too_strange(content: str) -> None:
    with suppress(FormatError):
        yaml(content)


# --- XML ---


def test_xml_knows_names_and_lines() -> None:
    root = xml_of(file('<?xml version="1.0" encoding="utf-16"?>\n<a xmlns="urn:x">\n <b/>\n</a>'))
    assert (name_of(root), line_of(root)) == ("a", 2)
    assert (name_of(root[0]), line_of(root[0])) == ("b", 3)


def test_comments_and_instructions_are_gone() -> None:
    assert [name_of(one) for one in xml_of(file("<a><!-- s --><?p s?><b/></a>"))] == ["b"]


def test_entities_fetch_nothing(tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("Zq-secret")
    uri = (tmp_path / "secret").as_uri()
    doctype = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{uri}"><!ENTITY % p SYSTEM "{uri}"> %p;]>'
    root = xml_of(file(f"{doctype}<a>&e;</a>"))
    assert "Zq" not in "".join(map(str, root.itertext()))


def test_a_bomb_of_entities_does_not_go_off() -> None:
    entities = "".join(
        f'<!ENTITY {this} "{f"&{before};" * 10}">'
        for before, this in zip("abcdefgh", "bcdefghi", strict=True)
    )
    content = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{entities}]><x y="&i;">&i;</x>'
    assert "is no XML" in refused(xml_of, content)


@pytest.mark.parametrize(
    "content", ["", "  \n", "hello", "<a>", "<a></b>", "<a>\x01</a>", "<a>" * 300 + "</a>" * 300]
)
def test_xml_that_is_none(content: str) -> None:
    assert "error: is no XML" in refused(xml_of, content)


def test_of_torn_xml_what_is_there_is_read() -> None:
    report = Report()
    root = xml_as_far(file("<a>\n<b/>\n<c"), report)
    assert name_of(root[0]) == "b"
    assert [str(f) for f in report.incomplete] == [
        "f:3: warning: is not the whole source: it is no XML from here on"
    ]


@pytest.mark.parametrize("content", ["", " ", "no", "\x00"])
def test_of_nothing_nothing_is_read(content: str) -> None:
    with pytest.raises(FormatError):
        xml_as_far(file(content), Report())


@given(st.text(alphabet="<>/ab&;!-?[]\"'= \n", max_size=80))
def test_no_xml_is_too_strange(content: str) -> None:
    with suppress(FormatError):
        xml_as_far(file(content), Report())


# --- asking ---


def test_rows_and_items_answer_what_is_not_there() -> None:
    value = json_of(
        file('{"a": {"b": {"c": " x "}}, "n": null, "one": {"k": 1}, "l": [{"k": 2}, 3]}')
    )
    assert value.row("a", "b").text("z", "c") == "x"
    assert value.row("a", "nothing", "c") == Row()
    assert value.row("l") == {}
    assert value.items_of("n") == Items()
    assert list(value.rows("one")) == [{"k": 1}]
    assert list(value.rows("l")) == [{"k": 2}]
    assert value.text("n", "a") == ""


def test_scalars_as_text() -> None:
    values: list[Any] = [True, False, 7, 1.5, " a ", None, [], {}]
    assert [text(v) for v in values] == [
        "true", "false", "7", "1.5", "a", "", "", "",
    ]  # fmt: skip
    assert [is_true(v) for v in (True, "Yes", 1, "on", "no", None, 0)] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
