"""What is wanted against what is published: idempotent, careful, and never another's."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwhoisd.directory.objects import Object
from rwhoisd.inventory.facts import Fact
from rwhoisd.inventory.reconcile import (
    Action,
    AreaPlan,
    Clash,
    Step,
    stamped,
    too_many,
    without_deleted,
)
from rwhoisd.inventory.records import Sourced
from tests.inventory_core import INSIDE, TODAY, Shelf, counts, host, node, rip, table, told, vip

DAY = timedelta(days=1)
VIP, RIP = vip("192.0.2.1", port=443), rip("10.0.0.1", belongs_to="192.0.2.1:443/tcp")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def name(local: str) -> str:
    return f"{local}.{INSIDE}"


# --- coming and going ---


def test_what_is_new_is_added_and_then_nothing_is_left_to_do(shelf: Shelf) -> None:
    assert counts(shelf.apply([VIP, RIP])) == (2, 0, 0, 0)
    again = shelf.plan([VIP, RIP])
    assert (counts(again), again.unchanged) == ((0, 0, 0, 0), 2)


def test_what_changed_is_changed_and_keeps_when_it_was_created(shelf: Shelf) -> None:
    shelf.apply([VIP])
    (row,) = shelf.stored
    created = replace(shelf.stored[row].object)
    lines = tuple((n, "20200101" if n == "Created" else v) for n, v in created.lines)
    shelf.stored[row] = replace(shelf.stored[row], object=replace(created, lines=lines))
    plan = shelf.apply([VIP, vip("192.0.2.1", port=80)])
    assert counts(plan) == (0, 1, 0, 0)
    (obj,) = shelf.objects().values()
    assert obj.values("Service") == ("80/tcp", "443/tcp")
    assert obj.get("Created") == "20200101"
    assert obj.get("Updated-By") == "inventory"


def test_what_is_gone_is_marked_with_the_day_and_removed_in_time(shelf: Shelf) -> None:
    shelf.apply([VIP, RIP])
    assert counts(shelf.apply([VIP])) == (0, 1, 1, 0)  # the VIP loses its link
    gone = shelf.objects()[name("RIP-10-0-0-1")]
    assert (gone.get("Status"), gone.get("Released")) == ("released", "20260301")
    for days, steps in ((0, 0), (1, 0), (29, 0), (30, 1), (31, 1)):
        assert shelf.plan([VIP], today=TODAY + days * DAY).count(Action.REMOVE) == steps
    shelf.apply([VIP], today=TODAY + 30 * DAY)
    assert list(shelf.objects()) == [name("VIP-192-0-2-1")]


def test_the_time_until_removal_is_settable_down_to_none(shelf: Shelf) -> None:
    shelf.apply([VIP])
    assert counts(shelf.apply([], release_days=0)) == (0, 0, 1, 0)
    assert counts(shelf.apply([], release_days=0)) == (0, 0, 0, 1)


def test_what_comes_back_is_active_again(shelf: Shelf) -> None:
    shelf.apply([VIP])
    shelf.apply([])
    assert counts(shelf.apply([VIP], today=TODAY + 5 * DAY)) == (0, 1, 0, 0)
    (obj,) = shelf.objects().values()
    assert (obj.get("Status"), obj.get("Released")) == ("active", None)
    assert counts(shelf.plan([VIP], today=TODAY + 5 * DAY)) == (0, 0, 0, 0)


def test_a_mark_that_is_no_date_counts_as_old(shelf: Shelf) -> None:
    shelf.apply([VIP])
    shelf.apply([])
    (row,) = shelf.stored
    obj = shelf.stored[row].object
    lines = tuple((n, "soon" if n == "Released" else v) for n, v in obj.lines)
    shelf.stored[row] = replace(shelf.stored[row], object=replace(obj, lines=lines))
    assert counts(shelf.plan([])) == (0, 0, 0, 1)


# --- Last-Seen ---


@pytest.mark.parametrize(("days", "last_seen_days", "changes"), [
    (0, 7, 0), (6, 7, 0), (7, 7, 1), (8, 7, 1), (0, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 1),
])  # fmt: skip
def test_last_seen_is_written_anew_when_it_is_old(
    shelf: Shelf, days: int, last_seen_days: int, changes: int
) -> None:
    shelf.apply(told([VIP], seen=date(2026, 2, 1)))
    later = told([VIP], seen=date(2026, 2, 1) + days * DAY)
    assert counts(shelf.apply(later, last_seen_days=last_seen_days)) == (0, changes, 0, 0)
    assert counts(shelf.plan(later, last_seen_days=last_seen_days)) == (0, 0, 0, 0)


def test_last_seen_never_goes_back(shelf: Shelf) -> None:
    shelf.apply(told([VIP], seen=date(2026, 2, 1)))
    shelf.apply(told([VIP, vip("192.0.2.1", port=80)], seen=date(2025, 1, 1)))
    (obj,) = shelf.objects().values()
    assert obj.get("Last-Seen") == "20260201"


# --- objects of others ---


def foreign(local: str, **lines: str) -> Object:
    own = (("ID", name(local)), *((k.replace("_", "-"), v) for k, v in lines.items()))
    return Object(INSIDE, "vip", own, source="registration")


@pytest.mark.parametrize(
    "other",
    [
        foreign("VIP-192-0-2-1", IP_Address="192.0.2.99"),
        foreign("MINE-1", IP_Address="192.0.2.1"),
    ],
    ids=["same ID", "same key"],
)
def test_an_object_of_another_source_is_a_conflict_and_stays(shelf: Shelf, other: Object) -> None:
    shelf.put(other)
    plan = shelf.apply([VIP])
    assert plan.steps == []
    assert [one.object for one in shelf.stored.values()] == [other]
    (clash,) = plan.conflicts
    assert str(clash) == f"vip {other.id} is registration's and is left as it is"


def test_an_object_of_another_source_is_never_released(shelf: Shelf) -> None:
    shelf.put(foreign("MINE-1", IP_Address="192.0.2.7"))
    shelf.put(replace(foreign("MINE-2", IP_Address="192.0.2.8"), source="zone"))
    assert shelf.plan([]).steps == []


def test_what_another_deleted_is_not_added_again(shelf: Shelf) -> None:
    plan = shelf.plan([VIP, RIP])
    without_deleted(plan, {name("VIP-192-0-2-1").lower(): "admin"})
    assert counts(plan) == (1, 0, 0, 0)
    (clash,) = plan.conflicts
    assert str(clash).endswith("was deleted by admin and is left so")


# --- sources that failed ---


def test_the_records_of_a_held_source_stay(shelf: Shelf) -> None:
    both = [*told([VIP, RIP], "s"), *told([vip("192.0.2.2")], "t")]
    shelf.apply(both)
    before = shelf.objects()
    plan = shelf.apply([*both, *told([vip("192.0.2.3")], "t")], held=["s"])
    assert counts(plan) == (1, 0, 0, 0)
    assert len(plan.held) == 2
    assert before.items() <= shelf.objects().items()


def test_a_record_of_two_sources_stays_while_one_of_them_fails(shelf: Shelf) -> None:
    both = [*told([VIP, vip("192.0.2.2")], "s"), *told([vip("192.0.2.1", port=80)], "t")]
    shelf.apply(both)
    for held, facts in (("t", told([VIP, vip("192.0.2.2")], "s")), ("t", []), ("s", both)):
        plan = shelf.plan(facts, held=[held])
        touched = [step.before.object.get("IP-Address") for step in plan.steps if step.before]
        assert "192.0.2.1" not in touched


def test_a_link_stays_while_the_source_of_the_other_end_fails(shelf: Shelf) -> None:
    both: list[Sourced] = [*told([VIP], "s"), *told([RIP], "t")]
    shelf.apply(both)
    for held in "st":
        assert shelf.plan(both, held=[held]).steps == []


def test_the_name_that_a_held_source_lent_stays(shelf: Shelf) -> None:
    both = [*told([node(None, "10.0.0.1"), RIP], "s"), *told([host("s1", "10.0.0.1")], "t")]
    shelf.apply(both)
    assert shelf.plan(both, held=["t"]).steps == []
    assert shelf.plan(both, held=["s"]).steps == []


def test_when_a_record_changes_its_owner_nothing_is_released(shelf: Shelf) -> None:
    shelf.apply([*told([VIP], "s"), *told([VIP], "t")])
    plan = shelf.apply(told([VIP], "t"))
    assert counts(plan) == (0, 1, 0, 0)
    (obj,) = shelf.objects().values()
    assert (obj.source, obj.values("Source")) == ("t", ("t",))


# --- IDs and keys ---


def test_an_id_stays_when_a_name_of_the_same_spelling_comes_or_goes(shelf: Shelf) -> None:
    first, second = node("a.b", "10.0.0.1"), node("a-b", "10.0.0.2")
    for facts in ([first], [first, second], [second], [second, first]):
        shelf.apply(facts)
        shelf.apply(facts, today=TODAY + 99 * DAY)
        before = {o.get("Host-Name"): i for i, o in shelf.objects().items()}
        shelf.apply([first, second], today=TODAY + 99 * DAY)
        after = {o.get("Host-Name"): i for i, o in shelf.objects().items()}
        assert before.items() <= after.items()
        assert set(after) == {"a.b", "a-b"}


def test_an_id_stays_when_a_machine_gets_its_name_from_a_nearer_source(shelf: Shelf) -> None:
    shelf.apply([node(None, "10.0.0.1"), host("s1", "10.0.0.1")])
    (before,) = shelf.objects()
    assert counts(shelf.apply([node("s1", "10.0.0.1")])) == (0, 0, 0, 0)
    assert list(shelf.objects()) == [before]


def test_a_machine_that_gets_a_name_is_changed_and_not_doubled(shelf: Shelf) -> None:
    shelf.apply([node(None, "10.0.0.1")])
    assert counts(shelf.apply([node(None, "10.0.0.1"), host("s1", "10.0.0.1")])) == (0, 1, 0, 0)
    (obj,) = shelf.objects().values()
    assert (obj.get("Host-Name"), obj.get("IP-Address")) == ("s1", "10.0.0.1")


# --- guards ---


def plan_that_releases(count: int, source: str = "s") -> AreaPlan:
    shelf = Shelf()
    shelf.apply(told([vip(f"192.0.2.{n}") for n in range(1, count + 1)], source))
    return shelf.plan([])


@pytest.mark.parametrize(
    ("gone", "own", "share", "refused"),
    [
        (1, 1, 0.1, False),
        (1, 2, 0.1, False),
        (2, 2, 0.1, True),
        (2, 3, 0.1, True),
        (9, 18, 0.1, False),
        (9, 17, 0.1, True),
        (10, 20, 0.1, True),
        (10, 100, 0.1, False),
        (11, 100, 0.1, True),
        (11, 100, 0.2, False),
        (20, 20, 1.0, False),
        (20, 20, 0.99, True),
        (20, 1000, 0.0, True),
    ],
)
def test_how_much_may_go(gone: int, own: int, share: float, refused: bool) -> None:
    plan = plan_that_releases(gone)
    found = too_many([plan], {("s", plan.area): own}, share)
    assert bool(found) is refused
    if refused:
        assert f"{gone} of its {own} records in {plan.area} would be released" in found["s"]
        assert f"more than {share:.0%};" in found["s"]
        assert "--max-removals" in found["s"]


def test_each_source_is_guarded_by_itself() -> None:
    plans = [plan_that_releases(20, "s"), plan_that_releases(2, "t")]
    area = plans[0].area
    assert list(too_many(plans, {("s", area): 20, ("t", area): 100}, 0.1)) == ["s"]


def test_each_area_is_guarded_by_itself() -> None:
    """One address that has an object in each of two areas is one in each, not two of two."""
    plans = [plan_that_releases(1), replace(plan_that_releases(1), area="other.example")]
    live = {("s", plans[0].area): 1, ("s", "other.example"): 1}
    assert too_many(plans, live, 0.1) == {}


def test_changes_and_removals_are_no_releases() -> None:
    shelf = Shelf()
    some = told([vip(f"192.0.2.{n}") for n in range(1, 21)])
    shelf.apply(some)
    shelf.apply([])
    plan = shelf.plan([], today=TODAY + 99 * DAY)
    assert plan.count(Action.REMOVE) == 20
    assert too_many([plan], {}, 0.1) == {}


# --- for people ---


def test_the_steps_say_what_goes_and_comes(shelf: Shelf) -> None:
    shelf.apply([VIP])
    (step,) = shelf.plan([vip("192.0.2.1", port=80)]).steps
    assert (step.action, step.owner) == (Action.CHANGE, "s")
    assert "Service: 443/tcp" in step.diff.minus
    assert "Service: 80/tcp" in step.diff.plus
    assert Step(Action.REMOVE, step.before, None).owner == "s"


def test_stamps_replace_older_ones() -> None:
    obj = Object("a.net", "vip", (("Updated", "1"), ("IP-Address", "192.0.2.1"), ("created", "2")))
    made = stamped(obj, "20260301010203004", None)
    assert made.lines == (
        ("IP-Address", "192.0.2.1"),
        ("Created", "20260301"),
        ("Updated", "20260301010203004"),
        ("Updated-By", "inventory"),
    )
    assert str(Clash(obj, "zone")).endswith("is zone's and is left as it is")


# --- as a property ---

machines = st.builds(
    node,
    st.sampled_from([None, "a.b", "a-b", "A.b", "c"]),
    st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    port=st.sampled_from([None, 80]),
)
balanced: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        vip,
        st.sampled_from(["192.0.2.1", "192.0.2.2", "10.0.0.1"]),
        port=st.sampled_from([None, 80, 443]),
        pool=st.sampled_from([None, "web"]),
        disabled=st.booleans(),
    ),
    st.builds(
        rip,
        st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        belongs_to=st.sampled_from([None, "web", "192.0.2.1:80/tcp"]),
        standby=st.booleans(),
    ),
    machines,
    st.builds(host, st.sampled_from(["h", "a.b", "c"]), st.sampled_from(["10.0.0.1", "10.9.0.1"])),
)
sourced = st.lists(
    st.builds(lambda f, s: told([f], s)[0], balanced, st.sampled_from("stu")), max_size=7
)


@settings(max_examples=150)
@given(states=st.lists(sourced, min_size=1, max_size=4), days=st.integers(0, 40))
def test_after_an_apply_nothing_is_left_to_do(states: list[list[Sourced]], days: int) -> None:
    shelf = Shelf(table())
    for number, facts in enumerate(states):
        today = TODAY + number * days * DAY
        shelf.apply(facts, today=today)
        shelf.objects()  # no ID twice
        again = shelf.plan(facts, today=today)
        assert (again.steps, again.conflicts) == ([], [])


@settings(max_examples=150)
@given(first=sourced, second=sourced, held=st.sets(st.sampled_from("stu")))
def test_no_object_of_a_held_source_is_touched(
    first: list[Sourced], second: list[Sourced], held: set[str]
) -> None:
    shelf = Shelf(table())
    shelf.apply(first)
    theirs = {
        row: one
        for row, one in shelf.stored.items()
        if {*one.object.values("Source"), one.object.source} & held
    }
    shelf.apply(second, held=held)
    assert theirs.items() <= shelf.stored.items()
    keys = [(o.class_name, o.get("Host-Name") if "node" in o.class_name else o.get("IP-Address"))
            for o in shelf.objects().values()]  # fmt: skip
    assert len(keys) == len(set(keys)), "a primary key is given twice"
