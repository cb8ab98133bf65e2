"""Pages of an image in a process: to meet each for the first time costs about as much as an answer.

Reading the files brings them into the memory of the system. What is left is to map each page, of
LMDB's mapping as well, which Python has no other way to reach.
"""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MAPPINGS: Final = Path("/proc/self/maps")
_MADV_POPULATE_READ: Final = 22  # Linux 5.14
_AT_ONCE: Final = 1 << 25  # octets; other threads go on meanwhile


def populate(folder: Path) -> None:
    """Map every page of the files in ``folder`` that this process has mapped, and wait for them.

    Does nothing where the system cannot do it.
    """
    try:
        text = _MAPPINGS.read_text(encoding="utf-8", errors="surrogateescape")
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, octets in list(mapped(text, folder)):
        for done in range(0, octets, _AT_ONCE):
            if advise(start + done, min(_AT_ONCE, octets - done), _MADV_POPULATE_READ):
                break  # it cannot, or the mapping is gone


def mapped(text: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Start and octets of each mapping of a file in ``folder``, as far as the file goes.

    ``text``: as /proc/PID/maps has it. LMDB maps far more than there is.
    """
    prefix = f"{os.fsdecode(folder.resolve())}/"
    for line in text.splitlines():
        addresses, _, offset, _, _, *path = line.split(maxsplit=5)
        if path and path[0].startswith(prefix):
            start, _, end = addresses.partition("-")
            try:
                left = Path(path[0]).stat().st_size - int(offset, 16)
            except OSError:
                continue  # the file is gone
            octets = min(int(end, 16) - int(start, 16), left)
            if octets > 0:
                yield int(start, 16), octets
