"""Work that many wait for is done once for all of them."""

import asyncio

import pytest

from rwhoisd.server.registry import Shared


def test_who_waits_shares_the_next_time() -> None:
    """The one under way may have looked before they came."""

    async def work() -> None:
        gates = [asyncio.Event() for _ in range(3)]
        begun: list[int] = []

        async def once() -> None:
            begun.append(len(begun))
            await gates[begun[-1]].wait()

        shared = Shared(once)
        first = asyncio.ensure_future(shared.done())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert begun == [0]
        later = [asyncio.ensure_future(shared.done()) for _ in range(20)]
        await asyncio.sleep(0)
        gates[0].set()
        await first
        for _ in range(9):
            await asyncio.sleep(0)
        assert begun == [0, 1]
        assert not any(one.done() for one in later)
        last = asyncio.ensure_future(shared.done())
        gates[1].set()
        await asyncio.gather(*later)
        assert not last.done()
        gates[2].set()
        await last
        assert begun == [0, 1, 2]

    asyncio.run(work())


def test_a_failure_is_told_to_all_who_waited_and_to_nobody_later() -> None:
    async def work() -> None:
        failures = [OSError("disk")]

        async def once() -> None:
            if failures:
                raise failures.pop()

        shared = Shared(once)
        found = await asyncio.gather(*(shared.done() for _ in range(3)), return_exceptions=True)
        assert [str(error) for error in found] == ["disk"] * 3
        await shared.done()

    asyncio.run(work())


def test_who_does_not_wait_any_longer_stops_it_for_nobody() -> None:
    async def work() -> None:
        gate, done = asyncio.Event(), []

        async def once() -> None:
            await gate.wait()
            done.append(True)

        shared = Shared(once)
        first, second = (asyncio.ensure_future(shared.done()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        await second
        assert done == [True]

    asyncio.run(work())
