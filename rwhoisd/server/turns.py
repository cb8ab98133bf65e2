"""Turns: those who have a lot to do go on one after the other, a little each time.

One of them goes on in each turn of the loop, however many wait; so everybody else is answered
between any two of them, as if there was one.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """Whose turn it is in one worker."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()

    def call(self, work: Callable[[], None]) -> None:
        """Do ``work``, which takes a few milliseconds at most, when its turn comes."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._run)

    async def next(self) -> None:
        """Wait for one's turn."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.call(lambda: None if future.done() else future.set_result(None))
        await future

    def _run(self) -> None:
        work = self._waiting[0]
        try:
            work()
        finally:
            self._waiting.popleft()
            if self._waiting:
                self._loop.call_soon(self._run)
