"""The server as a process on loopback, for tests that need the whole of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.arin_tree import lay

# What is waited for comes in its time, however busy the machine is; who waits as long is told.
PATIENCE_SECONDS = 120.0
START_SECONDS = STOP_SECONDS = PATIENCE_SECONDS
_COMMAND = (sys.executable, "-c", "from rwhoisd.server.cli import main; main()")
_PORT = re.compile(r" on .*:(\d+)$")  # the last one, if it listens on several

# An area of addresses, with a record that says who it is for.
NETWORKS: Mapping[str, str] = {
    "rwhoisd.conf": (
        "local-host: rwhois.example.net\nsecurity-allow: allow\nsecurity-deny: deny\n"
        "deadman-time: 30\nverbosity: 6\n"
    ),
    "rwhoisd.auth_area": (
        "type: master\nname: 192.0.2.0/24\ndata-dir: a/data\nschema-file: a/schema\n"
        "soa-file: a/soa\n"
    ),
    "a/schema": (
        "name: network\nattributedef: a/network.tmpl\ndbdir: a/data/network\nschema-version: 1.0\n"
    ),
    "a/network.tmpl": (
        "attribute: Network-Name\nis-primary-key: TRUE\nis-required: TRUE\nindex: EXACT\n---\n"
        "attribute: IP-Network\nindex: CIDR\n---\n"
        "attribute: Org-Name\nindex: ALL\n"
    ),
    "a/data/network/network.txt": (
        "ID: 1.192.0.2.0/24\nNetwork-Name: POP-1\nIP-Network: 192.0.2.0/26\nOrg-Name: Example\n"
        "---\nID: 9.192.0.2.0/24\nNetwork-Name: POP-9\nIP-Network: 1.1.1.0/24\n"
    ),
    "a/thing.tmpl": "",
}


def installation(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    """An ARIN installation below ``root``, with other contents for the files in ``changes``."""
    (root / "a/data/network").mkdir(parents=True, exist_ok=True)
    return lay(root, {**NETWORKS, **(changes or {})})


@dataclass
class Process:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def ask(self, data: bytes, host: str = "127.0.0.1") -> bytes:
        """All the server sends for ``data``, until it closes."""
        with socket.create_connection((host, self.port), timeout=PATIENCE_SECONDS) as client:
            client.sendall(data)
            return read_all(client)

    def log(self) -> str:
        """What it wrote so far."""
        return self.output.read_text("utf-8", "replace")

    def hang_up(self) -> None:
        """Ask it to reload, and wait until it says what came of it."""
        seen = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        until(lambda: re.search(r"reloaded|serving (as before|by the old)", self.log()[seen:]))

    def workers(self) -> list[int]:
        """Process IDs of the children."""
        pid = self.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [int(word) for word in text.split()]

    def children(self, count: int) -> list[int]:
        """The same, once there are so many: the follower comes a moment after the port."""
        until(lambda: len(self.workers()) == count)
        return self.workers()

    def stop(self) -> int:
        """End it as a service manager does; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running(
    folder: Path, *arguments: str, program: Sequence[str] = _COMMAND, **environment: str
) -> Iterator[Process]:
    """A server that was started with ``serve`` and these arguments, on a port of its own."""
    output = folder / "server.out"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [*program, "serve", "--state", str(folder / "state"), *arguments],
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        port = until(lambda: _announced(process, output), START_SECONDS)
        yield Process(process, int(port), output)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise


def _announced(process: subprocess.Popen[bytes], output: Path) -> str | None:
    text = output.read_text("utf-8", "replace")
    assert process.poll() is None, text
    for line in text.splitlines():
        if line.startswith("rwhoisd serves") and (match := _PORT.search(line)):
            return match[1]
    return None


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port on loopback that the system gives to nobody within; servers of ours may listen there.

    It is bound and does not listen, which suffices for the system, and disturbs no server that
    shares its port.
    """
    with socket.socket() as holder:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            holder.setsockopt(socket.SOL_SOCKET, option, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``rwhoisd`` run to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


def read_all(client: socket.socket) -> bytes:
    """Everything up to the end of the other side."""
    pieces = []
    while piece := client.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


T = TypeVar("T")


def until(condition: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """The first value of ``condition`` that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return value
