"""Compaction: a generation that changed a lot is built anew, while it goes on being changed.

A change leaves a dead record behind and pages that wait for readers, so the files of a
generation grow. A new generation is built from the source beside the one that is served, without
the lock, so no change waits for it. What happened meanwhile is brought into it, again and again
until little is left; the rest, and the switch, take the lock as any change does. Readers and
writers notice nothing but another generation number.
"""

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from rwhoisd.directory.changes import Source
from rwhoisd.image.build import build_aside
from rwhoisd.image.catch_up import renew
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import INDEX, OBJECTS, OFFSETS, RECORDS, Folder, read_manifest
from rwhoisd.image.reader import Generation

_log = logging.getLogger(__name__)
_GROWTH_SHARE: Final = 0.5  # beyond what was built
_GROWTH_OCTETS: Final = 4 << 20  # so that small images are left alone for a while
_FEW: Final = 500  # changes that may be left for the time when the lock is held
_PASSES: Final = 5

Snapshot = Callable[[], AbstractAsyncContextManager[Source]]


def is_worn(path: Path) -> bool:
    """Whether the image has grown so much since it was built that it should be compacted.

    Costs a look at a few files. An image that cannot be read is not worn, but something else.
    """
    folder = Folder(path)
    try:
        place = folder.generation(folder.current())
        built = sum(read_manifest(place)["octets"].values())
        now = sum((place / name).stat().st_size for name in (RECORDS, OFFSETS, OBJECTS, INDEX))
    except (ImageError, OSError):
        return False
    return bool(now > built * (1 + _GROWTH_SHARE) + _GROWTH_OCTETS)


async def compact(snapshot: Snapshot, path: Path) -> bool:
    """Put a new generation in the place of the one that is served; whether that was done.

    It is not, when somebody else built one meanwhile, or changed what only a build can follow.
    Raises: ImageError, when there is no good image, or the disk fails; what was served stays.
    """
    folder = Folder(path)
    before = folder.current()
    head = Generation(folder.generation(before), before, None).version().head
    eol = head.eol.encode("ascii")
    async with snapshot() as source:
        number = await build_aside(source, folder, eol, reverse=head.reversed)
    try:
        return await _catch_up_and_switch(snapshot, folder, before, number)
    finally:
        if folder.current() != number:
            shutil.rmtree(folder.generation(number), ignore_errors=True)


async def _catch_up_and_switch(
    snapshot: Snapshot, folder: Folder, before: int, number: int
) -> bool:
    for _ in range(_PASSES):
        changes = await _renewed(snapshot, folder, number)
        if changes is None:
            return False
        if changes <= _FEW:
            break
    async with folder.locked():
        if folder.current() != before:
            return False
        if await _renewed(snapshot, folder, number) is None:
            return False
        counter = Generation(folder.generation(number), number, None).version().head.counter
        folder.switch(number, counter)
        folder.remove_others(number)
    _log.info("image %s was compacted", folder.path)
    return True


async def _renewed(snapshot: Snapshot, folder: Folder, number: int) -> int | None:
    """Bring a generation up to the source; how many objects changed, None when it cannot be."""
    generation = Generation(folder.generation(number), number, None)
    async with snapshot() as source:
        return await renew(source, generation)
