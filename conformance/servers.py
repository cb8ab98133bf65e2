"""Where the server under test comes from: it runs already, or it is started for a variant."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from conformance.wire import Endpoint

_START_SECONDS = 90.0
_STOP_SECONDS = 10.0
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\s/]+)):(?P<port>\d{1,5})")


class ServerError(Exception):
    """The server under test could not be started; the text is for people."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What a server is started with.

    ``config`` sets tags of ``rwhoisd.conf``, ``files`` replaces files of the data (text by name),
    ``mode`` is the compatibility mode that the expected answers are written for.
    """

    data: Path
    config: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    mode: str = "arin"

    @property
    def plain(self) -> bool:
        """Nothing is set: any server that holds the data will do."""
        return not self.config and not self.files


class Target(Protocol):
    """A source of servers. ``fixed``: there is one, as it is, whatever the variant says."""

    fixed: bool
    name: str

    def serve(self, variant: Variant) -> AbstractAsyncContextManager[Endpoint]:
        """A running server for the length of the context.

        Raises: ServerError: it did not come up; says what it printed.
        """
        ...


class FixedTarget:
    """A server that is running already."""

    fixed = True

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.name = f"{endpoint.host}:{endpoint.port}"

    @asynccontextmanager
    async def serve(self, variant: Variant) -> AsyncIterator[Endpoint]:  # noqa: ARG002
        """The server there is; ``variant`` does not change it."""
        yield self._endpoint


class SpawnTarget:
    """A server started by a shell command on a private copy of the data.

    ``{dir}`` is the copy, ``{port}`` a free port, ``{mode}`` the variant's mode. The copy's
    rwhoisd.conf carries the variant's settings and the port.
    """

    fixed = False

    def __init__(self, command: str) -> None:
        self.name = command
        self._command = command

    @asynccontextmanager
    async def serve(self, variant: Variant) -> AsyncIterator[Endpoint]:
        """A new server of its own; its data are removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="rwhois-conformance-") as folder:
            place = Path(folder) / "data"
            await asyncio.to_thread(shutil.copytree, variant.data, place)
            async with self._run(variant, place) as endpoint:
                yield endpoint

    @asynccontextmanager
    async def _run(self, variant: Variant, place: Path) -> AsyncIterator[Endpoint]:
        async with AsyncExitStack() as stack:
            port = stack.enter_context(_held_port("127.0.0.1"))
            try:
                endpoint = await self._start(stack, variant, place, port)
            except ServerError:  # perhaps it cannot listen where a port is held
                endpoint = await self._start(stack, variant, place, _free_port("127.0.0.1"))
            yield endpoint

    async def _start(
        self, stack: AsyncExitStack, variant: Variant, place: Path, port: int
    ) -> Endpoint:
        endpoint = Endpoint("127.0.0.1", port)
        lay_out(place, variant, port)
        words = {"dir": str(place), "port": str(port), "mode": variant.mode}
        process = await stack.enter_async_context(_process(_filled(self._command, words), place))
        await _came_up(process, endpoint, place.parent / "output")
        return endpoint


class ArinTarget:
    """An operator's own build of ARIN's ``rwhoisd``, found with its indexer in one folder."""

    fixed = False

    def __init__(self, folder: Path) -> None:
        self.name = f"arin:{folder}"
        for program in ("rwhoisd", "rwhois_indexer"):
            if not os.access(folder / program, os.X_OK):
                raise ServerError(
                    f"{folder / program}: no such program; build ARIN's rwhoisd first"
                )
        folder = folder.resolve()
        # The indexer calls sort(1) with an option form that POSIX dropped, hence the variable;
        # it stops with 99 at an area without files of its own (a slave), which is no failure.
        # The server looks every client up in the DNS: no use in waiting long for that.
        self._spawn = SpawnTarget(
            "cd {dir} && export _POSIX2_VERSION=199209 LC_ALL=C "
            "RES_OPTIONS='timeout:1 attempts:1'; "
            f"'{folder}/rwhois_indexer' -c rwhoisd.conf -i -q -s txt; "
            f"exec '{folder}/rwhoisd' -c rwhoisd.conf -n -d"
        )

    def serve(self, variant: Variant) -> AbstractAsyncContextManager[Endpoint]:
        """A new server of its own."""
        return self._spawn.serve(variant)


def target_from_text(text: str) -> Target:
    """``HOST:PORT``, ``arin:DIR``, or else a command to spawn.

    Raises: ServerError: a folder without ARIN's programs.
    """
    if text.startswith("arin:"):
        return ArinTarget(Path(text[5:]))
    if match := _ADDRESS.fullmatch(text):
        return FixedTarget(Endpoint(match["v6"] or match["host"], int(match["port"])))
    return SpawnTarget(text)


def lay_out(place: Path, variant: Variant, port: int) -> None:
    """Writes the variant's files and settings into a private copy of the data."""
    for name, text in variant.files.items():
        (place / name).write_text(text, encoding="latin-1")
    _set_tags(place / "rwhoisd.conf", {**variant.config, "local-port": str(port)})


def _set_tags(path: Path, settings: Mapping[str, str]) -> None:
    wanted = {tag.lower(): f"{tag}: {value}" for tag, value in settings.items()}
    kept = [
        line
        for line in path.read_text(encoding="latin-1").splitlines()
        if line.lstrip().startswith("#") or line.partition(":")[0].strip().lower() not in wanted
    ]
    path.write_text("\n".join([*kept, *wanted.values()]) + "\n", encoding="latin-1")


def _filled(command: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        command = command.replace("{" + name + "}", value)
    return command


@contextmanager
def _held_port(host: str) -> Iterator[int]:
    """A port that the system gives to nobody else; who sets SO_REUSEADDR can listen there."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, 0))
        yield int(holder.getsockname()[1])


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _process(line: str, place: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process group of its own, which is ended with the context."""
    with (place.parent / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            line,
            cwd=place,
            env={**os.environ, "LC_ALL": "C"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children that outlived their leader


async def _came_up(process: asyncio.subprocess.Process, endpoint: Endpoint, output: Path) -> None:
    """Returns when the server has shown its banner."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _START_SECONDS
    while not await _greets(endpoint):
        gone = process.returncode not in (None, 0)
        if gone or loop.time() > end:
            said = await asyncio.to_thread(_last_words, output)
            raise ServerError(f"the server did not come up: {said or 'it printed nothing'}")
        await asyncio.sleep(0.02)


def _last_words(output: Path) -> str:
    return output.read_bytes()[-2000:].decode("latin-1").strip()


async def _greets(endpoint: Endpoint) -> bool:
    try:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    except OSError:
        return False
    try:
        return bool(await asyncio.wait_for(reader.read(1), _START_SECONDS))
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
