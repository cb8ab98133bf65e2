"""Private database servers for the tests: own data directory, own socket, no network port."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

START_SECONDS = 120.0


def program(*names: str) -> str | None:
    """The first of these programs that is installed; Debian keeps some out of the path."""
    folders = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def _account() -> str | None:
    """Whom to run a server as: database servers refuse to be root."""
    return None if os.geteuid() else "nobody"


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder of the account that servers run as: nobody, when we are root."""
    # Short and outside pytest's tree: a socket's path has a limit, and "nobody" must get in.
    folder = Path(tempfile.mkdtemp(prefix="rwst-"))
    try:
        if account := _account():
            entry = pwd.getpwnam(account)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    with suppress(FileNotFoundError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        return [pid, *(found for child in children for found in _family(int(child)))]
    return [pid]


def _run(*command: str) -> None:
    done = subprocess.run(command, user=_account(), capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


class Server:
    """A database server. Called with a name it makes a database and gives the URL."""

    def __init__(
        self,
        log: Path,
        ready: Callable[[], bool],
        command: Sequence[str],
        *,
        create: Callable[[str], str],
        sign: Path,
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._log = log
        self._ready = ready
        self._command = command
        self._create = create
        self._sign = sign  # file that is there as long as it runs
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, name: str) -> str:
        return self._create(name)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, user=_account(), stdout=out, stderr=out, cwd="/"
            )
        end = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, f"not ready in time: {self._log.read_text()}"
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        assert self._process
        for pid in _family(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it at once, whatever it does, as if the machine had lost its power."""
        assert self._process
        family = _family(self._process.pid)
        self.signal(signal.SIGKILL)
        self._process.wait()
        end = time.monotonic() + START_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in family):
            assert time.monotonic() < end
            time.sleep(0.01)
        self._sign.unlink(missing_ok=True)  # of life

    def stop(self) -> None:
        """End it in order, whoever is connected."""
        assert self._process
        self._process.send_signal(self._stop)
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def running(self) -> Iterator["Server"]:
        """Started within."""
        try:
            self.start()
            yield self
        finally:
            self.stop()


@contextmanager
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; gives what makes a database of a name and tells its URL."""
    postgres, initdb = program("postgres"), program("initdb")
    assert postgres
    assert initdb
    with own_folder() as folder:
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

        # On TERM it would wait until all clients are gone.
        server = Server(folder / "log", ready, command, create=make, sign=state, stop=signal.SIGINT)
        with server.running():
            yield server


async def _create_database(host: str, name: str) -> None:
    connection = await asyncpg.connect(host=host, user="test", database="postgres")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


@contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB server; gives what makes a database of a name and tells its URL."""
    install, program_path = program("mariadb-install-db"), program("mariadbd")
    client = program("mariadb", "mysql")
    assert install
    assert program_path
    assert client
    with own_folder() as folder:
        data, socket = folder / "data", folder / "s"
        # A server that starts removes what others left in the folder for temporary tables: with
        # a common one it removes those that another is using.
        own = ("--no-defaults", f"--datadir={data}", f"--tmpdir={folder}")
        _run(install, *own, "--auth-root-authentication-method=normal", "--skip-test-db")
        user = ("--user=nobody",) if _account() else ()
        files = (f"--socket={socket}", f"--pid-file={folder / 'pid'}")
        command = (program_path, *own, *user, *files, "--skip-networking")

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

        server = Server(folder / "log", socket.exists, command, create=make, sign=socket)
        with server.running():
            yield server
