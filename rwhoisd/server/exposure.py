"""Files with secrets that every user of the machine may read: told, as that is seldom meant."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rwhoisd.config import STORE_FILE, Config
from rwhoisd.masking import has_secret


def exposed(config: Config, file: Path) -> list[str]:
    """A line for each such file, with the mend; what cannot be looked at is left out.

    ``file`` is where the configuration came from.
    """
    return [
        f"{path}: {what}, and every user of this machine may read it: chmod o-rwx {path}"
        for path, what in _secrets(config, file)
        if _read_by_all(path)
    ]


def _secrets(config: Config, file: Path) -> Iterator[tuple[Path, str]]:
    for row in config.listen:
        if row.tls is not None:
            yield config.path(row.tls.key), "the private key of TLS"
    # Not when it came from a variable. A file that we cannot read is not open to all.
    url = config.store.url
    if has_secret(url) and os.access(file, os.R_OK) and url in file.read_text("utf-8", "replace"):
        yield file, "it holds the password of the database"
    yield config.state_path / STORE_FILE, "the store holds secrets of guardians"


def _read_by_all(path: Path) -> bool:
    """Whether others may read a file, and enter all folders above it."""
    try:
        if not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
    except OSError:
        return False
