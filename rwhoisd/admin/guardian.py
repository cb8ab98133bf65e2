"""Verbs of guardians: add, passwd, migrate, list. Secrets come by prompt or standard input only.

Nothing here prints a secret, nor its hash.
"""

import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    ConfigOption,
    Failure,
    ImageOption,
    JsonOption,
    StateOption,
    StoreOption,
)
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.guardian import (
    ARGON2_SCHEME,
    CRYPT_SCHEME,
    FINGERPRINT_DIGITS,
    GUARDIAN_CLASS,
    PASSWORD_SCHEMES,
    PGP_SCHEME,
    key_name,
)
from rwhoisd.directory.objects import Line, Object, late_order
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.validate import ObjectRules
from rwhoisd.service.hashing import (
    ARGON2_MARK,
    argon2_hash,
    argon2_refusal,
    crypt_hash,
    crypt_refusal,
)
from rwhoisd.store import Store
from rwhoisd.store.change import AreaChange

app = typer.Typer(help="Guardians, who prove who they are by a secret.", no_args_is_help=True)

SOURCE: Final = "admin"
# Sources that a load puts back in place when the files change.
_FILES: Final = {"zone": "the zone's files", "arin-files": "ARIN's data files"}


# Scheme of a hash → why it cannot be used, "" when it can.
_REFUSALS: Final[Mapping[str, Callable[[str], str]]] = {
    ARGON2_SCHEME: argon2_refusal,
    CRYPT_SCHEME: crypt_refusal,
    PGP_SCHEME: lambda info: "" if key_name(info) else "it is no fingerprint or key ID",
}


class Scheme(StrEnum):
    """How a secret is kept."""

    ARGON2ID = ARGON2_SCHEME
    CRYPT_PW = CRYPT_SCHEME
    PW = "pw"
    PGP = PGP_SCHEME  # no secret: Guard-Info names a key


StdinOption = Annotated[
    bool, typer.Option("--stdin", help="Read the secret from standard input: its first line.")
]


@app.command(epilog="Example: rwhois-admin guardian add example.net hostmaster")
def add(
    area: Annotated[str, typer.Argument(help="The authority area it belongs to.")],
    object_id: Annotated[
        str, typer.Argument(metavar="ID", help="Its ID, the area's name may be left out.")
    ],
    scheme: Annotated[Scheme, typer.Option(help="How its secret is kept.")] = Scheme.ARGON2ID,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE, a further attribute; may be repeated."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="With --scheme pgp: fingerprint of the key that signs.", show_default=False
        ),
    ] = None,
    stdin: StdinOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
) -> None:
    """Add a guardian. The secret is asked for twice, or read from standard input."""
    further = [_line(text) for text in values or ()]
    secret = _secret(stdin=stdin) if scheme is not Scheme.PGP else ""
    if scheme is Scheme.PGP or key is not None:
        secret = _fingerprint(scheme, key)

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with target.open() as opened:
            [found] = common.chosen(await opened.areas(), [area])
            full_id = _full_id(found, object_id)
            obj = _new_object(found, full_id, scheme, _fitting(found, secret), further)
            await opened.run(
                found.name.text, _adding(obj, full_id), author=_author(), source=SOURCE
            )
            await target.refresh_image(opened)
        typer.echo(f"{full_id}: added to {found.name}, scheme {scheme.value}")
        return DONE

    common.run(work)


def _fingerprint(scheme: Scheme, key: str | None) -> str:
    """The key of a pgp guardian, by its whole fingerprint: key IDs are easily made again."""
    if scheme is not Scheme.PGP or key is None:
        common.misuse("--scheme pgp and --key FINGERPRINT belong together")
    digits = key_name(key)
    if len(digits) < FINGERPRINT_DIGITS:
        common.misuse(
            f"--key {key}: a fingerprint has 40 hex digits; gpg --fingerprint shows those of a ring"
        )
    return digits


def _author() -> str:
    """Who does it, for the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _line(text: str) -> Line:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        common.misuse(f"--set {text}: NAME=VALUE is needed")
    if name.strip().lower() in ("guard-info", "guard-scheme", "id", "updated"):
        common.misuse(f"--set {name}: this attribute is not set so")
    return name.strip(), value.strip()


def _secret(*, stdin: bool) -> str:
    """The secret, from the terminal or from standard input."""
    if stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    elif _has_terminal():
        secret = typer.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True)
    else:
        common.misuse("there is no terminal to ask for the secret; give it with --stdin")
    if not secret or not secret.isprintable() or secret != secret.strip():
        common.misuse("a secret has at least one character, no control ones, no blanks around it")
    return secret


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _fitting(area: AuthorityArea, secret: str) -> str:
    """The secret, when clients can send it in the area's charset."""
    try:
        secret.encode(area.charset)
    except UnicodeEncodeError:
        raise Failure(f"the secret has characters that are not of {area.charset}") from None
    refusal = argon2_refusal(secret) if secret.startswith(ARGON2_MARK) else ""
    if refusal:
        raise Failure(f"the secret begins as a hash does, but {refusal}")
    return secret


def _full_id(area: AuthorityArea, text: str) -> str:
    suffix = f".{area.name.id_suffix}"
    return text if text.lower().endswith(suffix.lower()) else text + suffix


def _new_object(
    area: AuthorityArea, object_id: str, scheme: Scheme, secret: str, further: Sequence[Line]
) -> Object:
    """The guardian, its secret hashed. Raises: Failure, when its class does not let it be."""
    _require_master(area)
    class_def = _class(area)
    lines = (
        ("ID", object_id),
        *_canonical(class_def, further),
        ("Guard-Scheme", scheme.value),
        ("Guard-Info", secret),
    )
    for violation in ObjectRules(class_def, Flavour.POSIX).violations(lines):
        if violation.attribute.lower() != "updated":  # comes with the change
            secret_named = violation.attribute.lower() == "guard-info"
            raise Failure("the secret is off its format" if secret_named else violation.message)
    kept = (*lines[:-1], ("Guard-Info", _kept(scheme, secret)))
    return Object(area.name.text, class_def.name, kept, source=SOURCE)


def _kept(scheme: Scheme, secret: str) -> str:
    """The secret as it is kept; takes its time. An argon2id hash made elsewhere stays."""
    match scheme:
        case Scheme.PW | Scheme.PGP:
            return secret
        case Scheme.CRYPT_PW:
            return crypt_hash(secret)
        case Scheme.ARGON2ID:
            return secret if secret.startswith(ARGON2_MARK) else argon2_hash(secret)


def _class(area: AuthorityArea) -> ClassDef:
    class_def = area.schema.class_def(GUARDIAN_CLASS)
    if class_def is None:
        raise Failure(f"{area.name} has no class {GUARDIAN_CLASS}; add it to the area's classes")
    return class_def


def _canonical(class_def: ClassDef, lines: Sequence[Line]) -> list[Line]:
    found = []
    for name, value in lines:
        attribute = class_def.attribute(name)
        if attribute is None:
            known = ", ".join(a.name for a in class_def.attributes)
            raise Failure(f"class {class_def.name} has no attribute {name}; it has {known}")
        found.append((attribute.name, value))
    return found


def _require_master(area: AuthorityArea) -> None:
    if area.role == "slave":
        raise Failure(f"{area.name}: this server is a slave of the area; change it at its master")


def _adding(obj: Object, object_id: str) -> Callable[[AreaChange], Awaitable[None]]:
    async def act(change: AreaChange) -> None:
        if await change.find(object_id):
            raise Failure(f"{object_id}: there is an object with this ID; see guardian passwd")
        lines = _dated(obj.lines, change.serial.text)
        await change.add(replace(obj, lines=lines, order=late_order(int(change.serial.text))))

    return act


def _dated(lines: Sequence[Line], serial: str) -> tuple[Line, ...]:
    """The lines with Updated as it will be."""
    kept = tuple((n, serial if n.lower() == "updated" else v) for n, v in lines)
    there = any(name.lower() == "updated" for name, _ in kept)
    return kept if there else (*kept, ("Updated", serial))


@app.command(epilog="Example: rwhois-admin guardian passwd hostmaster.example.net")
def passwd(
    object_id: Annotated[str, typer.Argument(metavar="ID", help="The guardian's ID.")],
    scheme: Annotated[
        Scheme | None,
        typer.Option(
            help="How the secret is kept from now on; default: as it was, but never in the clear."
        ),
    ] = None,
    stdin: StdinOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
) -> None:
    """Give a guardian another secret. It is asked for twice, or read from standard input."""
    if scheme is Scheme.PGP:
        common.misuse("a guardian of pgp has no secret; change its key with: rwhois-admin edit")
    secret = _secret(stdin=stdin)

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with target.open() as opened:
            stored, area = await _only(opened, object_id)
            chosen = scheme or _kept_scheme(stored.object)
            info = _kept(chosen, _fitting(area, secret))
            wanted = {stored.row: (stored, chosen, info)}
            changed = await _set_secrets(opened, area, wanted, SOURCE)
            await target.refresh_image(opened)
        if not changed:
            raise Failure(f"{object_id}: somebody changed it meanwhile; try again")
        typer.echo(f"{stored.object.id}: new secret, scheme {chosen.value}")
        _warn_of_files(
            [stored.object],
            "a load of them leaves it alone from now on, and says so until the"
            " files have this secret's hash as well",
        )
        return DONE

    common.run(work)


async def _only(store: Store, object_id: str) -> tuple[StoredObject, AuthorityArea]:
    """The guardian with this ID and its area. Raises: Failure, unless there is exactly one."""
    found = await store.find_objects(object_id=object_id)
    guardians = [s for s in found if s.object.class_name.lower() == GUARDIAN_CLASS]
    if not guardians:
        what = "is no guardian" if found else "there is no guardian with this ID"
        raise Failure(f"{object_id}: {what}; rwhois-admin guardian list shows them")
    if len(guardians) > 1:
        raise Failure(f"{object_id}: {len(guardians)} objects have this ID; mend that first")
    [area] = common.chosen(await store.areas(), [guardians[0].object.area])
    _require_master(area)
    return guardians[0], area


def _kept_scheme(obj: Object) -> Scheme:
    kept = (obj.get("Guard-Scheme") or "").strip().lower() == Scheme.CRYPT_PW
    return Scheme.CRYPT_PW if kept else Scheme.ARGON2ID


_Secrets = dict[int, tuple[StoredObject, Scheme, str]]


async def _set_secrets(
    store: Store, area: AuthorityArea, wanted: _Secrets, source: str | None = None
) -> int:
    """Give the guardians in these rows a scheme and a Guard-Info; how many were still as seen.

    Without ``source`` they stay objects of the source they have.
    """

    async def act(change: AreaChange) -> int:
        done = 0
        for row, (stored, scheme, info) in wanted.items():
            before = stored.object
            now = await change.get(row)
            if now is None or now.object.lines != before.lines:
                continue
            lines = _dated(_with_secret(before, scheme, info), change.serial.text)
            obj = replace(before, lines=lines, source=source or before.source)
            await change.modify(row, obj, unique=False)
            done += 1
        return done

    return await store.run(area.name.text, act, author=_author(), source=SOURCE)


def _with_secret(obj: Object, scheme: Scheme, info: str) -> list[Line]:
    """The lines with another scheme and Guard-Info."""
    own = {"guard-scheme": scheme.value, "guard-info": info}
    names = {name.lower() for name, _ in obj.lines}
    kept = [(name, own.get(name.lower(), value)) for name, value in obj.lines]
    missing = [
        (n, own[n.lower()]) for n in ("Guard-Scheme", "Guard-Info") if n.lower() not in names
    ]
    return [*kept, *missing]


def _warn_of_files(objects: Sequence[Object], what: str) -> None:
    """Tell what comes of guardians that files publish."""
    for source, files in _FILES.items():
        ids = [obj.id or "?" for obj in objects if obj.source == source]
        if ids:
            common.complain(f"{', '.join(ids)}: published from {files}; {what}")


@app.command(epilog="Example: rwhois-admin guardian migrate --area example.net --dry-run")
def migrate(
    areas: Annotated[
        list[str] | None, typer.Option("--area", help="Only this area; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be hashed.")
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Hash secrets that are kept in the clear, in the journal as well.

    Clients go on sending what they always sent.
    """

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with target.open() as opened:
            found = common.chosen(await opened.areas(), areas or [])
            rows = [await _migrated(opened, area, dry_run=dry_run) for area in found]
            await target.refresh_image(opened)
        if json:
            common.as_json(
                [
                    {
                        "area": row.area,
                        "hashed": row.hashed,
                        "ids": row.ids,
                        "journal": row.entries,
                    }
                    for row in rows
                ]
            )
        else:
            would = "would be " if dry_run else ""
            for row in rows:
                what = "secret" if row.hashed == 1 else "secrets"
                typer.echo(
                    f"{row.area}: {row.hashed} {what} {would}hashed,"
                    f" {row.entries} entries of the journal"
                )
        _warn_of_files(
            [obj for row in rows for obj in row.objects],
            "the clear secret comes back with the next load of them; write the hash there",
        )
        return DONE

    common.run(work)


@dataclass(frozen=True, slots=True)
class _Migrated:
    area: str
    hashed: int
    objects: Sequence[Object]
    entries: int  # of the journal, that told a secret

    @property
    def ids(self) -> list[str]:
        return [obj.id or "" for obj in self.objects]


async def _migrated(store: Store, area: AuthorityArea, *, dry_run: bool) -> _Migrated:
    name = area.name.text
    clear = [s for s in await _guardians(store, area) if _state(s.object) == "clear"]
    objects = [stored.object for stored in clear]
    if area.role == "slave":
        return _Migrated(name, 0, (), 0)
    done, hashed = len(clear), cache(argon2_hash)
    if not dry_run:
        wanted = {
            s.row: (s, Scheme.ARGON2ID, hashed(s.object.get("Guard-Info") or "")) for s in clear
        }
        done = await _set_secrets(store, area, wanted) if clear else 0
    return _Migrated(name, done, objects, await _forgotten(store, area, hashed, dry_run=dry_run))


async def _forgotten(
    store: Store, area: AuthorityArea, hashed: Callable[[str], str], *, dry_run: bool
) -> int:
    """Put hashes in the place of secrets in the journal; in how many entries.

    What ``undo`` would bring back is satisfied by the same secret as ever. A guardian that is
    clear still, as somebody made it so meanwhile, keeps its history: replay has to give it.
    """

    async def act(change: AreaChange) -> int:
        now = [stored.object for stored in await change.objects() if _is_guardian(stored.object)]
        kept = {obj.id for obj in now if _state(obj) == "clear" and not dry_run}

        def lines(obj: Object) -> list[Line] | None:
            if not _is_guardian(obj) or _state(obj) != "clear" or obj.id in kept:
                return None
            info = "" if dry_run else hashed(obj.get("Guard-Info") or "")
            return _with_secret(obj, Scheme.ARGON2ID, info)

        count = await change.rewrite_history(GUARDIAN_CLASS, lines)
        if dry_run:
            raise _DryRun(count)
        return count

    try:
        return await store.run(area.name.text, act, author=_author(), source=SOURCE)
    except _DryRun as tried:
        return tried.count


@dataclass
class _DryRun(Exception):  # noqa: N818
    """Leaves a change that was made only to count."""

    count: int


def _is_guardian(obj: Object) -> bool:
    return obj.class_name.lower() == GUARDIAN_CLASS


async def _guardians(store: Store, area: AuthorityArea) -> list[StoredObject]:
    return await store.find_objects(area.name.text, GUARDIAN_CLASS)


def _state(obj: Object) -> str:
    """How safe a guardian's secret is: clear, hashed, or unusable with the reason."""
    scheme = (obj.get("Guard-Scheme") or "").strip().lower()
    info = obj.get("Guard-Info") or ""
    if not info:
        return "unusable: it has no Guard-Info"
    if scheme in PASSWORD_SCHEMES:
        return "clear"
    check = _REFUSALS.get(scheme)
    if check is None:
        return f"unusable: nobody knows the scheme {scheme!r}"
    refusal = check(info)
    if refusal:
        return f"unusable: {refusal}"
    return "a key" if scheme == PGP_SCHEME else "hashed"


@app.command("list", epilog="Example: rwhois-admin guardian list --area example.net")
def list_(
    areas: Annotated[
        list[str] | None, typer.Option("--area", help="Only this area; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List guardians, with how their secrets are kept."""

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            rows = [
                _row(area, stored.object)
                for area in common.chosen(await opened.areas(), areas or [])
                for stored in await _guardians(opened, area)
            ]
        if json:
            common.as_json(rows)
            return DONE
        table = common.table("guardian", "area", "guards", "scheme", "secret", "source")
        for row in rows:
            guards = "the area" if row["guards_area"] else ""
            table.add_row(
                row["id"], row["area"], guards, row["scheme"], row["secret"], row["source"]
            )
        common.console().print(table)
        return DONE

    common.run(work)


def _row(area: AuthorityArea, obj: Object) -> dict[str, Any]:
    object_id = obj.id or ""
    return {
        "id": object_id,
        "area": area.name.text,
        "guards_area": object_id.lower() in {name.lower() for name in area.guardians},
        "scheme": (obj.get("Guard-Scheme") or "").strip(),
        "secret": _state(obj),
        "source": obj.source,
    }
