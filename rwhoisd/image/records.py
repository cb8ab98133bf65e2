"""The flat files of a generation: records as they are sent, their offsets, a table of objects.

All three only grow: what a committed version of the index names is never written again, so any
number of readers can have them mapped. Bytes behind the committed end are left-overs of a killed
writer; the next one writes over them.
"""

import mmap
import os
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Final, NamedTuple, Self

from rwhoisd.directory.changes import Bodies
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import OBJECTS, OFFSETS, RECORDS

HEADER: Final = b"rwhoisd records\n"  # so that no file is empty, and record 0 has a start
_ENTRY: Final = Struct("<QQQI")
ENTRY_OCTETS: Final = _ENTRY.size
_TABLE_HEADER: Final = b"rwhoisd objects\n".ljust(ENTRY_OCTETS, b"\0")
_FLAGS_AT: Final = 24  # in an entry; with the class number above them
_BUFFERED: Final = 1 << 20


class Entry(NamedTuple):
    """What the object table says of a record: 28 octets."""

    row: int
    order: int
    position: int
    area: int
    class_number: int
    source: int
    flags: int

    def pack(self) -> bytes:
        """The line of the table: order; row; position, area, source; class, flags.

        Raises: ImageError, when a number is too large.
        """
        row, order, position, area, class_number, source, flags = self
        if row >> 64 or order >> 64 or position >> 40 or class_number >> 12 or source >> 8:
            raise ImageError(f"row {row}: a number does not fit into its field: {self}")
        place = position << 24 | area << 8 | source
        return _ENTRY.pack(order, row, place, class_number << 12 | flags)

    @classmethod
    def unpack(cls, order: int, row: int, place: int, kind: int) -> "Entry":
        """The entry of a line of the table."""
        return cls(
            row=row,
            order=order,
            position=place >> 24,
            area=place >> 8 & 0xFFFF,
            class_number=kind >> 12,
            source=place & 0xFF,
            flags=kind & 0xFFF,
        )


def pack_entries(
    batch: Bodies, area: int, class_number: int, sources: Mapping[str, int], flags: Sequence[int]
) -> bytes:
    """The table's lines for a batch of objects.

    Raises: ImageError, when a number is too large.
    """
    rows, orders, positions = batch.rows, batch.orders, batch.positions
    for row, order, position in (
        (max(rows), max(orders), max(positions)),
        (min(rows), min(orders), min(positions)),
    ):
        Entry(row, order, position, area, class_number, max(sources.values()), 0).pack()
    middle = class_number << 12
    kinds = [middle | some for some in flags]
    ends = {source: area << 8 | number for source, number in sources.items()}
    places = [p << 24 | ends[source] for p, source in zip(positions, batch.sources, strict=True)]
    return b"".join(map(_ENTRY.pack, orders, rows, places, kinds))


class RecordFiles:
    """The flat files, mapped as long as they were when this was made."""

    def __init__(self, folder: Path) -> None:
        self.data = _mapped(folder / RECORDS)
        offsets = _mapped(folder / OFFSETS)
        self.offsets = memoryview(offsets)[: len(offsets) // 8 * 8].cast("Q")
        self._table = _mapped(folder / OBJECTS)
        if self.data[: len(HEADER)] != HEADER or self._table[:ENTRY_OCTETS] != _TABLE_HEADER:
            raise ImageError(f"{folder}: not the files of an image; build the image anew")

    def holds(self, records: int, octets: int) -> bool:
        """Whether so many records and octets are mapped."""
        return (
            len(self.data) >= octets
            and len(self.offsets) > records
            and len(self._table) >= (records + 1) * ENTRY_OCTETS
        )

    def record(self, number: int) -> bytes:
        """A record's public view."""
        return self.data[self.offsets[number] : self.offsets[number + 1]]

    def joined(self, numbers: Sequence[int]) -> bytes:
        """Public views one after the other; one slice when the records are neighbours."""
        count = len(numbers)
        data, offsets = self.data, self.offsets
        if count == 1:
            number = numbers[0]
            return data[offsets[number] : offsets[number + 1]]
        if not count:
            return b""
        first, last = numbers[0], numbers[-1]
        if last - first == count - 1 and tuple(numbers) == tuple(range(first, last + 1)):
            return data[offsets[first] : offsets[last + 1]]
        return b"".join([data[offsets[n] : offsets[n + 1]] for n in numbers])

    def entry(self, number: int) -> Entry:
        """The object table's line of a record."""
        return Entry.unpack(*_ENTRY.unpack_from(self._table, (number + 1) * ENTRY_OCTETS))

    def flags(self, number: int) -> int:
        """The flags of a record."""
        start = (number + 1) * ENTRY_OCTETS + _FLAGS_AT
        return self._table[start] | (self._table[start + 1] & 0xF) << 8

    def order(self, number: int) -> tuple[int, int]:
        """Order and row of a record: what sorts it among equals."""
        order, row, _, _ = _ENTRY.unpack_from(self._table, (number + 1) * ENTRY_OCTETS)
        return order, row


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: {error}; build the image anew") from error


class RecordWriter:
    """Appends records from a committed end on. Nothing is durable before :meth:`sync`."""

    def __init__(self, folder: Path, records: int, octets: int) -> None:
        self.records = records
        self.octets = octets
        self._pending: tuple[list[bytes], array[int], list[bytes]] = ([], array("Q"), [])
        self._pending_octets = 0
        self._files = [_opened(folder / name) for name in (RECORDS, OFFSETS, OBJECTS)]
        self._ends = [octets, 8 * (records + 1), ENTRY_OCTETS * (records + 1)]
        self.crc = 0  # of the records written here
        if not records:
            self._start()

    def _start(self) -> None:
        self.octets = len(HEADER)
        self.crc = zlib.crc32(HEADER)
        starts = (HEADER, array("Q", [self.octets]).tobytes(), _TABLE_HEADER)
        for descriptor, start in zip(self._files, starts, strict=True):
            _write_at(descriptor, start, 0)
        self._ends = [len(start) for start in starts]

    def append(self, record: bytes, entry: Entry) -> int:
        """Number of the record that was added."""
        data, offsets, table = self._pending
        data.append(record)
        self.octets += len(record)
        offsets.append(self.octets)
        table.append(entry.pack())
        self._pending_octets += len(record)
        if self._pending_octets >= _BUFFERED:
            self.flush()
        self.records += 1
        return self.records - 1

    def extend(self, data: bytes, lengths: Sequence[int], table: bytes) -> None:
        """Add records that follow each other in ``data``, with their lines of the table."""
        self.flush()
        ends = array("Q", accumulate(lengths, initial=self.octets))[1:]
        self._write(data, ends, table)
        self.octets += len(data)
        self.records += len(lengths)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        data, offsets, table = self._pending
        self._write(b"".join(data), offsets, b"".join(table))
        self._pending = ([], array("Q"), [])
        self._pending_octets = 0

    def _write(self, data: bytes, offsets: "array[int]", table: bytes) -> None:
        self.crc = zlib.crc32(data, self.crc)
        for i, chunk in enumerate((data, offsets.tobytes(), table)):
            _write_at(self._files[i], chunk, self._ends[i])
            self._ends[i] += len(chunk)

    def sync(self) -> None:
        """Make everything durable."""
        self.flush()
        for descriptor in self._files:
            os.fdatasync(descriptor)

    def close(self) -> None:
        """Close the files; what was not flushed is dropped."""
        for descriptor in self._files:
            os.close(descriptor)
        self._files = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
