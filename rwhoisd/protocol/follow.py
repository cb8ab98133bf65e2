"""Which referrals of an answer are followed, and which are not (RFC 2167 §2.5, §3.4).

Pure: whoever asks the servers drives a ``Walk`` and tells it what came of each call. All
servers get the same query (R3.4-15), so a server is asked once, whatever areas it was named
for. Referrals of different areas are all followed (R3.4-14), of one area the first that
answers (R3.4-13).
"""

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.referral import Referral


@dataclass(frozen=True, slots=True)
class FollowLimits:
    """How far a query may be carried."""

    depth: int = 8  # referrals one after another; 0 follows none
    servers: int = 32  # servers asked for one query, the first included


@dataclass(frozen=True, slots=True)
class Call:
    """A server to be asked."""

    server: HostPort
    url: str = ""  # the referral that named it; empty for the first server
    area: str = ""  # the area it was named for
    path: tuple[HostPort, ...] = ()  # servers that led to it, the first one first

    @property
    def referrer(self) -> HostPort | None:
        """The server that named it; None for the first."""
        return self.path[-1] if self.path else None


class Why(Enum):
    """Why a referral led to nothing; ``notice`` is what ``-notify`` calls it, if it is a fault."""

    LOOP = "comes round to a server on the way here", "recurref"  # R3.3.7-2
    FAILED = "its server does not answer", "badref"
    MALFORMED = "is no rwhois URL", "badref"
    UNAVAILABLE = "its server cannot serve now", ""
    REPEATED = "its server was asked already", ""
    DEPTH = "too many referrals one after another", ""
    SERVERS = "too many servers asked", ""

    def __init__(self, text: str, notice: str) -> None:
        self.text = text
        self.notice = notice


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """A referral that was not followed or led to nothing. The first server has no ``url``."""

    url: str
    referrer: HostPort | None
    why: Why


class Walk:
    """The way of one query through servers: ask for a call, tell what came of it, repeat."""

    def __init__(self, start: HostPort, limits: FollowLimits | None = None) -> None:
        self._limits = limits or FollowLimits()
        self._groups: deque[deque[Call]] = deque([deque([Call(start)])])
        self._outcome: dict[Hashable, bool] = {}  # server asked: whether it answered
        self._dead_ends: list[DeadEnd] = []

    def next_call(self) -> Call | None:
        """The next server to ask; None when the walk is over."""
        while self._groups:
            group = self._groups[0]
            if not group:
                self._groups.popleft()
            elif why := self._objection(group[0]):
                self._drop(group.popleft(), why)
                if why is Why.REPEATED:  # the area is served: what remains are its substitutes
                    self._groups.popleft()
            else:
                return group[0]
        return None

    def answered(self, call: Call, referrals: Sequence[str]) -> None:
        """``call`` was answered with these referrals: its substitutes are not needed."""
        self._outcome[_server_key(call.server)] = True
        self._groups.popleft()
        self._groups.extend(self._grouped(call, referrals))

    def failed(self, call: Call, why: Why) -> None:
        """``call`` gave no answer that serves: the next server of the same area is tried."""
        self._outcome[_server_key(call.server)] = False
        self._groups[0].popleft()
        self._drop(call, why)

    def take_dead_ends(self) -> list[DeadEnd]:
        """The referrals that led to nothing since this was last called."""
        taken, self._dead_ends = self._dead_ends, []
        return taken

    def _drop(self, call: Call, why: Why) -> None:
        self._dead_ends.append(DeadEnd(call.url, call.referrer, why))

    def _objection(self, call: Call) -> Why | None:
        key = _server_key(call.server)
        if key in map(_server_key, call.path):
            return Why.LOOP
        if key in self._outcome:
            return Why.REPEATED if self._outcome[key] else Why.FAILED
        if len(call.path) > self._limits.depth:
            return Why.DEPTH
        if len(self._outcome) >= self._limits.servers:
            return Why.SERVERS
        return None

    def _grouped(self, call: Call, referrals: Iterable[str]) -> Iterable[deque[Call]]:
        """The calls that an answer asks for, those of one area together."""
        groups: dict[Hashable, deque[Call]] = {}
        path = (*call.path, call.server)
        for text in dict.fromkeys(referrals):
            try:
                referral = Referral.from_text(text)
            except ValueError:
                self._dead_ends.append(DeadEnd(text, call.server, Why.MALFORMED))
                continue
            place = _area_key(referral)
            found = Call(referral.server, text, referral.area, path)
            groups.setdefault(place, deque()).append(found)
        return groups.values()


def _server_key(server: HostPort) -> Hashable:
    """What makes two texts the same server: the case of a name and a last dot do not count."""
    return server.host.lower().rstrip("."), server.port


def _area_key(referral: Referral) -> Hashable:
    """Referrals of one area are substitutes; one that names no area stands for itself."""
    if not referral.area:
        return _server_key(referral.server)
    try:
        return AreaName.from_text(referral.area).place
    except RwhoisError:
        return referral.area.lower()
