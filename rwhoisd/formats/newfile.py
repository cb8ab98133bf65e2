"""A file that appears, or changes, only when all of it is written."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rwhoisd.formats.findings import failed
from rwhoisd.formats.trust import distrust

_NAME: Final = 100  # letters of the name that the unfinished file bears


@contextmanager
def new_file(target: Path) -> Iterator[Callable[[str], object]]:
    """What takes the text of a file; a file that is there is replaced at the end.

    A link is followed, but not out of a folder where anybody may have put it.
    Raises: FormatError, when something that is no file stands at ``target``; OSError.
    """
    if target.is_symlink() and distrust(target.parent):
        raise failed(target, 0, "is a link in a folder that others may write to; name its target")
    target = target.resolve()
    if target.exists() and not target.is_file():
        raise failed(target, 0, "is no regular file; name a file, or - for standard output")
    # Made anew under a name that nobody foresees, readable as the file that it replaces.
    handle, name = tempfile.mkstemp(".partial", f".{target.name[:_NAME]}.", target.parent)
    partial = Path(name)
    try:
        os.fchmod(handle, _mode(target))
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _mode(target: Path) -> int:
    """The rights of a file that is there, else those that the user's mask leaves."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask
