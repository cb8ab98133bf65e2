"""The configuration: one TOML file and ``RWHOISD_…`` variables become one frozen, typed object.

Every option is declared once, here, with its unit, its default and when a change of it takes
effect. ``load`` lists all mistakes at once, each with its place. A variable overrides the file:
``RWHOISD_LIMITS__CONNECTIONS=500`` stands for ``connections`` in ``[limits]``; lists and tables
are written as JSON. An ARIN installation becomes the same object (``from_arin``), so there is
one code path behind it.
"""

import difflib
import os
import pwd
import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from rwhoisd.directory.access import AccessRules, prefixes_from_text
from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AreaName
from rwhoisd.formats.toml import MISTAKES_TOLD, parse_toml
from rwhoisd.masking import masked
from rwhoisd.protocol.directives import NAMES
from rwhoisd.protocol.requests import split_arguments

if TYPE_CHECKING:
    from rwhoisd.formats.arin_config import ArinSettings, XDirective

ENVIRONMENT_PREFIX: Final = "RWHOISD_"
NESTED: Final = "__"
STORE_FILE: Final = "store.sqlite"


class ConfigError(Exception):
    """A configuration that cannot be used; ``findings`` are lines of ``place: mistake``.

    They quote what was written, but no password.
    """

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(masked(finding) for finding in findings)
        super().__init__("\n".join(self.findings))


def _prefix(text: str) -> str:
    prefixes_from_text(text)
    return text


Prefix = Annotated[str, AfterValidator(_prefix)]
Prefixes = tuple[Prefix, ...]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A table of the file: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AccessConfig(Section):
    """Who may and who may not; see ``rwhoisd.directory.access`` for how the two lists meet."""

    allow: Prefixes = Field((), description="Addresses and prefixes let in. Takes effect: reload.")
    deny: Prefixes = Field((), description="Addresses and prefixes kept out. Takes effect: reload.")

    @property
    def rules(self) -> AccessRules:
        """Both lists as one decision."""
        return AccessRules.from_texts(self.allow, self.deny)


class TlsConfig(Section):
    """TLS of one listener. The files are PEM, readable by the user who serves."""

    certificate: Path = Field(
        description="Certificate of the server, and those between it and its authority."
        " Takes effect: reload."
    )
    key: Path = Field(description="Its private key, without passphrase. Takes effect: reload.")
    client_ca: Path | None = Field(
        None,
        description="Authorities whose certificates clients have to show; default: any client"
        " may come. Takes effect: reload.",
    )


class ListenConfig(AccessConfig):
    """One address to listen on, with its own allow and deny lists."""

    host: str = Field(
        "*",
        description="Address or name to bind; * is all interfaces, IPv6 and IPv4."
        " Takes effect: restart.",
    )
    port: int = Field(
        4321,
        ge=0,
        le=65535,
        description="TCP port; 0 lets the system choose. Takes effect: restart.",
    )
    backlog: Positive = Field(
        1024, description="Connections that may wait to be accepted. Takes effect: restart."
    )
    tls: TlsConfig | None = Field(None, description=TlsConfig.__doc__)


class StoreConfig(Section):
    """The store: where the truth is."""

    url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="SQLAlchemy URL of the store; empty: store.sqlite in the state folder."
        " Takes effect: restart.",
    )
    follow: bool | None = Field(
        None,
        description="Whether the image follows changes that other nodes make in the database, in"
        " a process of its own; default: true, but false for SQLite, whose writers bring the"
        " image up themselves. Takes effect: restart.",
    )
    poll_seconds: Seconds = Field(
        0.5,
        description="How often the database is asked whether there are changes; PostgreSQL also"
        " tells of them at once. Takes effect: reload.",
    )


class RegistrationConfig(Section):
    """Registrations that the database does not take."""

    queue_when_down: bool = Field(
        False,
        description="Whether a registration that the database does not take now is kept in the"
        " state folder and done later (120) instead of refused (501). Takes effect: restart.",
    )


class ImageConfig(Section):
    """The image: what answers are read from."""

    path: Path | None = Field(
        None,
        description="Folder of the image; default: image in the state folder."
        " Takes effect: restart.",
    )


class LimitsConfig(Section):
    """Bounds on what clients may take. 0 means no limit where a count is allowed to be 0."""

    connections: Count = Field(
        20000, description="Connections in all, over all workers. Takes effect: reload."
    )
    connections_per_net: Count = Field(
        200, description="Connections of one client net, over all workers. Takes effect: reload."
    )
    queries_per_net: Count = Field(
        0,
        description="Queries of one client net in query_interval_seconds. Takes effect: reload.",
    )
    query_interval_seconds: Seconds = Field(
        60.0, description="Interval that queries_per_net is counted in. Takes effect: reload."
    )
    failures_per_net: Count = Field(
        30,
        description="Failed authentications of one client net in failure_interval_seconds, over"
        " all workers; what comes then is 401 until some are forgotten. Takes effect: reload.",
    )
    failure_interval_seconds: Seconds = Field(
        600.0,
        description="Interval that failures_per_net is counted in. Takes effect: reload.",
    )
    net_v4_bits: int = Field(
        32, ge=8, le=32, description="Prefix length of an IPv4 client net. Takes effect: reload."
    )
    net_v6_bits: int = Field(
        64, ge=16, le=128, description="Prefix length of an IPv6 client net. Takes effect: reload."
    )
    exempt: Prefixes = Field(
        ("127.0.0.0/8", "::1"),
        description="Clients that connections_per_net, queries_per_net and failures_per_net do"
        " not hold for."
        " Takes effect: reload.",
    )
    idle_seconds: Annotated[float, Field(ge=0)] = Field(
        50.0,
        description="Wait for a whole line of a client that does not hold its connection;"
        " below 60, because whois clients give up then; 0: no limit. Takes effect: reload.",
    )
    held_idle_seconds: Annotated[float, Field(ge=0)] = Field(
        600.0,
        description="The same after -holdconnect on; 0: no limit. Takes effect: reload.",
    )
    write_seconds: Seconds = Field(
        30.0,
        description="Time a client has to take an answer, or at least write_octets of it."
        " Takes effect: reload.",
    )
    write_octets: Positive = Field(
        4096,
        description="Octets of a long answer that a client has to take in write_seconds, else it"
        " is cut off. Takes effect: reload.",
    )
    unsent_octets: Positive = Field(
        67108864,
        description="Octets of answers that wait for slow clients, in each worker; beyond, those"
        " who let most of them wait are cut off. Takes effect: reload.",
    )
    close_seconds: Seconds = Field(
        5.0,
        description="Wait for the client's end after our last byte, so that no answer is lost to"
        " a reset. Takes effect: reload.",
    )
    drain_seconds: Seconds = Field(
        10.0, description="Time for queries under way when the server stops. Takes effect: restart."
    )
    line_octets: int = Field(
        2048,
        ge=512,
        le=65536,
        description="Longest line in rfc mode; in arin mode lines are cut after 511."
        " Takes effect: reload.",
    )
    spool_octets: Positive = Field(65536, description="Longest registration. Takes effect: reload.")
    spools_octets: Positive = Field(
        67108864,
        description="Memory for all open registrations of a worker; those that would take more are"
        " given up, and -register off is told so. Takes effect: reload.",
    )
    spool_lines: Positive = Field(
        4096, description="Lines of one registration. Takes effect: reload."
    )
    spool_seconds: Seconds = Field(
        600.0,
        description="Time from -register on to -register off; what takes longer is given up, and"
        " -register off is told so. Takes effect: reload.",
    )
    objects: Positive = Field(
        20, description="Objects per answer until -limit says otherwise. Takes effect: reload."
    )
    max_objects: Count = Field(
        2048, description="Ceiling of -limit, in objects. Takes effect: reload."
    )
    batch_lines: Positive = Field(
        64,
        description="Pipelined lines answered at once before other clients get their turn."
        " Takes effect: reload.",
    )
    cache_octets: Count = Field(
        8388608,
        description="Answers each worker keeps for repeats; 0: none. Takes effect: reload.",
    )
    clients: int = Field(
        65536,
        ge=1024,
        le=16777216,
        description="Client nets kept in view by the limits. Takes effect: restart.",
    )


class QueryConfig(Section):
    """What a query may ask for; anything else is 351."""

    wildcard: bool = Field(True, description="Trailing *. Takes effect: reload.")
    leading_wildcard: bool = Field(False, description="Leading *. Takes effect: reload.")
    terms: Positive = Field(64, description="Terms of one query. Takes effect: reload.")
    scan: Positive = Field(
        100000,
        description="Keys and objects that one query may look at in vain, by a leading * or by"
        " what stands behind and. Takes effect: reload.",
    )


class ReferralConfig(Section):
    """Where clients are sent that ask for what is not ours."""

    punt: tuple[str, ...] = Field(
        (), description="rwhois:// URLs up the tree, given verbatim. Takes effect: reload."
    )
    skip: bool = Field(False, description="Give no referrals at all. Takes effect: reload.")


class ForwardConfig(Section):
    """Bounds of ``-forward on``, by which the server asks other servers for a client."""

    depth: Positive = Field(4, description="Referrals followed in a row. Takes effect: reload.")
    servers: Positive = Field(8, description="Servers asked for one query. Takes effect: reload.")
    seconds: Seconds = Field(10.0, description="Time for one query. Takes effect: reload.")
    octets: Positive = Field(
        1048576,
        description="Octets taken from other servers for one query. Takes effect: reload.",
    )
    at_once: Positive = Field(
        16,
        description="Queries that other servers are asked for at once, by each worker; others"
        " wait, for seconds at most. Takes effect: reload.",
    )
    allow: Prefixes = Field(
        (),
        description="Loopback, private and other special prefixes that may be asked although"
        " they are refused by default. Takes effect: reload.",
    )


class DirectiveConfig(AccessConfig):
    """One directive: on or off, and for whom. ``true`` and ``false`` alone set ``enabled``."""

    enabled: bool = Field(True, description="Whether it can be used. Takes effect: reload.")


class CageConfig(Section):
    """Bounds of a program that is run for a client, without a shell and with next to nothing."""

    seconds: Seconds = Field(10.0, description="Time before it is killed. Takes effect: reload.")
    output_octets: Positive = Field(
        1048576, description="Output before it is killed. Takes effect: reload."
    )
    memory_octets: Count = Field(
        1073741824,
        description="Address space of each of its processes; 0: no limit. Takes effect: reload.",
    )
    user: str = Field(
        "", description="User to run as; needs a server that runs as root. Takes effect: reload."
    )


class ParseConfig(CageConfig):
    """Parse programs: what a class has look at each registration before it counts."""

    spool: Path | None = Field(
        None,
        description="Folder for the files that they get, made when missing; it has to be within"
        " reach of the user they run as. Default: spool in the state folder."
        " Takes effect: reload.",
    )


class ProgramConfig(CageConfig):
    """One external directive ``-X-name``: a program that is run without a shell."""

    name: str = Field(pattern=r"^[!-~]+$", description="The word after -X-. Takes effect: reload.")
    command: tuple[str, ...] = Field(
        min_length=1,
        description="Program and fixed arguments; those of the client follow."
        " Takes effect: reload.",
    )
    description: str = Field("", description="Text of -directive. Takes effect: reload.")
    match_octets: Positive | None = Field(
        None, description="Characters of the name that have to be typed. Takes effect: reload."
    )


class ProgramsConfig(Section):
    """Programs that are run for clients: external directives, and what classes have parsed."""

    folder: Path | None = Field(
        None,
        description="Working folder of the programs; default: the state folder."
        " Takes effect: reload.",
    )
    search: tuple[Path, ...] = Field(
        (),
        description="Folders where a program is looked for when it is not found as given."
        " Takes effect: reload.",
    )
    at_once: Positive = Field(
        16,
        description="Programs that run at once, in each worker; others wait, for as long as they"
        " might run. Takes effect: reload.",
    )
    options: bool = Field(
        False,
        description="Whether clients may give arguments that begin with a dash; else they are"
        " refused (338), as they could make a program do what it is not meant to."
        " Takes effect: reload.",
    )
    parse: ParseConfig = Field(ParseConfig(), description=ParseConfig.__doc__)
    run: tuple[ProgramConfig, ...] = Field((), description="The programs. Takes effect: reload.")


class PgpConfig(Section):
    """PGP by the operator's keyring, see docs/operators/security.md; off without ``home``."""

    home: Path | None = Field(
        None,
        description="Folder of the keyring (GNUPGHOME), which only the user who serves can enter."
        " Takes effect: reload.",
    )
    signing_key: str = Field(
        "",
        description="Fingerprint of the secret key that responses are signed with; empty: they"
        " cannot be signed. Takes effect: reload.",
    )
    window_seconds: Seconds = Field(
        300.0,
        description="How far the time of a request's signature may be from ours; each counts once"
        " in it. Takes effect: reload.",
    )
    seconds: Seconds = Field(
        10.0, description="Time gpg has for one work before it is killed. Takes effect: reload."
    )
    answer_octets: Positive = Field(
        4194304,
        description="Longest response that is signed or encrypted. Takes effect: reload.",
    )


class AccessFilesConfig(Section):
    """Allow and deny files in the style of TCP wrappers, as ARIN's server reads them."""

    allow: Path | None = Field(
        None, description="File of who is let in, read again when changed. Takes effect: at once."
    )
    deny: Path | None = Field(
        None, description="File of who is kept out, read again when changed. Takes effect: at once."
    )


class LogConfig(Section):
    """What is written down."""

    queries: str = Field(
        "stderr",
        description="Where each query's line goes: stderr, off, or a file, which is opened anew"
        " on HUP. Takes effect: restart.",
    )
    format: Literal["json", "logfmt"] = Field(
        "logfmt", description="Form of these lines. Takes effect: restart."
    )
    address_v4_bits: int = Field(
        32, ge=0, le=32, description="Bits of IPv4 addresses that are kept. Takes effect: restart."
    )
    address_v6_bits: int = Field(
        128,
        ge=0,
        le=128,
        description="Bits of IPv6 addresses that are kept. Takes effect: restart.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level of all other messages. Takes effect: reload."
    )


# ARIN's clients send their passwords as they always did.
_CLEAR: Final[Mapping[Compat, str]] = {"arin": "everywhere", "rfc": "tls-only"}


class Config(Section):
    """The whole configuration."""

    folder: Path = Field(
        Path(),
        description="Folder that relative paths start from; default: that of the file."
        " Takes effect: restart.",
    )
    compat: Compat = Field(
        "rfc", description="Whose manners to follow: rfc or arin. Takes effect: reload."
    )
    listen: tuple[ListenConfig, ...] = Field(
        (ListenConfig(),), min_length=1, description="Where to listen. Takes effect: restart."
    )
    zones: tuple[Path, ...] = Field(
        (),
        description="Zone folders, loaded at start and reload when they changed."
        " Takes effect: reload.",
    )
    arin_config: Path | None = Field(
        None,
        description="rwhoisd.conf of an ARIN installation, imported at start and reload when"
        " its files changed. Takes effect: reload.",
    )
    state: Path = Field(
        Path("/var/lib/rwhoisd"),
        description="Folder of what the server keeps: store and image. Takes effect: restart.",
    )
    host: str = Field(
        "", description="Name in the banner; default: the system's. Takes effect: reload."
    )
    clear_passwords: Literal["tls-only", "everywhere"] | None = Field(
        None,
        description="Where secrets of guardians are accepted: by TLS and from this machine only,"
        " or from everywhere; default: everywhere in arin mode, else tls-only."
        " Takes effect: reload.",
    )
    contact: str = Field("", description="Mail address in -status. Takes effect: reload.")
    workers: Count = Field(
        0, le=256, description="Processes that serve; 0: one per processor. Takes effect: restart."
    )
    user: str = Field(
        "", description="User to become once the ports are bound. Takes effect: restart."
    )
    group: str = Field(
        "", description="Group to become; default: the user's. Takes effect: restart."
    )
    store: StoreConfig = Field(StoreConfig(), description=StoreConfig.__doc__)
    registration: RegistrationConfig = Field(
        RegistrationConfig(), description=RegistrationConfig.__doc__
    )
    image: ImageConfig = Field(ImageConfig(), description=ImageConfig.__doc__)
    limits: LimitsConfig = Field(LimitsConfig(), description=LimitsConfig.__doc__)
    query: QueryConfig = Field(QueryConfig(), description=QueryConfig.__doc__)
    referral: ReferralConfig = Field(ReferralConfig(), description=ReferralConfig.__doc__)
    forward: ForwardConfig = Field(ForwardConfig(), description=ForwardConfig.__doc__)
    directives: dict[str, DirectiveConfig] = Field(
        {},
        description="Directives by name: on or off, and who may use them. Takes effect: reload.",
    )
    transfer: dict[str, AccessConfig] = Field(
        {}, description="Authority areas by name: who may -xfer them. Takes effect: reload."
    )
    programs: ProgramsConfig = Field(ProgramsConfig(), description=ProgramsConfig.__doc__)
    pgp: PgpConfig = Field(PgpConfig(), description=PgpConfig.__doc__)
    access_files: AccessFilesConfig = Field(
        AccessFilesConfig(), description=AccessFilesConfig.__doc__
    )
    log: LogConfig = Field(LogConfig(), description=LogConfig.__doc__)

    @field_validator("directives", mode="before")
    @classmethod
    def _switches(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        rows = {}
        for name, row in value.items():
            if name.lower() not in NAMES:
                raise ValueError(_unknown("directive", name, NAMES))
            rows[name.lower()] = {"enabled": row} if isinstance(row, bool | str) else row
        return rows

    @field_validator("transfer")
    @classmethod
    def _areas(cls, value: dict[str, AccessConfig]) -> dict[str, AccessConfig]:
        for name in value:
            try:
                AreaName.from_text(name)
            except RwhoisError:
                raise ValueError(f"{name!r} is no authority area") from None
        return value

    @field_validator("limits")
    @classmethod
    def _whois_clients_do_not_wait(cls, limits: LimitsConfig, info: ValidationInfo) -> LimitsConfig:
        idle = limits.idle_seconds
        if info.data.get("compat") == "rfc" and not 0 < idle < 60:
            raise ValueError(
                f"idle_seconds {idle:g} has to be above 0 and below 60 in rfc mode,"
                " because whois clients give up after 60 seconds"
            )
        return limits

    def path(self, path: Path) -> Path:
        """``path`` with relative paths starting from the configuration's folder."""
        return Path(os.path.normpath(self.folder / path.expanduser()))

    @property
    def accepts_clear_passwords(self) -> bool:
        """Whether secrets may come from everywhere, on whatever listener."""
        return (self.clear_passwords or _CLEAR[self.compat]) == "everywhere"

    @property
    def state_path(self) -> Path:
        """Folder of what the server keeps."""
        return self.path(self.state)

    @property
    def counters_path(self) -> Path:
        """File of what the server counted, written for ``rwhois-admin status``."""
        return self.state_path / "counters.json"

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.store.url or f"sqlite+aiosqlite:///{self.state_path / STORE_FILE}"

    @property
    def follows_store(self) -> bool:
        """Whether changes of other nodes are to be looked for in the store."""
        shared = not self.store_url.startswith("sqlite") and "://" in self.store_url
        return shared if self.store.follow is None else self.store.follow

    @property
    def deferred_path(self) -> Path:
        """Folder of registrations that wait for the store."""
        return self.state_path / "deferred"

    @property
    def image_path(self) -> Path:
        """Folder of the image."""
        return self.path(self.image.path) if self.image.path else self.state_path / "image"


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration in a TOML file with the environment and ``overrides`` over it.

    ``overrides`` are top-level options given on a command line. Raises: ConfigError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = parse_toml(text)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is no TOML: {error}"]) from None
    data.setdefault("folder", str(path.absolute().parent))
    return build({**data, **(overrides or {})}, str(path), text)


def from_arin(
    settings: "ArinSettings", conf: Path, overrides: Mapping[str, Any] | None = None
) -> Config:
    """The configuration that serves an installation of ARIN's rwhoisd, see its §11.2.

    ``conf`` is its ``rwhoisd.conf``. Its ``deadman-time`` is the idle limit of every state, but
    in rfc mode it stays below the minute that whois clients wait. What concerns ARIN's own way
    of running (pid file, syslog, background, chroot, priority) does not apply to us; its
    verbosity sets the level of our messages, and -1 turns the query log off as well.
    Raises: ConfigError.
    """
    overrides = overrides or {}
    idle = settings.deadman_time
    if overrides.get("compat", "arin") == "rfc":
        idle = min(idle or _RFC_IDLE_SECONDS, _RFC_IDLE_SECONDS)
    data = {
        "folder": str(settings.root_dir.absolute()),
        "compat": "arin",
        "arin_config": str(conf.absolute()),
        "listen": [{"port": settings.local_port}],
        "host": settings.local_host,
        "contact": settings.server_contact,
        "user": settings.userid if settings.userid in _users() else "",
        "limits": {
            "connections": settings.max_children,
            "connections_per_net": 0,
            "idle_seconds": idle,
            "held_idle_seconds": settings.deadman_time,
            "max_objects": settings.max_hits_ceiling,
        },
        "query": {
            "wildcard": settings.query_allow_wildcard,
            "leading_wildcard": settings.query_allow_substr,
        },
        "referral": {"punt": list(settings.punts), "skip": settings.skip_referral_search},
        "directives": dict(settings.directives),
        "programs": {
            "folder": ".",
            "search": [settings.bin_path],
            "run": [_arin_program(row) for row in settings.x_directives],
        },
        "access_files": {"allow": settings.security_allow, "deny": settings.security_deny},
        "log": {
            "level": _LEVELS[max(0, min(settings.verbosity, 7))],
            "queries": "stderr" if settings.verbosity >= 0 else "off",
        },
    }
    return build({**data, **overrides}, str(conf))


_RFC_IDLE_SECONDS: Final = 50
_LEVELS: Final = ("error", "error", "error", "error", "warning", "info", "info", "debug")


def _arin_program(row: "XDirective") -> dict[str, Any]:
    return {
        "name": row.command,
        "command": list(split_arguments(row.program)),
        "description": row.description,
        "match_octets": row.length or None,
    }


def _users() -> set[str]:
    return {entry.pw_name for entry in pwd.getpwall()}


def build(data: Mapping[str, Any], place: str = "configuration", text: str = "") -> Config:
    """The configuration in ``data``, laid out as the file is, with the environment over it.

    ``place`` names where the data came from, ``text`` is its source, for line numbers.
    Raises: ConfigError.
    """
    findings = list(_unknown_variables(os.environ))
    try:
        config = _made(data)
    except ValidationError as error:
        rows = list(_own_mistakes(error.errors(include_url=False)))
        findings += [_finding(row, place, text) for row in rows[:MISTAKES_TOLD]]
        if len(rows) > MISTAKES_TOLD:
            findings.append(f"{place}: {len(rows) - MISTAKES_TOLD} more mistakes")
    except ConfigError as error:
        findings += error.findings
    if findings:
        raise ConfigError(findings)
    return config


def _made(data: Mapping[str, Any]) -> Config:
    if not any(name.upper().startswith(ENVIRONMENT_PREFIX) for name in os.environ):
        return Config(**data)
    from rwhoisd.config_environment import made  # loaded where it is needed only: see there

    return made(data)


def options(section: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every option as (dotted name, default, description); ``[]`` and ``<name>`` are rows."""
    for name, field in section.model_fields.items():
        model, mark = _section_of(field.annotation)
        if model is None:
            yield (
                prefix + name,
                field.get_default(call_default_factory=True),
                (field.description or ""),
            )
        else:
            yield from options(model, f"{prefix}{name}{mark}.")


def _section_of(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section an option holds, with the mark of what holds it: a row, a name or nothing."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    arguments = get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return next((found for a in arguments if (found := _section_of(a))[0]), (None, ""))
    mark = {tuple: "[]", dict: ".<name>"}.get(get_origin(annotation), "")
    inner = arguments[-1 if mark == ".<name>" else 0] if mark and arguments else None
    model = _section_of(inner)[0] if inner is not None else None
    return model, mark


def _own_mistakes(rows: Sequence[Any]) -> Iterator[Any]:
    """Without those that only follow: a list is short because a row of it is wrong."""
    around = {row["loc"][:depth] for row in rows for depth in range(len(row["loc"]))}
    for row in rows:
        if row["loc"] not in around:
            yield row


# What TOML calls the types that pydantic names in Python's words.
_WORDS: Final = {"tuple_type": "a list is needed", "model_type": "a table is needed"}


def _finding(row: Any, place: str, text: str) -> str:
    """One mistake as ``place: option: what is wrong``."""
    location: tuple[str | int, ...] = row["loc"]
    variable = _variable(location)
    where = variable if variable in os.environ else place
    if where == place and (line := _line_of(text, location)):
        where = f"{place}:{line}"
    dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if row["type"] == "extra_forbidden":
        return f"{where}: {_unknown('option', dotted, _siblings(location))}"
    message = _WORDS.get(row["type"], row["msg"].removeprefix("Value error, "))
    given = "" if row["type"] in ("missing", "value_error") else f", not {row['input']!r}"
    return f"{where}: {dotted}: {message}{given}" if dotted else f"{where}: {message}"


def _variable(location: Sequence[str | int]) -> str:
    return ENVIRONMENT_PREFIX + NESTED.join(str(part) for part in location).upper()


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """Words for a name that is not known, with the nearest one that is."""
    last = name.rpartition(".")[2]
    near = difflib.get_close_matches(last.lower(), known, 1, 0.5) or [
        k for k in known if k.startswith(last.lower()[:3])
    ]
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return f"unknown {kind} {name!r}; {hint}"


def _siblings(location: Sequence[str | int]) -> list[str]:
    """Names of the options in the section where an unknown one was found."""
    section: type[BaseModel] = Config
    for part in location[:-1]:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_of(section.model_fields[part].annotation)[0] or section
    return list(section.model_fields)


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Findings for ``RWHOISD_…`` variables that name no option; pydantic passes over them."""
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        parts = variable[len(ENVIRONMENT_PREFIX) :].lower().split(NESTED)
        if parts[0] not in Config.model_fields:
            known = [_variable([name]) for name in Config.model_fields]
            near = difflib.get_close_matches(variable, known, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{variable}: unknown variable{hint}"


_HEADER: Final = re.compile(r"\s*(\[\[?)\s*+([^\]]+)\]")
_KEY: Final = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-]+)(?:\s*\.\s*(?:"[^"]*"|[\w-]+))*)\s*=""")
_NAME: Final = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


def _line_of(text: str, location: Sequence[str | int]) -> int:
    """Number of the line that comes nearest to ``location``; 0 when none does.

    A light reading of TOML: headers and the first key of each line. It only serves messages.
    """
    header: list[str | int] = []
    rows: dict[str, int] = {}
    best, found = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        key: list[str | int] = []
        if match := _HEADER.match(line):
            name = match[2].rstrip()
            header = [*_names(name)]
            if match[1] == "[[":
                rows[name] = rows.get(name, -1) + 1
                header.append(rows[name])
        elif match := _KEY.match(line):
            key = [*_names(match[1])]
        elif not line.strip().startswith("["):
            continue
        depth = _agreement([*header, *key], location)
        if depth > best:
            best, found = depth, number
    return found


def _names(text: str) -> list[str]:
    return ["".join(match) for match in _NAME.findall(text)]


def _agreement(path: Sequence[str | int], location: Sequence[str | int]) -> int:
    """How many parts two places have in common when one of them lies in the other, else 0."""
    depth = min(len(path), len(location))
    return depth if list(path[:depth]) == list(location[:depth]) else 0
