"""A gate lets so many in at once; no clock decides here, as nobody is let wait for a time."""

import asyncio

import pytest

from rwhoisd.server.gate import Gate

LONG_SECONDS = 120.0


def test_there_are_so_many_places_and_who_leaves_gives_his_back() -> None:
    async def main() -> None:
        gate = Gate(2)
        for _ in range(3):
            async with gate.place(LONG_SECONDS) as first, gate.place(LONG_SECONDS) as second:
                assert (first, second) == (True, True)
                for _ in range(3):
                    async with gate.place(0) as third:
                        assert not third
            async with gate.place(0) as again:
                assert again

    asyncio.run(main())


def test_who_waits_gets_the_place_of_one_who_leaves_even_by_an_error() -> None:
    async def main() -> None:
        gate, entered = Gate(1), list[int]()

        async def enter(number: int) -> None:
            async with gate.place(LONG_SECONDS) as place:
                assert place
                entered.append(number)

        async def fail(waiting: list[asyncio.Task[None]]) -> None:
            async with gate.place(LONG_SECONDS):
                waiting += [asyncio.create_task(enter(number)) for number in range(4)]
                await asyncio.sleep(0)  # they are at the gate
                assert entered == []
                waiting.pop().cancel()
                raise KeyError("a fault of ours")

        waiting = list[asyncio.Task[None]]()
        with pytest.raises(KeyError):
            await fail(waiting)
        await asyncio.gather(*waiting)
        assert entered == [0, 1, 2]

    asyncio.run(main())
