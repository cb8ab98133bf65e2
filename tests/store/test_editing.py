"""An operator's changes in a real store: once, by the rules, and never over somebody else's."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Operation
from rwhoisd.directory.dialect import RFC
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AddressRange, AreaName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.formats.addressing import Assignment, assign, release, utilization
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.edits import SOURCE, Done, Edit, EditError, Editor, inverse
from rwhoisd.formats.findings import FormatError
from rwhoisd.formats.history import holders_at, object_at
from rwhoisd.formats.load import Options, load_zones
from rwhoisd.formats.zone import PlacedObject, Zone
from rwhoisd.inventory.placing import Wanted
from rwhoisd.inventory.reconcile import Policy, reconcile
from rwhoisd.store import Store
from tests.store.kit import replay, stored

Work = Callable[[Editor], Awaitable[None]]
AREA, NAMES = "192.0.2.0/24", "example.net"
CLASSES = Schema(tuple(shipped(n) for n in ("network", "host", "referral", "guardian")))


def area(name: str, **changes: object) -> AuthorityArea:
    fields = {"name": AreaName.from_text(name), "soa": Soa(""), "schema": CLASSES} | changes
    return AuthorityArea(**fields)  # type: ignore[arg-type]


def network(local: str, where: str, *lines: tuple[str, str], name: str = AREA) -> Object:
    own = (("ID", f"{local}.{name}"), ("Network-Name", local), ("IP-Network", where))
    return Object(name, "network", own + lines)


TOP = network("TOP", AREA)
HOST = Object(
    NAMES,
    "host",
    (("ID", f"H.{NAMES}"), ("Host-Name", "h.example.net"), ("IP-Address", "192.0.2.9")),
)


async def publish(
    store: Store, *objects: Object, areas: Sequence[AuthorityArea] = (area(AREA), area(NAMES))
) -> list[str]:
    """Load zones with these objects; what stood in the way."""
    zones = []
    for one in areas:
        mine = [o for o in objects if o.area == one.name.text]
        placed = tuple(PlacedObject(o, Path("x"), (1,) * len(o.lines)) for o in mine)
        zones.append(Zone(one, placed, Path("x")))
    results = await load_zones(store, zones, Options(prune=True, max_removals=1.0))
    assert not any(result.refused for result in results)
    return [str(conflict) for result in results for conflict in result.conflicts]


@pytest.fixture
def go(url: str) -> Callable[..., None]:
    """Runs a test's work with an editor of a store that has these objects."""

    def run(work: Work, *objects: Object) -> None:
        async def main() -> None:
            async with await Store.open(url, create=True) as store:
                await publish(store, *(objects or (TOP, HOST)))
                await work(Editor(store, RFC, "ann"))
                for name in (AREA, NAMES):
                    journalled = replay(await store.journal(name))
                    assert journalled == {s.row: s for s in await stored(store, name)}

        asyncio.run(main())

    return run


async def edit(editor: Editor, object_id: str, **lines: str) -> Done:
    """Set attributes of an object; ``_`` stands for a hyphen."""
    before = await editor.find(object_id)
    named = {name.replace("_", "-"): value for name, value in lines.items()}
    kept = [line for line in before.object.lines if line[0] not in named]
    [done] = await editor.carry_out([await editor.edition(before, [*kept, *named.items()])])
    return done


async def undo(editor: Editor, serial: str) -> None:
    entries = [e for e in await editor.store.journal() if e.serial.text == serial]
    rows = {e.row: await editor.store.find_objects(row=e.row) for e in entries}
    await editor.carry_out(inverse(entries, lambda row: next(iter(rows[row]), None)))


async def lines(editor: Editor, object_id: str) -> Mapping[str, str]:
    return dict((await editor.find(object_id)).object.lines)


# --- add, edit, delete


def test_an_addition_gets_an_id_and_is_journalled(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        given = [("NAME", "x")]
        with pytest.raises(FormatError) as refused:
            await editor.addition(AREA, "net", given)
        assert [int(f.code or 0) for f in refused.value.findings] == [320, 322, 322]
        given = [("network-name", "A"), ("ip-network", "192.0.2.0/26")]
        wanted = await editor.addition(AREA, "net", given)
        [tried] = await editor.carry_out([wanted], dry_run=True)
        assert len(await editor.store.find_objects(AREA)) == 1
        [done] = await editor.carry_out([wanted])
        assert done.serial >= tried.serial
        [obj] = done.objects
        assert obj.id == f"{done.serial}.{AREA}"
        assert (obj.updated, obj.source) == (done.serial, SOURCE)
        [entry] = await editor.store.journal(AREA, object_id=obj.id)
        assert (entry.author, entry.source, entry.operation) == ("ann", SOURCE, Operation.ADD)
        with pytest.raises(RwhoisError, match=r"324 .* has IP-Network 192\.0\.2\.0/26; edit that"):
            await editor.carry_out([wanted])

    go(work)


def test_additions_of_one_change_have_ids_of_their_own(go: Callable[..., None]) -> None:
    """B20."""

    async def work(editor: Editor) -> None:
        wanted = [
            await editor.addition(
                AREA, "net", [("Network-Name", n), ("IP-Network", f"192.0.2.{64 * i}/26")]
            )
            for i, n in enumerate("ABC")
        ]
        [done] = await editor.carry_out(wanted)
        local = [done.serial, f"{done.serial}-2", f"{done.serial}-3"]
        assert [obj.id for obj in done.objects] == [f"{name}.{AREA}" for name in local]

    go(work)


@pytest.mark.parametrize(
    ("name", "class_name", "more", "message"),
    [
        pytest.param("192.0.3.0/24", "network", [], "340 .*there are 192", id="area"),
        pytest.param(AREA, "zork", [], "341 .*zork; 192.0.2.0/24 has network", id="class"),
        pytest.param(AREA, "network", [("ID", "X.example.net")], "write NAME.192", id="id"),
        pytest.param(AREA, "network", [("ID", f"TOP.{AREA}")], "324 .*TOP.* there", id="taken"),
        pytest.param(AREA, "network", [("Organization", f"NO.{AREA}")], r"\(323\)", id="dangling"),
        pytest.param(AREA, "network", [("Country-Code", "usa")], r"\(321\)", id="format"),
        pytest.param(AREA, "network", [("City", "A"), ("City", "B")], r"\(320\)", id="twice"),
    ],
)
def test_the_rules_of_the_wire_hold(
    go: Callable[..., None],
    name: str,
    class_name: str,
    more: list[tuple[str, str]],
    message: str,
) -> None:
    async def work(editor: Editor) -> None:
        given = [("Network-Name", "A"), ("IP-Network", "192.0.2.0/26"), *more]
        with pytest.raises((RwhoisError, FormatError, EditError), match=message):
            await editor.carry_out([await editor.addition(name, class_name, given)])
        assert len(await editor.store.find_objects(AREA)) == 1

    go(work)


def test_the_later_of_two_edits_is_refused(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        before = await editor.find(TOP.id or "")
        late = await editor.edition(before, [*before.object.lines, ("City", "Late")])
        first = await edit(editor, TOP.id or "", City="First")
        with pytest.raises(RwhoisError, match=r"325 .*TOP.* was changed meanwhile"):
            await editor.carry_out([late])
        assert (await lines(editor, TOP.id or ""))["City"] == "First"
        text = [*before.object.lines, ("Updated", "20200101")]
        with pytest.raises(RwhoisError, match=r"325 .*another version"):
            await editor.edition(await editor.find(TOP.id or ""), text)
        [gone] = await editor.carry_out([Edit(await editor.find(TOP.id or ""), None)])
        assert gone.serial > first.serial
        with pytest.raises(RwhoisError, match=r"325 .*was deleted meanwhile"):
            await editor.carry_out([late])

    go(work)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ID": f"OTHER.{AREA}"}, "338 .*ID's must match"),
        ({"Auth_Area": NAMES}, "338 .*Auth-Area's must match"),
        ({"Class_Name": "host"}, "338 .*Class-Name's must match"),
        ({"Auth_Area": "nowhere.net"}, "340"),
    ],
)
def test_an_object_stays_what_and_where_it_is(
    go: Callable[..., None], changes: dict[str, str], message: str
) -> None:
    async def work(editor: Editor) -> None:
        with pytest.raises(RwhoisError, match=message):
            await edit(editor, TOP.id or "", **changes)

    go(work)


def test_a_slave_changes_nothing(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        async with editor.store.change(AREA, author="x", source="zone") as change:
            await change.put_area(area(AREA, role="slave"))
        with pytest.raises(RwhoisError, match="333"):
            await edit(editor, TOP.id or "", City="X")
        with pytest.raises(RwhoisError, match="333"):
            await editor.carry_out([Edit(await editor.find(TOP.id or ""), None)])

    go(work)


def test_the_secret_of_a_guardian_is_hashed(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        given = [("ID", f"G.{NAMES}"), ("Guard-Scheme", "crypt-pw"), ("Guard-Info", "open sesame")]
        wanted = await editor.addition(NAMES, "guardian", given)
        assert "sesame" not in repr(wanted.diff)
        await editor.carry_out([wanted])
        assert (await lines(editor, f"G.{NAMES}"))["Guard-Info"].startswith("$")
        with pytest.raises(FormatError, match=r"321"):
            await edit(editor, f"G.{NAMES}", Guard_Scheme="rot13")

    go(work)


# --- what loads and inventories do about it


def test_a_load_reports_what_was_edited_and_deleted(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        other = network("OTHER", "192.0.2.0/26")
        await publish(editor.store, TOP, HOST, other)
        done = await edit(editor, TOP.id or "", City="Ours")
        await editor.carry_out([Edit(await editor.find(other.id or ""), None)])
        found = await publish(editor.store, TOP, HOST, other)
        assert found == [
            f"network {TOP.id} was changed by admin and is left so; --force takes ours",
            f"network {other.id} was deleted by admin and is left so; --force takes ours",
        ]
        assert (await lines(editor, TOP.id or ""))["City"] == "Ours"
        await undo(editor, done.serial)  # and it is the zone's again
        found = await publish(editor.store, replace(TOP, lines=(*TOP.lines, ("City", "Z"))), HOST)
        assert found == []
        assert (await lines(editor, TOP.id or ""))["City"] == "Z"

    go(work)


def test_what_a_load_did_and_was_undone_is_a_conflict(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        newer = replace(TOP, lines=(*TOP.lines, ("City", "Newer")))
        await publish(editor.store, newer, HOST)
        await undo(editor, (await editor.store.journal(AREA))[-1].serial.text)
        assert "City" not in await lines(editor, TOP.id or "")
        assert len(await publish(editor.store, newer, HOST)) == 1
        assert "City" not in await lines(editor, TOP.id or "")

    go(work)


def test_an_inventory_leaves_what_was_edited(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        mine = network("POOL", "192.0.2.64/26")
        async with editor.store.change(AREA, author="inventory", source="inventory") as change:
            await change.add(replace(mine, source="edge"))
        policy = Policy(ours=frozenset({"edge"}))

        async def plan() -> tuple[list[str], int]:
            wanted = [Wanted(replace(mine, source="edge"), ("edge",), date(2026, 1, 1))]
            there = await editor.store.find_objects(AREA)
            made = reconcile(AREA, wanted, there, CLASSES, policy)
            return [str(clash) for clash in made.conflicts], len(made.steps)

        assert (await plan())[0] == []
        done = await edit(editor, mine.id or "", City="Ours")
        assert await plan() == ([f"network {mine.id} is admin's and is left as it is"], 0)
        await undo(editor, done.serial)
        assert (await plan())[0] == []

    go(work)


# --- undo


def test_undo_takes_back_each_kind_of_change(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        wanted = await editor.addition(
            AREA, "network", [("Network-Name", "A"), ("IP-Network", "192.0.2.0/26")]
        )
        [added] = await editor.carry_out([wanted])
        changed = await edit(editor, TOP.id or "", City="Ours")
        [deleted] = await editor.carry_out([Edit(await editor.find(HOST.id or ""), None)])
        for done in (deleted, changed, added):
            await undo(editor, done.serial)
        found = {o.object for o in await editor.store.find_objects()}
        assert found == {TOP, HOST}
        last = (await editor.store.journal(AREA))[-1]
        assert (last.author, last.operation) == ("ann", Operation.DELETE)
        await undo(editor, last.serial.text)  # an undo can be undone
        assert len(await editor.store.find_objects(AREA)) == 2

    go(work)


def test_undo_names_what_changed_since(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        first = await edit(editor, TOP.id or "", City="First")
        second = await edit(editor, TOP.id or "", City="Second")
        with pytest.raises(EditError, match=rf"changed since {first.serial}: TOP\.192"):
            await undo(editor, first.serial)
        await undo(editor, second.serial)
        assert (await lines(editor, TOP.id or ""))["City"] == "First"
        with pytest.raises(EditError, match="the definition of 192"):
            await undo(editor, (await editor.store.journal(AREA))[0].serial.text)

    go(work)


def test_a_key_that_was_taken_since_is_no_undo(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        [gone] = await editor.carry_out([Edit(await editor.find(TOP.id or ""), None)])
        given = [("Network-Name", "A"), ("IP-Network", AREA)]
        await editor.carry_out([await editor.addition(AREA, "network", given)])
        with pytest.raises(RwhoisError, match="324"):
            await undo(editor, gone.serial)

    go(work)


# --- assign, release


def wanted(outer: str = AREA, length: int = 29, **more: object) -> Assignment:
    block = Network.from_text(outer)
    assert block is not None
    return Assignment(block, length, **more)  # type: ignore[arg-type]


REFERRAL = Object(
    AREA,
    "referral",
    (
        ("ID", f"R.{AREA}"),
        ("Referred-Auth-Area", "192.0.2.192/26"),
        ("Referral", "rwhois://a.example:4321/auth-area=192.0.2.192/26"),
    ),
)


def test_the_lowest_free_block_is_assigned_and_returned(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        found = [(await assign(editor, wanted())).block for _ in range(3)]
        # 192.0.2.8/29 has the host of another area and class.
        assert [str(block) for block in found] == ["192.0.2.0/29", "192.0.2.16/29", "192.0.2.24/29"]
        for what in ("192.0.2.16/29", (await editor.store.find_objects(AREA))[1].object.id or ""):
            await release(editor, what, class_name="network", area=None, dry_run=False)
        assert str((await assign(editor, wanted(length=32))).block) == "192.0.2.0/32"
        tried = await assign(editor, wanted(), dry_run=True)
        assert str(tried.block) == "192.0.2.16/29"
        with pytest.raises(RwhoisError, match=r"325 .*192\.0\.2\.16/29 would be next"):
            await assign(editor, wanted(), only=Network.from_text("192.0.2.40/29"))
        with pytest.raises(EditError, match="no /25 is free in 192"):
            await assign(editor, wanted(length=25))

    go(work, TOP, HOST, REFERRAL)


def test_a_block_with_something_in_it_is_not_returned(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        for what in (AREA, TOP.id or ""):
            with pytest.raises(EditError, match=r"still holds 1: host H\.example\.net"):
                await release(editor, what, class_name="network", area=None, dry_run=False)
        with pytest.raises(EditError, match=r"no network objects have the addresses 10\.0\.0\.0/8"):
            await release(editor, "10.0.0.0/8", class_name="network", area=None, dry_run=False)

    go(work)


def test_what_is_assigned_carries_its_holder(go: Callable[..., None]) -> None:
    org = Object(NAMES, "organization", (("ID", f"ORG.{NAMES}"), ("Org-Name", "Orchard")))
    schema = Schema((*CLASSES.classes, shipped("organization")))

    async def work(editor: Editor) -> None:
        await publish(editor.store, TOP, org, areas=[area(AREA), area(NAMES, schema=schema)])
        done = (await assign(editor, wanted(organization=f"org.{NAMES}"))).done
        assert done.objects[0].lines[:5] == (
            ("Network-Name", "NET-192-0-2-0-29"),
            ("IP-Network", "192.0.2.0/29"),
            ("IP-Network-Block", "192.0.2.0 - 192.0.2.7"),
            ("Org-Name", "Orchard"),
            ("Organization", f"ORG.{NAMES}"),
        )
        with pytest.raises(RwhoisError, match="323"):
            await assign(editor, wanted(organization=f"no.{NAMES}"))
        with pytest.raises(EditError, match="no area and no network holds 10"):
            await assign(editor, wanted("10.0.0.0/8", 24))

    go(work)


def test_a_more_specific_area_keeps_its_addresses(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        wide, inner = area("10.0.0.0/8"), area("10.0.0.0/16")
        await publish(editor.store, areas=[wide, inner])
        one = await assign(editor, wanted("10.0.0.0/8", 24))
        other = await assign(editor, wanted("10.0.0.0/16", 24))
        assert (str(one.block), one.done.area) == ("10.1.0.0/24", "10.0.0.0/8")
        assert (str(other.block), other.done.area) == ("10.0.0.0/24", "10.0.0.0/16")

    go(work)


def test_tasks_that_assign_at_once_get_blocks_of_their_own(url: str) -> None:
    async def main() -> None:
        async with await Store.open(url, create=True) as store:
            await publish(store, TOP, HOST)
        async with await Store.open(url) as one, await Store.open(url) as other:
            editors = [Editor(store, RFC, "ann") for store in (one, other)]
            found = await asyncio.gather(
                *(assign(editors[n % 2], wanted(length=28 + n % 3)) for n in range(10))
            )
            blocks = [one.block for one in found]
            spans = sorted((block.start, block.last) for block in blocks)
            assert all(a[1] < b[0] for a, b in pairwise(spans)), spans
            assert len(await one.find_objects(AREA)) == 11

    asyncio.run(main())


ASSIGNER = """
import asyncio, sys
from rwhoisd.directory.dialect import RFC
from rwhoisd.directory.names import Network
from rwhoisd.formats.addressing import Assignment, assign
from rwhoisd.formats.edits import Editor
from rwhoisd.store import Store

async def main():
    async with await Store.open(sys.argv[1]) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(4):
            wanted = Assignment(Network.from_text("192.0.2.0/24"), 29)
            print((await assign(Editor(store, RFC, "x"), wanted)).block, flush=True)

asyncio.run(main())
"""


def test_processes_that_assign_at_once_get_blocks_of_their_own(url: str) -> None:
    async def main() -> None:
        async with await Store.open(url, create=True) as store:
            await publish(store, TOP)
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-c", ASSIGNER, url)
        both = [
            await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            for _ in range(2)
        ]
        for one in both:
            assert one.stdout is not None
            assert await one.stdout.readline() == b"ready\n"
        said = await asyncio.gather(*(one.communicate(b"go\n") for one in both))
        assert [one.returncode for one in both] == [0, 0]
        blocks = [line for out, _ in said for line in out.decode().split()]
        assert sorted(blocks) == sorted(f"192.0.2.{8 * n}/29" for n in range(8))

    asyncio.run(main())


# --- how full, and who had it


def test_how_full_blocks_are(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        found = [
            (str(b.span), b.name, b.usage.used, len(b.inner))
            for b in await utilization(editor.store)
        ]
        assert found == [
            ("192.0.2.0/24", "TOP", 64 + 1, 4),
            ("192.0.2.64/26", "MIDDLE", 16 + 8, 2),
        ]
        [asked] = await utilization(editor.store, [Network(4, 0xC0000240, 27)])
        assert (asked.name, asked.usage.used, asked.usage.size) == ("", 24, 32)
        [states] = {tuple(sorted({i.state for i in b.inner})) for b in [asked]}
        assert states == ("network",)

    middle = network("MIDDLE", "192.0.2.64/26")
    crossing = network("CROSSING", "192.0.2.80 - 192.0.2.87")
    go(work, TOP, HOST, middle, network("LOW", "192.0.2.64/28"), crossing)


def test_a_range_that_crosses_a_block_counts_with_its_part(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        blocks = {str(b.span): b.usage.used for b in await utilization(editor.store)}
        assert blocks["192.0.2.64/26"] == 10
        assert blocks["192.0.2.0/24"] == 64 + 6

    crossing = network("CROSSING", "192.0.2.58 - 192.0.2.73")
    go(work, TOP, network("MIDDLE", "192.0.2.64/26"), crossing)


def test_who_had_an_address_then(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        [span] = [AddressRange.from_text("192.0.2.9")]
        assert span is not None
        moments = [max((await editor.store.serials()).values())]

        async def note(done: Done) -> None:
            moments.append(TimeStamp(done.serial))
            await asyncio.sleep(0.002)  # areas have serials of their own

        await asyncio.sleep(0.002)
        await note(await edit(editor, HOST.id or "", IP_Address="192.0.2.200"))
        given = wanted(length=28, lines=(("Network-Name", "NEW"),))
        await note((await assign(editor, given)).done)
        [gone] = await editor.carry_out([Edit(await editor.find(TOP.id or ""), None)])
        await note(gone)
        held = []
        for at in moments:
            then = await holders_at(editor.store, span, at)
            held.append([obj.get("Network-Name") or obj.id for obj, _ in then.objects])
        assert held == [[HOST.id, "TOP"], ["TOP"], ["NEW", "TOP"], ["NEW"]]
        then = await holders_at(editor.store, span, TimeStamp("20200101" + "0" * 9))
        assert then.objects == ()
        assert set(then.unknown) == {AREA, NAMES}

    go(work, HOST, TOP)


def test_an_object_as_it_was(go: Callable[..., None]) -> None:
    async def work(editor: Editor) -> None:
        first = await edit(editor, TOP.id or "", City="First")
        second = await edit(editor, TOP.id or "", City="Second")
        [gone] = await editor.carry_out([Edit(await editor.find(TOP.id or ""), None)])
        cities = []
        for serial in (first.serial, second.serial, gone.serial):
            then = await object_at(editor.store, (TOP.id or "").lower(), TimeStamp(serial))
            cities.append([(obj.get("City"), e.author if e else "") for obj, e in then.objects])
        assert cities == [[("First", "ann")], [("Second", "ann")], []]

    go(work)
