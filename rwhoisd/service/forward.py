"""Queries with ``-forward on``: the server follows the referrals itself (RFC 2167 §3.3.4).

No referral is returned then (R3.3.4-2). What came is given, however the servers behind failed;
when nothing came because they failed, the answer is 402 with their names (N19).
"""

import logging
from typing import Final

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.protocol.answers import Answer, AnswerReader, Record
from rwhoisd.protocol.following import Following, Step
from rwhoisd.protocol.lines import clean
from rwhoisd.protocol.replies import Reply
from rwhoisd.service.ports import Connector, ForwardError
from rwhoisd.service.query import Found
from rwhoisd.service.settings import ForwardLimits, ServiceSettings

log = logging.getLogger(__name__)

_BANNER: Final = "%rwhois"
_MARKS: Final = {"T": "", "I": ";I", "S": ";S"}


class Forwarded:
    """One query on its way through other servers."""

    def __init__(
        self, settings: ServiceSettings, connector: Connector, line: bytes, limit: int
    ) -> None:
        """``limit``: objects in the whole answer; 0: no limit."""
        self._limits: ForwardLimits = settings.forward
        self._dialect: Dialect = settings.dialect
        self._connector = connector
        self._line = line
        self._limit = limit
        self._following = Following(
            [HostPort(settings.host)],
            depth=self._limits.depth,
            servers=self._limits.servers,
        )
        self._records: dict[bytes, None] = {}  # an object that two servers have comes once
        self._failed: list[str] = []
        self._exceeded = False

    async def reply(self, found: Found) -> Reply:
        """The answer made of our own objects and those of the servers we refer to."""
        deadline = self._connector.now() + self._limits.seconds
        self._exceeded = found.hits.exceeded
        room = self._limit - len(found.hits.records) if self._limit else None
        self._following.referred(found.referrals)
        while not self._exceeded and (step := self._following.next_step()):
            seconds = deadline - self._connector.now()
            if seconds <= 0:
                self._failed.append(str(step.server))
                break
            await self._ask(step, seconds)
            if room is not None and len(self._records) > room:
                self._exceeded = True
        if self._following.ignored:
            log.info("referrals not followed: %s", " ".join(self._following.ignored))
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

    async def _ask(self, step: Step, seconds: float) -> None:
        """Ask one server and keep what it has."""
        try:
            wire = await self._connector.ask(
                step.server, self._line, seconds=seconds, octets=self._limits.octets
            )
        except ForwardError as failure:
            log.info("forwarding to %s: %s", step.server, failure)
            self._failed.append(str(step.server))
            return
        answer = read_answer(wire)
        if not answer.complete or answer.fatal:
            self._failed.append(str(step.server))
        else:
            self._following.answered()
        for record in answer.records:
            self._records.setdefault(render(record, self._dialect))
        self._exceeded = self._exceeded or answer.code == ResponseCode.LIMIT_EXCEEDED
        self._following.referred(answer.referrals, step.depth)


def read_answer(wire: bytes) -> Answer:
    """The answer in everything a server sent, one character an octet; its banner is skipped."""
    reader = AnswerReader()
    for raw in wire.split(b"\n"):
        line = clean(raw).decode("latin-1")
        if not line.lower().startswith(_BANNER) and reader.feed(line):
            break
    return reader.answer()


def render(record: Record, dialect: Dialect) -> bytes:
    """A record as we write it; its bytes are the other server's."""
    lines = (
        f"{record.class_name}:{line.attribute}{_MARKS[line.type]}:{line.value}"
        for line in record.lines
    )
    eol = dialect.eol.decode("ascii")
    return (eol.join(lines) + eol + eol).encode("latin-1")
