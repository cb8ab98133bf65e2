"""Changes of several areas in one transaction, and the serials that IDs are made of."""

import asyncio
from collections.abc import Mapping

import pytest

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.objects import Object
from rwhoisd.store import AreaChange, Store
from rwhoisd.store.engines import BUSY_SECONDS
from tests.store.kit import Clock, area, attempt, stored
from tests.wire.process import PATIENCE_SECONDS

AREAS = ("a.com", "b.com")


def _organization(area: str, name: str) -> Object:
    return Object(area, "organization", (("ID", f"{name}.{area}"), ("Org-Name", name)))


async def _make(url: str, busy_seconds: float = BUSY_SECONDS) -> Store:
    """A store with two areas and a twin in each of them."""
    store = await Store.open(url, create=True, busy_seconds=busy_seconds)
    for name in AREAS:
        await attempt(
            store,
            lambda change, name=name: change.put_area(area(name)),  # type: ignore[misc]
            lambda change, name=name: change.add(_organization(name, "twin")),  # type: ignore[misc]
            name=name,
            create=True,
        )
    return store


async def _names(store: Store) -> list[list[str | None]]:
    return [[one.object.get("Org-Name") for one in await stored(store, name)] for name in AREAS]


def test_all_areas_of_a_change_change_or_none(url: str) -> None:
    async def both(changes: Mapping[str, AreaChange]) -> None:
        for name, change in changes.items():
            for one in await change.find(f"twin.{name}"):
                await change.delete(one.row)

    async def one_of_them(changes: Mapping[str, AreaChange]) -> None:
        await both(changes)
        await changes["b.com"].delete(1)

    async def test() -> None:
        async with await _make(url) as store:
            before = await store.serials()
            for names in (AREAS, AREAS[::-1]):
                with pytest.raises(RwhoisError) as refused:
                    await store.run_all(names, one_of_them, author="a@b.com", source="test")
                assert refused.value.code is ResponseCode.OBJECT_NOT_FOUND
            assert await _names(store) == [["twin"], ["twin"]]
            assert await store.serials() == before

            await store.run_all(AREAS, both, author="a@b.com", source="test")
            assert await _names(store) == [[], []]
            after = await store.serials()
            assert all(after[name] > before[name] for name in AREAS)
            assert [(await store.journal(name))[-1].author for name in AREAS] == ["a@b.com"] * 2

    asyncio.run(test())


def test_an_unknown_area_among_them_is_340(url: str) -> None:
    async def nothing(changes: Mapping[str, AreaChange]) -> None:
        raise AssertionError(changes)

    async def test() -> None:
        async with await _make(url) as store:
            with pytest.raises(RwhoisError) as refused:
                await store.run_all(("a.com", "no.com"), nothing, author="", source="test")
            assert refused.value.code is ResponseCode.INVALID_AREA

    asyncio.run(test())


def test_changes_of_the_same_areas_in_any_order_never_stand_in_each_others_way(url: str) -> None:
    """They lock in one order, so that next to none is thrown out as a deadlock and tried again."""
    tries = 0

    async def test() -> None:
        async def add(changes: Mapping[str, AreaChange]) -> None:
            nonlocal tries
            tries += 1
            for name, change in changes.items():
                await change.add(_organization(name, f"o{tries}"))
                await asyncio.sleep(0.01)

        async with (
            await _make(url, PATIENCE_SECONDS) as store,
            await Store.open(url, busy_seconds=PATIENCE_SECONDS) as other,
        ):
            await asyncio.gather(
                *(
                    at.run_all(names, add, author="", source="test")
                    for at in (store, other)
                    for names in (AREAS, AREAS[::-1])
                    for _ in range(3)
                )
            )
            assert [len(names) for names in await _names(store)] == [13, 13]
            assert tries <= 18  # in any other order half of them are

    asyncio.run(test())


def test_no_two_changes_of_an_area_have_one_serial(url: str) -> None:
    """B20: IDs are made of it. Two nodes whose clocks stand, and the area gone and made anew."""

    async def test() -> None:
        clock = Clock()
        seen: list[str] = []

        async def add(change: AreaChange) -> None:
            await change.add(_organization("a.com", change.serial.text))
            seen.append(change.serial.text)

        store = await Store.open(url, create=True, now=clock)
        async with store, await Store.open(url, now=clock) as other:
            for round_ in range(2):
                await attempt(store, lambda c: c.put_area(area("a.com")), name="a.com", create=True)
                await asyncio.gather(
                    *(
                        at.run("a.com", add, author="", source="test")
                        for at in (store, other)
                        for _ in range(5)
                    )
                )
                await attempt(other, lambda c: c.delete_area(), name="a.com")
                clock.move(-3600.0 * round_)
        assert len(seen) == len(set(seen)) == 20

    asyncio.run(test())
