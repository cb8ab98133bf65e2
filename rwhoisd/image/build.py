"""Building a generation: all objects rendered, all keys sorted, then one switch."""

import gc
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from rwhoisd.directory.changes import Bodies, Source, StoredObject
from rwhoisd.directory.names import HierarchicalName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.image import keys, meta, rows
from rwhoisd.image.batches import BatchRenderer
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
from rwhoisd.image.meta import Head
from rwhoisd.image.postings import BulkIndex, BulkWriter
from rwhoisd.image.records import Entry, RecordWriter, pack_entries
from rwhoisd.image.rendering import NOTHING, Findable, Renderers
from rwhoisd.image.scopes import Pair, Scopes
from rwhoisd.image.sorting import Sorter

# Told what is being done ("objects" or "entries"), how many are done, and of how many if known.
Progress = Callable[[str, int, int | None], None]

_BATCH: Final = 1024


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
        with _no_collection(), writing(place):
            place.mkdir()
            await _Build(source, place, eol, progress or _silent, reverse=reverse).run()
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return number


def _silent(what: str, done: int, total: int | None) -> None:
    """No progress shown."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of live tuples and no cycles: the collector only costs (10-20 % of a build)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
        self._items = Sorter(place / SPILL)
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
        with RecordWriter(self._place, 0, 0) as records:
            starts = await self._write_objects(scopes, records)
            records.sync()
            self._head.records, self._head.octets = records.records, records.octets
            crc = records.crc
        self._write_rows()
        self._write_links()
        self._write_index()
        self._write_meta(scopes, serials, starts)
        self._env.env.sync(True)
        self._env.env.close()
        self._finish(crc)

    async def _write_objects(self, scopes: Scopes, records: RecordWriter) -> list[int]:
        starts: list[int] = []
        renderers = Renderers(scopes.pairs, self._eol)
        for number, area in enumerate(scopes.areas):
            last, batches = -1, None
            async for batch in self._source.bodies(area.name.text):
                pair = pair_of_object(
                    scopes, number, batch.object(area.name.text, 0), batch.rows[0]
                )
                if batches is None or pair.class_number != last:
                    assert pair.class_number > last, "objects must come by class"
                    # The first record of each class, and of those that have none.
                    starts += [records.records] * (pair.number + 1 - len(starts))
                    last, batches = pair.class_number, BatchRenderer(renderers[pair])
                self._write_batch(pair, batch, batches, records)
                self._progress("objects", records.records, None)
        starts += [records.records] * (len(scopes.pairs) + 1 - len(starts))
        return starts

    def _write_batch(
        self, pair: Pair, batch: Bodies, renderer: BatchRenderer, records: RecordWriter
    ) -> None:
        rendered = renderer.render(batch, records.records)
        self._rows.add(rows.stretches(batch.rows, records.records))
        numbers = {source: self._head.source_number(source) for source in set(batch.sources)}
        table = pack_entries(batch, pair.area_number, pair.class_number, numbers, rendered.flags)
        records.extend(rendered.public, rendered.lengths, table)
        for table_, pairs in ((self._env.full, rendered.full), (self._env.raw, rendered.raw)):
            for number, value in pairs:
                self._side.put(table_, number.to_bytes(4), value)
        self._items.add(rendered.items)
        for place, link in rendered.links:
            key = keys.link_key(pair.area_number, place)
            self._links.setdefault(key, []).append(link)
            note_link(self._head, pair.area_number, place)
        self._head.entries += len(rendered.items)
        self._head.objects += len(batch.rows)
        found, refused = renderer.findable(rendered.flags)
        self._head.refused += refused
        self._findable[pair.area_number] = self._findable[pair.area_number].plus(found)

    def _write_rows(self) -> None:
        pairs = rows.blocks(chain.from_iterable(self._rows.sorted_lists()))
        while some := list(islice(pairs, _BATCH)):
            self._side.append(self._env.rows, some)

    def _write_links(self) -> None:
        found = [(key, b"".join(sorted(links))) for key, links in sorted(self._links.items())]
        self._side.append(self._env.links, found)
        self._side.commit()

    def _write_index(self) -> None:
        index = BulkIndex(self._env, self._backwards)
        total = self._head.entries
        index.load(self._items.sorted_lists(), lambda done: self._progress("entries", done, total))
        self._head.lengths = index.lengths

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


def note_link(head: Head, area: int, place: HierarchicalName) -> None:
    """Note in the head that an area has a link referral for a place."""
    lengths = head.link_lengths.setdefault(area, {4: set(), 6: set()})
    if isinstance(place, Network):
        lengths[place.family].add(place.length)
