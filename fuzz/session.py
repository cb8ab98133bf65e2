"""The session with all directives: arbitrary bytes against the service over a real store.

An input is ``COMPAT ADDRESS OCTETS`` (mode, client, size of the pieces in which the bytes come; 0:
all at once), then what the client sends. What follows a line ``%%server`` is what every other
server answers when it is asked. ``${ID}`` and ``${UPDATED}`` stand for what the last
registration was given.
"""

import asyncio
import logging
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from fuzz import sample
from fuzz.inputs import hurried, number, require, scratch, split
from rwhoisd.config import ProgramConfig
from rwhoisd.directory.area import HostPort
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.image.current import ImageReader
from rwhoisd.protocol.directives import x_directive
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import Request
from rwhoisd.protocol.session import Session, SessionLimits
from rwhoisd.query.parser import Allowed
from rwhoisd.server.notices import StoredNotices
from rwhoisd.server.programs import LocalPrograms
from rwhoisd.server.registry import LazyStore, StoreRegistry
from rwhoisd.service.ports import AreaChange, ForwardError, Notice, Ports
from rwhoisd.service.service import Service
from rwhoisd.service.settings import ServiceSettings

_T = TypeVar("_T")
MODES: Final[Sequence[Compat]] = ("arin", "rfc")
CLIENTS: Final = ("192.0.2.7", "127.0.0.1", "2001:db8::7", "::ffff:192.0.2.7", "")
SERVER_MARK: Final = b"%%server\n"
LIMITS: Final = SessionLimits(line_octets=1024, spool_octets=4096)
CACHE_OCTETS: Final = 1 << 16
MOST_OCTETS: Final = 1 << 14  # of an input
_NEEDS_ANSWER: Final = re.compile(rb"^(?=[^\n]*\$\{)", re.MULTILINE)
_TOLD: Final = {
    b"${ID}": re.compile(rb"^%register ID: ?([^\r\n]*)", re.MULTILINE),
    b"${UPDATED}": re.compile(rb"^%register Updated: ?([^\r\n]*)", re.MULTILINE),
}
_LAST: Final = (b"%ok", b"%error ")
_ECHO: Final = ProgramConfig(name="echo", command=("/bin/echo", "said"))
_KNOWN: Final = f"contact id={sample.KNOWN_ID}\r\n".encode()


class _Log(logging.Handler):
    """Everything that was logged since it was last asked, as text; and the worst level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        text = record.getMessage()
        self.texts.append(text)
        if record.levelno >= logging.ERROR:
            self.faults.append(text)

    def clear(self) -> None:
        """Forget all of it."""
        self.texts.clear()
        self.faults.clear()


class _Elsewhere:
    """Every other server, with one answer for all."""

    def __init__(self) -> None:
        self.answer = b""

    def now(self) -> float:
        """It takes no time to ask."""
        return 0.0

    async def ask(self, server: HostPort, line: bytes, *, seconds: float, octets: int) -> bytes:
        """The answer. Raises: ForwardError, when there is none or it is too long."""
        del line
        require(seconds > 0 and octets > 0, "servers are asked within bounds")
        if not self.answer or len(self.answer) > octets:
            raise ForwardError(f"nothing of {server}")
        return self.answer


class _Registry(StoreRegistry):
    """The registry of a node; notes that there was a change."""

    changed = False

    async def run(
        self, area: str, work: Callable[[AreaChange], Awaitable[_T]], *, author: str
    ) -> _T:
        """As it is there."""
        self.changed = True
        return await super().run(area, work, author=author)


class _Notices(StoredNotices):
    """The notices of a node; notes that there was one."""

    changed = False

    async def record(self, notice: Notice) -> None:
        """As it is there."""
        self.changed = True
        await super().record(notice)


class World:
    """A service over a directory of its own, with every port that it can have."""

    def __init__(self, compat: Compat) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=scratch()))
        shutil.copytree(template(compat), self.folder, dirs_exist_ok=True)
        self._runner = asyncio.Runner()
        self._store = LazyStore(str(self.folder / sample.STORE))
        self._registry = _Registry(self._store, self.folder / sample.IMAGE)
        self._notices = _Notices(self._store)
        self.reader = ImageReader(self.folder / sample.IMAGE)
        self.elsewhere = _Elsewhere()
        ports = Ports(
            notices=self._notices,
            programs=LocalPrograms([_ECHO], self.folder),
            connector=self.elsewhere,
            registry=self._registry,
        )
        settings = ServiceSettings(
            dialect=DIALECTS[compat],
            host="rwhois.example.net",
            contact="hostmaster@example.net",
            limits=LIMITS,
            max_objects=100,
            allowed=Allowed(leading_wildcard=True),
            punts=("rwhois://up.example:4321/auth-area=.",),
            external=(x_directive("echo", _ECHO.command),),
            cache_octets=CACHE_OCTETS,
        )
        self.service = Service(self.reader, settings, ports)

    @property
    def changed(self) -> bool:
        """Whether it may be another than it was."""
        return self._registry.changed or self._notices.changed

    def wait(self, coming: Awaitable[Reply]) -> Reply:
        """The reply when it has come."""
        return self._runner.run(_wait(coming))

    def close(self) -> None:
        """Away with it."""
        self.reader.close()
        self._runner.run(self._store.close())
        self._runner.close()
        shutil.rmtree(self.folder)


async def _wait(coming: Awaitable[Reply]) -> Reply:
    return await coming


@cache
def template(compat: Compat) -> Path:
    """The folder of which every world gets a copy."""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    sample.make(folder, compat)
    return folder


class _Worlds:
    """The worlds in use, by mode; one that was changed is replaced by a new one."""

    def __init__(self) -> None:
        self._worlds: dict[Compat, World] = {}
        self.log = _Log()
        logger = logging.getLogger("rwhoisd")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self.log)
        logger.propagate = False

    def get(self, compat: Compat) -> World:
        """The world of a mode, as it was made."""
        world = self._worlds.get(compat)
        if world is not None and world.changed:
            world.close()
            world = None
        if world is None:
            world = self._worlds[compat] = World(compat)
        return world


@cache
def _worlds() -> _Worlds:
    return _Worlds()


def prepare() -> None:
    """Make what every input needs."""
    for compat in MODES:
        _worlds().get(compat)


def run(data: bytes) -> None:
    """One conversation. Raises: BrokenPromiseError, or whatever the service let out."""
    words, body = split(data[:MOST_OCTETS])
    compat = MODES[1] if words[:1] == [MODES[1]] else MODES[0]
    address = next((client for client in CLIENTS if words[1:2] == [client]), CLIENTS[0])
    size = number(words, 2, MOST_OCTETS)
    body, _, answer = body.partition(SERVER_MARK)
    with hurried():
        world, log = _worlds().get(compat), _worlds().log
        log.clear()
        world.elsewhere.answer = answer
        said = converse(world, world.service.session(address), pieces(body, size))
        _require_silence(body, said, log)
        _require_bounds(world)
        again = converse(world, world.service.session(address), [_KNOWN])
        require(sample.KNOWN_LINE in again.splitlines(), f"others are answered, not {again!r}")
        _require_silence(b"", again, log)


def pieces(body: bytes, size: int) -> Sequence[bytes]:
    """The body as it comes; so many octets at a time, or all that needs no answer before."""
    if size:
        return [body[at : at + size] for at in range(0, len(body), size)]
    return _NEEDS_ANSWER.split(body)


def _filled(piece: bytes, said: bytes) -> bytes:
    """``${ID}`` and ``${UPDATED}`` are what the last registration said."""
    for name, told in _TOLD.items():
        if name in piece and (found := told.findall(said)):
            piece = piece.replace(name, found[-1])
    return piece


def converse(world: World, session: Session, received: Sequence[bytes]) -> bytes:
    """All that is said to these pieces and the end of input."""
    said = session.banner()
    for piece in received:
        session.receive(_filled(piece, said))
        said += b"".join(answers(world, session))
        require(session.pending <= LIMITS.line_octets + 2, "no more than a line waits")
        spool = session.peer.spool
        kept = sum(map(len, spool.lines)) if spool else 0
        require(kept <= LIMITS.spool_octets, "a spool is bounded")
    session.receive_eof()
    said += b"".join(answers(world, session))
    require(session.closing, "a session ends with its input")
    require(session.pending == 0 and session.peer.spool is None, "a closed session keeps nothing")
    return said


def answers(world: World, session: Session) -> Iterator[bytes]:
    """The answers to what was received; each has one last line, and that at its end."""
    while isinstance(request := session.next_request(), Request):
        reply = world.service.handle(session.peer, request)
        if not isinstance(reply, Reply):
            reply = world.wait(reply)
        wire = session.send(reply)
        while session.sending:
            wire += session.send_part()
        lines = wire.split(b"\n")
        finals = [line for line in lines if line.startswith(_LAST)]
        require(lines[-1] == b"", f"answers end with a line end: {request!r} {wire!r}")
        require(len(finals) == 1, f"one last line for {request!r}: {wire!r}")
        require(lines[-2].startswith(_LAST), f"nothing behind the last line: {wire!r}")
        yield wire


def _require_silence(body: bytes, said: bytes, log: _Log) -> None:
    """No secret is told, but to somebody who has said it."""
    logged = "\n".join(log.texts).encode("utf-8", "replace")
    for secret in sample.secrets():
        if secret not in body:
            require(secret not in said, f"a secret is told: {said!r}")
            require(secret not in logged, f"a secret is logged: {log.texts!r}")
    require(not log.faults, f"nothing goes wrong within: {log.faults!r}")


def _require_bounds(world: World) -> None:
    """What is kept for repeats stays within its octets."""
    kept = world.service._desks._cache  # noqa: SLF001 - its size is told nowhere
    bodies = [len(told[0]) for part in (kept.young, kept.old) for told in part.values()]
    require(sum(bodies) <= CACHE_OCTETS, "answers that are kept are bounded")
