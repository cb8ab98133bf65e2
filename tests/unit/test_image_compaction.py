"""Compaction: an image that changes all day stays small, and nobody notices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rwhoisd.image import compaction
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.compaction import compact, is_worn
from rwhoisd.image.current import ImageReader
from rwhoisd.image.folder import Folder
from rwhoisd.image.verify import verify
from rwhoisd.testing.memory_source import MemorySource
from tests.unit.image_data import after_steps, network

EOL = b"\n"


def octets(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def change(source: MemorySource, number: int) -> None:
    """Another version of one of the objects."""
    rows = [stored.row for stored in source.stored()]
    obj = network(f"N-{number}", f"10.{number % 250}.0.0/16", ("City", "x" * 3000))
    source.modify(rows[number % len(rows)], obj)


def churn(source: MemorySource, path: Path, start: int, count: int = 100) -> None:
    for number in range(start, start + count):
        change(source, number)
    assert asyncio.run(catch_up(source, path))


@asynccontextmanager
async def snapshot_of(source: MemorySource) -> AsyncIterator[MemorySource]:
    yield source


def test_an_image_that_changes_all_day_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_GROWTH_OCTETS", 200_000)
    source = after_steps(0)
    asyncio.run(build(source, tmp_path, EOL))
    churn(source, tmp_path, 0, 40)  # all of them at their size
    asyncio.run(compact(lambda: snapshot_of(source), tmp_path))
    built, most, compactions = octets(tmp_path), 0, 0
    reader = ImageReader(tmp_path)
    for start in range(0, 4000, 100):
        churn(source, tmp_path, start)
        most = max(most, octets(tmp_path))
        if is_worn(tmp_path):
            assert asyncio.run(compact(lambda: snapshot_of(source), tmp_path))
            compactions += 1
        assert len(list(Folder(tmp_path).generations())) == 1
        assert reader.current().serials == asyncio.run(source.serials())
    reader.close()
    assert compactions > 3
    assert most < built * 2 + 1_000_000
    assert asyncio.run(verify(source, tmp_path)) is None


def test_what_changes_while_it_is_compacted_is_not_lost(tmp_path: Path) -> None:
    source = after_steps(5)
    looks: list[int] = []
    asyncio.run(build(source, tmp_path, EOL))

    @asynccontextmanager
    async def moving() -> AsyncIterator[MemorySource]:
        yield source
        if len(looks) < 2:  # somebody changes an object, and brings the image up to it
            looks.append(len(looks))
            change(source, len(looks))
            await catch_up(source, tmp_path)

    reader = ImageReader(tmp_path)
    held = reader.current()
    before = [held.generation.files.record(number) for number in range(held.head.records)]
    assert asyncio.run(compact(moving, tmp_path))
    assert [held.generation.files.record(number) for number in range(len(before))] == before
    assert reader.current().serials == asyncio.run(source.serials())
    assert reader.current().version[0] == held.version[0] + 1
    reader.close()
    assert asyncio.run(verify(source, tmp_path)) is None


def test_another_build_wins(tmp_path: Path) -> None:
    source = after_steps(5)
    looks: list[int] = []
    asyncio.run(build(source, tmp_path, EOL))

    @asynccontextmanager
    async def overtaken() -> AsyncIterator[MemorySource]:
        yield source
        looks.append(1)
        if len(looks) == 2:
            await build(source, tmp_path, EOL)

    number = Folder(tmp_path).current()
    assert not asyncio.run(compact(overtaken, tmp_path))
    assert list(Folder(tmp_path).generations()) == [Folder(tmp_path).current()]
    assert Folder(tmp_path).current() > number
    assert asyncio.run(verify(source, tmp_path)) is None


def test_what_is_no_image_is_not_worn(tmp_path: Path) -> None:
    assert not is_worn(tmp_path)
    asyncio.run(build(after_steps(0), tmp_path, EOL))
    assert not is_worn(tmp_path)
