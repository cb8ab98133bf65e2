"""Reads all sources of an inventory, and makes of their facts what the areas are to hold."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.privacy import is_internal
from rwhoisd.directory.visibility import public_lines
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.inventory.around import around
from rwhoisd.inventory.facts import Address, Prefix
from rwhoisd.inventory.placing import Owner, Owners, Placed, is_told, place
from rwhoisd.inventory.records import Gathered, Sourced, gather
from rwhoisd.inventory.scan import Reading, scan
from rwhoisd.inventory.settings import Inventory, OwnerTable, SourceTable
from rwhoisd.inventory.source import find_source
from rwhoisd.store import Store

SOURCE_SETTING: Final = "inventory.source."
NOT_ASKED: Final = "was not asked for"
_INHERITED: Final = ("Organization", "Org-Name", "Tech-Contact", "Admin-Contact", "Abuse-Contact")
Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True)
class Options:
    """How an apply goes about its work."""

    max_removals: float | None = None  # None: what the inventory says
    retire: frozenset[str] = frozenset()  # sources that are gone for good
    only: frozenset[str] = frozenset()  # read these sources; the others stay as they are
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    progress: Progress = field(default=lambda _what, _done, _total: None)


@dataclass
class SourceState:
    """What became of one source. ``held``: why its records stay as they are; "" when they don't."""

    name: str
    kind: str
    facts: int
    read: datetime
    modified: datetime | None
    held: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is held for what it is, and not because nobody asked for it."""
        return bool(self.held) and self.held != NOT_ASKED

    def age(self, now: datetime) -> str:
        """How old it is, in words: since its newest file, else since it was read."""
        seconds = max((now - (self.modified or self.read)).total_seconds(), 0.0)
        for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
            if seconds >= 2 * size:
                return f"{seconds / size:.0f} {unit} old"
        return f"{seconds:.0f} seconds old"

    def to_text(self) -> str:
        """As it is remembered in the store."""
        modified = self.modified.isoformat() if self.modified else None
        row = {"kind": self.kind, "facts": self.facts, "held": self.held}
        return json.dumps(row | {"read": self.read.isoformat(), "modified": modified})

    @classmethod
    def from_text(cls, name: str, text: str) -> "SourceState":
        """The inverse."""
        row = json.loads(text)
        times = {key: row[key] and datetime.fromisoformat(row[key]) for key in ("read", "modified")}
        return cls(name, row["kind"], row["facts"], **times, held=row["held"])


@dataclass
class Known:
    """Everything that the sources said, before anything is compared."""

    readings: dict[str, Reading]
    gathered: Gathered
    placed: Placed
    sources: list[SourceState]
    findings: list[Finding]

    @property
    def held(self) -> frozenset[str]:
        """Sources whose records stay as they are."""
        return frozenset(state.name for state in self.sources if state.held)


class Survey:
    """One go through the sources of an inventory."""

    def __init__(self, store: Store, inventory: Inventory, options: Options) -> None:
        self._store = store
        self._inventory = inventory
        self._table = inventory.table
        self._options = options
        self._now = options.now()
        self._ours = frozenset(s.name for s in self._table.source)

    async def read(self) -> Known:
        """What all sources say now. Files and APIs are read off the loop."""
        readings: dict[str, Reading] = {}
        states: list[SourceState] = []
        tables = self._table.source
        for number, table in enumerate(tables):
            self._options.progress(f"reading {table.name}", number, len(tables))
            if self._options.only and table.name not in self._options.only:
                readings[table.name] = Reading(table.kind)
                held = NOT_ASKED
            else:
                readings[table.name] = await asyncio.to_thread(self._scan, table)
                held = self._why_held(table, readings[table.name])
            reading = readings[table.name]
            states.append(
                SourceState(
                    table.name,
                    table.kind,
                    len(reading.facts),
                    self._now,
                    reading.modified,
                    held,
                )
            )
        findings = [f for r in readings.values() for f in (*r.findings, *r.failures)]
        known = Known(readings, Gathered(), Placed(()), states, findings)
        return await self.place_again(known)

    def _scan(self, table: SourceTable) -> Reading:
        try:
            paths = self._inventory.files_of(table)
            source = find_source(table.kind)
        except FormatError as error:
            return Reading(table.kind, failures=list(error.findings))
        root = self._inventory.place(table.include_root) if table.include_root else None
        return scan(source, paths, root=root, settings=self._settings(table))

    def _settings(self, table: SourceTable) -> dict[str, str]:
        """Words for the source; those that name files start from the inventory's folder."""
        return {
            key: str(self._inventory.place(value)) if _names_file(key) else value
            for key, value in table.settings.items()
        }

    def _why_held(self, table: SourceTable, reading: Reading) -> str:
        if reading.failures:
            return f"could not be read: {reading.failures[0]}"
        age = self._now - reading.modified if reading.modified else timedelta()
        if table.max_age_hours and age > timedelta(hours=table.max_age_hours):
            hours = age.total_seconds() / 3600
            return f"is stale: its newest file is {hours:.0f} hours old; collect it again"
        return ""

    async def place_again(self, known: Known) -> Known:
        """Records and objects of the facts of all sources that are not held back."""
        facts = list(self._sourced(known))
        gathered = gather(facts)
        owners = Owners(self._table.owner)
        inherited = await self._inherited(gathered, owners)
        owners = Owners(self._table.owner, lambda where: inherited.get(where, ()))
        placed = place(gathered, self._table, owners)
        placed.findings += await self._unknown_contacts()
        return replace(known, gathered=gathered, placed=placed)

    def _sourced(self, known: Known) -> Iterable[Sourced]:
        for table in self._table.source:
            if table.name in known.held:
                continue
            reading = known.readings[table.name]
            seen = (reading.modified or self._now).date()
            for fact in reading.facts:
                if fact.kind in table.publish:
                    yield Sourced(fact, table.name, table.cluster or table.name, seen)

    async def _inherited(self, gathered: Gathered, owners: Owners) -> dict[Address | Prefix, Owner]:
        """Organization and contacts of the enclosing network object, where no rule tells them."""
        public = {a.name.text: a for a in await self._store.areas() if not a.audience}
        untold = [
            where
            for record in gathered.records.values()
            for where in ([record.prefix] if record.prefix else record.addresses)
            if not is_told(owners.of(where))
        ]
        lines: dict[int, Owner] = {}  # by row: many addresses lie in one network
        found: dict[Address | Prefix, Owner] = {}
        for where, entries in (await around(self._store, untold)).items():
            for entry in entries:
                if entry.area not in public or entry.class_name.lower() != "network":
                    continue
                if entry.row not in lines:
                    lines[entry.row] = await self._network_lines(entry.row, public[entry.area])
                if lines[entry.row]:
                    found[where] = lines[entry.row]
                    break
        return found

    async def _network_lines(self, row: int, area: AuthorityArea) -> Owner:
        """What everybody reads of the network: what is hidden there comes to light nowhere else."""
        for stored in await self._store.find_objects(row=row):
            obj = stored.object
            class_def = area.schema.class_def(obj.class_name)
            if class_def is not None and not obj.private and obj.source not in self._ours:
                if is_internal(obj, class_def, area):
                    return ()
                shown = [(a.name, value) for a, value in public_lines(obj, class_def, area)]
                return tuple(line for name in _INHERITED for line in shown if line[0] == name)
        return ()

    async def _unknown_contacts(self) -> list[Finding]:
        """Rules that name an organization or a contact that no object is."""
        named = {value for rule in self._table.owner for value in _named(rule) if value}
        return [
            Finding(
                str(self._inventory.path),
                0,
                f"[[owner]] names {name}, but no object has this ID; load it or mend the name",
            )
            for name in sorted(named)
            if not await self._store.find_objects(object_id=name, limit=1)
        ]


def _names_file(setting: str) -> bool:
    return setting == "mapping" or setting.endswith("-file")


def _named(rule: OwnerTable) -> tuple[str, ...]:
    """Everything that a rule names and that has to be an object."""
    contacts = (rule.tech_contact, rule.admin_contact, rule.abuse_contact, rule.noc_contact)
    return (rule.organization, *(name for some in contacts for name in some))


async def states(store: Store) -> list[SourceState]:
    """What is remembered of the sources, by name."""
    settings = await store.settings()
    return [
        SourceState.from_text(name.removeprefix(SOURCE_SETTING), text)
        for name, text in sorted(settings.items())
        if name.startswith(SOURCE_SETTING)
    ]
