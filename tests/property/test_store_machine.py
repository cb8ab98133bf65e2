"""The store against a plain dict: any order of changes, some of them broken off."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from rwhoisd.directory.changes import Operation, StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.store import AreaChange, Store
from tests.store.kit import AREA, Clock, area, objects, replay, stored

_T = TypeVar("_T")

# Every character but line ends; NUL, separators of Unicode and astral ones included.
TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["ID", "id", "Comment", "IP-Network", "Organization", "Updated"])
UNKNOWN = TEXT.filter(lambda name: ":" not in name)
VALUES = TEXT | st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", f"ORG-1.{AREA}", "1-2", ":"])
LINES = st.lists(st.tuples(NAMES | UNKNOWN, VALUES), max_size=6).map(tuple)
OBJECTS = st.builds(
    Object,
    area=st.just(AREA),
    class_name=st.sampled_from(["network", "organization"]),
    lines=LINES,
    source=st.sampled_from(["zone", "registration"]),
    indexed=st.booleans(),
    order=st.integers(0, 1 << 62),
)
SECONDS = st.sampled_from([0.0, 0.001, 5.0, -60.0])


class BrokenOffError(Exception):
    """Raised in the middle of a change."""


class StoreMachine(RuleBasedStateMachine):
    """Changes of one area; the model is a dict of what should be stored."""

    rows = Bundle("rows")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rwhoisd-machine-"))
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.model: dict[int, StoredObject] = {}
        self.serials: list[TimeStamp] = []
        self.definition = area()

    def wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(work)

    @initialize()
    def make(self) -> None:
        path = str(self.folder / "store.db")
        self.store = self.wait(Store.open(path, create=True, now=self.clock))
        self.change(lambda change: change.put_area(self.definition))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.wait(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def change(self, act: Callable[[AreaChange], Awaitable[_T]], broken: bool = False) -> _T:
        """What ``act`` gives in a change of its own, which may be broken off afterwards."""

        async def run() -> _T:
            given: list[_T] = []
            try:
                async with self.store.change(AREA, author="a", source="s", create=True) as change:
                    given.append(await act(change))
                    if broken:
                        await change.flush()
                        raise BrokenOffError
                if change.changed:
                    self.serials.append(change.serial)
            except BrokenOffError:
                pass
            return given[0]

        return self.wait(run())

    @rule(target=rows, given=st.lists(OBJECTS, max_size=4), seconds=SECONDS, broken=st.booleans())
    def add(self, given: list[Object], seconds: float, broken: bool) -> Any:
        self.clock.move(seconds)

        async def act(change: AreaChange) -> list[StoredObject]:
            return [await change.add(obj, unique=False) for obj in given]

        added = self.change(act, broken)
        if broken:
            return multiple()
        assert [one.object for one in added] == given
        self.model |= {one.row: one for one in added}
        return multiple(*(one.row for one in added))

    @rule(row=rows, given=OBJECTS, place=st.none() | st.integers(0, 9), broken=st.booleans())
    def modify(self, row: int, given: Object, place: int | None, broken: bool) -> None:
        async def act(change: AreaChange) -> StoredObject | None:
            await change.modify(row, given, place, unique=False)
            return await change.get(row)

        found = self.change(act, broken)
        assert found
        assert found.object == given
        old = self.model[row]
        if place is not None:
            assert found.position == place
        elif given.class_name == old.object.class_name:
            assert found.position == old.position
        if not broken:
            self.model[row] = found

    @rule(row=consumes(rows))
    def delete(self, row: int) -> None:
        self.change(lambda change: change.delete(row))
        del self.model[row]

    @rule(row=rows)
    def delete_broken_off(self, row: int) -> None:
        self.change(lambda change: change.delete(row), broken=True)

    @rule(host=st.sampled_from(["a", "b"]), position=st.integers(0, 2), broken=st.booleans())
    def put_area(self, host: str, position: int, broken: bool) -> None:
        wanted = area(soa=Soa("", primary_server=host), position=position)
        before = len(self.serials)
        self.change(lambda change: change.put_area(wanted, soa_serial=False), broken)
        if not broken:
            same = (self.definition.soa, self.definition.position) == (wanted.soa, position)
            assert len(self.serials) - before == (0 if same else 1)
            self.definition = wanted

    @invariant()
    def store_is_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.wait(stored(self.store))
        assert {one.row: one for one in found} == self.model
        order = {"network": 0, "organization": 1}
        assert found == sorted(found, key=lambda s: (order[s.object.class_name], s.position, s.row))

    @invariant()
    def journal_replays_to_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        told = self.wait(self.store.journal(AREA))
        assert replay(told) == self.model
        assert self.serials == sorted(set(self.serials))
        assert sorted({c.serial for c in told}) == self.serials
        for serial in self.serials:
            entries = [c for c in told if c.serial == serial]
            assert [c.ordinal for c in entries] == list(range(len(entries)))
            assert all((c.row == 0) == (c.operation is Operation.AREA) for c in entries)
        (now,) = self.wait(self.store.areas())
        assert now.soa
        assert now.soa.serial_number == self.serials[-1].text
        assert len(self.wait(objects(self.store))) == len(self.model)


StoreMachine.TestCase.settings = settings(
    deadline=None,
    max_examples=25,
    stateful_step_count=15,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStoreMachine = StoreMachine.TestCase
