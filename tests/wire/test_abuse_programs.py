"""External directives: arguments that mean something to somebody, and programs that stay."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.wire.abuse import abused, connect, read_to, rest, while_answered
from tests.wire.process import PATIENCE_SECONDS, Process, until

PROGRAMS = {
    "args": '#!/bin/sh\nfor a in "$@"; do printf \'<%s>\' "$a"; done\necho\n',
    "stay": "#!/bin/sh\ntrap '' TERM INT HUP\necho $$ >>pids\nwhile :; do sleep 1; done\n",
    "forks": "#!/bin/sh\n(trap '' TERM; while :; do sleep 1; done) &\necho $! >>pids\nwait\n",
    "hold": "#!/bin/sh\necho begin >>told\nuntil [ -e go ]; do sleep 0.1; done\necho end >>told\n",
    "short": "#!/bin/sh\necho ran\n",
}
AT_ONCE = 2
SECONDS = {"args": PATIENCE_SECONDS, "hold": PATIENCE_SECONDS}  # of the others one half


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
    """A server with programs that have half a second or very long, two at once."""
    folder = tmp_path_factory.mktemp("programs")
    files = _tree(folder)
    rows = [
        {
            "name": n,
            "command": [str(folder / "programs" / n), "fixed"],
            "seconds": SECONDS.get(n, 0.5),
        }
        for n in PROGRAMS
    ]
    section = {"run": rows, "at_once": AT_ONCE, "folder": str(folder)}
    with abused(folder, files=files, programs=section) as server:
        yield server, folder


@pytest.mark.parametrize("name", ["stay", "forks"])
def test_what_does_not_end_is_killed_with_its_children(
    programs: tuple[Process, Path], name: str
) -> None:
    """programs.run.seconds, and KILL for the whole group."""
    server, folder = programs
    pids = folder / "pids"
    pids.unlink(missing_ok=True)

    def is_killed() -> bool:
        """Whether it was, and had come so far as to tell its number."""
        with connect(server) as client:
            client.sendall(f"-X-{name}\r\n-quit\r\n".encode())
            assert b"%error 402 " in rest(client)
        return pids.exists()

    with while_answered(server):
        until(is_killed)
    until(lambda: not any(_lives(int(pid)) for pid in pids.read_text().split()))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text("ascii")
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_so_many_run_at_once(programs: tuple[Process, Path]) -> None:
    """programs.at_once: others wait as long as they might run, then are told 402."""
    server, folder = programs
    told, go = folder / "told", folder / "go"
    ended = b"%rwhois V-1.5:"

    def running() -> int:
        words = told.read_text().split() if told.exists() else []
        return words.count("begin") - words.count("end")

    with ExitStack() as stack, while_answered(server) as second:
        clients = [stack.enter_context(connect(server)) for _ in range(12)]
        for client in clients:
            client.sendall(b"-limit 5\r\n-X-hold\r\n-quit\r\n")
        until(lambda: running() == AT_ONCE)
        assert all(read_to(client, b"%ok\r\n").startswith(ended) for client in clients)
        second.once()
        # there is no place for this one, which may run for half a second only
        with connect(server) as client:
            client.sendall(b"-X-short\r\n-quit\r\n")
            assert b"%error 402 " in rest(client)
        assert running() == AT_ONCE
        go.touch()
        assert [rest(client) for client in clients] == [b"%ok\r\n%ok\r\n"] * 12
    at_once = [0]
    for word in told.read_text().split():
        at_once.append(at_once[-1] + (1 if word == "begin" else -1))
    assert max(at_once) == AT_ONCE
    assert len(at_once) == 1 + 2 * 12
