"""Migrations go up and down, and what they make is what the code expects."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from rwhoisd.store import Store, StoreError, StoreOutdatedError, schema
from rwhoisd.store.engines import make_engine, parse_url, transaction
from tests.store.kit import AREA, area, attempt, network, objects


def test_the_migrated_tables_are_those_of_the_code(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            assert await store.schema_differences() == []
            assert await store.revision() == schema.head()

    asyncio.run(run())


def test_nodes_that_start_at_once_make_the_tables_once(url: str) -> None:
    """Two that find an empty database and make tables side by side disturb each other."""

    async def node() -> None:
        async with await Store.open(url, create=True, check=False) as store:
            await store.upgrade()
            assert await store.revision() == schema.head()

    async def run() -> None:
        await asyncio.gather(*(node() for _ in range(3)))
        async with await Store.open(url) as store:
            assert await store.schema_differences() == []

    asyncio.run(run())


def test_migrations_go_down_and_up_again(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await store.upgrade()
            await attempt(store, lambda c: c.put_area(area()), create=True)
            await store.upgrade()
            assert len(await store.areas()) == 1
            await store.downgrade("base")
            assert await store.revision() is None
            await store.upgrade()
            assert await store.schema_differences() == []
            assert await store.areas() == ()
            await attempt(
                store, lambda c: c.put_area(area()), lambda c: c.add(network(1)), create=True
            )
            assert await objects(store) == [network(1)]

    asyncio.run(run())


def test_every_revision_alone_goes_down_and_up(url: str) -> None:
    from alembic.script import ScriptDirectory

    known = [s.revision for s in ScriptDirectory.from_config(schema.config()).walk_revisions()]

    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            for revision in [*known[1:], "base"]:
                await store.downgrade(revision)
            for _ in range(2):
                await store.upgrade()
            assert await store.schema_differences() == []

    asyncio.run(run())


def test_a_store_of_another_release_is_not_touched(url: str) -> None:
    async def stamp(revision: str) -> None:
        engine = make_engine(parse_url(url))
        async with transaction(engine, change=True) as connection:
            await connection.exec_driver_sql(
                f"UPDATE {schema.VERSION_TABLE} SET version_num = '{revision}'"
            )
        await engine.dispose()

    async def run() -> None:
        async with await Store.open(url, create=True):
            pass
        await stamp("9999")
        for create in (False, True):
            with pytest.raises(StoreOutdatedError, match="newer release"):
                await Store.open(url, create=create)
        async with await Store.open(url, check=False) as store:
            with pytest.raises(StoreOutdatedError, match="9999"):
                await store.upgrade()

    asyncio.run(run())


def test_an_empty_database_wants_init(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()

    async def run() -> None:
        with pytest.raises(StoreOutdatedError, match="rwhois-admin init"):
            await Store.open(url)

    asyncio.run(run())


def test_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE object (x)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        asyncio.run(Store.open(str(path), create=True))
    with sqlite3.connect(path) as other:
        assert [n for (n,) in other.execute("SELECT name FROM sqlite_master")] == ["object"]
    other.close()


def test_the_area_name_decides(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await attempt(store, lambda c: c.put_area(area()), create=True)
            assert list(await store.serials()) == [AREA]

    asyncio.run(run())
