"""Which folders and links of the file system can be trusted: who else could have made them.

A name in a folder that others may write to can become a link to any file at any moment. So what
the server keeps lies in folders that nobody else may write to, new files are made under names that
nobody foresees and never through a link, and a link is only followed when it cannot be a trap.
"""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IWOTH
_ROOT: Final = 0


def distrust(folder: Path, owners: Collection[int] = ()) -> str:
    """Why others could put what they want in place of what lies in ``folder``; "" if they cannot.

    ``owners``: users who may own it, beside root and who asks. Folders above it may be like /tmp,
    where nobody can remove what belongs to others. Raises: OSError.
    """
    place = folder.resolve()
    status = place.stat()
    if status.st_uid not in {_ROOT, os.geteuid(), *owners}:
        return f"{place} belongs to another user ({status.st_uid}); give it to the server's: chown"
    if status.st_mode & _OTHERS:
        return f"{place} can be written by everybody; chmod o-w {place}"
    for above in place.parents:
        mode = above.stat().st_mode
        if mode & _OTHERS and not mode & stat.S_ISVTX:
            return f"{above} can be written by everybody; chmod o-w {above}"
    return ""


def is_trap(path: Path) -> bool:
    """Whether ``path`` is a link that somebody made who has no right to what it leads to.

    A link of root, of who asks, or of the owner of what it leads to is none. Raises: OSError.
    """
    status = path.lstat()
    if not stat.S_ISLNK(status.st_mode):
        return False
    return status.st_uid not in {_ROOT, os.geteuid(), path.stat().st_uid}


def lies_below(path: Path, *folders: Path) -> bool:
    """Whether a path, read as it is written, lies in one of the folders or below."""
    place = Path(os.path.normpath(path.absolute()))
    return any(place.is_relative_to(Path(os.path.normpath(f.absolute()))) for f in folders)
