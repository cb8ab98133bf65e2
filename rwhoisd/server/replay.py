"""Registrations that waited for the store are done: in order, each exactly once.

The store keeps, in the transaction that does an entry, which entry of this queue that was. So
one whose process was killed between its commit and the removal of its file is known as done; an
earlier one cannot be there any more, as a file is gone before the next entry is begun.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from rwhoisd.directory.changes import StoredObject
from rwhoisd.protocol.replies import Reply
from rwhoisd.server.registry import SOURCE, STORE_SECONDS
from rwhoisd.service.deferred import Deferred, DeferredQueue
from rwhoisd.service.ports import AreaChange
from rwhoisd.service.service import Service

if TYPE_CHECKING:
    from rwhoisd.store.store import Store

logger = logging.getLogger(__name__)

_MARK: Final = "deferred."  # and the identity of the queue: the name of a setting
_T = TypeVar("_T")


class _MarkedRegistry:
    """The registry port for one entry: what it changes is marked as done with it.

    Errors of the store are let through: they say nothing of the entry.
    """

    def __init__(self, store: "Store", mark: str, name: str) -> None:
        self._store = store
        self._mark = mark
        self._name = name

    async def find(self, object_id: str) -> Sequence[StoredObject]:
        """Objects of all areas with this ID. Raises: StoreError."""
        return await self._store.find_objects(object_id=object_id)

    async def run(
        self, area: str, work: Callable[[AreaChange], Awaitable[_T]], *, author: str
    ) -> _T:
        """What ``work`` gives for a change of an area. Raises: StoreError, TimeoutError."""

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
        from rwhoisd.store.change import AreaChange as StoreChange

        async def marked(changes: Mapping[str, StoreChange]) -> _T:
            result = await work(changes)
            for change in changes.values():
                await change.flush()
            # Without an effect it was only a question.
            if changed := [change for change in changes.values() if change.changed]:
                await changed[0].set_setting(self._mark, self._name)
            return result

        async with asyncio.timeout(STORE_SECONDS):
            return await self._store.run_all(areas, marked, author=author, source=SOURCE)


async def replay(
    queue: DeferredQueue, store: "Store", service: Service, publish: Callable[[], Awaitable[object]]
) -> None:
    """Do what waits, if nobody else is about it; ``publish`` lets queries see it.

    Raises: StoreError, ImageError, OSError; the rest waits on then.
    """
    if not queue.waits:
        return
    with queue.doing() as ours:
        if not ours:
            return
        mark = _MARK + queue.identity()
        last = (await store.settings()).get(mark)
        for entry in queue.waiting():
            if entry.name != last:
                registry = _MarkedRegistry(store, mark, entry.name)
                _tell(queue, entry, await _reply(service, registry, entry))
            queue.done(entry)
            await publish()


async def _reply(service: Service, registry: _MarkedRegistry, entry: Deferred) -> Reply | None:
    """What comes of an entry; None for a fault of ours, which must not stop the others."""
    from rwhoisd.store.errors import StoreError

    try:
        return await service.replay(registry, entry)
    except (StoreError, OSError):
        raise
    except Exception:
        logger.exception("deferred registration %s failed", entry.name)
        return None


def _tell(queue: DeferredQueue, entry: Deferred, reply: Reply | None) -> None:
    what = f"deferred registration {entry.name} ({entry.action}) of {entry.maintainer}"
    if reply is not None and reply.code is None:
        logger.info("%s was done", what)
        return
    reason = "a fault of the server, see its log"
    if reply is not None and reply.code is not None:
        reason = f"{int(reply.code)} {reply.code.text}" + (reply.detail and f": {reply.detail}")
    kept = queue.refuse(entry, reason)
    logger.error(
        "%s was refused: %s; it is kept in %s, mend it by hand and see rwhois-admin deferred",
        what,
        reason,
        kept,
    )
