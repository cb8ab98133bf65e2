"""Starts and stops the servers that are measured: ours, the echo server, ARIN's."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import generate
from bench.errors import BenchError
from bench.stats import ARIN, ECHO, OURS

_ASK_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.005
_STOP_SECONDS: Final = 15.0
_LOG_TAIL: Final = 2000  # characters of a log that go into an error
_PROBE: Final = f"network {generate.network_name(0)}"
# The indexer calls sort(1) with the key syntax of before POSIX 2001.
_INDEXER_ENV: Final = {"_POSIX2_VERSION": "199209", "LC_ALL": "C"}
# A name service that answers from files only: ARIN's server looks up each client's name, and
# waiting for somebody's DNS is not what is measured here.
_NO_DNS: Final = 'mount --bind "$1" /etc/nsswitch.conf && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. ``pid`` is the process all of its processes descend from."""

    name: str
    port: int
    pid: int
    first_answer_seconds: float  # from the start of the process to the first whole answer


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a server."""

    name: str
    command: Sequence[str]
    port: int
    log: Path
    folder: Path
    env: Mapping[str, str]
    patience_seconds: float


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def ask(port: int, line: str) -> bytes:
    """The whole answer to one query on its own connection, banner included."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ASK_SECONDS) as sock:
        sock.sendall(line.encode() + b"\r\n")
        parts = []
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def answered(answer: bytes) -> bool:
    """Whether an answer came to its end without an error."""
    return any(line.startswith(b"%ok") for line in answer.splitlines())


@contextmanager
def running(start: Start) -> Iterator[Server]:
    """The server of ``start``, answering; it is stopped at the end.

    Raises: BenchError with the end of its log, when it ends or does not answer in time.
    """
    began = time.perf_counter()
    with start.log.open("wb") as log:
        process = subprocess.Popen(
            start.command,
            cwd=start.folder,
            env=os.environ | start.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_answer(start, process, began + start.patience_seconds)
        yield Server(start.name, start.port, process.pid, time.perf_counter() - began)
    finally:
        _stop(process)


def _wait_for_answer(start: Start, process: subprocess.Popen[bytes], deadline: float) -> None:
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise BenchError(f"{start.name} ended with {process.returncode}: {_tail(start.log)}")
        with suppress(OSError):  # it does not listen yet
            if answered(ask(start.port, _PROBE)):
                return
        time.sleep(_POLL_SECONDS)
    raise BenchError(
        f"{start.name} gave no answer within {start.patience_seconds:.0f} s: {_tail(start.log)}"
    )


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:].strip() or "(no output)"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process politely, then whatever is left of the session that it began."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):  # nothing is left, as it should be
        os.killpg(process.pid, signal.SIGKILL)


def echo(out: Path, workers: int) -> Start:
    """The echo server (bench/echo.py)."""
    port = free_port()
    command = [sys.executable, "-m", "bench.echo", str(port), str(workers)]
    return Start(ECHO, command, port, out / "echo.log", Path.cwd(), {}, 30)


def ours(out: Path, root: Path, state: Path, workers: int, patience_seconds: float) -> Start:
    """Our server on an ARIN installation; ``state`` is where it keeps store and image."""
    program = Path(sys.executable).with_name("rwhoisd")
    if not program.exists():
        raise BenchError(f"{program} is not there: install the project (make dev) first")
    port = free_port()
    command = [str(program), "serve", "--arin-config", str(root / "rwhoisd.conf")]
    command += ["--listen", f"127.0.0.1:{port}", "--state", str(state), "--workers", str(workers)]
    # As it is installed: with its modules compiled, or at least kept so from the first start on.
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    return Start(OURS, command, port, out / "rwhoisd.log", out, env, patience_seconds)


def arin(out: Path, root: Path, binaries: Path) -> Start:
    """ARIN's server on an installation that was indexed; its configuration names the port."""
    port = free_port()
    generate.write_configuration(root, port)
    command = [str(binaries.resolve() / "rwhoisd"), "-c", "rwhoisd.conf", "-n", "-d"]
    return Start(
        ARIN, [*without_dns(out), *command], port, out / "arin.log", root, _INDEXER_ENV, 30
    )


def index_for_arin(root: Path, binaries: Path) -> float:
    """Index an installation with ARIN's own indexer; the seconds it took."""
    program = binaries.resolve() / "rwhois_indexer"
    command = [str(program), "-c", "rwhoisd.conf", "-i", "-q", "-s", "txt"]
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command, cwd=root, env=os.environ | _INDEXER_ENV, capture_output=True, check=False
        )
    except OSError as error:
        raise BenchError(f"--arin-bin: {program}: {error.strerror}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise BenchError(f"{program} ended with {done.returncode}: {said}")
    return time.perf_counter() - began


def without_dns(out: Path) -> list[str]:
    """What to put before a command so that it looks names up in files only.

    A private mount namespace with its own nsswitch.conf; empty where this user may not make
    one, and then the figures of ARIN's server hold that machine's DNS as well.
    """
    if not shutil.which("unshare"):
        return []
    names = out / "nsswitch.conf"
    names.write_text("passwd: files\ngroup: files\nhosts: files\n", encoding="ascii")
    for options in (["--mount"], ["--mount", "--map-root-user"]):
        prefix = ["unshare", *options, "sh", "-c", _NO_DNS, "sh", str(names)]
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return []


def private_megabytes(pid: int) -> float:
    """Memory that a process and all below it have for themselves (not page cache), in MB."""
    return sum(_anonymous_kilobytes(member) for member in family(pid)) / 1024


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    members = [pid]
    for member in members:  # grows while it is walked
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            with suppress(OSError):  # it ended while we looked
                members += map(int, task.read_text().split())
    return members


def _anonymous_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (ProcessLookupError, FileNotFoundError):
        return 0  # it ended while we looked
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")), 0)
