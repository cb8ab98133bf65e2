"""What leaves by an export and what stays."""

import asyncio
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AddressRange
from rwhoisd.directory.schema import AttributeDef, ClassDef
from rwhoisd.formats.export_walk import Entry, Gate, blocks, walk
from rwhoisd.formats.findings import FormatError
from rwhoisd.formats.newfile import new_file
from rwhoisd.testing.memory_source import MemorySource
from tests.export_kit import SHIPPED, area, entry, obj

THING = ClassDef("thing", (AttributeDef("Name", ("Alias",)), AttributeDef("Phone", private=True)))
OPEN = area("a.com", THING)
GUARDED = area("b.com", THING, guardians=("G.b.com",))


def leaving(gate: Gate, *areas: AuthorityArea) -> list[Entry]:
    source = MemorySource(*areas)
    for where in areas:
        source.add(obj("thing", "ID: 1\nName: seen\nPhone: 5", where))
        source.add(obj("thing", "ID: 2\nName: hidden\nPhone: 5\nPrivate: true", where))

    async def all_of_it() -> list[Entry]:
        return [e async for e in walk(source, await source.areas(), ["THING", "none"], gate)]

    return asyncio.run(all_of_it())


def shown(entries: list[Entry]) -> list[tuple[str, str, str]]:
    return [(str(e.area.name), e.get("Name"), e.get("Phone")) for e in entries]


def test_an_export_of_ones_own_takes_everything() -> None:
    gate = Gate(public=False, current=False)
    assert shown(leaving(gate, OPEN, GUARDED)) == [
        *(("a.com", "seen", "5"), ("a.com", "hidden", "5")),
        *(("b.com", "seen", "5"), ("b.com", "hidden", "5")),
    ]
    assert gate.told() == []


def test_a_public_export_takes_what_everybody_sees() -> None:
    gate = Gate(public=True, current=True)
    # §2.3.4: only a guarded object has private attributes; a private object stays anyway.
    assert shown(leaving(gate, OPEN, GUARDED)) == [("a.com", "seen", "5"), ("b.com", "seen", "")]
    assert gate.told() == ["left out as private (--area takes an area whole): 2"]


def test_a_named_area_is_taken_whole() -> None:
    gate = Gate(public=True, current=True, named=["B.com"])
    assert shown(leaving(gate, OPEN, GUARDED))[1:] == [
        ("b.com", "seen", "5"),
        ("b.com", "hidden", "5"),
    ]


def test_an_area_with_an_audience_is_closed_to_everybody() -> None:
    inside = area("c.com", THING, audience=("10.0.0.0/8",))
    gate = Gate(public=True, current=True)
    assert shown(leaving(gate, inside, OPEN)) == [("a.com", "seen", "5")]
    assert gate.told() == [
        "left out as area c.com is answered to named networks only (--area takes an area whole): 2",
        "left out as private (--area takes an area whole): 1",
    ]
    assert len(leaving(Gate(public=True, current=True, named=["c.com"]), inside)) == 2
    assert len(leaving(Gate(public=False, current=True), inside)) == 2


def test_what_is_released_is_not_current() -> None:
    where = area("a.com")
    found = obj("vip", "IP-Address: 192.0.2.1\nStatus: Released", where)
    class_def = where.schema.class_def("vip")
    assert class_def is not None
    for public, named in ((True, ["a.com"]), (False, [])):
        gate = Gate(public=public, current=True, named=named)
        assert gate.entry(found, class_def, where) is None
        assert gate.told() == ["left out as released: 1"]
    assert Gate(public=False, current=False).entry(found, class_def, where) is not None


@pytest.mark.parametrize(
    "gate", [Gate(public=False, current=False), Gate(public=True, current=True, named=["a.com"])]
)
def test_guard_info_never_leaves(gate: Gate) -> None:
    guardian = next(c for c in SHIPPED if c.name == "guardian")
    where = area("a.com", guardian)
    found = gate.entry(
        obj("guardian", "ID: G\nGuard-Info: zork\nguard-info: zork"), guardian, where
    )
    assert found is not None
    assert found.object.lines == (("ID", "G"),)


def test_attributes_are_found_by_alias_and_blank_ones_do_not_count() -> None:
    found = entry("thing", "Name:\nName: one\nName: two", OPEN)
    assert found.values("alias") == ("one", "two")
    assert found.get("Zork", "Alias") == "one"
    assert (found.get("Zork"), entry("thing", "Name:", OPEN).get("Name")) == ("", "")
    assert found.finding("odd").message == "a thing without ID: odd"


def test_a_range_becomes_blocks() -> None:
    def texts(text: str) -> list[str]:
        found = AddressRange.from_text(text)
        assert found is not None
        return list(map(str, blocks(found)))

    assert texts("192.0.2.0/26") == ["192.0.2.0/26"]
    assert texts("192.0.2.0 - 192.0.2.63") == ["192.0.2.0/26"]
    assert texts("192.0.2.1 - 192.0.2.4") == ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/32"]
    assert texts("2001:db8::1 - 2001:db8::2") == ["2001:db8::1/128", "2001:db8::2/128"]


# --- files ---


def test_a_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    with new_file(file) as write:
        write("new\r\n")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new\r\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")

    def fail() -> None:
        with new_file(file) as write:
            write("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "out")
    with new_file(link) as write:
        write("new")
    assert link.is_symlink()
    assert (tmp_path / "out").read_text() == "new"


def test_only_files_are_replaced(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is no regular file"), new_file(tmp_path):
        pass
