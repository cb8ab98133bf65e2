"""Who a client is to the guardians of an object (RFC 2167 §4.1, arin-rwhoisd.md §4.2).

Looks guardian objects up in the image and compares what the client offered; what follows from
it is decided in ``directory.guardian``. Guard-Info never leaves this module.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Final, TypeVar

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import (
    ARGON2_SCHEME,
    CRYPT_SCHEME,
    GUARDIAN_CLASS,
    PASSWORD_SCHEMES,
    PGP_SCHEME,
    SECRET_SCHEMES,
    Act,
    Credentials,
    guardian_ids,
    is_guarded,
    key_name,
    may,
)
from rwhoisd.directory.objects import Line, Object
from rwhoisd.image.reader import Image
from rwhoisd.image.search import search
from rwhoisd.protocol.session import Peer
from rwhoisd.query.ast import Query, Term
from rwhoisd.service.hashing import (
    ARGON2_MARK,
    argon2_hash,
    argon2_in_vain,
    argon2_matches,
    argon2_refusal,
    crypt_hash,
    crypt_matches,
    crypt_refusal,
    equal,
)
from rwhoisd.service.ports import Ports

T = TypeVar("T")
Check = Callable[[], bool]  # takes its time
# Hashes computed for one request; guardians beyond count as not satisfied, until the next one.
MOST_HASHES: Final = 16
_ASKED: Final = 256  # guardians of an area that are asked before private lines are searched
_REMEMBERED: Final = 16  # guardians kept from one request to the next, about a kB each
_MISSED: Final = 1024  # guardians of one request that are counted as failures
TRY_LATER: Final = "too many failed authentications, try later"


class _Memory:
    """What an offer was compared with in one version of an image."""

    __slots__ = ("found", "hashed", "held", "version")

    def __init__(self, version: tuple[int, int]) -> None:
        self.version = version
        self.found: dict[str, Object | None] = {}
        self.held: dict[str, bool] = {}
        self.hashed: set[str] = set()  # guardians that keep a hash


def _memory_of(credentials: Credentials | None, version: tuple[int, int]) -> _Memory:
    """What was compared by requests before, if it still holds and is not too much."""
    if credentials is None:
        return _Memory(version)
    memory = credentials.proofs.memory
    if (
        not isinstance(memory, _Memory)
        or memory.version != version
        or len(memory.found) > _REMEMBERED
        or len(memory.held) > _REMEMBERED
    ):
        memory = credentials.proofs.memory = _Memory(version)
    return memory


class Guardians:
    """The guardians of one image against the credentials of one client, for one request.

    Remembers what it found: an area's guardians are asked for each of its objects, and in the
    next request as well, while the image is the same. A hashed
    secret is not compared here and now. Its guardian counts as not satisfied at first and is
    left in ``undecided``; ``decided`` has the hashes computed aside and asks again.

    A guess costs one hash for each guardian it misses, whether that keeps a hash, keeps its secret
    in the clear, or does not exist: else the time to the answer would tell which it is.
    """

    def __init__(
        self, image: Image, peer: Peer, ports: Ports, credentials: Credentials | None
    ) -> None:
        """Raises: RwhoisError 401, when the client's net has failed too often (see ``settle``)."""
        self._image = image.whole  # who guards what does not depend on who asks
        self._address = peer.address
        self._ports = ports
        self._credentials = credentials
        memory = _memory_of(credentials, image.version)
        self._found, self._held, self._hashed = memory.found, memory.held, memory.hashed
        self._undecided: dict[bytes, Check] = {}
        self._in_vain: dict[bytes, Check] = {}  # what a guess has to wait for besides
        self._missed: dict[str, None] = {}
        self._hashes = MOST_HASHES
        self._require_patience()

    @property
    def undecided(self) -> bool:
        """Whether an answer hangs on a hash that was not computed yet."""
        return bool(self._undecided) or self._has_to_wait

    @property
    def _has_to_wait(self) -> bool:
        """Whether a guess has not cost yet what it costs."""
        credentials = self._credentials
        return bool(self._in_vain) and credentials is not None and not credentials.proofs.proven

    async def decided(self, question: Callable[[], T]) -> T:
        """The answer to ``question``, asked again until no hash is missing; then ``settle``.

        Raises: RwhoisError 401, when the net's failures are used up meanwhile.
        """
        answer = question()
        while self.undecided:
            await self._decide()
            answer = question()
        self.settle()
        return answer

    def tried(self, guardians: Sequence[Object], area: AuthorityArea) -> None:
        """Whether each of these is satisfied, to be known when it is asked for.

        A guess at an area costs a hash at least, whoever guards what is in it.
        """
        for guardian in guardians:
            if not self.satisfies(guardian):
                self._wait_for(guardian.id or "")
        if not guardians:
            self._wait_for(area.name.text)

    async def _decide(self) -> None:
        """Compute what is missing up to the first that holds: the others may not be needed."""
        assert self._credentials is not None
        checks = self._undecided
        if self._has_to_wait:
            checks = {**checks, **self._in_vain}  # first those that may hold
        self._undecided, self._in_vain = {}, {}
        self._missed.clear()
        for digest, check in checks.items():
            if not self._hashes:
                return
            self._hashes -= 1
            self._require_patience()
            held = await self._ports.aside.run(check)
            self._credentials.proofs.learn(digest, held)
            if held:
                return

    def settle(self, *least: str) -> None:
        """Charge the client's net with the guardians that were not satisfied, each once.

        An offer that satisfies any guardian is no guess and costs nothing, nor is a signature that
        is good. A guardian that does
        not exist costs as one that does: there is nothing to be learned from it. ``least`` is
        charged when none was missed.
        """
        credentials = self._credentials
        if credentials is None or credentials.proofs.proven or credentials.scheme == PGP_SCHEME:
            return
        if number := credentials.proofs.miss(self._missed or least):
            self._ports.failures.failed(self._address, number)

    def _require_patience(self) -> None:
        credentials = self._credentials
        if credentials is not None and not credentials.proofs.proven:
            require_patience(self._ports, self._address)

    def may(self, act: Act, obj: Object, area: AuthorityArea) -> bool:
        """Whether the client may do this with ``obj``, by the table of ``directory.guardian``.

        For ADD it is the object that is to be.
        """
        allowed = self._may(act, obj, area)
        if not allowed:
            self._miss(guardian_ids(obj, area, act) or (obj.id or "",))
        return allowed

    def _may(self, act: Act, obj: Object, area: AuthorityArea) -> bool:
        if not is_guarded(obj, area, act):
            return True
        live = self.live(guardian_ids(obj, area, act))
        asked = live if act is Act.ADD else (*live, obj)
        held = {g.id for g in asked if g.id is not None and self.satisfies(g)}
        return may(act, obj, area, live, held)

    def sees(self, record: int) -> bool:
        """Whether the client has a guardian's rights over a guarded record.

        What a search looks at in vain is no failure of the client's: it would tell that it is
        there.
        """
        obj = self._image.object(record)
        return self._may(Act.SEE, obj, self._area(obj))

    def satisfies_any(self) -> bool:
        """Whether the client satisfies some guardian; who does not has failed once.

        It is asked before private lines are searched, and of all guardians whatever there is to
        be found: neither the cost in failures nor the hashes computed tell of a hit. Of very many
        guardians some are not asked; who satisfied another one before has been proven by that.
        """
        credentials = self._credentials
        if credentials is None:
            return False
        if not credentials.proofs.proven and not any(map(self.satisfies, self._some_guardians())):
            self._miss(("",))
            return False
        return True

    def _some_guardians(self) -> Iterator[Object]:
        image = self._image
        for area in image.scopes.areas:
            yield from self.live(area.guardians)
            for class_def in area.schema.classes:
                yield from self.live(class_def.guardians)
        for number in range(len(image.scopes.areas)):
            for _, guardian in islice(image.transfer(number, GUARDIAN_CLASS), _ASKED):
                yield guardian

    def _miss(self, names: Iterable[str]) -> None:
        if len(self._missed) < _MISSED:
            self._missed.update((name.lower(), None) for name in names)
            for name in names:
                self._wait_for(name)

    def _wait_for(self, name: str) -> None:
        """Have a guess at this guardian cost a hash, unless it keeps one, which is computed."""
        credentials = self._credentials
        if credentials is None or credentials.scheme not in SECRET_SCHEMES or not self._hashes:
            return
        guardian = self._lookup(name) if name else None
        key = ((guardian.id if guardian is not None else None) or name).lower()
        digest = blake2b(key.encode("utf-8", "replace"), digest_size=16).digest()
        if key not in self._hashed and credentials.proofs.known(digest) is None:
            self._in_vain[digest] = partial(argon2_in_vain, credentials.secret)

    def live(self, names: Iterable[str]) -> tuple[Object, ...]:
        """The guardian objects of these names; stale names are left out."""
        found = (self._lookup(name) for name in names)
        return tuple(g for g in found if g is not None)

    def satisfies(self, guardian: Object) -> bool:
        """Whether the client offered what ``guardian`` asks for, as far as it is known yet."""
        if self._credentials is None:
            return False
        key = guardian.id or ""
        held = self._held.get(key)
        if held is None:
            held = self._compared(self._credentials, guardian)
            if held is None:
                return False
            self._held[key] = held
            self._credentials.proofs.proven |= held
        return held

    def _compared(self, credentials: Credentials, guardian: Object) -> bool | None:
        """Whether the guardian is satisfied; None when a hash has to be computed for it."""
        charset = self._area(guardian).charset
        found = comparison(credentials, guardian, charset)
        if isinstance(found, bool):
            return found
        self._hashed.add((guardian.id or "").lower())
        told = f"{charset}\0{guardian.get('Guard-Scheme')}\0{guardian.get('Guard-Info')}"
        digest = blake2b(told.encode("utf-8", "replace"), digest_size=16).digest()
        known = credentials.proofs.known(digest)
        if known is None and self._hashes:
            self._undecided[digest] = found
        return known

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
        return self.may(Act.SEE, obj, self._area(obj))

    def _area(self, obj: Object) -> AuthorityArea:
        scopes = self._image.scopes
        return scopes.areas[scopes.numbers[obj.area.lower()]]

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


def require_patience(ports: Ports, address: str) -> None:
    """Raises: RwhoisError 401, when the net of this client has failed too often."""
    if not ports.failures.may_try(address):
        raise RwhoisError(ResponseCode.NOT_AUTHORIZED, TRY_LATER)


def proves(credentials: Credentials, guardian: Object, charset: str = "utf-8") -> bool:
    """Whether the credentials are those of a guardian object, whatever time it takes."""
    found = comparison(credentials, guardian, charset)
    return found if isinstance(found, bool) else found()


def comparison(credentials: Credentials, guardian: Object, charset: str = "utf-8") -> bool | Check:
    """Whether the credentials are those of a guardian object, or what will tell after a hash.

    pw, password and passwd are one scheme: the secret equals Guard-Info. crypt-pw: its
    crypt(3) hash does. argon2id: it is the secret of that hash; the words for a password satisfy
    it as well, so that clients need not know how their secret is kept. Letter case counts in
    the secret only. pgp: Guard-Info names the key that signed. ``charset``: the guardian's area's,
    as the secret came in bytes.
    """
    scheme = (guardian.get("Guard-Scheme") or "").strip().lower()
    info = guardian.get("Guard-Info")
    if scheme == PGP_SCHEME:
        return key_name(info or "") in credentials.keys
    offered = wire_text(credentials.secret, charset)
    if not info or offered is None:
        return False
    if scheme in PASSWORD_SCHEMES:
        return credentials.scheme in PASSWORD_SCHEMES and equal(offered, info)
    if scheme == CRYPT_SCHEME:
        allowed = credentials.scheme == CRYPT_SCHEME and not crypt_refusal(info)
        return allowed and partial(_crypt_or_as_long, offered, info)
    if scheme == ARGON2_SCHEME:
        allowed = credentials.scheme in PASSWORD_SCHEMES | {ARGON2_SCHEME}
        return allowed and not argon2_refusal(info) and partial(argon2_matches, offered, info)
    return False


def _crypt_or_as_long(secret: str, info: str) -> bool:
    """Whether it is the secret; a wrong one takes as long as with another scheme, or longer."""
    return crypt_matches(secret, info) or argon2_in_vain(secret)


def wire_text(octets: str, charset: str) -> str | None:
    """Text of bytes that were read as latin-1; None when they are not of ``charset``."""
    try:
        return octets.encode("latin-1").decode(charset)
    except UnicodeDecodeError:
        return None


def normalized(lines: Sequence[Line], before: Object | None = None) -> tuple[Line, ...]:
    """The lines of a guardian object as they are stored (arin-rwhoisd.md §6.3.9).

    The words for a password become ``pw``; with crypt-pw the secret becomes its hash, unless
    it is that of the object ``before``; with argon2id as well, unless it is a hash already. The
    key of pgp is written as its digits. Takes its time. Raises: RwhoisError 321, for an argon2
    hash that is not computed here, and for what names no key.
    """
    values = {name.lower(): value for name, value in lines}
    scheme = values.get("guard-scheme", "").strip().lower()
    info = values.get("guard-info", "")
    changed = {}
    if scheme in PASSWORD_SCHEMES:
        changed["guard-scheme"] = "pw"
    elif scheme == CRYPT_SCHEME and not (before and _same_guard(before, scheme, info)):
        changed["guard-info"] = crypt_hash(info)
    elif scheme == ARGON2_SCHEME:
        changed["guard-scheme"] = ARGON2_SCHEME
        changed["guard-info"] = _argon2_info(info)
    elif scheme == PGP_SCHEME:
        changed["guard-scheme"] = PGP_SCHEME
        changed["guard-info"] = _key(info)
    return tuple((name, changed.get(name.lower(), value)) for name, value in lines)


def _argon2_info(info: str) -> str:
    """A hash as it is, anything else hashed. Raises: RwhoisError 321."""
    if not info.startswith(ARGON2_MARK):
        return argon2_hash(info)
    if argon2_refusal(info):
        raise RwhoisError(ResponseCode.INVALID_ATTRIBUTE_SYNTAX, "Guard-Info")
    return info


def _key(info: str) -> str:
    """The digits of a fingerprint or key ID. Raises: RwhoisError 321."""
    digits = key_name(info)
    if not digits:
        raise RwhoisError(ResponseCode.INVALID_ATTRIBUTE_SYNTAX, "Guard-Info")
    return digits


def is_clear(lines: Sequence[Line], before: Object | None = None) -> bool:
    """Whether the lines of a guardian object hold a secret that anybody on the way could read."""
    values = {name.lower(): value for name, value in lines}
    scheme = values.get("guard-scheme", "").strip().lower()
    info = values.get("guard-info", "")
    if scheme == ARGON2_SCHEME:
        return not info.startswith(ARGON2_MARK)
    if scheme == CRYPT_SCHEME:
        return not (before and _same_guard(before, scheme, info))
    return scheme in PASSWORD_SCHEMES


def _same_guard(before: Object, scheme: str, info: str) -> bool:
    old = (before.get("Guard-Scheme") or "").strip().lower()
    return old == scheme and before.get("Guard-Info") == info
