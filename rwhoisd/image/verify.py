"""Comparing an image with its source: every object, every record, every entry of every index."""

import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

from rwhoisd.directory.changes import Source, StoredObject
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.image import keys, meta, rows
from rwhoisd.image.build import pair_of_object
from rwhoisd.image.current import ImageReader
from rwhoisd.image.environment import get, items, understanding
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import RECORDS, Folder, read_manifest
from rwhoisd.image.keys import Item
from rwhoisd.image.postings import floor_boundary
from rwhoisd.image.reader import Image
from rwhoisd.image.rendering import NOTHING, Findable, Renderers
from rwhoisd.image.scopes import Pair
from rwhoisd.image.sorting import Sorter

_CHUNK: Final = 1 << 22


class _DifferenceError(Exception):
    """The first thing that is not as it should be, in words."""


async def verify(
    source: Source, path: Path, progress: Callable[[int], None] | None = None
) -> str | None:
    """The first difference between the image at ``path`` and ``source``, in words; None for none.

    ``progress`` is told the number of objects compared. Memory stays bounded, as in a build.
    """
    try:
        with (
            understanding(path),
            closing(ImageReader(path)) as reader,
            tempfile.TemporaryDirectory(prefix="rwhoisd-verify-") as spill,
        ):
            await _Verification(source, reader.current(), Path(spill), progress).run()
    except (_DifferenceError, ImageError) as difference:
        return str(difference)
    return None


def records_fault(path: Path) -> str | None:
    """What is wrong with the records of the image at ``path`` as they were built, in words.

    Cost: reads all of them, about a second for each gigabyte. Records that came later have no
    checksum. Raises: ImageError, FileNotFoundError, when there is no image.
    """
    folder = Folder(path)
    place = folder.generation(folder.current())
    facts, crc = read_manifest(place), 0
    left = facts["octets"][RECORDS]
    with (place / RECORDS).open("rb") as file:
        while left and (chunk := file.read(min(left, _CHUNK))):
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
    if crc != facts["records_crc32"]:
        return f"{place / RECORDS}: the checksum is wrong; build the image anew"
    return None


class _Verification:
    def __init__(
        self, source: Source, image: Image, spill: Path, progress: Callable[[int], None] | None
    ) -> None:
        self._source = source
        self._image = image
        self._items = Sorter(spill / "items")
        self._renderers = Renderers(image.scopes.pairs, image.eol)
        self._links: dict[bytes, list[bytes]] = {}
        self._progress = progress or (lambda _: None)
        self._objects = 0
        self._findable: defaultdict[int, Findable] = defaultdict(lambda: NOTHING)  # by area

    async def run(self) -> None:
        """Everything, the cheap things first."""
        self._check_records()
        await self._check_areas()
        for number, area in enumerate(self._image.scopes.areas):
            await self._check_objects(number, area.name.text)
        self._check_counts()
        self._check_index()
        self._check_links()
        self._check_reversed()

    def _check_records(self) -> None:
        """The records of the build are still what was written: by checksum."""
        if fault := records_fault(self._image.generation.place.parent):
            raise _DifferenceError(fault)

    async def _check_areas(self) -> None:
        image, serials = self._image, await self._source.serials()
        known = image.serials
        for mine, theirs in zip_longest(image.areas, await self._source.areas()):
            if mine is None:
                raise _DifferenceError(f"area {theirs.name}: not in the image")
            if theirs is None:
                raise _DifferenceError(f"area {mine.name}: only in the image")
            name = theirs.name.text
            wanted = serials.get(name, meta.NO_SERIAL)
            have = known.get(name, meta.NO_SERIAL)
            if have != wanted:
                raise _DifferenceError(_serial_text(name, have, wanted))
            if mine != theirs:
                raise _DifferenceError(f"area {name}: its definition in the image is another")

    async def _check_objects(self, number: int, name: str) -> None:
        """Objects in the order of a transfer, each with its record."""
        records = chain.from_iterable(
            self._image.stored_records(pair) for pair in self._image.scopes.of_area[number]
        )
        async for batch in self._source.objects(name):
            for stored in batch:
                self._check_object(number, stored, next(records, None))
            self._progress(self._objects)
        extra = next(records, None)
        if extra is not None:
            raise _DifferenceError(f"{self._name(extra)}: only in the image, or twice")

    def _check_object(self, number: int, stored: StoredObject, record: int | None) -> None:
        image, obj = self._image, stored.object
        pair = pair_of_object(image.scopes, number, stored.object, stored.row)
        words = f"area {pair.area.name}, {pair.class_def.name} {obj.id or '?'} (row {stored.row})"
        if record is None or image.place(record) != (stored.position, stored.row):
            have = "nothing" if record is None else self._name(record)
            raise _DifferenceError(f"{words}: the image has {have} in its place")
        if image.record_of(stored.row) != record:
            raise _DifferenceError(f"{words}: its row leads to another record")
        if image.object(record) != obj:
            raise _DifferenceError(f"{words}: the image has {image.object(record).lines!r}")
        rendered = self._renderers[pair].render(obj)
        full = rendered.public if rendered.full is None else rendered.full
        if image.public((record,)) != rendered.public or image.full((record,)) != full:
            raise _DifferenceError(f"{words}: its record reads otherwise")
        if image.flags(record) != rendered.flags:
            raise _DifferenceError(f"{words}: its record has other flags")
        self._expect(pair, stored, record)
        self._objects += 1
        count = self._renderers[pair].findable(rendered.flags)
        self._findable[number] = self._findable[number].plus(count)

    def _expect(self, pair: Pair, stored: StoredObject, record: int) -> None:
        """Note what the indexes have to have of an object."""
        obj, row = stored.object, stored.row
        found = self._renderers[pair].keys(obj)
        self._items.add([Item(k, scope, obj.order, row, record).packed for k, scope in found])
        link = keys.LISTED.pack(0, obj.order, row, record)
        for place in self._renderers[pair].links(obj):
            self._links.setdefault(keys.link_key(pair.area_number, place), []).append(link)

    def _name(self, record: int) -> str:
        obj, (_, row) = self._image.object(record), self._image.place(record)
        return f"area {obj.area}, {obj.class_name} {obj.id or '?'} (row {row})"

    def _check_counts(self) -> None:
        image = self._image
        kept = rows.count(image.env, image.txn)
        if not self._objects == kept == image.object_count:
            raise _DifferenceError(
                f"{self._objects} objects, but the image counts {image.object_count} with"
                f" {kept} rows"
            )
        found = sum(sum(count) for count in self._findable.values())
        if found != image.findable_count:
            raise _DifferenceError(
                f"queries can find {found} objects, but the image counts {image.findable_count}"
            )
        for number, count in enumerate(image.findable_counts):
            if self._findable[number] != count:
                raise _DifferenceError(
                    f"area {image.areas[number].name}: queries can find"
                    f" {' and '.join(map(str, self._findable[number]))} objects, but the image"
                    f" counts {' and '.join(map(str, count))}"
                )

    def _check_index(self) -> None:
        """Every entry of every key, in order; and that its block knows its scope."""
        wanted = map(Item.unpack, chain.from_iterable(self._items.sorted_lists()))
        count = 0
        with self._image.txn.cursor(self._image.env.bounds) as bounds:
            for have, want in zip_longest(self._entries(), wanted):
                if have != want:
                    raise _DifferenceError(self._entry_text(have, want))
                place = keys.scope_bytes(want.scope) + floor_boundary(bounds, want.key)
                if get(self._image.txn, place, self._image.env.places) is None:
                    raise _DifferenceError(f"{_key_text(want.key)}: its block is not noted")
                count += 1
        if count != self._image.head.entries:
            raise _DifferenceError(f"{count} entries, the image says {self._image.head.entries}")

    def _entries(self) -> Iterator[Item]:
        image = self._image
        for key, _, _ in image.terms_between(b"\0", b"\xff"):
            for scope, record in image.hits(key):
                yield Item(key, scope, *image.order(record), record)

    def _entry_text(self, have: Item | None, want: Item | None) -> str:
        if have is None or (want is not None and want.packed < have.packed):
            assert want is not None
            return f"{_key_text(want.key)}: the index misses {self._name(want.record)}"
        return f"{_key_text(have.key)}: the index has {self._name(have.record)} in excess"

    def _check_links(self) -> None:
        wanted = {key: b"".join(sorted(links)) for key, links in self._links.items()}
        have = dict(items(self._image.txn, self._image.env.links, b"\0"))
        for key in sorted(wanted.keys() | have.keys()):
            if wanted.get(key) != have.get(key):
                raise _DifferenceError(f"link referrals of {key[2:]!r} are others in the image")

    def _check_reversed(self) -> None:
        image = self._image
        if not image.head.reversed:
            return
        count = 0
        for key, _, _ in image.terms_between(keys.EXACT, keys.after_prefix(keys.EXACT)):
            count += 1
            if get(image.txn, keys.reversed_key(key), image.env.reversed) is None:
                raise _DifferenceError(f"{_key_text(key)}: not in the reversed index")
        if count != image.txn.stat(image.env.reversed)["entries"]:
            raise _DifferenceError("the reversed index has keys in excess")


def _serial_text(name: str, have: TimeStamp, wanted: TimeStamp) -> str:
    return f"area {name}: the image is of serial {have.text}, the source of {wanted.text}"


def _key_text(key: bytes) -> str:
    kind = key[:1].upper()  # a concealed key is told as the others are
    if kind == keys.NETWORK:
        return f"network {keys.network_of(key)}"
    word = "phonetic code" if kind == keys.PHONETIC else "text"
    return f"{word} {key[1:].decode('latin-1')!r}"
