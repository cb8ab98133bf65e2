"""Compares what sources say with what is published, and applies the difference to the store.

Each area that changes is one transaction and one serial, journalled as every change.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Change, Operation, StoredObject
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.privacy import with_profiles_of
from rwhoisd.directory.schema import Schema
from rwhoisd.formats.findings import Finding, failed
from rwhoisd.inventory.placing import Area, Placed
from rwhoisd.inventory.reconcile import (
    AUTHOR,
    RELEASED,
    Action,
    AreaPlan,
    Policy,
    Step,
    reconcile,
    stamped,
    too_many,
    without_deleted,
)
from rwhoisd.inventory.settings import Inventory
from rwhoisd.inventory.survey import SOURCE_SETTING, Known, Options, SourceState, Survey
from rwhoisd.store import AreaChange, Store

AREAS_SETTING: Final = "inventory.areas"
RETIRED_SETTING: Final = "inventory.retired"  # until the last record of the source is removed
_ASKED: Final = 1000  # objects whose history is asked for one by one


@dataclass
class Outcome:
    """What an inventory would do, or did."""

    sources: list[SourceState] = field(default_factory=list)
    areas: list[AreaPlan] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # area → why nothing was done there

    @property
    def clean(self) -> bool:
        """Whether every source was read and nothing stood in the way."""
        held = any(state.failed for state in self.sources)
        return not (held or self.refused or any(plan.conflicts for plan in self.areas))

    @property
    def touches(self) -> int:
        """How many objects are another after it."""
        return sum(len(plan.steps) for plan in self.areas)


class Publisher:
    """One inventory against one store."""

    def __init__(self, store: Store, inventory: Inventory, options: Options | None = None) -> None:
        self._store = store
        self._inventory = inventory
        self._table = inventory.table
        self._options = options or Options()
        self._survey = Survey(store, inventory, self._options)
        self._retired: frozenset[str] = frozenset()
        self._policy = Policy(
            ours=frozenset(s.name for s in self._table.source),
            today=self._options.now().date(),
            release_days=self._table.release_days,
            last_seen_days=self._table.last_seen_days,
        )

    async def plan(self) -> Outcome:
        """What ``apply`` would do."""
        _, outcome = await self.prepare()
        return outcome

    async def apply(self) -> Outcome:
        """Do it, one transaction for each area that changes, and remember the sources."""
        known, outcome = await self.prepare()
        policy = replace(self._policy, held=known.held)
        await self._claim(known.placed)
        done = []
        for plan in outcome.areas:
            if plan.area in outcome.refused:
                continue
            try:
                done.append(await self._apply_area(plan, known.placed, policy))
            except RwhoisError as error:
                outcome.refused[plan.area] = str(error)
        outcome.areas = done
        for state in outcome.sources:
            await self._remember(state)
        await self._remember_retired()
        return outcome

    async def _remember(self, state: SourceState) -> None:
        """Keep when it was read; a source that failed keeps the time of its last good reading."""
        if state.held and not state.failed:
            return
        if state.held:
            text = (await self._store.settings()).get(SOURCE_SETTING + state.name)
            if text is not None:
                last = SourceState.from_text(state.name, text)
                state = replace(last, held=state.held)
        await self._store.set_setting(SOURCE_SETTING + state.name, state.to_text())

    async def _remember_retired(self) -> None:
        """Note whose released records are still to be removed, and forget the others."""
        left = {count.source for count in await self._store.counts() if count.objects}
        for name in self._options.retire:
            await self._store.set_setting(SOURCE_SETTING + name, None)
        text = json.dumps(sorted(self._retired & left))
        if text != (await self._store.settings()).get(RETIRED_SETTING, "[]"):
            await self._store.set_setting(RETIRED_SETTING, text)

    async def _check_names(self) -> None:
        """Take in the sources that were retired before. Raises: FormatError, for a wrong name."""
        names = {s.name for s in self._table.source}
        settings = await self._store.settings()
        retired = set(json.loads(settings.get(RETIRED_SETTING, "[]"))) - names
        once = {key.removeprefix(SOURCE_SETTING) for key in settings if SOURCE_SETTING in key}
        path = self._inventory.path
        for name in sorted(self._options.only - names):
            raise failed(path, 0, f"has no source {name!r}; it has {', '.join(sorted(names))}")
        for name in sorted(self._options.retire):
            if name in names:
                raise failed(path, 0, f"has the source {name!r}; take it out, then retire it")
            if name not in once | retired:  # a zone's objects are not ours to release
                raise failed(path, 0, f"source {name!r} was never applied; nothing to retire")
        self._retired = frozenset(retired) | self._options.retire
        self._policy = replace(self._policy, ours=frozenset(names) | self._retired)

    async def prepare(self) -> tuple[Known, Outcome]:
        """Read and compare, until no source has to be held back any more.

        Raises: FormatError, when an option names a source that is none.
        """
        await self._check_names()
        known = await self._survey.read()
        published = await self._published()
        while True:
            outcome = Outcome(known.sources, [], [*known.findings, *known.placed.findings])
            policy = replace(self._policy, held=known.held)
            for name, (area, objects) in published.items():
                wanted = known.placed.wanted.get(name, [])
                plan = reconcile(name, wanted, objects, area.schema, policy)
                without_deleted(plan, await self._deleted(plan))
                outcome.areas.append(plan)
            refused = self._refused(outcome, published)
            if not refused:
                break
            for state in known.sources:
                state.held = state.held or refused.get(state.name, "")
            known = await self._survey.place_again(known)
        outcome.refused = await self._unfit(known.placed)
        return known, outcome

    def _refused(
        self, outcome: Outcome, published: Mapping[str, tuple[AuthorityArea, list[StoredObject]]]
    ) -> dict[str, str]:
        live = Counter(
            (stored.object.source, name)
            for name, (_, objects) in published.items()
            for stored in objects
            if stored.object.get("Status") != RELEASED
        )
        share = self._options.max_removals
        share = self._table.max_removals if share is None else share
        found = too_many(outcome.areas, live, share)
        if share < 1:
            for state in outcome.sources:
                records = sum(count for (source, _), count in live.items() if source == state.name)
                if not state.facts and not state.held and records:
                    found[state.name] = (
                        f"gave no facts, and has {records} records; check the source, then allow it"
                        " with --max-removals 1"
                    )
        return {k: v for k, v in found.items() if k not in self._retired}

    async def _published(self) -> dict[str, tuple[AuthorityArea, list[StoredObject]]]:
        """Every area of the inventory, and every other that holds objects of it, with objects."""
        there = {area.name.key: area for area in await self._store.areas()}
        names = [area.name.text for area in self._areas]
        counts = await self._store.counts()
        names += [c.area for c in counts if c.source in self._policy.ours and c.objects]
        found: dict[str, tuple[AuthorityArea, list[StoredObject]]] = {}
        for name in names:
            if name.lower() in {known.lower() for known in found}:
                continue
            area = there.get(name.lower())
            if area is None:
                table = next(a for a in self._areas if a.name.text == name)
                found[name] = (table.definition(), [])
            else:
                found[name] = (area, await self._store.find_objects(name))
        return found

    @property
    def _areas(self) -> tuple[Area, ...]:
        return tuple(Area.of(table) for table in self._table.area)

    async def _managed(self) -> frozenset[str]:
        text = (await self._store.settings()).get(AREAS_SETTING, "[]")
        return frozenset(json.loads(text))

    async def _unfit(self, placed: Placed) -> dict[str, str]:
        """Areas that somebody else defined, and that do not fit the inventory: why."""
        managed = await self._managed()
        found = {}
        for area in placed.areas:
            there = await self._store.area(area.name.text)
            if there is None or area.name.key in managed:
                continue
            reason = _misfit(area, there)
            if reason:
                found[area.name.text] = reason
        return found

    async def _deleted(self, plan: AreaPlan) -> dict[str, str]:
        """ID in lower case → who deleted it, for objects to be added that somebody else deleted."""
        ids = [s.after.id for s in plan.steps if s.action is Action.ADD and s.after and s.after.id]
        if not ids or await self._store.area(plan.area) is None:
            return {}
        if len(ids) > _ASKED:  # one look through the journal is cheaper then
            entries = await self._store.journal(plan.area, newest_first=True)
        else:
            entries = [
                entry
                for one in ids
                for entry in await self._store.journal(
                    plan.area, object_id=one, newest_first=True, limit=1
                )
            ]
        last: dict[str, Change] = {}
        for entry in entries:
            obj = entry.after or entry.before
            if obj is not None and obj.id:
                last.setdefault(obj.id.lower(), entry)
        return {
            key: entry.author
            for key, entry in last.items()
            if entry.operation is Operation.DELETE and entry.source != AUTHOR
        }

    async def _claim(self, placed: Placed) -> None:
        """Note the areas that are about to be made: their definition is the inventory's."""
        managed = await self._managed()
        there = {area.name.key for area in await self._store.areas()}
        new = {area.name.key for area in placed.areas} - there - managed
        if new:
            await self._store.set_setting(AREAS_SETTING, json.dumps(sorted(managed | new)))

    async def _apply_area(self, plan: AreaPlan, placed: Placed, policy: Policy) -> AreaPlan:
        """The plan again, made and carried out under the lock of the area."""
        name = plan.area
        area = next((a for a in placed.areas if a.name.text == name), None)
        managed = area is not None and area.name.key in await self._managed()
        following = max((a.position for a in await self._store.areas()), default=-1) + 1
        deleted = {(c.object.id or "").lower(): c.owner for c in plan.conflicts if c.deleted}

        async def work(change: AreaChange) -> AreaPlan:
            if area is not None and managed:
                await change.put_area(_definition(area, change.area, following))
            assert change.area is not None  # what is not there, is managed and was put
            done = reconcile(
                name,
                placed.wanted.get(name, []),
                await change.objects(),
                change.area.schema,
                policy,
            )
            without_deleted(done, deleted)
            await _take_steps(change, done.steps)
            return done

        return await self._store.run(name, work, author=AUTHOR, source=AUTHOR, create=managed)


async def _take_steps(change: AreaChange, steps: Sequence[Step]) -> None:
    """Removals first, so that their keys are free."""
    serial = change.serial.text
    for step in steps:
        if step.before is not None and step.after is None:
            await change.delete(step.before.row)
    for step in steps:
        if step.before is not None and step.after is not None:
            after = stamped(step.after, serial, step.before.object)
            await change.modify(step.before.row, after, position=step.before.position)
        elif step.after is not None:
            await change.add(stamped(step.after, serial, None))


def _definition(area: Area, there: AuthorityArea | None, position: int) -> AuthorityArea:
    """The area as the inventory has it, and otherwise as it is.

    Classes that it had stay, for they may have objects; guardians, slaves and privacy profiles are
    not ours.
    """
    wanted = area.definition(position)
    if there is None:
        return wanted
    names = {c.name.lower() for c in wanted.schema.classes}
    kept = [c for c in there.schema.classes if c.name.lower() not in names]
    schema = Schema((*wanted.schema.classes, *kept))
    ours = replace(there, soa=wanted.soa, schema=schema, audience=wanted.audience)
    return with_profiles_of(ours, there)


def _misfit(area: Area, there: AuthorityArea) -> str:
    """Why records cannot go to an area that somebody else defined; "" when they can."""
    needed = [c.name for c in area.definition().schema.classes]
    missing = [name for name in needed if there.schema.class_def(name) is None]
    if missing:
        return (
            f"the area lacks the classes {', '.join(missing)}; add them to classes in its zone.toml"
        )
    if set(there.audience) != set(area.table.answer_to):
        theirs = ", ".join(there.audience) or "everybody"
        ours = ", ".join(area.table.answer_to) or "everybody"
        return f"the area answers to {theirs}, the inventory says {ours}; make them agree"
    return ""
