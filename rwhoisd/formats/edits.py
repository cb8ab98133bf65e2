"""Changes by an operator: the rules and the journal of the wire, one transaction each.

A change is worked out first (``Edit``: what is there, what is wanted), so that it can be shown.
Carrying it out is refused with 325 when what is there is not what was shown any more.

Whatever an operator changes becomes the operator's: its source is ``admin``. So the next load of
files or apply of an inventory reports a conflict and leaves it, as with registrations.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, TypeVar

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Change, Operation, StoredObject
from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import GUARDIAN_CLASS
from rwhoisd.directory.objects import Line, Object, late_order
from rwhoisd.directory.registration import (
    new_ids,
    require_master,
    require_same_place,
    require_same_version,
    stamped,
    violations,
)
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.validate import Violation, references, unknown_attributes
from rwhoisd.directory.visibility import MASK, SECRET_ATTRIBUTES
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.formats.plan import ObjectDiff, diff, object_name
from rwhoisd.service.guardians import normalized
from rwhoisd.service.security import SCHEMES
from rwhoisd.store import AreaChange, Store

SOURCE: Final = "admin"
# Journal sources of people: what one of them changed goes back to whose it was when it is undone.
BY_HAND: Final = frozenset({SOURCE, "registration"})
_T = TypeVar("_T")


class EditError(Exception):
    """A change that cannot be made, in words for a person."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One object's change as it is shown. ``before`` is None for one that is added.

    ``wanted`` is None for one that is deleted; ID and Updated are given when it is stored.
    ``keep`` takes it as it is: source, order and indexed as well, but for Updated.
    """

    before: StoredObject | None
    wanted: Object | None
    position: int | None = None
    keep: bool = False

    @property
    def operation(self) -> str:
        """What is done: add, change or remove."""
        if self.before is None:
            return "add"
        return "change" if self.wanted else "remove"

    @property
    def diff(self) -> ObjectDiff:
        """The lines that go and come."""
        return diff(self.operation, self.before.object if self.before else None, self.wanted)

    @property
    def empty(self) -> bool:
        """Whether it changes no line."""
        if self.before is None or self.wanted is None:
            return False
        return self.before.object.lines == self.wanted.lines


@dataclass(frozen=True, slots=True)
class Done:
    """A change of one area: its serial, and the objects as they are stored now."""

    area: str
    serial: str
    edits: tuple[Edit, ...]
    objects: tuple[Object, ...]  # those that were added or changed


@dataclass
class _Undone(Exception):  # noqa: N818
    """Leaves a change that was made only to see whether it can be."""

    done: Done


@dataclass(frozen=True)
class Editor:
    """Works out and makes changes in the name of ``author``."""

    store: Store
    dialect: Dialect
    author: str

    # -- working out

    async def addition(self, area_name: str, class_name: str, lines: Iterable[Line]) -> Edit:
        """A new object. Raises: RwhoisError 333, 340, 341; FormatError for broken rules."""
        area = await self.area(area_name)
        class_def = class_of(area, class_name)
        kept = [line for line in canonical(lines, class_def) if line[0] != "Updated"]
        wanted = Object(area.name.text, class_def.name, tuple(kept), source=SOURCE)
        if wanted.id is not None:
            _require_own_id(wanted.id, area)
        await self._check(wanted, area, class_def)
        return Edit(None, _hashed(wanted))

    async def edition(self, before: StoredObject, lines: Iterable[Line]) -> Edit:
        """An object with other lines. Raises: as ``addition``, and RwhoisError 325, 338."""
        old = before.object
        area = await self.area(old.area)
        class_def = class_of(area, old.class_name)
        kept = canonical(lines, class_def)
        wanted = replace(old, lines=tuple(kept), source=SOURCE)
        what = f"{old.id}: the text is of another version than is stored; begin with that"
        require_same_version(kept, old.id or "", old.updated, what=what)
        named = await self.area(wanted.get("Auth-Area") or old.area)
        require_same_place(old, named, class_of(named, wanted.get("Class-Name") or old.class_name))
        await self._check(wanted, area, class_def)
        return Edit(before, _hashed(wanted, old))

    async def find(self, object_id: str, area: str | None = None) -> StoredObject:
        """The object with an ID. Raises: EditError, unless there is exactly one."""
        found = await self.store.find_objects(area, object_id=object_id)
        if not found:
            where = f" in {area}" if area else ""
            raise EditError(
                f"no object has the ID {object_id}{where}; look with: rwhois-admin find {object_id}"
            )
        areas = list(dict.fromkeys(stored.object.area for stored in found))
        if len(areas) > 1:
            raise EditError(f"{object_id} is in {' and in '.join(areas)}; say which with --area")
        if len(found) > 1:
            raise EditError(
                f"{len(found)} objects of {areas[0]} have the ID {object_id}; mend that in the"
                " files they come from"
            )
        return found[0]

    async def area(self, name: str) -> AuthorityArea:
        """A master area by name. Raises: RwhoisError 333, 340."""
        area = await self.store.area(name)
        if area is None:
            known = ", ".join(a.name.text for a in await self.store.areas()) or "none at all"
            raise RwhoisError(ResponseCode.INVALID_AREA, f"{name}; there are {known}")
        require_master(area)
        return area

    async def _check(self, wanted: Object, area: AuthorityArea, class_def: ClassDef) -> None:
        """Raises: FormatError, with every rule that the object breaks."""
        targets = {value.lower() for _, value in references(wanted, class_def)}
        known = {(wanted.id or "").lower()}
        known |= {target for target in targets if await self._exists(target)}
        found = [
            *unknown_attributes(wanted.lines, class_def),
            *violations(
                wanted,
                class_def,
                self.dialect,
                exists=lambda target: target.lower() in known,
                schemes=SCHEMES,
            ),
        ]
        name = f"{area.name} {class_def.name} {object_name(wanted)}"
        if found:
            raise FormatError(Finding(name, 0, _words(v), "error", v.code) for v in found)

    async def _exists(self, object_id: str) -> bool:
        """Whether an object has this ID; those of other people's areas cannot be asked."""
        suffixes = [f".{a.name.id_suffix}".lower() for a in await self.store.areas()]
        ours = any(object_id.endswith(suffix) for suffix in suffixes)
        return not ours or bool(await self.store.find_objects(object_id=object_id, limit=1))

    # -- carrying out

    async def carry_out(self, edits: Sequence[Edit], *, dry_run: bool = False) -> list[Done]:
        """Make the changes, one transaction for each area. Nothing stays of a dry run.

        Raises: RwhoisError 324, 325, and as the store does.
        """
        done = []
        for area, mine in groupby(sorted(edits, key=_area_of), key=_area_of):
            steps = tuple(mine)

            async def work(change: AreaChange, steps: tuple[Edit, ...] = steps) -> Done:
                return await perform(change, steps)

            done.append(await self.run(area, work, dry_run=dry_run))
        return done

    async def run(
        self, area: str, work: Callable[[AreaChange], Awaitable[Done]], *, dry_run: bool
    ) -> Done:
        """What ``work`` does in a change of an area; it may be called again."""

        async def act(change: AreaChange) -> Done:
            assert change.area is not None
            require_master(change.area)
            done = await work(change)
            if dry_run:
                await change.finish()  # the database has its say, then all is rolled back
                raise _Undone(done)
            return done

        try:
            return await self.store.run(area, act, author=self.author, source=SOURCE)
        except _Undone as undone:
            return undone.done


def _area_of(edit: Edit) -> str:
    obj = edit.wanted or (edit.before.object if edit.before else None)
    assert obj is not None
    return obj.area


def class_of(area: AuthorityArea, name: str) -> ClassDef:
    """The class of an area by name or alias. Raises: RwhoisError 341."""
    class_def = area.schema.class_def(name)
    if class_def is None:
        known = ", ".join(c.name for c in area.schema.classes)
        raise RwhoisError(ResponseCode.INVALID_CLASS, f"{name}; {area.name} has {known}")
    return class_def


def canonical(lines: Iterable[Line], class_def: ClassDef) -> list[Line]:
    """The lines under the names of the class; unknown ones as they are."""
    known = ((class_def.attribute(name), name, value) for name, value in lines)
    return [(attribute.name if attribute else name, value) for attribute, name, value in known]


def changed_lines(
    lines: Sequence[Line], class_def: ClassDef, sets: Sequence[Line], unsets: Iterable[str]
) -> list[Line]:
    """``lines`` without ``unsets``, with ``sets`` in the place of what they had there.

    A name that ends in ``+`` adds a value to those that are there.
    """
    more = canonical([(n[:-1], v) for n, v in sets if n.endswith("+")], class_def)
    new = canonical([line for line in sets if not line[0].endswith("+")], class_def)
    gone = {name.lower() for name, _ in canonical([(name, "") for name in unsets], class_def)}
    taken = {name.lower() for name, _ in new}
    made: list[Line] = []
    for name, value in lines:
        folded = name.lower()
        if folded in taken:
            made += [line for line in new if line[0].lower() == folded]
            new = [line for line in new if line[0].lower() != folded]
        elif folded not in gone:
            made.append((name, value))
    return _grouped([*made, *new], more)


def _grouped(lines: list[Line], more: Iterable[Line]) -> list[Line]:
    """``lines`` with each of ``more`` behind the last one of its name, else at the end."""
    for line in more:
        places = [i for i, (name, _) in enumerate(lines) if name.lower() == line[0].lower()]
        lines.insert(places[-1] + 1 if places else len(lines), line)
    return lines


def unmasked(lines: Iterable[Line], before: Object) -> Iterator[Line]:
    """Lines of a text that was shown to a person: what is masked stays as it was."""
    secrets = [value for name, value in before.lines if name.lower() in SECRET_ATTRIBUTES]
    for name, value in lines:
        masked = name.lower() in SECRET_ATTRIBUTES and value == MASK and secrets
        yield (name, secrets.pop(0)) if masked else (name, value)


def _words(violation: Violation) -> str:
    """The message of a broken rule; it shows values, but no secret."""
    if violation.attribute.lower() in SECRET_ATTRIBUTES:
        return f"the value of {violation.attribute} is not of its form"
    return violation.message


def _hashed(obj: Object, before: Object | None = None) -> Object:
    """A guardian with its secret as it is stored; other objects as they are."""
    if obj.class_name.lower() != GUARDIAN_CLASS:
        return obj
    return replace(obj, lines=tuple(normalized(obj.lines, before)))


def _require_own_id(object_id: str, area: AuthorityArea) -> None:
    local, _, suffix = object_id.partition(".")
    if not local or suffix.lower() != area.name.id_suffix.lower():
        raise EditError(
            f"ID {object_id} is none of {area.name}: write NAME.{area.name.id_suffix},"
            " or leave it out and one is made"
        )


async def perform(change: AreaChange, edits: Sequence[Edit]) -> Done:
    """Make the changes of one area: removals first, so that their keys are free.

    Raises: RwhoisError 325 for what is not as it was shown, 324.
    """
    serial, stored = change.serial.text, []
    for edit in edits:
        if edit.before is not None:
            await _require_unchanged(change, edit.before)
    for edit in edits:
        if edit.wanted is None:
            assert edit.before is not None
            await change.delete(edit.before.row)
    for edit in edits:
        if edit.before is not None and edit.wanted is not None:
            obj = _changed(edit, serial)
            if _keys(change, obj) != _keys(change, edit.before.object):
                await _require_free_key(change, obj, edit.before.row)
            await change.modify(edit.before.row, obj, position=edit.position)
            stored.append(obj)
    stored += [await _add(change, edit, serial) for edit in edits if edit.before is None]
    await change.flush()
    assert change.area is not None
    return Done(change.area.name.text, serial, tuple(edits), tuple(stored))


async def _require_unchanged(change: AreaChange, before: StoredObject) -> None:
    """Raises: RwhoisError 325."""
    now = await change.get(before.row)
    if now is None or now.object != before.object:
        name = object_name(before.object)
        what = "deleted" if now is None else "changed"
        raise RwhoisError(
            ResponseCode.OUTDATED_OBJECT,
            f"{name} was {what} meanwhile; nothing is done, look at it and try again",
        )


def _changed(edit: Edit, serial: str) -> Object:
    """A changed object as it is stored."""
    assert edit.before is not None
    assert edit.wanted is not None
    wanted, old = edit.wanted, edit.before.object
    if edit.keep:
        return _renewed(wanted, serial)
    assert old.id is not None  # it was found by it
    stamps = tuple(stamped(wanted.lines, old.id, serial))
    return replace(wanted, lines=stamps, indexed=True, order=late_order(int(serial)))


def _renewed(obj: Object, serial: str) -> Object:
    """An object with its Updated moved, so that slaves take it; one without has none."""
    lines = tuple((n, serial if n.lower() == "updated" else v) for n, v in obj.lines)
    return replace(obj, lines=lines)


async def _add(change: AreaChange, edit: Edit, serial: str) -> Object:
    wanted = edit.wanted
    assert wanted is not None
    assert change.area is not None
    if wanted.id is not None and await change.find(wanted.id):
        raise RwhoisError(
            ResponseCode.KEY_NOT_UNIQUE,
            f"an object with the ID {wanted.id} is there already; leave the ID out, or edit it",
        )
    if edit.keep:
        obj = _renewed(wanted, serial)
    else:
        object_id = wanted.id or await _new_id(change, change.area)
        stamps = tuple(stamped(wanted.lines, object_id, serial))
        obj = replace(wanted, lines=stamps, order=late_order(int(serial)))
    await _require_free_key(change, obj)
    await change.add(obj, position=edit.position)
    return obj


async def _new_id(change: AreaChange, area: AuthorityArea) -> str:
    for object_id in new_ids(change.serial.text, area):
        if not await change.find(object_id):
            return object_id
    raise AssertionError("there is always another one")


async def _require_free_key(change: AreaChange, obj: Object, row: int | None = None) -> None:
    """Raises: RwhoisError 324, which names the key."""
    if await change.key_taken(obj, except_row=row):
        key = ", ".join(f"{name} {value}" for name, value in _key_lines(change, obj))
        raise RwhoisError(
            ResponseCode.KEY_NOT_UNIQUE,
            f"another {obj.class_name} of {obj.area} has {key}; edit that one, or take another",
        )


def _key_lines(change: AreaChange, obj: Object) -> list[Line]:
    assert change.area is not None
    class_def = class_of(change.area, obj.class_name)
    names = {a.name for a in class_def.key_attributes}
    return [line for line in obj.lines if line[0] in names]


def _keys(change: AreaChange, obj: Object) -> object:
    assert change.area is not None
    return obj.key_values(class_of(change.area, obj.class_name))


# --- undo


def inverse(entries: Sequence[Change], now: Callable[[int], StoredObject | None]) -> list[Edit]:
    """What takes a change back, the last entry first.

    ``now``: the object of a row as it is. Raises: EditError, which names what changed since.
    """
    if any(entry.operation is Operation.AREA for entry in entries):
        raise EditError(
            f"the change {entries[0].serial.text} also moved the definition of {entries[0].area},"
            " which the journal does not keep; load the files from before it"
        )
    first, last = _ends(entries)
    changed = [object_name(_told(e)) for row, e in last.items() if not _stands(e, now(row))]
    if changed:
        raise EditError(
            f"changed since {entries[0].serial.text}: {', '.join(changed)}; undo the later change"
            " first (rwhois-admin journal ID), or edit"
        )
    return [
        Edit(now(row), _restored(begun, last[row]), begun.position, keep=True)
        for row, begun in reversed(first.items())
        if begun.before is not None or last[row].after is not None
    ]


def _ends(entries: Sequence[Change]) -> tuple[dict[int, Change], dict[int, Change]]:
    """Row → its first and its last entry."""
    first: dict[int, Change] = {}
    for entry in entries:
        first.setdefault(entry.row, entry)
    return first, {entry.row: entry for entry in entries}


def _told(entry: Change) -> Object:
    obj = entry.after or entry.before
    assert obj is not None  # entries about areas were refused
    return obj


def _stands(entry: Change, now: StoredObject | None) -> bool:
    """Whether an object still is as the change left it."""
    return entry.after == (now.object if now else None)


def _restored(begun: Change, ended: Change) -> Object | None:
    """The object as it was before; it is its publisher's again when a person had changed it.

    What a publisher changed and an operator takes back is the operator's: else the next load
    would do it again in silence.
    """
    if begun.before is None:
        return None
    if ended.source in BY_HAND:
        return begun.before
    return replace(begun.before, source=SOURCE)
