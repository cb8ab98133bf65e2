"""A small directory for the tests of the service, and ports that remember what they were asked."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.image.build import build
from rwhoisd.image.current import ImageReader
from rwhoisd.protocol.directives import Directive
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import Request
from rwhoisd.protocol.session import Session
from rwhoisd.service.ports import (
    AreaChange,
    ForwardError,
    Notice,
    Parsed,
    Parsing,
    ProgramResult,
)
from rwhoisd.service.service import Service
from rwhoisd.service.settings import ServiceSettings
from rwhoisd.testing.memory_source import MemorySource

_T = TypeVar("_T")
EXACT, CIDR = IndexType.EXACT, IndexType.CIDR


def attribute(name: str, index: IndexType = IndexType.NONE, **properties: Any) -> AttributeDef:
    return AttributeDef(name=name, index=index, **properties)


GUARDIAN = ClassDef("guardian", (attribute("Guard-Scheme"), attribute("Guard-Info", private=True)))
CONTACT = ClassDef(
    "contact",
    (
        attribute("Name", EXACT, required=True, primary=True, aliases=("N",)),
        attribute("Email", EXACT),
        attribute("Type", format="re:^(I|R)"),
        attribute("Pin", private=True),
        attribute("Manager", EXACT, type=AttributeType.ID),
        attribute("Notes", repeatable=True),
    ),
    aliases=("person",),
    description="People",
    version="20240115093000000",
)
NETWORK = ClassDef(
    "network",
    (
        attribute("Network-Name", EXACT),
        attribute("IP-Network", CIDR, required=True, primary=True),
    ),
)
REFERRAL = ClassDef(
    "referral",
    (
        attribute("Referred-Auth-Area", IndexType.ALL, repeatable=True),
        attribute("Referral", repeatable=True),
    ),
)
SOA = Soa("20240115093000000", hostmaster="root@a.com", primary_server="ns.a.com:4321")
DOMAIN_AREA = AuthorityArea(
    AreaName.from_text("a.com"), SOA, Schema((CONTACT, GUARDIAN, REFERRAL)), charset="latin-1"
)
NETWORK_AREA = AuthorityArea(
    AreaName.from_text("10.0.0.0/8"), SOA, Schema((NETWORK, REFERRAL)), position=1
)
GUARDED_AREA = AuthorityArea(
    AreaName.from_text("b.net"),
    SOA,
    Schema((CONTACT, GUARDIAN)),
    guardians=("G.b.net",),
    position=2,
)
SLAVE_AREA = AuthorityArea(
    AreaName.from_text("c.org"), None, Schema((CONTACT,)), role="slave", position=3
)
AREAS = (DOMAIN_AREA, NETWORK_AREA, GUARDED_AREA, SLAVE_AREA)


def entry(area: str, class_name: str, text: str) -> Object:
    pairs = (line.split(":", 1) for line in text.split("|"))
    return Object(area, class_name, tuple((name, value) for name, value in pairs))


OBJECTS = (
    entry("a.com", "contact", "ID:1.a.com|Name:Jos\xe9|Email:j@a.com|Updated:20240101"),
    entry("a.com", "contact", "ID:2.a.com|Name:Jane|Email:j@a.com|Manager:1.a.com|Pin:42"),
    entry(
        "a.com",
        "contact",
        "ID:3.a.com|Name:Hidden|Private:true|Guardian:9.a.com|Pin:43|Updated:20250101000000000",
    ),
    entry("a.com", "contact", "ID:4.a.com|Name:Guarded|Guardian:9.a.com|Pin:44"),
    entry("a.com", "guardian", "ID:9.a.com|Guard-Scheme:PASSWD|Guard-Info:Secret"),
    entry("a.com", "guardian", "ID:8.a.com|Guard-Scheme:crypt-pw|Guard-Info:ab2Vqm.AnTodk"),
    entry(
        "a.com",
        "referral",
        "ID:7.a.com|Referred-Auth-Area:sub.a.com|Referral:rwhois://far.example.com:4321",
    ),
    entry("10.0.0.0/8", "network", "ID:N1.10.0.0.0/8|Network-Name:TEN|IP-Network:10.0.0.0/8"),
    entry("b.net", "contact", "ID:5.b.net|Name:Area|Pin:45"),
    entry("b.net", "guardian", "ID:G.b.net|Guard-Scheme:pw|Guard-Info:area"),
)


def open_reader(
    folder: Path,
    areas: Iterable[AuthorityArea] = AREAS,
    objects: Iterable[Object] = OBJECTS,
    compat: Compat = "arin",
) -> ImageReader:
    """An image of these areas and objects."""
    path = folder / "image"
    source = MemorySource(*areas)
    for obj in objects:
        source.add(obj)
    asyncio.run(build(source, path, DIALECTS[compat].eol))
    return ImageReader(path)


@dataclass
class FakeNotices:
    seen: list[Notice] = field(default_factory=list)
    refusal: Exception | None = None

    async def record(self, notice: Notice) -> None:
        if self.refusal:
            raise self.refusal
        self.seen.append(notice)


@dataclass
class FakePrograms:
    result: ProgramResult = field(default_factory=lambda: ProgramResult(b""))
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    parsed: Parsed | None = None  # None: exit status 0, the file as it was
    parsings: list[Parsing] = field(default_factory=list)

    async def parse(self, parsing: Parsing) -> Parsed:
        self.parsings.append(parsing)
        return self.parsed or Parsed(b"", 0, parsing.content)

    async def run(self, directive: Directive, arguments: Sequence[str]) -> ProgramResult:
        self.calls.append((directive.name, (*directive.program, *arguments)))
        return self.result


@dataclass
class FakeConnector:
    """Other servers, by host; each answer takes one second of its clock."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    clock: float = 0.0

    def now(self) -> float:
        return self.clock

    async def ask(self, server: HostPort, line: bytes, *, seconds: float, octets: int) -> bytes:
        assert seconds > 0
        assert octets > 0
        self.asked.append((str(server), line))
        self.clock += 1
        if server.host not in self.answers:
            raise ForwardError("connection refused")
        return self.answers[server.host]


class Talk:
    """A conversation with a service over a session, answers as text without line ends."""

    def __init__(self, service: Service, address: str = "192.0.2.7") -> None:
        self.service = service
        self.session: Session = service.session(address)

    def say(self, *lines: str) -> list[str]:
        """What comes back for ``lines``, in which latin-1 characters are octets."""
        wire = b""
        self.session.receive("".join(line + "\r\n" for line in lines).encode("latin-1"))
        while isinstance(request := self.session.next_request(), Request):
            wire += self.answer(request)
        return wire.decode("latin-1").replace("\r\n", "\n").split("\n")[:-1]

    def answer(self, request: Request) -> bytes:
        reply = self.service.handle(self.session.peer, request)
        if not isinstance(reply, Reply):
            reply = asyncio.run(_wait(reply))
        wire = self.session.send(reply)
        while self.session.sending:
            wire += self.session.send_part()
        return wire


async def _wait(coming: Awaitable[Reply]) -> Reply:
    return await coming


def settings(compat: Compat = "arin", **changes: Any) -> ServiceSettings:
    """Settings in which the tests' expectations are written."""
    wanted = ServiceSettings(
        dialect=DIALECTS[compat], host="rwhois.a.com", contact="root@a.com", max_objects=100
    )
    return replace(wanted, **changes)


class FakeChange:
    """A change of one area of a ``FakeRegistry``; it is written when it ends well."""

    def __init__(self, registry: "FakeRegistry", area: str) -> None:
        self._registry = registry
        self._name = area
        self.rows = dict(registry.rows)

    @property
    def area(self) -> AuthorityArea | None:
        return next((a for a in self._registry.areas if a.name.text == self._name), None)

    @property
    def serial(self) -> TimeStamp:
        return self._registry.serial

    async def find(self, object_id: str) -> Sequence[StoredObject]:
        return [s for s in await self._registry.find(object_id) if s.object.area == self._name]

    async def key_taken(self, obj: Object) -> bool:
        return bool(self._holders(obj))

    def _holders(self, obj: Object) -> set[int]:
        """Rows of the objects with the primary key of ``obj``."""
        assert self.area is not None
        class_def = self.area.schema.class_def(obj.class_name)
        assert class_def is not None
        key = obj.key_values(class_def)
        return {
            row
            for row, other in self.rows.items()
            if (other.area, other.class_name) == (obj.area, obj.class_name)
            and key is not None
            and other.key_values(class_def) == key
        }

    async def add(self, obj: Object, *, unique: bool = True) -> StoredObject:
        assert not (unique and self._holders(obj))
        row = max(self.rows, default=0) + 1
        self.rows[row] = obj
        return StoredObject(row, row, obj)

    async def modify(
        self, row: int, obj: Object, *, seen: str | None = None, unique: bool = True
    ) -> None:
        assert not unique or self._holders(obj) <= {row}
        assert self.rows[row].updated == seen
        self.rows[row] = obj

    async def delete(self, row: int, seen: str | None = None) -> None:
        assert self.rows[row].updated == seen
        del self.rows[row]


class FakeRegistry:
    """The objects of ``OBJECTS``, changed in memory; the image does not follow."""

    def __init__(
        self, objects: Iterable[Object] = OBJECTS, areas: Iterable[AuthorityArea] = AREAS
    ) -> None:
        self.areas = tuple(areas)
        self.rows = dict(enumerate(objects, 1))
        self.changes: list[tuple[str, str]] = []
        self.transactions = 0
        self.serial = TimeStamp("20260101000000000")

    async def find(self, object_id: str) -> Sequence[StoredObject]:
        found = ((row, o) for row, o in self.rows.items() if o.id)
        return [
            StoredObject(row, row, o)
            for row, o in found
            if o.id and o.id.lower() == object_id.lower()
        ]

    async def run(
        self, area: str, work: Callable[[AreaChange], Awaitable[_T]], *, author: str
    ) -> _T:
        self.serial = self.serial.next(self.serial)
        self.transactions += 1
        change = FakeChange(self, area)
        result = await work(change)
        self.rows = change.rows
        self.changes.append((area, author))
        return result

    async def run_all(
        self,
        areas: Sequence[str],
        work: Callable[[Mapping[str, AreaChange]], Awaitable[_T]],
        *,
        author: str,
    ) -> _T:
        self.serial = self.serial.next(self.serial)
        self.transactions += 1
        changes = {area: FakeChange(self, area) for area in areas}
        first = next(iter(changes.values()))
        for change in changes.values():
            change.rows = first.rows  # one transaction
        result = await work(changes)
        self.rows = first.rows
        self.changes += [(area, author) for area in areas]
        return result
