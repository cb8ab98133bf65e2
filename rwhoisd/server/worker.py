"""A worker: one process, one event loop, its share of the connections.

It inherits its sockets and the limits' table from the supervisor and hears from it through a
socket: a new configuration to serve by, or its end, which means that the supervisor is gone.
"""

import asyncio
import gc
import importlib
import logging
import os
import pickle
import signal
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import uvloop

from rwhoisd.config import Config
from rwhoisd.directory.access import AccessRules
from rwhoisd.directory.names import ADDRESS_BITS, Network
from rwhoisd.image.current import ImageReader
from rwhoisd.image.environment import looks_damaged
from rwhoisd.image.reader import Generation, Image
from rwhoisd.protocol.spool import Room
from rwhoisd.query import parser
from rwhoisd.server import pgp, settings, tls, transport
from rwhoisd.server.aside import ThreadAside
from rwhoisd.server.forward import StreamConnector
from rwhoisd.server.gate import Gate
from rwhoisd.server.hub import Hub, Manners
from rwhoisd.server.limits import LimitTable, WorkerLimits
from rwhoisd.server.listeners import Listener
from rwhoisd.server.notices import StoredNotices
from rwhoisd.server.programs import LocalPrograms
from rwhoisd.server.querylog import QueryLog
from rwhoisd.server.registry import ASK_TO_BUILD, ASK_TO_MEND, LazyStore, StoreRegistry
from rwhoisd.server.turns import Turns
from rwhoisd.service.deferred import DeferredQueue
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service

logger = logging.getLogger(__name__)

_LENGTH: Final = struct.Struct("!I")
_RENEW_SECONDS: Final = 0.25  # an idle worker keeps pages of the image from being used again
_ACCEPT_SECONDS: Final = 0.02  # for connections that the kernel took before we stop accepting


def frame(message: object) -> bytes:
    """A message between supervisor and worker as it goes over their socket."""
    data = pickle.dumps(message)
    return _LENGTH.pack(len(data)) + data


@dataclass(frozen=True)
class Ready:
    """What a worker tells when it serves: how much there is, and a query that finds something."""

    areas: int
    objects: int
    example: str


class Frames:
    """Messages out of a stream of frames."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[object]:
        """The messages that ``data`` completes."""
        self._data += data
        found: list[object] = []
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                break
            # It comes from the supervisor, which is this very program.
            found.append(pickle.loads(self._data[_LENGTH.size : end]))  # noqa: S301
            self._data = self._data[end:]
        return found


class Worker:
    """What one worker holds."""

    def __init__(
        self,
        number: int,
        config: Config,
        listeners: Sequence[Listener],
        table: LimitTable,
        control: socket.socket,
        *,
        host: str,
        supervisor: int,
    ) -> None:
        """``number`` is its place among the workers, ``host`` the system's name, ``supervisor``
        the process it belongs to."""
        self._number = number
        self._config = config
        self._listeners = listeners
        self._limits = WorkerLimits(table, number, settings.limits(config))
        self._control = control
        self._host = host
        self._supervisor = supervisor
        self._warmed = 0  # number of the generation that was brought into memory last

    def run(self) -> None:
        """Serve until the supervisor says otherwise. Raises: OSError, ImageError at start."""
        for listener in self._listeners:
            for number, sock in enumerate(listener.sockets):
                if number != self._number:
                    sock.close()
        gc.freeze()  # what was there before the fork stays shared with the others
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._frames = Frames()
        self._reader = ImageReader(self._config.image_path)
        self._log = QueryLog(settings.query_log(self._config))
        self._store = LazyStore(self._config.store_url)
        self._aside = ThreadAside()
        self._keyrings: dict[pgp.PgpSettings, pgp.GpgKeyring] = {}
        self._turns = Turns()
        self._hub = Hub(self._manners(self._config), self._limits, self._log, self._turns)
        self._hub.faulted = self._faulted
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._control.setblocking(False)
        loop.add_reader(self._control, self._hear)
        for listener in self._listeners:
            sock = listener.sockets[self._number]
            await transport.listen(self._hub, listener.row, listener.name, sock, listener.backlog)
        self._log.start()
        self._hub.sweep()
        with suppress(ConnectionError):  # the supervisor is gone, which we hear next
            self._control.send(frame(_ready(self._reader.current())))
        self._renew()
        await self._stop.wait()
        await asyncio.sleep(_ACCEPT_SECONDS)
        await self._hub.drain(self._config.limits.drain_seconds)
        await self._store.close()
        self._aside.close()
        for keyring in self._keyrings.values():
            keyring.close()
        self._log.close()
        self._renewal.cancel()  # it needs the reader
        self._reader.close()

    def _manners(self, config: Config) -> Manners:
        access = settings.access(config)
        deferrals = None
        if config.registration.queue_when_down:
            deferrals = DeferredQueue(config.deferred_path)
        ports = Ports(
            notices=StoredNotices(self._store),
            programs=local_programs(config),
            connector=StreamConnector(AccessRules.from_texts(config.forward.allow)),
            registry=StoreRegistry(self._store, config.image_path, self._ask_to_mend),
            deferrals=deferrals,
            aside=self._aside,
            failures=self._limits,
            turns=self._turns,
            forwarding=Gate(config.forward.at_once),
            keyring=self._keyring(config),
            spools=Room(config.limits.spools_octets),
        )
        service = Service(self._reader, settings.service(config, access, self._host), ports)
        return Manners(
            service,
            settings.timing(config),
            tuple(row.rules for row in config.listen),
            access.may_connect,
            tls.contexts(config),
        )

    def _renew(self) -> None:
        """Let go of versions of the image that are not the newest, also when nobody asks.

        The files of a new generation are brought into memory aside.
        """
        self._hub.manners.service.renew()
        image = self._reader.current()
        if image.generation.number != self._warmed:
            self._warmed = image.generation.number
            # A daemon, so that nobody waits for it to end.
            threading.Thread(target=_warm, args=[image.generation], daemon=True).start()
        self._renewal = asyncio.get_running_loop().call_later(_RENEW_SECONDS, self._renew)

    def _ask_to_mend(self) -> None:
        """Tell the supervisor that the image is behind the store."""
        self._ask(ASK_TO_MEND)

    def _faulted(self, error: BaseException) -> None:
        """An answer failed for a reason that is not the client's."""
        if looks_damaged(error):
            self._ask(ASK_TO_BUILD)

    def _ask(self, number: signal.Signals) -> None:
        if os.getppid() == self._supervisor:  # else it is gone, and so are we
            os.kill(self._supervisor, number)

    def _keyring(self, config: Config) -> pgp.GpgKeyring | None:
        """The operator's keys; sessions that began before a reload go on with those of then."""
        wanted = pgp.settings(config)
        if wanted is not None and wanted not in self._keyrings:
            self._keyrings[wanted] = pgp.GpgKeyring(wanted)
        return self._keyrings[wanted] if wanted is not None else None

    def _hear(self) -> None:
        """A message of the supervisor, or its end."""
        try:
            data = self._control.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""  # it was killed, with news of ours that it had not read
        if not data:
            asyncio.get_running_loop().remove_reader(self._control)
            self._stop.set()
        for message in self._frames.feed(data):
            assert isinstance(message, Config)
            self._reload(message)

    def _reload(self, config: Config) -> None:
        """Serve new connections by ``config``; when it cannot be used, go on as before."""
        try:
            self._log.reopen()
            self._hub.manners = self._manners(config)
        except OSError as error:
            logger.error("%s: %s; serving as before", error.filename, error.strerror)
            return
        except (tls.TlsError, pgp.PgpError) as error:
            logger.error("%s; serving as before", error)
            return
        self._limits.configure(settings.limits(config))
        logging.getLogger().setLevel(config.log.level.upper())


def local_programs(config: Config) -> LocalPrograms:
    """What runs the programs of a configuration."""
    programs = config.programs
    return LocalPrograms(
        programs.run,
        config.path(programs.folder) if programs.folder else config.state_path,
        [config.path(path) for path in programs.search],
        parse=programs.parse,
        spool=config.path(programs.parse.spool or config.state_path / "spool"),
        at_once=programs.at_once,
    )


def _warm(generation: Generation) -> None:
    """What a start did without, so that no client waits for it; then the image."""
    parser.warm()
    importlib.import_module("rwhoisd.service.forward")
    with suppress(OSError):  # a newer image has replaced it
        generation.warm()


def _ready(image: Image) -> Ready:
    """The example is the first address of the first network, else the name of the first area."""
    places = [area.name.place for area in image.areas]
    networks = sorted(place for place in places if isinstance(place, Network))
    if networks:
        first = networks[0]
        address = Network(first.family, first.start + 1, ADDRESS_BITS[first.family])
        example = str(address).partition("/")[0]
    else:
        example = image.areas[0].name.text if image.areas else "example"
    return Ready(len(image.areas), image.object_count, example)
