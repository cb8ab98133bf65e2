"""A snapshot shows one moment; batches and the journal come whole and in order."""

import asyncio

from rwhoisd.directory.changes import Operation, Source
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.store import Store, snapshot
from tests.store.kit import AREA, area, attempt, everything, network, organization, store_with


def test_a_snapshot_does_not_see_later_changes(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1)) as (store, (row,)), store.snapshot() as source:
            before = await source.serials()
            await attempt(store, lambda c: c.add(network(2)), lambda c: c.delete(row))
            await attempt(store, lambda c: c.put_area(area("a.com")), name="a.com", create=True)
            assert [s.object for s in await everything(source)] == [network(1)]
            assert await source.serials() == before
            assert [a.name.text for a in await source.areas()] == [AREA]
            assert [c async for c in source.changes(AREA, before[AREA])] == []
            async with store.snapshot() as later:
                assert [s.object for s in await everything(later)] == [network(2)]
                assert len(await later.areas()) == 2

    asyncio.run(run())


def test_a_snapshot_is_a_source(url: str) -> None:
    async def run() -> None:
        async with store_with(url) as (store, _), store.snapshot() as snap:
            source: Source = snap  # checked by mypy
            assert [a.name.text for a in await source.areas()] == [AREA]

    asyncio.run(run())


def test_objects_come_by_class_of_the_schema_and_position(url: str) -> None:
    async def run() -> None:
        given = [organization(1), network(1), organization(2), network(2)]
        async with store_with(url, *given) as (store, _):
            await attempt(store, lambda c: c.add(network(3), position=0))
            async with store.snapshot() as source:
                names = [s.object.id and s.object.id[:5] for s in await everything(source)]
            assert names == ["NET-1", "NET-3", "NET-2", "ORG-1", "ORG-2"]

    asyncio.run(run())


def test_batches_end_at_no_object_and_repeat_none(url: str) -> None:
    count = snapshot.BATCH + 1

    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            async with store.change(AREA, author="a", source="s", create=True) as change:
                await change.put_area(area())
                for number in range(count):
                    await change.add(network(number), position=number // 4000)
            async with store.snapshot() as source:
                batches = [batch async for batch in source.objects(AREA)]
                told = [c async for c in source.changes(AREA, TimeStamp("0" * 17))]
        assert [len(batch) for batch in batches] == [snapshot.BATCH, 1]
        assert len({s.row for batch in batches for s in batch}) == count
        assert [c.ordinal for c in told] == list(range(count + 1))

    asyncio.run(run())


def test_changes_are_those_after_a_serial(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1)) as (store, _), store.snapshot() as first:
            serial = (await first.serials())[AREA]
            await attempt(store, lambda c: c.put_area(area(charset="latin-1")))
            await attempt(store, lambda c: c.add(network(2)))
            async with store.snapshot() as source:
                told = [c async for c in source.changes(AREA, serial)]
                assert [c.operation for c in told] == [Operation.AREA, Operation.ADD]
                assert [c.row == 0 for c in told] == [True, False]
                assert serial < told[0].serial < told[1].serial
                assert [c async for c in source.changes(AREA, told[1].serial)] == []

    asyncio.run(run())
