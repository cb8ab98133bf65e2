"""Hashes of guardians' secrets: those of others are computed within bounds, or not at all."""

import pytest

from rwhoisd.service.hashing import (
    argon2_hash,
    argon2_matches,
    argon2_refusal,
    crypt_hash,
    crypt_matches,
    crypt_refusal,
)

# argon2id of "fjord", as cheap as it can be.
SMALL = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
TAIL = "c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43


@pytest.mark.parametrize("secret", ["x", "two words", "gro\xdf", "\u20ac" * 100, "$argon"])
def test_a_hash_matches_its_secret_only(secret: str) -> None:
    hashed = argon2_hash(secret)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert argon2_refusal(hashed) == ""
    assert argon2_matches(secret, hashed)
    assert not argon2_matches(secret + " ", hashed)
    assert argon2_hash(secret) != hashed


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(f"$argon2id$v=19$m=4194304,t=1,p=1${TAIL}", id="memory"),
        pytest.param(f"$argon2id$v=19$m=999999999,t=1,p=1${TAIL}", id="more memory"),
        pytest.param(f"$argon2id$v=19$m=8,t=4000000,p=1${TAIL}", id="passes"),
        pytest.param(f"$argon2id$v=19$m=65536,t=1,p=255${TAIL}", id="lanes"),
        pytest.param(f"$argon2id$v=19$m=8,t=1,p=2${TAIL}", id="too little memory for its lanes"),
        pytest.param(f"$argon2id$v=19$m=8,t=0,p=1${TAIL}", id="no pass"),
        pytest.param(f"$argon2id$v=19$m=8,t=1,p=0${TAIL}", id="no lane"),
        pytest.param(f"$argon2id$v=19$m=8,t=1,p=1,m=4194304${TAIL}", id="memory said twice"),
        pytest.param(f"$argon2id$v=19$m=\u0668,t=1,p=1${TAIL}", id="foreign digits"),
        pytest.param(f"$argon2i$v=19$m=8,t=1,p=1${TAIL}", id="argon2i"),
        pytest.param(f"$argon2d$v=19$m=8,t=1,p=1${TAIL}", id="argon2d"),
        pytest.param(f"$argon2id$v=16$m=8,t=1,p=1${TAIL}", id="version"),
        pytest.param(f"$argon2id$m=8,t=1,p=1${TAIL}", id="no version"),
        pytest.param("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$" + "A" * 43, id="short salt"),
        pytest.param("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAA", id="short hash"),
        pytest.param(f"$argon2id$v=19$m=8,t=1,p=1${TAIL}" + "A" * 9999, id="long"),
        pytest.param(f"$argon2id$v=19$m=8,t=1,p=1${TAIL}\n", id="line end"),
        pytest.param("fjord", id="no hash"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_hash_out_of_bounds_is_never_computed(info: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert argon2_refusal(info) != ""

    def computed(*_: object) -> bool:
        raise AssertionError("it was computed")

    monkeypatch.setattr("argon2.low_level.verify_secret", computed)
    assert not argon2_matches("fjord", info)


def test_a_well_formed_hash_with_odd_base64_matches_nothing() -> None:
    info = SMALL + "A" * 22 + "B"
    assert argon2_refusal(info) == ""
    assert not argon2_matches("fjord", info)


@pytest.mark.parametrize(
    ("info", "secret"),
    [
        pytest.param("ab2Vqm.AnTodk", "fjord-secret", id="DES"),
        pytest.param(crypt_hash("fjord-secret"), "fjord-secret", id="ours"),
    ],
)
def test_crypt(info: str, secret: str) -> None:
    assert crypt_refusal(info) == ""
    assert crypt_matches(secret, info)
    assert not crypt_matches("x" + secret, info)
    assert not crypt_matches(info, info)


@pytest.mark.parametrize(
    "info",
    [
        pytest.param("$6$rounds=999999999$salt$" + "a" * 86, id="rounds"),
        pytest.param("$6$rounds=50001$salt$" + "a" * 86, id="one round too many"),
        pytest.param("$2b$31$" + "a" * 53, id="bcrypt"),
        pytest.param("$y$jzT$salt$" + "a" * 43, id="yescrypt"),
        pytest.param("$7$zzzz$" + "a" * 43, id="scrypt"),
        pytest.param("_zzzzsalt" + "a" * 11, id="extended DES"),
        pytest.param("*", id="no password"),
        pytest.param("ab2Vqm.AnTodk\n", id="line end"),
    ],
)
def test_a_crypt_hash_that_takes_too_long_is_never_computed(
    info: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crypt_refusal(info) != ""

    def computed(*_: object) -> str:
        raise AssertionError("it was computed")

    monkeypatch.setattr("crypt_r.crypt", computed)
    assert not crypt_matches("x", info)
