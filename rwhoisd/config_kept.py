"""What a configuration became when it was checked, kept in the state folder for the next start.

Checking needs pydantic, whose loading takes longer than all else of a start. So what was checked
is kept, under a digest of all that it depends on: what the file says, the options, the variables,
and this program. Where anything is in doubt it is checked again.

The file is only for who wrote it, and taken only from who starts the server: when that is root,
the user who serves later could else choose what root does. A password of the database is not in
it; it comes from the configuration each time.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import rwhoisd
from rwhoisd.config import ENVIRONMENT_PREFIX, Config, fields_of
from rwhoisd.masking import has_secret

NAME: Final = "config.json"
_MOST_OCTETS: Final = 1 << 20
# What decides how a configuration is checked; an installation of another release changes them.
_PROGRAM: Final = ("config.py", "config_check.py", "directory/access.py", "protocol/directives.py")


class KeptConfig:
    """The keeper of one state folder."""

    def __init__(self, place: Callable[[Mapping[str, Any]], Path]) -> None:
        """``place`` guesses the state folder from data that was not checked."""
        self._place = place
        self._told = ""

    def find(self, data: Mapping[str, Any]) -> Config | None:
        """What the same data became the last time, if that is beyond doubt."""
        try:
            told = json.loads(_own_text(self._place(data) / NAME))
            if told["key"] != _key(data):
                return None
            config: Config = _revived(Config, told["config"])
            config = replace(config, given=frozenset(told["given"]))
            if told["secret"]:
                config = replace(config, store=replace(config.store, url=data["store"]["url"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        return config

    def keep(self, data: Mapping[str, Any], config: Config) -> None:
        """Take note of what data became, for ``save``."""
        secret = has_secret(config.store.url)
        if secret and config.store.url != _url(data):
            return  # it came from a variable, which is nowhere on the disk, and stays so
        shown = replace(config, store=replace(config.store, url="")) if secret else config
        told = {
            "key": _key(data),
            "secret": secret,
            "given": sorted(config.given),
            "config": _flat(shown),
        }
        self._told = json.dumps(told)

    def save(self, folder: Path) -> None:
        """Write down what was noted. It is no misfortune when that fails."""
        if self._told:
            with suppress(OSError):
                _write(folder / NAME, self._told)


def _key(data: Mapping[str, Any]) -> str:
    """A digest of all that the result depends on, but a password."""
    folder = Path(rwhoisd.__file__).parent
    program = [(folder / name).stat() for name in _PROGRAM]
    variables = {n: v for n, v in os.environ.items() if n.upper().startswith(ENVIRONMENT_PREFIX)}
    store = data.get("store")
    if isinstance(store, Mapping) and has_secret(_url(data)):
        data = {**data, "store": {**store, "url": ""}}
    asked = (
        sys.version,
        [(seen.st_ino, seen.st_size, seen.st_mtime_ns) for seen in program],
        sorted(variables.items()),
        json.dumps(data, sort_keys=True, default=repr),
    )
    return hashlib.blake2b(repr(asked).encode("utf-8", "replace"), digest_size=32).hexdigest()


def _url(data: Mapping[str, Any]) -> str:
    store = data.get("store")
    return str(store.get("url", "")) if isinstance(store, Mapping) else ""


def _own_text(path: Path) -> bytes:
    """What a file says that nobody but this very user can have written. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        ours = stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid() and seen.st_nlink == 1
        if not ours or seen.st_mode & 0o077 or seen.st_size > _MOST_OCTETS:
            raise PermissionError(path)
        return file.read(_MOST_OCTETS)


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _flat(value: Any) -> Any:
    """A value as JSON has it."""
    if is_dataclass(value):
        return {f.name: _flat(getattr(value, f.name)) for f in fields_of(type(value))}
    if isinstance(value, tuple):
        return [_flat(row) for row in value]
    if isinstance(value, dict):
        return {name: _flat(row) for name, row in value.items()}
    return os.fspath(value) if isinstance(value, Path) else value


def _revived(annotation: Any, value: Any) -> Any:
    """The value of an option again. Raises: LookupError, TypeError, for what is none."""
    if is_dataclass(annotation) and isinstance(annotation, type):
        options = fields_of(annotation)
        return annotation(**{f.name: _revived(f.type, value[f.name]) for f in options})
    if annotation is Path:
        return Path(value)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _revived(arguments[0], value)
    if origin in (Union, UnionType):
        return None if value is None else _revived(arguments[0], value)
    if origin is tuple:
        return tuple([_revived(arguments[0], row) for row in value])
    if origin is dict:
        return {name: _revived(arguments[1], row) for name, row in value.items()}
    return value
