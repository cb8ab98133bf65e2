"""What the service needs of the world outside: each port is implemented by a higher layer."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.protocol.directives import Directive
from rwhoisd.protocol.payload import Sealing, Treatment
from rwhoisd.protocol.spool import Room
from rwhoisd.service.deferred import DeferredQueue

T = TypeVar("T")
NoticeKind = Literal["badref", "recurref", "update", "inssec", "delsec"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A ``-notify``: what was told, and by whom.

    ``server`` and ``area`` (its key) are those of update, inssec and delsec, and of the
    referral of badref and recurref, as far as the text named them.
    """

    kind: NoticeKind
    text: str
    sender: str  # address
    client: str = ""  # implementation, when it told with -rwhois
    server: HostPort | None = None
    area: str = ""


class Notices(Protocol):
    """Where notices go: the list of slaves, the replication schedule, the record for people."""

    async def record(self, notice: Notice) -> None:
        """Act on a notice. Raises: RwhoisError 401, when policy refuses it (R3.3.7-5)."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How an external program ended; ``failure`` says what went wrong, "" when nothing did."""

    output: bytes
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Parsing:
    """A registration for a parse program to look at (arin-rwhoisd.md §6.6).

    ``maintainer`` and ``client`` are bytes read as latin-1. ``content`` is what its file holds.
    """

    program: str
    action: str  # ADD, MOD or DEL
    maintainer: str
    client: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """How a parse program ended, and what its file holds now.

    ``status`` is None when it did not come to an end by itself; ``failure`` says why.
    """

    output: bytes
    status: int | None
    content: bytes
    failure: str = ""


class Programs(Protocol):
    """Runs external programs: no shell, bounded in time and output, as another user."""

    async def run(self, directive: Directive, arguments: Sequence[str]) -> ProgramResult:
        """Run the program of ``directive`` with its own and then the client's arguments.

        Whatever happens (no program, too slow, too much output, exit status) is in the result.
        """

    async def parse(self, parsing: Parsing) -> Parsed:
        """Have a parse program look at a registration. Whatever happens is in the result."""


class ForwardError(Exception):
    """A server could not be asked; the text says why, for the log."""


class Connector(Protocol):
    """Asks other servers. Never loopback, private or otherwise special nets unless allowed."""

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""

    async def ask(self, server: HostPort, line: bytes, *, seconds: float, octets: int) -> bytes:
        """Everything the server sends, banner included, until it closes, after ``line``.

        Raises: ForwardError, when the server's address is not allowed or it cannot be reached,
        is too slow or says too much.
        """


class AreaChange(Protocol):
    """One change of an area under way: all of it happens, or nothing."""

    @property
    def area(self) -> AuthorityArea | None:
        """The area as it is now."""

    @property
    def serial(self) -> TimeStamp:
        """The serial of this change; greater than any before in the area."""

    async def find(self, object_id: str) -> Sequence[StoredObject]:
        """Objects of the area with this ID."""

    async def key_taken(self, obj: Object) -> bool:
        """Whether another object of the class has the primary key of ``obj``."""

    async def add(self, obj: Object, *, unique: bool = True) -> StoredObject:
        """Add an object; ``unique`` as in ``modify``."""

    async def modify(
        self, row: int, obj: Object, *, seen: str | None = None, unique: bool = True
    ) -> None:
        """Replace the object of ``row``; 325 when its Updated is not ``seen``.

        With ``unique`` a primary key that another object has is refused (324).
        """

    async def delete(self, row: int, seen: str | None = None) -> None:
        """Remove the object of ``row``; 325 when its Updated is not ``seen``."""


class AwayError(RwhoisError):
    """501: the store takes no change now, and certainly nothing has happened."""

    def __init__(
        self, code: ResponseCode = ResponseCode.SERVICE_NOT_AVAILABLE, detail: str = ""
    ) -> None:
        super().__init__(code, detail)


class Registry(Protocol):
    """Where registrations become durable. A change is visible to queries when it has ended.

    Raises: AwayError, when the store cannot be reached. RwhoisError 501, when it was lost while
    it took the change, and nobody knows whether it did; 120, when the change is durable and
    will be visible later (DESIGN §3).
    """

    async def find(self, object_id: str) -> Sequence[StoredObject]:
        """Objects of all areas with this ID; letter case does not count."""

    async def run(self, area: str, work: Callable[[AreaChange], Awaitable[T]], *, author: str) -> T:
        """What ``work`` gives for a change of the area with this name; an exception undoes it.

        It is called again, with a new change, when another change was in the way: it must have
        no effect but on the change.
        """

    async def run_all(
        self,
        areas: Sequence[str],
        work: Callable[[Mapping[str, AreaChange]], Awaitable[T]],
        *,
        author: str,
    ) -> T:
        """The same for several areas: in one transaction, so that all of it happens or nothing.

        ``work`` gets the changes by the names in ``areas``.
        """


class Aside(Protocol):
    """Does slow work, such as a hash, while other clients are answered."""

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives. One work at a time, as it may take a lot of memory."""


class Inline:
    """Does it at once, for those who have nobody else to answer."""

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives."""
        return work()


class Turns(Protocol):
    """Parts the time between those who have a lot to do and everybody else."""

    async def next(self) -> None:
        """Wait for one's turn, which may take a few milliseconds."""


class AtOnce:
    """There is nobody else."""

    async def next(self) -> None:
        """It is one's turn."""


class Gate(Protocol):
    """So many at once."""

    def place(self, seconds: float) -> AbstractAsyncContextManager[bool]:
        """A place for as long as the block lasts; False when there was none for ``seconds``."""


class Open:
    """Everybody gets in."""

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncIterator[bool]:
        """A place at once."""
        del seconds
        yield True


@dataclass(frozen=True, slots=True)
class PayloadContent:
    """What a payload held, and every name of the key that signed it and of no other key.

    No ``keys``: nobody is proven.
    """

    content: bytes
    keys: frozenset[str] = frozenset()


class Keyring(Protocol):
    """The operator's PGP keys. Works beside the loop, within bounds; 402 when it has too much to do
    or cannot do its work.
    """

    @property
    def signs(self) -> bool:
        """Whether there is a key to sign responses with."""

    async def open(self, payload: bytes, treatment: Treatment, *, octets: int) -> PayloadContent:
        """What is in a payload, at most so many octets.

        A signature counts if it is good, new, and of a key of the ring that may be used now.
        Raises: RwhoisError 353, 354, 402.
        """

    async def key_for(self, name: str) -> str:
        """Fingerprint of the key to encrypt with. Raises: RwhoisError 354, 402."""

    async def seal(self, body: bytes, more: Iterator[bytes] | None, sealing: Sealing) -> bytes:
        """The block of a response and its further parts. Raises: RwhoisError 354, 402, and what
        comes of the parts.
        """


class Failures(Protocol):
    """The failed authentications of client nets, over all workers."""

    def may_try(self, address: str) -> bool:
        """Whether the net of this client has failures left."""

    def failed(self, address: str, number: int) -> None:
        """Charge the net of this client with so many of them."""


class Unlimited:
    """Nobody is kept from trying again."""

    def may_try(self, address: str) -> bool:
        """Always."""
        del address
        return True

    def failed(self, address: str, number: int) -> None:
        """Not counted."""
        del address, number


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports a service was given; a directive without its port is switched off."""

    notices: Notices | None = None
    programs: Programs | None = None
    connector: Connector | None = None
    registry: Registry | None = None
    deferrals: DeferredQueue | None = None  # None: what the store does not take now is refused
    aside: Aside = field(default_factory=Inline)
    clock: Callable[[], float] = time.monotonic  # seconds
    failures: Failures = field(default_factory=Unlimited)
    turns: Turns = field(default_factory=AtOnce)
    forwarding: Gate = field(default_factory=Open)
    keyring: Keyring | None = None
    spools: Room = field(default_factory=Room)
