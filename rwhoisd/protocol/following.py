"""Following referrals: which server is asked next, and when to stop (RFC 2167 §2.5, §3.4).

Pure: whoever owns the connections takes a ``Step``, asks, and hands the answer back. Several
referrals to one area are alternatives, of which one is enough (R3.4-13); those to different
areas are all followed (R3.4-14). No server is asked twice, so loops end (N19).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.referral import Referral


@dataclass(frozen=True, slots=True)
class Step:
    """A server to ask the same query; ``depth`` counts referrals from 1."""

    server: HostPort
    area: str
    depth: int


class Following:
    """The referrals of one query, from the first answer on."""

    def __init__(self, ourselves: Iterable[HostPort], *, depth: int, servers: int) -> None:
        """``ourselves``: servers not to be asked; at most ``servers`` are, ``depth`` deep."""
        self._seen = {_key(server) for server in ourselves}
        self._depth = depth
        self._left = servers
        self._waiting: deque[list[Step]] = deque()  # alternatives of one area each
        self._open: list[Step] = []  # alternatives to the step under way
        self.ignored: list[str] = []  # referrals that could not be followed, for the log

    def referred(self, texts: Iterable[str], depth: int = 0) -> None:
        """Take the ``%referral`` texts of an answer that was ``depth`` referrals away."""
        by_area: dict[str, list[Step]] = {}
        for text in texts:
            try:
                referral = Referral.from_text(text)
            except ValueError:
                self.ignored.append(text)
                continue
            step = Step(referral.server, referral.area, depth + 1)
            if step.depth > self._depth:
                self.ignored.append(text)
            else:
                by_area.setdefault(referral.area.lower() or str(step.server), []).append(step)
        self._waiting.extend(by_area.values())

    def next_step(self) -> Step | None:
        """The server to ask now; None when there is none left."""
        while self._left and (self._open or self._waiting):
            if not self._open:
                self._open = self._waiting.popleft()
            step = self._open.pop(0)
            if _key(step.server) not in self._seen:
                self._seen.add(_key(step.server))
                self._left -= 1
                return step
        return None

    def answered(self) -> None:
        """The step under way was answered: its alternatives are not needed."""
        self._open = []


def _key(server: HostPort) -> tuple[str, int]:
    return server.host.lower().rstrip("."), server.port
