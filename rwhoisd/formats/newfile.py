"""A file that appears, or changes, only when all of it is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rwhoisd.formats.findings import failed


@contextmanager
def new_file(target: Path) -> Iterator[Callable[[str], object]]:
    """What takes the text of a file; a file that is there is replaced at the end.

    Raises: FormatError, when something that is no file stands at ``target``; OSError.
    """
    target = target.resolve()
    if target.exists() and not target.is_file():
        raise failed(target, 0, "is no regular file; name a file, or - for standard output")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
