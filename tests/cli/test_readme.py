"""The README is true: every command in it is run, in order, as a newcomer would."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.wire.process import START_SECONDS, reserved_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def console_blocks(page: str = README) -> list[list[tuple[str, list[str]]]]:
    """The console blocks: commands, each with the output that is shown below it."""
    blocks = []
    for text in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        commands: list[tuple[str, list[str]]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        blocks.append(commands)
    return blocks


@contextmanager
def serving(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """A server of the README while it runs."""
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            end = time.monotonic() + START_SECONDS
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
                        assert client.recv(1) == b"%"
                        break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.05)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(START_SECONDS) == 0, log.read_text()


def environment() -> dict[str, str]:
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {**os.environ, "PATH": os.pathsep.join(folders), "COLUMNS": "100", "NO_COLOR": "1"}


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, timeout=250, check=False
    )
    assert done.returncode == 0, (command, done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode()


def expect(shown: list[str], printed: str) -> None:
    """What the README shows stands in the output; ``...`` leaves lines out."""
    lines = iter([line.rstrip() for line in printed.splitlines()])
    exact = False
    for wanted in shown:
        if wanted == "...":
            exact = False
        elif exact:
            assert next(lines, None) == wanted
        else:
            assert wanted in lines
            exact = True


def served_by_make(port: int) -> list[str]:
    """What ``make serve`` runs once the environment is there."""
    printed = subprocess.run(
        ["make", "-n", "-s", "serve", f"LISTEN=127.0.0.1:{port}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = next(line for line in printed.splitlines() if "rwhoisd serve" in line)
    return ["rwhoisd", *shlex.split(command)[1:]]


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    for name in ("data", "schema"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "conformance" / "arin" / "data", tmp_path / "installation")
    commands = [command for block in console_blocks() for command in block]
    assert len(commands) > 10
    with reserved_port() as port, ExitStack() as current:
        current.enter_context(serving(served_by_make(port), tmp_path, port))
        for command, shown in commands:
            words = shlex.split(command.replace("127.0.0.1:4321", f"127.0.0.1:{port}"))
            words = [str(port) if word == "4321" else word for word in words]
            if words[:2] == ["rwhoisd", "serve"]:
                current.close()
                current.enter_context(serving(words, tmp_path, port))
                continue
            expect(shown, run(words, tmp_path))


def test_make_test_runs_every_kind_of_check() -> None:
    printed = subprocess.run(
        ["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports", "pytest", "coverage"):
        assert tool in printed


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
