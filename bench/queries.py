"""What a query costs by its kind and by the number of objects: CPU in one process, no sockets.

A directory is made up object by object and built into an image; then the connection, session,
service and image of a worker answer into a transport that throws away. The kernel's part, which
is the same for all, is left out, so what is compared is ours alone. Nothing is answered from the
answer cache, and each query goes into the query log.
"""

import asyncio
import hashlib
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final, cast

import uvloop

from bench import generate, made_up
from bench.errors import BenchError
from bench.made_up import CATEGORIES, GUARDED, SECRET, STATUSES, TOGETHER, MadeUp, city
from rwhoisd import config as configuration
from rwhoisd.directory.dialect import RFC
from rwhoisd.image.build import build
from rwhoisd.image.current import ImageReader
from rwhoisd.image.folder import FORMAT
from rwhoisd.server import settings
from rwhoisd.server.hub import Hub, Manners
from rwhoisd.server.limits import LimitTable, WorkerLimits
from rwhoisd.server.querylog import QueryLog
from rwhoisd.server.transport import factory
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service

BEYOND: Final = 1_000  # records that the largest answer has
_DIFFERENT: Final = 4_000  # queries of a kind
_ROUNDS: Final = 3  # of all sizes
_PARTS: Final = 4  # of each round
_SECONDS: Final = 0.2  # for each part, about
_LOGGED: Final = 256  # queries between two turns of the log


_TIME: Final = attrgetter("microseconds")


class Numbers:
    """A directory of ``count`` networks, and what queries can be made of number ``n``."""

    def __init__(self, count: int) -> None:
        self.count = count
        step = max(1, count // _DIFFERENT)
        spread = list(islice(generate.blocks(count), 0, None, step))
        self._blocks = [b for b in spread if b.length > 24] or spread

    def name(self, n: int) -> str:
        """The name of a network."""
        return generate.network_name(n % self.count)

    def prefix(self, n: int) -> str:
        """What the names of twenty networks begin with."""
        return generate.network_name(n * 20 % max(self.count - 20, 1))[:-3]

    def address(self, n: int) -> str:
        """An address within one of the smallest networks."""
        block = self._blocks[n % len(self._blocks)]
        return f"10.{block.b}.{block.c}.{block.d}"

    def status(self, n: int) -> str:
        """What a tenth of all networks has."""
        return f"STATE-{n % self.count % STATUSES}"

    def category(self, n: int) -> str:
        """What a third of all networks has, as has this one."""
        return f"SORT-{n % self.count % CATEGORIES}"

    def together(self, n: int) -> int:
        """Number of what a few networks share."""
        return n % max(self.count // TOGETHER, 1)

    def private(self, n: int) -> str:
        """The name of a network that is private."""
        return self.name((n * GUARDED + GUARDED - 1) % (self.count // GUARDED * GUARDED))

    def large(self, n: int) -> str:
        """A network with many below it."""
        return f"10.{n % max(1, min(255, self.count // 5000))}.0.0/16"


@dataclass(frozen=True)
class Kind:
    """Queries of one kind: how they are made, and what each answer has."""

    name: str
    text: str
    line: Callable[[Numbers, int], str]
    least: int  # records of an answer
    most: int
    end: bytes = b"%ok"
    before: tuple[str, ...] = ()  # directives of the session


KINDS: Final = (
    Kind("name", "one network by its name", lambda d, n: d.name(n), 1, 1),
    Kind("address", "the chain around an address", lambda d, n: f"network {d.address(n)}", 1, 4),
    Kind("prefix", "names, 20 records", lambda d, n: f"network {d.prefix(n)}*", 1, 20),
    Kind(
        "miss", "a name that is none", lambda d, n: f"network {d.name(n)}-NO", 0, 0, b"%error 230"
    ),
    Kind(
        "attribute",
        "a value of one attribute, 4 records",
        lambda d, n: f'network Org-Name="Customer {d.together(n)} Networks"',
        1,
        TOGETHER,
    ),
    Kind(
        "and",
        "two indexes, the first of them with a tenth of all",
        lambda d, n: f"network Status={d.status(n)} and Network-Name={d.name(n)}",
        1,
        1,
    ),
    Kind(
        "both",
        "what a tenth and a third of all have, limit 20",
        lambda d, n: f"network Status={d.status(n)} and Category={d.category(n)}",
        19,  # a private one may be among them
        20,
        b"%error 330",
    ),
    Kind(
        "rarest",
        "what all names begin with, and the name of one",
        lambda d, n: f"network Network-Name={d.name(n)[:1]}* and Network-Name={d.name(n)}",
        1,
        1,
    ),
    Kind(
        "or",
        "two indexes",
        lambda d, n: f"network Network-Name={d.name(n)} or IP-Network={d.address(n)}",
        1,
        5,
    ),
    Kind(
        "common",
        "a term of a tenth of all, limit 20",
        lambda d, n: f"network Status={d.status(n)}",
        19,  # a private one may be among them
        20,
        b"%error 330",
    ),
    Kind(
        "phonetic",
        "by sound, 4 records",
        lambda d, n: f'network City="{city(d.together(n))}"',
        1,
        TOGETHER,
    ),
    Kind(
        "below",
        f"all networks below one, {BEYOND} records",
        lambda d, n: f"{d.large(n)}**",
        BEYOND - BEYOND // GUARDED - 1,
        BEYOND,
        b"%",
        (f"-limit {BEYOND}",),
    ),
    Kind(
        "referral",
        "what another server has",
        lambda _, n: f"10.255.255.{128 + n % 128}",
        1,
        3,
    ),
    Kind(
        "guardian",
        "a private network, with its guardian's password",
        lambda d, n: d.private(n),
        1,
        1,
        before=(f"-security on request pw {SECRET}",),
    ),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU for a query of a kind, and the octets of its answer, on average."""

    objects: int
    kind: str
    microseconds: float
    octets: float


def prepare(out: Path, count: int) -> Path:
    """The image of so many objects, made anew when this file or the image's format changed."""
    folder = out / f"queries-{count}"
    stamp = folder / "stamp"
    made_by = hashlib.sha256(
        b"".join(Path(str(m.__file__)).read_bytes() for m in (made_up, generate))
    )
    text = f"{made_by.hexdigest()} {FORMAT}"
    if not (stamp.exists() and stamp.read_text() == text):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        asyncio.run(build(MadeUp(count), folder / "image", RFC.eol))
        stamp.write_text(text)
    return folder


class Sink:
    """A transport that throws away; it keeps the end of what was written."""

    def __init__(self) -> None:
        self.octets = 0
        self.records = 0
        self.last = b""
        self.counting = False

    def write(self, data: bytes) -> None:
        self.octets += len(data)
        self.last = data
        if self.counting:
            self.records += data.count(b":ID:")

    @property
    def ended(self) -> bool:
        """Whether the last line of an answer has gone out."""
        last = self.last[self.last.rfind(b"\n", 0, -2) + 1 :]
        return last.startswith((b"%ok", b"%error"))

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 40_000) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing to pause."""

    resume_reading = write_eof = close = abort = pause_reading


def hub(folder: Path) -> Hub:
    """A hub as a worker has one, its query log written to nowhere."""
    config = configuration.build(
        {"compat": "rfc", "log": {"queries": "/dev/null"}, "limits": {"cache_octets": 0}}
    )
    access = settings.access(config)
    service = Service(
        ImageReader(folder / "image"), settings.service(config, access, "localhost"), Ports()
    )
    manners = Manners(service, settings.timing(config), (), access.may_connect)
    limits = WorkerLimits(LimitTable(1024, 1), 0, settings.limits(config))
    return Hub(manners, limits, QueryLog(settings.query_log(config)))


def measure(out: Path, counts: Sequence[int], advance: Callable[[str], None]) -> list[Cost]:
    """What a query of each kind costs among so many networks: the least of several times.

    The sizes of a kind are measured in turn, so that what else the machine does is the same.
    Raises: BenchError, when an answer is not what it has to be.
    """
    sizes = [(prepare(out, count), Numbers(count)) for count in counts]
    found = []
    for kind in KINDS:
        advance(f"queries, {kind.name}")
        rounds = [
            [uvloop.run(_measure(folder, kind, numbers)) for folder, numbers in sizes]
            for _ in range(_ROUNDS)
        ]
        found += [min(costs, key=_TIME) for costs in zip(*rounds, strict=True)]
    return found


async def _measure(folder: Path, kind: Kind, numbers: Numbers) -> Cost:
    lines = [f"{kind.line(numbers, n)}\r\n".encode() for n in range(_DIFFERENT)]
    random.Random(generate.QUERY_SEED).shuffle(lines)
    served, sink = hub(folder), Sink()
    connection = factory(served, 0, "127.0.0.1:4321")()
    connection.connection_made(cast("asyncio.Transport", sink))

    async def ask(line: bytes) -> None:
        sink.last = b""
        connection.data_received(line)
        served.send()
        while not sink.ended:  # noqa: ASYNC110 - it goes on in the next turn of the loop
            await asyncio.sleep(0)

    for directive in ("-holdconnect on", *kind.before):
        await ask(f"{directive}\r\n".encode())
    sink.counting = True
    await ask(lines[0])
    end = sink.last[sink.last.rfind(b"\n", 0, -2) + 1 :]
    least = min(kind.least, numbers.count // STATUSES)
    if not (least <= sink.records <= kind.most and end.startswith(kind.end)):
        raise BenchError(
            f"{kind.name}: {lines[0].decode().strip()!r} was answered with {sink.records} records"
            f" and {end.decode().strip()!r} among {numbers.count}"
        )
    sink.counting, sink.octets = False, 0
    began, asked = time.process_time(), 0
    while time.process_time() - began < _SECONDS:  # warm, and how many there are in that time
        await ask(lines[asked % len(lines)])
        asked += 1
    served.log.start()
    octets, parts = sink.octets / asked, []
    for _ in range(_PARTS):
        began = time.process_time()
        for number in range(asked):
            await ask(lines[number % len(lines)])
            if not number % _LOGGED:
                await asyncio.sleep(0)  # the log has its turn
        parts.append((time.process_time() - began) / asked * 1e6)
    served.log.close()
    connection.connection_lost(None)
    return Cost(numbers.count, kind.name, min(parts), octets)
