"""Private lines in rfc mode: who satisfies no guardian finds nothing by them (§2.3.1, §4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import IndexType, Schema
from rwhoisd.query.parser import Allowed
from rwhoisd.service.hashing import argon2_hash
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.unit import service_kit as kit

HOST = replace(
    kit.CONTACT,
    name="host",
    own_attributes=(
        kit.attribute("Name", IndexType.EXACT),
        kit.attribute("Phone", IndexType.ALL, private=True, repeatable=True),
        kit.attribute("Inner", IndexType.CIDR, private=True),
        kit.attribute("Note", private=True),
    ),
    aliases=(),
)
AREA = AuthorityArea(AreaName.from_text("a.com"), kit.SOA, Schema((HOST, kit.GUARDIAN)))
OBJECTS: Sequence[Object] = (
    kit.entry("a.com", "guardian", "ID:G1.a.com|Guard-Scheme:pw|Guard-Info:one"),
    kit.entry("a.com", "guardian", "ID:G2.a.com|Guard-Scheme:pw|Guard-Info:two"),
    kit.entry(
        "a.com",
        "host",
        "ID:1.a.com|Name:Mine|Phone:555-1234|Phone:Smith|Inner:10.1.2.0/24|Note:x|Guardian:G1.a.com",
    ),
    kit.entry("a.com", "host", "ID:2.a.com|Name:Hers|Phone:555-1299|Guardian:G2.a.com|Private:yes"),
    kit.entry("a.com", "host", "ID:3.a.com|Name:Free|Phone:555-1200"),
)

GUESSES = [
    *("555-1234", "phone=555-1234", "host phone=555-1234", "555-123*", "phone=555-12*"),
    *("phone=*5-1234", "phone=*55-12*", "phone=smith", "smyth", "host smith", "10.1.2.3"),
    *("10.0.0.0/8**", "inner=10.1.2.0/24", "inner=10.1.2.*", "host inner=10.1.0.0/16**"),
    *("name=mine and phone=555-1234", "mine and x", "mine and note=x", "phone=555* and mine"),
    *("nothing or phone=555-1234", "phone=555-1234 or phone=555-1299", "hers and private=yes"),
]


@dataclass
class Failures:
    """Counts failures, and lets everybody try."""

    counted: list[int] = field(default_factory=list)

    def may_try(self, address: str) -> bool:
        return bool(address)

    def failed(self, address: str, number: int) -> None:
        assert address
        self.counted.append(number)


def talk(
    folder: Path, objects: Sequence[Object] = OBJECTS, failures: Failures | None = None
) -> kit.Talk:
    chosen = kit.settings("rfc", allowed=Allowed(leading_wildcard=True))
    reader = kit.open_reader(folder, (AREA,), objects, "rfc")
    one = kit.Talk(Service(reader, chosen, Ports(failures=failures or Failures())), "127.0.0.1")
    one.session.peer.holdconnect = True
    return one


def ids(lines: Sequence[str]) -> list[str]:
    found = [line.partition(":ID:")[2] for line in lines if ":ID:" in line]
    return [*found, *(line for line in lines if line.startswith("%"))]


@pytest.mark.parametrize("guess", GUESSES)
def test_a_guess_finds_what_nobody_guards_only(tmp_path: Path, guess: str) -> None:
    one = talk(tmp_path)
    wanted = [x for x in ids(one.say(guess)) if x != "3.a.com"]
    assert wanted in (["%ok"], ["%error 230 No objects found"])
    less = talk(tmp_path / "less", [o for o in OBJECTS if o.id not in ("1.a.com", "2.a.com")])
    if "hers" not in guess and "mine" not in guess:
        assert one.say(guess) == less.say(guess)
    one.say("-security on request pw wrong")
    assert one.say(guess) == talk(tmp_path / "again").say(guess)


def test_a_limit_is_not_used_up_by_what_is_not_found(tmp_path: Path) -> None:
    one = talk(tmp_path)
    assert ids(one.say("-limit 1", "phone=555*")) == ["3.a.com", "%ok", "%ok"]


def test_a_hidden_object_is_found_by_what_is_not_private(tmp_path: Path) -> None:
    one = talk(tmp_path)
    assert one.say("hers") == ["%ok"]  # N6
    assert one.say("hers and id=2*") == ["%ok"]
    assert one.say("hers and phone=555-1299") == ["%error 230 No objects found"]


@pytest.mark.parametrize(
    ("guess", "found"),
    [
        ("phone=555*", ["3.a.com", "1.a.com", "%ok"]),
        ("555-1234", ["1.a.com", "%ok"]),
        ("555-1299", ["%error 230 No objects found"]),  # that is another one's
        ("smyth", ["1.a.com", "%ok"]),
        ("10.1.2.3", ["1.a.com", "%ok"]),
        ("10.0.0.0/8**", ["1.a.com", "%ok"]),
        ("phone=*5-1234", ["1.a.com", "%ok"]),
        ("mine and note=x", ["1.a.com", "%ok"]),
        ("name=mine and phone=555-1234", ["1.a.com", "%ok"]),
        ("phone=555-1299 or phone=555-1234", ["1.a.com", "%ok"]),
    ],
)
def test_a_guardian_finds_what_it_may_see(tmp_path: Path, guess: str, found: list[str]) -> None:
    one = talk(tmp_path)
    one.say("-security on request pw one")
    lines = one.say(guess)
    assert ids(lines) == found
    assert ("host:Phone:555-1234" in lines) == ("1.a.com" in found)
    one.say("-security off")
    assert "1.a.com" not in ids(one.say("phone=555-1234"))


@pytest.mark.parametrize("guess", ["phone=555-1234", "phone=999", "phone=*9", "nothing or smith"])
def test_a_wrong_password_costs_the_same_whatever_was_guessed(tmp_path: Path, guess: str) -> None:
    failures = Failures()
    one = talk(tmp_path, failures=failures)
    one.say("-security on request pw wrong", guess, guess)
    assert failures.counted == [1]


def test_a_hashed_secret_finds_too(tmp_path: Path) -> None:
    hashed = (*OBJECTS[0].lines[:-1], ("Guard-Info", argon2_hash("one")))
    guardian = replace(
        OBJECTS[0],
        lines=tuple((n, "argon2id" if n == "Guard-Scheme" else v) for n, v in hashed),
    )
    one = talk(tmp_path, [guardian, *OBJECTS[1:]])
    assert ids(one.say("-security on request pw one", "555-1234")) == ["1.a.com", "%ok", "%ok"]


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_a_password_is_searched_in_neither_mode(tmp_path: Path, compat: Compat) -> None:
    """ARIN's server has a guardian's password guessed letter by letter behind an "and"."""
    own = (kit.attribute("Guard-Scheme"), kit.attribute("Guard-Info", IndexType.ALL, private=True))
    schema = Schema((HOST, replace(kit.GUARDIAN, own_attributes=own)))
    reader = kit.open_reader(tmp_path, (replace(AREA, schema=schema),), OBJECTS, compat)
    one = kit.Talk(Service(reader, kit.settings(compat), Ports()), "127.0.0.1")
    one.session.peer.holdconnect = True
    for proof in ("-status", "-security on request pw one"):
        one.say(proof)
        for guess in ("id=G1.a.com and guard-info=o*", "id=G1.a.com and one", "guard-info=o*"):
            assert one.say(guess)[-1].startswith("%error 230"), guess
