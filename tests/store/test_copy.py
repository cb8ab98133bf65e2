"""A copy of a store in another database is the same directory, history and all, or none."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.objects import Object
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.verify import verify
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from rwhoisd.store import Store, StoreError, StoreOutdatedError, copy_store
from rwhoisd.store.engines import make_engine, parse_url, transaction
from rwhoisd.store.tables import metadata
from tests.store.conftest import database_name
from tests.store.kit import AREA, area, attempt, network, organization, replay, store_with, stored
from tests.unit.service_kit import Talk, settings
from tests.wire.process import until

ENGINES = ("sqlite", "postgresql", "mariadb")
OTHER = "a.com"
LONG = "x" * 70_000  # longer than a plain TEXT or BLOB of MariaDB
GONE = "gone.example"
MANY = 6_000  # objects, which takes a copy a while
ADMIN = (sys.executable, "-c", "from rwhoisd.admin.cli import main; main()")


def new_url(request: pytest.FixtureRequest, engine: str, folder: Path) -> str:
    if engine == "sqlite":
        return f"sqlite:///{folder / database_name()}.db"
    made: str = request.getfixturevalue(f"make_{engine}")(database_name())
    return made


@pytest.fixture(params=[(a, b) for a in ENGINES for b in ENGINES], ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """URLs of two empty databases, for each pair of engines."""
    one, other = request.param
    return new_url(request, one, tmp_path), new_url(request, other, tmp_path)


@pytest.fixture(params=ENGINES)
def engine_pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """An SQLite store and a database of each engine to copy it to."""
    return new_url(request, "sqlite", tmp_path), new_url(request, request.param, tmp_path)


async def fill(url: str) -> None:
    """A directory with a bit of everything that is hard to keep."""
    odd = (("Comment", "NUL \0, ümläut, 漢字 \U0001f600, ' \" \\ %s :x"), ("comment", ""))
    async with await Store.open(url, create=True) as store:
        await attempt(store, lambda c: c.put_area(area(GONE)), name=GONE, create=True)
        lost = Object(GONE, "organization", (("ID", f"1.{GONE}"), ("Org-Name", "lost")))
        await attempt(store, lambda c: c.add(lost), name=GONE)
        async with store.change(AREA, author="me\0", source="zone", create=True) as change:
            await change.put_area(area(position=7))
            rows = [(await change.add(network(n, *odd))).row for n in range(5)]
            await change.add(organization(1))
            await change.add(network(7, ("Comment", LONG)))
            await change.add(network(7, ("Comment", "a double")), unique=False)
        await attempt(
            store,
            lambda c: c.modify(rows[0], network(0, ("IP-Network", "2001:db8::/32"))),
            lambda c: c.delete(rows[1]),
        )
        await attempt(
            store,
            lambda c: c.put_area(area(OTHER, charset="latin-1", position=1)),
            name=OTHER,
            create=True,
        )
        await store.set_setting("odd", "ü \U0001f600 '\n")
        await store.add_slave(AREA, HostPort("198.51.100.1", 4321))
        for number in range(3):
            await store.record_notice("kind", f"notice {number} \0", "192.0.2.1")
        # The last area number that was given belongs to an area that is gone.
        async with store.change("10.1.0.0/16", author="a", source="s", create=True) as change:
            await change.put_area(area("10.1.0.0/16"))
            await change.add(Object("10.1.0.0/16", "organization", (("ID", "1.10.1.0.0/16"),)))
        for name in ("10.1.0.0/16", GONE):
            await attempt(store, lambda c: c.delete_area(), name=name)


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[AsyncConnection]:
    engine = make_engine(parse_url(url))
    try:
        async with transaction(engine, change=False) as opened:
            yield opened
    finally:
        await engine.dispose()


async def all_rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a database, in an order that hangs on no engine."""
    async with connection(url) as opened:
        return {
            table.name: sorted(map(tuple, await opened.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


async def same_answers(one: str, other: str, folder: Path) -> None:
    """The image of each is an image of the other, byte for byte."""
    images = []
    for number, url in enumerate((one, other)):
        images.append(folder / f"image{number}")
        async with await Store.open(url) as store, store.snapshot() as source:
            await build(source, images[-1], b"\r\n")
    for url, image in zip((other, one), images, strict=True):
        async with await Store.open(url) as store, store.snapshot() as source:
            assert await verify(source, image) is None
            assert not await catch_up(source, image)
    records = [sorted(image.glob("**/records.*")) for image in images]
    assert [p.name for p in records[0]] == [p.name for p in records[1]] != []
    assert [p.read_bytes() for p in records[0]] == [p.read_bytes() for p in records[1]]
    transfer, other_transfer = (transferred(image) for image in images)
    assert transfer == other_transfer
    assert len(transfer) > 20


def transferred(image: Path) -> list[str]:
    """What a slave gets of the area."""
    with contextlib.closing(ImageReader(image)) as reader:
        return Talk(Service(reader, settings("rfc"), Ports())).say(f"-xfer {AREA}")


def test_a_copy_is_the_same_directory(pair: tuple[str, str], tmp_path: Path) -> None:
    one, other = pair

    async def run() -> None:
        await fill(one)
        done = await copy_store(one, other)
        before, after = await all_rows(one), await all_rows(other)
        assert after == before
        assert done.rows == {name: len(rows) for name, rows in before.items()}
        assert min(done.rows.values()) > 0  # every table had something
        await same_answers(one, other, tmp_path)
        async with await Store.open(one) as first, await Store.open(other) as second:
            assert await second.journal() == await first.journal()
            told = await second.journal(AREA)
            assert replay(told) == {s.row: s for s in await stored(second)}
            assert await second.notices() == await first.notices()
            assert await second.slaves(AREA) == await first.slaves(AREA)
            assert await second.schema_differences() == []

    asyncio.run(run())


def test_the_copy_goes_on_where_the_other_was(pair: tuple[str, str]) -> None:
    one, other = pair
    name = "b.example"

    async def go_on(url: str) -> list[int]:
        async with await Store.open(url) as store:
            async with store.change(name, author="a", source="s", create=True) as change:
                await change.put_area(area(name))
                obj = Object(name, "organization", (("ID", f"1.{name}"),))
                rows = [(await change.add(obj)).row]
            async with store.change(AREA, author="a", source="s") as change:
                rows.append((await change.add(network(99))).row)
            await store.record_notice("kind", "later", "192.0.2.1")
            assert (await store.notices(1))[0].text == "later"
            # No row is one of another object, gone ones included.
            for row in rows:
                assert len(await store.journal(row=row)) == 1
        return rows

    async def run() -> None:
        await fill(one)
        await copy_store(one, other)
        assert await go_on(other) == await go_on(one)

    asyncio.run(run())


def texts_without(characters: str) -> st.SearchStrategy[str]:
    """What can be written in UTF-8, but for these characters."""
    any_character = st.characters(exclude_characters=characters, exclude_categories=["Cs"])
    return st.text(any_character, max_size=30)


ODD = texts_without("\r\n").map(lambda text: ("Comment", text))


@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(texts=st.lists(st.lists(ODD, max_size=3), max_size=5), setting=texts_without("\0"))
def test_any_text_comes_through(
    pair: tuple[str, str], texts: list[list[tuple[str, str]]], setting: str
) -> None:
    one, other = pair

    async def run() -> None:
        async with await Store.open(one, create=True) as store:
            async with store.change(AREA, author="a", source="s", create=True) as change:
                await change.put_area(area())
                for number, lines in enumerate(texts):
                    await change.add(network(number, *lines), unique=False)
            await store.set_setting("any", setting)
        await copy_store(one, other, replace=True)
        assert await all_rows(other) == await all_rows(one)
        async with await Store.open(one) as store:
            await attempt(store, lambda c: c.delete_area())

    asyncio.run(run())


def test_a_store_in_use_is_copied_as_it_was_at_one_moment(pair: tuple[str, str]) -> None:
    one, other = pair

    async def run() -> None:
        await fill(one)
        before = await all_rows(one)
        calls: list[str] = []
        async with await Store.open(one) as store:
            tasks: list[asyncio.Task[None]] = []

            def progress(what: str, done: int, total: int) -> None:
                calls.append(what)
                assert 0 < done <= total
                if len(tasks) < 5:
                    obj = network(50 + len(tasks))
                    tasks.append(asyncio.create_task(attempt(store, lambda c: c.add(obj))))

            await copy_store(one, other, progress=progress)
            await asyncio.gather(*tasks)
        assert await all_rows(other) == before
        assert set(calls) == {"copied", "compared"}
        assert await all_rows(one) != before

    asyncio.run(run())


def test_only_an_empty_target_is_taken_unless_it_may_be_replaced(
    engine_pair: tuple[str, str],
) -> None:
    one, other = engine_pair

    async def run() -> None:
        await fill(one)
        async with await Store.open(other, create=True) as store:
            await store.set_setting("mine", "1")
        with pytest.raises(StoreError, match=r"is not empty.*--replace"):
            await copy_store(one, other)
        async with await Store.open(other) as store:
            assert await store.settings() == {"mine": "1"}
        await copy_store(one, other, replace=True)
        assert await all_rows(other) == await all_rows(one)
        with pytest.raises(StoreError, match="is not empty"):
            await copy_store(one, other)

    asyncio.run(run())


class StopError(Exception):
    """Ends a copy in the middle."""


def test_an_interrupted_copy_is_refused_by_all_until_it_is_made_again(
    engine_pair: tuple[str, str],
) -> None:
    one, other = engine_pair

    def stop_at(word: str) -> Any:
        def progress(what: str, done: int, total: int) -> None:
            if what == word and done * 2 > total:
                raise StopError

        return progress

    async def refused() -> None:
        for create in (False, True):
            with pytest.raises(StoreOutdatedError, match=r"not finished.*--replace"):
                await Store.open(other, create=create)
        async with await Store.open(other, check=False) as store:
            with pytest.raises(StoreOutdatedError, match="not finished"):
                await store.upgrade()
        with pytest.raises(StoreOutdatedError, match=r"not finished.*--replace"):
            await copy_store(one, other)

    async def run() -> None:
        await fill(one)
        for word in ("copied", "compared"):
            with pytest.raises(StopError):
                await copy_store(one, other, replace=True, progress=stop_at(word))
            await refused()
        with pytest.raises(StoreOutdatedError, match="not finished"):
            await copy_store(other, one, replace=True)  # nobody copies from it either
        await copy_store(one, other, replace=True)
        assert await all_rows(other) == await all_rows(one)

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_database_is_not_copied_into_itself(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = new_url(request, engine, tmp_path)

    async def run() -> None:
        await fill(url)
        before = await all_rows(url)
        with pytest.raises(StoreError, match="to copy from"):
            await copy_store(url, url, replace=True)
        assert await all_rows(url) == before

    asyncio.run(run())


def test_what_arrives_changed_is_noticed(engine_pair: tuple[str, str]) -> None:
    one, other = engine_pair

    async def meddle() -> None:
        engine = make_engine(parse_url(other))
        async with transaction(engine, change=True) as writing:
            await writing.exec_driver_sql("UPDATE setting SET value = 'x'")
        await engine.dispose()

    def progress(what: str, done: int, total: int) -> None:
        if what == "copied" and done == total:
            thread = threading.Thread(target=asyncio.run, args=(meddle(),))
            thread.start()
            thread.join()

    async def run() -> None:
        await fill(one)
        with pytest.raises(StoreError, match="table setting is not what was copied"):
            await copy_store(one, other, progress=progress)
        with pytest.raises(StoreOutdatedError, match="not finished"):
            await Store.open(other)

    asyncio.run(run())


def test_a_killed_copy_is_refused(engine_pair: tuple[str, str]) -> None:
    one, other = engine_pair

    async def fill_much() -> None:
        async with store_with(one, *map(network, range(MANY))):
            pass

    async def revision() -> str | None:
        try:
            async with await Store.open(other, check=False) as store:
                return await store.revision()
        except StoreError:  # there is no file yet
            return None

    def is_marked() -> bool:
        return (asyncio.run(revision()) or "").startswith("copying:")

    asyncio.run(fill_much())
    command = [*ADMIN, "db", "copy", one, other]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(is_marked, 60)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(StoreOutdatedError, match="not finished"):
        asyncio.run(Store.open(other))
    done = subprocess.run([*command, "--replace"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"object: {MANY}\n" in done.stdout
    assert asyncio.run(all_rows(other)) == asyncio.run(all_rows(one))
