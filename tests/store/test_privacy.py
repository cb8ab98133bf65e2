"""Privacy profiles are kept, on every engine, and no older release may show what they hide."""

import asyncio
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.schema import Schema
from rwhoisd.formats import arin
from rwhoisd.formats.load import Options, import_installation, load_zones
from rwhoisd.formats.zone import Zone
from rwhoisd.store import Store, StoreOutdatedError
from tests.arin_tree import lay
from tests.store.kit import AREA, area, attempt, network, objects


def of_class(where: AuthorityArea) -> AuthorityArea:
    """The same with a profile on its first class."""
    first, *others = where.schema.classes
    return replace(where, schema=Schema((replace(first, privacy="residential"), *others)))


BY_AREA = area(privacy="residential", operator="Example ISP")
BY_CLASS = of_class(area())
INTERNAL = area(internal_to=("10.0.0.0/8", "2001:db8::/32"))
BY_PROFILE = area(privacy="internal")
GUARDED = replace(
    area(), schema=Schema(tuple(replace(c, guardians=("G.1",)) for c in area().schema.classes))
)


def test_profiles_are_kept_and_changed_by_a_change(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            serials = []
            for wanted in (
                BY_AREA,
                area(),
                INTERNAL,
                BY_PROFILE,
                GUARDED,
                BY_CLASS,
                of_class(BY_AREA),
            ):
                await attempt(store, methodcaller("put_area", wanted), create=True)
                (kept,) = await store.areas()
                assert (kept.privacy, kept.operator) == (wanted.privacy, wanted.operator)
                assert kept.schema == wanted.schema
                assert kept.internal_to == wanted.internal_to
                serials.append((await store.serials())[AREA])
            assert serials == sorted(set(serials))  # the image learns of it by the serial

    asyncio.run(run())


def test_a_store_of_the_second_schema_comes_up_public(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await attempt(
                store, lambda c: c.put_area(area()), lambda c: c.add(network(1)), create=True
            )
            before = await store.areas()
            await store.downgrade("0002")
            await store.upgrade()
            assert await store.schema_differences() == []
            assert await store.areas() == before
            assert (before[0].privacy, before[0].operator) == ("", "")
            assert await objects(store) == [network(1)]

    asyncio.run(run())


@pytest.mark.parametrize(
    "internal", [INTERNAL, BY_PROFILE, GUARDED], ids=["networks", "profile", "class"]
)
def test_the_schema_does_not_go_back_while_something_is_internal_or_a_class_guarded(
    url: str, internal: AuthorityArea
) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await attempt(store, lambda c: c.put_area(internal), create=True)
            with pytest.raises(StoreOutdatedError, match="remove it first"):
                await store.downgrade("0003")
            assert await store.schema_differences() == []
            await attempt(store, lambda c: c.put_area(area()))
            await store.downgrade("0003")

    asyncio.run(run())


@pytest.mark.parametrize("hiding", [BY_AREA, BY_CLASS], ids=["area", "class"])
def test_the_schema_does_not_go_back_while_a_profile_hides(url: str, hiding: AuthorityArea) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            await attempt(store, lambda c: c.put_area(hiding), create=True)
            with pytest.raises(StoreOutdatedError, match="has a privacy profile that hides"):
                await store.downgrade("0001")  # nor any step of it
            assert await store.schema_differences() == []
            assert (await store.areas())[0].schema == hiding.schema
            await attempt(store, lambda c: c.put_area(area()))
            await store.downgrade("0002")

    asyncio.run(run())


def test_a_zone_that_shows_customers_again_says_so(url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            for wanted, told in ((BY_CLASS, 0), (BY_AREA, 0), (area(), 1), (area(), 0)):
                (result,) = await load_zones(store, [Zone(wanted, (), tmp_path)], Options())
                assert len(result.findings) == told
                assert all("privacy profiles hide less" in f.message for f in result.findings)
                assert (await store.areas())[0].privacy == wanted.privacy

    asyncio.run(run())


def test_an_import_leaves_the_profiles_that_its_files_cannot_say(url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            installation = arin.read_installation(lay(tmp_path))
            await import_installation(store, installation)
            (imported,) = await store.areas()
            hiding = of_class(replace(imported, privacy="residential", operator="Example ISP"))
            await attempt(store, lambda c: c.put_area(hiding), name="a.com")
            (result,) = (await import_installation(store, installation)).areas
            assert (result.definition_changed, result.findings) == (False, [])
            (kept,) = await store.areas()
            assert (kept.privacy, kept.operator) == ("residential", "Example ISP")
            assert kept.schema == hiding.schema

    asyncio.run(run())
