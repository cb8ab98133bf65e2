"""Bring what files say into the store: one transaction per area, or a dry run of it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rwhoisd.collection import no_collection
from rwhoisd.directory import privacy
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Change, Operation
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.formats import arin, zone
from rwhoisd.formats.findings import Finding
from rwhoisd.formats.plan import Changed, Conflict, Known, ObjectDiff, Plan, Planner, diff
from rwhoisd.formats.seen import SeenArea, SeenClass, setting_of
from rwhoisd.formats.supply import ArinSupply, ObjectSupply, Supply
from rwhoisd.store import AreaChange, Store

ARIN_AREAS: Final = "arin-files.areas"
ARIN_FINGERPRINT: Final = "arin-files.fingerprint"
Progress = Callable[[str, int], None]  # area, objects read so far
_STEP: Final = 1000
_FEW: Final = 1000  # so many objects are asked for one by one
_EVER: Final = TimeStamp("0" * 17)


@dataclass(frozen=True)
class Options:
    """How a load goes about its work."""

    author: str = "rwhois-admin"
    prune: bool = False  # remove what is gone from the files
    force: bool = False  # take ours where somebody else changed an object
    dry_run: bool = False
    max_removals: float = 0.1  # share of the source's objects that may go in one load
    keep_order: bool = True  # a known area stays where it stands among the areas
    keep_audience: bool = False  # the files cannot say who is answered, nor profiles
    unique: bool = True  # refuse double primary keys (324); data of ARIN's server has some
    diffs: bool = False  # tell what happens to each object, dry run or not
    progress: Progress = field(default=lambda _area, _count: None)


@dataclass
class AreaResult:
    """What a load did, or would do, to one area."""

    area: str
    created: bool = False
    definition_changed: bool = False
    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    left: int = 0
    unchanged: int = 0
    conflicts: tuple[Conflict, ...] = ()
    diffs: list[ObjectDiff] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refused: str = ""  # why nothing of it was loaded

    @property
    def touched(self) -> bool:
        """Whether anything is another after it."""
        counts = (self.added, self.changed, self.moved, self.removed)
        return not self.refused and (self.definition_changed or any(counts))


@dataclass
class _Refused(Exception):  # noqa: N818
    """Leaves a change so that nothing of it is kept."""

    reason: str


@dataclass
class _DryRun(Exception):  # noqa: N818
    """Leaves a change that was done only to see what comes of it."""

    result: AreaResult


class _AreaLoad:
    """One load of one area; ``run`` may be called again after a conflict in the database."""

    def __init__(
        self,
        store: Store,
        area: AuthorityArea,
        supply: Supply,
        source: str,
        options: Options,
        last: SeenArea | None = None,
    ) -> None:
        self._store, self._area, self._source = store, area, source
        self._supply, self._options, self._last_time = supply, options, last
        self._marks = supply.marks()
        self._result = AreaResult(area.name.text)
        self._change: AreaChange | None = None
        self._wanted: Counter[str] = Counter()  # objects by class, lower case

    async def load(self) -> AreaResult:
        """Do it; a refusal is in the result, and nothing was changed then."""
        options = self._options
        try:
            with no_collection():
                return await self._store.run(
                    self._area.name.text,
                    self._run,
                    author=options.author,
                    source=self._source,
                    create=True,
                )
        except _DryRun as done:
            return done.result
        except (_Refused, RwhoisError) as error:
            reason = error.reason if isinstance(error, _Refused) else str(error)
            self._result = AreaResult(
                self._area.name.text, refused=reason, findings=self._result.findings
            )
            return self._result

    async def _run(self, change: AreaChange) -> AreaResult:
        self._change, before = change, change.area
        self._wanted.clear()
        area = self._placed(before)
        result = self._result = AreaResult(area.name.text, created=before is None)
        result.definition_changed = before is None or _definition(area) != _definition(before)
        result.findings += _opened(before, area)
        if before is None and not (self._options.dry_run or self._options.diffs):
            return await self._fill(change, area, result)
        planner = Planner(
            area.schema, self._source, prune=self._options.prune, force=self._options.force
        )
        skipped: Mapping[str, int] = {}
        if self._last_time is not None and not self._options.force:
            skipped = self._last_time.unchanged(change.last_serial, self._marks)
        self._wanted.update(skipped)
        planner.skip(sum(skipped.values()))
        async for batch in change.batches(but_classes=skipped):
            for stored in batch:
                planner.know(stored)
        for obj in self._counted(self._supply.without(skipped), result):
            planner.want(obj)
        plan = planner.finish()
        if before is not None:
            await self._respect_deletions(plan)
        reason = plan.refusal(self._options.max_removals)
        if reason is not None:
            raise _Refused(reason)
        await self._describe(change, plan, result)
        await self._apply(change, area, plan)
        if self._options.dry_run:
            await change.finish()  # the database has its say, then all of it is rolled back
            raise _DryRun(result)
        return result

    def _placed(self, before: AuthorityArea | None) -> AuthorityArea:
        area = self._area
        if before is not None and self._options.keep_order:
            area = replace(area, position=before.position)
        if before is not None and self._options.keep_audience:
            area = privacy.with_profiles_of(replace(area, audience=before.audience), before)
        if before is None or before.soa is None or area.soa is None:
            return area
        # The files do not know of changes that came another way: a serial never goes back.
        ours = TimeStamp.padded(area.soa.serial_number)
        theirs = TimeStamp.padded(before.soa.serial_number)
        if not ours or (theirs and theirs > ours):
            text = "" if ours or not area.soa.serial_number else area.soa.serial_number
            area = replace(area, soa=replace(area.soa, serial_number=text))
        return area

    def seen(self) -> SeenArea | None:
        """What is to be remembered after ``load``; None when something was left undone."""
        change, result = self._change, self._result
        if change is None or result.refused or result.conflicts or self._options.dry_run:
            return None
        serial = change.serial if change.changed else change.last_serial
        classes = {name: SeenClass(mark, self._wanted[name]) for name, mark in self._marks.items()}
        return SeenArea(serial.text, classes)

    def _counted(self, supply: Supply, result: AreaResult) -> Iterable[Object]:
        for count, obj in enumerate(supply.objects(result.findings), 1):
            if count % _STEP == 0:
                self._options.progress(result.area, count)
            self._wanted[obj.class_name.lower()] += 1
            yield obj

    async def _fill(
        self, change: AreaChange, area: AuthorityArea, result: AreaResult
    ) -> AreaResult:
        """Add everything to a new area, without holding it in memory."""
        await change.put_area(area)
        await change.expect_many()
        async with aclosing(self._supply.batches(area, result.findings)) as supplied:
            async for batches in supplied:
                for batch in batches:
                    await change.add_batch(batch, unique=self._options.unique)
                    result.added += len(batch.objects)
                    self._wanted[batch.class_name.lower()] += len(batch.objects)
                self._options.progress(result.area, result.added)
        return result

    async def _respect_deletions(self, plan: Plan) -> None:
        """What somebody else deleted since is not added again, but a conflict."""
        if self._options.force or not plan.added:
            return
        deleted = await self._deleted([step.object for step in plan.added])
        kept = []
        for step in plan.added:
            last = deleted.get((step.object.id or "").lower())
            if last is None or last.source == self._source:
                kept.append(step)
            else:
                plan.conflicts.append(Conflict(step.object, None, last.source))
        plan.added = kept

    async def _deleted(self, objects: Sequence[Object]) -> dict[str, Change]:
        """ID, lower case → the deletion that was the last thing to happen to that object."""
        ids = {obj.id.lower(): obj.id for obj in objects if obj.id}
        if len(ids) <= _FEW:
            entries = [entry for one in ids.values() for entry in await self._last(one)]
        else:
            async with self._store.snapshot() as source:
                changes = source.changes(self._area.name.text, _EVER)
                entries = [entry async for entry in changes]
        last: dict[str, Change] = {}
        for entry in entries:
            obj = entry.after or entry.before
            if obj is not None and obj.id:
                last[obj.id.lower()] = entry
        return {k: entry for k, entry in last.items() if entry.operation is Operation.DELETE}

    async def _last(self, object_id: str) -> list[Change]:
        name = self._area.name.text
        return await self._store.journal(name, object_id=object_id, newest_first=True, limit=1)

    async def _describe(self, change: AreaChange, plan: Plan, result: AreaResult) -> None:
        result.added, result.changed = len(plan.added), len(plan.changed)
        result.moved, result.removed = len(plan.moved), len(plan.removed)
        result.left, result.unchanged = len(plan.left), plan.unchanged
        result.conflicts = tuple(plan.conflicts)
        if not (self._options.dry_run or self._options.diffs):
            return
        result.diffs += [diff("add", None, step.object) for step in plan.added]
        for step in plan.changed:
            result.diffs.append(diff("change", await _stored(change, step.known), step.object))
        for known in plan.removed:
            result.diffs.append(diff("remove", await _stored(change, known), None))

    async def _apply(self, change: AreaChange, area: AuthorityArea, plan: Plan) -> None:
        """Removals first, so that their keys and classes are free."""
        for known in plan.removed:
            await change.delete(known.row)
        await change.put_area(area)
        unique = self._options.unique
        for step in (*plan.changed, *plan.moved):
            await self._modify(change, step)
        for new in plan.added:
            await change.add(new.object, position=new.position, unique=unique)

    async def _modify(self, change: AreaChange, step: Changed) -> None:
        await change.modify(
            step.known.row, step.object, position=step.position, unique=self._options.unique
        )


async def _stored(change: AreaChange, known: Known) -> Object | None:
    stored = await change.get(known.row)
    return stored.object if stored else None


def _opened(before: AuthorityArea | None, area: AuthorityArea) -> list[Finding]:
    """Warnings of what everybody will read from now on: the area, or names of customers."""
    if before is None:
        return []
    messages = []
    if before.audience and not area.audience:
        messages.append(f"everybody is answered now, not {', '.join(before.audience)} only")
    if classes := privacy.opened(area, before):
        messages.append(f"privacy profiles hide less than before in {', '.join(classes)}")
    return [Finding(f"store:{area.name}", 0, message) for message in messages]


def _definition(area: AuthorityArea) -> AuthorityArea:
    """An area without what every change moves."""
    return replace(area, soa=area.soa and replace(area.soa, serial_number=""))


async def load_zones(
    store: Store, zones: Sequence[zone.Zone], options: Options
) -> list[AreaResult]:
    """Load zone folders; new areas go behind those that are there."""
    following = max((a.position for a in await store.areas()), default=-1) + 1
    results = []
    for number, one in enumerate(zones):
        area = replace(one.area, position=following + number)
        placed = replace(one, area=area)
        load = _AreaLoad(store, area, ObjectSupply(placed.objects), zone.SOURCE, options)
        results.append(await load.load())
    return results


@dataclass
class ImportResult:
    """What an import of an installation did."""

    areas: list[AreaResult]
    findings: list[Finding]
    removed_areas: list[str] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether some area was not loaded."""
        return any(result.refused for result in self.areas)


async def import_installation(
    store: Store, installation: arin.Installation, options: Options | None = None
) -> ImportResult:
    """Take over an ARIN installation, again or for the first time.

    Only objects that came from its files are replaced and removed. An area that it no longer
    has goes, unless somebody else keeps objects there.
    """
    options = replace(
        options or Options(), prune=True, keep_order=False, keep_audience=True, unique=False
    )
    result = ImportResult([], list(installation.findings))
    settings = await store.settings()
    for data in installation.areas:
        seen = settings.get(setting_of(data.area.name))
        result.areas.append(await _import_area(store, data, options, seen))
    await _remove_areas(store, installation, options, result)
    if not options.dry_run:
        names = json.dumps([data.area.name.text for data in installation.areas])
        await store.set_setting(ARIN_AREAS, names)
    return result


async def _import_area(
    store: Store, data: arin.AreaData, options: Options, text: str | None
) -> AreaResult:
    """``text``: what was remembered the last time, if anything was."""
    name = setting_of(data.area.name)
    last = SeenArea.from_text(text) if text else None
    load = _AreaLoad(store, data.area, ArinSupply(data.objects), arin.SOURCE, options, last)
    result = await load.load()
    seen = load.seen()
    if seen is not None and seen != last:
        await store.set_setting(name, seen.to_text())
    return result


async def _remove_areas(
    store: Store, installation: arin.Installation, options: Options, result: ImportResult
) -> None:
    present = {data.area.name.key for data in installation.areas}
    before = json.loads((await store.settings()).get(ARIN_AREAS, "[]"))
    for name in before:
        if name.lower() in present or await store.area(name) is None:
            continue
        others = [c for c in await store.counts() if c.area.lower() == name.lower()]
        others = [c for c in others if c.source != arin.SOURCE]
        if others and not options.force:
            result.findings.append(
                Finding(
                    f"store:{name}",
                    0,
                    f"area {name} is no longer in the files, but has {others[0].objects} objects"
                    f" of {others[0].source}; it stays",
                )
            )
            continue
        result.removed_areas.append(name)
        if not options.dry_run:
            async with store.change(name, author=options.author, source=arin.SOURCE) as change:
                await change.delete_area()


async def import_if_changed(
    store: Store, conf: Path, options: Options | None = None
) -> ImportResult | None:
    """Import an installation when a file of it changed since the last time; None if not.

    Raises: FormatError, when ARIN's server would refuse to start with it.
    """
    mark = arin.fingerprint(conf)
    if (await store.settings()).get(ARIN_FINGERPRINT) == mark:
        return None
    result = await import_installation(store, arin.read_installation(conf), options)
    if not result.refused and not (options and options.dry_run):
        await store.set_setting(ARIN_FINGERPRINT, mark)
    return result
