"""Notices of peers go to the store, which keeps the last of them for people to read."""

from rwhoisd.server.registry import LazyStore, unavailable
from rwhoisd.service.ports import Notice


class StoredNotices:
    """The notices port over the store of this node."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def record(self, notice: Notice) -> None:
        """Keep a notice. Raises: RwhoisError 501, when the database does not take it."""
        sender = f"{notice.sender} {notice.client}".strip()
        with unavailable(f"keeping a notice of {notice.sender}"):
            store = await self._store.get()
            await store.record_notice(notice.kind, notice.text, sender)
