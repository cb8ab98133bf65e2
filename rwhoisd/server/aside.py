"""Slow work in a thread of its own, so that the loop goes on answering."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadAside:
    """One thread, made with the first work: a hash takes a lot of memory, so never two at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "aside")

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, when its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for what is under way; nothing more is done."""
        self._threads.shutdown(cancel_futures=True)
