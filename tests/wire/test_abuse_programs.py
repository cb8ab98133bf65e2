"""External directives: arguments that mean something to somebody, and programs that stay."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.abuse import abused, connect, rest, while_answered
from tests.wire.process import Process, until

PROGRAMS = {
    "args": '#!/bin/sh\nfor a in "$@"; do printf \'<%s>\' "$a"; done\necho\n',
    "stay": "#!/bin/sh\ntrap '' TERM INT HUP\necho $$ >>pids\nwhile :; do sleep 1; done\n",
    "forks": "#!/bin/sh\n(trap '' TERM; while :; do sleep 1; done) &\necho $! >>pids\nwait\n",
    "short": "#!/bin/sh\necho $$ >>running\nsleep 0.3\n",
}


def _tree(folder: Path, **files: str) -> dict[str, str]:
    """Files of an installation whose extended directives are ``PROGRAMS``."""
    places = folder / "programs"
    places.mkdir()
    for name, text in PROGRAMS.items():
        (places / name).write_text(text)
        (places / name).chmod(0o755)
    rows = "---\n".join(f"command: {n}\nprogram: {places / n} fixed\n" for n in PROGRAMS)
    return {"rwhoisd.x.dir": rows, **files}


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        pytest.param(b"a;b", b"<fixed><a;b>\n", id="semicolon"),
        pytest.param(b"$(id) `id` ${IFS}", b"<fixed><$(id)><`id`><${IFS}>\n", id="shell"),
        pytest.param(b"'a b' | >x <y &", b"<fixed><a b><|><>x><<y><&>\n", id="pipes"),
        pytest.param(b"../../etc/passwd", b"<fixed><../../etc/passwd>\n", id="dots"),
        pytest.param(b"*", b"<fixed><*>\n", id="star"),
        pytest.param(b"-rf", b"%error 338 ", id="option"),
        pytest.param(b"a --output=/etc/x", b"%error 338 ", id="long option"),
        pytest.param(b'"-x"', b"%error 338 ", id="option in quotes"),
        pytest.param(b"a\0b", b"%error 338 ", id="NUL"),
    ],
)
def test_arguments_are_arguments(
    programs: tuple[Process, Path], arguments: bytes, answer: bytes
) -> None:
    """No shell, and no options (programs.options)."""
    server, _ = programs
    with connect(server) as client:
        client.sendall(b"-X-args " + arguments + b"\r\n-quit\r\n")
        assert rest(client).partition(b"\n")[2].startswith(answer)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Path]]:
    """A server with programs that have a second, two at once."""
    folder = tmp_path_factory.mktemp("programs")
    files = _tree(folder)
    rows = [
        {"name": n, "command": [str(folder / "programs" / n), "fixed"], "seconds": 1}
        for n in PROGRAMS
    ]
    section = {"run": rows, "at_once": 2, "folder": str(folder)}
    with abused(folder, files=files, programs=section) as server:
        yield server, folder


@pytest.mark.parametrize("name", ["stay", "forks"])
def test_what_does_not_end_is_killed_with_its_children(
    programs: tuple[Process, Path], name: str
) -> None:
    """programs.run.seconds, and KILL for the whole group."""
    server, folder = programs
    with while_answered(server), connect(server) as client:
        client.sendall(f"-X-{name}\r\n-quit\r\n".encode())
        assert b"%error 402 " in rest(client)
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert pids
    until(lambda: not any(map(_lives, pids)))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text("ascii")
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_so_many_run_at_once(programs: tuple[Process, Path]) -> None:
    """programs.at_once: others wait as long as they might run, then are told 402."""
    server, folder = programs
    said: list[bytes] = []

    def ask() -> None:
        with connect(server) as client:
            client.sendall(b"-X-stay\r\n-quit\r\n")
            said.append(rest(client))

    (folder / "pids").unlink(missing_ok=True)
    with while_answered(server):
        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        pids = (folder / "pids").read_text().split() if (folder / "pids").exists() else []
        for thread in threads:
            thread.join(60)
    assert len(pids) <= 2
    assert len(said) == 40
    assert all(b"%error 402 " in one for one in said)
    assert len((folder / "pids").read_text().split()) <= 6
