"""What the tests of the inventory's core share: facts, inventories, a plan without a store."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from ipaddress import ip_address, ip_network
from typing import Any

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.inventory.facts import (
    Block,
    DatabaseNode,
    Fact,
    Host,
    Place,
    RealServer,
    StorageNode,
    Vip,
    Where,
)
from rwhoisd.inventory.placing import Area, Owners, Placed, place
from rwhoisd.inventory.reconcile import Action, AreaPlan, Policy, reconcile, stamped
from rwhoisd.inventory.records import Gathered, Sourced, gather
from rwhoisd.inventory.settings import InventoryTable

TODAY = date(2026, 3, 1)
PUBLIC, INSIDE = "public.example.net", "inside.example.net"
AREAS: list[dict[str, Any]] = [
    {"name": PUBLIC},
    {"name": INSIDE, "answer-to": ["10.0.0.0/8", "fd00::/8"]},
]


def where(text: str | None) -> Where:
    """An address or a prefix of its text."""
    if text is None:
        return None
    return ip_network(text, strict=False) if "/" in text else ip_address(text)


def at(line: int = 1, file: str = "f") -> Place:
    return Place(file, line)


def vip(text: str | None, **fields: Any) -> Vip:
    return Vip(place=at(), where=where(text), **fields)


def rip(text: str | None, **fields: Any) -> RealServer:
    return RealServer(place=at(), where=where(text), **fields)


def node(name: str | None, text: str | None = None, **fields: Any) -> StorageNode:
    return StorageNode(place=at(), where=where(text), name=name, **fields)


def database(name: str | None, text: str | None = None, **fields: Any) -> DatabaseNode:
    return DatabaseNode(place=at(), where=where(text), name=name, **fields)


def host(name: str | None, text: str | None = None, *aliases: str) -> Host:
    return Host(place=at(), where=where(text), name=name, aliases=aliases)


def block(text: str, **fields: Any) -> Block:
    return Block(place=at(), where=where(text), **fields)


def told(facts: Iterable[Fact], source: str = "s", seen: date = TODAY) -> list[Sourced]:
    """Facts as a source gives them."""
    return [Sourced(fact, source, source, seen) for fact in facts]


def records(*facts: Fact | Sourced) -> Gathered:
    """The records of facts; those without a source are of the source ``s``."""
    return gather([f if isinstance(f, Sourced) else told([f])[0] for f in facts])


def table(**changes: Any) -> InventoryTable:
    """An inventory with a public area and one for insiders."""
    return InventoryTable.model_validate({"area": AREAS, **changes})


def placed(facts: Sequence[Fact | Sourced], inventory: InventoryTable | None = None) -> Placed:
    """The objects of the areas of an inventory."""
    inventory = inventory or table()
    return place(records(*facts), inventory, Owners(inventory.owner))


def objects(made: Placed, area: str) -> list[Object]:
    return [one.object for one in made.wanted[area]]


class Shelf:
    """What is stored of one area, without a store: steps are taken as ``publish`` takes them."""

    def __init__(self, inventory: InventoryTable | None = None, area: str = INSIDE) -> None:
        self.inventory = inventory or table()
        self.area = area
        made = next(Area.of(a) for a in self.inventory.area if a.name == area)
        self.definition: AuthorityArea = made.definition()
        self.stored: dict[int, StoredObject] = {}
        self._rows = 0

    def put(self, obj: Object) -> None:
        self._rows += 1
        self.stored[self._rows] = StoredObject(self._rows, self._rows, obj)

    def plan(
        self, facts: Sequence[Fact | Sourced], *, held: Iterable[str] = (), **policy: Any
    ) -> AreaPlan:
        """The plan for these facts; the facts of held sources count for nothing."""
        away = frozenset(held)
        facts = [f for f in facts if not (isinstance(f, Sourced) and f.source in away)]
        fields: dict[str, Any] = {"ours": frozenset("stu"), "held": away, "today": TODAY} | policy
        wanted = placed(facts, self.inventory).wanted[self.area]
        return reconcile(
            self.area, wanted, self.stored.values(), self.definition.schema, Policy(**fields)
        )

    def apply(self, facts: Sequence[Fact | Sourced], **policy: Any) -> AreaPlan:
        """Take the steps of the plan."""
        plan = self.plan(facts, **policy)
        for step in plan.steps:
            if step.before is None:
                assert step.after is not None
                self.put(stamped(step.after, "20260301000000000", None))
            elif step.after is None:
                del self.stored[step.before.row]
            else:
                after = stamped(step.after, "20260301000000000", step.before.object)
                self.stored[step.before.row] = replace(step.before, object=after)
        return plan

    def objects(self) -> dict[str, Object]:
        """By ID."""
        found = {one.object.id or "": one.object for one in self.stored.values()}
        assert len(found) == len(self.stored), "an ID is given twice"
        return found


def counts(plan: AreaPlan) -> tuple[int, int, int, int]:
    """Added, changed, released, removed."""
    added, changed, released, removed = (plan.count(action) for action in Action)
    return added, changed, released, removed
