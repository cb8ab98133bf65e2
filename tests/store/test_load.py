"""Loading zones and importing installations into a real store."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.objects import Object
from rwhoisd.formats import arin, zone
from rwhoisd.formats.arin_objects import ClassReader, Found
from rwhoisd.formats.findings import FormatError
from rwhoisd.formats.load import (
    AreaResult,
    ImportResult,
    Options,
    import_if_changed,
    import_installation,
    load_zones,
)
from rwhoisd.store import Store
from tests.arin_tree import AREA, SCHEMA, SOA, lay

DATA = "a/data/thing/thing.txt"
SAMPLE = Path(__file__).parents[2] / "data"
Work = Callable[[Store], Awaitable[None]]


def with_store(url: str, work: Work) -> None:
    async def main() -> None:
        async with await Store.open(url, create=True) as store:
            await work(store)

    asyncio.run(main())


async def imported(store: Store, conf: Path, **options: object) -> ImportResult:
    chosen = replace(Options(), **options)  # type: ignore[arg-type]
    return await import_installation(store, arin.read_installation(conf), chosen)


async def stored(store: Store) -> list[Object]:
    return [one.object for one in await store.find_objects()]


def counts(result: AreaResult) -> tuple[int, int, int, int]:
    return (result.added, result.changed, result.removed, result.unchanged)


async def register(store: Store, object_id: str, *lines: tuple[str, str]) -> None:
    """What a registration does: another version under another source, or a deletion."""
    async with store.change("a.com", author="r@b.com", source="registration") as change:
        (found,) = await change.find(object_id)
        if lines:
            new = replace(found.object, lines=lines, source="registration")
            await change.modify(found.row, new)
        else:
            await change.delete(found.row)


def test_an_installation_is_stored_as_it_is(url: str, tmp_path: Path) -> None:
    conf = lay(
        tmp_path,
        {
            DATA: "ID:1.a.com\nName:b\xfc\nzork:1\n---\nPhone:bad\n---\nName:x\n---\nName:x\n",
            "rwhoisd.auth_area": AREA + "guardian: 1.a.com\n---\ntype: slave\nname: b.com\n"
            "master: m.b.com 4322\n",
        },
    )

    async def work(store: Store) -> None:
        result = await imported(store, conf)
        installation = arin.read_installation(conf)
        assert [counts(area) for area in result.areas] == [(4, 0, 0, 0), (0, 0, 0, 0)]
        assert await store.areas() == tuple(data.area for data in installation.areas)
        assert await stored(store) == [o for data in installation.areas for o in data.objects]

    with_store(url, work)


def test_a_key_may_stand_in_several_files_of_a_class(url: str, tmp_path: Path) -> None:
    files = {f"a/data/thing/{name}.txt": "Name:x\n" for name in ("one", "two", "zoo")}
    conf = lay(tmp_path, {DATA: None, **files})

    async def work(store: Store) -> None:
        result = await imported(store, conf)
        assert counts(result.areas[0]) == (3, 0, 0, 0)

    with_store(url, work)


def test_the_same_again_changes_nothing(url: str, tmp_path: Path) -> None:
    conf = lay(tmp_path)

    async def work(store: Store) -> None:
        assert await import_if_changed(store, conf) is not None
        before = await store.serials()
        assert await import_if_changed(store, conf) is None
        result = await imported(store, conf)
        assert [counts(area) for area in result.areas] == [(0, 0, 0, 2)]
        assert not result.areas[0].touched
        assert await store.serials() == before

    with_store(url, work)


def test_changed_files_replace_what_came_from_them(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await import_if_changed(store, lay(tmp_path))
        conf = lay(tmp_path, {DATA: "ID:3.a.com\nName:three\n---\nID:2.a.com\nName:zwei\n"})
        result = await import_if_changed(store, conf)
        assert result is not None
        assert [counts(area) for area in result.areas] == [(1, 1, 1, 0)]
        names = [obj.get("Name") for obj in await stored(store)]
        assert names == ["three", "zwei"]  # the order of the files

    with_store(url, work)


TWO_CLASSES: dict[str, str | None] = {
    "a/schema": SCHEMA + "---\nname: other\nattributedef: a/thing.tmpl\ndbdir: a/data/other\n",
    "a/data/other/other.txt": "ID:9.a.com\nName:nine\n",
}


def test_classes_with_the_same_files_are_not_read_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = ClassReader.read

    def noted(self: ClassReader, path: Path, *rest: Any) -> Found:
        reads.append(path.stem)
        return read(self, path, *rest)

    async def again(store: Store, files: dict[str, str | None]) -> tuple[int, int, int, int]:
        reads.clear()
        (area,) = (await imported(store, lay(tmp_path, TWO_CLASSES | files))).areas
        return counts(area)

    async def work(store: Store) -> None:
        await again(store, {})
        assert await again(store, {}) == (0, 0, 0, 3)
        assert reads == []
        assert await again(store, {DATA: "ID:1.a.com\nName:uno\n"}) == (0, 1, 1, 1)
        assert reads == ["thing"]
        await register(store, "9.a.com", ("ID", "9.a.com"), ("Name", "neuf"))
        assert await again(store, {DATA: "ID:1.a.com\nName:uno\n"}) == (0, 0, 0, 1)
        assert reads == ["thing", "other"]  # somebody else was there: a conflict to be told
        (area,) = (await imported(store, lay(tmp_path, TWO_CLASSES))).areas
        assert [c.source for c in area.conflicts] == ["registration"]

    monkeypatch.setattr(ClassReader, "read", noted)
    with_store(url, work)


def test_a_registration_is_left_alone_and_told(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        conf = lay(tmp_path)
        await imported(store, conf)
        await register(store, "1.a.com", ("ID", "1.a.com"), ("Name", "new"))
        await register(store, "2.a.com")
        (area,) = (await imported(store, conf)).areas
        assert counts(area) == (0, 0, 0, 0)
        assert [str(conflict) for conflict in area.conflicts] == [
            "thing 1.a.com was changed by registration and is left so; --force takes ours",
            "thing 2.a.com was deleted by registration and is left so; --force takes ours",
        ]
        assert [obj.get("Name") for obj in await stored(store)] == ["new"]
        (area,) = (await imported(store, conf, force=True)).areas
        assert counts(area) == (1, 1, 0, 0)
        assert [obj.get("Name") for obj in await stored(store)] == ["one", "two"]

    with_store(url, work)


@pytest.mark.parametrize("few", [1000, 1])
def test_what_registrations_deleted_is_not_brought_back(
    url: str, tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rwhoisd.formats.load._FEW", few)

    async def work(store: Store) -> None:
        conf = lay(tmp_path)
        await imported(store, conf)
        await register(store, "1.a.com")
        await register(store, "2.a.com")
        (area,) = (await imported(store, conf)).areas
        assert len(area.conflicts) == 2
        assert await stored(store) == []
        (area,) = (await imported(store, conf, force=True)).areas
        assert counts(area) == (2, 0, 0, 0)
        (area,) = (await imported(store, conf)).areas
        assert counts(area) == (0, 0, 0, 2)

    with_store(url, work)


def test_objects_of_others_outlive_their_files_area(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        both = AREA + "---\n" + AREA.replace("a.com", "b.com")
        await imported(store, lay(tmp_path, {"rwhoisd.auth_area": both}))
        assert len(await store.areas()) == 2
        await register(store, "1.a.com", ("ID", "1.a.com"), ("Name", "new"))
        other = AREA.replace("a.com", "c.com")
        result = await imported(store, lay(tmp_path, {"rwhoisd.auth_area": other}))
        assert result.removed_areas == ["b.com"]
        assert [a.name.text for a in await store.areas()] == ["a.com", "c.com"]
        assert "area a.com is no longer in the files" in result.findings[-1].message

    with_store(url, work)


def test_a_guard_stands_before_large_removals(url: str, tmp_path: Path) -> None:
    many = "---\n".join(f"ID:{n}.a.com\nName:{n}\n" for n in range(30))
    few = "---\n".join(f"ID:{n}.a.com\nName:{n}\n" for n in range(3))

    async def work(store: Store) -> None:
        await import_if_changed(store, lay(tmp_path, {DATA: many}))
        conf = lay(tmp_path, {DATA: few})
        for _ in range(2):  # a refused import is tried again: its files count as not seen
            result = await import_if_changed(store, conf)
            assert result is not None
            assert result.areas[0].refused.startswith("27 of 30 objects would be removed")
        assert len(await stored(store)) == 30
        await import_if_changed(store, conf, Options(max_removals=1.0))
        assert len(await stored(store)) == 3

    with_store(url, work)


def test_a_dry_run_tells_everything_and_does_nothing(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await imported(store, lay(tmp_path))
        before = (await store.serials(), await stored(store), await store.journal())
        conf = lay(tmp_path, {DATA: "ID:3.a.com\nName:three\n---\nID:2.a.com\nName:zwei\n"})
        (area,) = (await imported(store, conf, dry_run=True)).areas
        assert [(d.operation, d.name, d.minus, d.plus) for d in area.diffs] == [
            ("add", "3.a.com", (), ("ID: 3.a.com", "Name: three")),
            ("change", "2.a.com", ("Name: two",), ("Name: zwei",)),
            ("remove", "1.a.com", ("ID: 1.a.com", "Name: one"), ()),
        ]
        assert (await store.serials(), await stored(store), await store.journal()) == before

    with_store(url, work)


def test_a_dry_run_on_an_empty_store_leaves_it_empty(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        (area,) = (await imported(store, lay(tmp_path), dry_run=True)).areas
        assert (area.created, area.added) == (True, 2)
        assert await store.areas() == ()
        assert await store.settings() == {}

    with_store(url, work)


def test_a_file_that_cannot_be_read_leaves_the_area_as_it_was(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        conf = lay(tmp_path)
        installation = arin.read_installation(conf)
        (tmp_path / DATA).unlink()
        with pytest.raises(FormatError, match="cannot be read: No such file"):
            await import_installation(store, installation)
        assert await store.areas() == ()

    with_store(url, work)


def test_the_indexes_are_there_after_a_first_load_and_after_one_that_failed(
    url: str, tmp_path: Path
) -> None:
    async def work(store: Store) -> None:
        conf = lay(tmp_path)
        installation = arin.read_installation(conf)
        text = (tmp_path / DATA).read_bytes()
        (tmp_path / DATA).unlink()
        with pytest.raises(FormatError, match="cannot be read"):
            await import_installation(store, installation)
        assert await store.schema_differences() == []
        (tmp_path / DATA).write_bytes(text)
        assert (await import_installation(store, installation)).areas[0].added
        assert await store.schema_differences() == []

    with_store(url, work)


def test_the_serial_of_the_file_is_shown_until_the_store_is_ahead(url: str, tmp_path: Path) -> None:
    async def serial(store: Store) -> str:
        (area,) = await store.areas()
        assert area.soa is not None
        return area.soa.serial_number

    async def work(store: Store) -> None:
        await imported(store, lay(tmp_path))
        assert await serial(store) == "20240115093000000"
        await register(store, "1.a.com", ("ID", "1.a.com"), ("Name", "new"))
        ahead = await serial(store)
        assert ahead > "2026"
        await imported(store, lay(tmp_path, {"a/soa": SOA.replace("20240115", "20250115")}))
        assert await serial(store) >= ahead

    with_store(url, work)


def test_a_class_that_goes_takes_its_objects_along(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await imported(store, lay(tmp_path))
        other = SCHEMA.replace("name: thing", "name: other").replace("alias: item\n", "")
        conf = lay(tmp_path, {"a/schema": other})
        (area,) = (await imported(store, conf, max_removals=1.0)).areas
        assert (area.refused, area.removed, area.added) == ("", 2, 2)
        assert {obj.class_name for obj in await stored(store)} == {"other"}

    with_store(url, work)


def test_zones_load_side_by_side_with_an_installation(url: str, tmp_path: Path) -> None:
    zones = [zone.read_zone(folder) for folder in zone.find_zones(SAMPLE)]

    async def work(store: Store) -> None:
        await imported(store, lay(tmp_path))
        for expected in ([True] * len(zones), [False] * len(zones)):
            results = await load_zones(store, zones, Options())
            assert [result.created for result in results] == expected
            assert not any(result.refused or result.conflicts for result in results)
        names = [area.name.text for area in await store.areas()]
        assert names == ["a.com", *(one.area.name.text for one in zones)]
        await imported(store, lay(tmp_path))
        assert len(await store.areas()) == len(zones) + 1

    with_store(url, work)


def test_a_zone_whose_key_somebody_else_has_is_refused_whole(url: str, tmp_path: Path) -> None:
    (tmp_path / "zone.toml").write_text(
        'name = "a.com"\n[soa]\nprimary-server = "h.a.com:4321"\nhostmaster = "h@a.com"\n'
        '[class.thing]\n[[class.thing.attribute]]\nname = "Name"\nprimary = true\n'
    )
    (tmp_path / "thing.txt").write_text("ID: 9.a.com\nName: new\n\nID: 8.a.com\nName: ONE\n")

    async def work(store: Store) -> None:
        await imported(store, lay(tmp_path / "tree"))
        for dry_run in (True, False):
            options = Options(dry_run=dry_run)
            (result,) = await load_zones(store, [zone.read_zone(tmp_path)], options)
            assert result.refused.startswith("324 Primary key not unique")
        assert len(await stored(store)) == 2

    with_store(url, work)
