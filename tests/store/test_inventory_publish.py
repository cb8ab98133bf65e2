"""Publishing an inventory into a real store: once, carefully, and only what is its own."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Operation
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory.publish import Outcome, Publisher
from rwhoisd.inventory.reconcile import Action
from rwhoisd.inventory.settings import read_inventory
from rwhoisd.inventory.survey import Options, states
from rwhoisd.store import Store
from tests.store.kit import everything

Work = Callable[["Platform", Store], Awaitable[None]]
PUBLIC, INSIDE = "public.example.net", "inside.example.net"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AREAS = (
    f'[[area]]\nname = "{PUBLIC}"\nprimary-server = "rwhois.example.net:4321"\n'
    f'hostmaster = "h@example.net"\n[[area]]\nname = "{INSIDE}"\nanswer-to = ["10.0.0.0/8"]\n'
    'primary-server = "rwhois.example.net:4321"\nhostmaster = "h@example.net"\n'
)


class Platform:
    """Keepalived files and an inventory of them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "inventory.toml"
        self.folder = folder
        self.seconds = NOW.timestamp() - 60

    def write(self, name: str, vips: Iterable[str], more: str = "") -> Path:
        """The addresses that a source has."""
        path = self.folder / f"{name}.conf"
        inner = "".join(f"  {text}\n" for text in vips)
        path.write_text(f"vrrp_instance {name} {{\n virtual_ipaddress {{\n{inner} }}\n}}\n{more}")
        os.utime(path, (self.seconds, self.seconds))
        return path

    def describe(self, *sources: str, areas: str = AREAS, top: str = "", more: str = "") -> None:
        """The inventory with these sources."""
        tables = "".join(
            f'[[source]]\nname = "{name}"\nkind = "keepalived"\nfiles = ["{name}.conf"]\n{more}'
            for name in sources
        )
        self.path.write_text(top + tables + areas)

    def publisher(self, store: Store, *, days: float = 0, **options: object) -> Publisher:
        now = NOW + timedelta(days=days)
        made = replace(Options(now=lambda: now), **options)  # type: ignore[arg-type]
        return Publisher(store, read_inventory(self.path), made)

    async def apply(self, store: Store, **options: object) -> Outcome:
        return await self.publisher(store, **options).apply()  # type: ignore[arg-type]


@pytest.fixture
def go(url: str, tmp_path: Path) -> Callable[[Work], None]:
    """Runs a test's work with a platform and an empty store."""

    def run(work: Work) -> None:
        async def main() -> None:
            (tmp_path / "p").mkdir()
            async with await Store.open(url, create=True) as store:
                await work(Platform(tmp_path / "p"), store)

        asyncio.run(main())

    return run


def counts(outcome: Outcome) -> dict[str, tuple[int, ...]]:
    """By area: added, changed, released, removed."""
    return {plan.area: tuple(plan.count(a) for a in Action) for plan in outcome.areas}


async def vips(store: Store, area: str = PUBLIC) -> dict[str, str]:
    """Status by address, of all objects of an area."""
    async with store.snapshot() as source:
        found = await everything(source, area)
    return {o.object.get("IP-Address") or "": o.object.get("Status") or "" for o in found}


async def serials(store: Store) -> Mapping[str, str]:
    return {area: serial.text for area, serial in (await store.serials()).items()}


def test_a_second_apply_changes_nothing_and_moves_no_serial(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1", "192.0.2.2", "10.0.0.1"])
        first = await platform.apply(store)
        assert first.clean
        assert counts(first) == {PUBLIC: (2, 0, 0, 0), INSIDE: (3, 0, 0, 0)}
        before = await serials(store), {a: await store.journal(a) for a in (PUBLIC, INSIDE)}
        for days in (0, 1, 100):
            again = await platform.apply(store, days=days)
            assert (again.touches, again.clean) == (0, True)
            after = await serials(store), {a: await store.journal(a) for a in (PUBLIC, INSIDE)}
            assert after == before

    go(work)


def test_an_area_has_one_serial_and_a_whole_journal_for_each_apply(
    go: Callable[[Work], None],
) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        await platform.apply(store)
        before = await serials(store)
        platform.write("edge", ["192.0.2.1", "192.0.2.3", "192.0.2.4"], "vrrp_instance x {\n}\n")
        outcome = await platform.apply(store)
        assert counts(outcome)[PUBLIC] == (1, 0, 1, 0)
        changes = [c for c in await store.journal(PUBLIC) if c.serial.text > before[PUBLIC]]
        assert {change.serial.text for change in changes} == {(await serials(store))[PUBLIC]}
        assert {(c.author, c.source) for c in changes} == {("inventory", "inventory")}
        kinds = [c.operation for c in changes if c.operation is not Operation.AREA]
        assert sorted(k.value for k in kinds) == sorted(
            [Operation.ADD.value, Operation.MODIFY.value]
        )

    go(work)


def test_a_plan_writes_nothing(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        outcome = await platform.publisher(store).plan()
        assert counts(outcome)[PUBLIC] == (1, 0, 0, 0)
        assert await store.areas() == ()
        assert await store.settings() == {}

    go(work)


def test_what_is_gone_is_released_then_removed_and_may_return(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge", top="release-days = 5\n")
        platform.write("edge", ["192.0.2.1", "192.0.2.2"])
        await platform.apply(store)
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store)
        assert await vips(store) == {"192.0.2.1": "active", "192.0.2.2": "released"}
        assert (await platform.apply(store, days=4)).touches == 0
        platform.write("edge", ["192.0.2.1", "192.0.2.2"])
        await platform.apply(store, days=4)
        assert await vips(store) == {"192.0.2.1": "active", "192.0.2.2": "active"}
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store, days=6)
        assert (await platform.apply(store, days=10)).touches == 0
        outcome = await platform.apply(store, days=11)
        assert counts(outcome)[PUBLIC] == (0, 0, 0, 1)
        assert await vips(store) == {"192.0.2.1": "active"}
        platform.write("edge", ["192.0.2.1", "192.0.2.2"])
        again = await platform.apply(store, days=12)  # our own deletion is no conflict
        assert (counts(again)[PUBLIC], again.clean) == ((1, 0, 0, 0), True)

    go(work)


MANY = [f"192.0.2.{number}" for number in range(1, 41)]


@pytest.mark.parametrize("how", ["empty", "missing", "folder", "half", "stale"])
def test_a_source_that_is_not_to_be_trusted_changes_nothing(
    go: Callable[[Work], None], how: str
) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge", "west", more="max-age-hours = 48\n")
        path = platform.write("edge", MANY)
        platform.write("west", ["192.0.2.100"])
        await platform.apply(store)
        before = await vips(store)
        platform.write("west", ["192.0.2.100", "192.0.2.101"])
        match how:
            case "empty":
                path.write_text("")
            case "missing":
                path.unlink()
            case "folder":
                path.unlink()
                path.mkdir()
            case "half":
                platform.write("edge", MANY[:20])
            case "stale":
                old = NOW.timestamp() - 72 * 3600
                platform.write("edge", [])
                os.utime(path, (old, old))
        outcome = await platform.apply(store)
        (edge, west) = outcome.sources
        assert edge.held
        assert not west.held
        assert not outcome.clean
        assert await vips(store) == before | {"192.0.2.101": "active"}
        held = {s.name: s.held for s in await states(store)}
        assert held == {"edge": edge.held, "west": ""}

    go(work)


def test_how_much_may_go_is_settable(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", MANY)
        await platform.apply(store)
        platform.write("edge", MANY[:20])
        refused = await platform.apply(store, max_removals=0.2)
        assert (
            "20 of its 40" in refused.sources[0].held or "40 of its 80" in refused.sources[0].held
        )
        assert (await platform.apply(store, max_removals=0.5)).clean
        assert list((await vips(store)).values()).count("released") == 20
        platform.write("edge", [])
        assert not (await platform.apply(store, max_removals=0.99)).clean
        assert (await platform.apply(store, max_removals=1.0)).clean
        assert set((await vips(store)).values()) == {"released"}

    go(work)


def test_two_sources_of_one_record_and_one_of_them_fails(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge", "west")
        platform.write("edge", ["192.0.2.1"])
        path = platform.write("west", ["192.0.2.1"])
        await platform.apply(store)
        path.unlink()
        platform.write("edge", ["192.0.2.2"])
        await platform.apply(store)
        assert await vips(store) == {"192.0.2.1": "active", "192.0.2.2": "active"}

    go(work)


def other(local: str, where: str, source: str = "registration", area: str = PUBLIC) -> Object:
    lines = (("ID", f"{local}.{area}"), ("IP-Address", where))
    return Object(area, "vip", lines, source=source)


def test_an_object_of_another_source_is_never_touched(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge", "west")
        platform.write("edge", ["192.0.2.1"])
        platform.write("west", ["192.0.2.7"])
        await platform.apply(store)
        mine = [
            other("VIP-192-0-2-2", "192.0.2.99"),
            other("MINE", "192.0.2.3"),
            other("ZONE", "192.0.2.4", "zone"),
            other("ELSE", "192.0.2.5", "somebody"),
        ]
        async with store.change(PUBLIC, author="a", source="registration") as change:
            for obj in mine:
                await change.add(obj)
        platform.write("edge", ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        for days in (0, 100, 200):
            outcome = await platform.apply(store, days=days)
            assert len(outcome.areas[0].conflicts) == 2
            assert not outcome.clean
        found = [one.object for one in await store.find_objects(PUBLIC)]
        assert {o.id for o in mine} <= {o.id for o in found}
        for obj in mine:
            (there,) = [one for one in found if one.id == obj.id]
            assert (there.lines, there.source) == (obj.lines, obj.source)

    go(work)


def test_what_somebody_deleted_stays_deleted(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1", "192.0.2.2"])
        await platform.apply(store)
        async with store.change(PUBLIC, author="ann", source="rwhois-admin") as change:
            (found,) = await change.find(f"VIP-192-0-2-1.{PUBLIC}")
            await change.delete(found.row)
        outcome = await platform.apply(store)
        (clash,) = outcome.areas[0].conflicts
        assert str(clash).endswith("was deleted by ann and is left so")
        assert await vips(store) == {"192.0.2.2": "active"}

    go(work)


def test_a_retired_source_is_released_and_in_time_removed(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge", "west")
        platform.write("edge", ["192.0.2.1"])
        platform.write("west", MANY[1:])
        await platform.apply(store)
        platform.describe("edge")
        assert (await platform.apply(store)).touches == 0  # gone from the file: nothing happens
        outcome = await platform.apply(store, retire=frozenset({"west"}))
        assert counts(outcome)[PUBLIC] == (0, 0, 39, 0)
        assert [s.name for s in await states(store)] == ["edge"]
        assert (await platform.apply(store, days=29)).touches == 0
        outcome = await platform.apply(store, days=30)
        assert counts(outcome)[PUBLIC] == (0, 0, 0, 39)
        assert await vips(store) == {"192.0.2.1": "active"}
        settings = await store.settings()
        assert "west" not in str(settings)

    go(work)


@pytest.mark.parametrize("name", ["zone", "registration", "edge", "nobody", ""])
def test_only_a_source_of_the_inventory_is_retired(go: Callable[[Work], None], name: str) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store)
        async with store.change(PUBLIC, author="a", source="zone") as change:
            await change.add(other("ZONE", "192.0.2.4", "zone"))
        with pytest.raises(FormatError, match=r"inventory\.toml"):
            await platform.apply(store, retire=frozenset({name}))
        assert await vips(store) == {"192.0.2.1": "active", "192.0.2.4": ""}

    go(work)


def test_one_source_alone_leaves_the_others_as_they_are(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge", "west")
        platform.write("edge", ["192.0.2.1"])
        platform.write("west", ["192.0.2.2"])
        await platform.apply(store)
        before = {s.name: s for s in await states(store)}
        platform.write("edge", ["192.0.2.1", "192.0.2.3"])
        platform.write("west", [])
        outcome = await platform.apply(store, days=1, only=frozenset({"edge"}))
        assert outcome.clean
        assert set(await vips(store)) == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
        after = {s.name: s for s in await states(store)}
        assert after["west"] == before["west"]
        assert after["edge"] != before["edge"]
        with pytest.raises(FormatError, match="has no source 'nowhere'; it has edge, west"):
            await platform.apply(store, only=frozenset({"nowhere"}))

    go(work)


# --- areas ---


def foreign_area(*classes: str, audience: tuple[str, ...] = ()) -> AuthorityArea:
    schema = Schema(tuple(shipped(name) for name in classes))
    return AuthorityArea(AreaName.from_text(PUBLIC), Soa(""), schema, audience=audience)


async def put(store: Store, area: AuthorityArea) -> None:
    async with store.change(area.name.text, author="a", source="zone", create=True) as change:
        await change.put_area(area)


def test_an_area_is_made_with_its_classes_and_audience(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store)
        public, inside = await store.areas()
        assert (public.audience, inside.audience) == ((), ("10.0.0.0/8",))
        assert [c.name for c in public.schema.classes] == [
            "vip", "real-server", "storage-node", "database-node",
        ]  # fmt: skip
        assert public.soa is not None
        assert (public.soa.hostmaster, public.soa.primary_server) == (
            "h@example.net",
            "rwhois.example.net:4321",
        )
        assert public.position < inside.position

    go(work)


def test_an_area_of_the_inventory_follows_its_table(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        area = f'[[area]]\nname = "{PUBLIC}"\nkinds = ["vip"]\n'
        platform.describe("edge", areas=area)
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store)
        (first,) = await store.areas()
        async with store.change(PUBLIC, author="a", source="x") as change:
            await change.put_area(replace(first, guardians=("G-1.example.net",)))
        area = area.replace('["vip"]', '["vip", "network"]') + 'answer-to = ["10.0.0.0/8"]\n'
        platform.describe("edge", areas=area)
        assert (await platform.apply(store)).clean
        (then,) = await store.areas()
        assert [c.name for c in then.schema.classes] == ["vip", "network"]
        assert then.audience == ("10.0.0.0/8",)
        assert then.guardians == ("G-1.example.net",)
        platform.describe("edge", areas=area.replace('["vip", "network"]', '["vip"]'))
        assert (await platform.apply(store)).clean
        (last,) = await store.areas()
        assert {c.name for c in last.schema.classes} == {"vip", "network"}

    go(work)


@pytest.mark.parametrize(
    ("area", "told"),
    [
        (
            foreign_area("network", "vip"),
            "the area lacks the classes real-server, storage-node, database-node; add them",
        ),
        (
            foreign_area(
                "vip", "real-server", "storage-node", "database-node", audience=("10.0.0.0/8",)
            ),
            "the area answers to 10.0.0.0/8, the inventory says everybody; make them agree",
        ),
    ],
    ids=["classes", "audience"],
)
def test_an_area_of_another_that_does_not_fit_is_refused_and_the_others_go_on(
    go: Callable[[Work], None], area: AuthorityArea, told: str
) -> None:
    async def work(platform: Platform, store: Store) -> None:
        await put(store, area)
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        outcome = await platform.apply(store)
        assert list(outcome.refused) == [PUBLIC]
        assert outcome.refused[PUBLIC].startswith(told)
        assert not outcome.clean
        assert await vips(store) == {}
        assert await vips(store, INSIDE) == {"192.0.2.1": "active"}
        assert await store.area(PUBLIC) is not None
        (there,) = [a for a in await store.areas() if a.name.text == PUBLIC]
        assert there.schema == area.schema

    go(work)


def test_an_area_of_another_that_fits_is_used_and_not_redefined(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        kinds = ("network", "vip", "real-server", "storage-node", "database-node")
        await put(store, replace(foreign_area(*kinds), charset="iso-8859-1"))
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        assert (await platform.apply(store)).clean
        area = await store.area(PUBLIC)
        assert area is not None
        assert area.charset == "iso-8859-1"
        assert [c.name for c in area.schema.classes] == list(kinds)
        assert await vips(store) == {"192.0.2.1": "active"}

    go(work)


def test_an_area_that_cannot_be_written_leaves_the_others(go: Callable[[Work], None]) -> None:
    async def work(platform: Platform, store: Store) -> None:
        vip = shipped("vip")
        keyed = tuple(
            replace(a, primary=a.name == "Cluster", required=a.name == "Cluster")
            for a in vip.own_attributes
        )
        twice = replace(vip, own_attributes=keyed)  # two addresses of a cluster have one key
        rest = foreign_area("real-server", "storage-node", "database-node")
        await put(store, replace(rest, schema=Schema((twice, *rest.schema.classes))))
        before = await serials(store)
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1", "192.0.2.2"])
        outcome = await platform.apply(store)
        assert list(outcome.refused) == [PUBLIC]
        assert outcome.refused[PUBLIC].startswith("324 ")
        assert await vips(store) == {}
        assert (await serials(store))[PUBLIC] == before[PUBLIC]
        assert set(await vips(store, INSIDE)) == {"192.0.2.1", "192.0.2.2"}

    go(work)


def test_records_of_an_area_that_left_the_inventory_are_released(
    go: Callable[[Work], None],
) -> None:
    async def work(platform: Platform, store: Store) -> None:
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store)
        platform.describe("edge", areas=f'[[area]]\nname = "{PUBLIC}"\n')
        assert (await platform.apply(store)).clean
        assert await vips(store, INSIDE) == {"192.0.2.1": "released"}

    go(work)


@pytest.mark.parametrize("name", ["a\nOrganization: EVIL\r\n\nID: x", "\ud800", "\x00", "\u2028"])
def test_text_of_a_source_is_one_line_whatever_it_holds(
    go: Callable[[Work], None], name: str
) -> None:
    async def work(platform: Platform, store: Store) -> None:
        rows = [{"n": name, "a": "192.0.2.1"}, {"n": "b", "a": "192.0.2.2"}]
        (platform.folder / "rows.json").write_text(json.dumps(rows))
        (platform.folder / "map.toml").write_text(
            '[[record]]\nconstant.kind = "vip"\ncolumn.address = "a"\ncolumn.name = "n"\n'
            'column.belongs-to = "n"\n'
        )
        platform.path.write_text(
            '[[source]]\nname = "rows"\nkind = "table"\nfiles = ["rows.json"]\n'
            '[source.settings]\nmapping = "map.toml"\n' + AREAS
        )
        outcome = await platform.apply(store)
        assert outcome.clean
        assert set(await vips(store)) == {"192.0.2.1", "192.0.2.2"}
        for one in await store.find_objects(PUBLIC):
            assert all(value.isprintable() for _, value in one.object.lines)
            assert one.object.get("Organization") is None

    go(work)


def test_what_a_network_hides_is_told_by_no_record_in_it(go: Callable[[Work], None]) -> None:
    """Owner and contacts come from the network around, as everybody reads it."""
    schema = shipped("network")
    hidden = replace(
        schema,
        own_attributes=tuple(
            replace(a, private=a.name == "Org-Name") for a in schema.own_attributes
        ),
    )
    name = "192.0.2.0/24"
    area = AuthorityArea(
        AreaName.from_text(name), Soa(""), Schema((hidden,)), guardians=(f"G.{name}",)
    )
    lines = (
        ("Network-Name", "N"),
        ("IP-Network", "192.0.2.0/25"),
        ("Org-Name", "Secret Customer"),
        ("Abuse-Contact", "A-1.example.net"),
    )

    async def work(platform: Platform, store: Store) -> None:
        await put(store, area)
        async with store.change(name, author="a", source="zone") as change:
            await change.add(Object(name, "network", lines))
        platform.describe("edge")
        platform.write("edge", ["192.0.2.1"])
        await platform.apply(store)
        async with store.snapshot() as source:
            (vip,) = await everything(source, PUBLIC)
        assert vip.object.values("Abuse-Contact") == ("A-1.example.net",)
        assert vip.object.get("Org-Name") is None

    go(work)
