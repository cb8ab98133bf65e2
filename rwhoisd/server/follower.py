"""The follower: a process that brings what other nodes changed in the database into the image.

It also does the registrations that wait for the database (``replay``).

It is no part of any query's path: it asks the database whether serials moved, at once when the
database tells of a change and every ``poll_seconds`` in any case, and lets the image catch up. It
inherits from the supervisor the same kind of socket as a worker and ends when that does.
"""

import asyncio
import logging
import signal
import socket
from typing import Final

from rwhoisd.config import Config
from rwhoisd.image.catch_up import follow
from rwhoisd.image.current import ImageReader
from rwhoisd.image.errors import ImageError
from rwhoisd.server import settings
from rwhoisd.server.registry import LazyStore
from rwhoisd.server.replay import replay
from rwhoisd.server.worker import Frames, local_programs
from rwhoisd.service.deferred import DeferredQueue
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service

logger = logging.getLogger(__name__)

_GATHER_SECONDS: Final = 0.02  # changes that come together are taken together
_ANSWER_SECONDS: Final = 10.0  # for the question whether there are changes
_LONGEST_PAUSE_SECONDS: Final = 5.0  # while the database does not answer
_LISTEN_AGAIN_SECONDS: Final = 1.0


class Follower:
    """Keeps the image of this node at the state of the store, whoever changes it."""

    def __init__(self, config: Config, control: socket.socket) -> None:
        """``control`` brings new configurations, and the end with the supervisor's."""
        self._config = config
        self._control = control

    def run(self) -> None:
        """Follow until the supervisor says otherwise. Raises: ImageError, OSError at start."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        from rwhoisd.store.errors import StoreError

        loop = asyncio.get_running_loop()
        self._failures: tuple[type[Exception], ...] = (StoreError, ImageError, OSError)
        self._frames = Frames()
        self._wake = asyncio.Event()
        self._reader = ImageReader(self._config.image_path)
        self._store = LazyStore(self._config.store_url)
        self._queue = DeferredQueue(self._config.deferred_path)
        work: asyncio.Future[tuple[None, None]] = asyncio.gather(self._follow(), self._listen())
        loop.add_signal_handler(signal.SIGTERM, work.cancel)
        self._control.setblocking(False)
        loop.add_reader(self._control, self._hear, work)
        try:
            await work
        except asyncio.CancelledError:
            pass
        finally:
            loop.remove_reader(self._control)
            await self._store.close()
            self._reader.close()

    def _hear(self, work: "asyncio.Future[tuple[None, None]]") -> None:
        """A message of the supervisor, or its end."""
        try:
            data = self._control.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._control)
            work.cancel()
        for message in self._frames.feed(data):
            assert isinstance(message, Config)
            self._config = message
            logging.getLogger().setLevel(message.log.level.upper())

    async def _follow(self) -> None:
        """Look again and again; what keeps it from that is told once, and when it is over."""
        failed = 0
        while True:
            try:
                await self._look()
                await self._replay()
            except self._failures as error:
                if not failed:
                    logger.error("the image does not follow the store: %s; trying on", _why(error))
                failed += 1
            else:
                if failed:
                    logger.info("the image follows the store again")
                failed = 0
            await self._pause(failed)

    async def _look(self) -> None:
        """Bring the image up to the store when their serials differ."""
        store = await self._store.get()
        async with asyncio.timeout(_ANSWER_SECONDS):
            serials = await store.serials()
        if serials != self._reader.current().serials:
            await follow(store.snapshot, self._config.image_path)

    async def _replay(self) -> None:
        """Do what waits for the database."""
        config = self._config
        if not self._queue.waits:
            return
        store = await self._store.get()
        may = settings.service(config, settings.access(config), config.host)
        service = Service(self._reader, may, Ports(programs=local_programs(config)))
        await replay(self._queue, store, service, lambda: follow(store.snapshot, config.image_path))

    async def _pause(self, failed: int) -> None:
        """Until the next look: less long when the database tells of a change.

        The first change is looked for at once; those that follow it are gathered.
        """
        await asyncio.sleep(_GATHER_SECONDS)
        usual = self._config.store.poll_seconds
        longest = max(usual, _LONGEST_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(min(usual * 2 ** min(failed, 16), longest)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _listen(self) -> None:
        """Hear of changes, where the database tells of them; looking does without, if need be."""
        while True:
            try:
                store = await self._store.get()
                await store.listen(self._wake.set)
            except self._failures as error:
                logger.debug("not told of changes: %s", _why(error))
                await asyncio.sleep(_LISTEN_AGAIN_SECONDS)
            else:
                return  # it never tells


def _why(error: BaseException) -> str:
    """The words of an error; a timeout has none."""
    return str(error) or "the database does not answer"
