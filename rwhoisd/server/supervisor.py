"""The supervisor: binds the ports, prepares the data, keeps the workers alive, hears signals.

Theory of operation. The supervisor itself serves nobody and loads nothing, so it is small and
always answers a signal. Preparing (migrations, importing what changed, the image) is done by a
child, the loader; while it runs, what was served before is served on. Workers are forked from
the supervisor and share with it the listening sockets and the limits' table; one that dies is
replaced, and takes over the connections that waited in its sockets. A reload reads the
configuration again, lets a loader prepare, then hands it to the workers, which go on with the
sockets they have: no connection is refused. Where others change the database, too, one more
child, the follower, keeps the image up; it is replaced and told as workers are. When the image
has grown by many changes, a child compacts it beside what is served.
"""

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from rwhoisd.config import Config, ConfigError
from rwhoisd.formats.findings import FormatError
from rwhoisd.image.errors import ImageError
from rwhoisd.server.counters import CounterReport
from rwhoisd.server.follower import Follower
from rwhoisd.server.limits import TOLD, LimitTable
from rwhoisd.server.listeners import Listener
from rwhoisd.server.reload import carried_on
from rwhoisd.server.worker import Frames, Ready, Worker, frame

logger = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
# A worker that lived less than this is started again only after a pause of the same length.
_LEAST_LIFE_SECONDS: Final = 1.0
_KILL_SECONDS: Final = 2.0  # beyond the drain time
_READY_SECONDS: Final = 60.0
_TICK_SECONDS: Final = 1.0
_COMPACTION_PAUSE_SECONDS: Final = 30.0  # between two of them at least, also when one fails
_LOOK_SECONDS: Final = 5.0  # between two looks at what the limits did
_REPORT_SECONDS: Final = 60.0  # between two lines about it
_FOLLOWER: Final = -1  # its number among the children


@dataclass
class _Child:
    """One running worker, or the follower."""

    number: int
    control: socket.socket
    started: float


class Supervisor:
    """Runs the server until it is told to stop."""

    def __init__(
        self,
        config: Config,
        listeners: Sequence[Listener],
        *,
        prepare: Callable[[Config], None],
        compact: Callable[[Config], None],
        is_worn: Callable[[Config], bool],
        reread: Callable[[], Config],
        host: str,
        ready: Callable[[Ready], None],
    ) -> None:
        """``prepare`` is run in a child and raises when it fails, and so is ``compact``, when
        ``is_worn`` says so; ``reread`` gives the
        configuration anew and raises ConfigError, FormatError or OSError; ``ready`` is called
        once, when everybody serves."""
        self._config = config
        self._listeners = listeners
        self._prepare = prepare
        self._compact, self._is_worn = compact, is_worn
        self._reread = reread
        self._host = host
        self._ready = ready
        self._workers = len(listeners[0].sockets)
        self._table = LimitTable(config.limits.clients, self._workers)
        self._counted = CounterReport(self._table, config.counters_path)
        self._children: dict[int, _Child] = {}
        self._waiting: dict[int, float] = {}  # number of a worker → when to start it
        self._loader = 0
        self._compactor = 0
        self._next_compaction = 0.0
        self._coming = config  # what the loader prepares for
        self._again = False  # a reload was asked for while a loader ran
        self._serving = False
        self._status: int | None = None
        self._done = dict.fromkeys(TOLD, 0)  # what the limits did, as it was told last
        self._reported = -_REPORT_SECONDS

    def run(self) -> int:
        """Serve. Gives the exit status: 0 after a stop, 1 when it could not begin."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it is not discarded
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._load(self._config)
        while self._status is None:
            self._step()
        self._end()
        return self._status

    def _step(self) -> None:
        seconds = _TICK_SECONDS if self._waiting else _LOOK_SECONDS
        info = signal.sigtimedwait(SIGNALS, seconds)
        number = info.si_signo if info else 0
        if number in (signal.SIGTERM, signal.SIGINT):
            self._status = 0
        elif number == signal.SIGHUP:
            self._reload()
        self._reap()
        self._start_waiting()
        self._start_compactor()
        self._report()
        self._counted.tell()

    def _report(self) -> None:
        """Tell what the limits did since this was last told, once in a minute at most."""
        now = time.monotonic()
        if now - self._reported < _REPORT_SECONDS:
            return
        done = {counter: self._table.total(counter) for counter in TOLD}
        if done != self._done:
            news = ((done[c] - self._done.get(c, 0), text) for c, text in TOLD.items())
            told = ", ".join(f"{number} {text}" for number, text in news if number)
            logger.warning("limits: %s", told)
            self._done, self._reported = done, now

    # -- children

    def _fork(self, work: Callable[[], None]) -> int:
        """A child that does ``work`` and exits: 0, or 1 after it said why not."""
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; we tell the child
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            work()
            status = 0
        except (ConfigError, FormatError, ImageError) as error:
            complain(error)
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        except Exception as error:
            # StoreError comes here as well: the database library is not loaded in this process.
            if type(error).__module__.startswith("rwhoisd."):
                complain(error)
            else:
                logger.exception("unexpected failure")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if pid == self._loader:
                self._loader = 0
                self._loaded(code)
            elif pid == self._compactor:
                self._compactor = 0
            elif child := self._children.pop(pid, None):
                self._died(child, pid, code)

    def _died(self, child: _Child, pid: int, code: int) -> None:
        child.control.close()
        who = "the follower"
        if child.number != _FOLLOWER:
            self._table.forget(child.number)
            who = f"worker {child.number}"
        if self._status is None:
            how = f"signal {-code}" if code < 0 else f"status {code}"
            logger.error("%s (pid %d) ended with %s; another starts", who, pid, how)
            pause = time.monotonic() - child.started < _LEAST_LIFE_SECONDS
            self._waiting[child.number] = time.monotonic() + pause * _LEAST_LIFE_SECONDS

    def _start_waiting(self) -> None:
        now = time.monotonic()
        for number in [n for n, due in self._waiting.items() if due <= now]:
            del self._waiting[number]
            self._start(number)

    def _start(self, number: int) -> int:
        ours, theirs = socket.socketpair()

        def work() -> None:
            ours.close()
            for child in self._children.values():
                child.control.close()
            if number == _FOLLOWER:
                for listener in self._listeners:
                    listener.close()
                Follower(self._config, theirs).run()
            else:
                Worker(number, self._config, self._listeners, self._table, theirs, self._host).run()

        pid = self._fork(work)
        theirs.close()
        self._children[pid] = _Child(number, ours, time.monotonic())
        return pid

    def _start_compactor(self) -> None:
        """Let a child compact the image when it has grown; readers switch by themselves."""
        if not self._serving or self._loader or self._compactor or self._status is not None:
            return
        now = time.monotonic()
        if now >= self._next_compaction and self._is_worn(self._config):
            self._next_compaction = now + _COMPACTION_PAUSE_SECONDS
            config = self._config

            def work() -> None:
                for child in self._children.values():
                    child.control.close()
                for listener in self._listeners:
                    listener.close()
                self._compact(config)

            self._compactor = self._fork(work)

    # -- loading and reloading

    def _load(self, config: Config) -> None:
        self._coming = config
        self._loader = self._fork(lambda: self._prepare(config))

    def _loaded(self, code: int) -> None:
        """The loader is done: begin to serve, or hand the new configuration on."""
        if self._status is not None:
            return
        if not self._serving:
            if code or not self._begin():
                self._status = 1
        elif code:
            logger.error("reload failed; serving as before")
        else:
            self._config = self._coming
            self._hand_on(self._config)
            logging.getLogger().setLevel(self._config.log.level.upper())
            logger.info("configuration and data reloaded")
        if self._again:
            self._again = False
            self._reload()

    def _hand_on(self, config: Config) -> None:
        """Tell the children to go on by ``config``."""
        message = frame(config)
        for child in self._children.values():
            with suppress(ConnectionError):  # it has just died; its successor is told at birth
                child.control.sendall(message)

    def _begin(self) -> bool:
        """Start all workers; False when one of them cannot serve, which it said itself."""
        gc.collect()
        gc.freeze()
        self._serving = True
        # What keeps one from serving keeps them all, and is to be said once.
        news = self._began([self._start(0)])
        if news is None or not self._began([self._start(n) for n in range(1, self._workers)], news):
            return False
        if self._config.follows_store:
            self._start(_FOLLOWER)
        self._ready(news)
        return True

    def _began(self, pids: Sequence[int], news: Ready | None = None) -> Ready | None:
        """What the last of these workers tells when they serve; None when one does not."""
        for pid in pids:
            try:
                news = _hear(self._children[pid].control)
            except TimeoutError:
                news = None
                os.kill(pid, signal.SIGKILL)
            if news is None:
                del self._children[pid]
                self._explain(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                return None
        return news

    @staticmethod
    def _explain(code: int) -> None:
        """Tell why a worker could not begin, unless it said so itself."""
        if code == -signal.SIGBUS:
            complain("a worker could not write to shared files: is the disk of --state full?")
        elif code <= 0:
            complain(f"a worker ended with {code} before it could serve")

    def _reload(self) -> None:
        """Read the configuration again; the old one stays when the new one is wrong."""
        if self._loader:
            self._again = True
            return
        try:
            config = self._reread()
        except (ConfigError, FormatError) as error:
            complain(error)
            logger.error("the new configuration is wrong; serving by the old one")
        except OSError as error:
            logger.error("%s: %s; serving by the old configuration", error.filename, error.strerror)
        else:
            config, remarks = carried_on(self._config, config)
            for remark in remarks:
                logger.warning("%s", remark)
            self._load(config)

    # -- the end

    def _end(self) -> None:
        """Let the workers finish what is under way, then end what is left."""
        for listener in self._listeners:
            listener.close()
        self._tell(signal.SIGTERM)
        end = time.monotonic() + self._config.limits.drain_seconds + _KILL_SECONDS
        while self._children or self._loader or self._compactor:
            left = end - time.monotonic()
            info = signal.sigtimedwait(SIGNALS, max(left, 0.0))
            if left <= 0 or (info and info.si_signo in (signal.SIGTERM, signal.SIGINT)):
                self._tell(signal.SIGKILL)
                end = time.monotonic() + _KILL_SECONDS
            self._reap()
        self._counted.tell(last=True)

    def _tell(self, number: signal.Signals) -> None:
        for pid in (*self._children, self._loader, self._compactor):
            if pid:
                os.kill(pid, number)


def _hear(control: socket.socket) -> Ready | None:
    """What a worker tells when it serves; None when it ended before. Raises: TimeoutError."""
    frames = Frames()
    control.settimeout(_READY_SECONDS)
    while data := control.recv(4096):
        for message in frames.feed(data):
            assert isinstance(message, Ready)
            control.settimeout(None)
            return message
    return None


def complain(error: object) -> None:
    """Tell the person who started us what is wrong, each mistake on its own line."""
    for line in str(error).splitlines() or ["unknown error"]:
        sys.stderr.write(f"rwhoisd: {line}\n")
