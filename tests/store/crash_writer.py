"""A writer to be killed: changes without end, a line on stdout for each one that is committed.

Every change counts up a counter object and adds ``BATCH`` objects, flushed in the middle, so that
most of the time there is a change half done.
"""

import asyncio
import sys

from rwhoisd.store import AreaChange, Store
from tests.store.kit import AREA, network

BATCH = 40


async def step(change: AreaChange) -> str:
    """Count up and add; gives the serial."""
    (counter,) = await change.find(f"NET-0.{AREA}")
    number = int(counter.object.get("Comment") or 0) + 1
    await change.modify(counter.row, network(0, ("Comment", str(number))))
    for i in range(BATCH):
        await change.add(network(number * BATCH + i))
        if i % 10 == 0:
            await change.flush()
    return change.serial.text


async def main(url: str) -> None:
    """Go on until killed."""
    async with await Store.open(url) as store:
        while True:
            serial = await store.run(AREA, step, author="crash", source="test")
            sys.stdout.write(serial + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
