"""The store: the truth of the directory in a database, with a journal of every change.

All SQL of the project is in this package. A change of an area is one transaction that moves
its serial; readers (the image above all) take snapshots. ::

    async with await Store.open("sqlite:////var/lib/rwhoisd/store.db", create=True) as store:
        async with store.change("a.com", author="admin", source="zone", create=True) as change:
            await change.put_area(area)  # an equal definition changes nothing
            await change.add(Object("a.com", "host", (("ID", "1.a.com"), ("Host-Name", "ns1"))))
        async with store.snapshot() as source:  # a directory.changes.Source
            async for batch in source.objects("a.com"):
                ...

What goes wrong is a ``StoreError`` (one line, with the mend) when it is the database's fault,
and a ``RwhoisError`` (a code of Appendix C) when it is the change's.
"""

from rwhoisd.store.change import AreaChange
from rwhoisd.store.codec import Batch, Preparer
from rwhoisd.store.copy import Copied, copy_store
from rwhoisd.store.errors import StoreError, StoreLockedError, StoreLostError, StoreOutdatedError
from rwhoisd.store.hierarchy import NetworkEntry, Overlap, ReferenceEntry
from rwhoisd.store.snapshot import Snapshot
from rwhoisd.store.store import Count, Notice, Store

__all__ = [
    "AreaChange",
    "Batch",
    "Copied",
    "Count",
    "NetworkEntry",
    "Notice",
    "Overlap",
    "Preparer",
    "ReferenceEntry",
    "Snapshot",
    "Store",
    "StoreError",
    "StoreLockedError",
    "StoreLostError",
    "StoreOutdatedError",
    "copy_store",
]
