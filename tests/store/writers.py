"""Writers that get in each other's way: one process of them, driven by a seed.

It writes a line of JSON per operation: what was tried, and what came of it. ``change`` is the
serial of what was committed; ``refused`` the code of the RFC, or ``words`` for a person. Anything
else that an operation raises is ``fault``: nobody who uses the store is to meet it.
"""

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.dialect import DIALECTS
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.objects import Object, late_order
from rwhoisd.directory.registration import stamped
from rwhoisd.directory.schema import AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.formats.edits import EditError, Editor, inverse
from rwhoisd.formats.load import Options, load_zones
from rwhoisd.formats.zone import SOURCE, PlacedObject, Zone
from rwhoisd.store import AreaChange, Store
from tests.store.kit import NETWORK, ORGANIZATION, area

AREAS: Final = ("10.0.0.0/8", "example.net", "192.0.2.0/24")
KEYS: Final = 14  # so many primary keys are fought for in an area
LONG_SECONDS: Final = 0.4  # that some changes stay open
# What moves when an area is defined anew: its rows of addresses and of references follow.
_FLIPPED: Final[dict[str, dict[str, object]]] = {
    "IP-Network": {"index": IndexType.NONE},
    "Organization": {"type": AttributeType.TEXT},
}


@dataclass
class Told:
    """What became of one operation."""

    kind: str
    area: str
    change: str = ""
    refused: int = 0
    words: str = ""
    fault: str = ""
    seen: str = ""  # Updated of the version that a mod or del was based on
    row: int = 0


def variant(name: str, number: int) -> AuthorityArea:
    """One of four definitions of an area: what is indexed differs, and the SOA."""
    attributes = tuple(
        replace(a, **(_FLIPPED.get(a.name, {}) if number & 1 else {}))  # type: ignore[arg-type]
        for a in NETWORK.own_attributes
    )
    soa = Soa("", primary_server=f"ns{number}.example.net:4321")
    schema = Schema((ClassDef("network", attributes), ORGANIZATION))
    return area(name, soa=soa, schema=schema, position=AREAS.index(name))


class Writer:
    """One of many who change the same areas."""

    def __init__(self, store: Store, seed: str) -> None:
        self._store = store
        self._random = random.Random(seed)
        self._name = seed
        self._mine: list[tuple[str, str]] = []  # area and serial of changes of ours

    def _object(self, name: str, number: int) -> Object:
        """An object with one of the keys that all writers use, and lines of its own."""
        suffix = area(name).name.id_suffix
        some = self._random
        lines = [
            ("ID", f"NET-{number}.{suffix}"),
            ("Network-Name", f"NET-{number}"),
            *((("IP-Network", f"10.{some.randrange(256)}.0.0/16"),) * some.randrange(2)),
            ("Organization", f"ORG-{some.randrange(9)}.{suffix}"),
            *(
                ("Comment", f"{self._name} \u00e9 {some.random()}")
                for _ in range(some.randrange(4))
            ),
        ]
        some.shuffle(lines)
        return Object(name, "network", tuple(lines), source="registration")

    def _published(self, name: str, number: int) -> Object:
        """An object as a file has it, each time in another version."""
        obj = self._object(name, number)
        updated = ("Updated", f"2024{self._random.randrange(10**13):013d}")
        return replace(obj, lines=(*obj.lines, updated), source=SOURCE)

    async def _pick(self, name: str) -> StoredObject | None:
        found = await self._store.find_objects(name, "network")
        return self._random.choice(found) if found else None

    async def _run(
        self, told: Told, work: Callable[[AreaChange], Awaitable[object]], *, create: bool = False
    ) -> None:
        async def act(change: AreaChange) -> AreaChange:
            await work(change)
            return change

        change = await self._store.run(
            told.area, act, author=self._name, source="registration", create=create
        )
        if change.changed:
            told.change = change.serial.text
            self._mine.append((told.area, told.change))

    # -- what is done; each fills in what it was told

    async def add(self, told: Told) -> None:
        """A new object, or 324."""
        obj = self._object(told.area, self._random.randrange(KEYS))

        async def work(change: AreaChange) -> None:
            serial = change.serial.text
            lines = tuple(stamped(obj.lines, obj.id or "", serial))
            await change.add(replace(obj, lines=lines, order=late_order(int(serial))))

        await self._run(told, work)

    async def mod(self, told: Told, pause: float = 0.0) -> None:
        """Another version of an object, sometimes with the key of another one: or 324, 325, 336."""
        before = await self._pick(told.area)
        if before is None:
            return
        told.seen, told.row = before.object.updated or "", before.row
        number = int((before.object.get("Network-Name") or "-0").rpartition("-")[2])
        if self._random.random() < 0.3:
            number = self._random.randrange(KEYS)
        lines = [line for line in self._object(told.area, number).lines if line[0] != "ID"]

        async def work(change: AreaChange) -> None:
            serial = change.serial.text
            kept = tuple(stamped(lines, before.object.id or "", serial))
            new = replace(before.object, lines=kept, order=late_order(int(serial)))
            await change.modify(before.row, new, seen=told.seen)
            if pause:
                await change.flush()
                await asyncio.sleep(pause)

        await self._run(told, work)

    async def long(self, told: Told) -> None:
        """A mod whose transaction stays open."""
        await self.mod(told, LONG_SECONDS)

    async def delete(self, told: Told) -> None:
        """The end of an object, or 325, 336."""
        before = await self._pick(told.area)
        if before is None:
            return
        told.seen, told.row = before.object.updated or "", before.row
        await self._run(told, lambda change: change.delete(before.row, seen=told.seen))

    async def redefine(self, told: Told) -> None:
        """Another definition of the area."""
        wanted = variant(told.area, self._random.randrange(4))
        await self._run(told, lambda change: change.put_area(wanted), create=True)

    async def undo(self, told: Told) -> None:
        """What one of our changes did is taken back, if nobody built on it."""
        if not self._mine:
            return
        told.area, serial = self._random.choice(self._mine)
        before = TimeStamp(f"{int(serial) - 1:017d}")
        entries = [
            e for e in await self._store.journal(told.area, before) if e.serial.text == serial
        ]
        rows = {e.row: await self._store.find_objects(told.area, row=e.row) for e in entries}
        edits = inverse(entries, lambda row: next(iter(rows[row]), None))
        editor = Editor(self._store, DIALECTS["rfc"], self._name)
        for done in await editor.carry_out(edits):
            told.change = done.serial

    async def load(self, told: Told) -> None:
        """A whole zone, as a start of a node loads it."""
        definition = variant(told.area, self._random.randrange(4))
        objects = [self._published(told.area, 100 + n) for n in range(self._random.randrange(12))]
        zone = Zone(definition, tuple(PlacedObject(o, Path(), ()) for o in objects), Path())
        options = Options(author=self._name, prune=True, max_removals=1.0)
        (result,) = await load_zones(self._store, [zone], options)
        told.words = result.refused

    async def setting(self, told: Told) -> None:
        """What nodes note as they start, all under the same names."""
        await self._store.set_setting(f"fingerprint.{told.area}", self._name)
        await self._store.record_notice("notify", "text", self._name)

    # -- the work

    async def work(self, count: int) -> None:
        """So many operations, one after the other."""
        kinds = {self.add: 6, self.mod: 10, self.delete: 3, self.undo: 2, self.long: 0.4}
        kinds |= {self.redefine: 0.7, self.load: 1, self.setting: 1}
        for _ in range(count):
            (operation,) = self._random.choices(list(kinds), list(kinds.values()))
            told = Told(operation.__name__, self._random.choice(AREAS))
            try:
                await operation(told)
            except RwhoisError as error:
                told.refused = int(error.code)
            except EditError as error:
                told.words = str(error)
            except Exception as error:
                told.fault = f"{type(error).__name__}: {error}"
            sys.stdout.write(json.dumps(asdict(told)) + "\n")


async def main(url: str, process: str, tasks: int, count: int) -> None:
    """All writers of this process, at once; they begin when the standard input says so."""
    async with await Store.open(url) as store:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        writers = [Writer(store, f"{process}.{number}") for number in range(tasks)]
        await asyncio.gather(*(writer.work(count) for writer in writers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
