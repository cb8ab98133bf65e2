"""The query log: one line per request, written in batches away from the answers.

A query costs one tuple in a list. A few times a second the list is made into lines and handed
to a thread that writes them, so that a slow disk or a full pipe stops no answer. What cannot
be written for long is dropped and counted, and the count is written when it works again.
"""

import asyncio
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Final, Literal

from rwhoisd.directory.access import address_from_text
from rwhoisd.directory.names import Network
from rwhoisd.formats.trust import distrust

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

# Words that a secret stands behind. A query for one of them loses what follows, which is little.
_SECRET: Final = re.compile(
    rb"(?:^|[\s-])(?:secur[a-z]*|request|response|passw[a-z]*|pw|crypt-pw|argon2id|pgp)\s"
    rb"|guard-?_?info\s*[=:]",
    re.IGNORECASE,
)
# Each of them has one of these in it, which is seen at a tenth of the cost.
_SIGNS: Final = (b"secur", b"request", b"response", b"passw", b"pw", b"argon2id", b"pgp", b"guard")
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
        self._head, self._tail = _FORMS[settings.form]
        self._mask = _mask(settings.v4_bits, settings.v6_bits)
        self._second = -1
        self._moment = ""

    def lines(self, entries: Sequence[Entry]) -> bytes:
        """One line for each entry."""
        head, tail = self._head, self._tail
        found: list[str] = []
        # What lines begin with is made once a millisecond, and for another client; what they
        # end in is mostly what some line before ended in.
        last, start, ends = (-1, "", ""), "", dict[tuple[int, int, int], str]()
        for (at, client, listener, _, hits, code, us), query in zip(
            entries, _quoted([entry[3] for entry in entries]), strict=True
        ):
            beginning = (int(at * 1000), client, listener)
            if beginning != last:
                last, start = beginning, head % self._beginning(*beginning)
            outcome = (hits, code, us)
            end = ends.get(outcome)
            if end is None:
                end = ends[outcome] = tail % outcome
            found += (start, query, end)
        return "".join(found).encode("ascii", "replace")

    def _beginning(self, milliseconds: int, client: str, listener: str) -> tuple[str, str, str]:
        """ISO time in UTC, the part of the client's address that is kept, the listener."""
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        place = client if self._mask is None else self._mask(client)
        return f"{self._moment}.{rest:03d}Z", place, listener


def _quoted(texts: Sequence[bytes]) -> Sequence[str]:
    """Each text quoted. Nearly all are plain; when all of them are, that is seen at once."""
    joined = b"\n".join(texts)
    if not joined.translate(None, _PLAIN) and not _has_secret(joined):
        found = f'"{joined.decode("ascii")}"'.replace("\n", '"\n"').split("\n")
        if len(found) == len(texts):
            return found
    return [quoted(without_secrets(text).decode("latin-1")) for text in texts]


def _has_secret(text: bytes) -> bool:
    folded = text.lower()
    return any(sign in folded for sign in _SIGNS) and _SECRET.search(text) is not None


def without_secrets(text: bytes) -> bytes:
    """A request as it may be written down.

    What looks like ``-security`` with its dash forgotten, or like a line of a guardian, ends before
    the secret.
    """
    found = _SECRET.search(text)
    if found is None:
        return text
    end = found.end()
    return text[:end] + b"..."


# Of many texts, divided by line ends: nothing that quoting would change.
_PLAIN: Final = bytes({*range(0x20, 0x7F), *b"\n"} - {*b'"\\'})
# What stands before and behind the query: by time, client, listener; hits, code, microseconds.
_FORMS: Final = {
    "logfmt": ("time=%s client=%s listener=%s query=", " hits=%d code=%d us=%d\n"),
    "json": (
        '{"time":"%s","client":"%s","listener":"%s","query":',
        ',"hits":%d,"code":%d,"us":%d}\n',
    ),
}


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
        self._writer = ThreadPoolExecutor(1, "query-log") if settings.on else None
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
        if self._writer:
            self._writer.submit(self._close, old)  # behind what is being written to it

    def close(self) -> None:
        """Write what waits and end; nothing is lost (the thread is waited for)."""
        if self._timer:
            self._timer.cancel()
        if self._writer:
            self._writer.shutdown(wait=True)
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
        if self._writer and self._entries and (self._writing is None or self._writing.done()):
            if self._writing and (failure := self._writing.exception()):
                self._complain(failure)
            self._writing = loop.run_in_executor(
                self._writer, self._write, self._file, self._take()
            )
        elif len(self._entries) > MOST_ENTRIES:
            self._lost += len(self._entries)
            self._entries.clear()

    def _take(self) -> bytes:
        lines = self._formatter.lines(self._entries)
        self._entries.clear()
        if self._lost:
            lines += b"lost=%d\n" % self._lost
            self._lost = 0
        return lines

    def _complain(self, failure: BaseException) -> None:
        sys.stderr.write(f"rwhoisd: query log {self._settings.target}: {failure}\n")

    def _open(self) -> int:
        if self._settings.target in (STDERR, OFF):
            return 2
        path = Path(self._settings.target)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        if path.parent.is_dir() and distrust(path.parent):
            flags |= os.O_NOFOLLOW  # anybody may put a link there, at any moment
        return os.open(path, flags, 0o640)

    @staticmethod
    def _close(file: int) -> None:
        if file > 2:
            os.close(file)

    @staticmethod
    def _write(file: int, lines: bytes) -> None:
        whole = stat.S_ISREG(os.fstat(file).st_mode)
        for piece in [lines] if whole else _pieces(lines):
            view = memoryview(piece)
            while view:
                written = os.write(file, view)
                view = view[written:]


def _pieces(lines: bytes) -> Iterator[bytes]:
    """Whole lines, as many at once as others on the same pipe do not break into."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + _PIPE_OCTETS) + 1
        end = end or lines.index(b"\n", start) + 1  # one longer line
        yield lines[start:end]
        start = end
