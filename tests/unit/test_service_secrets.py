"""Hashed guardians, failed authentications, and where secrets are accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from argon2 import low_level

from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.objects import Object
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import QueryRequest
from rwhoisd.service import guardians as module
from rwhoisd.service.guardians import MOST_HASHES, is_clear
from rwhoisd.service.hashing import argon2_hash, argon2_matches
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.unit.service_kit import OBJECTS, FakeRegistry, Talk, entry, open_reader, settings

T = TypeVar("T")
HASH = argon2_hash("fjord")
OBJECTS_HASHED = (
    entry("a.com", "contact", "ID:1.a.com|Name:One|Guardian:9.a.com|Pin:41"),
    entry("a.com", "contact", "ID:2.a.com|Name:Two|Guardian:8.a.com|Pin:42"),
    entry("a.com", "contact", "ID:3.a.com|Name:Three|Guardian:gone.a.com|Pin:43"),
    entry("a.com", "contact", "ID:4.a.com|Name:Free|Pin:44"),
    entry("a.com", "guardian", f"ID:9.a.com|Guard-Scheme:argon2id|Guard-Info:{HASH}"),
    entry("a.com", "guardian", "ID:8.a.com|Guard-Scheme:pw|Guard-Info:clear"),
    entry("b.net", "contact", "ID:5.b.net|Name:Area|Pin:45"),
    entry("b.net", "guardian", f"ID:G.b.net|Guard-Scheme:argon2id|Guard-Info:{HASH}"),
)


@dataclass
class CountingAside:
    """Does the work at once and counts it."""

    works: int = 0
    meanwhile: Callable[[], None] = lambda: None

    async def run(self, work: Callable[[], T]) -> T:
        self.works += 1
        self.meanwhile()
        return work()


@dataclass
class CountingFailures:
    """Lets a client fail so many times."""

    most: int = 1_000_000
    charged: list[tuple[str, int]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(number for _, number in self.charged)

    def may_try(self, address: str) -> bool:
        return self.total < self.most

    def failed(self, address: str, number: int) -> None:
        self.charged.append((address, number))


@dataclass
class Kit:
    talk: Talk
    aside: CountingAside
    failures: CountingFailures
    registry: FakeRegistry

    def pins(self, *lines: str) -> list[str]:
        """The private lines that come back."""
        return [line.partition("Pin:")[2] for line in self.talk.say(*lines) if "Pin:" in line]


def kit(
    folder: Path,
    *objects: Object,
    most: int = 1_000_000,
    address: str = "192.0.2.7",
    compat: Compat = "arin",
    **changes: Any,
) -> Kit:
    chosen = objects or OBJECTS_HASHED
    aside, failures, registry = CountingAside(), CountingFailures(most), FakeRegistry(chosen)
    ports = Ports(registry=registry, aside=aside, failures=failures)
    reader = open_reader(folder, objects=chosen, compat=compat)
    service = Service(reader, settings(compat, **changes), ports)
    made = Kit(Talk(service, address), aside, failures, registry)
    made.talk.say("-holdconnect on")
    return made


@pytest.mark.parametrize(
    ("scheme", "secret", "seen"),
    [
        pytest.param("argon2id", "fjord", ["41"], id="its own scheme"),
        pytest.param("ARGON2ID", "fjord", ["41"], id="letter case of the scheme"),
        pytest.param("pw", "fjord", ["41"], id="what clients sent before it was hashed"),
        pytest.param("passwd", "fjord", ["41"], id="another word for it"),
        pytest.param("pw", "Fjord", [], id="letter case of the secret"),
        pytest.param("crypt-pw", "fjord", [], id="another hash"),
        pytest.param("argon2id", HASH, [], id="the hash is no secret"),
        pytest.param("pw", HASH, [], id="the hash is no password"),
        pytest.param("argon2id", "fj\xf8rd", [], id="not of the charset's letters"),
    ],
)
def test_a_hashed_guardian(tmp_path: Path, scheme: str, secret: str, seen: list[str]) -> None:
    one = kit(tmp_path)
    assert one.pins(f"-security on request {scheme} {secret}", "1.a.com") == seen


def test_argon2id_does_not_satisfy_a_clear_guardian(tmp_path: Path) -> None:
    assert kit(tmp_path).pins("-security on request argon2id clear", "2.a.com") == []


def test_a_hash_is_computed_once_for_an_offer(tmp_path: Path) -> None:
    one = kit(tmp_path)
    one.talk.say("-security on request pw fjord", "1.a.com", "1.a.com", "9.a.com", "1.a.com")
    assert one.aside.works == 1
    one.talk.say("-security on request pw wrong", "1.a.com", "1.a.com")
    assert one.aside.works == 2
    one.talk.say("-security on request pw wrong", "1.a.com")
    assert one.aside.works == 3


def test_nothing_is_computed_for_those_who_ask_for_what_is_not_guarded(tmp_path: Path) -> None:
    one = kit(tmp_path)
    assert one.pins("-security on request pw fjord", "4.a.com") == ["44"]
    one.talk.say("-security off", "1.a.com")
    assert one.aside.works == 0


@pytest.mark.parametrize(
    ("offer", "query", "waits"),
    [
        pytest.param("-security off", "1.a.com", False, id="nobody in particular"),
        pytest.param("-security on request pw x", "4.a.com", False, id="not guarded"),
        pytest.param("-security on request pw clear", "2.a.com", False, id="proven"),
        pytest.param("-security on request pw x", "2.a.com", True, id="a clear guardian"),
        pytest.param("-security on request pw x", "3.a.com", True, id="no guardian"),
        pytest.param("-security on request pw x", "1.a.com", True, id="a hashed guardian"),
    ],
)
def test_only_a_guess_makes_a_query_wait(
    tmp_path: Path, offer: str, query: str, waits: bool
) -> None:
    one = kit(tmp_path)
    one.talk.say(offer)
    reply = one.talk.service.handle(one.talk.session.peer, QueryRequest(query.encode()))
    assert isinstance(reply, Reply) is not waits
    if not isinstance(reply, Reply):
        asyncio.run(awaited(reply))


async def awaited(coming: Awaitable[Reply]) -> Reply:
    return await coming


def test_hashes_of_one_request_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(secret: str, info: str) -> bool:
        return info == f"{secret}-hashed"

    monkeypatch.setattr(module, "argon2_matches", quick)
    monkeypatch.setattr(module, "argon2_refusal", lambda info: "")
    count = MOST_HASHES + 4
    objects = []
    for number in range(count):
        info = "fjord-hashed" if number == count - 1 else f"{number}-hashed"
        guardian = f"ID:g{number}.a.com|Guard-Scheme:argon2id|Guard-Info:{info}"
        objects.append(entry("a.com", "guardian", guardian))
        text = f"ID:{number}.a.com|Name:x|Guardian:g{number}.a.com|Pin:{number}"
        objects.append(entry("a.com", "contact", text))
    one = kit(tmp_path, *objects)
    assert one.pins("-security on request pw fjord", "contact Name=x") == []
    assert one.aside.works == MOST_HASHES
    # what was computed is remembered, so that the next one comes further
    assert one.pins("contact Name=x") == [str(count - 1)]
    assert one.aside.works == count


@dataclass
class Computed:
    """Counts the hashes of argon2 that are computed; each is of another secret."""

    hashes: int = 0


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Computed:
    found = Computed()

    def counting(*arguments: Any) -> bool:
        found.hashes += 1
        return False

    monkeypatch.setattr(low_level, "verify_secret", counting)
    return found


# However a guardian keeps its secret, and whether it is there at all.
KINDS = {
    "argon2id": f"Guard-Scheme:argon2id|Guard-Info:{HASH}",
    "a hash that is refused": "Guard-Scheme:argon2id|Guard-Info:$argon2id$v=19$m=1,t=1,p=1$x$y",
    "clear": "Guard-Scheme:pw|Guard-Info:clear",
    "crypt-pw": "Guard-Scheme:crypt-pw|Guard-Info:ab2Vqm.AnTodk",
    "no crypt(3) hash": "Guard-Scheme:crypt-pw|Guard-Info:x",
    "pgp": "Guard-Scheme:pgp|Guard-Info:0123456789ABCDEF0123456789ABCDEF01234567",
    "unknown scheme": "Guard-Scheme:smoke|Guard-Info:x",
    "without secret": "Guard-Scheme:pw",
    "none": "",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("1.a.com",), id="query"),
        pytest.param(("-xfer a.com class=contact",), id="transfer"),
        pytest.param(
            ("-register on del x@a.com", "ID: 1.a.com", "Updated: 2024", "-register off"),
            id="registration",
        ),
    ],
)
def test_a_guess_costs_the_same_whoever_guards(
    tmp_path: Path, computed: Computed, kind: str, lines: tuple[str, ...]
) -> None:
    objects = [entry("a.com", "contact", "ID:1.a.com|Name:x|Guardian:9.a.com|Updated:2024|Pin:1")]
    if KINDS[kind]:
        objects.append(entry("a.com", "guardian", f"ID:9.a.com|{KINDS[kind]}"))
    one = kit(tmp_path, *objects)
    for number, offer in enumerate(("pw wrong", "crypt-pw wrong", "argon2id x", "pw wr\xf6ng"), 1):
        said = one.talk.say(f"-security on request {offer}", *lines)
        assert computed.hashes == one.failures.total == number
        # asked again nothing is computed, whoever guards
        assert one.talk.say(*lines) == said[1:]
        assert computed.hashes == one.failures.total == number


def test_adding_to_an_area_costs_the_same_whoever_guards_it(
    tmp_path: Path, computed: Computed
) -> None:
    for number, kind in enumerate(KINDS.values()):
        guardians = [entry("b.net", "guardian", f"ID:G.b.net|{kind}")] if kind else []
        contact = entry("b.net", "contact", "ID:5.b.net|Name:x|Pin:45")
        one = kit(tmp_path / str(number), contact, *guardians)
        lines = ("Auth-Area: b.net", "Class-Name: contact", "Name: New", "-register off")
        said = one.talk.say("-security on request pw wrong", "-register on add x@a.com", *lines)
        assert said[-1] == "%error 420 Registration Not Authorized"
        assert computed.hashes == number + 1


def test_what_guesses_cost_is_bounded(tmp_path: Path, computed: Computed) -> None:
    objects = [
        entry("a.com", "contact", f"ID:{n}.a.com|Name:x|Guardian:g{n}.a.com|Pin:{n}")
        for n in range(MOST_HASHES + 4)
    ]
    one = kit(tmp_path, *objects)
    one.talk.say("-security on request pw wrong", "contact Name=x")
    assert computed.hashes == MOST_HASHES
    one.talk.say("contact Name=x", "contact Name=x", "contact Name=x")
    assert computed.hashes == MOST_HASHES + 4


def test_who_is_proven_waits_for_nothing(tmp_path: Path, computed: Computed) -> None:
    one = kit(tmp_path)
    assert one.pins("-security on request pw clear", "2.a.com", "3.a.com", "2.a.com") == ["42"] * 2
    assert computed.hashes == 0


def test_a_transfer_shows_hashed_guardians_what_is_theirs(tmp_path: Path) -> None:
    one = kit(tmp_path)
    assert one.pins("-security on request pw fjord", "-xfer a.com class=contact") == ["41", "44"]
    assert one.pins("-xfer b.net class=contact") == ["45"]
    assert one.pins("-security on request pw wrong", "-xfer b.net class=contact") == []
    assert one.failures.total == 1


# -- failures


@pytest.mark.parametrize(
    ("query", "charged"),
    [
        pytest.param("1.a.com", 1, id="hashed"),
        pytest.param("2.a.com", 1, id="clear"),
        pytest.param("3.a.com", 1, id="a guardian that does not exist"),
        pytest.param("9.a.com", 1, id="the guardian itself"),
        pytest.param("4.a.com", 0, id="not guarded"),
        pytest.param("nothing", 0, id="not found"),
        pytest.param("-xfer a.com class=contact", 3, id="transfer"),
        pytest.param("-xfer 10.0.0.0/8", 1, id="transfer of what is not guarded"),
    ],
)
def test_a_guardian_that_is_not_satisfied_is_charged_once(
    tmp_path: Path, query: str, charged: int
) -> None:
    one = kit(tmp_path)
    one.talk.say("-security on request pw wrong", query, query)
    assert one.failures.total == charged
    assert {address for address, _ in one.failures.charged} <= {"192.0.2.7"}


def test_an_offer_that_is_no_guess_is_never_charged(tmp_path: Path) -> None:
    one = kit(tmp_path)
    one.talk.say("-security on request pw fjord", "1.a.com", "2.a.com", "3.a.com")
    assert one.failures.charged == []
    one.talk.say("-security on request pw fjord", "2.a.com", "1.a.com", "3.a.com")
    assert one.failures.total == 1


def test_those_who_offer_nothing_are_never_charged(tmp_path: Path) -> None:
    one = kit(tmp_path)
    one.talk.say("1.a.com", "2.a.com", "-xfer a.com")
    assert one.failures.charged == []


def test_after_too_many_failures_nothing_is_tried(tmp_path: Path) -> None:
    refusal = "%error 401 Not Authorized for Directive: too many failed authentications, try later"
    one = kit(tmp_path, most=1)
    one.talk.say("-security on request pw wrong", "1.a.com")
    works = one.aside.works
    # the same whether there is something to guess or not
    for line in ("1.a.com", "4.a.com", "nothing", "-xfer a.com", "-security on request pw fjord"):
        assert one.talk.say(line) == [refusal]
    assert one.talk.say("-register on del x@a.com", "ID: 1.a.com", "Updated: 1", "-register off")[
        -1
    ] == (refusal)
    assert one.aside.works == works
    # nobody in particular is answered as ever
    assert "contact:Name:One" in one.talk.say("-security off", "1.a.com")


def test_who_was_proven_is_not_refused_for_what_others_of_the_net_do(tmp_path: Path) -> None:
    one = kit(tmp_path, most=1)
    one.talk.say("-security on request pw fjord", "1.a.com")
    one.failures.failed("192.0.2.7", 5)
    assert one.pins("1.a.com") == ["41"]


def test_failures_that_run_out_during_a_request_end_it(tmp_path: Path) -> None:
    objects = []
    for number in range(3):
        info = f"ID:g{number}.a.com|Guard-Scheme:argon2id|Guard-Info:{argon2_hash(str(number))}"
        objects.append(entry("a.com", "guardian", info))
        text = f"ID:{number}.a.com|Name:x|Guardian:g{number}.a.com|Pin:{number}"
        objects.append(entry("a.com", "contact", text))
    one = kit(tmp_path, *objects, most=1)
    # another connection of the net fails while the first hash is computed
    one.aside.meanwhile = lambda: one.failures.failed("192.0.2.7", 1)
    said = one.talk.say("-security on request pw 2", "contact Name=x")
    assert said[-1].startswith("%error 401")
    assert one.aside.works == 1


def test_a_failed_registration_is_charged(tmp_path: Path) -> None:
    one = kit(tmp_path)
    lines = ("Auth-Area: b.net", "Class-Name: contact", "Name: New")
    said = one.talk.say(
        *("-security on request pw wrong", "-register on add x@a.com", *lines, "-register off")
    )
    assert said[-1] == "%error 420 Registration Not Authorized"
    assert one.failures.total == 1
    said = one.talk.say(
        *("-security on request pw fjord", "-register on add x@a.com", *lines, "-register off")
    )
    assert said[-1] == "%ok"


# -- registering guardians


def registered(one: Kit, *lines: str) -> str:
    head = ("Auth-Area: a.com", "Class-Name: guardian")
    said = one.talk.say("-register on add x@a.com", *head, *lines, "-register off")
    return said[-1]


def test_a_registered_secret_is_hashed(tmp_path: Path) -> None:
    one = kit(tmp_path)
    assert registered(one, "Guard-Scheme: Argon2id", "Guard-Info: hush") == "%ok"
    stored = list(one.registry.rows.values())[-1]
    assert stored.get("Guard-Scheme") == "argon2id"
    assert argon2_matches("hush", stored.get("Guard-Info") or "")


def test_a_registered_hash_stays(tmp_path: Path) -> None:
    one = kit(tmp_path)
    assert registered(one, "Guard-Scheme: argon2id", f"Guard-Info: {HASH}") == "%ok"
    assert list(one.registry.rows.values())[-1].get("Guard-Info") == HASH


def test_a_hash_with_huge_parameters_is_refused(tmp_path: Path) -> None:
    one = kit(tmp_path)
    hostile = HASH.replace("m=19456", "m=4194304")
    said = registered(one, "Guard-Scheme: argon2id", f"Guard-Info: {hostile}")
    assert said == "%error 321 Invalid Attribute Syntax: Guard-Info"
    assert len(one.registry.rows) == len(OBJECTS_HASHED)


# -- where secrets are accepted


def test_on_a_clear_listener_secrets_are_refused_before_anything_is_checked(
    tmp_path: Path,
) -> None:
    one = kit(tmp_path, compat="rfc", clear_passwords=False)
    for words in ("request pw fjord", "request crypt-pw x", "request argon2id fjord", "request pw"):
        said = one.talk.say(f"-security on {words}")
        assert said == ["%error 352 Invalid security method: TLS needed"]
    assert one.talk.session.peer.credentials is None
    assert one.pins("1.a.com") == []
    assert one.aside.works == 0
    assert one.failures.charged == []


@pytest.mark.parametrize(
    ("address", "secure", "accepted"),
    [
        pytest.param("192.0.2.7", True, True, id="TLS"),
        pytest.param("127.0.0.1", False, True, id="this machine"),
        pytest.param("127.9.9.9", False, True, id="all of its addresses"),
        pytest.param("::1", False, True, id="this machine by IPv6"),
        pytest.param("2001:db8::1", False, False, id="IPv6"),
        pytest.param("fe80::1%eth0", False, False, id="the link"),
        pytest.param("10.0.0.1", False, False, id="private"),
        pytest.param("", False, False, id="nowhere"),
    ],
)
def test_where_secrets_are_accepted(
    tmp_path: Path, address: str, secure: bool, accepted: bool
) -> None:
    one = kit(tmp_path, address=address, clear_passwords=False)
    one.talk.session.peer.secure = secure
    assert one.pins("-security on request pw fjord", "1.a.com") == (["41"] if accepted else [])


@pytest.mark.parametrize(
    ("scheme", "info", "answer"),
    [
        pytest.param("pw", "hush", "%error 420", id="clear"),
        pytest.param("crypt-pw", "hush", "%error 420", id="to be hashed"),
        pytest.param("argon2id", "hush", "%error 420", id="to be hashed as well"),
        pytest.param("argon2id", HASH, "%ok", id="hashed"),
    ],
)
def test_no_secret_is_registered_over_a_clear_listener(
    tmp_path: Path, scheme: str, info: str, answer: str
) -> None:
    one = kit(tmp_path, clear_passwords=False)
    said = registered(one, f"Guard-Scheme: {scheme}", f"Guard-Info: {info}")
    assert said.startswith(answer)
    assert (len(one.registry.rows) > len(OBJECTS_HASHED)) is (answer == "%ok")


def test_a_hash_of_crypt_that_stays_is_no_clear_secret() -> None:
    before = OBJECTS[5]
    assert before.get("Guard-Scheme") == "crypt-pw"
    assert not is_clear(before.lines, before)
    assert is_clear(before.lines)
