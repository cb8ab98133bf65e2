"""Many clients register at several workers, of several nodes where there can be: over the wire."""

import asyncio
import random
import re
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rwhoisd.directory.changes import Change, Operation
from rwhoisd.image.verify import verify
from rwhoisd.store import Store
from tests.store.kit import AREA, area, attempt, replay, stored
from tests.store.test_two_nodes import node
from tests.wire.process import Process, until

CLIENTS, REGISTRATIONS, KEYS = 8, 12, 10
CODE = re.compile(r"^%error (\d+)", re.MULTILINE)
# Of one who came too late: the key is taken, the object is another by now, or gone.
RACED = {"324", "325", "336"}


@dataclass
class Client(threading.Thread):
    """Somebody who changes what everybody else changes, through any node."""

    nodes: Sequence[Process]
    seed: int
    answers: list[tuple[str, str]] = field(default_factory=list)  # what was tried, the code
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._random = random.Random(self.seed)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Do it all; what goes wrong is for the test to tell."""
        try:
            for count in range(REGISTRATIONS):
                kind = self._random.choice(["add", "mod", "mod", "mod", "del"])
                name = f"NET-{self._random.randrange(KEYS)}"
                if answer := self._register(kind, name, f"{self.seed} {count}"):
                    code = CODE.search(answer)
                    assert code or answer.endswith("%ok\r\n%ok\r\n"), answer
                    self.answers.append((kind, code[1] if code else "ok"))
        except Exception as error:
            self.faults.append(repr(error))

    def _register(self, kind: str, name: str, comment: str) -> str:
        new = [
            f"Auth-Area:{AREA}",
            "Class-Name:network",
            f"Network-Name:{name}",
            f"IP-Network:10.{self._random.randrange(256)}.0.0/16",
            f"Comment:{comment}",
        ]
        if kind == "add":
            return self._spool(kind, new)
        shown = self._ask(f"network Network-Name={name}\r\n")
        old = re.findall(r"^network:(?:ID|Updated):.*(?=\r)", shown, re.MULTILINE)
        if not old:
            return ""
        old = [line.removeprefix("network:") for line in old]
        return self._spool(kind, old if kind == "del" else [*old, "_NEW_", *new])

    def _spool(self, kind: str, lines: list[str]) -> str:
        text = "\r\n".join(
            [f"-register on {kind} ops@example.net", *lines, "-register off", "-quit", ""]
        )
        answer = self._ask(text)
        return answer.partition("\r\n")[2]  # without the banner

    def _ask(self, text: str) -> str:
        return self._random.choice(self.nodes).ask(text.encode()).decode()


def test_registrations_of_many_clients(url: str, tmp_path: Path) -> None:
    nodes = 1 if url.startswith("sqlite") else 2  # the file belongs to one machine
    asyncio.run(_make(url))
    with ExitStack() as stack:
        served = [
            stack.enter_context(node(tmp_path / f"n{number}", url, workers=2))
            for number in range(nodes)
        ]
        clients = [Client(served, seed) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert [fault for client in clients for fault in client.faults] == []
        answers = [answer for client in clients for answer in client.answers]
        asyncio.run(_check_store(url, answers))
        images = [tmp_path / f"n{number}" / "state" / "image" for number in range(nodes)]
        until(lambda: asyncio.run(_differences(url, images)) == [])
        logs = [process.log() for process in served]
    for log in logs:
        assert "Traceback" not in log
        assert "ERROR" not in log


async def _make(url: str) -> None:
    async with await Store.open(url, create=True) as store:
        await attempt(store, lambda c: c.put_area(area()), create=True)


async def _check_store(url: str, answers: Sequence[tuple[str, str]]) -> None:
    """What was said ok to is in the journal, nothing else is, and it gives the objects."""
    codes = Counter(code for _, code in answers)
    assert set(codes) <= {"ok", *RACED}, codes
    assert codes["324"] > 0
    assert codes["ok"] > 0
    async with await Store.open(url) as store:
        entries = [entry for entry in await store.journal(AREA) if entry.row]
        objects = await stored(store)
    serials = [entry.serial for entry in entries]
    assert serials == sorted(set(serials))
    said = Counter(kind for kind, code in answers if code == "ok")
    words = {"add": Operation.ADD, "mod": Operation.MODIFY, "del": Operation.DELETE}
    done = Counter(entry.operation for entry in entries)
    assert done == Counter({words[kind]: count for kind, count in said.items()})
    assert all(_moved(entry) for entry in entries)
    assert replay(entries) == {one.row: one for one in objects}
    names = [one.object.get("Network-Name") for one in objects]
    assert len(set(names)) == len(names)


def _moved(entry: Change) -> bool:
    """Whether a version carries the serial of the change that made it."""
    return entry.after is None or entry.after.updated == entry.serial.text


async def _differences(url: str, images: Sequence[Path]) -> list[str]:
    """What the images have that the store has not, or the other way round."""
    found = []
    async with await Store.open(url) as store:
        for image in images:
            async with store.snapshot() as source:
                found.append(await verify(source, image))
    return [one for one in found if one]
