"""Registrations that waited: bounded, private, in order, each done exactly once."""

import asyncio
import re
import stat
import time
from pathlib import Path

import pytest

from rwhoisd import config as configuration
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.image.catch_up import follow
from rwhoisd.image.current import ImageReader
from rwhoisd.server import settings
from rwhoisd.server.replay import replay
from rwhoisd.service import deferred
from rwhoisd.service.deferred import Deferred, DeferredQueue
from rwhoisd.service.service import Service
from rwhoisd.store import Store
from tests.store.kit import AREA, network, objects, store_with


class KilledError(Exception):
    """As if the process ended here."""


class KilledQueue(DeferredQueue):
    """Whoever does what waits is killed between an entry's commit and its removal."""

    def done(self, entry: Deferred) -> None:
        raise KilledError(entry.name)


def added(number: int, *more: tuple[str, str]) -> Deferred:
    """A network to be added."""
    own = (("Class-Name", "network"), ("Auth-Area", AREA), ("Network-Name", f"NET-{number}"))
    return Deferred("add", "ops@example.net", "192.0.2.1", ((*own, *more),))


async def do(queue: DeferredQueue, url: str, image: Path) -> None:
    """One round of what the follower does."""
    config = configuration.build({"state": str(image)})
    async with await Store.open(url) as store:
        await follow(store.snapshot, image, b"\r\n")
        reader = ImageReader(image)
        service = Service(reader, settings.service(config, settings.access(config), "h.example"))
        try:
            await replay(queue, store, service, lambda: follow(store.snapshot, image))
        finally:
            reader.close()


async def names(url: str) -> list[str]:
    """Names of all networks, in the order in which they came."""
    async with await Store.open(url) as store:
        return [obj.get("Network-Name") or "" for obj in await objects(store)]


def test_each_is_done_once_wherever_it_is_interrupted(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "deferred"
    queue = DeferredQueue(folder)

    async def run() -> None:
        async with store_with(url, network(0)):
            pass
        for number in (3, 1, 2):
            queue.put(added(number))
        for done in (1, 1, 1):  # the same one again and again
            with pytest.raises(KilledError):
                await do(KilledQueue(folder), url, tmp_path / "image")
            assert len(await names(url)) == 1 + done
        await do(queue, url, tmp_path / "image")
        assert await names(url) == ["NET-0", "NET-3", "NET-1", "NET-2"]
        assert not queue.waits
        await do(queue, url, tmp_path / "image")
        assert len(await names(url)) == 4
        # What comes later has nothing to do with the one that was marked.
        queue.put(added(3))
        queue.put(added(4))
        await do(queue, url, tmp_path / "image")
        assert (await names(url))[4:] == ["NET-4"]
        (refused,) = queue.refused()
        assert refused.reason == "324 Primary key not unique"
        assert queue.retry(refused.name)
        assert [entry.reason for entry in queue.waiting()] == [""]

    asyncio.run(run())


def test_an_interrupted_removal_is_done_once(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "deferred"

    async def run() -> None:
        async with store_with(url, network(0)):
            pass
        DeferredQueue(folder).put(added(1))
        await do(DeferredQueue(folder), url, tmp_path / "image")
        async with await Store.open(url) as store:
            (obj,) = [o for o in await objects(store) if o.get("Network-Name") == "NET-1"]
        record = (("ID", obj.id or ""), ("Updated", obj.updated or ""))
        DeferredQueue(folder).put(Deferred("del", "ops@example.net", "192.0.2.1", (record,)))
        with pytest.raises(KilledError):
            await do(KilledQueue(folder), url, tmp_path / "image")
        await do(DeferredQueue(folder), url, tmp_path / "image")
        assert await names(url) == ["NET-0"]
        assert list(DeferredQueue(folder).refused()) == []

    asyncio.run(run())


def test_two_never_do_the_same_queue(tmp_path: Path) -> None:
    queue = DeferredQueue(tmp_path / "deferred")
    queue.put(added(1))
    with queue.doing() as one, DeferredQueue(queue.folder).doing() as two:
        assert (one, two) == (True, False)


def test_the_order_is_that_of_arrival_even_when_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = DeferredQueue(tmp_path / "deferred")
    moments = iter([5_000, 3_000, 3_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    put = [queue.put(added(number)) for number in (1, 2, 3)]
    assert [entry.name for entry in queue.waiting()] == put == sorted(put)


@pytest.mark.parametrize("bound", ["MOST_ENTRIES", "MOST_OCTETS"])
def test_a_full_queue_is_501_and_keeps_what_it_has(
    bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, bound, 2 if bound == "MOST_ENTRIES" else 1000)
    queue = DeferredQueue(tmp_path / "deferred")
    fill = (queue.put(added(number)) for number in range(10))
    with pytest.raises(RwhoisError) as refused:
        list(fill)
    assert refused.value.code is ResponseCode.SERVICE_NOT_AVAILABLE
    kept = len(list(queue.waiting()))
    assert 0 < kept < 10
    # Those that were refused count as well: nothing is dropped to make room.
    queue.refuse(next(queue.waiting()), "a reason")
    with pytest.raises(RwhoisError):
        queue.put(added(11))


def test_files_are_private_and_torn_ones_do_not_count(tmp_path: Path) -> None:
    queue = DeferredQueue(tmp_path / "deferred")
    name = queue.put(added(1, ("Comment", "\xe9\n")))
    for path in queue.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    waiting = queue.folder / "waiting"
    (waiting / f".{name}.json.123").write_bytes(b"{")  # left by somebody who was killed
    (waiting / "notes.txt").write_text("of somebody")
    assert [entry.records for entry in queue.waiting()] == [added(1, ("Comment", "\xe9\n")).records]
    (waiting / "00000000000000000001-aa.json").write_text("{}")
    assert len(list(queue.waiting())) == 1
    assert re.match("no deferred", next(entry.reason for entry in queue.refused()))
