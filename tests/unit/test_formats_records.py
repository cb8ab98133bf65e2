"""``tag: value`` records, as ARIN's server cuts and cleans its lines (§1.2, §11.1)."""

import pytest

from rwhoisd.formats.records import common_charset, is_utf8, records

Pairs = list[list[tuple[bytes, bytes]]]


def pairs(data: bytes) -> Pairs:
    return [[(line.tag, line.value) for line in record.lines] for record in records(data)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"A: x\nB : y \n", [[(b"A", b"x"), (b"B", b"y")]], id="trimmed"),
        pytest.param(b"A:x", [[(b"A", b"x")]], id="no-final-line-end"),
        pytest.param(b"A:x:y\n", [[(b"A", b"x:y")]], id="first-colon"),
        pytest.param(b"A:x\r\nB:y\r\n", [[(b"A", b"x"), (b"B", b"y")]], id="crlf"),
        pytest.param(b"A:x\ry\n", [[(b"A", b"xy")]], id="lone-cr-joins"),
        pytest.param(b"A:x\ty\x01\x7f\n", [[(b"A", b"x\ty")]], id="controls-go-tab-stays"),
        pytest.param(b"A:x\0y\nB:z\n", [[(b"A", b"x"), (b"B", b"z")]], id="nul-ends-line"),
        pytest.param(b"A:\xa0x\xa0\n", [[(b"A", b"\xa0x\xa0")]], id="nbsp-is-no-blank"),
        pytest.param(b"A:x\n---\nA:y\n", [[(b"A", b"x")], [(b"A", b"y")]], id="dashes"),
        pytest.param(b"A:x\n----- z: q\nA:y\n", [[(b"A", b"x")], [(b"A", b"y")]], id="more"),
        pytest.param(b"A:x\n --- \nA:y\n", [[(b"A", b"x")], [(b"A", b"y")]], id="indented"),
        pytest.param(b"A:x\n_new_\nA:y\n", [[(b"A", b"x")], [(b"A", b"y")]], id="new"),
        pytest.param(b"A:x\n_NEW_x\nB:y\n", [[(b"A", b"x"), (b"B", b"y")]], id="no-new"),
        pytest.param(b"---\n---\nA:x\n---\n", [[(b"A", b"x")]], id="empty-records-do-not-count"),
        pytest.param(b"# A:x\n  # B:y\nC:z\n", [[(b"C", b"z")]], id="comments"),
        pytest.param(b"_A:x\n  _B:y\nC:z\n", [[(b"C", b"z")]], id="deleted-lines"),
        pytest.param(b"_A:x\n_B:y\n", [], id="deleted-record"),
        pytest.param(b"A:\n", [[(b"A", b"")]], id="empty-value-is-the-callers-affair"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_records(data: bytes, expected: Pairs) -> None:
    assert pairs(data) == expected


def test_offsets_are_right_behind_the_separator() -> None:
    """As in ARIN's index files: comments and blank lines in front belong to the record."""
    data = b"# c\n\nName: one\nPhone: +1\n\n---\n# hi\n\nName: two\n---\n---\n\nName: three\n"
    assert [record.offset for record in records(data)] == [0, 30, 54]


def test_offsets_count_carriage_returns_and_deleted_records() -> None:
    data = b"---\nName: a1\r\n---   more\r\nName: a2\r\n---\n_Name: gone\n---\nName: a3\n"
    assert [record.offset for record in records(data)] == [4, 26, 56]


def test_a_long_line_is_cut_and_its_pieces_count_as_lines() -> None:
    data = b"Rep: " + b"q" * 506 + b"---\nNotes: after\n"
    assert pairs(data) == [[(b"Rep", b"q" * 506)], [(b"Notes", b"after")]]


def test_a_cut_piece_may_be_a_comment() -> None:
    data = b"Rep: " + b"q" * 506 + b"# more: x\nNotes: after\n"
    assert pairs(data) == [[(b"Rep", b"q" * 506), (b"Notes", b"after")]]


def test_offset_behind_a_separator_that_was_cut_off_a_line() -> None:
    data = b"A: " + b"q" * 508 + b"---" + b"x" * 508 + b"B: y\n"
    assert [record.offset for record in records(data)] == [0, 1022]


def test_lines_without_colon_are_kept_apart() -> None:
    (record,) = records(b"A:x\nnonsense\n\nB:y\n")
    assert record.odd == [(2, b"nonsense")]
    assert [line.number for line in record.lines] == [1, 4]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"A:x\n", True, id="ascii"),
        pytest.param("A:Zürich\n".encode(), True, id="utf-8"),
        pytest.param("A:Zürich\n".encode("latin-1"), False, id="latin-1"),
        pytest.param(b"A:\xc3\x01\xbc\n", True, id="utf-8-once-controls-are-gone"),
        pytest.param(b"A:" + b"x" * 508 + "ü".encode() + b"\n", False, id="cut-in-a-character"),
    ],
)
def test_is_utf8(data: bytes, expected: bool) -> None:
    assert is_utf8(data) is expected


def test_one_file_that_is_not_utf8_decides_for_all() -> None:
    assert common_charset([b"a", "ü".encode()]) == "utf-8"
    assert common_charset(["ü".encode(), b"\xfc"]) == "latin-1"
