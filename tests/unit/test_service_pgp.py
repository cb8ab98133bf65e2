"""PGP in both directions: what a signature proves, for how long, and what proves nothing."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.errors import RwhoisError
from rwhoisd.protocol.payload import Treatment
from rwhoisd.server import pgp as module
from rwhoisd.server.pgp import GpgKeyring, PgpError, PgpSettings, gpg_for
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from tests.pgp_kit import Ring, block, ring
from tests.unit.service_kit import FakeRegistry, Talk, entry, open_reader, settings
from tests.unit.test_service_secrets import CountingAside, CountingFailures, Kit

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg here")


@dataclass(frozen=True)
class Keys:
    """The rings of a client and of the operator. ``alice`` has a subkey that signs."""

    client: Ring
    operator: Ring
    alice: str
    alice_subkey: str
    bob: str
    stranger: str
    server: str


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with ring() as client, ring() as operator:
        alice = client.make_key("alice", encrypts=True)
        client.gpg("--passphrase", "", "--quick-add-key", alice, "ed25519", "sign")
        bob, stranger = client.make_key("bob"), client.make_key("stranger")
        server = operator.make_key("server", encrypts=True)
        for key in (alice, bob):
            client.give(key, operator)
        operator.give(server, client)
        subkey = client.fingerprints(alice)[2]
        yield Keys(client, operator, alice, subkey, bob, stranger, server)


def objects(keys: Keys, info: str = "") -> tuple[object, ...]:
    return (
        entry("a.com", "contact", "ID:1.a.com|Name:One|Guardian:9.a.com|Pin:41|Updated:2024"),
        entry("a.com", "contact", "ID:2.a.com|Name:Two|Guardian:8.a.com|Pin:42|Updated:2024"),
        entry("a.com", "guardian", f"ID:9.a.com|Guard-Scheme:PGP|Guard-Info:{info or keys.alice}"),
        entry("a.com", "guardian", "ID:8.a.com|Guard-Scheme:pw|Guard-Info:clear"),
        entry("b.net", "contact", "ID:5.b.net|Name:Area|Pin:45"),
        entry("b.net", "guardian", f"ID:G.b.net|Guard-Scheme:pgp|Guard-Info:{keys.alice}"),
    )


@dataclass
class PgpKit(Kit):
    keyring: GpgKeyring

    def signed(self, keys: Keys, *lines: str, key: str = "", clear: bool = True) -> list[str]:
        """What comes back for a signed block with these lines."""
        text = "\n".join(lines) + "\n"
        return self.talk.say(*keys.client.sign(text, key or keys.alice, clear=clear))


@pytest.fixture
def one(tmp_path: Path, keys: Keys) -> Iterator[PgpKit]:
    made = kit(tmp_path, keys)
    yield made
    made.keyring.close()


def patient(keys: Keys, folder: Path, **more: Any) -> PgpSettings:
    """Settings with which gpg has its time, however busy the machine is."""
    return PgpSettings(keys.operator.home, folder / "seen", seconds=120.0, **more)


def kit(folder: Path, keys: Keys, *, info: str = "", signing: bool = True) -> PgpKit:
    chosen = objects(keys, info)
    aside, failures = CountingAside(), CountingFailures()
    registry = FakeRegistry(chosen)  # type: ignore[arg-type]
    wanted = patient(
        keys, folder, signing_key=keys.server if signing else "", answer_octets=100_000
    )
    keyring = GpgKeyring(wanted)
    ports = Ports(registry=registry, aside=aside, failures=failures, keyring=keyring)
    reader = open_reader(folder, objects=chosen)  # type: ignore[arg-type]
    made = PgpKit(Talk(Service(reader, settings(), ports)), aside, failures, registry, keyring)
    made.talk.say("-holdconnect on")
    return made


ON = "-security on request pgp signed"


# -- requests


@pytest.mark.parametrize("clear", [True, False], ids=["clear-signed", "message"])
def test_what_is_signed_is_proven(one: PgpKit, keys: Keys, clear: bool) -> None:
    assert one.talk.say(ON) == ["%ok"]
    said = one.signed(keys, "1.a.com", "2.a.com", "-limit 3", clear=clear)
    assert [line for line in said if "Pin:" in line] == ["contact:Pin:41"]
    assert said[-2:] == ["%ok", "%ok"]
    assert said.count("%ok") == 3
    assert one.talk.session.peer.limit == 3


def test_the_proof_is_for_what_was_signed_only(one: PgpKit, keys: Keys) -> None:
    assert one.pins(ON, "1.a.com") == []
    assert one.signed(keys, "1.a.com").count("contact:Pin:41") == 1
    assert one.pins("1.a.com") == []
    # the state lasts: another payload is taken, and another
    assert one.signed(keys, "-status", "1.a.com").count("contact:Pin:41") == 1
    assert one.talk.session.peer.credentials is None


def test_off_ends_it(one: PgpKit, keys: Keys) -> None:
    assert one.talk.say(ON, "-security off", "-security off") == [
        "%ok",
        "%ok",
        "%error 338 Invalid Directive Syntax",
    ]
    assert one.signed(keys, "1.a.com")[0].startswith("%error 338")
    # off within what was signed ends the proof for the rest of it
    one.talk.say(ON)
    assert one.signed(keys, "-security off", "1.a.com")[0] == "%ok"
    assert one.talk.session.peer.treatment is None


def test_a_second_on_replaces_the_first(one: PgpKit, keys: Keys) -> None:
    assert one.pins(ON, "-security on request pw clear", "2.a.com") == ["42"]
    assert one.signed(keys, "1.a.com")[0].startswith("%error 338")
    assert one.pins(ON, "2.a.com") == []


def test_a_subkey_signs_for_its_key(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    said = one.signed(keys, "1.a.com", key=f"{keys.alice_subkey}!")
    assert "contact:Pin:41" in said


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(lambda key: key.lower(), id="small letters"),
        pytest.param(lambda key: " ".join(key[i : i + 4] for i in range(0, 40, 4)), id="grouped"),
        pytest.param(lambda key: key[-16:], id="long ID"),
        pytest.param(lambda key: "0x" + key[-8:], id="the RFC's"),
    ],
)
def test_how_guard_info_names_a_key(tmp_path: Path, keys: Keys, spelling: object) -> None:
    assert callable(spelling)
    one = kit(tmp_path, keys, info=spelling(keys.alice))
    one.talk.say(ON)
    assert "contact:Pin:41" in one.signed(keys, "1.a.com")
    assert "contact:Pin:41" not in one.signed(keys, "1.a.com", key=keys.bob)


def test_a_name_that_two_keys_have_names_none(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can make a key whose short ID is that of another."""

    def short(fingerprint: str) -> set[str]:
        return {fingerprint, "5B5A9AC3"}

    monkeypatch.setattr(module, "_short_names", short)
    one = kit(tmp_path, keys, info="5B5A9AC3")
    one.talk.say(ON)
    assert "contact:Pin:41" not in one.signed(keys, "1.a.com")
    by_fingerprint = kit(tmp_path / "2", keys)
    by_fingerprint.talk.say(ON)
    assert "contact:Pin:41" in by_fingerprint.signed(keys, "1.a.com")


def refused(said: list[str], code: int) -> bool:
    return len(said) == 1 and said[0].startswith(f"%error {code} ")


def test_what_proves_nothing(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    assert refused(one.signed(keys, "1.a.com", key=keys.stranger), 353)
    good = keys.client.sign("1.a.com\n", keys.alice)
    changed = [line.replace("1.a.com", "2.a.com") for line in good]
    assert refused(one.talk.say(*changed), 353)
    message = keys.client.sign("1.a.com\n", keys.alice, clear=False)
    assert refused(one.talk.say(message[0], "", "nonsense", message[-1]), 353)
    assert refused(one.talk.say(message[0], message[-1]), 353)
    # the other way to say it: literal data without signature
    assert refused(one.talk.say(*keys.client.encrypt("1.a.com\n", keys.server)), 353)
    assert one.failures.total == 5
    # the block that was not changed is good still
    assert "contact:Pin:41" in one.talk.say(*good)


def test_a_broken_hash_proves_nothing(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    said = one.talk.say(*keys.client.sign("1.a.com\n", keys.alice, "--digest-algo", "SHA1"))
    assert refused(said, 353)


def test_two_signatures_are_one_too_many(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    text = keys.client.sign("1.a.com\n", keys.alice, "--local-user", keys.bob, clear=False)
    assert refused(one.talk.say(*text), 353)


def test_keys_that_are_over(keys: Keys, tmp_path: Path) -> None:
    with ring() as client, ring() as operator:
        key = client.make_key("carol")
        client.give(key, operator)
        other = Keys(client, operator, key, "", key, key, "")
        one = kit(tmp_path, other, signing=False)
        one.talk.say(ON)
        assert "contact:Pin:41" in one.signed(other, "1.a.com")
        revocation = (client.home / "openpgp-revocs.d" / f"{key}.rev").read_text()
        operator.gpg("--import", data=revocation.replace(":-----", "-----").encode())
        assert refused(one.signed(other, "1.a.com", "-status"), 353)
        # one that expired
        then = ("--faked-system-time", str(int(time.time()) - 200))
        dave = client.make_key("dave", *then, expires="seconds=100")
        client.give(dave, operator)
        late = client.sign("1.a.com\n", dave, *then)
        said = one.talk.say(*late)
        assert said == ["%error 353 Authentication Failed: the key has expired"]


def test_a_signature_counts_once(one: PgpKit, keys: Keys, tmp_path: Path) -> None:
    one.talk.say(ON)
    good = keys.client.sign("1.a.com\n", keys.alice)
    assert "contact:Pin:41" in one.talk.say(*good)
    assert refused(one.talk.say(*good), 353)
    # with other blanks it is the same, and so it is to another worker
    other = kit(tmp_path / "2", keys)
    other.talk.say(ON)
    assert "contact:Pin:41" in other.talk.say(*good)
    same = GpgKeyring(patient(keys, tmp_path))
    text = "\n".join(good).replace("1.a.com", "1.a.com   ").encode() + b"\n"
    with pytest.raises(RwhoisError, match="it came before"):
        asyncio.run(same.open(text, Treatment.SIGNED, octets=9999))


@pytest.mark.parametrize("seconds", [-900, 301])  # it was made a moment ago
def test_a_signature_has_its_time(tmp_path: Path, keys: Keys, seconds: int) -> None:
    good = "\n".join(keys.client.sign("1.a.com\n", keys.alice)).encode() + b"\n"
    wanted = patient(keys, tmp_path)
    clock = [time.time() + seconds]
    keyring = GpgKeyring(wanted, lambda: clock[0])
    with pytest.raises(RwhoisError, match="not signed just now"):
        asyncio.run(keyring.open(good, Treatment.SIGNED, octets=9999))
    assert not list((tmp_path / "seen").iterdir())
    clock[0] -= seconds
    assert asyncio.run(keyring.open(good, Treatment.SIGNED, octets=9999)).keys
    # what is too old to be taken is forgotten
    clock[0] += 800
    with pytest.raises(RwhoisError, match="not signed just now"):
        asyncio.run(keyring.open(good, Treatment.SIGNED, octets=9999))
    keyring._seen._prune()
    assert not list((tmp_path / "seen").iterdir())


def test_an_encrypted_request(one: PgpKit, keys: Keys) -> None:
    assert one.talk.say("-security on request pgp encrypt") == ["%ok"]
    said = one.talk.say(*keys.client.encrypt("1.a.com\n", keys.server))
    assert "contact:Name:One" in said
    assert "contact:Pin:41" not in said
    # signed is not what was said, so it proves nothing
    both = ("--local-user", keys.alice, "--sign")
    assert one.pins(*keys.client.encrypt("1.a.com\n", keys.server, *both)) == []
    assert refused(one.talk.say(*keys.client.encrypt("1.a.com\n", keys.alice)), 354)
    assert one.talk.say("-security on request pgp signed-encrypt 0xABCDEF01") == ["%ok"]
    assert one.pins(*keys.client.encrypt("1.a.com\n", keys.server, *both)) == ["41"]
    assert refused(one.signed(keys, "1.a.com"), 354)
    assert refused(one.talk.say(*keys.client.encrypt("1.a.com\n", keys.server)), 353)


def test_payloads_are_bounded(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    most = one.talk.session.peer.limits.spool_octets
    begin, end = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"
    said = one.talk.say(begin, *["x" * 70] * (most // 70), end)
    assert said == [f"%error 338 Invalid Directive Syntax: payload longer than {most} octets"]
    said = one.talk.say(begin, "x" * (most + 1), end)
    assert said[0].startswith("%error 338")
    # and so is what comes out of them
    bomb = keys.client.sign("x" * 1_000_000 + "\n", keys.alice, clear=False)
    assert sum(map(len, bomb)) < most
    assert refused(one.talk.say(*bomb), 353)


def test_nothing_happens_without_an_end(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    lines = keys.client.sign("-limit 3\n", keys.alice)
    assert one.talk.say(*lines[:-1]) == []
    one.talk.session.receive_eof()
    assert one.talk.say() == []
    assert one.talk.session.closing
    assert one.talk.session.peer.limit == 20


def test_a_payload_that_asks_for_nothing(one: PgpKit, keys: Keys) -> None:
    assert one.talk.say(ON) == ["%ok"]
    assert one.signed(keys, "") == ["%ok"]


def test_blocks_are_no_queries_even_unasked(one: PgpKit, keys: Keys) -> None:
    said = one.signed(keys, "-limit 3")
    assert said == ["%error 338 Invalid Directive Syntax: no payload was announced"]


# -- registrations

NEW = ("ID: 1.a.com", "Auth-Area: a.com", "Class-Name: contact", "Name: Uno", "Updated: 2024")


def names(one: PgpKit) -> list[str | None]:
    return [o.get("Name") for o in one.registry.rows.values() if o.class_name == "contact"]


def test_the_example_of_the_rfc(one: PgpKit, keys: Keys) -> None:
    said = one.talk.say(ON, "-register on mod joe@a.com")
    assert said == ["%ok", "%ok"]
    assert one.signed(keys, "ID: 1.a.com", "Updated: 2024", "_NEW_", *NEW, clear=False) == []
    assert one.talk.say("-register off") == ["%ok"]
    assert "Uno" in names(one)


def test_a_whole_registration_that_is_signed(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON)
    area = ("Auth-Area: b.net", "Class-Name: contact", "Name: New")
    said = one.signed(keys, "-register on add joe@a.com", *area, "-register off")
    assert said[0] == "%ok"
    assert said[-1] == "%ok"
    assert "New" in names(one)
    delete = ("-register on del joe@a.com", "ID: 1.a.com", "Updated: 2024", "-register off")
    assert one.signed(keys, *delete) == ["%ok", "%ok"]
    assert "One" not in names(one)


DENIED = "%error 420 Registration Not Authorized"


def test_lines_in_the_clear_are_not_proven(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON, "-register on mod joe@a.com", "ID: 1.a.com", "Updated: 2024", "_NEW_")
    assert one.signed(keys, *NEW) == []
    assert one.talk.say("-register off") == [DENIED]
    # nor when only the end is signed
    one.talk.say("-register on del joe@a.com", "ID: 1.a.com", "Updated: 2024")
    assert one.signed(keys, "-register off") == [DENIED]
    # nor when two payloads were put together
    one.talk.say("-register on mod joe@a.com")
    one.signed(keys, "ID: 1.a.com", "Updated: 2024", "_NEW_")
    one.signed(keys, *NEW, "Email: uno@a.com")
    assert one.talk.say("-register off") == [DENIED]
    assert "One" in names(one)


def test_a_change_cannot_be_made_a_removal_on_the_way(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON, "-register on del joe@a.com")
    one.signed(keys, "ID: 1.a.com", "Updated: 2024", "_NEW_", *NEW)
    said = one.talk.say("-register off")
    assert said == ["%error 338 Invalid Directive Syntax: too many records"]
    assert "One" in names(one)


def test_a_payload_that_is_refused_ends_the_registration(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON, "-register on del joe@a.com")
    assert one.signed(keys, "ID: 1.a.com", "Updated: 2024", key=keys.stranger) == []
    said = one.talk.say("-register off")
    assert said == ["%error 353 Authentication Failed: unknown key"]


def test_guardians_of_pgp_can_be_registered(one: PgpKit, keys: Keys) -> None:
    def register(info: str) -> str:
        lines = ("Auth-Area: a.com", "Class-Name: guardian", "Guard-Scheme: PGP")
        return one.talk.say(
            "-register on add joe@a.com", *lines, f"Guard-Info: {info}", "-register off"
        )[-1]

    assert register(f"0x{keys.bob.lower()}") == "%ok"
    assert list(one.registry.rows.values())[-1].get("Guard-Info") == keys.bob
    assert register("bob@a.com") == "%error 321 Invalid Attribute Syntax: Guard-Info"


# -- responses


def test_an_encrypted_response(one: PgpKit, keys: Keys, tmp_path: Path) -> None:
    said = one.talk.say(f"-security on response pgp encrypt {keys.alice[-8:]}")
    assert said == ["%ok"]
    plain = kit(tmp_path / "plain", keys).talk.say("2.a.com")
    said = one.talk.say("2.a.com")
    assert said[0] == "-----BEGIN PGP MESSAGE-----"
    assert said[-2:] == ["-----END PGP MESSAGE-----", "%ok"]
    assert [*keys.client.read(block(said)).split("\n")[:-1], "%ok"] == plain
    # what has no lines is as ever
    assert one.talk.say("nothing") == ["%error 230 No Objects Found"]
    assert one.talk.say("-limit 3") == ["%ok"]
    # a long one comes in one block, and is the same
    xfer = one.talk.say("-xfer a.com class=contact")
    assert "contact:Name:Two" in keys.client.read(block(xfer))
    assert one.talk.say("-security off") == ["%ok"]
    assert one.talk.say("2.a.com") == plain


@pytest.mark.parametrize("words", ["signed", "signed-encrypt"])
def test_a_signed_response(one: PgpKit, keys: Keys, words: str) -> None:
    assert one.talk.say(f"-security on response pgp {words} {keys.alice}") == ["%ok"]
    said = block(one.talk.say("2.a.com"))
    assert "contact:Name:Two" in keys.client.read(said)
    status = keys.client.gpg(
        "--status-fd", "1", "--decrypt", data=("\n".join(said) + "\n").encode()
    )
    assert f"VALIDSIG {keys.server}".encode() in status


def test_both_directions(one: PgpKit, keys: Keys) -> None:
    one.talk.say(ON, f"-security on response pgp encrypt {keys.alice}")
    said = one.signed(keys, "1.a.com")
    assert "contact:Pin:41" not in said
    assert "contact:Pin:41" in keys.client.read(block(said))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param("request pgp", 338, id="nothing said of the payload"),
        pytest.param("request pgp key", 338, id="something else"),
        pytest.param("response pgp", 338, id="nothing said of the response"),
        pytest.param("response pgp encrypt", 338, id="without key"),
        pytest.param("response pgp signed-encrypt", 338, id="signed, without key"),
        pytest.param("response pgp encrypt 52160EC1", 354, id="unknown key"),
        pytest.param("response pgp encrypt alice@a.com", 354, id="no key ID"),
        pytest.param("response pgp encrypt --version", 354, id="an option"),
        pytest.param("response smoke signed", 352, id="unknown method"),
    ],
)
def test_what_is_refused(one: PgpKit, keys: Keys, words: str, code: int) -> None:
    assert one.talk.say(f"-security on {words}")[0].startswith(f"%error {code} ")
    assert one.talk.say("-security off")[0].startswith("%error 338")


def test_keys_that_cannot_encrypt(one: PgpKit, keys: Keys) -> None:
    assert one.talk.say(f"-security on response pgp encrypt {keys.bob}")[0].startswith("%error 354")


def test_responses_too_long_to_be_sealed(one: PgpKit, keys: Keys) -> None:
    object.__setattr__(one.keyring._settings, "answer_octets", 100)
    one.talk.say(f"-security on response pgp encrypt {keys.alice}")
    said = one.talk.say("-xfer a.com")
    assert said == ["%error 354 Encription Failed: response longer than 100 octets"]


def test_without_a_signing_key_nothing_is_signed(tmp_path: Path, keys: Keys) -> None:
    one = kit(tmp_path, keys, signing=False)
    said = one.talk.say("-security on response pgp signed")
    assert said == ["%error 352 Invalid Security Method: no signing key"]


# -- the program


def test_gpg_is_killed_when_it_takes_too_long(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = GpgKeyring(PgpSettings(keys.operator.home, tmp_path / "seen", seconds=0.3))
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 999\n")
    slow.chmod(0o755)
    keyring._gpg.gpgbinary = str(slow)
    with pytest.raises(RwhoisError, match="402"):
        asyncio.run(keyring.open(b"x", Treatment.SIGNED, octets=99))
    with pytest.raises(RwhoisError, match="402"):
        asyncio.run(keyring.key_for("52160EC1"))


def test_only_so_many_may_wait(tmp_path: Path, keys: Keys) -> None:
    keyring = GpgKeyring(patient(keys, tmp_path))

    async def main() -> list[str]:
        works = [keyring.key_for("52160EC1") for _ in range(40)]
        found = await asyncio.gather(*works, return_exceptions=True)
        return [str(error) for error in found]

    said = asyncio.run(main())
    assert sum("too much PGP to do" in text for text in said) == 8


def test_keyrings_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(PgpError, match="no folder"):
        gpg_for(tmp_path / "none", 5)
    tmp_path.chmod(0o755)
    with pytest.raises(PgpError, match="chmod 700"):
        gpg_for(tmp_path, 5)
