"""A database that cannot be used is told in one line that names the mend."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.store import Store, StoreError, StoreLockedError, StoreLostError
from rwhoisd.store.change import AreaChange
from tests.store.kit import AREA, area, attempt, network, objects, store_with


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an SQLite store may be."""
    return tmp_path / "store.db"


def refused(url: str, create: bool = False) -> StoreError:
    """The error of opening a store; it is one line."""
    with pytest.raises(StoreError) as caught:
        asyncio.run(Store.open(url, create=create))
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_missing_file(path: Path) -> None:
    assert "rwhois-admin init" in str(refused(str(path)))
    assert not path.exists()


def test_a_foreign_file(path: Path) -> None:
    path.write_bytes(b"something else " * 100)
    for create in (False, True):
        assert "no SQLite database" in str(refused(str(path), create))
    assert path.read_bytes() == b"something else " * 100


def test_a_torn_file(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)
    assert "no sound SQLite database" in str(refused(str(path), create=True))


def test_a_directory(tmp_path: Path) -> None:
    assert "cannot be opened" in str(refused(str(tmp_path)))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("oracle://x/y", "no support for oracle"),
        ("sqlite://", "file that several processes share"),
        ("sqlite:///:memory:", "file that several processes share"),
        ("://", "no database URL"),
        ("postgresql://host:port/name", "no database URL"),
    ],
)
def test_a_wrong_url(url: str, words: str) -> None:
    assert words in str(refused(url))


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    error = refused(f"postgresql://u:secret@/db?host={tmp_path}")
    assert isinstance(error, StoreLostError)
    assert "database server runs" in str(error)
    assert "secret" not in str(error)


def test_another_server_that_does_not_answer(tmp_path: Path) -> None:
    error = refused(f"mariadb://u:secret@localhost/db?unix_socket={tmp_path / 's'}")
    assert isinstance(error, StoreLostError)
    assert "secret" not in str(error)


def test_a_locked_file(path: Path) -> None:
    async def run() -> None:
        async with store_with(str(path)):
            pass
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            async with await Store.open(str(path), busy_seconds=0.05) as store:
                assert len(await store.areas()) == 1  # readers go on
                with pytest.raises(StoreLockedError, match="locked by another program"):
                    await attempt(store, lambda c: c.add(network(1)))
                holder.execute("ROLLBACK")
                await attempt(store, lambda c: c.add(network(1)))
        finally:
            holder.close()

    asyncio.run(run())


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    error = refused("postgresql://u:secret@localhost/db")
    assert "pip install 'rwhoisd[postgresql]'" in str(error)
    assert "secret" not in str(error)


def test_a_lock_is_waited_for_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    change = Store.change

    def counted(*args: Any, **options: Any) -> Any:
        tries.append(args)
        return change(*args, **options)

    async def nothing(_: AreaChange) -> None:
        pass

    async def run() -> None:
        async with store_with(str(path)):
            pass
        monkeypatch.setattr(Store, "change", counted)
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            async with await Store.open(str(path), busy_seconds=0.2) as store:
                with pytest.raises(StoreLockedError):
                    await store.run(AREA, nothing, author="a", source="s")

    asyncio.run(run())
    assert len(tries) == 1


def test_an_error_of_the_caller_stays_what_it_is(path: Path) -> None:
    async def run() -> None:
        async with store_with(str(path)) as (store, _):

            async def read(_: object) -> None:
                raise FileNotFoundError(2, "no such file", "data.txt")

            with pytest.raises(FileNotFoundError):
                await attempt(store, read)

    asyncio.run(run())


def test_a_lock_that_is_let_go_in_time_is_waited_for(path: Path) -> None:
    async def run() -> None:
        async with store_with(str(path)) as (store, _):
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(attempt(store, lambda c: c.add(network(1))))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            holder.execute("ROLLBACK")
            holder.close()
            await waiting
            assert await objects(store) == [network(1)]

    asyncio.run(run())


def test_a_full_disk_changes_nothing(path: Path) -> None:
    async def run() -> None:
        async with store_with(str(path), network(1)) as (store, _):
            async with store._reading() as connection:
                pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()
            async with store._engine.connect() as connection:
                await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(StoreError, match="no space left"):
                await attempt(store, *[_adder(number) for number in range(2, 500)])
            assert await objects(store) == [network(1)]

    asyncio.run(run())


def _adder(number: int):  # type: ignore[no-untyped-def]
    return lambda change: change.add(network(number))


def test_a_read_only_database(path: Path) -> None:
    async def run() -> None:
        async with store_with(str(path)) as (store, _):
            async with store._engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA query_only = ON")
            assert [a.name.text for a in await store.areas()] == [AREA]
            with pytest.raises(StoreError, match="read-only"):
                await attempt(store, lambda c: c.put_area(area("a.com")), name="a.com", create=True)

    asyncio.run(run())
