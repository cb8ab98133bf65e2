"""Where an image lies on disk: generations, which one is current, the lock, the state file.

PATH/current        number of the generation that is served; replaced by rename
PATH/state          mapped by readers: a hint that something changed
PATH/lock           held by whoever builds or catches up
PATH/gen-N/         one generation; its manifest is written last
"""

import asyncio
import fcntl
import json
import mmap
import os
import shutil
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from struct import Struct
from typing import Any, Final

from rwhoisd.image.errors import ImageError

FORMAT: Final = 8
MAGIC: Final = "rwhoisd image"

RECORDS: Final = "records.dat"
OFFSETS: Final = "records.off"
OBJECTS: Final = "objects.tab"
INDEX: Final = "index.mdb"
MANIFEST: Final = "manifest.json"
SPILL: Final = "spill"

_STATE: Final = Struct("<8sQQQ")  # magic, generation, change counter, 1 while a change is under way
_STATE_MAGIC: Final = b"rwhoisd\1"
STATE_OCTETS: Final = _STATE.size
_LOCK_PAUSE_SECONDS: Final = 0.005
_OWN_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Folder:
    """The folder of an image."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def generation(self, number: int) -> Path:
        """Folder of a generation."""
        return self.path / f"gen-{number:06d}"

    def generations(self) -> Iterator[int]:
        """Numbers of all generations on disk, complete or not."""
        for entry in self.path.glob("gen-*"):
            if entry.name[4:].isdigit():
                yield int(entry.name[4:])

    def current(self) -> int:
        """Number of the generation that is served.

        Raises: ImageError, when there is none.
        """
        try:
            text = (self.path / "current").read_text("ascii")
        except FileNotFoundError:
            raise ImageError(f"{self.path}: no image; build one") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ImageError(f"{self.path}: cannot be read: {error}") from error
        if not text.strip().isdigit():
            raise ImageError(f"{self.path}/current: names no generation; build the image anew")
        return int(text)

    def switch(self, number: int, counter: int) -> None:
        """Make a complete generation the one that is served, in one rename."""
        self.write_state(number, counter, changing=True)
        temporary = self.path / "current.new"
        temporary.unlink(missing_ok=True)  # of somebody who died
        with temporary.open("x", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.path / "current")
        sync_folder(self.path)
        self.write_state(number, counter)

    def remove_others(self, kept: int) -> None:
        """Remove every generation but one. Readers keep what they have open."""
        for number in list(self.generations()):
            if number != kept:
                shutil.rmtree(self.generation(number), ignore_errors=True)

    def next_generation(self) -> int:
        """A number greater than that of every generation there is or was served."""
        try:
            current = self.current()
        except ImageError:
            current = 0
        state = self.path / "state"
        if state.exists() and (raw := state.read_bytes())[:8] == _STATE_MAGIC:
            current = max(current, _STATE.unpack_from(raw)[1])
        return max([current, *self.generations()]) + 1

    def write_state(self, generation: int, counter: int, *, changing: bool = False) -> None:
        """Tell readers. Written in place, as they have the file mapped.

        With ``changing`` they look by themselves until the next call, so that a writer killed
        between its commit and this call leaves nobody behind.
        """
        raw = _STATE.pack(_STATE_MAGIC, generation, counter, changing)
        descriptor = os.open(self.path / "state", _OWN_FILE, 0o644)
        try:
            os.pwrite(descriptor, raw, 0)
        finally:
            os.close(descriptor)

    def map_state(self) -> mmap.mmap:
        """The state file, mapped.

        Raises: ImageError, when it is missing or foreign.
        """
        try:
            with (self.path / "state").open("rb") as file:
                state = mmap.mmap(file.fileno(), STATE_OCTETS, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            raise ImageError(f"{self.path}: no image; build one") from None
        if state[:8] != _STATE_MAGIC:
            raise ImageError(f"{self.path}/state: not of this program; build the image anew")
        return state

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """The right to build or catch up. Waits for it; goes with the process that holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", _OWN_FILE, 0o644)
        try:
            while not _try_lock(descriptor):  # noqa: ASYNC110 - another process lets it go
                await asyncio.sleep(_LOCK_PAUSE_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_changing(state: bytes) -> bool:
    """Whether a state says that a change is under way (or its writer died)."""
    return bool(_STATE.unpack(state)[3])


def sync_folder(path: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Mark a generation as complete: the last file that is written into it."""
    facts = {"magic": MAGIC, "format": FORMAT, "byteorder": sys.byteorder, **facts}
    facts["check"] = _check(facts)
    temporary = folder / f"{MANIFEST}.new"
    temporary.unlink(missing_ok=True)
    with temporary.open("x", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / MANIFEST)
    sync_folder(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a generation says.

    Raises: ImageError, when it is missing, torn, of another format or another kind of machine,
    or a file is shorter than it was when it was built. FileNotFoundError, when the whole
    generation is gone.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    try:
        facts = json.loads((folder / MANIFEST).read_text("utf-8"))
        check = facts.pop("check")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ImageError(f"{folder}: not complete; build the image anew") from error
    if facts.get("magic") != MAGIC or facts.get("format") != FORMAT:
        raise ImageError(f"{folder}: not an image of format {FORMAT}; build it anew")
    if check != _check(facts):
        raise ImageError(f"{folder}/{MANIFEST}: torn; build the image anew")
    if facts["byteorder"] != sys.byteorder:
        raise ImageError(f"{folder}: made on a {facts['byteorder']}-endian machine; build it anew")
    for name, octets in facts["octets"].items():
        file = folder / name
        if not file.exists() or file.stat().st_size < octets:
            raise ImageError(f"{file}: shorter than it was built; build the image anew")
    return dict(facts)


def _check(facts: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())
