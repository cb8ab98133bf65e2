"""What has to be done before anybody is served: the state folder, the data, the image.

``run`` is done by a child of the supervisor, at the start and at each reload. It is safe to be
done again at any time: what has not changed costs a look.
"""

import asyncio
import contextlib
import ctypes
import grp
import hashlib
import logging
import os
import pwd
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rwhoisd.config import STORE_FILE, Config
from rwhoisd.directory.dialect import DIALECTS
from rwhoisd.formats.findings import Finding
from rwhoisd.formats.trust import distrust
from rwhoisd.server import loaded, pgp, tls
from rwhoisd.server.pace import Pace

if TYPE_CHECKING:  # only the child that prepares loads the database library
    from rwhoisd.formats.load import AreaResult
    from rwhoisd.store import Store

logger = logging.getLogger(__name__)

ZONES_FINGERPRINT: Final = "zones.fingerprint"
_SHOWN: Final = 10  # findings that are told one by one
_STATE_MODE: Final = 0o750
_NICE: Final = 10  # of a compaction: answers come first
_PR_SET_NO_NEW_PRIVS: Final = 38


class PrepareError(Exception):
    """The data cannot be served; the text says why, a line for each reason."""


def make_state(config: Config) -> None:
    """Make the state folder where there is none, owned by the user who will serve.

    Raises: PrepareError.
    """
    path = config.state_path
    try:
        if not path.is_dir():
            path.mkdir(_STATE_MODE, parents=True)
            if config.user and os.geteuid() == 0:
                os.chown(path, *_ids(config))
    except OSError as error:
        raise PrepareError(
            f"state folder {path} cannot be made: {error.strerror}; choose another with --state"
        ) from None
    for kept in (path, config.image_path):
        _require_trust(config, kept)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise PrepareError(
            f"state folder {path} cannot be written by this user; choose another with --state"
        )


def _require_trust(config: Config, path: Path) -> None:
    """Raises: PrepareError, when others than us could put something else in place of our files."""
    try:
        why = distrust(path, _ids(config)[:1] if config.user else ())
    except FileNotFoundError:
        return  # it is made by us
    except OSError as error:
        raise PrepareError(f"{path}: {error.strerror}") from None
    if why:
        raise PrepareError(f"what the server keeps would not be safe: {why}")


def become(config: Config, source: Path) -> None:
    """Give up root for the configured user, for good. Raises: PrepareError.

    ``source`` is the configuration's file, which that user has to read at a reload.

    It comes after the ports are bound and before anything is read from the network, and what is
    forked later has no more rights. Without a user to become, root stays root and is warned.
    """
    if os.geteuid() != 0:
        return
    if not config.user:
        logger.warning(
            "serving as root: name a user in the configuration, who is become once the ports are"
            " bound"
        )
        return
    user, group = _ids(config)
    os.initgroups(config.user, group)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    _gain_nothing()
    _require_own(config)
    if not os.access(source, os.R_OK):
        logger.warning(
            "%s cannot be read by user %s: HUP changes nothing until it can", source, config.user
        )


def _gain_nothing() -> None:
    """From here on no program that is started has more rights, setuid bit or not."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        logger.warning("no_new_privs: %s", os.strerror(ctypes.get_errno()))


def _require_own(config: Config) -> None:
    """Raises: PrepareError, for files in the state folder that root made and did not give away."""
    for path in (config.state_path, config.image_path, config.state_path / STORE_FILE):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise PrepareError(
                f"{path} cannot be written by user {config.user}:"
                f" chown -R {config.user} {config.state_path}"
            )


def _ids(config: Config) -> tuple[int, int]:
    try:
        user = pwd.getpwnam(config.user)
    except KeyError:
        raise PrepareError(f"user: there is no user {config.user!r} on this system") from None
    if not config.group:
        return user.pw_uid, user.pw_gid
    try:
        return user.pw_uid, grp.getgrnam(config.group).gr_gid
    except KeyError:
        raise PrepareError(f"group: there is no group {config.group!r} on this system") from None


def run(config: Config, *, data: bool = True, anew: bool = False) -> bool:
    """Bring store and image up to date with what the configuration names.

    With ``data=False`` only the image, with ``anew`` whatever the image is like. Gives False
    when the database or the disk does not let it now, and there is an image to serve meanwhile.
    Raises: PrepareError, TlsError, PgpError, FormatError, StoreError, ImageError, OSError.
    """
    tls.contexts(config)  # a file that cannot be used is told before anything is served by it
    pgp.check(config)
    return asyncio.run(_run_or_wait(config, data=data, anew=anew))


async def _run_or_wait(config: Config, *, data: bool, anew: bool) -> bool:
    from rwhoisd.image.current import ImageReader
    from rwhoisd.image.errors import ImageError
    from rwhoisd.store.errors import StoreFullError, StoreLockedError, StoreLostError

    try:
        await _run(config, data=data, anew=anew)
    except (StoreFullError, StoreLockedError, StoreLostError, ImageError) as error:
        try:
            ImageReader(config.image_path, DIALECTS[config.compat].eol).close()
        except ImageError:
            raise error from None
        logger.error("%s; what is there is served, and this is tried again", error)
        return False
    return True


async def _run(config: Config, *, data: bool, anew: bool) -> None:
    from rwhoisd.store import Store

    seen = loaded.look(_sources(config)) if data else {}
    async with contextlib.AsyncExitStack() as stack:
        store = await Store.open(config.store_url, create=data, check=not data)
        stack.push_async_callback(store.close)
        if data:
            await store.upgrade()
            if config.arin_config:
                await _import_arin(store, config.path(config.arin_config))
            if config.zones:
                await _load_zones(store, [config.path(zone) for zone in config.zones])
        # Looked at as a whole here only: it takes the time to read all records.
        anew = anew or (data and _is_damaged(config.image_path))
        await _renew_image(store, config, anew=anew)
    if data:
        loaded.note(config, seen)


def _sources(config: Config) -> Iterator[Path]:
    """All files and folders that are loaded, but what the server itself keeps among them."""
    from rwhoisd.formats import arin, zone

    kept = (config.state_path, config.image_path)
    if config.arin_config:
        installation = arin.read_installation(config.path(config.arin_config))
        yield from installation.files
        yield from _folders(installation.settings.root_dir, kept)
    for path in map(config.path, config.zones):
        for top in _folders(path, kept):
            yield top
            yield from (Path(entry.path) for entry in os.scandir(top) if not entry.is_dir())
        for folder in zone.find_zones(path):
            yield from _class_files(folder)


def _folders(path: Path, kept: Sequence[Path]) -> Iterator[Path]:
    """A folder and all below it, but those that are ``kept``."""
    for top, names, _ in os.walk(path):
        folder = Path(top)
        names[:] = [name for name in names if folder / name not in kept]
        yield folder


def is_worn(config: Config) -> bool:
    """Whether the image should be compacted. Costs a look at a few files."""
    from rwhoisd.image.compaction import is_worn

    return is_worn(config.image_path)


def compact(config: Config) -> None:
    """Compact the image beside what is served, at the least priority.

    Raises: StoreError, ImageError, OSError.
    """
    os.nice(_NICE)
    asyncio.run(_compact(config))


async def _compact(config: Config) -> None:
    from rwhoisd.image.compaction import compact
    from rwhoisd.store import Store

    async with contextlib.AsyncExitStack() as stack:
        store = await Store.open(config.store_url)
        stack.push_async_callback(store.close)
        await compact(store.snapshot, config.image_path)


async def _renew_image(store: "Store", config: Config, *, anew: bool) -> None:
    """Make the image agree with the store and the configuration."""
    from rwhoisd.image.build import build
    from rwhoisd.image.catch_up import follow

    path, eol, pace = config.image_path, DIALECTS[config.compat].eol, Pace("building the image")
    if anew or not path.exists() or _lacks_reversed(path, config):
        async with store.snapshot() as source:
            await build(source, path, eol, pace, reverse=config.query.leading_wildcard)
    elif not await follow(store.snapshot, path, eol, pace):
        return
    logger.info("image %s is new", path)


def _lacks_reversed(path: Path, config: Config) -> bool:
    """Whether leading wildcards are on, and there is no good image that can serve them."""
    from rwhoisd.image.errors import ImageError
    from rwhoisd.image.info import info

    if not config.query.leading_wildcard:
        return False
    try:
        return not info(path).reversed_index
    except ImageError as error:
        logger.warning("building the image: %s", error)
        return True


def _is_damaged(path: Path) -> bool:
    """Whether there is an image whose records are not what was built."""
    from rwhoisd.image.errors import ImageError
    from rwhoisd.image.verify import records_fault

    try:
        fault = records_fault(path)
    except (ImageError, OSError):
        return False  # it is built anew anyway, and the reason told
    if fault:
        logger.warning("building the image: %s", fault)
    return fault is not None


async def _import_arin(store: "Store", conf: Path) -> None:
    from rwhoisd.formats import load

    # What the files say is served, as ARIN's server would: there is no guard against removals.
    options = load.Options(author="rwhoisd", max_removals=1.0, progress=Pace("loading"))
    result = await load.import_if_changed(store, conf, options)
    if result is None:
        return
    _raise_refused(result.areas)
    _tell([*result.findings, *(f for area in result.areas for f in area.findings)])
    _tell_loaded(str(conf), result.areas)
    for name in result.removed_areas:
        logger.info("%s: area %s is gone and was removed", conf, name)


async def _load_zones(store: "Store", paths: Sequence[Path]) -> None:
    from rwhoisd.formats import load, zone

    folders = [folder for path in paths for folder in zone.find_zones(path)]
    mark = _fingerprint(folders)
    if (await store.settings()).get(ZONES_FINGERPRINT) == mark:
        return
    zones = [zone.read_zone(folder, number) for number, folder in enumerate(folders)]
    options = load.Options(author="rwhoisd", prune=True, progress=Pace("loading"))
    results = await load.load_zones(store, zones, options)
    _raise_refused(results)
    _tell(f for area in results for f in area.findings)
    _tell_loaded("zones", results)
    await store.set_setting(ZONES_FINGERPRINT, mark)


def _fingerprint(folders: Iterable[Path]) -> str:
    """A digest of names, sizes and times of all files that make up the zones."""
    digest = hashlib.blake2b(digest_size=16)
    for folder in folders:
        for path in (*sorted(folder.rglob("*")), *_class_files(folder)):
            with contextlib.suppress(FileNotFoundError):  # it will be missed when it is read
                seen = path.stat()
                digest.update(f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _class_files(folder: Path) -> Iterator[Path]:
    """Class definitions that a zone takes from elsewhere."""
    try:
        table = tomllib.loads((folder / "zone.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return  # it is told when the zone is read
    for name in table.get("classes", ()):
        if isinstance(name, str) and name.endswith(".toml"):
            yield folder / name


def _raise_refused(results: Iterable["AreaResult"]) -> None:
    refused = [f"area {result.area}: {result.refused}" for result in results if result.refused]
    if refused:
        raise PrepareError("\n".join(refused))


def _tell(findings: Iterable[Finding]) -> None:
    rows = list(findings)
    for finding in rows[:_SHOWN]:
        logger.warning("%s", finding)
    if len(rows) > _SHOWN:
        logger.warning("and %d more findings; rwhois-admin check lists all", len(rows) - _SHOWN)


def _tell_loaded(what: str, results: Sequence["AreaResult"]) -> None:
    touched = [result for result in results if result.touched]
    logger.info(
        "%s: %d of %d areas changed, %d objects added, %d changed, %d removed",
        what,
        len(touched),
        len(results),
        sum(result.added for result in touched),
        sum(result.changed for result in touched),
        sum(result.removed for result in touched),
    )
