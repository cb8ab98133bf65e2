"""Queries with ``-forward on``: the server follows the referrals itself (RFC 2167 §3.3.4).

No referral is returned then (R3.3.4-2). What came is given, however the servers behind failed;
when nothing came because they failed, the answer is 402 with their names (N19).
"""

import io
import logging
from itertools import islice
from typing import Final

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.protocol.answers import Answer, AnswerReader, Record
from rwhoisd.protocol.follow import Call, FollowLimits, Walk, Why
from rwhoisd.protocol.lines import clean
from rwhoisd.protocol.replies import Reply
from rwhoisd.service.ports import Connector, ForwardError, Ports
from rwhoisd.service.query import Found
from rwhoisd.service.settings import ForwardLimits, ServiceSettings

log = logging.getLogger(__name__)

_BANNER: Final = "%rwhois"
_LINES: Final = 1000  # of an answer, read before others have their turn
_REFERRALS: Final = 64  # of an answer, that are looked at
_TOLD: Final = 8  # referrals that are not followed, in the log
_MARKS: Final = {"T": "", "I": ";I", "S": ";S"}


class Forwarded:
    """One query on its way through other servers."""

    def __init__(
        self,
        settings: ServiceSettings,
        ports: Ports,
        connector: Connector,
        line: bytes,
        limit: int,
    ) -> None:
        """``limit``: objects in the whole answer; 0: no limit."""
        self._limits: ForwardLimits = settings.forward
        self._dialect: Dialect = settings.dialect
        self._ports = ports
        self._connector = connector
        self._octets = settings.forward.octets  # that may still be taken
        self._line = line
        self._limit = limit
        # We are the first server of the walk: a referral back to us is a loop.
        self._ourselves = Call(HostPort(settings.host))
        self._walk = Walk(
            self._ourselves.server,
            FollowLimits(depth=self._limits.depth, servers=self._limits.servers + 1),
        )
        self._records: dict[bytes, None] = {}  # an object that two servers have comes once
        self._failed: list[str] = []
        self._exceeded = False

    async def reply(self, found: Found) -> Reply:
        """The answer made of our own objects and those of the servers we refer to."""
        deadline = self._connector.now() + self._limits.seconds
        async with self._ports.forwarding.place(self._limits.seconds) as place:
            if not place:
                return Reply(b"", ResponseCode.UNIDENTIFIED, "too many queries are forwarded")
            return await self._followed(found, deadline)

    async def _followed(self, found: Found, deadline: float) -> Reply:
        self._exceeded = found.hits.exceeded
        room = self._limit - len(found.hits.records) if self._limit else None
        self._walk.next_call()
        self._walk.answered(self._ourselves, found.referrals)
        while not self._exceeded and (call := self._walk.next_call()):
            seconds = deadline - self._connector.now()
            if seconds <= 0 or self._octets <= 0:
                self._failed.append(str(call.server))
                break
            await self._ask(call, seconds)
            if room is not None and len(self._records) > room:
                self._exceeded = True
        ends = self._walk.take_dead_ends()
        for end in ends[:_TOLD]:
            log.info("referral %s not followed: %s", end.url, end.why.text)
        if len(ends) > _TOLD:
            log.info("%d more referrals not followed", len(ends) - _TOLD)
        records = list(self._records)[:room]
        return self._reply(found, records)

    def _reply(self, found: Found, records: list[bytes]) -> Reply:
        count = len(found.hits.records) + len(records)
        body = found.records + b"".join(records)
        if self._exceeded:
            return Reply(body, ResponseCode.LIMIT_EXCEEDED, hits=count)
        if count:
            return Reply(body, hits=count)
        if self._failed:
            return Reply(body, ResponseCode.UNIDENTIFIED, "no answer from " + self._failed[0])
        return Reply(body, ResponseCode.NO_OBJECTS_FOUND)

    async def _ask(self, call: Call, seconds: float) -> None:
        """Ask one server and keep what it has."""
        try:
            wire = await self._connector.ask(
                call.server, self._line, seconds=seconds, octets=self._octets
            )
        except ForwardError as failure:
            log.info("forwarding to %s: %s", call.server, failure)
            self._failed.append(str(call.server))
            self._walk.failed(call, Why.FAILED)
            return
        self._octets -= len(wire)
        answer = await self._read(wire)
        for record in answer.records:
            self._records.setdefault(render(record, self._dialect))
        self._exceeded = self._exceeded or answer.code == ResponseCode.LIMIT_EXCEEDED
        if answer.complete and not answer.fatal:
            self._walk.answered(call, answer.referrals[:_REFERRALS])
        else:
            self._failed.append(str(call.server))
            self._walk.failed(call, Why.UNAVAILABLE)

    async def _read(self, wire: bytes) -> Answer:
        """The answer in everything a server sent; others are answered while it is read."""
        reading = AnswerReading(wire)
        while not reading.go_on():
            await self._ports.turns.next()
        return reading.answer()


class AnswerReading:
    """The answer in everything a server sent, one character an octet; its banner is skipped."""

    def __init__(self, wire: bytes) -> None:
        self._reader = AnswerReader()
        self._lines = io.BytesIO(wire)
        self.answer = self._reader.answer

    def go_on(self) -> bool:
        """Read some lines; whether that was all."""
        for raw in islice(self._lines, _LINES):
            line = clean(raw).decode("latin-1")
            if not line.lower().startswith(_BANNER) and self._reader.feed(line):
                return True
        return not self._lines.getbuffer()[self._lines.tell() :]


def render(record: Record, dialect: Dialect) -> bytes:
    """A record as we write it; its bytes are the other server's."""
    lines = (
        f"{record.class_name}:{line.attribute}{_MARKS[line.type]}:{line.value}"
        for line in record.lines
    )
    eol = dialect.eol.decode("ascii")
    return (eol.join(lines) + eol + eol).encode("latin-1")
