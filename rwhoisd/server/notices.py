"""Notices of peers go to the store, which keeps the last of them for people to read.

The store is opened at the first notice, so that a worker nobody notifies carries no database.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.service.ports import Notice

if TYPE_CHECKING:  # the database library is large, and most workers never need it
    from rwhoisd.store.store import Store

logger = logging.getLogger(__name__)


class StoredNotices:
    """Keeps notices in the store at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    async def record(self, notice: Notice) -> None:
        """Keep a notice. Raises: RwhoisError 501, when the database does not take it."""
        from rwhoisd.store.errors import StoreError

        sender = f"{notice.sender} {notice.client}".strip()
        try:
            store = await self._opened()
            await store.record_notice(notice.kind, notice.text, sender)
        except StoreError as error:
            logger.error("a notice of %s is lost: %s", notice.sender, error)
            raise RwhoisError(ResponseCode.SERVICE_NOT_AVAILABLE) from None

    async def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def _opened(self) -> "Store":
        from rwhoisd.store.store import Store

        async with self._opening:
            if self._store is None:
                self._store = await Store.open(self._url)
            return self._store
