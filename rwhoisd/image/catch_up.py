"""Bringing an image up to date with the journal of its source."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import lmdb

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Operation, Source, StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.image import keys, meta, rows
from rwhoisd.image.build import Progress, build_locked, note_link, pair_of_object, table_entry
from rwhoisd.image.environment import get, writing
from rwhoisd.image.errors import DamagedImageError, ImageError
from rwhoisd.image.folder import Folder
from rwhoisd.image.keys import Item
from rwhoisd.image.postings import IndexWriter
from rwhoisd.image.reader import Generation, Image
from rwhoisd.image.records import RecordWriter
from rwhoisd.image.rendering import NOTHING, Renderers
from rwhoisd.image.scopes import Pair, Scopes

_log = logging.getLogger(__name__)
_REBUILD_SHARE: Final = 4  # with more changes than a quarter of the objects a build is faster
_REBUILD_FROM: Final = 50_000
_Stored = dict[int, tuple[int, StoredObject | None]]  # row → area number, object or gone


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the source has and the image not yet."""

    serials: Mapping[str, TimeStamp]  # of the areas that changed, or are new
    areas: Mapping[int, AuthorityArea]  # the same ones, by number
    stored: _Stored


async def catch_up(
    source: Source, path: Path, eol: bytes | None = None, progress: Progress | None = None
) -> bool:
    """Bring the image at ``path`` to the state of ``source``; whether anything changed.

    Cheap for a few changes. It builds anew when there is no good image, when lines have to end
    otherwise (``eol``; None leaves that as it is), when areas or classes changed beyond an area
    added at the end, and when very much changed.

    Raises: ImageError, when there is no good image and ``eol`` does not tell how to build one,
    or when the data cannot go into an image; what was served stays.
    """
    folder = Folder(path)
    async with folder.locked():
        return await _catch_up_locked(source, folder, eol, progress)


async def follow(
    snapshot: Callable[[], AbstractAsyncContextManager[Source]],
    path: Path,
    eol: bytes | None = None,
    progress: Progress | None = None,
) -> bool:
    """``catch_up`` from a snapshot that is taken once nobody else writes to the image.

    So the image never goes back to a moment before what another process has published. A
    source older than the image can then only be another database: the image is built anew.
    """
    folder = Folder(path)
    async with folder.locked(), snapshot() as source:
        return await _catch_up_locked(source, folder, eol, progress)


async def _catch_up_locked(
    source: Source, folder: Folder, eol: bytes | None, progress: Progress | None
) -> bool:
    try:
        number = folder.current()
        generation = Generation(folder.generation(number), number, eol)
        # A writer that was killed at the very end of its commit leaves readers a version behind,
        # until LMDB hears of it with the next lock: counts would be taken from the older one.
        with writing(generation.place):
            generation.env.env.begin(write=True).abort()
        image = generation.version()
    except (ImageError, FileNotFoundError) as error:
        if eol is None:
            raise ImageError(str(error)) from error
        _log.warning("building the image: %s", error)
        await build_locked(source, folder, eol, progress)
        return True
    try:
        return await _catch_up(source, folder, generation, image, progress)
    except DamagedImageError as error:
        _log.warning("building the image: %s", error)
        await build_locked(source, folder, image.eol, progress, reverse=image.head.reversed)
        return True
    finally:
        image.txn.abort()  # whoever still refers to it must not keep this version's space


async def _catch_up(
    source: Source,
    folder: Folder,
    generation: Generation,
    image: Image,
    progress: Progress | None,
) -> bool:
    wanted = await _wanted(source, image)
    if wanted is None:
        await build_locked(source, folder, image.eol, progress, reverse=image.head.reversed)
        return True
    changed = bool(wanted.areas)
    if changed:
        folder.write_state(*image.version, changing=True)
        await _update(generation, image, wanted)
    # Also when nothing changed: a killed writer may have left readers looking.
    folder.write_state(generation.number, image.head.counter)
    return changed


async def renew(source: Source, generation: Generation) -> int | None:
    """Bring a generation that is not served up to ``source``: how many objects changed.

    None, when that takes a build. Raises: ImageError.
    """
    image = generation.version()
    try:
        wanted = await _wanted(source, image)
        if wanted is None:
            return None
        if wanted.areas:
            await _update(generation, image, wanted)
        return len(wanted.stored)
    finally:
        image.txn.abort()


async def _update(generation: Generation, image: Image, wanted: _Wanted) -> None:
    """Write what is wanted. It waits for the disk in a thread, as a worker has others to answer.

    It is not left before that has ended, whatever happens: the lock is held for it.
    """

    def work() -> None:
        with writing(generation.place):
            _Update(generation, image, wanted).run()

    writing_it = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(writing_it)
    except asyncio.CancelledError:
        while not writing_it.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([writing_it])
        raise


async def _wanted(source: Source, image: Image) -> _Wanted | None:
    """What is to be changed; None when a build is needed or faster."""
    # What is equal in serial is equal in all, so that one change is little work in a thousand
    # areas.
    serials, known = await source.serials(), image.serials
    if list(known) != list(islice(serials, len(known))):
        return None
    if any(serials[name] < serial for name, serial in known.items()):
        return None  # another database, or an older copy of it
    changed = {n: name for n, name in enumerate(serials) if serials[name] != known.get(name)}
    most = max(_REBUILD_FROM, image.object_count // _REBUILD_SHARE)
    stored: _Stored = {}
    old = {n: name for n, name in changed.items() if name in known}
    new = {n: name for n, name in changed.items() if name not in known}
    redefined = await _gather_changes(source, old, known, stored, most)
    areas = await _definitions(source, image, changed, [*redefined, *new.values()])
    scopes = image.scopes.areas
    if not all(_alike(scopes[n], area) for n, area in areas.items() if n < len(scopes)):
        return None
    await _gather_areas(source, new, stored, most)
    if len(stored) > most:
        return None
    return _Wanted({name: serials[name] for name in changed.values()}, areas, stored)


async def _gather_changes(
    source: Source,
    areas: Mapping[int, str],
    known: Mapping[str, TimeStamp],
    stored: _Stored,
    most: int,
) -> list[str]:
    """Note what became of objects since ``known``; the areas that changed themselves.

    With more than ``most`` objects it ends early.
    """
    redefined: dict[str, None] = {}
    for number, name in areas.items():
        async for change in source.changes(name, known[name]):
            if change.operation is Operation.AREA:
                redefined[name] = None
                continue
            obj = change.after
            kept = None if obj is None else StoredObject(change.row, change.position, obj)
            stored[change.row] = (number, kept)
            if len(stored) > most:
                return list(redefined)
    return list(redefined)


async def _gather_areas(
    source: Source, areas: Mapping[int, str], stored: _Stored, most: int
) -> None:
    """Note all objects of areas; with more than ``most`` objects it ends early."""
    for number, name in areas.items():
        async for batch in source.objects(name):
            stored.update((s.row, (number, s)) for s in batch)
            if len(stored) > most:
                return


async def _definitions(
    source: Source, image: Image, changed: Mapping[int, str], redefined: Collection[str]
) -> dict[int, AuthorityArea]:
    """Areas by number. Most have another Serial-Number only, and need not be read."""
    found = await source.definitions(redefined) if redefined else {}
    shown = await source.soa_serials()
    return {
        number: found.get(name) or _with_serial(image.area_at(number), shown[name])
        for number, name in changed.items()
    }


def _with_serial(area: AuthorityArea, shown: str | None) -> AuthorityArea:
    if area.soa is None or shown is None:
        return area
    return replace(area, soa=replace(area.soa, serial_number=shown))


def _alike(before: AuthorityArea, now: AuthorityArea) -> bool:
    """Whether an area is the one from before, alike in all that numbers or records hang on."""
    return (
        before.name == now.name
        and before.schema == now.schema
        and before.charset == now.charset
        and before.guardians == now.guardians
        and (before.privacy, before.operator) == (now.privacy, now.operator)
        and bool(before.internal_to) == bool(now.internal_to)
    )


class _Update:
    """One transaction: records first, then the index, all of it seen at once."""

    def __init__(self, generation: Generation, image: Image, wanted: _Wanted) -> None:
        self._generation = generation
        self._env = generation.env
        self._image = image
        self._wanted = wanted
        self._head = image.head
        before = image.scopes.areas
        now = {n: replace(area, soa=None) for n, area in wanted.areas.items()}
        self._redefined = any(n >= len(before) or before[n] != area for n, area in now.items())
        self._scopes = image.scopes
        if self._redefined:
            count = max(len(before), *(n + 1 for n in now))
            self._scopes = Scopes([now[n] if n in now else before[n] for n in range(count)])
        self._renderers = Renderers(self._scopes.pairs, image.eol)
        self._added: dict[int, tuple[int, int]] = {}  # records written here → order, row
        self._findable = {
            n: image.findable_at(n) if n < len(before) else NOTHING for n in wanted.areas
        }

    def run(self) -> None:
        """Write everything and commit."""
        head, wanted = self._head, self._wanted
        self._env.env.reader_check()  # killed readers would keep pages from being used again
        with (
            RecordWriter(self._generation.place, head.records, head.octets) as records,
            self._env.env.begin(write=True) as txn,
        ):
            self._index = IndexWriter(
                self._env, txn, self._order, head.lengths, reverse=head.reversed
            )
            for row, (area, stored) in wanted.stored.items():
                self._remove(txn, row)
                if stored is not None:
                    self._add(txn, records, area, stored)
            records.sync()  # before the commit that names them
            head.records, head.octets = records.records, records.octets
            self._write_meta(txn)

    def _order(self, record: int) -> tuple[int, int]:
        return self._added.get(record) or self._image.order(record)

    def _remove(self, txn: lmdb.Transaction, row: int) -> None:
        record = rows.find(txn.get, self._env, row)
        if record is None:
            return
        number = record.to_bytes(4)
        obj, pair = self._image.object(record), self._image.pair(record)
        position, _ = self._image.place(record)
        for key, scope in self._renderers[pair].keys(obj):
            if not self._index.remove(Item(key, scope, obj.order, row, record)):
                raise ImageError(f"the index misses {key!r} of row {row}; build the image anew")
            self._head.entries -= 1
        link = keys.LISTED.pack(0, obj.order, row, record)
        for place in self._renderers[pair].links(obj):
            self._change_link(txn, keys.link_key(pair.area_number, place), gone=link)
        rows.change(self._env, txn, row, None)
        txn.delete(_late_key(pair, position, row), db=self._env.late)
        txn.delete(number, db=self._env.full)
        txn.delete(number, db=self._env.raw)
        self._head.objects -= 1
        self._count(pair, self._image.flags(record), -1)

    def _add(
        self, txn: lmdb.Transaction, records: RecordWriter, area: int, stored: StoredObject
    ) -> None:
        pair = pair_of_object(self._scopes, area, stored.object, stored.row)
        obj, row = stored.object, stored.row
        renderer = self._renderers[pair]
        rendered = renderer.render(obj)
        source = self._head.source_number(obj.source)
        entry = table_entry(stored, pair, source, rendered.flags)
        record = records.append(rendered.public, entry)
        self._added[record] = (obj.order, row)
        number = record.to_bytes(4)
        if rendered.full is not None:
            txn.put(number, rendered.full, db=self._env.full)
        if rendered.raw is not None:
            txn.put(number, rendered.raw, db=self._env.raw)
        rows.change(self._env, txn, row, record)
        txn.put(_late_key(pair, stored.position, row), number, db=self._env.late)
        for key, scope in renderer.keys(obj):
            self._index.add(Item(key, scope, obj.order, row, record))
            self._head.entries += 1
        self._add_links(txn, pair, obj, keys.LISTED.pack(0, obj.order, row, record))
        self._head.objects += 1
        self._count(pair, rendered.flags, 1)

    def _count(self, pair: Pair, flags: int, sign: int) -> None:
        count = self._renderers[pair].findable(flags)
        self._head.refused += sign * (not any(count))
        self._findable[pair.area_number] = self._findable[pair.area_number].plus(count, sign)

    def _add_links(self, txn: lmdb.Transaction, pair: Pair, obj: Object, link: bytes) -> None:
        for place in self._renderers[pair].links(obj):
            self._change_link(txn, keys.link_key(pair.area_number, place), new=link)
            note_link(self._head, pair.area_number, place)

    def _change_link(
        self, txn: lmdb.Transaction, key: bytes, *, gone: bytes = b"", new: bytes = b""
    ) -> None:
        value = get(txn, key, self._env.links) or b""
        links = {value[i : i + keys.TAIL] for i in range(0, len(value), keys.TAIL)} - {gone}
        if new:
            links.add(new)
        if links:
            txn.put(key, b"".join(sorted(links)), db=self._env.links)
        else:
            txn.delete(key, db=self._env.links)

    def _write_meta(self, txn: lmdb.Transaction) -> None:
        head, wanted = self._head, self._wanted
        head.counter += 1
        if self._redefined:
            head.definitions = head.counter
        for number, area in wanted.areas.items():
            serial = wanted.serials[area.name.text]
            meta.write_area(self._env, txn, number, area, serial, self._findable[number])
        meta.write_head(self._env, txn, head)


def _late_key(pair: Pair, position: int, row: int) -> bytes:
    return (
        pair.area_number.to_bytes(2)
        + pair.class_number.to_bytes(2)
        + position.to_bytes(8)
        + row.to_bytes(8)
    )
