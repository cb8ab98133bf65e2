"""Slow work is done beside the loop, one at a time."""

import asyncio
import threading

import pytest

from rwhoisd.server.aside import ThreadAside
from tests.wire.harness import run


def test_the_loop_goes_on_and_no_two_works_run_at_once() -> None:
    async def main() -> None:
        aside = ThreadAside()
        release, started = threading.Event(), threading.Event()
        done: list[str] = []

        def slow() -> str:
            started.set()
            assert release.wait()
            done.append("slow")
            return "slow"

        def quick() -> str:
            done.append("quick")
            return "quick"

        works = [asyncio.create_task(aside.run(work)) for work in (slow, quick)]
        await asyncio.to_thread(started.wait)
        for _ in range(100):
            await asyncio.sleep(0)
        assert done == []
        release.set()
        assert await asyncio.gather(*works) == ["slow", "quick"]
        assert done == ["slow", "quick"]
        aside.close()

    run(main())


def test_what_fails_is_told() -> None:
    async def main() -> None:
        aside = ThreadAside()

        def fails() -> None:
            raise KeyError("a fault")

        with pytest.raises(KeyError):
            await aside.run(fails)
        aside.close()

    run(main())
