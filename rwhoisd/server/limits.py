"""Limits that hold over all workers together: a small table in shared memory.

Theory of operation. The table is an anonymous mapping made before the workers are forked. Its
rows are client nets, found by a seeded hash in groups of eight. A row has two cells that every
worker writes, its key and the time its next query is due, and one cell per worker: how many
connections of that net the worker holds. No cell of the second kind has two writers, so there
is no lock; what a dead worker held is forgotten by clearing its column. Two workers that
charge the same net in the same tenth of a microsecond lose one charge, which is harmless.

Queries are limited by the time the next one is due (the generic cell rate algorithm): one
number per net, no refilling, and a burst as long as the whole interval's allowance.

A full group makes the newcomer share the row that holds least: the table never grows, and
nobody gets around a limit by coming from many nets.

Failed authentications have rows of their own, found in the same way, and a net never shares one:
to be taken for somebody who guesses would lock a maintainer out. In a full group the newcomer
takes the place of the net that is forgotten soonest.
"""

import mmap
import os
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rwhoisd.directory.access import EVERYONE, AccessRules, Address, address_from_text
from rwhoisd.directory.names import ADDRESS_BITS

GROUP: Final = 8
EXEMPT: Final = -1  # row of clients that no limit per net holds for
_WORD: Final = 8
_MAX_CONNECTIONS: Final = 0xFFFF  # what a cell of a worker can count
_NO_ROW: Final = (-2, 0)  # of a client that was not seen before
_REMEMBERED: Final = 4096  # clients


class Counter(IntEnum):
    """What a worker counts; the columns of its own row of counters."""

    CONNECTIONS = 0  # held now
    ACCEPTED = 1
    REQUESTS = 2
    DENIED = 3  # by access rules
    TOO_MANY = 4  # connections in all or of one net
    TOO_FAST = 5  # queries of one net
    IDLE = 6
    SLOW = 7  # did not take an answer in time
    FAILED = 8  # guardians that were not satisfied by what a client offered
    GUESSING = 9  # refused to try again
    NO_TLS = 10  # did not finish a TLS handshake


# What limits did that an operator wants to hear of.
TOLD: Final = {
    Counter.DENIED: "connections denied by access rules",
    Counter.TOO_MANY: "connections beyond the limit",
    Counter.TOO_FAST: "queries beyond the limit",
    Counter.SLOW: "clients cut off that did not take their answers",
    Counter.FAILED: "failed authentications",
    Counter.GUESSING: "authentications refused after too many failures",
    Counter.NO_TLS: "TLS handshakes not finished",
}
# Counted for every connection: a plain number in a global costs less than a member of an enum.
_CONNECTIONS: Final = int(Counter.CONNECTIONS)
_ACCEPTED: Final = int(Counter.ACCEPTED)


@dataclass(frozen=True)
class LimitSettings:
    """The limits; 0 is none. ``exempt`` lists clients the limits per net do not hold for."""

    connections: int = 0
    connections_per_net: int = 0
    queries_per_net: int = 0
    query_interval_seconds: float = 60.0
    failures_per_net: int = 0
    failure_interval_seconds: float = 600.0
    net_v4_bits: int = 32
    net_v6_bits: int = 64
    exempt: AccessRules = EVERYONE

    @property
    def per_net(self) -> bool:
        """Whether any limit per net is set."""
        return bool(self.connections_per_net or self.queries_per_net)


class LimitTable:
    """The shared memory: rows of client nets, a column and a row of counters per worker."""

    def __init__(self, clients: int, workers: int) -> None:
        """``clients`` rows, rounded up to whole groups."""
        self.groups: Final = -(-clients // GROUP)
        self.workers: Final = workers
        rows = self.groups * GROUP
        columns = -(-rows * 2 // _WORD) * _WORD
        self._memory = mmap.mmap(-1, rows * _WORD * 4 + workers * (columns + len(Counter) * _WORD))
        view, offset = memoryview(self._memory), 0

        def cut(octets: int) -> memoryview:
            nonlocal offset
            offset += octets
            return view[offset - octets : offset]

        self.keys: Final = cut(rows * _WORD).cast("Q")
        self.due: Final = cut(rows * _WORD).cast("d")
        self.failed_keys: Final = cut(rows * _WORD).cast("Q")
        self.failed_due: Final = cut(rows * _WORD).cast("d")
        self.held: Final = [cut(columns).cast("H") for _ in range(workers)]
        self.counters: Final = [cut(len(Counter) * _WORD).cast("Q") for _ in range(workers)]
        self.seed: Final = int.from_bytes(os.urandom(8))

    def connections(self) -> int:
        """Connections held now by all workers."""
        return sum([row[_CONNECTIONS] for row in self.counters])

    def total(self, counter: Counter) -> int:
        """A counter summed over all workers, dead ones included."""
        return sum(row[counter] for row in self.counters)

    def held_by_net(self, row: int) -> int:
        """Connections of the net in ``row``, over all workers."""
        return sum([column[row] for column in self.held])

    def forget(self, worker: int) -> None:
        """Clear what a worker that died had held; its other counters stay."""
        column = self.held[worker]
        column[:] = memoryview(bytes(column.nbytes)).cast("H")
        self.counters[worker][Counter.CONNECTIONS] = 0

    def row_of(self, key: int, now: float) -> int:
        """The row of a net by its key, made when there is none; in a full group a shared one."""
        start = key % self.groups * GROUP
        row = _row_with(self.keys, key, start)
        if row is not None:
            return row
        loads = [(self.held_by_net(i), max(self.due[i], now)) for i in range(start, start + GROUP)]
        # Another worker that meets the net now takes the same row by the same loads. If they are
        # changed by it already its key stands there, and without this look the net had two rows.
        row = _row_with(self.keys, key, start)
        if row is not None:
            return row
        row = start + min(range(GROUP), key=loads.__getitem__)
        if loads[row - start] == (0, now):  # empty, or nothing is remembered of its net
            self.keys[row] = key
        return row

    def failures_due(self, key: int) -> float:
        """Until when the failures of a net are remembered; 0 when there are none."""
        row = self._failed_row(key)
        return 0.0 if row is None else self.failed_due[row]

    def remember_failures(self, key: int, due: float) -> None:
        """Remember the failures of a net until ``due``."""
        row = self._failed_row(key)
        if row is None:
            start = key % self.groups * GROUP
            row = min(range(start, start + GROUP), key=self.failed_due.__getitem__)
        self.failed_keys[row] = key
        self.failed_due[row] = due

    def _failed_row(self, key: int) -> int | None:
        return _row_with(self.failed_keys, key, key % self.groups * GROUP)


def _row_with(keys: memoryview, key: int, start: int) -> int | None:
    """The row of a key in the group that begins at ``start``."""
    group: list[int] = keys[start : start + GROUP].tolist()
    return start + group.index(key) if key in group else None


class WorkerLimits:
    """The limits as one worker applies them."""

    def __init__(self, table: LimitTable, worker: int, settings: LimitSettings) -> None:
        self._table = table
        self._held = table.held[worker]
        self._due = table.due
        self.counters: Final = table.counters[worker]  # by Counter
        self.configure(settings)

    def configure(self, settings: LimitSettings) -> None:
        """Apply other limits from now on; what is held stays held."""
        self._settings = settings
        self._per_net = settings.per_net
        self._rows: dict[Address, tuple[int, int]] = {}  # client → its row, and the key of its net
        self._shift = {
            4: ADDRESS_BITS[4] - settings.net_v4_bits,
            6: ADDRESS_BITS[6] - settings.net_v6_bits,
        }
        queries = settings.queries_per_net
        # Seconds that a query is charged with; 0: queries are not charged at all.
        self.cost = settings.query_interval_seconds / queries if queries else 0.0
        # Half a query more than the interval, so that rounding does not eat the last one.
        self._burst = settings.query_interval_seconds + self.cost / 2
        failures = settings.failures_per_net
        self._failure_cost = settings.failure_interval_seconds / failures if failures else 0.0

    def count(self, counter: int, number: int = 1) -> None:
        """Add to a counter."""
        self.counters[counter] += number

    def admit(self, address: Address | None) -> int | None:
        """The row to charge for a new connection, to be given back to ``leave``; None when full."""
        settings = self._settings
        if settings.connections and self._table.connections() >= settings.connections:
            return None
        row = self._row(address) if self._per_net else EXEMPT
        if row != EXEMPT:
            most = settings.connections_per_net or _MAX_CONNECTIONS
            if self._table.held_by_net(row) >= most:
                return None
            self._held[row] += 1
        self.counters[_CONNECTIONS] += 1
        self.counters[_ACCEPTED] += 1
        return row

    def leave(self, row: int) -> None:
        """The connection that ``admit`` gave ``row`` for is over."""
        self.counters[_CONNECTIONS] -= 1
        if row != EXEMPT:
            self._held[row] -= 1

    def spend(self, row: int) -> bool:
        """Whether one more query of this net may be answered now; it is charged when so."""
        if not self.cost or row < 0:
            return True
        now = time.monotonic()
        due = max(now, self._due[row]) + self.cost
        if due - now > self._burst:
            return False
        self._due[row] = due
        return True

    def give_back(self, row: int) -> None:
        """Take back the charge for a query of this net that was none."""
        self._due[row] -= self.cost

    def may_try(self, address: str) -> bool:
        """Whether the net of this client may fail once more to prove who it is."""
        key = self._failure_key(address)
        if key is None:
            return True
        left = time.monotonic() + self._settings.failure_interval_seconds
        # Half a failure is forgiven, so that rounding does not eat the last one.
        if self._table.failures_due(key) + self._failure_cost / 2 <= left:
            return True
        self.count(Counter.GUESSING)
        return False

    def failed(self, address: str, number: int) -> None:
        """Charge the net of this client with failures; one is forgotten after its share of the
        interval, all of them after the whole, however many there were."""
        self.count(Counter.FAILED, number)
        key = self._failure_key(address)
        if key is None:
            return
        now = time.monotonic()
        due = max(now, self._table.failures_due(key)) + number * self._failure_cost
        most = now + self._settings.failure_interval_seconds
        self._table.remember_failures(key, min(due, most))

    def _failure_key(self, address: str) -> int | None:
        """The key of a client's net; None when its failures are not limited."""
        number = address_from_text(address) if self._failure_cost else None
        if number is None or self._is_exempt(number):
            return None
        return self._key(number)

    def _row(self, address: Address | None) -> int:
        """The row of a client's net; that of a client seen before, while it still has it."""
        if address is None:
            return EXEMPT
        row, key = self._rows.get(address, _NO_ROW)
        if row == EXEMPT or (row >= 0 and self._table.keys[row] == key):
            return row
        if self._is_exempt(address):
            row, key = EXEMPT, 0
        else:
            key = self._key(address)
            row = self._table.row_of(key, time.monotonic())
        if len(self._rows) >= _REMEMBERED:
            self._rows.clear()
        self._rows[address] = (row, key)
        return row

    def _is_exempt(self, address: Address) -> bool:
        exempt = self._settings.exempt
        return bool(exempt) and exempt.allows(address)

    def _key(self, address: Address) -> int:
        """The key of a client's net; never 0, which would be an empty row."""
        family, number = address
        net = (self._table.seed, family, number >> self._shift[family])
        return hash(net) & 0xFFFFFFFFFFFFFFFF | 1
