"""What was loaded last: so a start serves the image that is there, and looks at it afterwards.

When a loader is done it leaves a note beside the image: what the configuration asked for, and the
size and time of every file and folder that this came from. As long as all that is the same, the
image answers what the configuration asks for, and a start need not wait for a look at the
database and at every record: workers serve at once, and the loader does its work behind them. Any
doubt means to wait for it.

The note says nothing about the image itself: the manifest does, and a catch-up, a compaction or
another build of the same store leave it as true as it was.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import rwhoisd
from rwhoisd.config import Config
from rwhoisd.directory.dialect import DIALECTS
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import Folder, read_manifest
from rwhoisd.masking import masked

NOTE: Final = "loaded.json"
_VERSION: Final = 1
_MIGRATIONS: Final = Path(rwhoisd.__file__).parent / "store/migrations/versions"

Seen = dict[str, list[int] | None]  # path → device, file, size, time; None for what is missing


def look(paths: Iterable[Path]) -> Seen:
    """How files and folders are now. A folder's time tells of files that come and go."""
    return {os.fsdecode(path): _stat(path) for path in paths}


def note(config: Config, seen: Seen) -> None:
    """Leave word that the image is that of ``config``, made of what was ``seen`` before.

    It is no misfortune when that fails: the next start waits for its loader.
    """
    text = json.dumps({"asked": _asked(config), "seen": {**seen, **look([_MIGRATIONS])}})
    with contextlib.suppress(OSError):
        temporary = config.image_path / f"{NOTE}.new"
        temporary.unlink(missing_ok=True)
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(config.image_path / NOTE)


def is_current(config: Config) -> bool:
    """Whether the image that is there answers what ``config`` asks for, as far as a look tells.

    Cost: a ``stat`` for each file that was loaded; no record is read.
    """
    try:
        told = json.loads((config.image_path / NOTE).read_text("utf-8"))
        if told["asked"] != _asked(config) or not _has_manifest(config):
            return False
        return all(_stat(Path(path)) == found for path, found in told["seen"].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ImageError):
        return False


def _asked(config: Config) -> str:
    """A digest of what decides what the image is, but the files that are loaded."""
    asked = (
        _VERSION,
        config.compat,
        str(config.image_path),
        masked(config.store_url),
        _identity(_store_file(config)),
        [str(config.path(zone)) for zone in config.zones],
        str(config.arin_config and config.path(config.arin_config)),
        config.query.leading_wildcard,
    )
    return hashlib.blake2b(repr(asked).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _store_file(config: Config) -> Path:
    """The file of an SQLite store; of another database we can tell nothing from here."""
    scheme, _, path = config.store_url.partition(":///")
    return Path(path.partition("?")[0]) if scheme.startswith("sqlite") else Path(os.devnull)


def _has_manifest(config: Config) -> bool:
    """Whether a whole generation of our format, with our line ends, is the one to be served."""
    folder = Folder(config.image_path)
    facts = read_manifest(folder.generation(folder.current()))
    return bool(facts["eol"].encode("ascii") == DIALECTS[config.compat].eol)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever is in it now."""
    found = _stat(path)
    return (found[0], found[1]) if found else None


def _stat(path: Path) -> list[int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return [seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns]
