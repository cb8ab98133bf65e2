"""What has to be done so that an area holds what its sources say: pure, values in and out.

Only objects of the inventory's own sources are touched. What a source no longer tells of is
marked released first, and removed when the mark is old enough. What a source tells that could
not be read, or not wholly, counts for nothing: its objects stay as they are.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import Final

from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import Schema
from rwhoisd.formats.plan import Identity, ObjectDiff, diff, identity, object_name
from rwhoisd.inventory.placing import Wanted

RELEASED: Final = "released"
AUTHOR: Final = "inventory"
# Lines that say when, not what: they alone never make a change.
_WHEN: Final = frozenset({"updated", "created", "updated-by", "last-seen", "released"})
_FEW: Final = 10  # fewer may go whatever the share, unless they are most of what there is
_DATE: Final = "%Y%m%d"


class Action(StrEnum):
    """What happens to one object."""

    ADD = "added"
    CHANGE = "changed"
    RELEASE = "released"
    REMOVE = "removed"


@dataclass(frozen=True, slots=True)
class Step:
    """One object's step. ``before`` is None for ADD, ``after`` for REMOVE."""

    action: Action
    before: StoredObject | None
    after: Object | None

    @property
    def diff(self) -> ObjectDiff:
        """The lines that go and come, for a person."""
        return diff(self.action.value, self.before.object if self.before else None, self.after)

    @property
    def owner(self) -> str:
        """The source whose object it is."""
        if self.after is not None:
            return self.after.source
        assert self.before is not None
        return self.before.object.source


@dataclass(frozen=True, slots=True)
class Clash:
    """An object that is wanted and that somebody else has, changed or deleted since."""

    object: Object
    owner: str
    deleted: bool = False

    def __str__(self) -> str:
        name = f"{self.object.class_name} {object_name(self.object)}"
        if self.deleted:
            return f"{name} was deleted by {self.owner} and is left so"
        return f"{name} is {self.owner}'s and is left as it is"


@dataclass
class AreaPlan:
    """The steps for one area."""

    area: str
    steps: list[Step] = field(default_factory=list)
    conflicts: list[Clash] = field(default_factory=list)
    held: list[StoredObject] = field(default_factory=list)  # theirs is a source that failed
    unchanged: int = 0

    def count(self, action: Action) -> int:
        """How many objects have this step."""
        return sum(step.action is action for step in self.steps)


@dataclass(frozen=True)
class Policy:
    """What holds for all areas.

    ``ours``: sources of the inventory. ``held``: those of them that could not be read wholly.
    """

    ours: frozenset[str]
    held: frozenset[str] = frozenset()
    today: date = date.min
    release_days: int = 30
    last_seen_days: int = 7


def sources_of(obj: Object) -> frozenset[str]:
    """Who tells of a published object: its Source lines, and the source that published it."""
    return frozenset((*obj.values("Source"), obj.source))


def reconcile(
    area: str,
    wanted: Sequence[Wanted],
    published: Iterable[StoredObject],
    schema: Schema,
    policy: Policy,
) -> AreaPlan:
    """The steps from ``published`` (all sources) to ``wanted``."""
    plan = AreaPlan(area)
    rest = {stored.row: stored for stored in published}
    pairs = _paired(wanted, rest, schema)
    for one, found in pairs:
        _want(plan, one, found, policy)
    for stored in rest.values():
        _gone(plan, stored, policy)
    _without_doubles(plan)
    return plan


def _paired(
    wanted: Sequence[Wanted], rest: dict[int, StoredObject], schema: Schema
) -> list[tuple[Wanted, StoredObject | None]]:
    """Each wanted object with the stored one that it is, which is taken out of ``rest``.

    The primary key decides before the ID, and what has the key keeps its ID: IDs are made of
    names, so two names of one spelling change their marks when one of them goes.
    """
    ids = {(stored.object.id or "").lower() for stored in rest.values()}
    keys = {_key(stored.object, schema): row for row, stored in rest.items()}
    found = {}
    for number, one in enumerate(wanted):
        row = keys.get(_key(one.object, schema))
        if row in rest:
            found[number] = rest.pop(row)
    by_id = {identity(stored.object, schema): row for row, stored in rest.items()}
    pairs: list[tuple[Wanted, StoredObject | None]] = []
    for number, one in enumerate(wanted):
        row = by_id.get(identity(one.object, schema))
        if number in found:
            pairs.append((_with_id(one, found[number].object.id), found[number]))
        elif row in rest:
            pairs.append((one, rest.pop(row)))
        else:
            free = _free_id(one.object, ids)
            ids.add((free or "").lower())
            pairs.append((_with_id(one, free), None))
    return pairs


def _with_id(one: Wanted, object_id: str | None) -> Wanted:
    if object_id is None or object_id == one.object.id:
        return one
    lines = [line for line in one.object.lines if line[0].lower() != "id"]
    return replace(one, object=replace(one.object, lines=(("ID", object_id), *lines)))


def _free_id(obj: Object, taken: Collection[str]) -> str | None:
    """The ID of an object that is new, with another mark while an object has it."""
    if obj.id is None or obj.id.lower() not in taken:
        return obj.id
    local, area = obj.id[: -len(obj.area) - 1], obj.area
    return next(free for n in count(2) if (free := f"{local}-{n}.{area}").lower() not in taken)


def _without_doubles(plan: AreaPlan) -> None:
    """Nothing is added for an address that a held object of the class has.

    While a source is held, what it told is unknown: a machine may then go by another name.
    """
    taken = {place for stored in plan.held for place in _places(stored.object)}
    plan.steps = [
        step
        for step in plan.steps
        if step.before is not None or step.after is None or taken.isdisjoint(_places(step.after))
    ]


def _places(obj: Object) -> set[tuple[str, str]]:
    return {(obj.class_name, where) for where in obj.values("IP-Address")}


def _key(obj: Object, schema: Schema) -> Identity:
    """An object without its ID: its primary key, which nobody else may have either (324)."""
    lines = tuple(line for line in obj.lines if line[0].lower() != "id")
    return identity(replace(obj, lines=lines), schema)


def _want(plan: AreaPlan, one: Wanted, found: StoredObject | None, policy: Policy) -> None:
    wanted = replace(one.object, lines=(*one.object.lines, _last_seen(one, found)))
    if found is None:
        plan.steps.append(Step(Action.ADD, None, wanted))
    elif found.object.source not in policy.ours:
        plan.conflicts.append(Clash(wanted, found.object.source))
    elif sources_of(found.object) & policy.held:
        plan.held.append(found)
    elif _same(found.object, wanted, policy):
        plan.unchanged += 1
    else:
        plan.steps.append(Step(Action.CHANGE, found, wanted))


def _last_seen(one: Wanted, found: StoredObject | None) -> Line:
    """When a source last had it; never earlier than it was known."""
    text = one.seen.strftime(_DATE)
    before = (found.object.get("Last-Seen") or "") if found else ""
    return "Last-Seen", max(text, before)


def _same(before: Object, wanted: Object, policy: Policy) -> bool:
    """Whether nothing is to be written: equal lines, and a Last-Seen that is recent enough."""
    if before.source != wanted.source or _what(before) != _what(wanted):
        return False
    then, now = _date_of(before, "Last-Seen"), _date_of(wanted, "Last-Seen")
    if then is None or now is None:
        return False
    return then == now or (now - then).days < policy.last_seen_days


def _what(obj: Object) -> tuple[Line, ...]:
    return tuple((n.lower(), v) for n, v in obj.lines if n.lower() not in _WHEN)


def _date_of(obj: Object, name: str) -> date | None:
    text = obj.get(name) or ""
    try:
        return datetime.strptime(text[:8], _DATE).date()  # noqa: DTZ007
    except ValueError:
        return None


def _gone(plan: AreaPlan, stored: StoredObject, policy: Policy) -> None:
    """Nobody wants it any more."""
    obj = stored.object
    if obj.source not in policy.ours:
        return
    if sources_of(obj) & policy.held:
        plan.held.append(stored)
    elif (obj.get("Status") or "") != RELEASED:
        plan.steps.append(Step(Action.RELEASE, stored, _released(obj, policy.today)))
    elif _since(obj, policy) >= timedelta(days=policy.release_days):
        plan.steps.append(Step(Action.REMOVE, stored, None))
    else:
        plan.unchanged += 1


def _released(obj: Object, today: date) -> Object:
    lines = [line for line in obj.lines if line[0].lower() not in ("status", "released")]
    marks = (("Status", RELEASED), ("Released", today.strftime(_DATE)))
    return replace(obj, lines=(*lines, *marks))


def _since(obj: Object, policy: Policy) -> timedelta:
    day = _date_of(obj, "Released")
    return timedelta.max if day is None else policy.today - day


def without_deleted(plan: AreaPlan, deleted: Mapping[str, str]) -> None:
    """What somebody else deleted is not added again, but a conflict.

    ``deleted``: ID in lower case → who deleted the object last.
    """
    kept = []
    for step in plan.steps:
        by = None
        if step.action is Action.ADD and step.after is not None:
            by = deleted.get((step.after.id or "").lower())
            if by is not None:
                plan.conflicts.append(Clash(step.after, by, deleted=True))
        if by is None:
            kept.append(step)
    plan.steps = kept


def too_many(
    plans: Iterable[AreaPlan], published: Mapping[tuple[str, str], int], max_removals: float
) -> dict[str, str]:
    """Source → why it would release too much of what it published in some area.

    ``published``: source and area → objects that are not released. A share of them may go, and a
    few always, unless they are most of what there is. Areas count apart: one address may have an
    object in each.
    """
    found = {}
    for plan in plans:
        gone = Counter(step.owner for step in plan.steps if step.action is Action.RELEASE)
        for source, number in gone.items():
            own = published.get((source, plan.area), 0)
            few = number < _FEW and number <= max(1, own // 2)
            if not few and number > max_removals * own:
                found[source] = (
                    f"{number} of its {own} records in {plan.area} would be released, more than"
                    f" {max_removals:.0%}; check the source, then allow it with"
                    " --max-removals SHARE"
                )
    return found


def stamped(obj: Object, serial: str, before: Object | None) -> Object:
    """The object as it is stored: with when it was created and changed, and by what."""
    created = (before.get("Created") if before else None) or serial[:8]
    when = (("Created", created), ("Updated", serial), ("Updated-By", AUTHOR))
    names: Collection[str] = {"created", "updated", "updated-by"}
    return replace(
        obj, lines=(*(line for line in obj.lines if line[0].lower() not in names), *when)
    )
