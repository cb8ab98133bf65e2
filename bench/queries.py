"""What each kind of query costs, in the process: harder ones beside a name, and how they grow.

No sockets, no log, no cache of answers: the CPU time of ``Service`` for a line, from its bytes to
the bytes of its answer. What is claimed is how many times a name it costs, and how much dearer it
is among many objects than among few.

usage: python -m bench.queries STATE [STATE ...]   (states of our server, as bench/out has them)
"""

import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import generate
from rwhoisd.directory.dialect import ARIN
from rwhoisd.directory.guardian import Credentials
from rwhoisd.image.reader import ImageReader
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import QueryRequest
from rwhoisd.protocol.session import Peer, SessionLimits
from rwhoisd.service.service import Service
from rwhoisd.service.settings import ServiceSettings

BASE: Final = "name"  # what the others are compared with
_LINES: Final = 500  # different ones of each kind
_SECONDS: Final = 0.2  # of CPU time for each
_ROUNDS: Final = 3  # of which the fastest counts
_PUNT: Final = "rwhois://root.example.net:4321/auth-area=."


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of query: a line by a network's or contact's number, and the client's limit."""

    text: str
    line: Callable[[int], str]
    limit: int = 20
    somebody: bool = False  # the client has offered to satisfy a guardian


def _name(number: int) -> str:
    return generate.network_name(number)


def _email(number: int) -> str:
    return f"c{number // generate.PER_CONTACT}@example.net"


def _group(number: int) -> str:
    return f"ACME-{number // generate.PER_CONTACT:06d}"


KINDS: Final = {
    BASE: Kind("a network by its name", lambda n: f"network {_name(n)}"),
    "any class": Kind("the same, no class named", _name),
    "attribute": Kind("the same, the attribute named", lambda n: f"network-name={_name(n)}"),
    "quoted": Kind("the same, quoted", lambda n: f'network "{_name(n)}"'),
    "miss": Kind("a name that nothing has", lambda n: f"network NONE-{n}"),
    "address": Kind("an address: the networks around it", lambda n: f"10.0.{n % 50}.{n % 120}"),
    "no address": Kind("an address of somebody else: a referral", lambda n: f"11.0.{n % 250}.1"),
    "prefix": Kind("a prefix of names: twenty networks", lambda n: f"network {_group(n)}*"),
    "all": Kind("a prefix of all names", lambda _: "network ACME-0*"),
    "below": Kind("the networks below a /24", lambda n: f"network 10.0.{n % 50}.0/24**"),
    "below all": Kind("a thousand networks below a /8", lambda _: "network 10.0.0.0/8**", 1000),
    "common": Kind("a name that one contact in eight has", lambda _: "contact first-name=jane"),
    "rare and common": Kind(
        "a rare term and a common one", lambda n: f"contact email={_email(n)} and first-name=jane"
    ),
    "common and rare": Kind(
        "a common term and a rare one", lambda n: f"contact first-name=jane and email={_email(n)}"
    ),
    "or": Kind("two names", lambda n: f"{_name(n)} or {_name(n // 2)}"),
    "or attributes": Kind(
        "terms of two indexes", lambda n: f"contact email={_email(n)} or last-name=doe{n % 9}"
    ),
    "somebody": Kind(
        "a name, for a client that offered a password", lambda n: f"network {_name(n)}", 20, True
    ),
}


@dataclass(frozen=True, slots=True)
class Price:
    """What a kind of query costs among so many networks."""

    objects: int
    kind: str
    microseconds: float
    hits: int  # of the last line


def measure(state: Path, count: int) -> list[Price]:
    """The price of each kind, for our server's ``state`` with ``count`` networks."""
    reader = ImageReader(state / "image")
    settings = ServiceSettings(dialect=ARIN, punts=(_PUNT,), max_objects=0, cache_octets=0)
    service = Service(reader, settings)
    best: dict[str, Price] = {}
    for _ in range(_ROUNDS):
        for name, kind in KINDS.items():
            price = _price(service, count, name, kind)
            if name not in best or price.microseconds < best[name].microseconds:
                best[name] = price
    return list(best.values())


def _price(service: Service, count: int, name: str, kind: Kind) -> Price:
    peer = Peer("192.0.2.1", SessionLimits(objects=kind.limit))
    if kind.somebody:
        peer.credentials = Credentials("PASSWD", "not-the-password")
    lines = [kind.line(number * 7919 % count).encode() for number in range(_LINES)]
    for line in lines[:20]:  # pages and plans are there
        hits = _ask(service, peer, line)
    asked, began = 0, time.process_time()
    while (spent := time.process_time() - began) < _SECONDS:
        for line in lines[:100] if asked else lines[:5]:
            hits = _ask(service, peer, line)
            asked += 1
    return Price(count, name, spent / asked * 1e6, hits)


def _ask(service: Service, peer: Peer, line: bytes) -> int:
    """Have a line answered, all parts of the answer made; how many objects it has."""
    desk = service.desk(peer)
    told = None if desk is None else desk(line)
    if told is not None:
        return told[1]
    reply = service.handle(peer, QueryRequest(line))
    reply = reply if isinstance(reply, Reply) else _finished(reply)
    for _ in reply.more or ():
        pass
    return reply.hits


def _finished(coming: Awaitable[Reply]) -> Reply:
    """What an awaitable gives that waits for nothing but its turn."""
    steps = coming.__await__()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            reply: Reply = end.value
            return reply


def rows(prices: Iterable[Price]) -> list[list[str]]:
    """One row for each kind: what it costs beside a name, by number of objects, and its growth."""
    table = {(price.kind, price.objects): price for price in prices}
    sizes = sorted({objects for _, objects in table})
    found = []
    for name, kind in KINDS.items():
        mine = [table[name, size] for size in sizes if (name, size) in table]
        if mine:
            beside = [p.microseconds / table[BASE, p.objects].microseconds for p in mine]
            growth = mine[-1].microseconds / mine[0].microseconds
            figures = [f"{value:.1f}" for value in (*beside, growth)]
            found.append([kind.text, str(mine[-1].hits), *figures])
    return found


def heads(prices: Iterable[Price]) -> Sequence[str]:
    """The heads of the columns of ``rows``."""
    sizes = sorted({price.objects for price in prices})
    return ("query", "objects found", *(f"÷ name, {size}" for size in sizes), "growth")


def main(states: Sequence[str]) -> None:
    """Print microseconds, then the rows."""
    prices = []
    for text in states:
        state = Path(text)
        count = int(state.resolve().parent.name.rpartition("-")[2])
        prices += measure(state, count)
    for price in prices:
        print(f"{price.objects:8} {price.kind:20} {price.microseconds:9.1f} us {price.hits:5} hits")
    for row in (heads(prices), *rows(prices)):
        print(" | ".join(row))


if __name__ == "__main__":
    main(sys.argv[1:])
