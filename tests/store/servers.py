"""Private database servers for the tests: own data directory, own socket, no network port."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

START_SECONDS = 60.0


def program(*names: str) -> str | None:
    """The first of these programs that is installed; Debian keeps some out of the path."""
    folders = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def _account() -> str | None:
    """Whom to run a server as: database servers refuse to be root."""
    return None if os.geteuid() else "nobody"


@contextmanager
def _folder() -> Iterator[Path]:
    # Short and outside pytest's tree: a socket's path has a limit, and "nobody" must get in.
    folder = Path(tempfile.mkdtemp(prefix="rwst-"))
    try:
        if account := _account():
            entry = pwd.getpwnam(account)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, user=_account(), capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@contextmanager
def _server(log: Path, ready: Callable[[], bool], *command: str) -> Iterator[None]:
    with log.open("wb") as out:
        server = subprocess.Popen(command, user=_account(), stdout=out, stderr=out, cwd="/")
    try:
        end = time.monotonic() + START_SECONDS
        while not ready():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, f"not ready in time: {log.read_text()}"
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def postgresql() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server; gives what makes a database of a name and tells its URL."""
    postgres, initdb = program("postgres"), program("initdb")
    assert postgres
    assert initdb
    with _folder() as folder:
        data = folder / "data"
        _run(initdb, "-D", str(data), "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync")
        url = f"postgresql://test@/{{}}?host={folder}"
        state = data / "postmaster.pid"  # its socket is there before it takes connections
        command = (postgres, "-D", str(data), "-k", str(folder), "-h", "", "-F")

        def make(name: str) -> str:
            asyncio.run(_create_database(str(folder), name))
            return url.format(name)

        def ready() -> bool:
            return state.exists() and "ready" in state.read_text()

        with _server(folder / "log", ready, *command):
            yield make


async def _create_database(host: str, name: str) -> None:
    connection = await asyncpg.connect(host=host, user="test", database="postgres")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


@contextmanager
def mariadb() -> Iterator[Callable[[str], str]]:
    """A MariaDB server; gives what makes a database of a name and tells its URL."""
    install, server = program("mariadb-install-db"), program("mariadbd")
    client = program("mariadb", "mysql")
    assert install
    assert server
    assert client
    with _folder() as folder:
        data, socket = folder / "data", folder / "s"
        own = ("--no-defaults", f"--datadir={data}")
        _run(install, *own, "--auth-root-authentication-method=normal", "--skip-test-db")
        user = ("--user=nobody",) if _account() else ()
        command = (server, *own, *user, f"--socket={socket}", "--skip-networking")

        def make(name: str) -> str:
            _run(
                client,
                "--no-defaults",
                f"--socket={socket}",
                "-uroot",
                "-e",
                f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
            )
            return f"mariadb://root@localhost/{name}?unix_socket={socket}"

        with _server(folder / "log", socket.exists, *command, f"--pid-file={folder / 'pid'}"):
            yield make
