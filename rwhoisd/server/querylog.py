"""The query log: one line per request, written in batches away from the answers.

A query costs one tuple in a list. A few times a second the list is made into lines and handed
to a thread that writes them, so that a slow disk or a full pipe stops no answer. What cannot
be written for long is dropped and counted, and the count is written when it works again.
"""

import asyncio
import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Final, Literal

from rwhoisd.directory.access import address_from_text
from rwhoisd.directory.names import Network

# (seconds since the epoch, client, listener, request, hits, code or 0 for %ok, microseconds)
Entry = tuple[float, str, str, bytes, int, int, int]

FLUSH_SECONDS: Final = 0.25
# Size a batch should have: a longer one makes the next come sooner, down to the least wait, so
# that making lines never holds up the answers for long.
FLUSH_ENTRIES: Final = 1024
LEAST_WAIT_SECONDS: Final = 0.01
MOST_ENTRIES: Final = 262144  # waiting lines beyond which new ones are dropped
# Longest write that others on the same pipe do not break into (PIPE_BUF of Linux).
_PIPE_OCTETS: Final = 4096

STDERR: Final = "stderr"
OFF: Final = "off"


@dataclass(frozen=True)
class LogSettings:
    """Where the log goes (``stderr``, ``off`` or a file), its form, the address bits kept."""

    target: str = STDERR
    form: Literal["json", "logfmt"] = "logfmt"
    v4_bits: int = 32
    v6_bits: int = 128

    @property
    def on(self) -> bool:
        """Whether anything is written at all."""
        return self.target != OFF


class Formatter:
    """Entries become lines. What a client sent is quoted as JSON is: no control character."""

    def __init__(self, settings: LogSettings) -> None:
        self._line = _FORMS[settings.form]
        self._mask = _mask(settings.v4_bits, settings.v6_bits)
        self._millisecond = -1
        self._moment = ""

    def lines(self, entries: Sequence[Entry]) -> list[bytes]:
        """One line for each entry."""
        line, mask, moment = self._line, self._mask, self._moment
        last = self._millisecond
        found = []
        for at, client, listener, text, hits, code, us in entries:
            now = int(at * 1000)
            if now != last:  # a busy server has many entries in one
                last, moment = now, _moment(now)
            place = client if mask is None else mask(client)
            found.append(
                line(moment, place, listener, quoted(text.decode("latin-1")), hits, code, us)
            )
        self._millisecond, self._moment = last, moment
        return "".join(found).encode("ascii", "replace").splitlines(keepends=True)


def _moment(milliseconds: int) -> str:
    """ISO time in UTC."""
    seconds, rest = divmod(milliseconds, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"


def _logfmt(at: str, client: str, listener: str, query: str, hits: int, code: int, us: int) -> str:
    return (
        f"time={at} client={client} listener={listener} query={query} hits={hits}"
        f" code={int(code)} us={us}\n"
    )


def _json(at: str, client: str, listener: str, query: str, hits: int, code: int, us: int) -> str:
    return (
        f'{{"time":"{at}","client":"{client}","listener":"{listener}","query":{query},'
        f'"hits":{hits},"code":{int(code)},"us":{us}}}\n'
    )


_FORMS: Final = {"logfmt": _logfmt, "json": _json}


def _mask(v4_bits: int, v6_bits: int) -> Callable[[str], str] | None:
    """A function that cuts a client's address to the bits that may be kept; None for all."""
    if v4_bits == 32 and v6_bits == 128:
        return None
    bits = {4: v4_bits, 6: v6_bits}

    def masked(text: str) -> str:
        address = address_from_text(text)
        return str(Network.masked(*address, bits[address[0]])) if address else text

    return masked


class QueryLog:
    """The log of one worker. ``add`` is the hot path: it is the list's own append."""

    def __init__(self, settings: LogSettings) -> None:
        """Raises: OSError, when the file cannot be opened."""
        self._settings = settings
        self.on: Final = settings.on  # when not, nothing must be added
        self._formatter = Formatter(settings)
        self._entries: list[Entry] = []
        self._lost = 0
        self._thread = ThreadPoolExecutor(1, "query-log") if settings.on else None
        self._writing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._file = self._open()
        self.add: Callable[[Entry], None] = self._entries.append

    @property
    def waiting(self) -> int:
        """Entries not yet written."""
        return len(self._entries)

    def start(self) -> None:
        """Begin to write a few times a second; to be called on the worker's loop."""
        if self.on:
            self._tick()

    def reopen(self) -> None:
        """Open the file anew, after it was rotated; the old one is kept when that fails.

        Raises: OSError, when it cannot be opened.
        """
        old, self._file = self._file, self._open()
        if self._thread:
            self._thread.submit(self._close, old)  # behind what is being written to it

    def close(self) -> None:
        """Write what waits and end; nothing is lost (the thread is waited for)."""
        if self._timer:
            self._timer.cancel()
        if self._thread:
            self._thread.shutdown(wait=True)
        try:
            self._write(self._file, self._take())
        except OSError as error:
            self._complain(error)
        self._close(self._file)
        self._file = -1

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        pace = FLUSH_ENTRIES / max(len(self._entries), FLUSH_ENTRIES)
        self._timer = loop.call_later(max(FLUSH_SECONDS * pace, LEAST_WAIT_SECONDS), self._tick)
        if self._thread and self._entries and (self._writing is None or self._writing.done()):
            if self._writing and (failure := self._writing.exception()):
                self._complain(failure)
            self._writing = loop.run_in_executor(
                self._thread, self._write, self._file, self._take()
            )
        elif len(self._entries) > MOST_ENTRIES:
            self._lost += len(self._entries)
            self._entries.clear()

    def _take(self) -> list[bytes]:
        lines = self._formatter.lines(self._entries)
        self._entries.clear()
        if self._lost:
            lines.append(b"lost=%d\n" % self._lost)
            self._lost = 0
        return lines

    def _complain(self, failure: BaseException) -> None:
        sys.stderr.write(f"rwhoisd: query log {self._settings.target}: {failure}\n")

    def _open(self) -> int:
        if self._settings.target in (STDERR, OFF):
            return 2
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(Path(self._settings.target), flags, 0o640)

    @staticmethod
    def _close(file: int) -> None:
        if file > 2:
            os.close(file)

    @staticmethod
    def _write(file: int, lines: list[bytes]) -> None:
        for piece in _pieces(lines, whole=stat.S_ISREG(os.fstat(file).st_mode)):
            view = memoryview(piece)
            while view:
                view = view[os.write(file, view) :]


def _pieces(lines: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """Lines joined into writes: all in one for a file, else whole lines of a pipe's length."""
    if whole:
        return [b"".join(lines)] if lines else []
    pieces: list[bytes] = []
    size = _PIPE_OCTETS
    for line in lines:
        if size + len(line) > _PIPE_OCTETS:
            pieces.append(b"")
            size = 0
        pieces[-1] += line
        size += len(line)
    return pieces
