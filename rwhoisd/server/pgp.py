"""PGP by ``gpg`` and the operator's private keyring (docs/adr/0011-pgp.md).

Theory of operation. One thread per worker runs one ``gpg`` at a time; who comes when the queue is
full is told so. Each run is bounded in time, input and output, asks nobody for anything, and knows
no keys but those of the keyring and no network. What ``gpg`` says of a signature is read strictly:
one signature, good, by a key that may sign now; whatever else stands there makes it worthless.

A signed request that somebody recorded must not work twice. So its time has to be near ours, and
what was signed in that time is remembered, as the name of an empty file that only one worker can
make: it holds over all workers, and over a restart.
"""

import asyncio
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import gnupg

from rwhoisd.config import Config
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.guardian import FINGERPRINT_DIGITS, key_name
from rwhoisd.protocol.payload import Sealing, Treatment
from rwhoisd.service.ports import PayloadContent

logger = logging.getLogger(__name__)

T = TypeVar("T")

_WAITING: Final = 32  # works that may wait for the thread
_PRUNE_SECONDS: Final = 60.0
_ARMOR: Final = 2  # a block is at most so many times as long as what is in it, and a little more
_OPTIONS: Final = (
    *("--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate", "--disable-dirmngr"),
    *("--trust-model", "always", "--no-auto-check-trustdb", "--no-permission-warning"),
    *("--pinentry-mode", "error", "--exit-on-status-write-error"),
)
_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
# Of what gpg says while it opens a payload: what may stand there once, and what never.
_ONCE: Final = ("NEWSIG", "GOODSIG", "VALIDSIG", "PLAINTEXT")
_NEVER: Final = frozenset(
    {"BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NO_PUBKEY", "NODATA", "UNEXPECTED"}
)
_SIGNATURE_CLASSES: Final = frozenset({"00", "01"})  # of a document, binary or text
_BROKEN_HASHES: Final = frozenset({"1", "2", "3"})  # MD5, SHA-1, RIPEMD-160
_VALIDSIG_FIELDS: Final = 10
_UNUSABLE: Final = frozenset("redi")  # validity of a key: revoked, expired, disabled, invalid
# What it says → why a signature proves nothing.
_REASONS: Final[Mapping[str, str]] = {
    "NO_PUBKEY": "unknown key",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key was revoked",
    "EXPSIG": "the signature has expired",
    "BADSIG": "bad signature",
}

# The library writes down what it handles; nothing of that belongs into a log.
logging.getLogger("gnupg").disabled = True


class PgpError(Exception):
    """A keyring that cannot be used; the text says what is wrong and the mend."""


@dataclass(frozen=True)
class PgpSettings:
    """What an operator decides. ``signing_key`` is a fingerprint, "" for none; ``seen`` the folder
    of what was signed lately."""

    home: Path
    seen: Path
    signing_key: str = ""
    window_seconds: float = 300.0
    seconds: float = 10.0
    answer_octets: int = 4194304


class _Told(gnupg.Crypt):  # type: ignore[misc]
    """Everything that gpg said of its work, in order."""

    def __init__(self, gpg: gnupg.GPG) -> None:
        super().__init__(gpg)
        self.lines: list[tuple[str, str]] = []

    def handle_status(self, key: str, value: str) -> None:
        """A status line."""
        self.lines.append((key, value))

    def said(self, key: str) -> list[str]:
        """The values that were told with a key."""
        return [value for name, value in self.lines if name == key]


class _Gpg(gnupg.GPG):  # type: ignore[misc]
    """A gpg that ends in time. To be used by one thread."""

    result_map: Final = {**gnupg.GPG.result_map, "crypt": _Told, "sign": _Told}

    def __init__(self, home: Path, seconds: float) -> None:
        self._seconds = seconds
        super().__init__(gnupghome=str(home), options=list(_OPTIONS), env=_ENVIRONMENT)

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Any:
        process: subprocess.Popen[bytes] = super()._open_subprocess(args, passphrase)
        self._timer = threading.Timer(self._seconds, process.kill)
        self._timer.daemon = True
        self._timer.start()
        return process

    def _collect_output(self, process: Any, result: Any, *others: Any, **more: Any) -> None:
        try:
            super()._collect_output(process, result, *others, **more)
        finally:
            self._timer.cancel()


def gpg_for(home: Path, seconds: float) -> gnupg.GPG:
    """gpg on a keyring. Raises: PgpError."""
    if not home.is_dir() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise PgpError(
            f"{home}: no folder that this user can write; make it with: install -d -m 700 {home}"
        )
    if home.stat().st_uid != os.geteuid():
        raise PgpError(f"{home}: the keyring has to belong to the user who serves; see chown(1)")
    if home.stat().st_mode & 0o077:
        raise PgpError(f"{home}: others can enter the keyring; mend it with: chmod 700 {home}")
    try:
        return _Gpg(home, seconds)
    except (OSError, ValueError):
        raise PgpError(f"{home}: gpg cannot be run on it; is gnupg installed?") from None


def settings(config: Config) -> PgpSettings | None:
    """The settings; None where no keyring is named. Raises: PgpError."""
    row = config.pgp
    if row.home is None:
        return None
    signing = key_name(row.signing_key)
    if row.signing_key and len(signing) < FINGERPRINT_DIGITS:
        raise PgpError(f"pgp.signing_key: {row.signing_key!r} is no fingerprint of 40 hex digits")
    return PgpSettings(
        config.path(row.home),
        config.state_path / "pgp-seen",
        signing,
        row.window_seconds,
        row.seconds,
        row.answer_octets,
    )


def check(config: Config) -> None:
    """Raises: PgpError, when the keyring cannot be used as the configuration says."""
    found = settings(config)
    if found is not None and not _is_of_another(found.home):
        gpg = gpg_for(found.home, found.seconds)
        if found.signing_key and not _can_sign(gpg, found.signing_key):
            raise PgpError(
                f"{found.home}: has no secret key {found.signing_key} that may sign now;"
                f" gpg --homedir {found.home} --list-secret-keys shows those that are there"
            )


def _is_of_another(home: Path) -> bool:
    """Whether root looks at a user's keyring: gpg would leave files there that are root's."""
    return os.geteuid() == 0 and home.is_dir() and home.stat().st_uid != 0


def _can_sign(gpg: gnupg.GPG, fingerprint: str) -> bool:
    return any(
        key["fingerprint"] == fingerprint and _may(key, "S") for key in gpg.list_keys(secret=True)
    )


class GpgKeyring:
    """The keys of the operator, see ``service.ports.Keyring``."""

    def __init__(self, chosen: PgpSettings, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since the epoch. Raises: PgpError, OSError."""
        self._settings: Final = chosen
        self._clock: Final = clock
        self._gpg: Final = gpg_for(chosen.home, chosen.seconds)
        self._thread: Final = ThreadPoolExecutor(1, "pgp")
        self._waiting = 0
        self._seen: Final = _Seen(chosen.seen, 2 * chosen.window_seconds + _PRUNE_SECONDS, clock)

    @property
    def signs(self) -> bool:
        """Whether there is a key to sign responses with."""
        return bool(self._settings.signing_key)

    async def open(self, payload: bytes, treatment: Treatment, *, octets: int) -> PayloadContent:
        """What is in a payload. Raises: RwhoisError 353, 354, 402."""
        return await self._aside(lambda: self._opened(payload, treatment, octets))

    async def key_for(self, name: str) -> str:
        """Fingerprint of the key to encrypt with. Raises: RwhoisError 354, 402."""
        return await self._aside(lambda: self._recipient(name))

    async def seal(self, body: bytes, more: Iterator[bytes] | None, sealing: Sealing) -> bytes:
        """The block of a response. Raises: RwhoisError 354, 402, and what comes of the parts."""
        most = self._settings.answer_octets
        parts, octets = [body], len(body)
        for part in more or ():
            parts.append(part)
            octets += len(part)
            if octets > most:
                break
            await asyncio.sleep(0)  # let others have their turn
        if octets > most:
            raise _encryption_failed(f"response longer than {most} octets")
        return await self._aside(lambda: self._sealed(b"".join(parts), sealing))

    def close(self) -> None:
        """Wait for what is under way; nothing more is done."""
        self._thread.shutdown(cancel_futures=True)

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise RwhoisError(ResponseCode.UNIDENTIFIED, "too much PGP to do, try later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, ValueError) as error:  # of the library, when gpg ends before its time
            logger.error("gpg cannot work on %s: %s", self._settings.home, type(error).__name__)
            raise _try_later() from None
        finally:
            self._waiting -= 1

    # -- in the thread

    def _keys(self) -> Sequence[Mapping[str, Any]]:
        """All keys of the ring. Raises: RwhoisError 402, rather than to leave one out."""
        found = self._gpg.list_keys()
        if found.returncode:
            raise _try_later()
        return cast("Sequence[Mapping[str, Any]]", found)

    def _opened(self, payload: bytes, treatment: Treatment, octets: int) -> PayloadContent:
        told = self._gpg.decrypt(payload, extra_args=["--max-output", str(octets)])
        _require_end(told)
        if treatment.encrypts and not told.said("DECRYPTION_OKAY"):
            raise _encryption_failed("it cannot be decrypted")
        if not treatment.signs:
            if told.returncode:
                raise _encryption_failed("it cannot be decrypted")
            return PayloadContent(told.data)
        signing, primary, moment = _signer(told)
        keys = self._names(signing, primary)
        self._require_new(primary, moment, told.data)
        return PayloadContent(told.data, keys)

    def _names(self, signing: str, primary: str) -> frozenset[str]:
        """Every name of a key that no other key of the ring has. Raises: RwhoisError 353."""
        ours: set[str] = set()
        others: set[str] = set()
        usable = False
        for key in self._keys():
            if key["fingerprint"] == primary:
                usable = not _is_unusable(key)
                ours |= _short_names(primary) | _short_names(signing)
                others |= _all_names(key) - ours
            else:
                others |= _all_names(key)
        if not usable:
            raise _not_proven("unknown key")
        return frozenset(ours - others)

    def _require_new(self, primary: str, moment: int, content: bytes) -> None:
        """Raises: RwhoisError 353, for what was signed too long ago, or came before; 402."""
        if abs(self._clock() - moment) > self._settings.window_seconds:
            raise _not_proven("not signed just now")
        if not self._seen.add(primary, moment, content):
            raise _not_proven("it came before")

    def _recipient(self, name: str) -> str:
        wanted = key_name(name)
        keys = [key for key in self._keys() if wanted and wanted in _all_names(key)]
        if len(keys) != 1 or _is_unusable(keys[0]) or not _may(keys[0], "E"):
            raise _encryption_failed("no such key")
        return str(keys[0]["fingerprint"])

    def _sealed(self, text: bytes, sealing: Sealing) -> bytes:
        treatment, key = sealing
        signing = self._settings.signing_key if treatment.signs else ""
        room = ["--max-output", str(_ARMOR * len(text) + 65536), "--no-emit-version"]
        if treatment.encrypts:
            told = self._gpg.encrypt(text, [key], sign=signing or None, extra_args=room)
            good = told.said("END_ENCRYPTION")
        else:
            told = self._gpg.sign(text, keyid=signing, clearsign=True, extra_args=room)
            good = told.said("SIG_CREATED")
        _require_end(told)
        if told.returncode or not good or (signing and not told.said("SIG_CREATED")):
            raise _encryption_failed("gpg could not do it")
        return bytes(told.data)


class _Seen:
    """What was signed lately, over all workers."""

    def __init__(self, folder: Path, keep_seconds: float, clock: Callable[[], float]) -> None:
        """Raises: OSError."""
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._keep = keep_seconds
        self._clock = clock
        self._pruned = 0.0

    def add(self, key: str, moment: int, content: bytes) -> bool:
        """Remember it; False when it was remembered already. Raises: RwhoisError 402.

        What counts is what was said, when, by whom: for many kinds of keys anybody can turn one
        good signature into another.
        """
        self._prune()
        lines = b"\n".join(line.strip() for line in content.splitlines()).strip()
        name = blake2b(f"{key} {moment} ".encode() + lines, digest_size=20).hexdigest()
        try:
            os.close(os.open(self._folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        except OSError as error:
            logger.error("%s: %s; nothing that is signed is taken", self._folder, error.strerror)
            raise _try_later() from None
        return True

    def _prune(self) -> None:
        """Forget what is too old to be accepted anyway."""
        now = self._clock()
        if abs(now - self._pruned) < _PRUNE_SECONDS:
            return
        self._pruned = now
        for entry in os.scandir(self._folder):
            try:
                if entry.stat().st_mtime < now - self._keep:
                    os.unlink(entry)  # noqa: PTH108
            except FileNotFoundError:  # another worker was first
                continue


def _signer(told: _Told) -> tuple[str, str, int]:
    """Fingerprints of the key that signed and of its primary key, and when it did.

    Raises: RwhoisError 353, unless that is all there is to say.
    """
    for key, _ in told.lines:
        if key in _NEVER:
            known = next((k for k, _ in told.lines if k in _REASONS), "")
            raise _not_proven(_REASONS.get(known, "no good signature"))
    if told.returncode or any(len(told.said(key)) != 1 for key in _ONCE):
        raise _not_proven("no good signature")
    fields = told.said("VALIDSIG")[0].split()
    if len(fields) < _VALIDSIG_FIELDS or fields[8] not in _SIGNATURE_CLASSES:
        raise _not_proven("no good signature")
    if fields[7] in _BROKEN_HASHES:
        raise _not_proven("the signature's hash is broken")
    return fields[0], fields[9], int(fields[2])


def _short_names(fingerprint: str) -> set[str]:
    """A fingerprint and its key IDs."""
    # Of version 5 keys the ID is at the beginning, of all others at the end.
    head = len(fingerprint) > FINGERPRINT_DIGITS
    long = fingerprint[:16] if head else fingerprint[-16:]
    return {fingerprint, long, long[:8] if head else long[-8:]}


def _all_names(key: Mapping[str, Any]) -> set[str]:
    """The names of a key and of its subkeys."""
    prints: Sequence[str] = [key["fingerprint"], *(row[2] for row in key["subkeys"])]
    return {name for text in prints for name in _short_names(text)}


def _is_unusable(key: Mapping[str, Any]) -> bool:
    """Whether a key is revoked, expired or switched off."""
    return key["trust"] in _UNUSABLE or "D" in key["cap"]


def _may(key: Mapping[str, Any], capability: str) -> bool:
    """Whether a key, with its subkeys, can now do what the letter says."""
    return capability in key["cap"] and not _is_unusable(key)


def _require_end(told: _Told) -> None:
    """Raises: RwhoisError 402, when gpg did not end by itself in its time."""
    if told.returncode < 0:
        logger.error("gpg did not end in time and was killed")
        raise _try_later()


def _try_later() -> RwhoisError:
    return RwhoisError(ResponseCode.UNIDENTIFIED, "try later")


def _not_proven(why: str) -> RwhoisError:
    return RwhoisError(ResponseCode.AUTHENTICATION_FAILED, why)


def _encryption_failed(why: str) -> RwhoisError:
    return RwhoisError(ResponseCode.ENCRYPTION_FAILED, why)
