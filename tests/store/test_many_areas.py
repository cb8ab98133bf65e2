"""Thousands of areas, as a hoster has one for each reverse block, and what the limits are."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.verify import verify
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from rwhoisd.store import Store, snapshot
from rwhoisd.store.errors import StoreError
from rwhoisd.store.snapshot import Snapshot
from rwhoisd.store.tables import AREA_BITS, ROW_BITS
from tests.unit.service_kit import FakeRegistry, Talk, settings

EOL = b"\n"
NETWORK = ClassDef(
    "network",
    (
        AttributeDef("Network-Name", index=IndexType.EXACT, required=True, primary=True),
        AttributeDef("IP-Network", index=IndexType.CIDR),
    ),
)
REFERRAL = ClassDef(
    "referral",
    (AttributeDef("Referred-Auth-Area", index=IndexType.ALL), AttributeDef("Referral")),
)
SCHEMA = Schema((NETWORK, REFERRAL))
PARENT = "10.0.0.0/8"
FAR = "rwhois://far.example.net:4321/auth-area=10.255.0.0/16"
COUNT = 400  # more than 8 bits of them, and few enough for a test


def _block(number: int) -> str:
    return f"10.{number // 256}.{number % 256}.0/24"


def _area(name: str, position: int) -> AuthorityArea:
    return AuthorityArea(AreaName.from_text(name), Soa(""), SCHEMA, position=position)


def _network(block: str, name: str) -> Object:
    lines = (("ID", f"{name}.{block}"), ("Network-Name", name), ("IP-Network", block))
    return Object(block, "network", lines)


def _referral() -> Object:
    lines = (("Referred-Auth-Area", "10.255.0.0/16"), ("Referral", FAR))
    return Object(PARENT, "referral", (("ID", f"R.{PARENT}"), *lines))


async def _fill(store: Store, blocks: Sequence[str]) -> None:
    """One area for each block behind the others, with one network of the same size in it."""
    first = len(await store.serials())
    async with store.changes(blocks, author="test", source="zone", create=True) as changes:
        for position, block in enumerate(blocks, first):
            await changes[block].put_area(_area(block, position))
            await changes[block].add(_network(block, f"N-{block.replace('/', '-')}"))


async def _parent(store: Store) -> None:
    async with store.change(PARENT, author="test", source="zone", create=True) as change:
        await change.put_area(_area(PARENT, -1))
        await change.add(_referral())


async def _in_snapshot(store: Store, work: Callable[..., Awaitable[object]], *args: object) -> None:
    async with store.snapshot() as source:
        await work(source, *args)


async def _check(store: Store, image: Path) -> None:
    async with store.snapshot() as source:
        assert await verify(source, image) is None


def _answers(image: Path, *lines: str) -> list[str]:
    reader = ImageReader(image)
    try:
        ports = Ports(registry=FakeRegistry(()))
        return Talk(Service(reader, settings(), ports)).say("-holdconnect on", *lines)
    finally:
        reader.close()


def test_hundreds_of_areas_are_built_answered_and_kept_up(tmp_path: Path) -> None:
    image = tmp_path / "image"
    last = _block(COUNT - 1)
    late = _block(COUNT)

    async def first() -> None:
        async with await Store.open(str(tmp_path / "store.db"), create=True) as store:
            await _parent(store)
            await _fill(store, [_block(n) for n in range(COUNT)])
            await _in_snapshot(store, build, image, EOL)
            await _check(store, image)

    async def then() -> None:
        async with await Store.open(str(tmp_path / "store.db")) as store:
            async with store.change(last, author="test", source="zone") as change:
                await change.add(_network(last, "NEW"))
            await _in_snapshot(store, catch_up, image)
            await _fill(store, [late])
            await _in_snapshot(store, catch_up, image)
            await _check(store, image)

    asyncio.run(first())
    built = (image / "current").read_text()
    blocks = (_block(0), _block(255), _block(256), last)
    asked = [
        line
        for block in blocks
        for line in (block.replace(".0/24", ".7"), f"-xfer {block}", f"-soa {block}")
    ]
    answers = _answers(image, *asked, "10.255.1.2", "-status")
    for block in blocks:
        assert f"network:IP-Network:{block}" in answers
        assert f"%xfer network:IP-Network:{block}" in answers
        assert f"%soa authority:{block}" in answers
    assert f"%referral {FAR}" in answers
    assert f"%status objects:{COUNT + 1}" in answers

    asyncio.run(then())
    assert (image / "current").read_text() == built  # caught up, not built anew
    answers = _answers(image, "NEW", late.replace(".0/24", ".7"))
    assert "network:Network-Name:NEW" in answers
    assert f"network:IP-Network:{late}" in answers


def _count_on(path: Path, last: int) -> None:
    """As if so many areas had been made and deleted again."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'authority_area'", [last])
    database.close()


def test_an_area_made_after_very_many_others_is_like_any_other(tmp_path: Path) -> None:
    path, image = tmp_path / "store.db", tmp_path / "image"
    most = (1 << AREA_BITS) - 1

    async def run() -> None:
        async with await Store.open(str(path), create=True) as store:
            await _parent(store)
            for last in (254, 255, most - 2):
                _count_on(path, last)
                await _fill(store, [_block(last % 1000)])
            await _in_snapshot(store, build, image, EOL)
            await _check(store, image)
            block = _block((most - 2) % 1000)
            await _fill(store, [_block(900)])  # the very last
            async with store.change(block, author="test", source="zone") as change:
                await change.add(_network(block, "NEW"))
            await _in_snapshot(store, catch_up, image)
            await _check(store, image)
            async with store.change(block, author="test", source="zone") as change:
                await change.delete_area()
            before = await store.areas()
            with pytest.raises(StoreError, match="areas were made"):
                await _fill(store, [block])
            assert await store.areas() == before

    asyncio.run(run())
    assert "network:Network-Name:NEW" in _answers(image, "NEW")


def test_an_area_to_which_too_many_objects_were_added_takes_no_more(tmp_path: Path) -> None:
    path, image = tmp_path / "store.db", tmp_path / "image"
    block, other = _block(0), _block(1)

    async def add(store: Store, *names: str) -> None:
        async with store.change(block, author="test", source="zone") as change:
            for name in names:
                await change.add(_network(block, name))

    async def run() -> None:
        async with await Store.open(str(path), create=True) as store:
            await _fill(store, [block, other])
            with sqlite3.connect(path) as database:
                nearly = (1 << ROW_BITS) - 2
                database.execute("UPDATE authority_area SET next_row = ?", [nearly])
            database.close()
            await add(store, "last")
            before = await store.journal(), await store.counts()
            for names in (("A", "B"), ("A", "B", "C", "D")):
                with pytest.raises(StoreError, match="objects were added"):
                    await add(store, *names)
            assert (await store.journal(), await store.counts()) == before
            await add(store, "very-last")
            await _in_snapshot(store, build, image, EOL)
            await _check(store, image)

    asyncio.run(run())
    assert "network:Network-Name:very-last" in _answers(image, "very-last")


class _Counting:
    """A snapshot that notes which definitions and journals are asked for."""

    def __init__(self, source: Snapshot) -> None:
        self._source = source
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def areas(self) -> tuple[AuthorityArea, ...]:
        self.asked.append("all areas")
        return await self._source.areas()

    async def soa_serials(self) -> Mapping[str, str | None]:
        return await self._source.soa_serials()

    async def definitions(self, names: Collection[str]) -> Mapping[str, AuthorityArea]:
        self.asked += names
        return await self._source.definitions(names)


def test_what_did_not_change_is_not_read_to_catch_up(tmp_path: Path) -> None:
    image = tmp_path / "image"
    blocks = [_block(n) for n in range(5)]

    async def caught_up(store: Store) -> list[str]:
        async with store.snapshot() as source:
            counting = _Counting(source)
            await catch_up(counting, image)
            assert await verify(source, image) is None
        return counting.asked

    async def run() -> None:
        async with await Store.open(str(tmp_path / "store.db"), create=True) as store:
            await _fill(store, blocks)
            await _in_snapshot(store, build, image, EOL)
            assert await caught_up(store) == []
            async with store.change(blocks[3], author="test", source="zone") as change:
                await change.add(_network(blocks[3], "NEW"))
            assert await caught_up(store) == []  # but for its serial it is as before
            async with store.change(blocks[1], author="test", source="zone") as change:
                soa = Soa("", hostmaster="other@example.net")
                await change.put_area(replace(_area(blocks[1], 1), soa=soa))
            await _fill(store, [_block(5)])
            assert sorted(await caught_up(store)) == sorted([blocks[1], _block(5)])

    asyncio.run(run())


def test_definitions_come_by_name_few_or_many(tmp_path: Path) -> None:
    blocks = [_block(n) for n in range(snapshot.FEW + 2)]

    async def run() -> None:
        async with await Store.open(str(tmp_path / "store.db"), create=True) as store:
            await _fill(store, blocks)
            every = {area.name.text: area for area in await store.areas()}
            assert list(every) == blocks
            for some in ([], blocks[:1], blocks[5:2:-1], blocks):
                async with store.snapshot() as source:
                    found = await source.definitions(some)
                    assert found == {name: every[name] for name in some}
                    assert await source.areas() == tuple(every.values())
                    assert list(await source.serials()) == blocks

    asyncio.run(run())
