"""Who satisfies whom: guardians of objects and areas (RFC 2167 §2.3.6, §4.1).

Guardian objects are looked up by the caller; here it is only decided. Secrets never leave
these functions: they answer yes or no.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.objects import Object

GUARDIAN_CLASS: Final = "guardian"
PASSWORD_SCHEMES: Final = frozenset({"pw", "password", "passwd"})  # one scheme, three words
CRYPT_SCHEME: Final = "crypt-pw"
ARGON2_SCHEME: Final = "argon2id"
SECRET_SCHEMES: Final = PASSWORD_SCHEMES | {CRYPT_SCHEME, ARGON2_SCHEME}
_KEPT: Final = 256


class Proofs:
    """What has been found out about one offer of a client, bounded whatever it asks for."""

    __slots__ = ("_known", "_missed", "proven")

    def __init__(self) -> None:
        self.proven = False  # it satisfied some guardian: it is no guess any more
        self._known: dict[bytes, bool] = {}
        self._missed: dict[str, None] = {}

    def known(self, digest: bytes) -> bool | None:
        """What came of a hash that was computed before; None when it was not."""
        return self._known.get(digest)

    def learn(self, digest: bytes, held: bool) -> None:
        """Remember what came of a hash."""
        _bounded(self._known)
        self._known[digest] = held

    def miss(self, names: Iterable[str]) -> int:
        """How many of these guardians the offer had not failed at before."""
        new = dict.fromkeys(names).keys() - self._missed.keys()
        for name in new:
            _bounded(self._missed)
            self._missed[name] = None
        return len(new)


def _bounded(kept: dict[Any, Any]) -> None:
    """Make room for one more; the oldest goes."""
    if len(kept) >= _KEPT:
        del kept[next(iter(kept))]


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client offered with ``-security on request``; never printed."""

    scheme: str
    secret: str
    proofs: Proofs = field(default_factory=Proofs, compare=False)


def is_guarded(obj: Object, area: AuthorityArea) -> bool:
    """Whether anything guards the object: its class, its area or its own Guardian lines.

    Ruling a: an unguarded object hides nothing, whatever its Private line says (B29).
    """
    return obj.class_name.lower() == GUARDIAN_CLASS or bool(area.guardians) or bool(obj.guardians)


def guardian_ids(obj: Object, area: AuthorityArea) -> tuple[str, ...]:
    """IDs of all guardians of an object: its own, then its area's. There is no rank."""
    return tuple(dict.fromkeys((*obj.guardians, *area.guardians)))


def may_see_and_change(
    obj: Object, guardians: Iterable[Object], satisfied: Iterable[str], *, guarded: bool
) -> bool:
    """Whether a client that satisfies the guardian IDs ``satisfied`` has the guardians' rights.

    ``guardians`` are the live guardian objects of ``obj``; one is enough (R2.3.6-2). A
    guardian object without live guardians of its own guards itself (R2.3.6-3). A guarded
    object whose guardians are all gone is closed to everyone (arin-rwhoisd.md §4.2.5).
    """
    if not guarded:
        return True
    held = frozenset(satisfied)
    live = tuple(guardians)
    if any(g.id in held for g in live):
        return True
    own = {name.lower() for name in obj.guardians}
    linked = any((g.id or "").lower() in own for g in live)
    return obj.class_name.lower() == GUARDIAN_CLASS and not linked and obj.id in held
