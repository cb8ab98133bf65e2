"""Many writers in many processes: serials grow, nothing is lost, the journal tells all of it."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Change, Operation, StoredObject
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.store import AreaChange, Store, StoreLockedError
from rwhoisd.store.codec import Preparer
from rwhoisd.store.tables import network, reference, stored_object
from tests.store.kit import AREA, area, replay, store_with, stored
from tests.store.kit import network as network_object
from tests.store.writers import AREAS, Told, variant

PROCESSES, TASKS, OPERATIONS = 3, 5, 12
SECONDS = 250.0
# What one writer may be told because of another one: 324, 325, 336.
RACED = {
    ResponseCode.KEY_NOT_UNIQUE,
    ResponseCode.OUTDATED_OBJECT,
    ResponseCode.OBJECT_NOT_FOUND,
}


async def _make(url: str) -> None:
    async with await Store.open(url, create=True) as store:
        for name in AREAS:
            async with store.change(name, author="a", source="s", create=True) as change:
                await change.put_area(variant(name, 0))


def _write(url: str) -> list[list[Told]]:
    """What each process of writers was told, all of them at work at once."""
    command = (sys.executable, "-m", "tests.store.writers", url)
    size = (str(TASKS), str(OPERATIONS))
    processes = [
        subprocess.Popen(
            [*command, str(number), *size], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        texts = [process.communicate(timeout=SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return [[Told(**json.loads(line)) for line in text.splitlines()] for text in texts]


async def _watch(store: Store, over: asyncio.Event) -> list[dict[str, TimeStamp]]:
    """The serials of all areas as somebody sees them meanwhile."""
    found = []
    while not over.is_set():
        found.append(dict(await store.serials()))
        await asyncio.sleep(0.02)
    return found


async def _watched(url: str) -> tuple[list[list[Told]], list[dict[str, TimeStamp]]]:
    async with await Store.open(url) as store:
        over = asyncio.Event()
        watching = asyncio.create_task(_watch(store, over))
        try:
            told = await asyncio.to_thread(_write, url)
        finally:
            over.set()
            seen = await watching
    return told, seen


def test_many_writers_lose_nothing(url: str) -> None:
    asyncio.run(_make(url))
    processes, seen = asyncio.run(_watched(url))
    told = [one for process in processes for one in process]
    assert len(told) == PROCESSES * TASKS * OPERATIONS
    _check_answers(told)
    for name in AREAS:
        serials = [one[name] for one in seen]
        assert serials == sorted(serials)
    asyncio.run(_check_store(url, told))


def _check_answers(told: Sequence[Told]) -> None:
    """Nobody met anything but the words of the RFC; and some came too late for their key."""
    assert [one for one in told if one.fault] == []
    codes = Counter(one.refused for one in told if one.refused)
    assert set(codes) <= RACED
    assert codes[ResponseCode.KEY_NOT_UNIQUE] > 0  # there are more of them than keys
    assert any(one.change for one in told)
    changes = [(one.area, one.change) for one in told if one.change]
    assert len(set(changes)) == len(changes)


async def _check_store(url: str, told: Sequence[Told]) -> None:
    async with await Store.open(url) as store:
        definitions = {one.name.text: one for one in await store.areas()}
        assert list(definitions) == list(AREAS)
        for name in AREAS:
            entries = await store.journal(name)
            _check_journal(entries, {one.change: one for one in told if one.area == name})
            assert (await store.serials())[name] == entries[-1].serial
            objects = await stored(store, name)
            assert replay(entries) == {one.row: one for one in objects}
            await _check_derived(store, definitions[name], objects)


def _check_journal(entries: Sequence[Change], told: dict[str, Told]) -> None:
    """Each entry stands once, and each answer to a writer is there as it was given."""
    places = [(entry.serial, entry.ordinal) for entry in entries]
    assert places == sorted(set(places))
    by_serial: dict[str, list[Change]] = {}
    for entry in entries:
        by_serial.setdefault(entry.serial.text, []).append(entry)
    for changes in by_serial.values():
        assert [change.ordinal for change in changes] == list(range(len(changes)))
    for serial, one in told.items():
        if serial:
            assert serial in by_serial
        if serial and one.seen:
            (entry,) = by_serial[serial]
            assert entry.row == one.row
            assert entry.before is not None
            # Together with the replay: it was made of the version just before it, of no other.
            assert entry.before.updated == one.seen
            wanted = Operation.DELETE if one.kind == "delete" else Operation.MODIFY
            assert entry.operation is wanted


async def _check_derived(
    store: Store, definition: AuthorityArea, objects: Sequence[StoredObject]
) -> None:
    """Keys, addresses and references are those of the objects, under the schema as it is."""
    plans = Preparer(definition).plans
    derived = [plans[one.object.class_name].derive(one.object, one.row) for one in objects]
    keys = [d.row["key_digest"] for d in derived]
    assert len(set(keys)) == len(keys)
    rows = {one.row for one in objects}
    digest = select(stored_object.c.row_id, stored_object.c.key_digest, stored_object.c.key_copy)
    assert await _rows(store, digest, rows) == _sorted(
        {"row_id": d.row["row_id"], "key_digest": d.row["key_digest"], "key_copy": 0}
        for d in derived
    )
    assert await _rows(store, select(network), rows) == _sorted(
        r for d in derived for r in d.networks
    )
    found = await _rows(store, select(reference), rows)
    assert found == _sorted(r for d in derived for r in d.references)


async def _rows(store: Store, query: Any, rows: set[int]) -> list[list[tuple[str, object]]]:
    async with store._reading() as connection:
        found = (await connection.execute(query)).mappings().all()
    return _sorted(dict(one) for one in found if one["row_id"] in rows)


def _sorted(rows: Any) -> list[list[tuple[str, object]]]:
    return sorted((sorted(row.items()) for row in rows), key=repr)


def test_no_row_of_an_area_that_is_gone_stays_behind(url: str) -> None:
    asyncio.run(_make(url))
    asyncio.run(_churn(url))


async def _churn(url: str) -> None:
    """An area is made, filled and deleted by many at once; each finds a whole one, or none."""
    async with await Store.open(url) as one, await Store.open(url) as other:

        async def make(change: AreaChange) -> str:
            await change.put_area(area())
            await change.add(network_object(1), unique=False)
            return change.serial.text

        async def end(change: AreaChange) -> str:
            if change.area is not None:
                await change.delete_area()
            return change.serial.text

        works = [(store, act) for store in (one, other) for act in (make, end) for _ in range(6)]
        serials = await asyncio.gather(
            *(store.run(AREA, act, author="a", source="s", create=True) for store, act in works)
        )
        entries = await one.journal(AREA)
        made = [s for s, (_, act) in zip(serials, works, strict=True) if act is make]
        assert len(set(made)) == len(made)
        assert [(e.serial, e.ordinal) for e in entries] == sorted(
            {(e.serial, e.ordinal) for e in entries}
        )
        await one.run(AREA, end, author="a", source="s", create=True)
        assert AREA not in await one.serials()
        assert await one.find_objects(AREA) == []
        state = replay(await one.journal(AREA))
        assert state == {}
        for table in (network, reference, stored_object):
            assert await _rows(one, select(table), {e.row for e in entries}) == []


def test_a_change_does_not_wait_for_ever(url: str) -> None:
    """Somebody keeps an area: others are told so after their patience, and go on after it."""

    async def run() -> None:
        async with store_with(url) as (holder, _), await Store.open(url, busy_seconds=1) as store:
            async with holder.change(AREA, author="a", source="s") as change:
                await change.add(network_object(1))
                await change.flush()
                async with asyncio.timeout(120):
                    with pytest.raises(StoreLockedError):
                        await store.run(AREA, _add_another, author="a", source="s")
            await store.run(AREA, _add_another, author="a", source="s")
            assert [one.object for one in await stored(store)] == [
                network_object(1),
                network_object(2),
            ]

    asyncio.run(run())


async def _add_another(change: AreaChange) -> None:
    await change.add(network_object(2))


def test_settings_of_many_nodes(url: str) -> None:
    """All write the same new name at once: one of their values stays."""

    async def run() -> None:
        async with store_with(url), await Store.open(url) as one, await Store.open(url) as other:
            names = [f"{number}" for number in range(12)]
            await asyncio.gather(
                *((one, other)[n % 2].set_setting("new", name) for n, name in enumerate(names))
            )
            assert (await one.settings())["new"] in names

    asyncio.run(run())
