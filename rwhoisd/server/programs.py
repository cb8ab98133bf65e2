"""External directives: programs run with an argument vector, never a shell, and within bounds.

A program gets no input, next to no environment, its own process group, and a folder to work
in. When its time or output is used up, the whole group is killed.
"""

import asyncio
import os
import pwd
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from rwhoisd.config import ProgramConfig
from rwhoisd.protocol.directives import X_PREFIX, Directive
from rwhoisd.server.gate import Gate
from rwhoisd.service.ports import ProgramResult

_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_CHUNK_OCTETS: Final = 1 << 16
AT_ONCE: Final = 16  # programs of one worker


class LocalPrograms:
    """The programs of this machine; ``folder`` is where they run."""

    def __init__(
        self,
        rows: Sequence[ProgramConfig],
        folder: Path,
        search: Sequence[Path] = (),
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._rows = {(X_PREFIX + row.name).lower(): row for row in rows}
        self._folder = folder
        self._search = (folder, *search)
        self._gate = Gate(at_once)

    async def run(self, directive: Directive, arguments: Sequence[str]) -> ProgramResult:
        """Run the program of ``directive`` with its own and then the client's arguments."""
        row = self._rows[directive.name.lower()]
        path = self._find(row.command[0])
        if path is None:
            return ProgramResult(b"", f"there is no program {row.command[0]}")
        async with self._gate.place(row.seconds) as place:
            if not place:
                return ProgramResult(b"", "too many programs run already")
            return await self._run(path, row, arguments)

    async def _run(self, path: Path, row: ProgramConfig, arguments: Sequence[str]) -> ProgramResult:
        try:
            process = await asyncio.create_subprocess_exec(
                path,
                *row.command[1:],
                # Bytes of the client, as they came; a NUL cannot be in an argument.
                *(a.encode("latin-1", "replace").replace(b"\0", b"") for a in arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=None if row.user else self._folder,
                env=_ENVIRONMENT,
                start_new_session=True,
                preexec_fn=_become(row.user, self._folder),
            )
        except (OSError, KeyError) as error:
            return ProgramResult(b"", f"{path} cannot be run: {error}")
        return await _result(process, row)

    def _find(self, name: str) -> Path | None:
        """The program as given, relative to the folder, or below a folder of the search list."""
        for place in self._search:
            path = place / name
            if path.is_file() and os.access(path, os.X_OK):
                return path.absolute()
        return None


async def _result(process: asyncio.subprocess.Process, row: ProgramConfig) -> ProgramResult:
    """What the program says until it ends, or until its time or output is used up."""
    output = bytearray()
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
                failure = f"exit status {status}" if status else ""
    except TimeoutError:
        failure = f"not done after {row.seconds:g} seconds"
    finally:
        # Its children may outlive it and hold nothing of ours; they go as well.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return ProgramResult(bytes(output[: row.output_octets]), failure)


def _become(user: str, folder: Path) -> Callable[[], None] | None:
    """What the child does to become ``user``; nothing when none is named. Raises: KeyError."""
    if not user:
        return None
    entry = pwd.getpwnam(user)
    return partial(_drop, entry.pw_name, entry.pw_uid, entry.pw_gid, folder)


def _drop(name: str, user: int, group: int, folder: Path) -> None:
    # First the folder: it may be one that only we may enter, such as the state folder.
    os.chdir(folder)
    os.initgroups(name, group)
    os.setgid(group)
    os.setuid(user)
