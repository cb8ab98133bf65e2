"""What an edit makes of lines; the map of blocks; moments as people write them."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.changes import Change, Operation, StoredObject
from rwhoisd.directory.names import AddressRange
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.directory.space import usage
from rwhoisd.directory.visibility import MASK
from rwhoisd.formats.addressing import STATES, Block, Inner
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.edits import EditError, changed_lines, inverse, unmasked
from rwhoisd.formats.history import in_words, moment
from rwhoisd.formats.space_map import COLOURS, percent, space_map

NETWORK = shipped("network")
LINES = (("ID", "1"), ("City", "A"), ("Tech-Contact", "x"), ("Tech-Contact", "y"), ("State", "VA"))


@pytest.mark.parametrize(
    ("sets", "unsets", "made"),
    [
        pytest.param([], [], LINES, id="nothing"),
        pytest.param(
            [("city", "B")],
            [],
            (LINES[0], ("City", "B"), *LINES[2:]),
            id="in-its-place",
        ),
        pytest.param(
            [("Tech-Contact", "z")],
            [],
            (*LINES[:2], ("Tech-Contact", "z"), LINES[4]),
            id="one-for-many",
        ),
        pytest.param(
            [("Tech-Contact", "z"), ("tech-contact", "w")],
            [],
            (*LINES[:2], ("Tech-Contact", "z"), ("Tech-Contact", "w"), LINES[4]),
            id="many-for-many",
        ),
        pytest.param(
            [("Tech-Contact+", "z")],
            [],
            (*LINES[:4], ("Tech-Contact", "z"), LINES[4]),
            id="one-more",
        ),
        pytest.param([("Remarks+", "z")], [], (*LINES, ("Comment", "z")), id="first-by-alias"),
        pytest.param([("Foo", "z")], [], (*LINES, ("Foo", "z")), id="unknown-is-for-the-rules"),
        pytest.param([], ["CITY", "tech-contact"], (LINES[0], LINES[4]), id="unset"),
        pytest.param([("City", "B")], ["City"], (LINES[0], ("City", "B"), *LINES[2:]), id="both"),
    ],
)
def test_set_and_unset(
    sets: list[tuple[str, str]], unsets: list[str], made: tuple[tuple[str, str], ...]
) -> None:
    assert tuple(changed_lines(LINES, NETWORK, sets, unsets)) == made


def test_a_masked_secret_stays_and_a_new_one_counts() -> None:
    before = Object("a.com", "guardian", (("Guard-Scheme", "pw"), ("Guard-Info", "secret")))
    shown = [("Guard-Scheme", "pw"), ("Guard-Info", MASK)]
    assert tuple(unmasked(shown, before)) == before.lines
    assert ("Guard-Info", "new") in tuple(unmasked([("Guard-Info", "new")], before))
    assert tuple(unmasked([("City", MASK)], before)) == (("City", MASK),)


# --- undo

OBJECTS = st.builds(
    lambda local, city, source: Object(
        "a.com", "network", (("ID", f"{local}.a.com"), ("City", city)), source=source
    ),
    st.sampled_from("xyz"),
    st.sampled_from("AB"),
    st.sampled_from(("zone", "edge", "admin")),
)


def entry(
    row: int,
    before: Object | None,
    after: Object | None,
    source: str = "admin",
    operation: Operation = Operation.MODIFY,
) -> Change:
    serial = TimeStamp("20260131120000000")
    return Change("a.com", serial, 0, operation, row, 0, before, after, "ann", source)


@given(steps=st.lists(st.tuples(st.integers(1, 4), st.none() | OBJECTS), max_size=12))
def test_the_inverse_of_a_change_gives_what_was_before(
    steps: list[tuple[int, Object | None]],
) -> None:
    before = {1: Object("a.com", "network", (("ID", "one.a.com"),))}
    now: dict[int, Object] = dict(before)
    entries = []
    for row, after in steps:
        if after != now.get(row):
            entries.append(entry(row, now.pop(row, None), after))
            now |= {row: after} if after else {}
    edits = inverse(entries, lambda row: StoredObject(row, 0, now[row]) if row in now else None)
    for edit in edits:
        if edit.before is not None:
            assert now.pop(edit.before.row) == edit.before.object
    back = [edit.wanted for edit in edits if edit.wanted is not None]
    assert [*now.values(), *back] == list(before.values())


ONE = Object("a.com", "network", (("ID", "one.a.com"), ("City", "A")), source="edge")
TWO = replace(ONE, lines=(("ID", "one.a.com"), ("City", "B")), source="admin")


@pytest.mark.parametrize(
    ("by", "source"),
    [("admin", "edge"), ("registration", "edge"), ("zone", "admin"), ("inventory", "admin")],
)
def test_whose_an_object_is_after_an_undo(by: str, source: str) -> None:
    [edit] = inverse([entry(1, ONE, TWO, by)], lambda row: StoredObject(row, 0, TWO))
    assert edit.wanted == replace(ONE, source=source)


@pytest.mark.parametrize(
    "now", [None, ONE, replace(TWO, source="zone")], ids=["deleted", "changed", "taken"]
)
def test_an_object_that_changed_since_is_named(now: Object | None) -> None:
    there = StoredObject(1, 0, now) if now else None
    with pytest.raises(EditError, match=r"changed since 20260131120000000: one\.a\.com"):
        inverse([entry(1, ONE, TWO)], lambda _: there)


def test_a_definition_cannot_be_taken_back() -> None:
    moved = entry(0, None, None, operation=Operation.AREA)
    with pytest.raises(EditError, match=r"the definition of a\.com"):
        inverse([moved], lambda _: None)


# --- moments


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("20260131", "20260131000000000"),
        ("20260131120000", "20260131120000000"),
        ("20260131120000123", "20260131120000123"),
        ("2026-01-31", "20260131000000000"),
        ("2026-01-31T12:00", "20260131120000000"),
        ("2026-01-31 12:00:01.5", "20260131120001500"),
        ("2026-01-31T12:00Z", "20260131120000000"),
        ("2026-01-31T12:00+02:00", "20260131100000000"),
    ],
)
def test_a_moment_as_the_rfc_or_iso_writes_it(text: str, stamp: str) -> None:
    assert moment(text).text == stamp


@pytest.mark.parametrize("text", ["", "soon", "2026", "20261399", "2026-02-30", "1" * 18])
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write 20260131 or 2026-01-31T12:00"):
        moment(text)


def test_a_moment_in_words() -> None:
    assert in_words(moment("20260131120000123")) == "2026-01-31 12:00:00.123 UTC"


# --- the map

SVG = "{http://www.w3.org/2000/svg}"


def span(text: str) -> AddressRange:
    found = AddressRange.from_text(text)
    assert found is not None
    return found


def block(outer: str, *inner: tuple[str, str, str]) -> Block:
    things = tuple(Inner(span(where), name, state) for where, name, state in inner)
    used = usage(span(outer), (one.span for one in things))
    return Block(span(outer), "BLOCK <&>", "network", used, things)


def drawn(*blocks: Block) -> ET.Element:
    return ET.fromstring(space_map(blocks))


def rectangles(root: ET.Element, colour: str) -> list[dict[str, float]]:
    return [
        {name: float(r.get(name, 0)) for name in ("x", "y", "width", "height")}
        for r in root.iter(f"{SVG}rect")
        if r.get("fill") == COLOURS[colour][0] and r.find(f"{SVG}title") is not None
    ]


def test_every_state_has_a_colour_and_stands_in_the_legend() -> None:
    assert set(COLOURS) == {"free", *STATES}
    words = {t.text for t in drawn().iter(f"{SVG}text")}
    assert {text for _, text in COLOURS.values()} <= words
    assert len({colour for colour, _ in COLOURS.values()}) == len(COLOURS)


def test_a_map_shows_each_object_where_it_is() -> None:
    root = drawn(
        block(
            "192.0.2.0/24",
            ("192.0.2.0/26", "QUARTER", "network"),
            ("192.0.2.1/32", "host.example.net", "machine"),
            ("192.0.2.72/29", "HALF-ROW", "released"),
        )
    )
    [quarter] = rectangles(root, "network")
    [host] = rectangles(root, "machine")
    [half] = rectangles(root, "released")
    assert quarter["height"] == pytest.approx(4 * 22 - 1.5)  # a /28 is a row
    assert host["width"] == pytest.approx(quarter["width"] / 16, rel=0.1)
    assert half["x"] == pytest.approx(quarter["x"] + quarter["width"] / 2, abs=1)
    assert half["y"] == pytest.approx(quarter["y"] + 4 * 22)
    words = {t.text for t in root.iter(f"{SVG}text")}
    assert {"192.0.2.0/24  BLOCK <&>", "QUARTER", "HALF-ROW", "192.0.2.240"} <= words
    assert "28.1% full, largest free block 192.0.2.128/25; a cell is one address" in words


@pytest.mark.parametrize(
    "outer", ["192.0.2.1/32", "192.0.2.0/29", "0.0.0.0/0", "2001:db8::/32", "10.0.0.3 - 10.0.1.9"]
)
def test_blocks_of_any_size_stay_within_the_picture(outer: str) -> None:
    inner = (str(span(outer)), "ALL", "network")
    root = drawn(block(outer, inner), block("192.0.2.0/24"))
    wide, high = float(root.get("width", 0)), float(root.get("height", 0))
    assert high < 1_000
    for r in root.iter(f"{SVG}rect"):
        assert float(r.get("x", 0)) + float(r.get("width", 0)) <= wide
        assert float(r.get("y", 0)) + float(r.get("height", 0)) <= high
    assert rectangles(root, "network")


def test_what_is_less_than_a_cell_is_seen() -> None:
    root = drawn(block("2001:db8::/32", ("2001:db8::1/128", "h", "machine")))
    [host] = rectangles(root, "machine")
    assert host["width"] >= 2


def test_a_map_of_many_objects_stays_small() -> None:
    hosts = [(f"10.{n >> 8}.{n & 255}.1/32", f"h{n}", "machine") for n in range(20_000)]
    crowded = block("10.0.0.0/8", *hosts, ("10.128.0.0/9", "HALF", "network"))
    assert len(space_map([crowded])) < 200_000
    assert rectangles(drawn(crowded), "machine")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0%"), (1, "100.0%"), (1e-9, "<0.1%"), (1 - 1e-9, ">99.9%"), (0.625, "62.5%")],
)
def test_nearly_none_and_nearly_all_are_told_as_such(share: float, text: str) -> None:
    assert percent(share) == text
