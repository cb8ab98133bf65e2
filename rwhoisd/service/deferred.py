"""Registrations that wait for the store (RFC 2167 §3.3.9, code 120): a folder of files.

What was checked and allowed while the store was away is kept here until it is done. An entry is
one file, durable before the client hears of it; the names sort in the order of arrival. Done
ones are removed, refused ones are moved aside with the reason, for people to mend. The files are
private: they hold what was registered (secrets of guardians hashed).

FOLDER/id                  names this queue in the store, which keeps what it did last
FOLDER/lock                held by whoever adds an entry
FOLDER/doing               held by whoever does what waits
FOLDER/waiting/NAME.json   to be done
FOLDER/refused/NAME.json   could not be done
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.spool import Action, Record

MOST_ENTRIES: Final = 1_000  # waiting and refused
MOST_OCTETS: Final = 16 << 20  # of all of them
_WAITING: Final = "waiting"
_REFUSED: Final = "refused"
_END: Final = ".json"


@dataclass(frozen=True, slots=True)
class Deferred:
    """A registration as it is to be done: its records are the bytes of the wire as latin-1."""

    action: Action
    maintainer: str
    client: str  # address
    records: tuple[Record, ...]
    name: str = ""  # within the queue
    taken: str = ""  # when, for people
    reason: str = ""  # why it was refused

    def to_json(self) -> bytes:
        """As it is written."""
        fields = asdict(self)
        del fields["name"]
        return json.dumps(fields, indent=1).encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Self:
        """What ``to_json`` wrote. Raises: ValueError."""
        try:
            fields: dict[str, Any] = json.loads(data)
            found = tuple(
                tuple((str(n), str(v)) for n, v in record) for record in fields.pop("records")
            )
            return cls(records=found, name=name, **fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no deferred registration: {error}") from None


class DeferredQueue:
    """The queue in a folder, shared by all processes of a node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def waits(self) -> bool:
        """Whether anything waits to be done."""
        return bool(self._names(_WAITING))

    def put(self, entry: Deferred) -> str:
        """Keep an entry; its name. It is durable when this returns.

        Raises: RwhoisError 501, when there is no room for it in the queue, or on the disk.
        """
        try:
            return self._put(entry)
        except OSError as error:
            raise RwhoisError(ResponseCode.SERVICE_NOT_AVAILABLE) from error

    def _put(self, entry: Deferred) -> str:
        self._make()
        with self._held("lock", wait=True):
            names = self._names(_WAITING)
            moment = max(time.time_ns(), _moment(names[-1]) + 1 if names else 0)
            taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment // 1_000_000_000))
            data = replace(entry, taken=taken).to_json()
            kept = [path.stat().st_size for path in self.folder.glob(f"*/*{_END}")]
            if len(kept) >= MOST_ENTRIES or sum(kept) + len(data) > MOST_OCTETS:
                raise RwhoisError(ResponseCode.SERVICE_NOT_AVAILABLE)
            name = f"{moment:020d}-{secrets.token_hex(4)}"
            _write(self.folder / _WAITING / (name + _END), data)
            return name

    def waiting(self) -> Iterator[Deferred]:
        """What waits, first come first. A file that is none of ours is moved aside."""
        for name in self._names(_WAITING):
            path = self.folder / _WAITING / name
            try:
                entry = Deferred.from_json(path.read_bytes(), name.removesuffix(_END))
            except FileNotFoundError:
                continue
            except ValueError:
                path.rename(self.folder / _REFUSED / name)
                continue
            yield entry

    def refused(self) -> Iterator[Deferred]:
        """What could not be done, with the reason."""
        for name in self._names(_REFUSED):
            try:
                data = (self.folder / _REFUSED / name).read_bytes()
                yield Deferred.from_json(data, name.removesuffix(_END))
            except FileNotFoundError:
                continue
            except ValueError as error:
                entry = Deferred("add", "", "", (), name.removesuffix(_END))
                yield replace(entry, reason=str(error))

    def done(self, entry: Deferred) -> None:
        """Forget an entry that was done, before the next one is."""
        (self.folder / _WAITING / (entry.name + _END)).unlink(missing_ok=True)
        _sync(self.folder / _WAITING)

    def refuse(self, entry: Deferred, reason: str) -> Path:
        """Move an entry aside, with the reason; where it is now."""
        kept = self.folder / _REFUSED / (entry.name + _END)
        _write(kept, replace(entry, reason=reason).to_json())
        self.done(entry)
        return kept

    def retry(self, name: str) -> bool:
        """Let a refused entry wait again; False when there is none of this name."""
        path = self.folder / _REFUSED / (name + _END)
        try:
            entry = Deferred.from_json(path.read_bytes(), name)
        except (FileNotFoundError, ValueError):
            return False
        self.put(replace(entry, reason=""))
        path.unlink()
        return True

    def drop(self, name: str) -> bool:
        """Forget a refused entry; False when there is none of this name."""
        try:
            (self.folder / _REFUSED / (name + _END)).unlink()
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def doing(self) -> Iterator[bool]:
        """The right to do what waits, if nobody else has it: whether it was given."""
        with self._held("doing", wait=False) as held:
            yield held

    def identity(self) -> str:
        """What names this queue in a store that others use, too."""
        path = self.folder / "id"
        if not path.exists():
            _write(path, secrets.token_hex(8).encode("ascii"))
        return path.read_text("ascii")

    def _names(self, kind: str) -> Sequence[str]:
        try:
            found = [path.name for path in (self.folder / kind).iterdir()]
        except FileNotFoundError:
            return ()
        return sorted(name for name in found if _moment(name) >= 0)

    def _make(self) -> None:
        for path in (self.folder, self.folder / _WAITING, self.folder / _REFUSED):
            if not path.is_dir():
                path.mkdir(mode=0o700, exist_ok=True)
                _sync(path.parent)

    @contextmanager
    def _held(self, name: str, *, wait: bool) -> Iterator[bool]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.folder / name, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        try:
            yield held
        finally:
            os.close(descriptor)


def _moment(name: str) -> int:
    """The moment in the name of an entry; -1 for a file that is none."""
    text, dash, _ = name.partition("-")
    return int(text) if dash and text.isdecimal() and name.endswith(_END) else -1


def _write(path: Path, data: bytes) -> None:
    """Make a private file, whole and durable or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        _sync(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
