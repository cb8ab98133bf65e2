"""A query carried through servers: ask, follow, tell servers of their bad referrals."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rwhoisd.client.session import (
    NOTIFY_CAPABILITY,
    Conversation,
    SessionError,
    SessionLimits,
    ask,
)
from rwhoisd.directory.area import HostPort
from rwhoisd.protocol.follow import Call, DeadEnd, FollowLimits, Walk, Why

NOTICE_SECONDS = 5.0  # a courtesy to the other server has to be quick


@dataclass(frozen=True, slots=True)
class Options:
    """How a query is carried."""

    session: SessionLimits = field(default_factory=SessionLimits)
    follow: FollowLimits = field(default_factory=FollowLimits)
    referrals: bool = True  # follow them, and report bad ones to who gave them (R3.3.7-2)


@dataclass(frozen=True, slots=True)
class Visit:
    """A server that was asked: what it said, or why nothing came."""

    call: Call
    conversation: Conversation | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A report of a bad referral; ``accepted`` says whether the server took it."""

    to: HostPort
    line: str
    accepted: bool


Event = Visit | DeadEnd | Notice


async def resolve(
    query: str, start: HostPort, options: Options, watch: Callable[[Event], None]
) -> list[Event]:
    """Everything that happened, in order; ``watch`` is told of each event as it happens."""
    return await _Resolution(query, options, watch).run(Walk(start, options.follow))


class _Resolution:
    def __init__(self, query: str, options: Options, watch: Callable[[Event], None]) -> None:
        self._query = query
        self._options = options
        self._watch = watch
        self._events: list[Event] = []
        self._can_notify: set[HostPort] = set()

    async def run(self, walk: Walk) -> list[Event]:
        while call := walk.next_call():
            await self._settle(walk)
            await self._visit(walk, call)
        await self._settle(walk)
        return self._events

    async def _visit(self, walk: Walk, call: Call) -> None:
        try:
            conversation = await ask(call.server, self._query, self._options.session)
        except SessionError as error:
            self._add(Visit(call, None, str(error)))
            walk.failed(call, Why.FAILED)
            return
        self._add(Visit(call, conversation))
        if conversation.banner.capabilities & NOTIFY_CAPABILITY:
            self._can_notify.add(call.server)
        if conversation.answer.fatal:
            walk.failed(call, Why.UNAVAILABLE)
        else:
            followed = conversation.answer.referrals if self._options.referrals else ()
            walk.answered(call, followed)

    async def _settle(self, walk: Walk) -> None:
        """Record the dead ends met since the last time, and report those that are faults."""
        for end in walk.take_dead_ends():
            self._add(end)
            one_word = len(end.url.split()) == 1  # else it would not be read back as one URL
            if end.why.notice and one_word and end.referrer in self._can_notify:
                await self._notify(end.referrer, end)

    async def _notify(self, server: HostPort, end: DeadEnd) -> None:
        line = f"-notify {end.why.notice} {end.url} {self._query}"
        seconds = min(NOTICE_SECONDS, self._options.session.seconds)
        limits = SessionLimits(seconds, self._options.session.octets)
        try:
            accepted = (await ask(server, line, limits)).answer.code == 0
        except SessionError:
            accepted = False
        self._add(Notice(server, line, accepted))

    def _add(self, event: Event) -> None:
        self._events.append(event)
        self._watch(event)
