"""Building a generation: all objects rendered, all keys sorted, then one switch."""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from rwhoisd.collection import no_collection
from rwhoisd.directory.changes import Bodies, Source, StoredObject
from rwhoisd.directory.names import HierarchicalName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.image import keys, meta, rows
from rwhoisd.image.environment import Environment, reserve_readers, writing
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import (
    INDEX,
    OBJECTS,
    OFFSETS,
    RECORDS,
    SPILL,
    Folder,
    write_manifest,
)
from rwhoisd.image.indexing import HelperIndexing, Indexing, Job, LocalIndexing, Records
from rwhoisd.image.meta import Head
from rwhoisd.image.postings import BulkIndex, BulkWriter
from rwhoisd.image.records import Entry, RecordWriter, pack_entries
from rwhoisd.image.rendering import NOTHING, Findable, Renderers
from rwhoisd.image.scopes import Pair, Scopes
from rwhoisd.image.sorting import Sorter

# Told what is being done ("objects" or "entries"), how many are done, and of how many if known.
Progress = Callable[[str, int, int | None], None]

_BATCH: Final = 1024
_ALONE: Final = 30_000  # so many objects are indexed before a helper could have started


async def build(
    source: Source,
    path: Path,
    eol: bytes,
    progress: Progress | None = None,
    *,
    reverse: bool = False,
) -> None:
    """Build a new generation from ``source`` and switch to it.

    Args:    eol: what ends each line of a record.
             reverse: also index text backwards, for queries with a leading wildcard; without,
             they go through the keys in order, which the search bounds.
    Raises:  ImageError, when the data cannot go into an image; what was served stays.
    """
    folder = Folder(path)
    async with folder.locked():
        await build_locked(source, folder, eol, progress, reverse=reverse)


async def build_locked(
    source: Source,
    folder: Folder,
    eol: bytes,
    progress: Progress | None = None,
    *,
    reverse: bool = False,
) -> None:
    """Build and switch, while the folder's lock is held."""
    number = await build_aside(source, folder, eol, progress, reverse=reverse)
    folder.switch(number, 0)
    folder.remove_others(number)


async def build_aside(
    source: Source,
    folder: Folder,
    eol: bytes,
    progress: Progress | None = None,
    *,
    reverse: bool = False,
) -> int:
    """Build a generation that nobody is served from as yet; its number.

    Who builds without the lock may lose it to another builder, which is an ImageError.
    """
    number = folder.next_generation()
    place = folder.generation(number)
    try:
        with no_collection(), writing(place):
            place.mkdir()
            await _Build(source, place, eol, progress or _silent, reverse=reverse).run()
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return number


def _silent(what: str, done: int, total: int | None) -> None:
    """No progress shown."""


class _Build:
    """One generation in the making."""

    def __init__(
        self, source: Source, place: Path, eol: bytes, progress: Progress, *, reverse: bool
    ) -> None:
        self._source = source
        self._place = place
        self._eol = eol
        self._progress = progress
        self._env = Environment(place, fast=True)
        self._rows = Sorter(place / f"{SPILL}-rows")
        self._backwards = Sorter(place / f"{SPILL}-reversed") if reverse else None
        self._side = BulkWriter(self._env)
        self._links: dict[bytes, list[bytes]] = {}
        self._findable: defaultdict[int, Findable] = defaultdict(lambda: NOTHING)  # by area
        created = TimeStamp.from_datetime(datetime.now(UTC)).text
        self._head = Head(eol.decode("ascii"), created, reversed=reverse)

    async def run(self) -> None:
        """Everything, in order; the manifest last."""
        areas = await self._source.areas()
        serials = await self._source.serials()
        scopes = Scopes(areas)
        self._renderers = Renderers(scopes.pairs, self._eol)
        with ExitStack() as stack:
            with RecordWriter(self._place, 0, 0) as records:
                starts, indexing = await self._write_objects(scopes, records, stack)
                records.sync()
                self._head.records, self._head.octets = records.records, records.octets
                crc = records.crc
            self._write_rows()
            self._write_links()
            self._write_index(indexing)
        self._write_meta(scopes, serials, starts)
        self._env.env.sync(True)
        self._env.env.close()
        self._finish(crc)

    async def _write_objects(
        self, scopes: Scopes, records: RecordWriter, stack: ExitStack
    ) -> tuple[list[int], Indexing]:
        """Write all objects; the first record of each class, and who indexes them.

        Few objects are indexed here; many by a helper, which ``stack`` ends.
        """
        starts: list[int] = []
        indexing: Indexing | None = None
        waiting: list[Job] = []
        count = 0
        where = (scopes.areas, self._eol, self._place / SPILL)
        async for pair, batch in self._batches(scopes):
            starts += [count] * (pair.number + 1 - len(starts))
            waiting.append(Job(pair.number, batch, count))
            count += len(batch.rows)
            if indexing is None and count > _ALONE and len(os.sched_getaffinity(0)) > 1:
                indexing = HelperIndexing(*where, stack)
            if indexing is not None:
                self._index(indexing, waiting, scopes, records)
        starts += [count] * (len(scopes.pairs) + 1 - len(starts))
        indexing = indexing or LocalIndexing(*where)
        self._index(indexing, waiting, scopes, records)
        self._write_rendered(indexing.rendered(all_of_it=True), scopes, records)
        return starts, indexing

    async def _batches(self, scopes: Scopes) -> AsyncIterator[tuple[Pair, Bodies]]:
        for number, area in enumerate(scopes.areas):
            last = -1
            async for batch in self._source.bodies(area.name.text):
                one = batch.object(area.name.text, 0)
                pair = pair_of_object(scopes, number, one, batch.rows[0])
                assert pair.class_number >= last, "objects must come by class"
                last = pair.class_number
                yield pair, batch

    def _index(
        self, indexing: Indexing, waiting: list[Job], scopes: Scopes, records: RecordWriter
    ) -> None:
        """Let all that waits be rendered, and write what is."""
        for job in waiting:
            indexing.put(job)
            self._write_rendered(indexing.rendered(all_of_it=False), scopes, records)
        waiting.clear()

    def _write_rendered(
        self, rendered: Iterable[tuple[Job, Records]], scopes: Scopes, records: RecordWriter
    ) -> None:
        for job, made in rendered:
            assert job.first == records.records
            self._write_batch(scopes.pairs[job.pair], job.batch, made, records)
            self._progress("objects", records.records, None)

    def _write_batch(self, pair: Pair, batch: Bodies, made: Records, records: RecordWriter) -> None:
        self._rows.add(rows.stretches(batch.rows, records.records))
        numbers = {source: self._head.source_number(source) for source in set(batch.sources)}
        table = pack_entries(batch, pair.area_number, pair.class_number, numbers, made.flags)
        records.extend(made.public, made.lengths, table)
        for table_, pairs in ((self._env.full, made.full), (self._env.raw, made.raw)):
            for number, value in pairs:
                self._side.put(table_, number.to_bytes(4), value)
        for key, link in made.links:
            self._links.setdefault(key, []).append(link)
            note_link(self._head, pair.area_number, keys.network_of_link(key))
        self._head.entries += made.entries
        self._head.objects += len(batch.rows)
        self._count(pair, made.flags)

    def _count(self, pair: Pair, flags: Sequence[int]) -> None:
        """Count how many records with these flags queries find, and how many they do not."""
        for kind, count in Counter(flags).items():
            one = self._renderers[pair].findable(kind)
            found = self._findable[pair.area_number]
            self._findable[pair.area_number] = found.plus(one, count)
            self._head.refused += 0 if any(one) else count

    def _write_rows(self) -> None:
        pairs = rows.blocks(chain.from_iterable(self._rows.sorted_lists()))
        while some := list(islice(pairs, _BATCH)):
            self._side.append(self._env.rows, some)

    def _write_links(self) -> None:
        found = [(key, b"".join(sorted(links))) for key, links in sorted(self._links.items())]
        self._side.append(self._env.links, found)
        self._side.commit()

    def _write_index(self, indexing: Indexing) -> None:
        index, done = BulkIndex(self._env, self._backwards), 0
        for chunk in indexing.chunks():
            index.write(chunk)
            done += chunk.items
            self._progress("entries", done, self._head.entries)
        summary = indexing.summary()
        index.finish(summary)
        for family, length in summary.lengths:
            self._head.lengths[family].add(length)

    def _write_meta(
        self, scopes: Scopes, serials: Mapping[str, TimeStamp], starts: list[int]
    ) -> None:
        with self._env.env.begin(write=True) as txn:
            for number, area in enumerate(scopes.areas):
                serial = serials.get(area.name.text, meta.NO_SERIAL)
                meta.write_area(self._env, txn, number, area, serial, self._findable[number])
            meta.write_built(self._env, txn, starts)
            meta.write_head(self._env, txn, self._head)

    def _finish(self, crc: int) -> None:
        for spill in self._place.glob(f"{SPILL}*"):
            shutil.rmtree(spill)
        reserve_readers(self._place)
        descriptor = os.open(self._place / INDEX, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        names = (RECORDS, OFFSETS, OBJECTS, INDEX)
        facts: dict[str, Any] = {
            "eol": self._head.eol,
            "created": self._head.created,
            "objects": self._head.objects,
            "octets": {name: (self._place / name).stat().st_size for name in names},
            "records_crc32": crc,
        }
        write_manifest(self._place, facts)


def pair_of_object(scopes: Scopes, area_number: int, obj: Object, row: int) -> Pair:
    """The class of an object.

    Raises: ImageError, when its area has no class of that name.
    """
    pair = scopes.pair(area_number, obj.class_name)
    if pair is None:
        raise ImageError(
            f"area {scopes.areas[area_number].name}: object {obj.id or row} is of"
            f" class {obj.class_name}, which the area does not define"
        )
    return pair


def table_entry(stored: StoredObject, pair: Pair, source: int, flags: int) -> Entry:
    """The object table's line of an object."""
    return Entry(
        stored.row,
        stored.object.order,
        stored.position,
        pair.area_number,
        pair.class_number,
        source,
        flags,
    )


def note_link(head: Head, area: int, place: HierarchicalName | None) -> None:
    """Note in the head that an area has a link referral for a place."""
    lengths = head.link_lengths.setdefault(area, {4: set(), 6: set()})
    if isinstance(place, Network):
        lengths[place.family].add(place.length)
