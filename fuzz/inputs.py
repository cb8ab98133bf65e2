"""An input: a line of words, then the body."""

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

Target = Callable[[bytes], None]  # raises whatever is wrong
SECONDS: Final = 20.0  # of this process for one input: generous, for machines that are busy


class BrokenPromiseError(AssertionError):
    """Something that is promised whatever comes does not hold."""


def require(holds: object, promise: str) -> None:
    """Raises: BrokenPromiseError, unless it holds."""
    if not holds:
        raise BrokenPromiseError(promise)


def split(data: bytes) -> tuple[list[str], bytes]:
    """The words of the first line, and what follows it."""
    head, _, body = data.partition(b"\n")
    return head.decode("latin-1").split(), body


def join(words: Sequence[str], body: bytes) -> bytes:
    """The input of these words and this body."""
    return " ".join(words).encode("latin-1") + b"\n" + body


def number(words: Sequence[str], at: int, most: int) -> int:
    """The number that stands at a place; 0 when there is none."""
    text = words[at] if at < len(words) else ""
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@cache
def scratch() -> Path:
    """A folder for everything that is written; it goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="rwhoisd-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def hurried() -> Iterator[None]:
    """Raises: BrokenPromiseError, when what is done inside takes this process too long."""
    began = time.process_time()
    yield
    spent = time.process_time() - began
    require(spent < SECONDS, f"one input took {spent:.1f} seconds")
