"""A gate: so many at once, the others wait for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets a number of tasks of one worker in."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncIterator[bool]:
        """A place for as long as the block lasts; False when there was none for ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            self._places.release()
