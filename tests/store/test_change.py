"""A change is one transaction: objects, journal and serial together or not at all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.changes import Operation
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.store import AreaChange, Store
from tests.store.kit import (
    AREA,
    NETWORK,
    ORGANIZATION,
    SCHEMA,
    Clock,
    area,
    attempt,
    network,
    objects,
    organization,
    replay,
    store_with,
    stored,
)

ODD = (
    ("Comment", ""),
    ("Comment", "  blanks around  "),
    ("comment", "colon: in it::"),
    ("Comment", "NUL \0 TAB \t VT \v NEL \x85 LS \u2028 \U0001f310 ÿ"),
    ("Unknown thing", "kept"),
    ("", "no name"),
)


def test_objects_come_back_exactly_as_they_were_given(url: str) -> None:
    given = [
        network(1, *ODD, source="arin-files", order=(1 << 61) + 7),
        network(2, indexed=False, order=-3),
        Object(AREA, "network", ()),
        organization(1),
    ]

    async def run() -> None:
        async with store_with(url, *given) as (store, _):
            assert await objects(store) == given

    asyncio.run(run())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((("Comment", "a\nb"),), "Comment"),
        ((("Comment", "a\rb"),), "Comment"),
        ((("Com\nment", "a"),), "line end"),
        ((("Com:ment", "a"),), "colon"),
        ((("Comment", "\udc80"),), "Unicode"),
        ((("A", "x\n"), ("B", "y")), "'A'"),
    ],
    ids=["line-feed", "carriage-return", "name-line-feed", "name-colon", "surrogate", "last"],
)
def test_lines_that_would_not_come_back_are_refused(
    url: str, lines: tuple[tuple[str, str], ...], words: str
) -> None:
    async def run() -> None:
        async with store_with(url) as (store, _):
            with pytest.raises(RwhoisError, match=words) as caught:
                await attempt(
                    store,
                    lambda c: c.add(network(1)),
                    lambda c: c.add(Object(AREA, "network", lines)),
                )
            assert caught.value.code is ResponseCode.INVALID_ATTRIBUTE_SYNTAX
            assert await objects(store) == []

    asyncio.run(run())


def test_characters_that_the_charset_lacks_are_refused(url: str) -> None:
    lacking = r"'€' .* latin-1"

    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            with pytest.raises(RwhoisError, match=lacking):
                await attempt(
                    store,
                    lambda c: c.put_area(area(charset="latin-1")),
                    lambda c: c.add(network(1, ("Comment", "ÿ"))),
                    lambda c: c.add(network(2, ("Comment", "€"))),
                    create=True,
                )
            async with store.change(AREA, author="a", source="s", create=True) as change:
                await change.put_area(area())
                await change.add(network(2, ("Comment", "€")))
            with pytest.raises(RwhoisError, match=lacking):
                await attempt(store, lambda c: c.put_area(area(charset="latin-1")))

    asyncio.run(run())


def test_the_journal_tells_each_change_with_both_sides(url: str) -> None:
    async def run() -> None:
        old, new = network(1), network(1, ("Comment", "changed"), source="registration")
        async with store_with(url, old, organization(1)) as (store, (row, other)):
            async with store.change(AREA, author="me", source="wire") as change:
                await change.modify(row, new, position=5)
                await change.delete(other)
            first, second = (await store.journal(AREA, limit=100))[-2:]
            assert (first.operation, first.before, first.after) == (Operation.MODIFY, old, new)
            assert (first.ordinal, first.row, first.position) == (0, row, 5)
            assert (first.author, first.source, first.area) == ("me", "wire", AREA)
            assert (second.operation, second.before) == (Operation.DELETE, organization(1))
            assert (second.after, second.ordinal, second.serial) == (None, 1, first.serial)
            assert (await store.serials())[AREA] == first.serial
            (soa,) = [a.soa for a in await store.areas()]
            assert soa
            assert soa.serial_number == first.serial.text

    asyncio.run(run())


def test_an_exception_leaves_nothing_behind(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1)) as (store, (row,)):
            before = await store.journal(), await store.areas(), await stored(store)
            with pytest.raises(ZeroDivisionError):
                await attempt(
                    store,
                    lambda c: c.put_area(area(charset="latin-1")),
                    lambda c: c.add(network(2)),
                    lambda c: c.modify(row, network(1, ("Comment", "x"))),
                    lambda c: c.delete(row),
                    lambda c: c.flush(),
                    lambda _: 1 // 0,  # type: ignore[arg-type, return-value]
                )
            assert (await store.journal(), await store.areas(), await stored(store)) == before

    asyncio.run(run())


def test_a_change_that_changes_nothing_moves_no_serial(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1)) as (store, (row,)):
            before = await store.journal(), await store.areas()
            async with store.change(AREA, author="a", source="s") as change:
                await change.put_area(area())
                await change.modify(row, network(1))
                assert await change.find(f"net-1.{AREA}")
            assert not change.changed
            assert (await store.journal(), await store.areas()) == before

    asyncio.run(run())


def test_serials_grow_when_the_clock_stands_or_runs_back(url: str) -> None:
    async def run() -> None:
        clock = Clock()
        serials: list[TimeStamp] = []
        async with await Store.open(url, create=True, now=clock) as store:
            for number, seconds in enumerate((0, 0, -3600, 7200, 0.0005)):
                clock.move(seconds)
                async with store.change(AREA, author="a", source="s", create=True) as change:
                    await change.put_area(area())
                    await change.add(network(number))
                serials.append(change.serial)
        assert serials == sorted(set(serials))
        assert serials[0] == TimeStamp("20240229120000000")
        assert serials[3] == TimeStamp("20240229130000000")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("shown", "later"),
    [
        ("19961023", "20240229120000001"),
        ("20990101", "20990101000000001"),
        ("99999999999999999", "20240229120000001"),
        ("none yet", "20240229120000001"),
    ],
    ids=["past", "future", "no-date", "no-digits"],
)
def test_an_explicit_soa_serial_is_shown_until_the_next_change(
    url: str, shown: str, later: str
) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True, now=Clock()) as store:
            async with store.change(AREA, author="a", source="s", create=True) as change:
                await change.put_area(area(soa=Soa(shown)))
                await change.add(network(1))
            assert [a.soa for a in await store.areas()] == [Soa(shown)]
            async with store.change(AREA, author="a", source="s") as change:
                await change.put_area(area(soa=Soa("ignored")), soa_serial=False)
                await change.add(network(2))
            assert [a.soa for a in await store.areas()] == [Soa(later)]

    asyncio.run(run())


def test_an_area_comes_back_with_all_of_its_definition(url: str) -> None:
    whole = area(
        "Example.COM",
        soa=Soa("x", 1, 2, 3, 1 << 40, "ns.example.com:4321", "h@e.com", "t@e.com", "a@e.com"),
        role="slave",
        guardians=("G-1.example.com", "G-2.example.com"),
        masters=(HostPort("2001:db8::1", 4321), HostPort("a.example.com", 1)),
        slaves=(HostPort("b.example.com"), HostPort("a.example.com")),
        transfer_arguments="class=network é",
        charset="latin-1",
        position=3,
        schema=Schema((ClassDef("empty", ()), *SCHEMA.classes)),
    )
    other = area("a.net", soa=None, position=1)

    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            for one in (whole, other):
                name = one.name.text
                async with store.change(name, author="a", source="s", create=True) as change:
                    assert change.area is None
                    await change.put_area(one)
                    assert change.area == one
            assert await store.areas() == (other, whole)
            assert await store.area("EXAMPLE.com.") == whole

    asyncio.run(run())


def test_a_primary_key_is_unique_unless_a_copy_is_asked_for(url: str) -> None:
    async def run() -> None:
        twin = network(1, ("network-NAME", "second key value"))
        async with store_with(url, network(1), network(2)) as (store, (one, two)):
            async with store.change(AREA, author="a", source="s") as change:
                assert await change.key_taken(network(1))
                assert not await change.key_taken(network(1), except_row=one)
            for bad in (network(1), Object(AREA, "network", (("Network-Name", "net-1"),))):
                with pytest.raises(RwhoisError) as caught:
                    await attempt(store, lambda c, bad=bad: c.add(bad))  # type: ignore[misc]
                assert caught.value.code is ResponseCode.KEY_NOT_UNIQUE
            async with store.change(AREA, author="a", source="s") as change:
                assert not await change.key_taken(twin)
                copy = await change.add(network(1), unique=False)
                await change.modify(copy.row, network(1, ("Comment", "still a copy")))
                await change.delete(one)
                assert await change.key_taken(network(1))
            async with store.change(AREA, author="a", source="s") as change:
                await change.modify(copy.row, network(2), unique=False)
                await change.modify(two, network(1))
            assert [o.values("Network-Name") for o in await objects(store)] == [
                ("NET-1",),
                ("NET-2",),
            ]

    asyncio.run(run())


def test_two_objects_can_swap_their_keys_in_one_change(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1), network(2)) as (store, (one, two)):
            async with store.change(AREA, author="a", source="s") as change:
                await change.modify(one, network(2))
                await change.modify(two, network(1))
            assert await objects(store) == [network(2), network(1)]

    asyncio.run(run())


def test_an_outdated_modification_is_refused(url: str) -> None:
    async def run() -> None:
        old = network(1, ("Updated", "20200101000000000"))
        async with store_with(url, old) as (store, (row,)):
            async with store.change(AREA, author="a", source="s") as change:
                await change.modify(row, network(1, ("Updated", "2")), seen="20200101000000000")
            with pytest.raises(RwhoisError) as caught:
                async with store.change(AREA, author="a", source="s") as change:
                    await change.modify(row, network(1), seen="20200101000000000")
            assert caught.value.code is ResponseCode.OUTDATED_OBJECT

    asyncio.run(run())


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda c: c.modify(1, network(1)), ResponseCode.OBJECT_NOT_FOUND),
        (lambda c: c.modify(1, network(1), seen="x"), ResponseCode.OBJECT_NOT_FOUND),
        (lambda c: c.delete(1), ResponseCode.OBJECT_NOT_FOUND),
        (lambda c: c.add(network(1, class_name="host")), ResponseCode.INVALID_CLASS),
        (lambda c: c.add(network(1, area="a.com")), ResponseCode.INVALID_AREA),
        (lambda c: c.put_area(area("a.com")), ResponseCode.INVALID_AREA),
    ],
    ids=["modify", "modify-seen", "delete", "class", "area", "definition"],
)
def test_what_is_not_there_is_refused_with_its_code(
    url: str, act: Callable[[AreaChange], Awaitable[object]], code: int
) -> None:
    async def run() -> None:
        async with store_with(url, network(7)) as (store, _):
            with pytest.raises(RwhoisError) as caught:
                await attempt(store, act)
            assert caught.value.code == code

    asyncio.run(run())


def test_an_unknown_area_needs_create(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:
            with pytest.raises(RwhoisError) as caught:
                async with store.change("a.com", author="a", source="s"):
                    raise AssertionError("must not get here")
            assert caught.value.code is ResponseCode.INVALID_AREA
            with pytest.raises(RwhoisError):
                async with store.change("a.com", author="a", source="s", create=True) as change:
                    await change.add(network(1, area="a.com"))

    asyncio.run(run())


def test_positions_go_on_within_a_class(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1), organization(1)) as (store, _):
            async with store.change(AREA, author="a", source="s") as change:
                assert (await change.add(network(2))).position == 1
                assert (await change.add(network(3), position=9)).position == 9
                assert (await change.add(network(4))).position == 10
                assert (await change.add(organization(2))).position == 1
                await change.add(network(5), position=-1)
            names = [o.id and o.id.split(".")[0] for o in await objects(store)]
            assert names == ["NET-5", "NET-1", "NET-2", "NET-3", "NET-4", "ORG-1", "ORG-2"]

    asyncio.run(run())


def test_a_class_with_objects_cannot_leave_the_schema(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1), organization(1)) as (store, (_, org)):
            smaller = area(schema=Schema((NETWORK,)))
            with pytest.raises(RwhoisError, match="organization"):
                async with store.change(AREA, author="a", source="s") as change:
                    await change.put_area(smaller)
            async with store.change(AREA, author="a", source="s") as change:
                await change.put_area(smaller)
                await change.delete(org)
            assert await objects(store) == [network(1)]

    asyncio.run(run())


def test_another_schema_derives_addresses_and_keys_anew(url: str) -> None:
    async def run() -> None:
        given = [organization(1), network(1), network(2)]
        async with store_with(url, *given) as (store, _):
            assert len(await store.references_to(f"org-1.{AREA}")) == 2
            plain = ClassDef(
                "network",
                (
                    AttributeDef("Network-Name", index=IndexType.CIDR),
                    AttributeDef("IP-Network", index=IndexType.EXACT),
                    AttributeDef("Organization", required=True, primary=True),
                ),
            )
            async with store.change(AREA, author="a", source="s") as change:
                await change.put_area(area(schema=Schema((plain, ORGANIZATION))))
            assert await store.references_to(f"org-1.{AREA}") == []
            assert await store.overlaps() == []
            assert await objects(store) == [*given[1:], given[0]]
            async with store.change(AREA, author="a", source="s") as change:
                assert await change.key_taken(network(9))  # by organization now, of both

    asyncio.run(run())


def test_a_deleted_area_leaves_its_history_and_can_come_back(url: str) -> None:
    async def run() -> None:
        async with store_with(url, network(1), network(2)) as (store, rows):
            async with store.change(AREA, author="a", source="s") as change:
                await change.delete_area()
                assert change.area is None
            assert await store.areas() == ()
            told = await store.journal(AREA)
            assert [c.operation.value for c in told[-3:]] == ["delete", "delete", "area"]
            assert replay(told) == {}
            async with store.change(AREA, author="a", source="s", create=True) as again:
                assert again.serial > change.serial
                await again.put_area(area())
                row = (await again.add(network(1))).row
            assert row not in rows
            assert [s.row for s in await stored(store)] == [row]

    asyncio.run(run())


def test_many_objects_are_added_modified_and_deleted_in_bulk(url: str) -> None:
    count = 12_345

    async def run() -> None:
        async with store_with(url, *(network(n) for n in range(count))) as (store, rows):
            assert [s.row for s in await stored(store)] == rows
            async with store.change(AREA, author="a", source="s") as change:
                for number, row in enumerate(rows[: count // 2]):
                    await change.modify(row, network(number, ("Comment", "x")))
                for row in rows[count // 2 :]:
                    await change.delete(row)
            left = {s.row: s for s in await stored(store)}
            assert list(left) == rows[: count // 2]
            async with store.snapshot() as source:
                told = [c async for c in source.changes(AREA, TimeStamp("0" * 17))]
            assert replay(told) == left
            assert [c.ordinal for c in told if c.serial == change.serial] == list(range(count))

    asyncio.run(run())


def test_writers_at_once_lose_nothing(url: str) -> None:
    writers, each = 4, 6

    async def run() -> None:
        async with store_with(url, network(0)) as (store, (row,)):

            async def count_up(change: AreaChange) -> TimeStamp:
                found = await change.get(row)
                assert found
                number = int(found.object.get("Comment") or 0) + 1
                await change.modify(row, network(0, ("Comment", str(number))))
                return change.serial

            async def writer() -> list[TimeStamp]:
                return [
                    await store.run(AREA, count_up, author="a", source="s") for _ in range(each)
                ]

            told = await asyncio.gather(*(writer() for _ in range(writers)))
            serials = [serial for one in told for serial in one]
            assert len(set(serials)) == writers * each
            (only,) = await objects(store)
            assert only.get("Comment") == str(writers * each)

    asyncio.run(run())


def test_two_that_create_the_same_area_both_succeed(url: str) -> None:
    async def run() -> None:
        async with await Store.open(url, create=True) as store:

            async def add(number: int) -> None:
                async def put(change: AreaChange) -> None:
                    await change.put_area(area())
                    await change.add(network(number))

                await store.run(AREA, put, author="a", source="s", create=True)

            await asyncio.gather(*(add(number) for number in range(4)))
            assert len(await objects(store)) == 4

    asyncio.run(run())


def test_history_can_be_given_other_lines(url: str) -> None:
    """All that was ever told of a class says the new lines; it replays, and no serial moves."""
    secret, other = ("Comment", "secret"), ("Comment", "hash")

    def lines(obj: Object) -> list[tuple[str, str]] | None:
        if secret not in obj.lines:
            return None
        return [other if line == secret else line for line in obj.lines]

    async def run() -> None:
        async with store_with(url, network(1, secret), network(2), organization(1)) as (
            store,
            rows,
        ):
            await attempt(store, lambda c: c.modify(rows[0], network(1, other)))
            await attempt(store, lambda c: c.delete(rows[1]))
            before = await store.journal(AREA)
            async with store.change(AREA, author="a", source="s") as change:
                assert await change.rewrite_history("Network", lines) == 2
            after = await store.journal(AREA)
            assert [(e.serial, e.ordinal) for e in after] == [(e.serial, e.ordinal) for e in before]
            assert not any(secret in o.lines for e in after for o in (e.before, e.after) if o)
            assert replay(after) == {one.row: one for one in await stored(store)}
            async with store.change(AREA, author="a", source="s") as change:
                assert await change.rewrite_history("network", lines) == 0

    asyncio.run(run())
