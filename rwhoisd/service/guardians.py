"""Who a client is to the guardians of an object (RFC 2167 §4.1, arin-rwhoisd.md §4.2).

Looks guardian objects up in the image and compares what the client offered; what follows from
it is decided in ``directory.guardian``. Guard-Info never leaves this module.
"""

import hmac
from collections.abc import Iterable, Sequence

import crypt_r

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.guardian import (
    CRYPT_SCHEME,
    PASSWORD_SCHEMES,
    Credentials,
    guardian_ids,
    is_guarded,
    may_see_and_change,
)
from rwhoisd.directory.objects import Line, Object
from rwhoisd.image.reader import Image
from rwhoisd.image.search import search
from rwhoisd.query.ast import Query, Term


class Guardians:
    """The guardians of one image against the credentials of one client.

    Remembers what it found: an area's guardians are asked for each of its objects.
    """

    def __init__(self, image: Image, credentials: Credentials | None) -> None:
        self._image = image.whole  # who guards what does not depend on who asks
        self._credentials = credentials
        self._found: dict[str, Object | None] = {}
        self._held: dict[str, bool] = {}

    def satisfied_for(self, obj: Object, area: AuthorityArea) -> bool:
        """Whether the client has a guardian's rights over ``obj``; everybody has, if unguarded."""
        if not is_guarded(obj, area):
            return True
        live = self.live(guardian_ids(obj, area))
        asked = (*live, obj)
        held = {g.id for g in asked if g.id is not None and self.satisfies(g)}
        return may_see_and_change(obj, live, held, guarded=True)

    def satisfied_for_area(self, area: AuthorityArea) -> bool:
        """Whether the client may add to ``area``: one of its own guardians is satisfied (B43)."""
        return not area.guardians or any(map(self.satisfies, self.live(area.guardians)))

    def live(self, names: Iterable[str]) -> tuple[Object, ...]:
        """The guardian objects of these names; stale names are left out."""
        found = (self._lookup(name) for name in names)
        return tuple(g for g in found if g is not None)

    def satisfies(self, guardian: Object) -> bool:
        """Whether the client offered what ``guardian`` asks for."""
        if self._credentials is None:
            return False
        key = guardian.id or ""
        if key not in self._held:
            self._held[key] = proves(self._credentials, guardian, self._area(guardian).charset)
        return self._held[key]

    def records(self, records: Sequence[int]) -> bytes:
        """Rendered records: in full where the client has a guardian's rights."""
        image = self._image
        return b"".join(
            image.full((record,)) if self._in_full(record) else image.public((record,))
            for record in records
        )

    def _in_full(self, record: int) -> bool:
        if not self._image.guarded(record):
            return False  # there the public view is the full one (ruling a)
        obj = self._image.object(record)
        return self.satisfied_for(obj, self._area(obj))

    def _area(self, obj: Object) -> AuthorityArea:
        return next(a for a in self._image.scopes.areas if a.name.text == obj.area)

    def _lookup(self, name: str) -> Object | None:
        if name not in self._found:
            records = self._records_of(name)
            self._found[name] = self._image.object(records[0]) if records else None
        return self._found[name]

    def _records_of(self, name: str) -> Sequence[int]:
        """Records a Guardian value names: an ID, or a word to search when it has no period."""
        if "." in name:
            return self._image.by_id(name)
        value = name.encode("utf-8", "replace").upper().decode("latin-1")
        return search(self._image, Query(None, ((Term(value),),)), 1).records


def proves(credentials: Credentials, guardian: Object, charset: str = "utf-8") -> bool:
    """Whether the credentials are those of a guardian object: scheme and secret.

    pw, password and passwd are one scheme: the secret equals Guard-Info. crypt-pw: its
    crypt(3) hash does. Letter case counts in the secret only. ``charset``: the guardian's
    area's, as the secret came in bytes.
    """
    scheme = (guardian.get("Guard-Scheme") or "").strip().lower()
    info = guardian.get("Guard-Info")
    offered = wire_text(credentials.secret, charset)
    if not info or offered is None:
        return False
    if credentials.scheme in PASSWORD_SCHEMES:
        return scheme in PASSWORD_SCHEMES and _equal(offered, info)
    if credentials.scheme == CRYPT_SCHEME:
        return scheme == CRYPT_SCHEME and _equal(_hashed(offered, info), info)
    return False


def wire_text(octets: str, charset: str) -> str | None:
    """Text of bytes that were read as latin-1; None when they are not of ``charset``."""
    try:
        return octets.encode("latin-1").decode(charset)
    except UnicodeDecodeError:
        return None


def normalized(lines: Sequence[Line], before: Object | None = None) -> tuple[Line, ...]:
    """The lines of a guardian object as they are stored (arin-rwhoisd.md §6.3.9).

    The words for a password become ``pw``; with crypt-pw the secret becomes its hash, unless
    it is that of the object ``before``.
    """
    values = {name.lower(): value for name, value in lines}
    scheme = values.get("guard-scheme", "").strip().lower()
    info = values.get("guard-info", "")
    changed = {}
    if scheme in PASSWORD_SCHEMES:
        changed["guard-scheme"] = "pw"
    elif scheme == CRYPT_SCHEME and not (before and _same_guard(before, scheme, info)):
        changed["guard-info"] = crypt_r.crypt(info, crypt_r.mksalt(crypt_r.METHOD_SHA512))
    return tuple((name, changed.get(name.lower(), value)) for name, value in lines)


def _same_guard(before: Object, scheme: str, info: str) -> bool:
    old = (before.get("Guard-Scheme") or "").strip().lower()
    return old == scheme and before.get("Guard-Info") == info


def _hashed(secret: str, salt: str) -> str:
    """The crypt(3) hash; empty when the salt is none, so that nothing equals it."""
    try:
        return crypt_r.crypt(secret, salt) or ""
    except (OSError, ValueError):
        return ""


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8"), other.encode("utf-8"))
