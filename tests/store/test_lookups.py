"""SQLite finds a few objects by their rows and names, and never goes through a whole area."""

import asyncio
import re
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from rwhoisd.directory.soa import TimeStamp
from rwhoisd.store import Store
from tests.store.kit import AREA, area, network

COUNT = 40
# A scan, or a look-up by nothing but the area.
_SLOW = re.compile(
    r"SCAN (object|journal|network|reference)$"
    r"|SEARCH (object|journal|network|reference) .*\((area_id|area_key)=\?\)$"
)


class Plans:
    """How SQLite goes about what a store has it do."""

    def __init__(self, store: Store) -> None:
        self._engine = store._engine
        self._seen: dict[str, Any] = {}
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, *told: Any) -> None:
        _, _, statement, parameters, _, many = told
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            self._seen[statement] = parameters[0] if many else parameters

    async def slow(self) -> list[str]:
        """Statements since the last time that go through all of a table or an area."""
        seen, self._seen = self._seen, {}
        assert seen
        found = []
        async with self._engine.connect() as connection:
            for statement, parameters in seen.items():
                explained = await connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {statement}", tuple(parameters)
                )
                for row in explained:
                    if _SLOW.search(row.detail):
                        found.append(f"{row.detail}: {' '.join(statement.split())}")
        self._seen = {}
        return found


def test_a_few_objects_are_not_looked_for_among_all(tmp_path: Path) -> None:
    async def work() -> None:
        async with await Store.open(str(tmp_path / "s.sqlite"), create=True) as store:
            async with store.change(AREA, author="t", source="t", create=True) as change:
                await change.put_area(area())
                rows = [(await change.add(network(n))).row for n in range(COUNT)]
            plans = Plans(store)
            async with store.change(AREA, author="t", source="t") as change:
                for number, row in enumerate(rows[:20]):
                    await change.modify(row, network(number, ("Comment", "new")))
                await change.flush()
                for row in rows[20:]:
                    await change.delete(row)
                await change.flush()
                assert await change.find(f"NET-1.{AREA}")
                assert await change.get(rows[1])
                assert await change.key_taken(network(2))
                await change.add(network(COUNT))
            assert await store.find_objects(AREA, object_id=f"NET-1.{AREA}")
            assert await store.find_objects(AREA, "network", row=rows[1])
            assert await store.find_objects(object_id=f"NET-1.{AREA}")
            assert len(await store.journal(AREA, row=rows[1])) == 2
            assert len(await store.journal(AREA, object_id=f"NET-1.{AREA}")) == 2
            assert await store.journal(AREA, after=TimeStamp("0" * 17), limit=5)
            async with store.snapshot() as source:
                serials = await source.serials()
                assert [c async for c in source.changes(AREA, TimeStamp("0" * 17))]
                assert serials
            assert await plans.slow() == []
            async with store._reading() as connection:  # what it would look like
                await connection.execute(text("SELECT * FROM object WHERE area_id = 1"))
            (slow,) = await plans.slow()
            assert "area_id" in slow

    asyncio.run(work())
