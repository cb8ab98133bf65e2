"""``-xfer``: objects of an area for slaves and for people (RFC 2167 §3.3.14).

The view is that of ``directory.visibility``: private data leaves only for those who satisfy a
guardian (B5, ruling b). A deletion has no form on the wire: none is invented (N31).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import GUARDIAN_CLASS, Act
from rwhoisd.directory.objects import Object
from rwhoisd.directory.render import transfer_record
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.directory.visibility import ShownLine, personal_lines, transfer_lines
from rwhoisd.image.reader import Image
from rwhoisd.protocol.replies import Reply, body
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Answering, Context, find_area, find_class, syntax_error
from rwhoisd.service.guardians import Guardians

# A reply is made in parts, between which others have their turn: of about so many octets, or of
# so many objects that were looked at.
PART_OCTETS: Final = 1 << 14
PART_OBJECTS: Final = 64
_LOOKS: Final = 2  # parts that are made before it is answered at all
_WORLD: Final = "0.0.0.0/0"
_SERIAL_DIGITS: Final = 17
_GUARDIANS: Final = 1000  # of an area that are asked for their hash before a transfer


@dataclass(slots=True)
class Selection:
    """A class to transfer; no attributes means all of them."""

    class_def: ClassDef
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """What is wanted of an area; ``since`` is a serial, inclusive (N31), or empty."""

    selections: tuple[Selection, ...]
    since: str = ""


def xfer(context: Context, peer: Peer, request: DirectiveRequest) -> Answering:
    """The objects asked for, in request or schema order, in parts.

    338 syntax, 340 area, 401 when the area is closed to this client, 333 on a slave, 341 class,
    320 attribute (N32), 332 when there is nothing.
    """
    arguments = request.arguments
    if not arguments:
        raise syntax_error()
    if arguments[0] == _WORLD:
        raise RwhoisError(ResponseCode.INVALID_AREA, "No world dumps allowed")
    image = context.image(peer)
    area = find_area(image, arguments[0])
    if not context.settings.may_transfer(area.name.key, peer.address):
        raise RwhoisError(ResponseCode.NOT_AUTHORIZED)
    if area.role == "slave":
        raise RwhoisError(ResponseCode.NOT_MASTER)
    wanted = read_arguments(area, arguments[1:], lenient=context.dialect.xfer_ignores_unknown)
    transfer = Transfer(context, image, area, wanted)
    if peer.credentials is None:
        return transfer.reply(lambda obj, class_def: transfer_lines(obj, class_def, area))
    return transfer.personal(Guardians(image, peer, context.ports, peer.credentials))


def read_arguments(
    area: AuthorityArea, arguments: Sequence[str], *, lenient: bool
) -> TransferRequest:
    """``[class=NAME [attribute=NAME] ...] [SERIAL]`` in any order, ``attr=`` as well (N30, B38).

    ``lenient``: other keys do not count, as at ARIN's. Raises: RwhoisError 338, 341, 320.
    """
    selections: list[Selection] = []
    since = ""
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            since = _serial(argument)
        elif key.lower() == "class":
            selections.append(Selection(find_class(area, value)))
        elif key.lower() in {"attr", "attribute"}:
            _select(selections, value)
        elif not lenient:
            raise syntax_error()
    return TransferRequest(
        tuple(selections) or tuple(Selection(c) for c in area.schema.classes), since
    )


def changed_since(obj: Object, since: str) -> bool:
    """Whether ``obj`` was updated at or after the serial ``since``; one without never was (§5).

    A shorter Updated counts from its first moment (B37); what is no number compares as text.
    """
    updated = obj.updated
    if updated is None:
        return False
    stamp = TimeStamp.padded(updated)
    return (stamp.text if stamp else updated) >= since


def _serial(text: str) -> str:
    if len(text) != _SERIAL_DIGITS or not (text.isascii() and text.isdigit()):
        raise syntax_error("Wrong Version Number Format")
    return text


def _select(selections: list[Selection], name: str) -> None:
    if not selections:
        raise syntax_error()
    attribute = selections[-1].class_def.attribute(name)
    if attribute is None:
        raise RwhoisError(ResponseCode.INVALID_ATTRIBUTE)
    selections[-1].attributes |= {attribute.name}


View = Callable[[Object, ClassDef], tuple[ShownLine, ...]]


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer of an area."""

    context: Context
    image: Image
    area: AuthorityArea
    wanted: TransferRequest

    async def personal(self, guardians: Guardians) -> Reply:
        """The reply to a client that is somebody.

        It is made while it is sent, so what takes time is done before: the hashes of the area's
        guardians and its classes', then of guardian objects in it. Raises: RwhoisError 332, 401.
        """
        area = self.area
        linked = [*area.guardians, *(g for c in area.schema.classes for g in c.guardians)]
        known = [*guardians.live(linked), *self._guardian_objects()]
        await guardians.decided(lambda: guardians.tried(known, area))

        def lines(obj: Object, class_def: ClassDef) -> tuple[ShownLine, ...]:
            full = guardians.may(Act.SEE, obj, area)
            view = personal_lines if full else transfer_lines
            return view(obj, class_def, area)

        # Even where nothing is guarded a guess is charged, so that no hash is had for nothing.
        return self.reply(lines, lambda: guardians.settle(area.name.text))

    def _guardian_objects(self) -> Iterator[Object]:
        number = self.image.area_number(self.area)
        for _, obj in islice(self.image.transfer(number, GUARDIAN_CLASS), _GUARDIANS):
            yield obj

    def reply(self, view: View, ended: Callable[[], None] = lambda: None) -> Reply:
        """The objects as ``view`` shows them; ``ended`` is called when the last one is made.

        Raises: RwhoisError 332.
        """
        return _in_parts(self._rendered(view, ended))

    def _rendered(self, view: View, ended: Callable[[], None]) -> Iterator[bytes]:
        try:
            for record in self._records(view):
                yield body(record, self.context.dialect, self.area.charset)
        finally:  # also when the client went away
            ended()

    def _records(self, view: View) -> Iterator[list[str]]:
        wanted = self.wanted
        number = self.image.area_number(self.area)
        for selection in wanted.selections:
            names = selection.attributes
            for class_def, obj in self.image.transfer(number, selection.class_def.name):
                if wanted.since and not changed_since(obj, wanted.since):
                    yield []
                    continue
                lines = view(obj, class_def)
                if names:
                    lines = tuple(line for line in lines if line[0].name in names)
                yield transfer_record(class_def.name, lines)


def _in_parts(records: Iterator[bytes]) -> Reply:
    """A reply of the records; 332 when all of them are empty, which may turn out late."""
    parts = _joined(records)
    looked = list(islice(parts, _LOOKS))
    if not any(looked) and len(looked) < _LOOKS:
        raise RwhoisError(ResponseCode.NOTHING_TO_TRANSFER)
    return Reply(more=_or_nothing(chain(looked, parts)))


def _or_nothing(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts. Raises: RwhoisError 332, when all of them were empty."""
    any_octets = False
    for part in parts:
        any_octets = any_octets or bool(part)
        yield part
    if not any_octets:
        raise RwhoisError(ResponseCode.NOTHING_TO_TRANSFER)


def _joined(records: Iterator[bytes]) -> Iterator[bytes]:
    """The records in parts of about ``PART_OCTETS``; empty ones, when nothing is to be sent."""
    kept: list[bytes] = []
    octets = 0
    for record in records:
        kept.append(record)
        octets += len(record)
        if octets >= PART_OCTETS or len(kept) >= PART_OBJECTS:
            yield b"".join(kept)
            kept, octets = [], 0
    yield b"".join(kept)
