"""The directory whose queries are measured: networks, a guardian and a referral, made as needed."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from bench import generate
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.body import encode_lines
from rwhoisd.directory.changes import Bodies, Change, StoredObject
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa, TimeStamp

AREA: Final = generate.AREA
STATUSES: Final = 10  # a tenth of all networks has the same
CATEGORIES: Final = 3  # and a third
TOGETHER: Final = 4  # networks of a customer and of a city, whatever the number of all
GUARDED: Final = 100  # one of so many is private, and has a guardian
SECRET: Final = "letmein"
REFERRED: Final = "10.255.255.128/25"
_SERIAL: Final = TimeStamp("20240101000000000")
_BATCH: Final = 1_000


def _attribute(name: str, index: IndexType = IndexType.NONE, **more: Any) -> AttributeDef:
    return AttributeDef(name, index=index, **more)


_SCHEMA: Final = Schema(
    (
        ClassDef(
            "network",
            (
                _attribute("Network-Name", IndexType.EXACT),
                _attribute("IP-Network", IndexType.CIDR, required=True, primary=True),
                _attribute("Org-Name", IndexType.EXACT),
                _attribute("Status", IndexType.EXACT),
                _attribute("Category", IndexType.EXACT),
                _attribute("City", IndexType.ALL),
            ),
        ),
        ClassDef("guardian", (_attribute("Guard-Scheme"), _attribute("Guard-Info", private=True))),
        ClassDef(
            "referral",
            (_attribute("Referred-Auth-Area", IndexType.ALL), _attribute("Referral")),
        ),
    )
)


def city(number: int) -> str:
    """A name of letters; each sounds different."""
    letters = "bfjklmnprst"  # no two of them sound alike
    spoken = "".join(f"{letters[number // 11**i % 11]}o" for i in range(7))
    return f"{spoken[:8]} {spoken[8:]}".title()


def _network(block: generate.Block) -> tuple[tuple[str, str], ...]:
    i, b, c, d, length = block
    lines: tuple[tuple[str, str], ...] = (
        ("ID", f"NET-{i}.{AREA}"),
        ("Network-Name", generate.network_name(i)),
        ("IP-Network", f"10.{b}.{c}.{d}/{length}"),
        ("Org-Name", f"Customer {i // TOGETHER} Networks"),
        ("Status", f"STATE-{i % STATUSES}"),
        ("Category", f"SORT-{i % CATEGORIES}"),
        ("City", city(i // TOGETHER)),
        ("Street-Address", f"{100 + i % 900} Example Street, Suite {i % 77}"),
        ("Updated", f"2024{1 + i % 12:02d}{1 + i % 28:02d}"),
    )
    if i % GUARDED == GUARDED - 1:
        lines += (("Guardian", f"G.{AREA}"), ("Private", "yes"))
    return lines


class MadeUp:
    """A ``Source`` of so many networks, a guardian and a referral, none of them kept in memory."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def areas(self) -> tuple[AuthorityArea, ...]:
        """The one area."""
        soa = Soa(serial_number=_SERIAL.text)
        return (AuthorityArea(AreaName.from_text(AREA), soa, _SCHEMA),)

    async def serials(self) -> Mapping[str, TimeStamp]:
        """Its serial."""
        return {AREA: _SERIAL}

    async def objects(self, area: str) -> AsyncIterator[Sequence[StoredObject]]:
        """All objects."""
        async for batch in self.bodies(area):
            yield [
                StoredObject(row, row, batch.object(area, i)) for i, row in enumerate(batch.rows)
            ]

    async def bodies(self, area: str) -> AsyncIterator[Bodies]:
        """The same in columns."""
        del area
        row = 1
        for class_name, objects in self._classes():
            while some := list(islice(objects, _BATCH)):
                rows = list(range(row, row + len(some)))
                row += len(some)
                once = [1] * len(some)
                yield Bodies(
                    class_name,
                    rows,
                    rows,
                    ["zone"] * len(some),
                    [True] * len(some),
                    once,
                    [encode_lines(lines) for lines in some],
                )

    def _classes(self) -> Iterator[tuple[str, Iterator[tuple[tuple[str, str], ...]]]]:
        yield "network", map(_network, generate.blocks(self._count))
        guardian = ("ID", f"G.{AREA}"), ("Guard-Scheme", "pw"), ("Guard-Info", SECRET)
        yield "guardian", iter([guardian])
        url = f"rwhois://rwhois.example.net:4321/auth-area={REFERRED}"
        referral = ("ID", f"R.{AREA}"), ("Referred-Auth-Area", REFERRED), ("Referral", url)
        yield "referral", iter([referral])

    async def changes(self, area: str, after: TimeStamp) -> AsyncIterator[Change]:
        """Nothing ever changes."""
        del area, after
        nothing: tuple[Change, ...] = ()
        for change in nothing:
            yield change
