"""The audience of an area is kept, on every engine, and no older release may open the area."""

import asyncio
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import pytest

from rwhoisd.formats import arin
from rwhoisd.formats.load import Options, import_installation, load_zones
from rwhoisd.formats.zone import Zone
from rwhoisd.store import Store, StoreOutdatedError
from tests.arin_tree import lay
from tests.store.kit import AREA, area, attempt, network, objects

AUDIENCE = ("10.0.0.0/8", "2001:db8::/32")
CLOSED = area(audience=AUDIENCE)


def test_an_audience_is_kept_and_changed_by_a_change(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            serials = []
            for wanted in (CLOSED, area(), area(audience=AUDIENCE[:1])):
                await attempt(store, methodcaller("put_area", wanted), create=True)
                (kept,) = await store.areas()
                assert kept.audience == wanted.audience
                serials.append((await store.serials())[AREA])
            assert serials == sorted(set(serials))  # the image learns of it by the serial

    asyncio.run(run())


def test_a_store_of_the_first_schema_comes_up_with_open_areas(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await attempt(
                store, lambda c: c.put_area(area()), lambda c: c.add(network(1)), create=True
            )
            before = await store.areas()
            await store.downgrade("0001")
            assert await store.revision() == "0001"
            await store.upgrade()
            assert await store.schema_differences() == []
            assert await store.areas() == before
            assert before[0].audience == ()
            assert await objects(store) == [network(1)]
            await attempt(store, lambda c: c.put_area(CLOSED))
            assert (await store.areas())[0].audience == AUDIENCE

    asyncio.run(run())


def test_the_schema_does_not_go_back_while_an_area_has_an_audience(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await attempt(store, lambda c: c.put_area(CLOSED), create=True)
            with pytest.raises(StoreOutdatedError, match=f"area {AREA} is answered to named"):
                await store.downgrade("0001")
            assert (await store.areas())[0].audience == AUDIENCE
            await attempt(store, lambda c: c.delete_area())
            await store.downgrade("0001")

    asyncio.run(run())


def test_a_zone_that_opens_an_area_says_so(url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            for wanted, told in ((CLOSED, 0), (CLOSED, 0), (area(), 1), (area(), 0), (CLOSED, 0)):
                (result,) = await load_zones(store, [Zone(wanted, (), tmp_path)], Options())
                assert len(result.findings) == told
                assert (await store.areas())[0].audience == wanted.audience

    asyncio.run(run())


def test_an_import_leaves_the_audience_that_its_files_cannot_say(url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            installation = arin.read_installation(lay(tmp_path))
            await import_installation(store, installation)
            (imported,) = await store.areas()
            closed = replace(imported, audience=AUDIENCE)
            await attempt(store, lambda c: c.put_area(closed), name="a.com")
            (result,) = (await import_installation(store, installation)).areas
            assert (result.definition_changed, result.findings) == (False, [])
            assert (await store.areas())[0].audience == AUDIENCE

    asyncio.run(run())
