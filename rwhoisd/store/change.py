"""The unit of work: one change of one authority area, all of it or nothing (STYLE §3.8)."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Index,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.body import encode_lines
from rwhoisd.directory.changes import Operation, StoredObject
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import AddressRange, AreaName, Network
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.store import definitions, hierarchy
from rwhoisd.store.bulk import (
    KeyFilter,
    insert_rows,
    insert_tuples,
    leave_indexes,
    make_indexes,
)
from rwhoisd.store.codec import (
    Batch,
    Derived,
    Preparer,
    Row,
    check_charset,
    id_key,
    shown,
)
from rwhoisd.store.errors import StoreError
from rwhoisd.store.journal import SIDE_COLUMNS, Side, change_of, side
from rwhoisd.store.snapshot import OBJECT_COLUMNS, object_batches, stored_objects
from rwhoisd.store.tables import (
    AREA_BITS,
    ROW_BITS,
    authority_area,
    journal,
    network,
    reference,
    setting,
    stored_object,
)

BULK: Final = 10_000  # objects written at a time
CHUNK: Final = 1_000  # values in one IN
NEVER: Final = TimeStamp("0" * 17)
_NEW_DATABASE: Final = "load the directory into a new database"
_o = stored_object.c
# Columns of an object that are part of an index, and those that are not.
_PLACE: Final = ("class_key", "id_key", "position", "key_digest", "key_copy")
_PLAIN: Final = tuple(c.name for c in _o if c.name not in (*_PLACE, "row_id", "area_id"))
_T = TypeVar("_T")
_Key = tuple[str, bytes | None]  # class, digest of a primary key


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


@dataclass(frozen=True, slots=True)
class _Modify:
    row: int
    object: Object
    position: int | None
    unique: bool


@dataclass(frozen=True, slots=True)
class _Modified:
    old: RowMapping
    derived: Derived
    unique: bool

    @property
    def new(self) -> Row:
        return self.derived.row

    @property
    def same_place(self) -> bool:
        return all(self.old[name] == self.new[name] for name in _PLACE)

    @property
    def other_lines(self) -> bool:
        return any(self.old[name] != self.new[name] for name in ("class_key", "body"))


class AreaChange:
    """A change under way: it holds the lock on its area until it is committed or rolled back.

    Objects given to ``add``, ``modify`` and ``delete`` are gathered and written in bulk; what
    the database has to say about them (324, 336) may come with a later call or on leaving.
    Every read sees all that was given before it.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        name: AreaName,
        *,
        author: str,
        source: str,
    ) -> None:
        self._connection = connection
        self._name = name
        self._author = author
        self._source = source
        self._area: AuthorityArea | None = None
        self._area_id = 0
        self._next_row = 0
        self._preparer: Preparer | None = None
        self._ordinal = 0
        self._serial = self._last = NEVER
        self._explicit_serial: str | None = None
        self._area_journalled = False
        self._rederive = False
        self._recheck = False
        self._positions: dict[str, int] = {}
        self._keys: dict[str, KeyFilter] = {}  # of classes that had no object before
        self._adds: list[Row] = []
        self._derived: tuple[list[Row], list[Row]] = ([], [])
        self._new_keys: set[tuple[str, bytes]] = set()
        self._unique: set[int] = set()
        self._modifies: dict[int, _Modify] = {}
        self._deletes: dict[int, None] = {}
        self._is_new = False  # the area was created here
        self._indexes_left: list[Index] = []

    async def start(self, now: TimeStamp, *, create: bool) -> "AreaChange":
        """Lock the area and fix the serial. Raises: RwhoisError 340, when there is no area."""
        key = self._name.key
        query = select(authority_area).where(authority_area.c.name_key == key).with_for_update()
        row = (await self._connection.execute(query)).mappings().one_or_none()
        if row is not None:
            self._area_id, self._next_row = row["area_id"], row["next_row"]
            self._last = row["serial"]
            (self._area,) = await definitions.read_areas(self._connection, [key])
            self._preparer = Preparer(self._area)
            last = max(row["serial"], _serial_time(self._area.soa))
        elif create:
            last = await self._last_journalled(key)
        else:
            raise RwhoisError(ResponseCode.INVALID_AREA, f"no authority area {self._name}")
        self._serial = last.next(now)
        return self

    async def _last_journalled(self, key: str) -> TimeStamp:
        """Serial of the last change of an area that existed under this name before."""
        query = select(func.max(journal.c.serial)).where(journal.c.area_key == key)
        return (await self._connection.execute(query)).scalar() or NEVER

    @property
    def area(self) -> AuthorityArea | None:
        """The area as it stands in this change; None before it is put and after its deletion."""
        return self._area

    @property
    def serial(self) -> TimeStamp:
        """Serial of this change; it takes effect only when something changes."""
        return self._serial

    @property
    def last_serial(self) -> TimeStamp:
        """Serial of the change of the area before this one; all zero for a new area."""
        return self._last

    @property
    def changed(self) -> bool:
        """Whether something was journalled; final after leaving without an exception."""
        return self._ordinal > 0

    # -- reading ---------------------------------------------------------------------------

    async def objects(self, source: str | None = None) -> list[StoredObject]:
        """All objects of the area by class and position, of one ``source`` when it is given."""
        return [stored async for batch in self.batches(source) for stored in batch]

    async def batches(
        self, source: str | None = None, *, but_classes: Collection[str] = ()
    ) -> AsyncIterator[list[StoredObject]]:
        """The same in batches, for areas that are better not held in memory.

        ``but_classes`` are left out: names in lower case.
        """
        await self.flush()
        if self._area is None:
            return
        wanted = [c for c in self._area.schema.classes if c.name.lower() not in but_classes]
        area = replace(self._area, schema=replace(self._area.schema, classes=tuple(wanted)))
        async for batch in object_batches(self._connection, self._area_id, area, source):
            yield batch

    async def find(self, object_id: str) -> list[StoredObject]:
        """Objects of the area with this ID, in any case; data of others has some twice."""
        await self.flush()
        return await self._select(_o.id_key == id_key(object_id))

    async def get(self, row: int) -> StoredObject | None:
        """The object of a row; None when the area has none."""
        await self.flush()
        return next(iter(await self._select(_o.row_id == row)), None)

    async def key_taken(self, obj: Object, *, except_row: int | None = None) -> bool:
        """Whether another object of its class has the primary key of ``obj`` (324)."""
        await self.flush()
        digest = self._preparing().plans[obj.class_name].key_of(obj)
        if digest is None:
            return False
        query = select(_o.row_id).where(
            _o.area_id == self._area_id,
            _o.class_key == obj.class_name.lower(),
            _o.key_digest == digest,
            _o.row_id != (except_row or 0),
        )
        return (await self._connection.execute(query.limit(1))).first() is not None

    async def networks_overlapping(
        self, other: Network | AddressRange
    ) -> list[hierarchy.NetworkEntry]:
        """Addresses of all areas that share some with ``other``, covering before covered.

        Others may change other areas meanwhile; this one is locked.
        """
        await self.flush()
        return await hierarchy.networks_overlapping(self._connection, None, other)

    async def _select(self, condition: ColumnElement[bool]) -> list[StoredObject]:
        if self._area is None:
            return []
        query = select(*OBJECT_COLUMNS).where(_o.area_id == self._area_id, condition)
        rows = (await self._connection.execute(query.order_by(_o.row_id))).all()
        return stored_objects(self._area.name.text, rows)

    # -- the area --------------------------------------------------------------------------

    async def put_area(self, area: AuthorityArea, soa_serial: bool = True) -> None:
        """Create the area or replace its definition; an equal one changes nothing.

        With ``soa_serial`` a Serial-Number in ``area.soa`` is shown to clients as it is, else
        the serial of this change is. Raises: RwhoisError 340 for another area's definition.
        """
        if area.name.key != self._name.key:
            raise RwhoisError(ResponseCode.INVALID_AREA, f"{area.name} is not {self._name}")
        if soa_serial and area.soa is not None and area.soa.serial_number:
            self._explicit_serial = area.soa.serial_number
        elif area.soa is not None:
            kept = self._area.soa.serial_number if self._area and self._area.soa else ""
            area = replace(area, soa=replace(area.soa, serial_number=kept))
        if area == self._area:
            return
        await self.flush()
        await self._write_area(area)
        await self._journal_area()

    async def _write_area(self, area: AuthorityArea) -> None:
        row = definitions.area_row(area)
        preparer = Preparer(area)
        if self._area is None:
            row |= {"serial": self._serial, "next_row": 0}
            result = await self._connection.execute(insert(authority_area).values(row))
            assert result.inserted_primary_key is not None
            self._area_id, self._next_row = result.inserted_primary_key[0], 0
            if self._area_id >> AREA_BITS:
                raise StoreError(f"2^{AREA_BITS} areas were made; {_NEW_DATABASE}")
            self._is_new = True
        else:
            await self._connection.execute(
                update(authority_area).where(self._here(authority_area)).values(row)
            )
            self._rederive |= preparer.plans.signature() != self._preparing().plans.signature()
            self._recheck |= area.charset.lower() != self._area.charset.lower()
        await definitions.write_parts(self._connection, self._area_id, area)
        self._area, self._preparer = area, preparer

    def _here(self, table: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = table.c.area_id == self._area_id
        return condition

    def _these(self, rows: Iterable[int]) -> ColumnElement[bool]:
        """Objects of these rows, those of the area among them.

        Rows tell their area; asked for it as well, SQLite would go through all of its objects.
        """
        return _o.row_id.in_([row for row in rows if row >> ROW_BITS == self._area_id])

    async def delete_area(self) -> None:
        """Remove the area with all its objects; its history stays in the journal."""
        self._existing()
        await self.flush()
        first = self._area_id << ROW_BITS
        await self._journal_objects(Operation.DELETE, "before", self._here(stored_object))
        for table in (network, reference, stored_object):
            mine = table.c.row_id.between(first, first | (1 << ROW_BITS) - 1)
            await self._connection.execute(delete(table).where(mine))
        await self._connection.execute(delete(authority_area).where(self._here(authority_area)))
        self._area_journalled = False
        await self._journal_area()
        self._area, self._preparer, self._positions, self._keys = None, None, {}, {}
        self._is_new = False
        self._explicit_serial, self._rederive, self._recheck = None, False, False
        self._area_journalled = False

    def _existing(self) -> AuthorityArea:
        if self._area is None:
            raise RwhoisError(ResponseCode.INVALID_AREA, f"no authority area {self._name}")
        return self._area

    def _preparing(self) -> Preparer:
        self._existing()
        assert self._preparer is not None
        return self._preparer

    # -- objects ---------------------------------------------------------------------------

    async def add(
        self, obj: Object, position: int | None = None, *, unique: bool = True
    ) -> StoredObject:
        """Store a new object, behind the others of its class unless a position is given.

        A primary key that is taken is refused with 324, or let in with ``unique=False`` for
        data of others that has such objects. Raises: RwhoisError 321, 324, 340, 341.
        """
        if self._modifies or self._deletes or len(self._adds) >= BULK:
            await self.flush()
        row_id = self._rows(1)
        derived = self._derive(obj, row_id)
        row = derived.row
        self._claim_key(row, unique)
        row["position"] = position = await self._place(row["class_key"], position)
        self._next_row += 1
        if unique:
            self._unique.add(row_id)
        self._derived[0].extend(derived.networks)
        self._derived[1].extend(derived.references)
        self._adds.append(row)
        return StoredObject(row_id, position, obj)

    async def add_batch(self, batch: Batch, *, unique: bool = True) -> None:
        """Store the objects of a batch behind the others of their class, as ``add`` would.

        The batch was made for the area as it stands now. Raises: RwhoisError 324, 340, 341.
        """
        plan = self._preparing().plans[batch.class_name]
        await self.flush()
        position = await self._place(plan.key, None)  # the first one starts the filter of keys
        doubles = await self._doubles([(plan.key, digest) for digest in batch.key_digests()])
        if unique and doubles:
            object_id = batch.objects[doubles[0]][2][0]
            raise _not_unique({"class_name": batch.class_name, "object_id": object_id})
        first = self._rows(len(batch.objects))
        rows = batch.rows(self._area_id, first, position, copies=doubles)
        self._next_row += len(batch.objects)
        self._positions[plan.key] = position + len(batch.objects)
        await insert_tuples(self._connection, stored_object, rows.objects)
        between = _o.row_id.between(first, first + len(batch.objects) - 1)
        await self._journal_objects(Operation.ADD, "after", between)
        await insert_tuples(self._connection, network, rows.networks)
        await insert_tuples(self._connection, reference, rows.references)

    def _rows(self, count: int) -> int:
        """The first of ``count`` rows that nothing had yet. Raises: StoreError, without any."""
        if self._next_row + count > 1 << ROW_BITS:
            raise StoreError(f"{self._name}: 2^{ROW_BITS} objects were added; load it anew")
        return self._area_id << ROW_BITS | self._next_row

    async def expect_many(self) -> None:
        """Prepare for batches: in a database without objects, indexes are made at the end.

        Only where a transaction holds indexes as well, so that all of it is rolled back.
        """
        is_filled = (await self._connection.execute(select(_o.row_id).limit(1))).first()
        if self._connection.dialect.name == "sqlite" and not is_filled:
            self._indexes_left = await self._connection.run_sync(leave_indexes)

    def _derive(self, obj: Object, row_id: int) -> Derived:
        preparer = self._preparing()
        preparer.check(obj)
        derived = preparer.plans[obj.class_name].derive(obj, row_id)
        derived.row["area_id"] = self._area_id
        return derived

    def _claim_key(self, row: Row, unique: bool) -> None:
        """Refuse a key that an object which is not written yet has; remember the others."""
        if row["key_digest"] is None:
            return
        key = (row["class_key"], row["key_digest"])
        if unique and key in self._new_keys:
            raise _not_unique(row)
        self._new_keys.add(key)

    async def _place(self, class_key: str, position: int | None) -> int:
        following = self._positions.get(class_key)
        if following is None:
            last = None if self._is_new else await self._last_position(class_key)
            following = 0 if last is None else last + 1
            if last is None:
                self._keys[class_key] = KeyFilter()
        if position is None:
            position = following
        self._positions[class_key] = max(following, position + 1)
        return position

    async def _last_position(self, class_key: str) -> int | None:
        query = select(func.max(_o.position)).where(
            self._here(stored_object), _o.class_key == class_key
        )
        last: int | None = (await self._connection.execute(query)).scalar()
        return last

    async def modify(
        self,
        row: int,
        obj: Object,
        position: int | None = None,
        seen: str | None = None,
        *,
        unique: bool = True,
    ) -> None:
        """Put another object in the place of a stored one; an equal one changes nothing.

        ``seen`` is the Updated value that the caller's version is based on: another one is
        refused with 325. Without ``position`` it stays where it is.
        Raises: RwhoisError 321, 324, 325, 336 (no such row), 340, 341.
        """
        if self._adds or self._deletes or row in self._modifies or len(self._modifies) >= BULK:
            await self.flush()
        if seen is not None:
            await self._check_seen(row, seen)
        self._modifies[row] = _Modify(row, obj, position, unique)

    async def _check_seen(self, row: int, seen: str) -> None:
        stored = await self.get(row)
        if stored is None:
            raise _not_found(row)
        if (stored.object.updated or "") != seen:
            raise RwhoisError(
                ResponseCode.OUTDATED_OBJECT,
                f"{stored.object.id} was updated {stored.object.updated}, not {seen}",
            )

    async def delete(self, row: int, seen: str | None = None) -> None:
        """Remove an object; ``seen`` as in ``modify``.

        Raises: RwhoisError 325, 336, when the area has no such row.
        """
        if self._adds or self._modifies or len(self._deletes) >= BULK:
            await self.flush()
        if seen is not None:
            await self._check_seen(row, seen)
        if row in self._deletes:
            raise _not_found(row)
        self._deletes[row] = None

    # -- writing ---------------------------------------------------------------------------

    async def set_setting(self, name: str, value: str) -> None:
        """Keep a setting of the store with this change: both happen or neither."""
        await self._connection.execute(delete(setting).where(setting.c.name == name))
        await self._connection.execute(insert(setting).values(name=name, value=value))

    async def flush(self) -> None:
        """Write what was gathered; nothing of it is visible to others before the end."""
        if self._adds:
            await self._flush_adds()
        if self._modifies:
            await self._flush_modifies()
        if self._deletes:
            await self._flush_deletes()

    async def _flush_adds(self) -> None:
        rows, self._adds = self._adds, []
        (networks, references), self._derived = self._derived, ([], [])
        await self._settle_keys(rows, self._unique)
        self._unique, self._new_keys = set(), set()
        await insert_rows(self._connection, stored_object, rows)
        between = _o.row_id.between(rows[0]["row_id"], rows[-1]["row_id"])
        await self._journal_objects(Operation.ADD, "after", between)
        await self._insert_derived(networks, references)

    async def _insert_derived(self, networks: list[Row], references: list[Row]) -> None:
        await insert_rows(self._connection, network, networks)
        await insert_rows(self._connection, reference, references)

    async def _settle_keys(self, rows: Sequence[Row], unique: set[int]) -> None:
        """Refuse taken keys of rows in ``unique``; mark the others as copies."""
        keys = [(row["class_key"], row["key_digest"]) for row in rows]
        for place in await self._doubles(keys):
            row = rows[place]
            if row["row_id"] in unique:
                raise _not_unique(row)
            row["key_copy"] = row["row_id"]

    async def _doubles(self, keys: Sequence[_Key]) -> list[int]:
        """Places in ``keys`` of those that a stored object has, or an earlier one of them."""
        taken = await self._stored_keys(keys)
        if not taken and len(set(keys)) == len(keys):  # None once at most, which is no double
            return []
        doubles = []
        for place, key in enumerate(keys):
            if key in taken:
                doubles.append(place)
            elif key[1] is not None:
                taken.add(key)
        return doubles

    async def _stored_keys(self, keys: Iterable[_Key]) -> set[_Key]:
        """Those of ``keys`` that a stored object has."""
        asked: dict[str, list[bytes]] = {}
        for class_key, digest in keys:
            if digest is not None:
                asked.setdefault(class_key, []).append(digest)
        stored: set[_Key] = set()
        for class_key, digests in asked.items():
            if class_key in self._keys:
                digests = self._keys[class_key].seen_before(digests)
            stored |= {(class_key, digest) for digest in await self._taken(class_key, digests)}
        return stored

    async def _taken(self, class_key: str, digests: Sequence[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for chunk in _chunks(digests):
            query = select(_o.key_digest).where(
                self._here(stored_object),
                _o.class_key == class_key,
                _o.key_digest.in_(chunk),
            )
            found.update((await self._connection.execute(query)).scalars())
        return found

    async def _flush_modifies(self) -> None:
        modifies, self._modifies = self._modifies, {}
        for chunk in _chunks(modifies.values()):
            query = select(stored_object).where(self._these(m.row for m in chunk))
            result = await self._connection.execute(query)
            stored = {row["row_id"]: row for row in result.mappings()}
            changes = [await self._modified(stored.get(m.row), m) for m in chunk]
            relevant = ("position", *SIDE_COLUMNS)
            await self._write_modified(
                [c for c in changes if any(c.old[name] != c.new[name] for name in relevant)]
            )

    async def _modified(self, old: RowMapping | None, wanted: _Modify) -> _Modified:
        if old is None:
            raise _not_found(wanted.row)
        derived = self._derive(wanted.object, wanted.row)
        new = derived.row
        if wanted.position is None and new["class_key"] == old["class_key"]:
            new["position"] = old["position"]
        else:
            new["position"] = await self._place(new["class_key"], wanted.position)
        return _Modified(old, derived, wanted.unique)

    async def _write_modified(self, changes: Sequence[_Modified]) -> None:
        if not changes:
            return
        await self._move_keys(changes)
        # SQLite writes every index whose columns are set, the same values or not.
        await self._update(_PLAIN, [c.new for c in changes if c.same_place])
        await self._update((*_PLAIN, *_PLACE), [c.new for c in changes if not c.same_place])
        entries = [
            self._entry(Operation.MODIFY, c.new, side("before", c.old) | side("after", c.new))
            for c in changes
        ]
        await insert_rows(self._connection, journal, entries)
        # Addresses and references follow from the lines and the class alone.
        await self._derive_again([c.derived for c in changes if c.other_lines])

    async def _update(self, names: Sequence[str], rows: Sequence[Row]) -> None:
        if not rows:
            return
        statement = update(stored_object).where(_o.row_id == bindparam("this_row"))
        statement = statement.values({name: bindparam(f"new_{name}") for name in names})
        values = [
            {"this_row": row["row_id"]} | {f"new_{name}": row[name] for name in names}
            for row in rows
        ]
        await self._connection.execute(statement, values)

    async def _move_keys(self, changes: Sequence[_Modified]) -> None:
        """Settle the keys of modified objects; all old ones are given up first, so that two
        objects may change theirs for each other's."""
        moved = []
        for change in changes:
            if all(change.old[name] == change.new[name] for name in ("class_key", "key_digest")):
                change.new["key_copy"] = change.old["key_copy"]
            else:
                moved.append(change)
        rows = [change.new["row_id"] for change in moved]
        if rows:
            freed = update(stored_object).where(_o.row_id.in_(rows)).values(key_digest=None)
            await self._connection.execute(freed)
            unique = {change.new["row_id"] for change in moved if change.unique}
            await self._settle_keys([change.new for change in moved], unique)

    async def _derive_again(self, objects: Sequence[Derived]) -> None:
        for chunk in _chunks(objects):
            await self._delete_derived([derived.row["row_id"] for derived in chunk])
            await self._insert_derived(
                [row for derived in chunk for row in derived.networks],
                [row for derived in chunk for row in derived.references],
            )

    async def _delete_derived(self, rows: Sequence[int]) -> None:
        for table in (network, reference):
            await self._connection.execute(delete(table).where(table.c.row_id.in_(rows)))

    async def _flush_deletes(self) -> None:
        rows, self._deletes = self._deletes, {}
        for chunk in _chunks(rows):
            these = self._these(chunk)
            query = select(_o.row_id).where(these)
            there = set((await self._connection.execute(query)).scalars())
            for row in chunk:
                if row not in there:
                    raise _not_found(row)
            await self._journal_objects(Operation.DELETE, "before", these)
            await self._delete_derived(chunk)
            await self._connection.execute(delete(stored_object).where(these))

    # -- the journal -----------------------------------------------------------------------

    def _entry(self, operation: Operation, row: Row, sides: Row) -> Row:
        ordinal = self._ordinal
        self._ordinal += 1
        return {
            "area_key": self._name.key,
            "serial": int(self._serial.text),
            "ordinal": ordinal,
            "area": self._area.name.text if self._area else self._name.text,
            "operation": operation.value,
            "row_id": row["row_id"],
            "id_key": row["id_key"],
            "position": row["position"],
            "author": shown(self._author),
            "source": self._source,
            **sides,
        }

    async def _journal_area(self) -> None:
        if self._area_journalled:
            return
        self._area_journalled = True
        no_object = {"row_id": 0, "id_key": None, "position": 0}
        sides = side("before", None) | side("after", None)
        entry = self._entry(Operation.AREA, no_object, sides)
        await insert_rows(self._connection, journal, [entry])

    async def _journal_objects(
        self, operation: Operation, name: Side, condition: ColumnElement[bool]
    ) -> None:
        """Journal all objects of a condition, on one side, without moving them through here."""
        blank: Row = {"row_id": None, "id_key": None, "position": None}
        sides = side("before", None) | side("after", None)
        entry = self._entry(operation, blank, sides)
        columns: dict[str, ColumnElement[Any]] = {
            column: null() if value is None else literal(value) for column, value in entry.items()
        }
        columns["ordinal"] = func.row_number().over(order_by=_o.row_id) + (entry["ordinal"] - 1)
        columns |= {column: _o[column] for column in ("row_id", "id_key", "position")}
        columns |= {f"{name}_{short}": _o[column] for column, short in SIDE_COLUMNS.items()}
        query = select(*[value.label(column) for column, value in columns.items()])
        # A sum of nothing is no entry: the ordinals go on behind those that were written.
        statement = insert(journal).from_select(list(columns), query.where(condition))
        result = await self._connection.execute(statement)
        self._ordinal = entry["ordinal"] + result.rowcount

    async def rewrite_history(
        self, class_name: str, lines: Callable[[Object], Sequence[Line] | None]
    ) -> int:
        """Give objects of a class other lines in all of the area's journal; how many entries.

        For what must not be kept, such as a secret: ``lines`` gives the lines for an object as
        it was, the same for equal objects, or None where they stay. No serial moves.
        """
        await self.flush()
        c, key = journal.c, class_name.lower()
        query = select(journal).where(
            c.area_key == self._name.key,
            or_(func.lower(c.before_class) == key, func.lower(c.after_class) == key),
        )
        rows = (await self._connection.execute(query)).mappings().all()
        values = []
        for row in rows:
            told = change_of(row)
            bodies = {f"{name}_body": row[f"{name}_body"] for name in ("before", "after")}
            for name, obj in (("before", told.before), ("after", told.after)):
                if obj is not None and (other := lines(obj)) is not None:
                    bodies[f"{name}_body"] = encode_lines(other)
            if any(bodies[column] != row[column] for column in bodies):
                place = {"this_serial": told.serial, "this_ordinal": told.ordinal}
                values.append(place | {f"new_{column}": body for column, body in bodies.items()})
        if values:
            here = (
                c.area_key == self._name.key,
                c.serial == bindparam("this_serial"),
                c.ordinal == bindparam("this_ordinal"),
            )
            new: Row = {
                column: bindparam(f"new_{column}") for column in ("before_body", "after_body")
            }
            await self._connection.execute(update(journal).where(*here).values(new), values)
        return len(values)

    # -- the end ---------------------------------------------------------------------------

    async def finish(self) -> None:
        """Write the rest and move the serial; called before the commit."""
        await self.flush()
        await self._connection.run_sync(make_indexes, self._indexes_left)
        if self._area is None or not self.changed:
            return
        if self._rederive:
            await self._derive_all()
        if self._recheck:
            await self._check_all()
        await self._check_classes()
        values: Row = {"serial": self._serial, "next_row": self._next_row}
        if self._area.soa is not None:
            shown = self._explicit_serial or self._serial.text
            values["soa_serial"] = shown
            self._area = replace(self._area, soa=replace(self._area.soa, serial_number=shown))
        await self._connection.execute(
            update(authority_area).where(self._here(authority_area)).values(values)
        )

    async def _derive_all(self) -> None:
        """Make addresses, references and keys anew: another schema makes others of them.

        Objects that share a key under the new schema stay; all but the first count as copies.
        """
        mine = update(stored_object).where(self._here(stored_object))
        await self._connection.execute(mine.values(key_digest=None, key_copy=0))
        this = update(stored_object).where(_o.row_id == bindparam("this_row"))
        new: Row = {"key_digest": bindparam("new_digest"), "key_copy": bindparam("new_copy")}
        async for batch in object_batches(self._connection, self._area_id, self._existing()):
            derived = [self._derive(stored.object, stored.row) for stored in batch]
            await self._derive_again(derived)
            rows = [d.row for d in derived]
            await self._settle_keys(rows, set())
            values = [
                {"this_row": r["row_id"], "new_digest": r["key_digest"], "new_copy": r["key_copy"]}
                for r in rows
            ]
            await self._connection.execute(this.values(new), values)

    async def _check_all(self) -> None:
        area = self._existing()
        async for batch in object_batches(self._connection, self._area_id, area):
            for stored in batch:
                check_charset(stored.object, area.charset)

    async def _check_classes(self) -> None:
        """No object may stay in a class that its area does not have (any more)."""
        if not self._area_journalled:
            return
        known = [c.name.lower() for c in self._existing().schema.classes]
        query = select(_o.class_name).where(self._here(stored_object), _o.class_key.not_in(known))
        if left := (await self._connection.execute(query.limit(1))).scalar():
            raise RwhoisError(
                ResponseCode.INVALID_CLASS,
                f"{self._name} still has objects of class {left}: keep the class or delete them",
            )


def _serial_time(soa: Soa | None) -> TimeStamp:
    """The moment that a shown serial stands for, so that what clients see grows, too.

    Digits that are no date (ARIN's server keeps any) stand for nothing.
    """
    shown = soa and TimeStamp.padded(soa.serial_number)
    try:
        return shown if shown and shown.to_datetime().year < 9999 else NEVER
    except ValueError:
        return NEVER


def _not_unique(row: Row) -> RwhoisError:
    return RwhoisError(
        ResponseCode.KEY_NOT_UNIQUE,
        f"{row['class_name']} {row['object_id'] or ''}: another object has this primary key",
    )


def _not_found(row: int) -> RwhoisError:
    return RwhoisError(ResponseCode.OBJECT_NOT_FOUND, f"row {row} of the area")
