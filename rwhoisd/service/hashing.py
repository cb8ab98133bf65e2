"""Hashed secrets of guardians: argon2id and crypt(3), both within bounds (RFC 2167 §4.1).

A hash says itself how much work it is, and it may have come from anybody: one that asks for more
than ours by far is not computed. Whoever calls has to do so beside the event loop,
where the libraries are loaded as well, at their first use: a start does without them.
"""

import hmac
import re
from typing import Final

ARGON2_MARK: Final = "$argon2"
# Of a secret that nobody knows, with the parameters of ours.
_NOBODY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$3ZZrHQQLF0zdZUYhh5bq6Q"
    "$sm8nByYodOlPibbuyDm6TX+bJmqj97s6kWmK/f1U5PQ"
)
# What a hash made elsewhere may ask for: the profile RFC_9106_LOW_MEMORY and a little more.
_MEMORY_KIB: Final = 65536
_PASSES: Final = 6
_LANES: Final = 8
# salt and hash are base64: 8 to 64 octets, and 16 to 64
_PHC: Final = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,9})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
# Hashes of crypt(3) that are computed: DES, MD5, SHA-2 up to 50 000 rounds, bcrypt up to cost
# 10, yescrypt as passwd(1) sets it.
_CRYPT: Final = re.compile(
    r"[./0-9A-Za-z]{13}"
    r"|\$1\$.{0,80}"
    r"|\$[56]\$(?:rounds=(?:\d{1,4}|[1-4]\d{4}|50000)\$)?(?!rounds=)[^$]{0,16}\$.{0,120}"
    r"|\$2[aby]\$(?:0[4-9]|10)\$.{53}"
    r"|\$y\$j[5-9]T\$.{1,120}"
)


def argon2_hash(secret: str) -> str:
    """The PHC string of a new secret, with a salt of its own."""
    from argon2 import PasswordHasher

    # 19 MiB and two passes (OWASP): one at a time per worker is what a small machine can bear.
    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(secret)


def argon2_refusal(info: str) -> str:
    """Why ``info`` is no argon2id hash that is computed here; "" when it is one."""
    found = _PHC.fullmatch(info)
    if found is None:
        return "it is no argon2id hash of version 19"
    memory, passes, lanes = map(int, found.groups())
    if 8 * lanes <= memory <= _MEMORY_KIB and 1 <= passes <= _PASSES and 1 <= lanes <= _LANES:
        return ""
    return (
        f"its parameters are out of bounds: at most {_MEMORY_KIB} KiB of memory,"
        f" {_PASSES} passes, {_LANES} lanes"
    )


def argon2_matches(secret: str, info: str) -> bool:
    """Whether ``info`` is a hash of the secret; a hash that is refused matches nothing."""
    if argon2_refusal(info):
        return False
    from argon2.exceptions import Argon2Error
    from argon2.low_level import Type, verify_secret

    try:
        return verify_secret(info.encode("ascii"), secret.encode("utf-8"), Type.ID)
    except Argon2Error:
        return False


def argon2_in_vain(secret: str) -> bool:
    """False, after the time that a hash of ours takes: what is not there costs as what is."""
    return argon2_matches(secret, _NOBODY) and False


def crypt_hash(secret: str) -> str:
    """The crypt(3) hash of a new secret: SHA-512 with a salt of its own."""
    import crypt_r

    return str(crypt_r.crypt(secret, crypt_r.mksalt(crypt_r.METHOD_SHA512)))


def crypt_refusal(info: str) -> str:
    """Why ``info`` is no crypt(3) hash that is computed here; "" when it is one."""
    return "" if _CRYPT.fullmatch(info) else "it is no crypt(3) hash, or one that takes too long"


def crypt_matches(secret: str, info: str) -> bool:
    """Whether ``info`` is the crypt(3) hash of the secret; what is no such hash matches nothing."""
    if crypt_refusal(info):
        return False
    import crypt_r

    try:
        found = crypt_r.crypt(secret, info) or ""
    except (OSError, ValueError):
        return False
    return equal(found, info)


def equal(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8"), other.encode("utf-8"))
