"""Registrations become durable: the store takes the change, the image follows before ``%ok``.

The store is opened at the first registration or notice, so that a worker nobody writes to
carries no database.
"""

import asyncio
import importlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.image.errors import ImageError
from rwhoisd.service.ports import AreaChange, AwayError

if TYPE_CHECKING:  # the database library is large, and most workers never need it
    from rwhoisd.store.store import Store

logger = logging.getLogger(__name__)

SOURCE: Final = "registration"
ASK_TO_MEND: Final = signal.SIGUSR1  # tells the supervisor that the image is behind the store
ASK_TO_BUILD: Final = signal.SIGUSR2  # that it makes no sense, and is to be built anew
STORE_SECONDS: Final = 40.0  # for a change, longer than others may hold a lock
PUBLISH_SECONDS: Final = 40.0  # for the image, which somebody may be building
_T = TypeVar("_T")
_STORE_MODULE: Final = "rwhoisd.store.store"


class LazyStore:
    """The store at a URL, opened when first asked for and shared by all who ask."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    async def get(self) -> "Store":
        """The open store. Raises: StoreError."""
        async with self._opening:
            if self._store is None:
                # Importing the library takes a while; others are answered meanwhile.
                module = await asyncio.to_thread(importlib.import_module, _STORE_MODULE)
                store: Store = await module.Store.open(self._url)
                self._store = store
            return self._store

    async def close(self) -> None:
        """Let go of the store; the next one who asks opens it again."""
        async with self._opening:
            if self._store is not None:
                await self._store.close()
                self._store = None


@contextmanager
def unavailable(what: str) -> Iterator[None]:
    """A failing database becomes 501 for the peer and one line in the log (DESIGN §3)."""
    from rwhoisd.store.errors import StoreError

    try:
        yield
    except (StoreError, TimeoutError) as error:
        _tell(what, error)
        raise AwayError from None


def _tell(what: str, error: Exception) -> None:
    logger.error("%s failed: %s", what, str(error) or "the database does not answer")


class Shared:
    """Work that does for all who asked before it began: they wait for one time of it.

    Who asks while it is under way waits for the next time, with all others who do.
    """

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        self._work = work
        self._now: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def done(self) -> None:
        """Wait for a time that begins from now on. Raises: what the work raises."""
        coming = self._next
        if coming is None:
            self._next = coming = asyncio.create_task(self._after(self._now))
            coming.add_done_callback(_seen)
        await asyncio.shield(coming)  # one who does not wait any longer stops it for nobody

    async def _after(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        self._now, self._next = self._next, None
        await self._work()


def _seen(done: "asyncio.Task[None]") -> None:
    """Those who waited tell of a failure; the loop need not, when none of them is left."""
    if not done.cancelled():
        done.exception()


class StoreRegistry:
    """The registry port over the store of this node and the image that it serves."""

    def __init__(
        self, store: LazyStore, image_path: Path, mend: Callable[[], None] = lambda: None
    ) -> None:
        """``mend`` is called when the image was left behind the store."""
        self._store = store
        self._image_path = image_path
        self._mend = mend
        self._published = Shared(self._follow)

    async def find(self, object_id: str) -> Sequence[StoredObject]:
        """Objects of all areas with this ID. Raises: AwayError."""
        with unavailable("a registration"):
            async with asyncio.timeout(STORE_SECONDS):
                return await (await self._store.get()).find_objects(object_id=object_id)

    async def run(
        self, area: str, work: Callable[[AreaChange], Awaitable[_T]], *, author: str
    ) -> _T:
        """What ``work`` gives for a change of an area; it is durable then, and queries see it.

        Raises: AwayError, when the database does not take it: nothing has happened. RwhoisError
        501, when it was lost at the very end, and nobody knows; 120, when it is durable and
        queries will see it later.
        """

        async def changes(changes: Mapping[str, AreaChange]) -> _T:
            return await work(changes[area])

        return await self.run_all((area,), changes, author=author)

    async def run_all(
        self,
        areas: Sequence[str],
        work: Callable[[Mapping[str, AreaChange]], Awaitable[_T]],
        *,
        author: str,
    ) -> _T:
        """The same for several areas, in one transaction."""
        from rwhoisd.store.errors import StoreError, StoreLostError

        committing = False

        async def noted(changes: Mapping[str, AreaChange]) -> _T:
            nonlocal committing
            committing = False
            result = await work(changes)
            committing = True
            return result

        try:
            async with asyncio.timeout(STORE_SECONDS):
                store = await self._store.get()
                result = await store.run_all(areas, noted, author=author, source=SOURCE)
        except (StoreError, TimeoutError) as error:
            _tell(f"a registration in {', '.join(areas)}", error)
            if committing and isinstance(error, StoreLostError | TimeoutError):
                raise RwhoisError(ResponseCode.SERVICE_NOT_AVAILABLE) from None
            raise AwayError from None
        await self._publish()
        return result

    async def _follow(self) -> None:
        # Nobody else in a worker needs it; others are answered while it is imported.
        catch_up = await asyncio.to_thread(importlib.import_module, "rwhoisd.image.catch_up")
        store = await self._store.get()
        async with asyncio.timeout(PUBLISH_SECONDS):
            await catch_up.follow(store.snapshot, self._image_path)

    async def _publish(self) -> None:
        """Bring the image up to the store. A change that is durable is never called failed.

        Raises: RwhoisError 120, when it does not work now.
        """
        try:
            with unavailable("bringing the image up to a registration"):
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await self._published.done()
        except (ImageError, OSError, RwhoisError) as error:
            logger.error("the image at %s is behind the store: %s", self._image_path, error)
            self._mend()
            raise RwhoisError(ResponseCode.REGISTRATION_DEFERRED) from None
