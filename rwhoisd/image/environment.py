"""The LMDB environment of a generation: its tables, and one handle of it per process.

LMDB must not be opened twice in one process, so readers and writers of the same generation share
the handle; it is closed when nobody holds it any more.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import lmdb

from rwhoisd.directory.errors import RwhoisError
from rwhoisd.image.errors import DamagedImageError, ImageError
from rwhoisd.image.folder import INDEX

MAP_OCTETS: Final = 1 << 38  # address space, not memory
_READERS: Final = 2048  # processes times versions that somebody still reads
_LOCK_OCTETS: Final = 64 * (_READERS + 2)  # of LMDB's file of readers, which is mapped
_DAMAGES: Final = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.BadTxnError,
)
# What comes of taking for numbers, text and names what is none.
_NONSENSE: Final = (
    *(struct.error, ValueError, TypeError, LookupError, OverflowError, AttributeError),
    *(AssertionError, RwhoisError, lmdb.BadValsizeError, lmdb.IncompatibleError, *_DAMAGES),
)

Table = Any  # lmdb does not export its type

_open: "WeakValueDictionary[tuple[int, int, int], Environment]" = WeakValueDictionary()


class Environment:
    """An open environment.

    ``terms``: key → posting; ``many``: key → entries of long postings, sorted; ``long``: cut key
    → key; ``bounds``: boundaries of blocks of keys; ``places``: scope and boundary, when the
    scope has keys in that block; ``reversed``: text backwards; ``rows``: row → record;
    ``late``: records since the build, by place; ``full``: what guardians see, where it differs;
    ``raw``: objects that cannot be read back from what is shown; ``links``; ``meta``.
    """

    def __init__(self, folder: Path, *, fast: bool = False) -> None:
        path = folder / INDEX
        if fast:
            reserve_readers(folder)
        try:
            # No writemap: a wild write could not hurt the image, and the file stays compact.
            self.env = lmdb.open(
                str(path),
                subdir=False,
                map_size=MAP_OCTETS,
                max_dbs=16,
                max_readers=_READERS,
                sync=not fast,
                # Half of the time of a commit. A power cut may undo the last one, and the next
                # writer does it again, as it has always to be ready to; nothing is torn by it.
                metasync=False,
                readahead=fast,
                mode=0o644,
                create=fast,
            )
        except lmdb.Error as error:
            raise ImageError(f"{path}: {error}; build the image anew") from error
        try:
            self._check_length(path)
            table = self.env.open_db
            self.terms = table(b"terms", create=fast)
            self.many = table(b"many", create=fast, dupsort=True, dupfixed=True)
            self.long = table(b"long", create=fast)
            self.bounds = table(b"bounds", create=fast)
            self.places = table(b"places", create=fast)
            self.reversed = table(b"reversed", create=fast)
            self.rows = table(b"rows", create=fast)
            self.late = table(b"late", create=fast)
            self.full = table(b"full", create=fast)
            self.raw = table(b"raw", create=fast)
            self.links = table(b"links", create=fast)
            self.meta = table(b"meta", create=fast)
        except lmdb.Error as error:
            self.env.close()
            raise ImageError(f"{path}: {error}; build the image anew") from error

    def _check_length(self, path: Path) -> None:
        """A file that lost its end would end the process with a bus error later."""
        info, stat = self.env.info(), self.env.stat()
        if path.stat().st_size < (info["last_pgno"] + 1) * stat["psize"]:
            raise ImageError(f"{path}: shorter than it says it is; build the image anew")

    @property
    def last_transaction(self) -> int:
        """Number of the last transaction that was committed."""
        return int(self.env.info()["last_txnid"])

    def __del__(self) -> None:
        if hasattr(self, "env"):
            self.env.close()


def reserve_readers(folder: Path) -> None:
    """Make LMDB's file of readers anew, with its space taken: on a full disk, writing into a
    mapped file that has none ends the process with a bus error. Nobody may have it open.

    Raises: OSError, when there is no room."""
    path = folder / f"{INDEX}-lock"
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _LOCK_OCTETS)


def get(txn: lmdb.Transaction, key: bytes, table: Table) -> bytes | None:
    """The value of a key. Transactions here never give out memory of the map."""
    value: Any = txn.get(key, db=table)
    return value  # type: ignore[no-any-return]


def items(txn: lmdb.Transaction, table: Table, start: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values from ``start`` on."""
    with txn.cursor(table) as cursor:
        if cursor.set_range(start):
            pairs: Any = cursor.iternext()
            yield from pairs


def key_range(txn: lmdb.Transaction, table: Table, start: bytes) -> Iterator[bytes]:
    """Keys from ``start`` on."""
    with txn.cursor(table) as cursor:
        if cursor.set_range(start):
            found: Any = cursor.iternext(keys=True, values=False)
            yield from found


def open_environment(folder: Path) -> Environment:
    """The environment of a complete generation, shared within this process.

    Raises: ImageError, when the file is missing, foreign or torn. FileNotFoundError, when the
    whole generation is gone.
    """
    folder.stat()
    try:
        stat = (folder / INDEX).stat()
    except FileNotFoundError:
        raise ImageError(f"{folder / INDEX}: missing; build the image anew") from None
    key = (os.getpid(), stat.st_dev, stat.st_ino)  # an open file keeps its number
    environment = _open.get(key)
    if environment is None:
        environment = _open[key] = Environment(folder)
    return environment


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what a full or failing disk raises into an ImageError; what was served stays.

    Damage that shows only now becomes a DamagedImageError.
    """
    try:
        with reading(place):
            yield
    except (lmdb.Error, OSError) as error:
        raise ImageError(
            f"{place} cannot be written: {error}; make room on its disk, then try again"
        ) from error


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turn what LMDB says of a damaged index into a DamagedImageError."""
    try:
        yield
    except _DAMAGES as error:
        raise DamagedImageError(f"{place}: {error}; build the image anew") from error


def looks_damaged(error: BaseException) -> bool:
    """Whether what reading an image raised may come of damage inside of it."""
    return isinstance(error, (*_NONSENSE, lmdb.Error, ImageError))


@contextmanager
def understanding(place: Path) -> Iterator[None]:
    """The same for what reads and does nothing else: data without sense is damage as well."""
    try:
        yield
    except _NONSENSE as error:
        reason = f"{type(error).__name__}: {error}"
        raise DamagedImageError(f"{place}: damaged ({reason}); build the image anew") from error
