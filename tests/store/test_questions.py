"""Questions about the directory: addresses, references, counts, history, small tables."""

import asyncio

import pytest

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AddressRange, Network
from rwhoisd.directory.objects import Object
from rwhoisd.store import Store
from rwhoisd.store import store as store_module
from tests.store.kit import AREA, area, attempt, network, organization, store_with


def block(name: str, *values: str, where: str = AREA) -> Object:
    """A network with these IP-Network values."""
    lines = [("ID", f"{name}.{where}"), ("Network-Name", name)]
    return Object(where, "network", (*lines, *(("IP-Network", value) for value in values)))


def net(text: str) -> Network:
    """The block written so."""
    found = Network.from_text(text)
    assert found
    return found


BLOCKS = [
    block("TEN", "10.0.0.0/8"),
    block("B", " 10.2.0.0/16 "),
    block("A", "10.1.0.0/16", "2001:db8::/32"),
    block("A1", "010.001.001.000/24"),
    block("TOP", "10.255.255.255"),
    block("SIX", "2001:db8:1::/48"),
    block("ZERO", "0.0.0.0/0"),
    block("RANGE", "10.2.0.5 - 10.2.0.9"),
    block("NONE", "no address"),
]


@pytest.mark.parametrize(
    ("outer", "names"),
    [
        ("10.0.0.0/8", ["TEN", "A", "A1", "B", "RANGE", "TOP"]),
        ("10.1.0.0/16", ["A", "A1"]),
        ("10.1.1.7", []),
        ("0.0.0.0/0", ["ZERO", "TEN", "A", "A1", "B", "RANGE", "TOP"]),
        ("2001:db8::/32", ["A", "SIX"]),
        ("0::/0", ["A", "SIX"]),
    ],
)
def test_networks_within_come_in_address_order(url: str, outer: str, names: list[str]) -> None:
    async def run() -> None:
        async with store_with(url, *BLOCKS) as (store, _):
            found = await store.networks_within(None, net(outer))
            assert [str(e.object_id).partition(".")[0] for e in found] == names
            assert [e.area for e in found] == [AREA] * len(names)
            assert await store.networks_within(AREA, net(outer), limit=1) == found[:1]
            await attempt(store, lambda c: c.put_area(area("a.com")), name="a.com", create=True)
            assert await store.networks_within("a.com", net(outer)) == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("inner", "names"),
    [
        ("10.1.1.7", ["A1", "A", "TEN", "ZERO"]),
        ("10.2.0.6", ["RANGE", "B", "TEN", "ZERO"]),
        ("10.2.0.0/24", ["B", "TEN", "ZERO"]),
        ("2001:db8:1:2::/64", ["SIX", "A"]),
        ("192.0.2.1", ["ZERO"]),
    ],
)
def test_networks_around_come_most_specific_first(url: str, inner: str, names: list[str]) -> None:
    async def run() -> None:
        async with store_with(url, *BLOCKS) as (store, _):
            found = await store.networks_around(AREA, net(inner))
            assert [str(e.object_id).partition(".")[0] for e in found] == names

    asyncio.run(run())


def test_a_network_entry_tells_where_it_comes_from(url: str) -> None:
    async def run() -> None:
        async with store_with(url, *BLOCKS) as (store, rows):
            (entry,) = await store.networks_within(None, net("2001:db8:1::/48"))
            assert (entry.row, entry.attribute, entry.class_name) == (
                rows[5],
                "IP-Network",
                "network",
            )
            assert entry.span == AddressRange.from_text("2001:db8:1::/48")

    asyncio.run(run())


def test_overlaps_are_equal_or_crossing_spans_of_two_objects(url: str) -> None:
    given = [
        block("OUTER", "10.0.0.0/8"),
        block("SAME", "10.1.0.0/16"),
        block("TWIN", "10.1.0.0/16", "10.1.0.0/16"),
        block("CROSS", "10.1.255.0 - 10.2.0.255"),
        block("INNER", "10.2.1.0/24"),
        block("V6", "::ffff:0:0/96", "0::a01:0/112"),
    ]

    async def run() -> None:
        async with store_with(url, *given) as (store, _):
            found = {
                (str(o.first.object_id)[:4], str(o.second.object_id)[:4], o.equal)
                for o in await store.overlaps(AREA)
            }
            assert found == {
                ("SAME", "TWIN", True),
                ("SAME", "CROS", False),
                ("TWIN", "CROS", False),
            }

    asyncio.run(run())


def test_areas_do_not_overlap_each_other(url: str) -> None:
    async def run() -> None:
        async with store_with(url, block("A", "10.1.0.0/16")) as (store, _):
            await attempt(
                store,
                lambda c: c.put_area(area("a.com")),
                lambda c: c.add(block("A", "10.1.0.0/16", where="a.com")),
                name="a.com",
                create=True,
            )
            assert await store.overlaps() == []
            assert len(await store.networks_within(None, net("10.1.0.0/16"))) == 2

    asyncio.run(run())


def test_references_are_found_from_both_ends(url: str) -> None:
    lost = network(3, ("Guardian", f"nobody.{AREA}"))

    async def run() -> None:
        async with store_with(url, organization(1), network(1), network(2), lost) as (store, rows):
            assert [r.row for r in await store.references_to(f" org-1.{AREA}")] == rows[1:]
            (dangling,) = await store.dangling_references()
            assert (dangling.row, dangling.attribute) == (rows[3], "Guardian")
            assert dangling.target == f"nobody.{AREA}"
            await attempt(store, lambda c: c.delete(rows[0]))
            assert len(await store.dangling_references(AREA)) == 4

    asyncio.run(run())


def test_objects_are_found_by_any_condition(url: str) -> None:
    async def run() -> None:
        given = [network(1, source="a"), network(2, source="b"), organization(1)]
        async with store_with(url, *given) as (store, rows):
            for conditions, expected in (
                ({"object_id": f"NET-1.{AREA}".lower()}, [0]),
                ({"class_name": "Network"}, [0, 1]),
                ({"source": "b"}, [1]),
                ({"row": rows[2]}, [2]),
                ({"area": AREA, "limit": 2}, [0, 1]),
                ({"area": "a.com"}, []),
            ):
                found = await store.find_objects(**conditions)
                assert [s.object for s in found] == [given[i] for i in expected]
                assert [s.row for s in found] == [rows[i] for i in expected]
            counts = [(c.class_name, c.source, c.objects) for c in await store.counts()]
            assert counts == [
                ("network", "a", 1),
                ("network", "b", 1),
                ("organization", "zone", 1),
            ]

    asyncio.run(run())


def test_the_history_of_an_id_follows_the_object_through_other_ids(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1), network(2)) as (store, (row, _)):
            await attempt(store, lambda c: c.modify(row, network(7)))
            await attempt(store, lambda c: c.delete(row))
            told = await store.journal(object_id=f"net-1.{AREA}")
            assert [c.operation.value for c in told] == ["add", "modify", "delete"]
            assert told == await store.journal(row=row)
            newest = await store.journal(AREA, limit=1, newest_first=True)
            assert newest == told[-1:]
            assert await store.journal(AREA, after=told[0].serial) == told[1:]

    asyncio.run(run())


def test_settings_are_kept_replaced_and_forgotten(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            for value in ("1", "2", "2"):
                await store.set_setting("a", value)
            await store.set_setting("b", "é")
            assert await store.settings() == {"a": "2", "b": "é"}
            await store.set_setting("a", None)
            assert await store.settings() == {"b": "é"}

    asyncio.run(run())


def test_slaves_of_the_definition_and_those_that_announced_themselves(url: str) -> None:
    defined, announced = HostPort("a.example"), HostPort("b.example", 1)

    async def run() -> None:
        async with store_with(url) as (store, _):
            assert await store.add_slave(AREA, announced)
            assert not await store.add_slave(AREA, announced)
            await attempt(store, lambda c: c.put_area(area(slaves=(defined,))))
            assert await store.slaves(AREA) == (defined, announced)
            assert not await store.remove_slave(AREA, defined)
            await attempt(store, lambda c: c.put_area(area(slaves=(announced,))))
            assert await store.slaves(AREA) == (announced,)
            assert [a.slaves for a in await store.areas()] == [(announced,)]
            with pytest.raises(RwhoisError):
                await store.add_slave("a.com", defined)

    asyncio.run(run())


def test_notices_of_peers_are_bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "NOTICES", 3)

    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            for number in range(5):
                await store.record_notice("badref", f"{number}\0" + "x" * 5_000, "192.0.2.1")
            kept = await store.notices(10)
            assert [n.text[0] for n in kept] == ["4", "3", "2"]
            assert {(len(n.text), n.kind, n.peer) for n in kept} == {
                (store_module.NOTICE_CHARACTERS, "badref", "192.0.2.1")
            }

    asyncio.run(run())
