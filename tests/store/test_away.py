"""The database is away: every query is answered, a registration gets 501, or waits (120)."""

import asyncio
import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rwhoisd.image.catch_up import follow
from rwhoisd.image.folder import Folder
from rwhoisd.store import Store, StoreLostError, engines
from tests.store import servers
from tests.store.conftest import database_name
from tests.store.kit import AREA, network, objects, store_with
from tests.wire.process import Process, running, until

CONFIG = """\
compat = "rfc"
host = "rwhois.example.net"
workers = 2
listen = [{{ host = "127.0.0.1", port = {port} }}]
state = "state"
clear_passwords = "everywhere"
log = {{ queries = "off" }}
store = {{ url = "{url}", poll_seconds = 0.1 }}
limits = {{ exempt = ["127.0.0.0/8"], drain_seconds = 1 }}
[registration]
queue_when_down = {queue}
"""
# Every kind of question, and what the answer has.
QUESTIONS = {
    "network NET-0": "network:ID:NET-0.10.0.0.0/8",
    "10.0.0.1": "network:Network-Name:NET-0",
    "NET-*": "network:Network-Name:NET-0",
    f"-soa {AREA}": "%soa serial:",
    f"-class {AREA}": "%class network",
    f"-schema {AREA} network": "%schema network:attribute:Network-Name",
    f"-xfer {AREA}": "%xfer network:ID:NET-0.10.0.0.0/8",
    "-status": "%status",
    "-directive": "%directive",
}


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> tuple[servers.Server, str]:
    """A database server that may be restarted, and the URL of a database with one network."""
    server: servers.Server = request.getfixturevalue(f"make_{request.param}")
    url = server(database_name())

    async def make() -> None:
        async with store_with(url, network(0)):
            pass

    asyncio.run(make())
    return server, url


@contextmanager
def away(server: servers.Server) -> Iterator[None]:
    """Without the database within."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def node(folder: Path, url: str, *, queue: bool = False) -> Iterator[Process]:
    """A server of two workers."""
    config = folder / "rwhoisd.toml"
    config.write_text(CONFIG.format(port=0, url=url, queue=str(queue).lower()))
    with running(folder, "--config", str(config)) as process:
        yield process
    assert "Traceback" not in process.log(), process.log()


def say(at: Process, *lines: str) -> str:
    """The conversation without the banner, up to the server's or our own end."""
    answer = at.ask("".join(f"{line}\r\n" for line in lines).encode()).decode()
    return answer.partition("\r\n")[2].replace("\r\n", "\n")


def register(at: Process, action: str, *lines: str) -> str:
    """What is said to a registration; "closed" behind it, when it ends the connection."""
    begin = ("-holdconnect on", f"-register on {action} ops@example.net")
    answer = say(at, *begin, *lines, "-register off", "-limit 7", "-quit")
    assert answer.startswith("%ok\n%ok\n"), answer
    rest = answer.removeprefix("%ok\n%ok\n")
    return rest.removesuffix("%ok\n%ok\n") if rest.endswith("%ok\n%ok\n") else rest + "closed"


def add(at: Process, number: int, *more: str) -> str:
    """The same for a network."""
    own = ("Class-Name:network", f"Auth-Area:{AREA}", f"Network-Name:NET-{number}")
    return register(at, "add", *own, f"IP-Network:10.{number}.0.0/16", *more)


def ask_everything(at: Process) -> None:
    """Each question on a connection of its own, twice and more, so that each worker gets some."""
    for _ in range(4):
        for question, part in QUESTIONS.items():
            assert part in say(at, question, "-quit"), question


def test_queries_are_answered_and_registrations_get_501(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    server, url = database
    with node(tmp_path, url) as at:
        assert add(at, 1).endswith("%ok\n")
        with away(server):
            ask_everything(at)
            for _ in range(4):
                assert add(at, 2) == "%error 501 Service not available\nclosed"
                record = ("ID:NET-0.10.0.0.0/8", "Updated:1")
                assert register(at, "del", *record) == "%error 501 Service not available\nclosed"
            ask_everything(at)
        until(lambda: "%ok" in add(at, 2))
        for worker in at.workers():
            assert Path(f"/proc/{worker}").exists()
        assert "Network-Name:NET-2\n" in say(at, "network NET-2")


def test_a_server_that_starts_without_the_database_serves_its_image(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    server, url = database
    with node(tmp_path, url) as at:
        assert add(at, 1).endswith("%ok\n")
    with away(server), node(tmp_path, url) as at:
        ask_everything(at)
        assert "Network-Name:NET-1\n" in say(at, "network NET-1")
        assert add(at, 2) == "%error 501 Service not available\nclosed"
        until(lambda: "what is there is served, and this is tried again" in at.log())
        server.start()
        until(lambda: "%ok" in add(at, 2))
        until(lambda: "the image is up to the store again" in at.log())
        server.kill()


def test_without_database_and_image_a_server_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "rwhoisd.toml"
    url = f"postgresql://nobody@/none?host={tmp_path}"
    config.write_text(CONFIG.format(port=0, url=url, queue="false"))
    with (
        pytest.raises(AssertionError, match="no connection to"),
        running(tmp_path, "--config", str(config)),
    ):
        pass


def test_a_database_that_hangs_keeps_nobody(
    database: tuple[servers.Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes what is sent and never answers: no question waits for ever, and the
    image's lock is let go."""
    server, url = database
    image = tmp_path / "image"

    async def run() -> None:
        async with await Store.open(url) as store:
            await follow(store.snapshot, image, b"\r\n")
            server.signal(signal.SIGSTOP)
            try:
                monkeypatch.setattr(engines, "ANSWER_SECONDS", 2.0)
                with pytest.raises(StoreLostError, match="no answer"):
                    await store.serials()
                with pytest.raises(StoreLostError, match="no answer"):
                    await follow(store.snapshot, image)
                async with asyncio.timeout(120), Folder(image).locked():
                    pass
            finally:
                server.signal(signal.SIGCONT)
                monkeypatch.undo()
            assert await follow(store.snapshot, image) is False

    asyncio.run(run())


def admin(folder: Path, *arguments: str) -> str:
    """What ``rwhois-admin`` prints."""
    code = "from rwhoisd.admin.cli import main; main()"
    config = ("--config", str(folder / "rwhoisd.toml"))
    command = [sys.executable, "-c", code, *arguments, *config]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def modes(folder: Path) -> set[int]:
    """Rights of all files and folders below."""
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


DEFERRED = "%error 120 Registration deferred\n"


def test_registrations_wait_for_the_database_and_are_done_once(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    server, url = database
    with node(tmp_path, url, queue=True) as at:
        told = add(at, 1)
        found = dict(re.findall(r"^%register (\w+):(.*)$", told, re.MULTILINE))
        own = (f"ID:{found['ID']}", f"Updated:{found['Updated']}")
        same = ("Class-Name:network", f"Auth-Area:{AREA}", "Network-Name:NET-1")
        with away(server):
            assert add(at, 2) == DEFERRED
            assert add(at, 3) == DEFERRED
            assert add(at, 2) == DEFERRED  # which will be 324
            assert register(at, "mod", *own, "_NEW_", *own, *same, "Comment:later") == DEFERRED
            assert register(at, "del", "ID:NET-0.10.0.0.0/8", "Updated:1").startswith("%error 3")
            # what is wrong is told at once
            assert add(at, 4, "Bogus:x").startswith("%error 320")
            ask_everything(at)
            assert "NET-2" not in say(at, "network NET-2")
            assert len(json.loads(admin(tmp_path, "deferred", "--json"))) == 4
            assert modes(tmp_path / "state" / "deferred") == {0o600, 0o700}
            # they survive us
            at.process.kill()
            at.process.wait()
    with node(tmp_path, url, queue=True) as at:
        until(lambda: "Comment:later\n" in say(at, "network NET-1"))
        assert add(at, 5).endswith("%ok\n")
        (refused,) = json.loads(admin(tmp_path, "deferred", "--json"))
        assert (refused["state"], refused["reason"][:3]) == ("refused", "324")
        assert "was refused: 324" in at.log()
        assert '"refused": 1' in admin(tmp_path, "status", "--json")
        assert "Traceback" not in at.log()
    assert sorted(asyncio.run(_names(url))) == ["NET-0", "NET-1", "NET-2", "NET-3", "NET-5"]
    assert "no refused" not in admin(tmp_path, "deferred", "--drop", refused["name"])
    assert json.loads(admin(tmp_path, "deferred", "--json")) == []


async def _names(url: str) -> list[str]:
    async with await Store.open(url) as store:
        return [obj.get("Network-Name") or "" for obj in await objects(store)]
