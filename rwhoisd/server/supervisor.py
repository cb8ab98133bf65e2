"""The supervisor: binds the ports, prepares the data, keeps the workers alive, hears signals.

Theory of operation. The supervisor itself serves nobody and loads nothing, so it is small and
always answers a signal. Preparing (migrations, importing what changed, the image) is done by a
child, the loader; while it runs, what was served before is served on. That holds for a start as
well: where the last loader left word that the image is what the configuration asks for, and
nothing changed since (``loaded``), workers serve it at once. Workers are forked from
the supervisor and share with it the listening sockets and the limits' table; one that dies is
replaced, and takes over the connections that waited in its sockets. A reload reads the
configuration again, lets a loader prepare, then hands it to the workers, which go on with the
sockets they have: no connection is refused. Where others change the database, too, one more
child, the follower, keeps the image up; it is replaced and told as workers are. When the image
has grown by many changes, a child compacts it beside what is served.

What the loader could not do now (the database is away, the disk is full) is tried again later,
as long as there is an image to serve. It also mends the image: when a worker died that may have
left it behind the store, when one asks for it (``ASK_TO_MEND``), and from the ground up when
processes are killed by what they read from it again and again, or cannot understand it
(``ASK_TO_BUILD``).
"""

import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from rwhoisd.config import Config, ConfigError
from rwhoisd.formats.findings import FormatError
from rwhoisd.server.counters import CounterReport
from rwhoisd.server.limits import TOLD, LimitTable
from rwhoisd.server.listeners import Listener
from rwhoisd.server.registry import ASK_TO_BUILD, ASK_TO_MEND
from rwhoisd.server.reload import carried_on
from rwhoisd.server.worker import Frames, Ready, Worker, frame
from rwhoisd.service.deferred import DeferredQueue

logger = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_ASKED: Final = (ASK_TO_MEND, ASK_TO_BUILD)  # by children
# A child that lived less than this is started again only after a pause of the same length, and
# one that does so again and again after longer ones.
_LEAST_LIFE_SECONDS: Final = 1.0
_SHORT_LIVES: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 30.0
# What kills a process that reads a damaged file through LMDB; and how many such deaths in what
# time are no accident, so that the image is built anew. That helps, or it was not the image.
_CRASHES: Final = (-signal.SIGBUS, -signal.SIGSEGV, -signal.SIGABRT)
_CRASHES_TOLD: Final = 3
_CRASH_SECONDS: Final = 60.0
_ANEW_SECONDS: Final = 600.0
_LATER: Final = os.EX_TEMPFAIL  # status of a loader that has more to do later
_KILL_SECONDS: Final = 2.0  # beyond the drain time
_READY_SECONDS: Final = 60.0
_TICK_SECONDS: Final = 1.0
_COMPACTION_PAUSE_SECONDS: Final = 30.0  # between two of them at least, also when one fails
_LOOK_SECONDS: Final = 5.0  # between two looks at what the limits did
_REPORT_SECONDS: Final = 60.0  # between two lines about it
_PR_SET_PDEATHSIG: Final = 1
_NICE: Final = 10  # of a look at what is served already: answers come first
_FOLLOWER: Final = -1  # its number among the children


class Prepare(Protocol):
    """What a loader does; see ``prepare.run``."""

    def __call__(self, config: Config, *, data: bool, anew: bool) -> bool:
        """Whether it is done; False when it has to be tried again. Raises when it cannot be."""


@dataclass(frozen=True)
class _Load:
    """What a loader is to do: bring in all ``data``, or mend the image alone; ``anew``: build
    it from the ground up; ``behind``: it is the look at what a start serves already."""

    config: Config
    data: bool = True
    anew: bool = False
    behind: bool = False


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
        prepare: Prepare,
        compact: Callable[[Config], None],
        is_worn: Callable[[Config], bool],
        is_current: Callable[[Config], bool],
        reread: Callable[[], Config],
        host: str,
        ready: Callable[[Ready], None],
    ) -> None:
        """``prepare`` is run in a child and raises when it fails, and so is ``compact``, when
        ``is_worn`` says so; ``is_current`` tells whether there is an image to serve from before
        anything is prepared; ``reread`` gives the configuration anew and raises ConfigError,
        FormatError or OSError; ``ready`` is called once, when everybody serves."""
        self._config = config
        self._listeners = listeners
        self._prepare = prepare
        self._compact, self._is_worn, self._is_current = compact, is_worn, is_current
        self._reread = reread
        self._host = host
        self._ready = ready
        registration = config.registration.queue_when_down
        waits = DeferredQueue(config.deferred_path).waits
        self._follows = config.follows_store or registration or waits
        self._workers = len(listeners[0].sockets)
        self._table = LimitTable(config.limits.clients, self._workers)
        self._counted = CounterReport(self._table, config.counters_path)
        self._children: dict[int, _Child] = {}
        self._waiting: dict[int, float] = {}  # number of a worker → when to start it
        self._loader = 0
        self._load = _Load(config)  # what the loader does or did last
        self._compactor = 0
        self._next_compaction = 0.0
        self._again = False  # a reload was asked for while a loader ran
        self._next: _Load | None = None  # what is to be done when its time has come
        self._due = 0.0
        self._tries = 0  # of loading or mending, in vain
        self._short: dict[int, int] = {}  # number of a worker → short lives in a row
        self._crashes: deque[float] = deque(maxlen=_CRASHES_TOLD)
        self._anew = -_ANEW_SECONDS  # when the image was last built anew because of them
        self._serving = False
        self._followed = False  # whether the follower was started
        self._status: int | None = None
        self._done = dict.fromkeys(TOLD, 0)  # what the limits did, as it was told last
        self._reported = -_REPORT_SECONDS

    def run(self) -> int:
        """Serve. Gives the exit status: 0 after a stop, 1 when it could not begin."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it is not discarded
        signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, *_ASKED))
        load = self._begin_at_once()
        gc.enable()
        self._start_loader(load)
        while self._status is None:
            self._step()
        self._end()
        return self._status

    def _step(self) -> None:
        waits = bool(self._waiting) or (self._next is not None and not self._loader)
        info = signal.sigtimedwait((*SIGNALS, *_ASKED), _TICK_SECONDS if waits else _LOOK_SECONDS)
        number = info.si_signo if info else 0
        if number in (signal.SIGTERM, signal.SIGINT):
            self._status = 0
        elif number == signal.SIGHUP:
            self._reload()
        elif number == ASK_TO_MEND:
            self._mend()
        elif number == ASK_TO_BUILD:
            self._doubt()
        self._reap()
        if self._status is None:
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

    def _fork(self, work: Callable[[], int | None], *, quiet: bool = False) -> int:
        """A child that does ``work`` and exits with what it gives, or 1 after it said why not,
        unless it is to be ``quiet``."""
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            gc.enable()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; we tell the child
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            for asked in _ASKED:
                signal.signal(asked, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (*SIGNALS, *_ASKED))
            status = work() or 0
        except Exception as error:
            if not quiet:
                _tell_failure(error)
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
                if self._status is None:
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
        if self._status is not None:
            return
        how = f"signal {-code}" if code < 0 else f"status {code}"
        logger.error("%s (pid %d) ended with %s; another starts", who, pid, how)
        now = time.monotonic()
        short = self._short.get(child.number, 0) + 1
        self._short[child.number] = short if now - child.started < _LEAST_LIFE_SECONDS else 0
        longer = 2 ** max(0, self._short[child.number] - _SHORT_LIVES)
        pause = _LEAST_LIFE_SECONDS * longer if self._short[child.number] else 0.0
        self._waiting[child.number] = now + min(pause, _LONGEST_PAUSE_SECONDS)
        if code in _CRASHES and self._crashed(code):
            self._mend(anew=True)
        elif child.number != _FOLLOWER:
            self._mend()  # it may have stored something that the image does not have yet

    def _crashed(self, code: int) -> bool:
        """Note such a death; whether it is time to build the image anew."""
        now = time.monotonic()
        self._crashes.append(now)
        often = len(self._crashes) == _CRASHES_TOLD and now - self._crashes[0] < _CRASH_SECONDS
        if not often or now - self._anew < _ANEW_SECONDS:
            return False
        self._tell_damage(_killing(code))
        return True

    def _doubt(self) -> None:
        """A worker read what makes no sense: build the image anew, which helps, or it was not
        the image."""
        if self._serving and time.monotonic() - self._anew >= _ANEW_SECONDS:
            self._tell_damage("a query failed on")
            self._mend(anew=True)

    def _tell_damage(self, why: str) -> None:
        self._anew = time.monotonic()
        where = self._config.image_path
        logger.error("%s the image at %s: it may be damaged, and is built anew", why, where)

    def _start_waiting(self) -> None:
        now = time.monotonic()
        for number in [n for n, due in self._waiting.items() if due <= now]:
            del self._waiting[number]
            self._start(number)
        if self._next is not None and not self._loader and self._due <= now:
            self._start_loader(self._next)

    def _start(self, number: int, *, quiet: bool = False) -> int:
        ours, theirs = socket.socketpair()
        us = os.getpid()

        def work() -> None:
            ours.close()
            for child in self._children.values():
                child.control.close()
            if number == _FOLLOWER:
                from rwhoisd.server.follower import Follower  # no other process needs it

                for listener in self._listeners:
                    listener.close()
                Follower(self._config, theirs).run()
            else:
                Worker(
                    number,
                    self._config,
                    self._listeners,
                    self._table,
                    theirs,
                    host=self._host,
                    supervisor=us,
                ).run()

        pid = self._fork(work, quiet=quiet)
        theirs.close()
        self._children[pid] = _Child(number, ours, time.monotonic())
        return pid

    def _fork_alone(self, work: Callable[[], int | None]) -> int:
        """The same for a child that hears nothing from us: it goes when we are killed, so that
        the next supervisor's children never meet it."""
        us = os.getpid()

        def bound() -> int | None:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            return work() if os.getppid() == us else 1  # else it was too late to ask for it

        return self._fork(bound)

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

            self._compactor = self._fork_alone(work)

    # -- loading and reloading

    def _start_loader(self, load: _Load) -> None:
        self._next = None
        self._load = load

        def work() -> int:
            if load.behind:
                os.nice(_NICE)
            # What is tried again was told the first time.
            if self._tries:
                logging.getLogger().setLevel(logging.CRITICAL)
            return 0 if self._prepare(load.config, data=load.data, anew=load.anew) else _LATER

        self._loader = self._fork_alone(work)

    def _mend(self, *, anew: bool = False) -> None:
        """Have the image brought up to the store; where there is a follower, that does it."""
        if not self._serving or (self._follows and not anew):
            return
        if self._next is None:
            self._next, self._due = _Load(self._config, data=False, anew=anew), 0.0
        elif anew:
            self._next = replace(self._next, anew=True)

    def _later(self, load: _Load) -> None:
        """Do it when some time has passed, longer each time."""
        self._due = time.monotonic() + min(2.0**self._tries, _LONGEST_PAUSE_SECONDS)
        self._tries += 1
        if self._next is not None:
            load = replace(load, anew=load.anew or self._next.anew)
        self._next = load

    def _loaded(self, code: int) -> None:
        """The loader is done: begin to serve, or hand the new configuration on."""
        load = self._load
        if code in _CRASHES and not load.anew:
            self._tell_damage(_killing(code))
            self._start_loader(replace(load, anew=True))
            return
        tried, done = self._tries, code == 0
        if done:
            self._tries = 0
        elif code == _LATER or load.behind or not load.data:
            self._later(load)
        if not self._serving:
            self._serve_loaded(code)
        elif load.behind:
            self._looked_behind(code, again=bool(tried))
        elif code not in (0, _LATER) and load.data:
            logger.error("reload failed; serving as before")
        elif load.data:
            self._config = load.config
            self._hand_on(self._config)
            logging.getLogger().setLevel(self._config.log.level.upper())
            if done:
                logger.info("configuration and data reloaded")
        elif done and tried:
            logger.info("the image is up to the store again")
        self._start_follower()
        if self._again and self._status is None:
            self._again = False
            self._reload()

    def _looked_behind(self, code: int, *, again: bool) -> None:
        """The look at what a start serves is over; why it failed was told by who looked."""
        if code == 0 and again:
            logger.info("the image is up to the store again")
        elif code not in (0, _LATER) and not again:
            logger.error("what was loaded last is served, and this is tried again")

    def _serve_loaded(self, code: int) -> None:
        """Begin to serve what the first loader left, or end."""
        if code in (0, _LATER):
            killed = self._begin()
            if self._serving:
                return
            if killed in _CRASHES and not self._load.anew:
                self._tell_damage(_killing(killed))
                self._start_loader(replace(self._load, anew=True))
                return
            self._explain(killed)
        self._status = 1

    def _hand_on(self, config: Config) -> None:
        """Tell the children to go on by ``config``."""
        message = frame(config)
        for child in self._children.values():
            with suppress(ConnectionError):  # it has just died; its successor is told at birth
                child.control.sendall(message)

    def _begin_at_once(self) -> _Load:
        """Serve the image that is there, if it is the one to be served; what is to be done then."""
        load = _Load(self._config)
        if not self._is_current(self._config):
            return load
        # When it does not work, the loader mends it, or tells why it cannot be.
        killed = self._begin(quiet=True)
        if killed in _CRASHES:
            self._tell_damage(_killing(killed))
        return replace(load, behind=self._serving, anew=killed in _CRASHES)

    def _begin(self, *, quiet: bool = False) -> int:
        """Start all workers. When one of them cannot serve, which it said itself unless it was to
        be ``quiet``, nobody serves, and how it ended comes back."""
        if not quiet:  # then nobody waits for an answer
            gc.collect()
        gc.freeze()
        # What keeps one from serving keeps them all, and is to be said once.
        news, code = self._began([self._start(0, quiet=quiet)])
        if news is not None:
            others = [self._start(n, quiet=quiet) for n in range(1, self._workers)]
            news, code = self._began(others, news)
        if news is None:
            self._give_up()
            return code
        self._serving = True
        self._ready(news)
        return 0

    def _start_follower(self) -> None:
        """Once what was there before it is looked at, or the look has to be taken later."""
        if self._follows and self._serving and not self._followed and self._status is None:
            self._followed = True
            self._start(_FOLLOWER)

    def _give_up(self) -> None:
        """End the workers that did begin."""
        for pid in list(self._children):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            child = self._children.pop(pid)
            child.control.close()
            self._table.forget(child.number)

    def _began(self, pids: Sequence[int], news: Ready | None = None) -> tuple[Ready | None, int]:
        """What the last of these workers tells when they serve; None when one does not, and how
        that one ended."""
        for pid in pids:
            try:
                news = _hear(self._children[pid].control)
            except TimeoutError:
                news = None
                os.kill(pid, signal.SIGKILL)
            if news is None:
                self._children.pop(pid).control.close()
                return None, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return news, 0

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
            self._tries = 0
            self._start_loader(_Load(config))

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


def _killing(code: int) -> str:
    return f"{signal.Signals(-code).name} kills what reads"


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


def _tell_failure(error: Exception) -> None:
    """Tell why a child ends."""
    if isinstance(error, OSError) and not type(error).__module__.startswith("rwhoisd."):
        complain(f"{error.filename}: {error.strerror}" if error.filename else error)
    # StoreError is ours as well: the database library is not loaded in this process.
    elif type(error).__module__.startswith("rwhoisd."):
        complain(error)
    else:
        logger.exception("unexpected failure", exc_info=error)


def complain(error: object) -> None:
    """Tell the person who started us what is wrong, each mistake on its own line."""
    for line in str(error).splitlines() or ["unknown error"]:
        sys.stderr.write(f"rwhoisd: {line}\n")
