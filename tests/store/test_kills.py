"""Anything may be killed at any moment of a registration load; what was acknowledged stays.

Workers, the supervisor and the database server get SIGKILL while clients add, change and remove
objects. In the end what was told to the clients is compared with the store, its journal, the
image and the answers. The moments are random, by a seed that stands in the name of each test.
"""

import asyncio
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rwhoisd.directory.changes import Change, StoredObject
from rwhoisd.image.verify import verify
from rwhoisd.store import Store
from tests.store import servers
from tests.store.conftest import database_name
from tests.store.kit import AREA, network, replay, store_with, stored
from tests.wire.process import Process, read_all, reserved_port, running, until

CLIENTS = 6
WORKERS = 3
# Kills by what is killed, for each engine. KILLS=10 makes it ten times as many.
TIMES = int(os.environ.get("KILLS", "1"))
ROUNDS = {
    "sqlite": {"worker": 50, "supervisor": 3},
    "postgresql": {"worker": 20, "supervisor": 2, "database": 4},
    "mariadb": {"worker": 20, "supervisor": 2, "database": 4},
}
ASK_SECONDS = 120.0
CONFIG = """\
compat = "rfc"
host = "rwhois.example.net"
workers = {workers}
listen = [{{ host = "127.0.0.1", port = {port} }}]
state = "state"
log = {{ queries = "off" }}
store = {{ url = "{url}" }}
limits = {{ exempt = ["127.0.0.0/8"], drain_seconds = 1 }}
"""
State = str | None  # the Comment of an object; None: there is no such object


@dataclass
class Client:
    """Somebody who registers one thing after the other, and knows what came of it."""

    number: int
    port: int
    over: threading.Event
    chance: random.Random
    states: dict[str, set[State]] = field(default_factory=dict)  # name → what it may be
    ids: dict[str, str] = field(default_factory=dict)  # of those that are surely there
    late: set[str] = field(default_factory=set)  # told 120: it is stored, and seen later
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Go on until told otherwise."""
        count = 0
        while not self.over.is_set():
            count += 1
            act = self.chance.choice((self.add, self.add, self.modify, self.delete))
            try:
                act(count)
            except Exception as error:
                self.wrong.append(repr(error))
                raise

    def ask(self, *lines: str) -> str | None:
        """All that is answered; None when the connection broke, or there was none."""
        data = "".join(f"{line}\r\n" for line in lines).encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), ASK_SECONDS) as connection:
                connection.sendall(data)
                return read_all(connection).decode()
        except TimeoutError:
            raise  # a client must never hang
        except OSError:
            time.sleep(0.02)
            return None

    def register(self, name: str, action: str, *lines: str) -> str | None:
        """What is answered to a registration; None when nobody knows what came of it."""
        answer = self.ask(
            f"-register on {action} ops@example.net", *lines, "-register off", "-quit"
        )
        told = re.findall(r"^%(?:ok|error \d+)", answer or "", re.MULTILINE)
        if answer is None or len(told) < 2:
            return None
        if told[1] in ("%ok", "%error 120"):
            self.acknowledged += 1
            if told[1] != "%ok":
                self.late.add(name)
            return answer
        time.sleep(0.1)
        if told[1] != "%error 501":
            self.wrong.append(f"{action} {lines}: {answer}")
        return None  # whether it was done before the database was lost, nobody knows

    def state(self, name: str) -> tuple[State, str]:
        """Comment and Updated of an object, by asking until there is a whole answer."""
        end = time.monotonic() + ASK_SECONDS
        while time.monotonic() < end:
            answer = self.ask(f"network {name}") or ""
            if answer.endswith("%error 230 No objects found\r\n"):
                return None, ""
            if answer.endswith("%ok\r\n"):
                comment = re.search(r"^network:Comment:(.*)\r$", answer, re.MULTILINE)
                updated = re.search(r"^network:Updated:(.*)\r$", answer, re.MULTILINE)
                assert comment, answer
                assert updated, answer
                return comment[1], updated[1]
        raise TimeoutError(f"no answer about {name}")

    def add(self, count: int) -> None:
        """A new object."""
        name, comment = f"NET-{self.number}-{count}", f"first {count}"
        self.states[name] = {None, comment}
        answer = self.register(name, "add", *self._lines(name, comment))
        if answer:
            self.states[name] = {comment}
            found = re.search(r"^%register ID:(.*)\r$", answer, re.MULTILINE)
            assert found, answer
            self.ids[name] = found[1]

    def modify(self, count: int) -> None:
        """Another comment for an object that is there."""
        if chosen := self._choose():
            name, updated = chosen
            own = (f"ID:{self.ids[name]}", f"Updated:{updated}")
            comment = f"then {count}"
            self.states[name].add(comment)
            lines = (*own, "_NEW_", *own, *self._lines(name, comment))
            if self.register(name, "mod", *lines):
                self.states[name] = {comment}
            else:
                del self.ids[name]  # it is left alone from now on

    def delete(self, count: int) -> None:
        """An object less."""
        del count
        if chosen := self._choose():
            name, updated = chosen
            self.states[name].add(None)
            own = (f"ID:{self.ids.pop(name)}", f"Updated:{updated}")
            if self.register(name, "del", *own):
                self.states[name] = {None}

    def _choose(self) -> tuple[str, str] | None:
        """Name and Updated of an object that surely is there, and is answered as it was told."""
        if not self.ids:
            return None
        name = self.chance.choice(list(self.ids))
        if name in self.late:
            until(lambda: {self.state(name)[0]} == self.states[name], ASK_SECONDS)
            self.late.remove(name)
        comment, updated = self.state(name)
        if {comment} != self.states[name]:
            self.wrong.append(f"{name}: {self.states[name]} was acknowledged, {comment} answered")
        return (name, updated) if comment is not None else None

    def _lines(self, name: str, comment: str) -> tuple[str, ...]:
        return (
            "Class-Name:network",
            f"Auth-Area:{AREA}",
            f"Network-Name:{name}",
            f"IP-Network:10.{self.number}.0.0/16",
            f"Comment:{comment}",
        )


class Node:
    """A server that is started again when it was killed, on the same port."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._runs = ExitStack()
        self._port = ExitStack()
        self.port = self._port.enter_context(reserved_port())
        self.config = folder / "rwhoisd.toml"
        self.config.write_text(CONFIG.format(workers=WORKERS, port=self.port, url=url))
        self._process: Process | None = None

    def start(self) -> None:
        """Serve."""
        self._process = self._runs.enter_context(running(self.folder, "--config", str(self.config)))

    @property
    def process(self) -> Process:
        """The server as it runs now."""
        assert self._process
        return self._process

    def kill_child(self, chance: random.Random) -> None:
        """Kill a worker, or another child: whichever it is."""
        children = until(self.process.workers)
        with suppress(ProcessLookupError):
            os.kill(chance.choice(children), signal.SIGKILL)

    def kill(self) -> None:
        """Kill the supervisor, see all go with it, and start again."""
        children = self.process.workers()
        self.process.process.kill()
        self.process.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
        self.check_log()
        self.start()

    def check_log(self) -> None:
        """Nothing of this is a fault of ours."""
        assert "Traceback" not in self.process.log(), self.process.log()[-5000:]

    def stop(self) -> None:
        """End it in order."""
        self._runs.close()
        self._port.close()
        self.check_log()


class Killer:
    """Kills at random moments, in a random order; after each kill it has to go on."""

    def __init__(
        self,
        node: Node,
        server: servers.Server | None,
        clients: list[Client],
        chance: random.Random,
        rounds: dict[str, int],
    ) -> None:
        """``rounds``: how often to kill what."""
        self._node = node
        self._server = server
        self._clients = clients
        self._chance = chance
        self._rounds = [what for what, times in rounds.items() for _ in range(times)]
        self.kills = dict.fromkeys(rounds, 0)

    def work(self) -> None:
        """All rounds."""
        self._chance.shuffle(self._rounds)
        for what in self._rounds:
            self._await_progress()
            if self._wrong:
                return
            time.sleep(self._chance.uniform(0, 0.15))
            self._kill(what)
            self.kills[what] += 1

    @property
    def acknowledged(self) -> int:
        """How many registrations were, by now."""
        return sum(client.acknowledged for client in self._clients)

    def _await_progress(self) -> None:
        before = self.acknowledged
        until(lambda: self.acknowledged > before or self._wrong, ASK_SECONDS)

    @property
    def _wrong(self) -> bool:
        return any(client.wrong for client in self._clients)

    def _kill(self, what: str) -> None:
        if what == "worker":
            self._node.kill_child(self._chance)
        elif what == "supervisor":
            self._node.kill()
        else:
            assert self._server
            self._server.kill()
            time.sleep(self._chance.uniform(0, 0.2))
            self._server.start()


@contextmanager
def working(clients: list[Client], over: threading.Event) -> Iterator[None]:
    """Clients at work within."""
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(2 * ASK_SECONDS)
    assert not any(thread.is_alive() for thread in threads)


def check_journal(told: list[Change], found: list[StoredObject]) -> None:
    """It goes forward only, and leads to what there is."""
    moments = [(change.serial.text, change.ordinal) for change in told]
    assert moments == sorted(set(moments))
    assert replay(told) == {s.row: s for s in found}


async def _differs(url: str, image: Path) -> str | None:
    async with await Store.open(url) as store, store.snapshot() as source:
        return await verify(source, image)


def check(url: str, node: Node, clients: list[Client]) -> None:
    """Compare what was acknowledged with store, journal, image and answers."""

    async def look() -> tuple[list[Change], list[StoredObject]]:
        async with await Store.open(url) as store:
            assert (await store.serials())[AREA] == (await store.journal(AREA))[-1].serial
            return await store.journal(AREA), await stored(store)

    assert [wrong for client in clients for wrong in client.wrong] == []
    # What was stored without being acknowledged may come into the image a moment later.
    until(lambda: asyncio.run(_differs(url, node.folder / "state" / "image")) is None)
    told, found = asyncio.run(look())
    check_journal(told, found)
    by_name: dict[str, list[State]] = {}
    for one in found:
        by_name.setdefault(one.object.get("Network-Name") or "", []).append(
            one.object.get("Comment")
        )
    assert by_name.pop("NET-0", None) == [None]
    for client in clients:
        for name, possible in client.states.items():
            there = by_name.pop(name, [None])
            assert len(there) == 1, f"{name} is there {len(there)} times"
            assert there[0] in possible, f"{name}: {there} instead of {possible}"
            assert client.state(name)[0] == there[0]
    assert by_name == {}


@pytest.mark.timeout(900 * TIMES)
@pytest.mark.parametrize("engine", ROUNDS)
def test_what_was_acknowledged_survives_every_kill(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: servers.Server | None = None
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    if engine != "sqlite":
        server = request.getfixturevalue(f"make_{engine}")
        assert server
        url = server(database_name())
    chance = random.Random(f"kills 1 {engine}")

    async def make() -> None:
        async with store_with(url, network(0)):
            pass

    asyncio.run(make())
    node = Node(tmp_path, url)
    node.start()
    over = threading.Event()
    clients = [
        Client(number, node.port, over, random.Random(f"{engine} {number}"))
        for number in range(1, CLIENTS + 1)
    ]
    rounds = {what: times * TIMES for what, times in ROUNDS[engine].items()}
    killer = Killer(node, server, clients, chance, rounds)
    try:
        with working(clients, over):
            killer.work()
        check(url, node, clients)
    finally:
        node.stop()
    assert killer.kills == rounds
    assert killer.acknowledged >= sum(rounds.values())
    print(f"{engine}: killed {killer.kills}, acknowledged {killer.acknowledged}")
