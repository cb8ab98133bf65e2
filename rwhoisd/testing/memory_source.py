"""A directory in memory that journals its changes: a ``Source`` for tests."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.body import encode_lines
from rwhoisd.directory.changes import Bodies, Change, Operation, StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp

_BATCH = 100


class MemorySource:
    """What a store would hand to an image. Every call that changes something is a serial."""

    def __init__(self, *areas: AuthorityArea) -> None:
        self._areas: dict[str, AuthorityArea] = {}
        self._objects: dict[int, tuple[str, StoredObject]] = {}  # row → area, object
        self._journal: list[Change] = []
        self._clock = TimeStamp("20240101000000000")
        self._serials: dict[str, TimeStamp] = {}
        self._next_row = 1
        for area in areas:
            self.put_area(area)

    def put_area(self, area: AuthorityArea) -> None:
        """Add an area, or replace its definition."""
        self._areas[area.name.text] = area
        self._note(area.name.text, Operation.AREA, 0, 0, None, None)

    def drop_area(self, name: str) -> None:
        """Remove an area with all its objects."""
        del self._areas[name], self._serials[name]
        self._objects = {r: found for r, found in self._objects.items() if found[0] != name}
        self._journal = [c for c in self._journal if c.area != name]

    def add(self, obj: Object, position: int | None = None) -> int:
        """Store an object; its row."""
        row = self._next_row
        self._next_row += 1
        stored = StoredObject(row, row if position is None else position, obj)
        self._objects[row] = (obj.area, stored)
        self._note(obj.area, Operation.ADD, row, stored.position, None, obj)
        return row

    def modify(self, row: int, obj: Object, position: int | None = None) -> None:
        """Replace the object of a row."""
        _, old = self._objects[row]
        stored = StoredObject(row, old.position if position is None else position, obj)
        self._objects[row] = (obj.area, stored)
        self._note(obj.area, Operation.MODIFY, row, stored.position, old.object, obj)

    def delete(self, row: int) -> None:
        """Remove the object of a row."""
        area, old = self._objects.pop(row)
        self._note(area, Operation.DELETE, row, old.position, old.object, None)

    def _note(
        self,
        area: str,
        operation: Operation,
        row: int,
        position: int,
        before: Object | None,
        after: Object | None,
    ) -> None:
        self._clock = self._clock.next(self._clock)
        self._serials[area] = self._clock
        if soa := self._areas[area].soa:
            soa = replace(soa, serial_number=self._clock.text)
            self._areas[area] = replace(self._areas[area], soa=soa)
        change = Change(
            area, self._clock, 0, operation, row, position, before, after, "tests", "zone"
        )
        self._journal.append(change)

    def stored(self) -> list[StoredObject]:
        """All objects by area, class and position: the order in which they are handed out."""
        return [s for area in self._areas.values() for s in self._of_area(area)]

    def _of_area(self, area: AuthorityArea) -> list[StoredObject]:
        numbers = {c.name.lower(): i for i, c in enumerate(area.schema.classes)}
        found = [s for name, s in self._objects.values() if name == area.name.text]
        return sorted(
            found, key=lambda s: (numbers.get(s.object.class_name.lower(), 0), s.position, s.row)
        )

    async def areas(self) -> tuple[AuthorityArea, ...]:
        """Areas by position."""
        return tuple(sorted(self._areas.values(), key=lambda a: a.position))

    async def serials(self) -> Mapping[str, TimeStamp]:
        """Area name → serial of its last change, areas by position."""
        return {a.name.text: self._serials[a.name.text] for a in await self.areas()}

    async def soa_serials(self) -> Mapping[str, str | None]:
        """Area name → Serial-Number of its SOA."""
        return {a.name.text: a.soa.serial_number if a.soa else None for a in await self.areas()}

    async def definitions(self, names: Collection[str]) -> Mapping[str, AuthorityArea]:
        """Areas of these names."""
        return {name: self._areas[name] for name in names}

    async def objects(self, area: str) -> AsyncIterator[Sequence[StoredObject]]:
        """Objects of an area in batches, by class and position."""
        found = self._of_area(self._areas[area])
        for start in range(0, len(found), _BATCH):
            yield found[start : start + _BATCH]

    async def bodies(self, area: str) -> AsyncIterator[Bodies]:
        """The same in columns, of one class each."""
        async for batch in self.objects(area):
            for class_name, run in groupby(batch, key=lambda s: s.object.class_name):
                some = list(run)
                yield Bodies(
                    class_name,
                    [s.row for s in some],
                    [s.position for s in some],
                    [s.object.source for s in some],
                    [s.object.indexed for s in some],
                    [s.object.order for s in some],
                    [encode_lines(s.object.lines) for s in some],
                )

    async def changes(self, area: str, after: TimeStamp) -> AsyncIterator[Change]:
        """Journal entries of an area behind a serial."""
        for change in self._journal:
            if change.area == area and change.serial > after:
                yield change
