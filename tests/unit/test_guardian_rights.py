"""Who may add, change, delete and see: guardians of objects, guardians, classes and areas.

RFC 2167 §2.3.6, §4.1 and §4.2; first the table, then the table over the wire.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.guardian import Act, guardian_ids, is_guarded, may
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import Schema
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.unit import service_kit as kit

AREA_ONE, CLASS_ONE, OWN, OTHER, SELF = (f"{n}.a.com" for n in ("GA", "GC", "GO", "GX", "GS"))
STALE = "GONE.a.com"


def guardian(object_id: str, *linked: str) -> Object:
    info = object_id.partition(".")[0].lower()
    lines = [("ID", object_id), ("Guard-Scheme", "pw"), ("Guard-Info", info), ("Updated", "1")]
    return Object("a.com", "guardian", (*lines, *(("Guardian", name) for name in linked)))


def contact(*linked: str) -> Object:
    lines = [("ID", "1.a.com"), ("Name", "One"), ("Pin", "7"), ("Updated", "1")]
    return Object("a.com", "contact", (*lines, *(("Guardian", name) for name in linked)))


def area(*guardians: str, of_class: tuple[str, ...] = ()) -> AuthorityArea:
    classes = (replace(kit.CONTACT, guardians=of_class), kit.GUARDIAN)
    return AuthorityArea(AreaName.from_text("a.com"), kit.SOA, Schema(classes), guardians=guardians)


LIVE = [guardian(name) for name in (AREA_ONE, CLASS_ONE, OWN, OTHER)]
BOTH = area(AREA_ONE, of_class=(CLASS_ONE,))
EVERYBODY, NOBODY = "everybody", "nobody"

# object, area → who may add it; who may change, delete and see it
ROWS = {
    "nothing-guards-it": (contact(), area(), EVERYBODY, EVERYBODY),
    "its-own": (contact(OWN), area(), EVERYBODY, {OWN}),
    "two-of-its-own": (contact(OWN, OTHER), area(), EVERYBODY, {OWN, OTHER}),
    "its-area's": (contact(), area(AREA_ONE), {AREA_ONE}, {AREA_ONE}),
    "its-class's": (contact(), area(of_class=(CLASS_ONE,)), {CLASS_ONE}, {CLASS_ONE}),
    "all-three": (contact(OWN), BOTH, {AREA_ONE, CLASS_ONE}, {OWN, AREA_ONE, CLASS_ONE}),
    "its-own-are-gone": (contact(STALE), area(), EVERYBODY, NOBODY),
    "one-of-them-is-gone": (contact(STALE, OWN), area(), EVERYBODY, {OWN}),
    "its-own-are-gone-not-its-area's": (
        contact(STALE),
        area(AREA_ONE),
        {AREA_ONE},
        {AREA_ONE},
    ),
    "the-area's-are-gone": (contact(), area(STALE), NOBODY, NOBODY),
    "a-guardian": (guardian(SELF), area(), EVERYBODY, {SELF}),
    "a-guardian-that-names-itself": (guardian(SELF, SELF), area(), EVERYBODY, {SELF}),
    "a-guardian-under-another": (guardian(SELF, OWN), area(), EVERYBODY, {OWN}),
    "a-guardian-whose-own-are-gone": (guardian(SELF, STALE), area(), EVERYBODY, {SELF}),
    "a-guardian-of-a-guarded-area": (
        guardian(SELF),
        area(AREA_ONE),
        {AREA_ONE},
        {SELF, AREA_ONE},
    ),
    "a-guardian-of-another-class": (guardian(SELF), area(of_class=(OWN,)), EVERYBODY, {SELF}),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_table(name: str) -> None:
    obj, where, adders, others = ROWS[name]
    known = [*LIVE, guardian(SELF)] if SELF in obj.guardians else LIVE
    for act in Act:
        wanted = adders if act is Act.ADD else others
        linked = guardian_ids(obj, where, act)
        live = [g for g in known if g.id in linked]
        assert is_guarded(obj, where, act) == (wanted != EVERYBODY)
        assert may(act, obj, where, live, ()) == (wanted == EVERYBODY)
        for one in (AREA_ONE, CLASS_ONE, OWN, OTHER, SELF, STALE):
            # Who offers something is asked for the guardians there are, and for the object itself.
            held = {one} & {g.id or "" for g in (*live, obj)}
            assert may(act, obj, where, live, held) == (wanted == EVERYBODY or one in wanted), act


# --- over the wire ---


def talk(folder: Path, where: AuthorityArea, *objects: Object, secret: str = "") -> kit.Talk:
    stored = (*LIVE, *objects)
    reader = kit.open_reader(folder, (where,), stored, "rfc")
    registry = kit.FakeRegistry(stored, (where,))
    one = kit.Talk(Service(reader, kit.settings("rfc"), Ports(registry=registry)), "127.0.0.1")
    one.session.peer.holdconnect = True
    if secret:
        assert one.say(f"-security on request pw {secret}") == ["%ok"]
    return one


def record(obj: Object, *more: str) -> list[str]:
    lines = [f"{name}:{value}" for name, value in obj.lines]
    return ["Auth-Area:a.com", f"Class-Name:{obj.class_name}", *lines, *more]


def change(one: kit.Talk, action: str, obj: Object, new: Object | None = None) -> str:
    lines = record(obj)
    if action == "mod":
        lines = [*lines, "_NEW_", *record(new or obj)]
    said = one.say(f"-register on {action} a@b.com", *lines, "-register off")
    return said[-1]


OK, REFUSED = "%ok", "%error 420"
ACTIONS = ["add", "mod", "del"]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "name", ["all-three", "its-own", "a-guardian", "its-class's", "its-area's"]
)
@pytest.mark.parametrize("secret", ["", "ga", "gc", "go", "gx", "gs"])
def test_the_table_over_the_wire(tmp_path: Path, name: str, action: str, secret: str) -> None:
    obj, where, adders, others = ROWS[name]
    stored = () if action == "add" else (obj,)
    wanted = adders if action == "add" else others
    said = change(talk(tmp_path, where, *stored, secret=secret), action, obj)
    allowed = wanted == EVERYBODY or f"{secret.upper()}.a.com" in wanted
    assert said.startswith(OK if allowed else REFUSED)


@pytest.mark.parametrize("directive", ["id=1.a.com", "-xfer a.com class=contact"])
@pytest.mark.parametrize(
    ("secret", "sees"), [("", False), ("gx", False), ("go", True), ("gc", True), ("ga", True)]
)
def test_each_of_its_guardians_sees_all_of_it(
    tmp_path: Path, directive: str, secret: str, sees: bool
) -> None:
    lines = talk(tmp_path, BOTH, contact(OWN), secret=secret).say(directive)
    assert ("contact:Pin:7" in [x.removeprefix("%xfer ") for x in lines]) == sees


def test_a_new_guardian_line_gives_no_right_before_it_is_stored(tmp_path: Path) -> None:
    one = talk(tmp_path, area(), contact(OWN), secret="gx")
    assert change(one, "mod", contact(OWN), contact(OTHER)).startswith(REFUSED)
    assert change(one, "mod", contact(OWN), contact(OWN, OTHER)).startswith(REFUSED)
    assert change(one, "mod", contact(OWN), contact()).startswith(REFUSED)


def test_a_guardian_hands_its_object_over(tmp_path: Path) -> None:
    one = talk(tmp_path, area(), contact(OWN), secret="go")
    assert change(one, "mod", contact(OWN), contact(OTHER)) == OK


def test_whoever_may_add_may_name_any_guardian_and_has_no_right_by_it(tmp_path: Path) -> None:
    one = talk(tmp_path, area(AREA_ONE), secret="ga")
    assert change(one, "add", contact(OTHER)) == OK
    one = talk(tmp_path / "named", area(AREA_ONE), secret="gx")
    assert change(one, "add", contact(OTHER)).startswith(REFUSED)  # its own line does not help


def test_a_new_guardian_does_not_authorise_itself(tmp_path: Path) -> None:
    one = talk(tmp_path, area(AREA_ONE), secret="gs")
    assert change(one, "add", guardian(SELF)).startswith(REFUSED)


def test_a_changed_secret_is_not_its_own_proof(tmp_path: Path) -> None:
    new = guardian(SELF)
    taken = replace(new, lines=tuple((n, "mine" if n == "Guard-Info" else v) for n, v in new.lines))
    one = talk(tmp_path, area(), guardian(SELF), secret="mine")
    assert change(one, "mod", guardian(SELF), taken).startswith(REFUSED)
    one = talk(tmp_path / "right", area(), guardian(SELF), secret="gs")
    assert change(one, "mod", guardian(SELF), taken) == OK
