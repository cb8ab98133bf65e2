"""What a load does to which object: pure (issue: re-import and conflicts)."""

from dataclasses import replace

import pytest

from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, Schema
from rwhoisd.formats.plan import Plan, diff, plan

SCHEMA = Schema(
    (ClassDef("thing", (AttributeDef("Name", required=True, primary=True), AttributeDef("Note"))),)
)


def thing(object_id: str | None, name: str, note: str = "", source: str = "zone") -> Object:
    lines = [("ID", object_id), ("Name", name), ("Note", note)]
    return Object("a.com", "thing", tuple((n, v) for n, v in lines if v), source)


def stored(*objects: Object) -> list[StoredObject]:
    return [StoredObject(100 + place, place, obj) for place, obj in enumerate(objects)]


def made(
    wanted: list[Object], there: list[Object], *, prune: bool = False, force: bool = False
) -> Plan:
    return plan(wanted, stored(*there), SCHEMA, "zone", prune=prune, force=force)


A, B = thing("1.a.com", "a"), thing("2.a.com", "b")


def test_nothing_to_do() -> None:
    found = made([A, B], [A, B])
    assert found.empty
    assert (found.unchanged, found.own) == (2, 2)


def test_new_objects_come_at_their_place() -> None:
    found = made([A, B], [A])
    assert [(step.object, step.position) for step in found.added] == [(B, 1)]


def test_the_id_says_which_object_changed_whatever_its_case() -> None:
    new = thing("1.A.com", "renamed")
    (step,) = made([new], [A]).changed
    assert (step.known.row, step.object) == (100, new)


def test_without_id_the_primary_key_does() -> None:
    (step,) = made([thing(None, "A", "new")], [thing(None, "a")]).changed
    assert step.known.row == 100


def test_without_both_all_lines_do() -> None:
    old, new = thing(None, "", "x"), thing(None, "", "y")
    found = made([new, old], [old], prune=True)
    assert ([s.object for s in found.added], found.unchanged) == ([new], 0)
    assert len(found.moved) == 1


def test_what_is_gone_stays_unless_pruned() -> None:
    assert [k.name for k in made([A], [A, B]).left] == ["2.a.com"]
    assert [k.name for k in made([A], [A, B], prune=True).removed] == ["2.a.com"]


def test_objects_of_others_are_never_removed() -> None:
    found = made([], [replace(A, source="registration")], prune=True)
    assert found.empty
    assert found.own == 0


def test_what_somebody_else_changed_is_a_conflict() -> None:
    changed = thing("1.a.com", "changed", source="registration")
    (conflict,) = made([A], [changed]).conflicts
    assert (conflict.object, conflict.source) == (A, "registration")
    assert str(conflict) == (
        "thing 1.a.com was changed by registration and is left so; --force takes ours"
    )
    forced = made([A], [changed], force=True)
    assert (len(forced.changed), forced.conflicts) == (1, [])


def test_what_somebody_else_changed_to_what_we_want_is_none() -> None:
    found = made([A], [replace(A, source="registration")])
    assert (found.unchanged, found.conflicts) == (1, [])


def test_double_ids_are_matched_by_content_first() -> None:
    other = thing("1.a.com", "other")
    found = made([other, A], [A, other])
    assert found.changed == []
    assert {(s.known.row, s.position) for s in found.moved} == {(101, 0), (100, 1)}


def test_another_answer_order_is_a_move() -> None:
    (step,) = made([replace(A, order=7)], [A]).moved
    assert step.object.order == 7


@pytest.mark.parametrize(
    ("own", "gone", "share", "refused"),
    [
        (20, 2, 0.1, False),
        (200, 20, 0.1, False),
        (200, 21, 0.1, True),
        (40, 9, 0.1, False),
        (40, 10, 0.1, True),
        (8, 4, 0.1, False),
        (8, 5, 0.1, True),
        (1, 1, 0.1, False),
        (12, 12, 1.0, False),
    ],
)
def test_a_guard_stands_before_large_removals(
    own: int, gone: int, share: float, refused: bool
) -> None:
    there = [thing(f"{number}.a.com", str(number)) for number in range(own)]
    reason = made(there[gone:], there, prune=True).refusal(share)
    assert (reason is not None) == refused
    if reason:
        assert reason.startswith(f"{gone} of {own} objects would be removed, more than {share:.0%}")


def test_a_diff_goes_line_by_line() -> None:
    found = diff("change", thing("1.a.com", "a", "old"), thing("1.a.com", "a", "new"))
    assert (found.minus, found.plus) == (("Note: old",), ("Note: new",))
