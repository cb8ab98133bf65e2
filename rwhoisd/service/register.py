"""``-register``: objects are added, changed and removed (RFC 2167 §3.3.9, arin-rwhoisd.md §6).

``on`` opens a spool in the session, ``off`` takes it and does what it says. The order of the
checks is ARIN's, with its defects mended: an unknown attribute stops it (B7), values are kept as
sent (B8), keys compare by equality (B21), guardians of an area are asked on add (B43), and a mod
stays in its area and class (B44). What a class's parse program makes of a registration is checked
as if a client had sent it. Nothing is locked while somebody is waited for: the store is asked last,
for one transaction.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self, TypeVar, cast, get_args

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import GUARDIAN_CLASS, PGP_SCHEME, Act, Credentials
from rwhoisd.directory.objects import Line, Object, late_order
from rwhoisd.directory.registration import (
    class_of,
    new_ids,
    require_known,
    require_master,
    require_same_place,
    require_same_version,
    stamped,
    violations,
)
from rwhoisd.directory.schema import BASE_ATTRIBUTES, ClassDef
from rwhoisd.directory.validate import references
from rwhoisd.image.reader import Image
from rwhoisd.image.scopes import REFERRAL_CLASS
from rwhoisd.protocol.replies import OK, Reply, error
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.protocol.spool import Action, Record, Spool, records
from rwhoisd.service.context import Answering, Context, syntax_error
from rwhoisd.service.deferred import Deferred
from rwhoisd.service.guardians import Guardians, is_clear, normalized, wire_text
from rwhoisd.service.parsing import AbandonedError, content, parsed, replacement
from rwhoisd.service.ports import AreaChange, AwayError, Parsing, Registry
from rwhoisd.service.security import accepts_secrets, schemes

log = logging.getLogger(__name__)
_T = TypeVar("_T")

SOURCE: Final = "registration"
ACTIONS: Final = frozenset(get_args(Action))
# Something, a domain of two labels or more, the last of them letters (arin-rwhoisd.md §6.1).
_MAIL: Final = re.compile(r".+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]+\Z")
_NO_RECORD: Final = "record to be registered not found"
_TOO_MANY: Final = "too many records"
_BASE: Final = {a.name: frozenset(n.lower() for n in a.names) for a in BASE_ATTRIBUTES}


def register(context: Context, peer: Peer, request: DirectiveRequest) -> Answering:
    """``on ACTION EMAIL`` opens a spool, ``off`` registers it."""
    arguments = request.arguments
    match arguments[0].lower() if arguments else "":
        case "on":
            return _open(context, peer, arguments[1:])
        case "off" if peer.spool is not None:
            return _finish(context, peer, peer.spool)
    raise syntax_error()


def _open(context: Context, peer: Peer, words: Sequence[str]) -> Reply:
    """400 inside of a registration, 338 for a wrong action or no mail address (R3.3.9-7)."""
    if peer.spool is not None:
        raise RwhoisError(ResponseCode.DIRECTIVE_NOT_AVAILABLE)
    if len(words) < 2 or words[0].lower() not in ACTIONS or not _MAIL.match(words[1]):
        raise syntax_error()
    limits = peer.limits
    peer.spool = Spool(
        cast("Action", words[0].lower()),
        words[1],
        limits.spool_octets,
        limits.spool_lines,
        context.ports.clock(),
        room=context.ports.spools,
    )
    return OK


def _finish(context: Context, peer: Peer, spool: Spool) -> Awaitable[Reply]:
    """The registration is over whatever comes of it (arin-rwhoisd.md §6.2)."""
    peer.spool = None
    registry = context.ports.registry
    if registry is None:
        raise RwhoisError(ResponseCode.DIRECTIVE_NOT_AVAILABLE)
    seconds = peer.limits.spool_seconds
    if context.ports.clock() - spool.opened > seconds:
        spool.refuse(f"registration took longer than {seconds:g} seconds")
    if spool.refusal:
        raise RwhoisError(spool.code, spool.refusal)
    offered = _offered(peer, spool)
    registration = Registration(context, registry, peer, spool.maintainer, offered)
    found = records(spool.lines)
    if offered is not None and offered.scheme == PGP_SCHEME:
        _require_fitting(spool.action, found)
    return registration.done(spool.action, found)


def _offered(peer: Peer, spool: Spool) -> Credentials | None:
    """What the client offers for a registration: a signature counts if all lines were signed."""
    if spool.proof is not None and not spool.unsigned:
        return spool.proof
    offered = peer.credentials
    return None if offered is not None and offered.scheme == PGP_SCHEME else offered


def _require_fitting(action: Action, found: Sequence[Record]) -> None:
    """Only what was signed to be deleted is: the action may have come in the clear, and who changes
    ``mod`` into ``del`` on the way would remove what was to be changed. Raises: RwhoisError 338.
    """
    if action == "del" and sum(map(bool, found)) > 1:
        raise syntax_error(_TOO_MANY)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record that is to be an object: where it belongs, its lines under canonical names."""

    area: AuthorityArea
    class_def: ClassDef
    lines: tuple[Line, ...]

    @property
    def is_guardian(self) -> bool:
        """Whether it is to guard other objects."""
        return self.class_def.name.lower() == GUARDIAN_CLASS

    def without_id(self) -> Self:
        """The same without ID lines: a new object gets one of the server's (N23)."""
        return replace(self, lines=tuple(line for line in self.lines if line[0] != "ID"))

    def object(self, lines: Sequence[Line] | None = None, order: int = 0) -> Object:
        """The object of its lines, or of these."""
        kept = self.lines if lines is None else tuple(lines)
        return Object(self.area.name.text, self.class_def.name, kept, source=SOURCE, order=order)


@dataclass(frozen=True, slots=True)
class Target:
    """What a mod or del names: ID and Updated, and the objects that have both."""

    object_id: str
    updated: str
    objects: tuple[StoredObject, ...]

    @property
    def record(self) -> Record:
        """What names it."""
        return (("ID", self.object_id), ("Updated", self.updated))


class Registration:
    """One registration of one client."""

    def __init__(
        self,
        context: Context,
        registry: Registry,
        peer: Peer,
        maintainer: str,
        offered: Credentials | None,
        *,
        allowed: bool = False,
    ) -> None:
        """``allowed``: that the client may do it was found before, see ``deferred``."""
        self._allowed = allowed
        self._ready: Deferred | None = None  # what is left to be done: the store's part
        self._context = context
        self._registry = registry
        self._maintainer = maintainer
        self._image: Image = context.image(peer)
        self._peer = peer
        self._guardians = Guardians(self._image, peer, context.ports, offered)
        self._said = b""  # by parse programs

    def done(self, action: Action, found: Sequence[Record]) -> Awaitable[Reply]:
        """What comes of it."""
        match action:
            case "add":
                return self.told(self.add(found))
            case "mod":
                return self.told(self.modify(found))
            case "del":
                return self.told(self.delete(found))

    async def told(self, coming: Awaitable[Reply]) -> Reply:
        """What comes of it, behind what parse programs had to say."""
        try:
            reply = await coming
        except AbandonedError as abandoned:
            reply = abandoned.reply
        except AwayError as away:
            reply = error(await self._deferred(away))
        except RwhoisError as failure:
            reply = error(failure)
        return reply._replace(body=self._said + reply.body)

    async def _deferred(self, away: AwayError) -> RwhoisError:
        """How a client is told that the store is away: 120, when it will be done later, or 501."""
        queue, ready = self._context.ports.deferrals, self._ready
        if queue is None or ready is None:
            return away
        try:
            name = await self._context.ports.aside.run(lambda: queue.put(ready))
        except RwhoisError as failure:
            log.error("a registration of %s cannot be deferred: %s", ready.maintainer, failure)
            return failure
        log.warning("a registration of %s is deferred as %s", ready.maintainer, name)
        return RwhoisError(ResponseCode.REGISTRATION_DEFERRED)

    def _is_ready(self, action: Action, *records: Record) -> None:
        """Everything was checked and allowed; from here on it may be done later.

        Raises: AwayError, when others wait already, so that all is done in order.
        """
        address = self._peer.address
        self._ready = Deferred(action, self._maintainer, address, records)
        queue = self._context.ports.deferrals
        if queue is not None and queue.waits:
            raise AwayError

    async def add(self, found: Sequence[Record]) -> Reply:
        """Adds the one record; answers with the ID and Updated it got (§6.3), also with 120 when
        it is stored and only not seen by queries yet."""
        if len(found) > 1:
            raise syntax_error(_TOO_MANY)
        wanted = self._wanted(found[0]).without_id()
        require_master(wanted.area)
        await self._check(wanted)
        guardians, to_be = self._guardians, wanted.object()
        await self._require(lambda: guardians.may(Act.ADD, to_be, wanted.area))
        wanted = await self._kept(wanted)
        self._is_ready("add", _wire_record(wanted))
        unique = self._is_unique(wanted.class_def)
        if wanted.class_def.parse_program:
            if unique:  # a program does not hear of what is refused anyway
                await self._change(wanted.area, lambda c: _require_free_key(c, wanted.object()))
            wanted = await self._parsed("ADD", wanted)
        final = wanted
        stored: Object | None = None

        async def store(change: AreaChange) -> Object:
            nonlocal stored
            stored = None
            obj = self._object(final, change, await _new_id(change, final.area))
            if unique:
                await _require_free_key(change, obj)
            await change.add(obj, unique=unique)
            stored = obj
            return obj

        try:
            return self._registered(await self._change(wanted.area, store))
        except RwhoisError as failure:
            if stored is None or failure.code is not ResponseCode.REGISTRATION_DEFERRED:
                raise
            return error(failure)._replace(body=self._registered(stored).body)

    async def modify(self, found: Sequence[Record]) -> Reply:
        """Replaces the object that the first record names by the second (§6.4)."""
        if len(found) < 2:
            raise RwhoisError(ResponseCode.OBJECT_NOT_FOUND)
        if not found[0]:
            raise syntax_error(_NO_RECORD)
        wanted = self._wanted(found[1])
        require_master(wanted.area)
        target = await self._target(found[0])
        await self._check(wanted)
        require_same_version(wanted.lines, target.object_id, target.updated)
        await self._authorized(Act.CHANGE, target.objects)
        before = target.objects[0]
        require_same_place(before.object, wanted.area, wanted.class_def)
        wanted = await self._kept(wanted, before.object)
        self._is_ready("mod", target.record, _wire_record(wanted))
        unique = self._context.dialect.mod_checks_key
        if wanted.class_def.parse_program:
            if unique:
                moved = wanted.object()
                await self._change(wanted.area, lambda c: self._require_key(c, moved, before))
            wanted = await self._parsed("MOD", wanted, target)
        final = wanted

        async def store(change: AreaChange) -> None:
            obj = self._object(final, change, target.object_id)
            if unique:
                await self._require_key(change, obj, before)
            await change.modify(before.row, obj, seen=target.updated, unique=unique)

        await self._change(wanted.area, store)
        return OK

    async def delete(self, found: Sequence[Record]) -> Reply:
        """Removes the objects with the ID and Updated of the first record (§6.5).

        They may be of several areas, as data of others has IDs twice: all go or none.
        """
        if not found[0]:
            raise syntax_error(_NO_RECORD)
        target = await self._target(found[0])
        areas = {stored.object.area: self._area(stored) for stored in target.objects}
        for area in areas.values():
            require_master(area)
        await self._authorized(Act.DELETE, target.objects)
        self._is_ready("del", target.record)
        for stored in target.objects:
            area = areas[stored.object.area]
            class_def = area.schema.class_def(stored.object.class_name)
            if class_def is not None and class_def.parse_program:
                await self._examined("DEL", area, class_def, stored.object.lines)

        async def remove(changes: Mapping[str, AreaChange]) -> None:
            for stored in target.objects:
                await changes[stored.object.area].delete(stored.row, seen=target.updated)

        await _plain(self._registry.run_all(tuple(areas), remove, author=self._maintainer))
        return OK

    # -- what a record says

    def _wanted(self, record: Record) -> Wanted:
        """Area and class of a record, its lines (§6.3 steps 2 to 4). 338 322 340 341 320 321."""
        if not record:
            raise syntax_error(_NO_RECORD)
        area_name, class_name = _required(record, "Auth-Area"), _required(record, "Class-Name")
        area = self._image.area(area_name)
        if area is None:
            raise RwhoisError(ResponseCode.INVALID_AREA, area_name)
        class_def = class_of(area, class_name)
        require_known(record, class_def)
        return Wanted(area, class_def, tuple(_canonical(record, class_def, area.charset)))

    async def _check(self, wanted: Wanted) -> None:
        """Required attributes, repetitions, formats, references. Raises: RwhoisError 320-323."""
        obj = wanted.object()
        dialect = self._context.dialect
        there = (
            await self._there(obj, wanted.class_def) if dialect.register_checks_references else ()
        )
        found = violations(
            obj,
            wanted.class_def,
            dialect,
            exists=lambda i: i in there,
            schemes=schemes(self._context.ports),
        )
        # Aside, as a pattern of the class may take its time over a long value.
        violation = await self._context.ports.aside.run(lambda: next(found, None))
        if violation is not None:
            raise RwhoisError(violation.code, violation.attribute)

    async def _there(self, obj: Object, class_def: ClassDef) -> set[str]:
        """The IDs it names, up to the first that no object has."""
        there: set[str] = set()
        for _, object_id in references(obj, class_def):
            if not await self._exists(object_id):
                break
            there.add(object_id)
        return there

    async def _exists(self, object_id: str) -> bool:
        """Whether an object has this ID; those of other people's areas cannot be asked."""
        labels = object_id.lower().split(".")
        ends = (".".join(labels[i:]) for i in range(1, len(labels)))
        if self._image.scopes.id_ends.isdisjoint(ends):
            return True
        # What another node has registered just now may not be in our image yet.
        return bool(self._image.by_id(object_id) or await self._stored(object_id))

    async def _stored(self, object_id: str) -> list[StoredObject]:
        """The objects with this ID that there are for this client."""
        return [s for s in await self._find(object_id) if self._image.shows(s.object)]

    async def _target(self, record: Record) -> Target:
        """What the identifying record names. Raises: RwhoisError 322, 336, 325."""
        object_id, updated = _required(record, "ID"), _required(record, "Updated")
        stored = await self._stored(object_id)
        if self._context.dialect.mod_finds_by_query:
            stored = [s for s in stored if _is_found_by_query(s.object)]
        if not stored:
            raise RwhoisError(ResponseCode.OBJECT_NOT_FOUND)
        same = tuple(s for s in stored if s.object.updated == updated)  # never without (B23)
        if not same:
            raise RwhoisError(ResponseCode.OUTDATED_OBJECT)
        return Target(same[0].object.id or object_id, updated, same)

    async def _find(self, object_id: str) -> Sequence[StoredObject]:
        """Objects with this ID; as they were last seen, when the store is away and that counts."""
        try:
            return await self._registry.find(object_id)
        except AwayError:
            if self._context.ports.deferrals is None:
                raise
        image = self._image
        found = [(*image.place(record), record) for record in image.by_id(object_id)]
        return [StoredObject(row, place, image.object(record)) for place, row, record in found]

    async def _authorized(self, act: Act, objects: Sequence[StoredObject]) -> None:
        """Raises: RwhoisError 420, when a guardian of one of them is not satisfied."""

        def all_satisfied() -> bool:
            guardians = self._guardians
            return all(guardians.may(act, s.object, self._area(s)) for s in objects)

        await self._require(all_satisfied)

    async def _require(self, satisfied: Callable[[], bool]) -> None:
        if not self._allowed and not await self._guardians.decided(satisfied):
            raise RwhoisError(ResponseCode.REGISTRATION_NOT_AUTHORIZED)

    # -- parse programs

    async def _parsed(self, action: str, wanted: Wanted, target: Target | None = None) -> Wanted:
        """What the class's parse program makes of an object that is to be (§6.6).

        Nothing is taken for granted of it. Raises: AbandonedError; RwhoisError as for what a
        client sends, and 338, when it is of another area or class or has another ID.
        """
        old = () if target is None else (target.objects[0].object.lines,)
        found = await self._examined(action, wanted.area, wanted.class_def, *old, wanted.lines)
        try:
            if target is None and len(found) > 1:
                raise syntax_error(_TOO_MANY)
            made = self._wanted(replacement(found))
            require_same_place(wanted.object(), made.area, made.class_def)
            if target is None:
                made = made.without_id()
            else:
                require_same_version(made.lines, target.object_id, target.updated)
            await self._check(made)
            return await self._kept(made, wanted.object())
        except RwhoisError as failure:
            program = wanted.class_def.parse_program
            log.warning("what %s makes of a %s: %s", program, wanted.class_def.name, failure)
            raise

    async def _examined(
        self, action: str, area: AuthorityArea, class_def: ClassDef, *parts: Sequence[Line]
    ) -> Sequence[Record]:
        """What the parse program of a class leaves of these records. Raises: AbandonedError."""
        parsing = Parsing(
            class_def.parse_program,
            action,
            self._maintainer,
            self._peer.client,
            content(area.charset, *parts),
        )
        said, found = await parsed(self._context, self._peer, parsing, class_def.name)
        self._said += said
        return found

    # -- what is written

    async def _change(self, area: AuthorityArea, work: Callable[[AreaChange], Awaitable[_T]]) -> _T:
        return await _plain(self._registry.run(area.name.text, work, author=self._maintainer))

    def _area(self, stored: StoredObject) -> AuthorityArea:
        area = self._image.area(stored.object.area)
        assert area is not None  # the objects that are shown are of areas that are
        return area

    async def _kept(self, wanted: Wanted, before: Object | None = None) -> Wanted:
        """The object as it is kept: secrets of guardians hashed, before anything is locked.

        Raises: RwhoisError 420, when a secret came where others could read it; 321.
        """
        if not wanted.is_guardian:
            return wanted
        lines = wanted.lines
        if is_clear(lines, before) and not accepts_secrets(self._context.settings, self._peer):
            raise RwhoisError(ResponseCode.REGISTRATION_NOT_AUTHORIZED, "TLS needed")
        kept = await self._context.ports.aside.run(lambda: normalized(lines, before))
        return replace(wanted, lines=kept)

    def _object(self, wanted: Wanted, change: AreaChange, object_id: str) -> Object:
        """The object as it is stored: lines as sent, ID and Updated last when not sent."""
        order = late_order(int(change.serial.text))  # what was registered comes last (§8.6)
        return wanted.object(stamped(wanted.lines, object_id, change.serial.text), order)

    def _is_unique(self, class_def: ClassDef) -> bool:
        """Whether a new object may not have the primary key of another one (324)."""
        keys = class_def.key_attributes
        return not self._context.dialect.key_needs_index or (bool(keys) and keys[0].indexed)

    async def _require_key(self, change: AreaChange, obj: Object, before: StoredObject) -> None:
        """Raises: RwhoisError 324, when it was given a primary key that another one has."""
        class_def = self._area(before).schema.class_def(obj.class_name)
        if class_def and obj.key_values(class_def) != before.object.key_values(class_def):
            await _require_free_key(change, obj)

    def _registered(self, obj: Object) -> Reply:
        blank = " " if self._context.dialect.register_blank else ""
        return self._context.reply(
            f"%register ID:{blank}{obj.id}", f"%register Updated:{blank}{obj.updated}"
        )


async def _plain(change: Awaitable[_T]) -> _T:
    """What a change gives; what the store refuses is told by its code alone, as all else is."""
    try:
        return await change
    except AwayError:
        raise
    except RwhoisError as failure:
        raise RwhoisError(failure.code) from None


async def _require_free_key(change: AreaChange, obj: Object) -> None:
    """Raises: RwhoisError 324, when another object has this primary key."""
    if await change.key_taken(obj):
        raise RwhoisError(ResponseCode.KEY_NOT_UNIQUE)


async def _new_id(change: AreaChange, area: AuthorityArea) -> str:
    """An ID that no object of the area has."""
    for object_id in new_ids(change.serial.text, area):
        if not await change.find(object_id):
            return object_id
    raise AssertionError("there is always another one")


def _wire_record(wanted: Wanted) -> Record:
    """The object as a record, as if it came over the wire."""
    charset = wanted.area.charset
    return tuple((n, v.encode(charset).decode("latin-1")) for n, v in wanted.lines)


def _required(record: Record, name: str) -> str:
    """Value of a base attribute, under any of its names. Raises: RwhoisError 322."""
    names = _BASE[name]
    value = next((value for n, value in record if value and n.lower() in names), None)
    if value is None:
        raise RwhoisError(ResponseCode.ATTRIBUTE_MISSING, name)
    return value


def _canonical(record: Record, class_def: ClassDef, charset: str) -> list[Line]:
    """The lines under canonical names, as text; empty values are dropped (§6.2).

    Raises: RwhoisError 321, for bytes that are not of the charset.
    """
    lines = []
    for typed, octets in record:
        attribute = class_def.attribute(typed)
        assert attribute is not None  # unknown ones were refused
        value = wire_text(octets, charset)
        if value is None:
            raise RwhoisError(ResponseCode.INVALID_ATTRIBUTE_SYNTAX, attribute.name)
        if value:
            lines.append((attribute.name, value))
    return lines


def _is_found_by_query(obj: Object) -> bool:
    """Whether a query for the ID finds an object, classes not named (§8.1)."""
    return obj.indexed and obj.class_name.lower() != REFERRAL_CLASS
