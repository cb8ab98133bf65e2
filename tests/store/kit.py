"""What the store tests are about: a small area, its schema, objects, a clock to turn."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Change, Source, StoredObject
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.store import AreaChange, Store

AREA = "10.0.0.0/8"

NETWORK = ClassDef(
    "network",
    (
        AttributeDef("Network-Name", index=IndexType.EXACT, required=True, primary=True),
        AttributeDef("IP-Network", aliases=("NET",), index=IndexType.CIDR),
        AttributeDef("Organization", type=AttributeType.ID),
        AttributeDef("Comment", multi_line=True),
    ),
    aliases=("net",),
    version="1",
)
ORGANIZATION = ClassDef("organization", (AttributeDef("Org-Name", index=IndexType.ALL),))
SCHEMA = Schema((NETWORK, ORGANIZATION))


def area(name: str = AREA, **changes: object) -> AuthorityArea:
    """An area with the schema of the tests."""
    fields = {"name": AreaName.from_text(name), "soa": Soa(""), "schema": SCHEMA} | changes
    return AuthorityArea(**fields)  # type: ignore[arg-type]  # fields by name, for short tests


def network(number: int, *lines: tuple[str, str], **changes: object) -> Object:
    """Network ``number``, with more lines when they are given."""
    own = (
        ("ID", f"NET-{number}.{AREA}"),
        ("Network-Name", f"NET-{number}"),
        ("IP-Network", f"10.{number % 256}.0.0/16"),
        ("Organization", f"ORG-1.{AREA}"),
    )
    fields = {"area": AREA, "class_name": "network", "lines": own + lines} | changes
    return Object(**fields)  # type: ignore[arg-type]


def organization(number: int) -> Object:
    """Organization ``number``."""
    lines = (("ID", f"ORG-{number}.{AREA}"), ("Org-Name", f"Organization {number}"))
    return Object(AREA, "organization", lines)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.moment = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)

    def __call__(self) -> TimeStamp:
        return TimeStamp.from_datetime(self.moment)

    def move(self, seconds: float) -> None:
        """On, or back."""
        self.moment += timedelta(seconds=seconds)


@asynccontextmanager
async def store_with(url: str, *objects: Object) -> AsyncIterator[tuple[Store, list[int]]]:
    """A new store with the area and objects, and their rows."""
    async with await Store.open(url, create=True) as store:
        async with store.change(AREA, author="test", source="zone", create=True) as change:
            await change.put_area(area())
            rows = [(await change.add(obj)).row for obj in objects]
        yield store, rows


async def attempt(
    store: Store,
    *acts: Callable[[AreaChange], Awaitable[object]],
    name: str = AREA,
    create: bool = False,
) -> None:
    """One change that does ``acts`` in turn."""
    async with store.change(name, author="test", source="test", create=create) as change:
        for act in acts:
            await act(change)


async def everything(source: Source, name: str = AREA) -> list[StoredObject]:
    """All objects of an area."""
    return [stored async for batch in source.objects(name) for stored in batch]


async def stored(store: Store, name: str = AREA) -> list[StoredObject]:
    """All objects of an area, read in a snapshot of their own."""
    async with store.snapshot() as source:
        return await everything(source, name)


async def objects(store: Store, name: str = AREA) -> list[Object]:
    """The same without their places."""
    return [one.object for one in await stored(store, name)]


def replay(changes: list[Change]) -> dict[int, StoredObject]:
    """What a journal from the beginning says that there is; it must fit step by step."""
    state: dict[int, StoredObject] = {}
    for change in changes:
        if change.row == 0:
            continue
        before = state.pop(change.row, None)
        assert change.before == (before.object if before else None)
        if change.after is not None:
            state[change.row] = StoredObject(change.row, change.position, change.after)
    return state
