"""Who satisfies whom: guardians of objects, classes and areas (RFC 2167 §2.3.6, §4.1).

Guardian objects are looked up by the caller; here it is only decided. Secrets never leave
these functions: they answer yes or no.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.objects import Object

GUARDIAN_CLASS: Final = "guardian"
PASSWORD_SCHEMES: Final = frozenset({"pw", "password", "passwd"})  # one scheme, three words
CRYPT_SCHEME: Final = "crypt-pw"
ARGON2_SCHEME: Final = "argon2id"
PGP_SCHEME: Final = "pgp"
SECRET_SCHEMES: Final = PASSWORD_SCHEMES | {CRYPT_SCHEME, ARGON2_SCHEME}
_KEPT: Final = 256
# Fingerprints of version 5 and 4 keys, and the parts of them that are key IDs, in hex digits.
_KEY_DIGITS: Final = frozenset({64, 40, 16, 8})
FINGERPRINT_DIGITS: Final = 40  # at least, of what names one key and no other


class Proofs:
    """What has been found out about one offer of a client, bounded whatever it asks for."""

    __slots__ = ("_known", "_missed", "memory", "proven")

    def __init__(self) -> None:
        self.proven = False  # it satisfied some guardian: it is no guess any more
        self.memory: object = None  # of whoever compares it, from one request to the next
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
    """What a client offered with ``-security on request``; never printed.

    ``keys``: of a PGP signature, each name that its key has and no other key of the ring.
    """

    scheme: str
    secret: str
    proofs: Proofs = field(default_factory=Proofs, compare=False)
    keys: frozenset[str] = frozenset()


def key_name(text: str) -> str:
    """A PGP fingerprint or key ID as capital hex digits; "" when it is none.

    Blanks, as people group fingerprints, and ``0x`` do not count.
    """
    digits = "".join(text.split()).upper().removeprefix("0X")
    good = len(digits) in _KEY_DIGITS and not digits.strip("0123456789ABCDEF")
    return digits if good else ""


class Act(Enum):
    """What a client may want to do with an object."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    SEE = "see"


class Of(Enum):
    """Where a guardian is linked to."""

    OBJECT = "its Guardian lines"  # of the object as it is stored, whatever is to become of it
    CLASS = "the guardians of its class"
    AREA = "the guardians of its area"
    ITSELF = "itself, if it is a guardian that no other one guards"


# Who may do what: whoever satisfies one guardian of these; there is no rank (R2.3.6-2). An object
# that is to be added has no guardian yet: those it names get rights over it and give none (§4.1).
RIGHTS: Final[Mapping[Act, tuple[Of, ...]]] = {
    Act.ADD: (Of.CLASS, Of.AREA),
    Act.CHANGE: (Of.OBJECT, Of.CLASS, Of.AREA, Of.ITSELF),
    Act.DELETE: (Of.OBJECT, Of.CLASS, Of.AREA, Of.ITSELF),
    Act.SEE: (Of.OBJECT, Of.CLASS, Of.AREA, Of.ITSELF),
}


def _linked(of: Of, obj: Object, area: AuthorityArea) -> tuple[str, ...]:
    match of:
        case Of.OBJECT:
            return obj.guardians
        case Of.CLASS:
            class_def = area.schema.class_def(obj.class_name)
            return class_def.guardians if class_def else ()
        case Of.AREA:
            return area.guardians
        case Of.ITSELF:
            return ()


def is_guarded(obj: Object, area: AuthorityArea, act: Act = Act.SEE) -> bool:
    """Whether not everybody may do this with the object.

    Ruling a: an unguarded object hides nothing, whatever its Private line says (B29).
    """
    itself = Of.ITSELF in RIGHTS[act] and obj.class_name.lower() == GUARDIAN_CLASS
    return itself or any(_linked(of, obj, area) for of in RIGHTS[act])


def guardian_ids(obj: Object, area: AuthorityArea, act: Act = Act.SEE) -> tuple[str, ...]:
    """IDs of all guardians whose satisfaction allows this, its own first; but for itself."""
    return tuple(dict.fromkeys(name for of in RIGHTS[act] for name in _linked(of, obj, area)))


def may(
    act: Act,
    obj: Object,
    area: AuthorityArea,
    guardians: Iterable[Object],
    satisfied: Iterable[str],
) -> bool:
    """Whether a client that satisfies the guardian IDs ``satisfied`` may do this.

    ``guardians`` are the live ones of ``guardian_ids``. A guardian object without live guardians
    in its own lines guards itself (R2.3.6-3). A guarded object whose guardians are all gone is
    closed to everyone (arin-rwhoisd.md §4.2.5).
    """
    if not is_guarded(obj, area, act):
        return True
    held = frozenset(satisfied)
    live = tuple(guardians)
    if any(g.id in held for g in live):
        return True
    if Of.ITSELF not in RIGHTS[act] or obj.class_name.lower() != GUARDIAN_CLASS:
        return False
    own = {name.lower() for name in obj.guardians}
    return obj.id in held and not any((g.id or "").lower() in own for g in live)
