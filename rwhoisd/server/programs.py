"""External programs, of X- directives and of classes: an argument vector, no shell, within bounds.

A program gets no input, next to no environment, its own process group, limits on its processor
time and memory, and a folder to work in. When its time or output is used up, the whole group is
killed. What a parse program is to look at lies in a file of its own, which is gone afterwards.
"""

import asyncio
import logging
import math
import os
import pwd
import resource
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rwhoisd.config import CageConfig, ParseConfig, ProgramConfig
from rwhoisd.protocol.directives import X_PREFIX, Directive
from rwhoisd.server.gate import Gate
from rwhoisd.service.ports import Parsed, Parsing, ProgramResult

logger = logging.getLogger(__name__)

_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_CHUNK_OCTETS: Final = 1 << 16
AT_ONCE: Final = 16  # programs of one worker
_FILES: Final = 1024  # that a program may have open; the server's own limit is far higher
_PREFIX: Final = "parse-"  # of the folders that a registration's file lies in
_RECORD: Final = "record"
_LEFT_SECONDS: Final = 3600.0  # beyond the time of a program: then its server was killed


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom a program is run as, looked up before the fork: there it might wait for a lock."""

    user: int
    group: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, name: str) -> "_Account | None":
        """None for nobody else than we are. Raises: KeyError."""
        if not name:
            return None
        entry = pwd.getpwnam(name)
        groups = os.getgrouplist(name, entry.pw_gid)
        return cls(entry.pw_uid, entry.pw_gid, tuple(groups))


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a process ended: ``status`` is None, when it did not do so by itself."""

    output: bytes
    status: int | None
    failure: str = ""


class LocalPrograms:
    """The programs of this machine; ``folder`` is where they run."""

    def __init__(
        self,
        rows: Sequence[ProgramConfig],
        folder: Path,
        search: Sequence[Path] = (),
        *,
        parse: ParseConfig | None = None,
        spool: Path | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        """``spool`` is where the files of parse programs lie; None: in ``folder``."""
        self._rows = {(X_PREFIX + row.name).lower(): row for row in rows}
        self._folder = folder
        self._search = (folder, *search)
        self._parse = parse or ParseConfig()
        self._spool = spool or folder / "spool"
        self._gate = Gate(at_once)

    async def run(self, directive: Directive, arguments: Sequence[str]) -> ProgramResult:
        """Run the program of ``directive`` with its own and then the client's arguments."""
        row = self._rows[directive.name.lower()]
        # Bytes of the client, as they came; a NUL cannot be in an argument.
        given = [a.encode("latin-1", "replace").replace(b"\0", b"") for a in arguments]
        ended = await self._caged(row, row.command[0], [*row.command[1:], *given], {})
        status = f"exit status {ended.status}" if ended.status else ""
        return ProgramResult(ended.output, ended.failure or status)

    async def parse(self, parsing: Parsing) -> Parsed:
        """Have a parse program look at a registration (arin-rwhoisd.md §6.6)."""
        row = self._parse
        try:
            account = _Account.of(row.user)
            await asyncio.to_thread(_sweep, self._spool, row.seconds + _LEFT_SECONDS)
            place = await asyncio.to_thread(_lay, self._spool, account, parsing.content)
        except (OSError, KeyError) as error:
            return Parsed(b"", None, b"", f"the file for it cannot be written: {error}")
        try:
            environment = self._environment(parsing)
            path = str(place / _RECORD)
            ended = await self._caged(row, parsing.program, [path], environment)
            if ended.status != 0:
                return Parsed(ended.output, ended.status, b"", ended.failure)
            content = await asyncio.to_thread(_taken, place, row.output_octets)
            return Parsed(ended.output, 0, content)
        except OSError as error:
            return Parsed(ended.output, None, b"", f"the file it left cannot be read: {error}")
        finally:
            await asyncio.to_thread(_clear, place)

    def _environment(self, parsing: Parsing) -> dict[str, str]:
        """The variables of a parse program; what the client said comes as the bytes it was."""
        wanted = {
            "BIN_PATH": str(self._search[1].absolute()) if len(self._search) > 1 else "",
            "ACTION": parsing.action,
            "EMAIL": _as_sent(parsing.maintainer),
            "CLIENT_VENDOR": _as_sent(parsing.client),
        }
        return {name: value for name, value in wanted.items() if value}

    async def _caged(
        self,
        row: CageConfig,
        program: str,
        arguments: Sequence[str | bytes],
        environment: Mapping[str, str],
    ) -> _Ended:
        """Run a program to its end, or to that of its bounds, when its turn has come."""
        path = self._find(program)
        if path is None:
            return _Ended(b"", None, f"there is no program {program}")
        async with self._gate.place(row.seconds) as turn:
            if not turn:
                return _Ended(b"", None, "too many programs run already")
            try:
                process = await asyncio.create_subprocess_exec(
                    path,
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    cwd=None if row.user else self._folder,
                    env={**_ENVIRONMENT, **environment},
                    start_new_session=True,
                    preexec_fn=_cage(row, self._folder),
                )
            except (OSError, KeyError) as error:
                return _Ended(b"", None, f"{path} cannot be run: {error}")
            return await _end(process, row)

    def _find(self, name: str) -> Path | None:
        """The program as given, relative to the folder, or below a folder of the search list."""
        for place in self._search:
            path = place / name
            if path.is_file() and os.access(path, os.X_OK):
                return path.absolute()
        return None


def _as_sent(text: str) -> str:
    """Text that was read as latin-1, as the system's calls take the same bytes."""
    return os.fsdecode(text.encode("latin-1", "replace").replace(b"\0", b""))


async def _end(process: asyncio.subprocess.Process, row: CageConfig) -> _Ended:
    """What the program says until it ends, or until its time or output is used up."""
    output = bytearray()
    status: int | None = None
    failure = ""
    try:
        async with asyncio.timeout(row.seconds):
            assert process.stdout is not None
            while chunk := await process.stdout.read(_CHUNK_OCTETS):
                output += chunk
                if len(output) > row.output_octets:
                    failure = f"more than {row.output_octets} octets of output"
                    break
            else:
                status = await process.wait()
    except TimeoutError:
        failure = f"not done after {row.seconds:g} seconds"
    finally:
        # Its children may outlive it and hold nothing of ours; they go as well.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if status is not None and status < 0:
        failure = f"ended by signal {-status}"
        status = None
    return _Ended(bytes(output[: row.output_octets]), status, failure)


# -- what happens between fork and exec


def _cage(row: CageConfig, folder: Path) -> Callable[[], None]:
    """What the child does to be in its cage. Raises: KeyError, for a user that is not there."""
    account = _Account.of(row.user)
    seconds = math.ceil(row.seconds) + 1
    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),  # also for what left the process group
        (resource.RLIMIT_NOFILE, _FILES),
    ]
    if row.memory_octets:
        limits.append((resource.RLIMIT_AS, row.memory_octets))
    lowered = [(kind, _at_most(kind, wanted)) for kind, wanted in limits]

    def become() -> None:
        for kind, limit in lowered:
            resource.setrlimit(kind, (limit, limit))
        if account is not None:
            # First the folder: it may be one that only we may enter, such as the state folder.
            os.chdir(folder)
            os.setgroups(account.groups)
            os.setgid(account.group)
            os.setuid(account.user)

    return become


def _at_most(kind: int, wanted: int) -> int:
    """``wanted``, or less where we have no more ourselves."""
    _, hard = resource.getrlimit(kind)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


# -- the file of a parse program


def _lay(spool: Path, account: _Account | None, content: bytes) -> Path:
    """A folder of its own below ``spool``, with a file of ``content``, both the program's."""
    with suppress(FileExistsError):  # one that is there keeps its rights
        spool.mkdir(parents=True)  # B22
        spool.chmod(0o711)  # its user has to get through, but not to see what there is
    place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=spool.absolute()))
    try:
        record = place / _RECORD
        with record.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
        if account is not None:
            for path in (record, place):
                os.chown(path, account.user, account.group)
    except OSError:
        _clear(place)
        raise
    return place


def _taken(place: Path, most: int) -> bytes:
    """What the program left in the file. Raises: OSError.

    The file may be another user's, and what it names not be that user's to read: so neither
    links are followed, nor is anything read but a file with this one name.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(place / _RECORD, flags)
    with open(descriptor, "rb") as file:  # noqa: PTH123
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise OSError("it is no file of its own")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is longer than {most} octets")
    return content


def _clear(place: Path) -> None:
    """Remove the folder of a registration (B34)."""
    shutil.rmtree(place, ignore_errors=True)
    if place.exists():
        logger.warning("%s cannot be removed", place)


def _sweep(spool: Path, seconds: float) -> None:
    """Remove what a server that was killed has left: all that is older than ``seconds``."""
    for place in spool.glob(_PREFIX + "*"):
        with suppress(OSError):
            if place.lstat().st_mtime < time.time() - seconds:
                _clear(place)
