"""The server without rights: root is given up once the ports are bound, a unit confines it."""

import asyncio
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rwhoisd.store import Store
from tests.cli.test_readme import ROOT
from tests.store.kit import AREA, area, attempt
from tests.store.servers import own_folder
from tests.wire.confined import options, system_calls
from tests.wire.process import Process, command, running, until

UNIT = ROOT / "docs" / "operators" / "rwhoisd.service"
NOBODY = 65534
START = "from rwhoisd.server.cli import main; main()"
CONFIG = """\
compat = "rfc"
workers = 2
{user}
listen = [{{ host = "127.0.0.1", port = 0 }}]
store = {{ follow = true, poll_seconds = 0.1 }}
log = {{ queries = "query.log" }}
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@dataclass(frozen=True)
class Interpreter:
    """A Python that every user may run, with all that we import."""

    path: str
    packages: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Where it finds what we import, and its own library rather than the system's."""
        library = Path(self.path).parent.parent / "lib"
        return {"PYTHONPATH": os.pathsep.join(self.packages), "LD_LIBRARY_PATH": str(library)}

    def runs_for_all(self) -> bool:
        """Whether a user without rights can run it with what it needs."""
        try:
            done = subprocess.run(
                [self.path, "-c", "import rwhoisd.store.store, rwhoisd.server.serve"],
                user="nobody" if os.geteuid() == 0 else None,
                env=os.environ | self.environment,
                cwd="/",
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
        return done.returncode == 0


@pytest.fixture(scope="module")
def python() -> Iterator[Interpreter]:
    """Ours, or the system's; where both are closed to others (below /root), ours set free."""
    name = f"python3.{sys.version_info.minor}"
    sites = [path for path in sys.path if path.endswith("site-packages")]
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        found = Interpreter(path, (str(ROOT), *sites))
        if found.runs_for_all():
            yield found
            return
    with own_folder() as folder:
        yield _set_free(folder, name, sites)


def _set_free(folder: Path, name: str, sites: list[str]) -> Interpreter:
    """A second way to the files of our Python and packages, open to all."""
    ways = {"python": sys.base_prefix}
    ways |= {f"site{i}": path for i, path in enumerate(sites)}
    ways |= {f"ours/{part}": str(ROOT / part) for part in ("rwhoisd", "schema", "data", "tests")}
    for way, path in ways.items():
        (folder / way).parent.mkdir(exist_ok=True)
        linked = subprocess.run(["cp", "-al", path, str(folder / way)], check=False)
        if linked.returncode:  # another file system
            shutil.rmtree(folder / way, ignore_errors=True)
            shutil.copytree(path, folder / way, symlinks=True)
    packages = (str(folder / "ours"), *(str(folder / f"site{i}") for i in range(len(sites))))
    found = Interpreter(str(folder / "python" / "bin" / name), packages)
    assert found.runs_for_all(), f"no Python that another user can run, {found.path} neither"
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder where a configuration may be, and a user without rights may enter."""
    with own_folder() as made:
        yield made


def _install(folder: Path, user: str) -> Path:
    """A configuration and a store with an area."""
    config = folder / "rwhoisd.toml"
    config.write_text(CONFIG.format(user=f'user = "{user}"' if user else ""))
    state = folder / "state"
    state.mkdir()

    async def make() -> None:
        async with await Store.open(str(state / "store.sqlite"), create=True) as store:
            await attempt(store, lambda c: c.put_area(area()), create=True)

    asyncio.run(make())
    (state / "store.sqlite").chmod(0o640)
    return config


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


def _register(server: Process) -> str:
    text = (
        "-register on add ops@example.net\r\nClass-Name:network\r\n"
        f"Auth-Area:{AREA}\r\nNetwork-Name:NET-1\r\nIP-Network:10.1.0.0/16\r\n"
        "-register off\r\n-holdconnect on\r\n10.1.2.3\r\n-quit\r\n"
    )
    return server.ask(text.encode()).decode()


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@needs_root
def test_root_is_given_up_for_good(folder: Path, python: Interpreter) -> None:
    config = _install(folder, "nobody")
    _give_away(folder / "state")
    program = (python.path, "-P", "-c", START)  # not what lies about in this folder
    with running(folder, "--config", str(config), program=program, **python.environment) as server:
        for pid in (server.process.pid, *server.children(3)):  # two workers, the follower
            status = _status(pid)
            assert status["Uid"].split() == [str(NOBODY)] * 4
            assert status["Gid"].split() == [str(NOBODY)] * 4
            assert status["Groups"].split() in ([], [str(NOBODY)])
            assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")] == [0] * 3
            assert status["NoNewPrivs"] == "1"
        assert "network:ID:" in _register(server)
        for path in (folder / "state").rglob("*"):
            seen = path.stat()
            assert seen.st_uid == NOBODY
            assert not seen.st_mode & stat.S_IRWXO, path
        _reload_without_rights(server, config)
        assert "Traceback" not in server.log()


def _reload_without_rights(server: Process, config: Path) -> None:
    """HUP goes on with the sockets that there are, and says what cannot be had any more."""
    text = config.read_text()
    rows = '{ host = "127.0.0.1", port = 0 }, { host = "127.0.0.1", port = 1 }'
    config.write_text(text.replace('{ host = "127.0.0.1", port = 0 }', rows))
    server.hang_up()
    assert "127.0.0.1:1 is new: it is listened on after a restart" in server.log()
    assert "network:ID:" in server.ask(b"10.1.2.3\r\n").decode()
    config.chmod(0o600)
    server.hang_up()
    assert re.search(r"rwhoisd\.toml: cannot be read: Permission denied", server.log())
    assert "network:ID:" in server.ask(b"10.1.2.3\r\n").decode()


@needs_root
def test_a_state_folder_of_root_is_told_with_the_mend(folder: Path) -> None:
    config = _install(folder, "nobody")
    (folder / "state").chmod(0o755)
    done = command("serve", "--config", str(config), "--state", str(folder / "state"))
    assert done.returncode == 1
    assert f"chown -R nobody {folder / 'state'}" in done.stderr
    assert "Traceback" not in done.stderr


@needs_root
def test_root_that_stays_root_is_warned(folder: Path) -> None:
    config = _install(folder, "")
    with running(folder, "--config", str(config)) as server:
        assert "serving as root: name a user in the configuration" in server.log()


# --- the unit


def test_the_unit_gives_up_what_it_can() -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"Overall exposure level for rwhoisd\.service: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) < 2.0


def test_the_unit_starts_what_there_is() -> None:
    given = options(UNIT)
    (start,) = given["ExecStart"]
    program, verb, *arguments = start.split()
    assert program.endswith("/bin/rwhoisd")
    shown = command(verb, "--help").stdout
    pairs = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert set(pairs) == {"--config", "--state"}
    assert all(option in shown for option in pairs)
    # systemd makes below /var/lib what StateDirectory says.
    assert pairs["--state"] == f"/var/lib/{given['StateDirectory'][0]}"
    assert given["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_server_does_all_it_does_as_the_unit_confines_it(
    folder: Path, python: Interpreter
) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    config = _install(folder, "")
    _give_away(folder)
    calls = system_calls(options(UNIT)["SystemCallFilter"])
    assert "accept4" in calls
    assert not {"mount", "ptrace", "setuid", "bpf", "init_module"} & calls
    program = (sys.executable, "-m", "tests.wire.confined", str(UNIT), python.path, "-c", START)
    with running(folder, "--config", str(config), program=program, **python.environment) as server:
        children = server.children(3)
        for pid in (server.process.pid, *children):
            status = _status(pid)
            assert status["Seccomp"] == "2"
            assert status["NoNewPrivs"] == "1"
        assert "network:ID:" in _register(server)
        victim = children[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(server.workers()) == 3 and victim not in server.workers())
        server.hang_up()
        assert "network:ID:" in server.ask(b"10.1.2.3\r\n").decode()
        assert server.stop() == 0
        assert "Traceback" not in server.log()
        assert "Operation not permitted" not in server.log()
