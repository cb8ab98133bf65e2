"""Two servers on one database: what one changes, the other answers with, in journal order."""

import asyncio
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rwhoisd.store import Store
from rwhoisd.store.engines import make_engine, parse_url, transaction
from tests.store import servers
from tests.store.conftest import database_name
from tests.store.kit import AREA, area, attempt, network
from tests.wire.process import Process, running, until

CONFIG = """\
compat = "rfc"
host = "{name}.example.net"
workers = {workers}
listen = [{{ host = "127.0.0.1", port = 0 }}]
state = "state"
log = {{ queries = "off" }}
limits = {{ max_objects = 1000, exempt = ["127.0.0.0/8"] }}
query = {{ wildcard = true }}
store = {{ url = "{url}"{more} }}
"""
CHANGES = 12
RECORD = re.compile(r"network:Network-Name:NET-(\d+)\r\n")
SERIAL = re.compile(r"%soa serial:(\d+)\r\n")


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> tuple[servers.Server, str]:
    """A database server that may be restarted, and the URL of a new database with the area."""
    server: servers.Server = request.getfixturevalue(f"make_{request.param}")
    url = server(database_name())
    asyncio.run(_make_area(url))
    return server, url


async def _make_area(url: str) -> None:
    async with await Store.open(url, create=True) as store:
        await attempt(store, lambda c: c.put_area(area()), create=True)


@contextmanager
def node(folder: Path, url: str, more: str = "", workers: int = 1) -> Iterator[Process]:
    """A server with state and image of its own."""
    folder.mkdir()
    config = folder / "rwhoisd.toml"
    config.write_text(CONFIG.format(name=folder.name, url=url, more=more, workers=workers))
    with running(folder, "--config", str(config)) as process:
        yield process


def register(at: Process, number: int) -> str:
    """What the server says to a registration of a network."""
    lines = (
        "-register on add ops@example.net",
        "Class-Name:network",
        f"Auth-Area:{AREA}",
        f"Network-Name:NET-{number}",
        f"IP-Network:10.{number}.0.0/16",
        "-register off",
        "-quit",
    )
    return at.ask("".join(f"{line}\r\n" for line in lines).encode()).decode()


def seen(at: Process) -> tuple[str, list[int]]:
    """Serial of the area, then the numbers of its networks, as one server tells them."""
    answer = at.ask(f"-soa {AREA}\r\n-holdconnect on\r\nnetwork NET-*\r\n-quit\r\n".encode())
    text = answer.decode()
    serial = SERIAL.search(text)
    assert serial, text
    return serial[1], sorted({int(number) for number in RECORD.findall(text)})


@dataclass
class Watcher:
    """Somebody who asks a server all the time."""

    at: Process
    found: list[tuple[str, list[int]]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def _work(self) -> None:
        while not self._over.wait(0.01):
            self.found.append(seen(self.at))

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def check(self) -> None:
        """Every answer was a moment of the journal, and none was before the one before it."""
        assert self.found
        assert [numbers for _, numbers in self.found if numbers != list(range(len(numbers)))] == []
        serials = [serial for serial, _ in self.found]
        assert serials == sorted(serials)
        counts = [len(numbers) for _, numbers in self.found]
        assert counts == sorted(counts)


def test_a_change_on_one_node_is_answered_by_the_other(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    _, url = database
    with node(tmp_path / "a", url) as a, node(tmp_path / "b", url) as b:
        with Watcher(b).watching() as watcher:
            for number in range(CHANGES):
                assert "%ok" in register(a, number)
            until(lambda: len(seen(b)[1]) == CHANGES)
        watcher.check()
        # and the other way round
        assert "%ok" in register(b, CHANGES)
        until(lambda: len(seen(a)[1]) == CHANGES + 1)
        assert seen(a) == seen(b)


def test_a_change_of_no_server_is_answered_by_both(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    _, url = database

    async def load() -> None:
        async with await Store.open(url) as store:
            for number in range(CHANGES):
                await attempt(store, lambda c, n=number: c.add(network(n)))  # type: ignore[misc]

    with node(tmp_path / "a", url) as a, node(tmp_path / "b", url) as b:
        with Watcher(a).watching() as one, Watcher(b).watching() as two:
            asyncio.run(load())
            until(lambda: len(seen(a)[1]) == len(seen(b)[1]) == CHANGES)
        one.check()
        two.check()


def test_postgresql_tells_of_changes_also_after_it_cut_the_connection(
    make_postgresql: servers.Server, tmp_path: Path
) -> None:
    url = make_postgresql(database_name())
    asyncio.run(_make_area(url))
    with node(tmp_path / "a", url, ", poll_seconds = 3600") as a:  # so that nobody asks
        asyncio.run(_add(url, 0))
        until(lambda: seen(a)[1] == [0])
        assert asyncio.run(_cut_listeners(url)) == 1
        asyncio.run(_add(url, 1))
        until(lambda: seen(a)[1] == [0, 1])
        asyncio.run(_add(url, 2))
        until(lambda: seen(a)[1] == [0, 1, 2])


async def _cut_listeners(url: str) -> int:
    engine = make_engine(parse_url(url))
    async with transaction(engine, change=False) as connection:
        mine = "datname = current_database() AND query LIKE 'LISTEN%'"
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"
        count = len((await connection.exec_driver_sql(cut)).all())
    await engine.dispose()
    return count


def test_queries_go_on_without_the_database_and_changes_come_after_it(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    server, url = database
    with node(tmp_path / "a", url) as a, node(tmp_path / "b", url) as b:
        assert "%ok" in register(a, 0)
        until(lambda: seen(b)[1] == [0])
        with Watcher(b).watching() as watcher:
            server.stop()
            try:
                until(lambda: "does not follow the store" in b.log())
                assert seen(b)[1] == [0]
                assert "%error 501" in register(a, 1)
            finally:
                server.start()
            until(lambda: "%ok" in register(a, 1))
            until(lambda: seen(b)[1] == [0, 1])
        watcher.check()
        until(lambda: "follows the store again" in b.log())
        # One line, however often it was tried.
        assert b.log().count("does not follow the store") == 1
        assert "Traceback" not in b.log()


def test_the_follower_is_replaced_and_ends_with_the_server(
    database: tuple[servers.Server, str], tmp_path: Path
) -> None:
    _, url = database
    with node(tmp_path / "a", url) as a:
        worker, follower = a.children(2)
        os.kill(follower, signal.SIGKILL)
        until(lambda: "the follower (pid" in a.log() and len(a.workers()) == 2)
        asyncio.run(_add(url, 0))
        until(lambda: seen(a)[1] == [0])
        children = a.workers()
        assert worker in children
        a.process.kill()
        a.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


async def _add(url: str, number: int) -> None:
    async with await Store.open(url) as store:
        await attempt(store, lambda c: c.add(network(number)))


@pytest.mark.parametrize("follow", [None, True])
def test_an_sqlite_store_is_followed_when_that_is_asked_for(
    tmp_path: Path, follow: bool | None
) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    asyncio.run(_make_area(url))
    more = "" if follow is None else ", follow = true, poll_seconds = 0.05"
    with node(tmp_path / "a", url, more) as a:
        if follow:
            a.children(2)
        asyncio.run(_add(url, 0))
        if follow:
            until(lambda: seen(a)[1] == [0])
        else:
            a.hang_up()  # a follower would have come by now
            assert len(a.workers()) == 1
        assert seen(a)[1] == [0]
