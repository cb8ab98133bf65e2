"""The service: one request in, one reply out (DESIGN §5).

A query and most directives are answered at once; what has to wait (forwarding, external
programs, notices, registration) gives an awaitable. Everything a client can get wrong comes back
as a reply; an exception that leaves ``handle`` is a fault of ours.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.image.current import ImageReader
from rwhoisd.image.reader import Image
from rwhoisd.protocol.directives import X_HANDLER, DirectiveTable
from rwhoisd.protocol.lines import is_clean_query
from rwhoisd.protocol.payload import Sealing
from rwhoisd.protocol.replies import Reply, Told, banner, error
from rwhoisd.protocol.requests import (
    DirectiveRequest,
    PayloadRequest,
    QueryRequest,
    RefusedRequest,
    Request,
)
from rwhoisd.protocol.session import Peer, Session, Speech
from rwhoisd.service.classes import classes, schema
from rwhoisd.service.context import Answering, Context, Handler
from rwhoisd.service.deferred import Deferred
from rwhoisd.service.desk import Desk, Desks
from rwhoisd.service.directive import directive
from rwhoisd.service.display import display
from rwhoisd.service.external import external
from rwhoisd.service.guardians import Guardians
from rwhoisd.service.notify import notify
from rwhoisd.service.pgp import payload, sealed
from rwhoisd.service.ports import Ports, Registry
from rwhoisd.service.query import Finding, Found, QueryAnswerer, at_once
from rwhoisd.service.register import Registration, register
from rwhoisd.service.rwhois import rwhois
from rwhoisd.service.security import security
from rwhoisd.service.settings import ServiceSettings
from rwhoisd.service.soa import soa
from rwhoisd.service.status import status
from rwhoisd.service.switches import forward, holdconnect, limit, quit_
from rwhoisd.service.xfer import xfer

HANDLERS: Final[Mapping[str, Handler]] = {
    "rwhois": rwhois,
    "class": classes,
    "directive": directive,
    "display": display,
    "forward": forward,
    "holdconnect": holdconnect,
    "limit": limit,
    "notify": notify,
    "quit": quit_,
    "register": register,
    "schema": schema,
    "security": security,
    "soa": soa,
    "status": status,
    "xfer": xfer,
    X_HANDLER: external,
}

_NOT_AVAILABLE: Final = Reply(b"", ResponseCode.DIRECTIVE_NOT_AVAILABLE)
_NOT_AUTHORIZED: Final = Reply(b"", ResponseCode.NOT_AUTHORIZED)


class Service:
    """Answers the requests of all sessions of one worker."""

    def __init__(
        self, reader: ImageReader, settings: ServiceSettings, ports: Ports | None = None
    ) -> None:
        ports = ports or Ports()
        self.settings: Final = settings
        self.table: Final = _table(settings, ports)
        self.banner: Final = banner(
            settings.dialect, self.table.capability(settings.dialect), settings.host
        )
        self._speech: Final = Speech(settings.dialect, self.banner, settings.limits)
        self._context: Final = Context(reader, settings, self.table, ports, self.banner)
        self._reader: Final = reader
        self._queries: Final = QueryAnswerer(settings)
        self._desks: Final = Desks(self._queries, settings.cache_octets)
        self._last_desk: Desk | None = None
        self._follows: Final = settings.dialect.forward_follows

    def session(self, address: str) -> Session:
        """A session with the client at ``address``, a literal IPv4 or IPv6 address."""
        return Session(self._speech, address)

    def handle(self, peer: Peer, request: Request) -> Answering:
        """The reply to ``request``, or an awaitable of it."""
        if peer.sealing is not None:
            return self._sealed(peer, request, peer.sealing)
        if isinstance(request, QueryRequest):
            return self._query(peer, request.line)
        return self._other(peer, request)

    def _sealed(self, peer: Peer, request: Request, sealing: Sealing) -> Answering:
        """The reply in a PGP block, as the client wants it."""
        if isinstance(request, QueryRequest):
            reply = self._query(peer, request.line)
        else:
            reply = self._other(peer, request)
        keyring = self._context.ports.keyring
        assert keyring is not None  # sealing was asked of it
        return sealed(keyring, sealing, reply, self.settings.dialect.eol)

    def _other(
        self, peer: Peer, request: DirectiveRequest | PayloadRequest | RefusedRequest
    ) -> Answering:
        if isinstance(request, DirectiveRequest):
            return self._directive(peer, request)
        if isinstance(request, PayloadRequest):
            return payload(self._context, peer, request)
        return Reply(b"", request.code, request.detail)

    async def replay(self, registry: Registry, entry: Deferred) -> Reply:
        """What comes of a registration that waited: it is checked again, but not who sent it.

        Raises: what the registry raises and is no RwhoisError.
        """
        peer = Peer(entry.client, self.settings.limits)
        registration = Registration(
            self._context, registry, peer, entry.maintainer, None, allowed=True
        )
        return await registration.done(entry.action, entry.records)

    def desk(self, peer: Peer) -> Callable[[bytes], Told | None] | None:
        """What answers lines of this client, from one version of the directory.

        It gives what ``handle`` gives for a query, as it goes out; None for a line that may be no
        query (``lines.is_clean_query``), or has a long answer. No desk, when the client has
        referrals followed or wants sealed answers: ask ``handle``.
        """
        if (peer.forward and self._follows) or peer.sealing:
            return None
        if peer.credentials is not None:
            return partial(self._personal_answer, peer)
        return self._desk_of(peer).answer

    def renew(self) -> None:
        """Let go of what belongs to an older version of the directory; to be called now and then.

        A version that nobody asks any more would keep its space in the image from being used
        again, and the image would grow with each change.
        """
        newest, desk = self._reader.current().version, self._last_desk
        if desk is not None and desk.image.version != newest:
            self._last_desk = None
            self._desks.clear()

    def _personal_answer(self, peer: Peer, line: bytes) -> Told | None:
        """What ``_personal_query`` tells a client that is somebody, if nothing has to wait."""
        if not is_clean_query(line):
            return None
        desk = self._desk_of(peer)
        try:
            found = at_once(self._queries.finding(desk.image, peer.limit, line))
            if found is None:
                return None
            guardians = Guardians(desk.image, peer, self._context.ports, peer.credentials)
            found = self._queries.find_as(guardians, found, peer.limit)
            if guardians.undecided:
                return None
            guardians.settle()
        except RwhoisError as failure:
            return desk.told(error(failure))
        return desk.told(self._queries.reply(found))

    def _desk_of(self, peer: Peer) -> Desk:
        image = self._reader.current()
        if image.restricted:
            image = image.view_for(peer.address)
        desk = self._last_desk
        if desk is None or desk.image is not image or desk.limit != peer.limit:
            desk = self._last_desk = self._desks.desk(image, peer.limit)
        return desk

    def _query(self, peer: Peer, line: bytes) -> Answering:
        desk = self._desk_of(peer)
        if peer.credentials is not None or (peer.forward and self._follows):
            return self._personal_query(desk.image, peer, line)
        begun = desk.begun(line)
        return begun if isinstance(begun, Reply) else self._answered_in_turns(desk, begun, line)

    async def _answered_in_turns(self, desk: Desk, finding: Finding, line: bytes) -> Reply:
        try:
            reply = self._queries.reply(await self._found_in_turns(finding))
        except RwhoisError as failure:
            reply = error(failure)
        desk.keep(line, reply)
        return reply

    async def _found_in_turns(self, finding: Finding) -> Found:
        """What is found in the end; others are answered meanwhile. Raises as ``finding``."""
        while True:
            await self._context.ports.turns.next()
            if (found := at_once(finding)) is not None:
                return found

    def _personal_query(self, image: Image, peer: Peer, line: bytes) -> Answering:
        """The answer for a client that is somebody, or that has referrals followed."""
        finding = self._queries.finding(image, peer.limit, line)
        try:
            found = at_once(finding)
        except RwhoisError as failure:
            return error(failure)
        if found is None:
            return self._personal_in_turns(image, peer, line, finding)
        return self._personal_reply(image, peer, line, found)

    async def _personal_in_turns(
        self, image: Image, peer: Peer, line: bytes, finding: Finding
    ) -> Reply:
        try:
            found = await self._found_in_turns(finding)
        except RwhoisError as failure:
            return error(failure)
        reply = self._personal_reply(image, peer, line, found)
        return reply if isinstance(reply, Reply) else await reply

    def _personal_reply(self, image: Image, peer: Peer, line: bytes, found: Found) -> Answering:
        if peer.credentials is None:
            return self._told(peer, line, found)
        try:
            guardians = Guardians(image, peer, self._context.ports, peer.credentials)
            public, found = found, self._queries.find_as(guardians, found, peer.limit)
        except RwhoisError as failure:
            return error(failure)
        if guardians.undecided:
            return _awaited(self._told_later(guardians, peer, line, public))
        guardians.settle()
        return self._told(peer, line, found)

    async def _told_later(
        self, guardians: Guardians, peer: Peer, line: bytes, public: Found
    ) -> Reply:
        """The answer when it is known whom the client satisfies. Raises: RwhoisError 401."""
        limit = peer.limit
        found = await guardians.decided(lambda: self._queries.find_as(guardians, public, limit))
        reply = self._told(peer, line, found)
        return reply if isinstance(reply, Reply) else await reply

    def _told(self, peer: Peer, line: bytes, found: Found) -> Answering:
        """What was found as an answer, referrals followed if the client wants it."""
        connector = self._context.ports.connector
        if connector is None or not (peer.forward and self._follows):
            return self._queries.reply(found)
        if not found.referrals:
            return self._queries.reply(found)
        from rwhoisd.service.forward import Forwarded  # a start does without it, see Worker

        forwarded = Forwarded(self.settings, self._context.ports, connector, line, peer.limit)
        return forwarded.reply(found)

    def _directive(self, peer: Peer, request: DirectiveRequest) -> Answering:
        """Known, switched on, allowed to this client; then its handler (§2)."""
        row = self.table.find(request.word)
        if row is None or not self.table.is_on(row):
            return _NOT_AVAILABLE
        if not self._context.may_use(row, peer):
            return _NOT_AUTHORIZED
        try:
            reply = HANDLERS[row.handler](self._context, peer, request)
        except RwhoisError as failure:
            return error(failure)
        return reply if isinstance(reply, Reply) else _awaited(reply)


async def _awaited(coming: Awaitable[Reply]) -> Reply:
    try:
        return await coming
    except RwhoisError as failure:
        return error(failure)


def _table(settings: ServiceSettings, ports: Ports) -> DirectiveTable:
    """The directives that are on: those without handler or port are not, whatever is set."""
    on = set(settings.directives) & HANDLERS.keys()
    if settings.dialect.forward_follows and ports.connector is None:
        on.discard("forward")
    if ports.registry is None:
        on.discard("register")
    return DirectiveTable(on, settings.external if ports.programs is not None else ())
