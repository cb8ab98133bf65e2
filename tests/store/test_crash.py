"""A writer that is killed at any moment leaves whole changes only, and every acknowledged one."""

import asyncio
import random
import signal
import subprocess
import sys
import time

from rwhoisd.store import Store
from tests.store.crash_writer import BATCH
from tests.store.kit import AREA, network, replay, store_with, stored

KILLS = 8
FIRST_LINE_SECONDS = 60.0


def killed_writer(url: str, seconds: float) -> list[str]:
    """Serials that a writer told of before it was killed, ``seconds`` after its first."""
    command = [sys.executable, "-m", "tests.store.crash_writer", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        first = writer.stdout.readline()
        assert first.endswith("\n")
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
    return [first.strip(), *rest[:-1]]  # the last may be torn


async def check(store: Store, acknowledged: set[str]) -> None:
    """Compare what is there with what was told."""
    told = await store.journal(AREA)
    found = await stored(store)
    assert replay(told) == {s.row: s for s in found}
    by_serial: dict[str, int] = {}
    for change in told:
        by_serial[change.serial.text] = by_serial.get(change.serial.text, 0) + 1
    assert acknowledged <= set(by_serial)
    changes = list(by_serial.values())[1:]  # the first one made the area
    assert changes == [1 + BATCH] * len(changes)
    (counter,) = [s.object for s in found if s.object.id == f"NET-0.{AREA}"]
    assert counter.get("Comment") == str(len(changes))
    assert len(found) == 1 + BATCH * len(changes)
    assert (await store.serials())[AREA] == told[-1].serial


def test_a_killed_writer_leaves_nothing_half_done(url: str) -> None:
    chance = random.Random(4321)

    async def make() -> None:
        async with store_with(url, network(0)):
            pass

    async def look(acknowledged: set[str]) -> None:
        async with await Store.open(url) as store:
            await check(store, acknowledged)

    asyncio.run(make())
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        acknowledged |= set(killed_writer(url, chance.uniform(0, 0.15)))
        asyncio.run(look(acknowledged))
    assert len(acknowledged) >= KILLS
