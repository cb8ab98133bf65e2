"""The configuration: one TOML file and ``RWHOISD_…`` variables become one frozen, typed object.

Every option is declared once, here, with its unit, its default and when a change of it takes
effect. ``load`` lists all mistakes at once, each with its place. A variable overrides the file:
``RWHOISD_LIMITS__CONNECTIONS=500`` stands for ``connections`` in ``[limits]``; lists and tables
are written as JSON. An ARIN installation becomes the same object (``from_arin``), so there is
one code path behind it.
"""

import os
import pwd
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    Protocol,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

from rwhoisd.directory.access import AccessRules, prefixes_from_text
from rwhoisd.directory.dialect import Compat
from rwhoisd.formats.toml_text import parse_toml
from rwhoisd.masking import masked
from rwhoisd.protocol.requests import split_arguments

if TYPE_CHECKING:
    from rwhoisd.formats.arin_config import ArinSettings, XDirective

ENVIRONMENT_PREFIX: Final = "RWHOISD_"
NESTED: Final = "__"
STORE_FILE: Final = "store.sqlite"


@dataclass(frozen=True)
class Bounds:
    """Of a number."""

    ge: float | None = None
    gt: float | None = None


@dataclass(frozen=True)
class Check:
    """What a value has to pass; it raises ValueError or RwhoisError."""

    test: Callable[[str], str]


def option(
    *,
    description: str | None,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    repr: bool = True,  # noqa: A002 - as dataclasses call it
    **bounds: Any,
) -> Any:
    """An option of a section, with the ``bounds`` that pydantic's ``Field`` knows."""
    told = {"description": description, **bounds}
    return field(default=default, default_factory=default_factory, repr=repr, metadata=told)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
class Section:
    """A table of the file: frozen, its options given by name.

    What ``dataclass`` would write for each section anew is here once: a start makes all of them.
    """

    def __init_subclass__(cls) -> None:
        dataclass(init=False, repr=False, eq=False)(cls)

    def __init__(self, **given: Any) -> None:
        """Raises: TypeError, for an option that is missing or unknown."""
        values = self.__dict__
        for known in fields(self):  # type: ignore[arg-type] # each that is made is one
            if known.name in given:
                values[known.name] = given.pop(known.name)
            elif known.default is not MISSING:
                values[known.name] = known.default
            elif known.default_factory is not MISSING:
                values[known.name] = known.default_factory()
            else:
                raise TypeError(f"{type(self).__name__}: {known.name} is missing")
        if given:
            raise TypeError(f"{type(self).__name__}: {', '.join(given)}: unknown")

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(name)

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(name)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields_of(type(self)))

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, f.name) for f in fields_of(type(self))))

    def __repr__(self) -> str:
        shown = (f.name for f in fields_of(type(self)) if f.repr)
        text = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({text})"


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


Prefix = Annotated[str, Check(_prefix)]
Prefixes = tuple[Prefix, ...]
Count = Annotated[int, Bounds(ge=0)]
Positive = Annotated[int, Bounds(gt=0)]
Seconds = Annotated[float, Bounds(gt=0)]


class AccessConfig(Section):
    """Who may and who may not; see ``rwhoisd.directory.access`` for how the two lists meet."""

    allow: Prefixes = option(
        default=(), description="Addresses and prefixes let in. Takes effect: reload."
    )
    deny: Prefixes = option(
        default=(), description="Addresses and prefixes kept out. Takes effect: reload."
    )

    @property
    def rules(self) -> AccessRules:
        """Both lists as one decision."""
        return AccessRules.from_texts(self.allow, self.deny)


class TlsConfig(Section):
    """TLS of one listener. The files are PEM, readable by the user who serves."""

    certificate: Path = option(
        description="Certificate of the server, and those between it and its authority."
        " Takes effect: reload."
    )
    key: Path = option(description="Its private key, without passphrase. Takes effect: reload.")
    client_ca: Path | None = option(
        default=None,
        description="Authorities whose certificates clients have to show; default: any client"
        " may come. Takes effect: reload.",
    )


class ListenConfig(AccessConfig):
    """One address to listen on, with its own allow and deny lists."""

    host: str = option(
        default="*",
        description="Address or name to bind; * is all interfaces, IPv6 and IPv4."
        " Takes effect: restart.",
    )
    port: int = option(
        default=4321,
        ge=0,
        le=65535,
        description="TCP port; 0 lets the system choose. Takes effect: restart.",
    )
    backlog: Positive = option(
        default=1024, description="Connections that may wait to be accepted. Takes effect: restart."
    )
    tls: TlsConfig | None = option(default=None, description=TlsConfig.__doc__)


class StoreConfig(Section):
    """The store: where the truth is."""

    url: str = option(
        default="",
        repr=False,  # it may hold a password
        description="SQLAlchemy URL of the store; empty: store.sqlite in the state folder."
        " Takes effect: restart.",
    )
    follow: bool | None = option(
        default=None,
        description="Whether the image follows changes that other nodes make in the database, in"
        " a process of its own; default: true, but false for SQLite, whose writers bring the"
        " image up themselves. Takes effect: restart.",
    )
    poll_seconds: Seconds = option(
        default=0.5,
        description="How often the database is asked whether there are changes; PostgreSQL also"
        " tells of them at once. Takes effect: reload.",
    )


class RegistrationConfig(Section):
    """Registrations that the database does not take."""

    queue_when_down: bool = option(
        default=False,
        description="Whether a registration that the database does not take now is kept in the"
        " state folder and done later (120) instead of refused (501). Takes effect: restart.",
    )


class ImageConfig(Section):
    """The image: what answers are read from."""

    path: Path | None = option(
        default=None,
        description="Folder of the image; default: image in the state folder."
        " Takes effect: restart.",
    )


class LimitsConfig(Section):
    """Bounds on what clients may take. 0 means no limit where a count is allowed to be 0."""

    connections: Count = option(
        default=20000, description="Connections in all, over all workers. Takes effect: reload."
    )
    connections_per_net: Count = option(
        default=200,
        description="Connections of one client net, over all workers. Takes effect: reload.",
    )
    queries_per_net: Count = option(
        default=0,
        description="Queries of one client net in query_interval_seconds. Takes effect: reload.",
    )
    query_interval_seconds: Seconds = option(
        default=60.0,
        description="Interval that queries_per_net is counted in. Takes effect: reload.",
    )
    failures_per_net: Count = option(
        default=30,
        description="Failed authentications of one client net in failure_interval_seconds, over"
        " all workers; what comes then is 401 until some are forgotten. Takes effect: reload.",
    )
    failure_interval_seconds: Seconds = option(
        default=600.0,
        description="Interval that failures_per_net is counted in. Takes effect: reload.",
    )
    net_v4_bits: int = option(
        default=32,
        ge=8,
        le=32,
        description="Prefix length of an IPv4 client net. Takes effect: reload.",
    )
    net_v6_bits: int = option(
        default=64,
        ge=16,
        le=128,
        description="Prefix length of an IPv6 client net. Takes effect: reload.",
    )
    exempt: Prefixes = option(
        default=("127.0.0.0/8", "::1"),
        description="Clients that connections_per_net, queries_per_net and failures_per_net do"
        " not hold for."
        " Takes effect: reload.",
    )
    idle_seconds: Annotated[float, Bounds(ge=0)] = option(
        default=50.0,
        description="Wait for a whole line of a client that does not hold its connection;"
        " below 60, because whois clients give up then; 0: no limit. Takes effect: reload.",
    )
    held_idle_seconds: Annotated[float, Bounds(ge=0)] = option(
        default=600.0,
        description="The same after -holdconnect on; 0: no limit. Takes effect: reload.",
    )
    write_seconds: Seconds = option(
        default=30.0,
        description="Time a client has to take an answer, or at least write_octets of it."
        " Takes effect: reload.",
    )
    write_octets: Positive = option(
        default=4096,
        description="Octets of a long answer that a client has to take in write_seconds, else it"
        " is cut off. Takes effect: reload.",
    )
    unsent_octets: Positive = option(
        default=67108864,
        description="Octets of answers that wait for slow clients, in each worker; beyond, those"
        " who let most of them wait are cut off. Takes effect: reload.",
    )
    close_seconds: Seconds = option(
        default=5.0,
        description="Wait for the client's end after our last byte, so that no answer is lost to"
        " a reset. Takes effect: reload.",
    )
    drain_seconds: Seconds = option(
        default=10.0,
        description="Time for queries under way when the server stops. Takes effect: restart.",
    )
    line_octets: int = option(
        default=2048,
        ge=512,
        le=65536,
        description="Longest line in rfc mode; in arin mode lines are cut after 511."
        " Takes effect: reload.",
    )
    spool_octets: Positive = option(
        default=65536, description="Longest registration. Takes effect: reload."
    )
    spools_octets: Positive = option(
        default=67108864,
        description="Memory for all open registrations of a worker; those that would take more are"
        " given up, and -register off is told so. Takes effect: reload.",
    )
    spool_lines: Positive = option(
        default=4096, description="Lines of one registration. Takes effect: reload."
    )
    spool_seconds: Seconds = option(
        default=600.0,
        description="Time from -register on to -register off; what takes longer is given up, and"
        " -register off is told so. Takes effect: reload.",
    )
    objects: Positive = option(
        default=20,
        description="Objects per answer until -limit says otherwise. Takes effect: reload.",
    )
    max_objects: Count = option(
        default=2048, description="Ceiling of -limit, in objects. Takes effect: reload."
    )
    batch_lines: Positive = option(
        default=64,
        description="Pipelined lines answered at once before other clients get their turn."
        " Takes effect: reload.",
    )
    cache_octets: Count = option(
        default=8388608,
        description="Answers each worker keeps for repeats; 0: none. Takes effect: reload.",
    )
    clients: int = option(
        default=65536,
        ge=1024,
        le=16777216,
        description="Client nets kept in view by the limits. Takes effect: restart.",
    )


class QueryConfig(Section):
    """What a query may ask for; anything else is 351."""

    wildcard: bool = option(default=True, description="Trailing *. Takes effect: reload.")
    leading_wildcard: bool = option(default=False, description="Leading *. Takes effect: reload.")
    terms: Positive = option(default=64, description="Terms of one query. Takes effect: reload.")
    scan: Positive = option(
        default=100000,
        description="Keys and objects that one query may look at in vain, by a leading * or by"
        " what stands behind and. Takes effect: reload.",
    )


class ReferralConfig(Section):
    """Where clients are sent that ask for what is not ours."""

    punt: tuple[str, ...] = option(
        default=(), description="rwhois:// URLs up the tree, given verbatim. Takes effect: reload."
    )
    skip: bool = option(
        default=False, description="Give no referrals at all. Takes effect: reload."
    )


class ForwardConfig(Section):
    """Bounds of ``-forward on``, by which the server asks other servers for a client."""

    depth: Positive = option(
        default=4, description="Referrals followed in a row. Takes effect: reload."
    )
    servers: Positive = option(
        default=8, description="Servers asked for one query. Takes effect: reload."
    )
    seconds: Seconds = option(default=10.0, description="Time for one query. Takes effect: reload.")
    octets: Positive = option(
        default=1048576,
        description="Octets taken from other servers for one query. Takes effect: reload.",
    )
    at_once: Positive = option(
        default=16,
        description="Queries that other servers are asked for at once, by each worker; others"
        " wait, for seconds at most. Takes effect: reload.",
    )
    allow: Prefixes = option(
        default=(),
        description="Loopback, private and other special prefixes that may be asked although"
        " they are refused by default. Takes effect: reload.",
    )


class DirectiveConfig(AccessConfig):
    """One directive: on or off, and for whom. ``true`` and ``false`` alone set ``enabled``."""

    enabled: bool = option(
        default=True, description="Whether it can be used. Takes effect: reload."
    )


class CageConfig(Section):
    """Bounds of a program that is run for a client, without a shell and with next to nothing."""

    seconds: Seconds = option(
        default=10.0, description="Time before it is killed. Takes effect: reload."
    )
    output_octets: Positive = option(
        default=1048576, description="Output before it is killed. Takes effect: reload."
    )
    memory_octets: Count = option(
        default=1073741824,
        description="Address space of each of its processes; 0: no limit. Takes effect: reload.",
    )
    user: str = option(
        default="",
        description="User to run as; needs a server that runs as root. Takes effect: reload.",
    )


class ParseConfig(CageConfig):
    """Parse programs: what a class has look at each registration before it counts."""

    spool: Path | None = option(
        default=None,
        description="Folder for the files that they get, made when missing; it has to be within"
        " reach of the user they run as. Default: spool in the state folder."
        " Takes effect: reload.",
    )


class ProgramConfig(CageConfig):
    """One external directive ``-X-name``: a program that is run without a shell."""

    name: str = option(pattern=r"^[!-~]+$", description="The word after -X-. Takes effect: reload.")
    command: tuple[str, ...] = option(
        min_length=1,
        description="Program and fixed arguments; those of the client follow."
        " Takes effect: reload.",
    )
    description: str = option(default="", description="Text of -directive. Takes effect: reload.")
    match_octets: Positive | None = option(
        default=None,
        description="Characters of the name that have to be typed. Takes effect: reload.",
    )


class ProgramsConfig(Section):
    """Programs that are run for clients: external directives, and what classes have parsed."""

    folder: Path | None = option(
        default=None,
        description="Working folder of the programs; default: the state folder."
        " Takes effect: reload.",
    )
    search: tuple[Path, ...] = option(
        default=(),
        description="Folders where a program is looked for when it is not found as given."
        " Takes effect: reload.",
    )
    at_once: Positive = option(
        default=16,
        description="Programs that run at once, in each worker; others wait, for as long as they"
        " might run. Takes effect: reload.",
    )
    options: bool = option(
        default=False,
        description="Whether clients may give arguments that begin with a dash; else they are"
        " refused (338), as they could make a program do what it is not meant to."
        " Takes effect: reload.",
    )
    parse: ParseConfig = option(default=ParseConfig(), description=ParseConfig.__doc__)
    run: tuple[ProgramConfig, ...] = option(
        default=(), description="The programs. Takes effect: reload."
    )


class PgpConfig(Section):
    """PGP by the operator's keyring, see docs/operators/security.md; off without ``home``."""

    home: Path | None = option(
        default=None,
        description="Folder of the keyring (GNUPGHOME), which only the user who serves can enter."
        " Takes effect: reload.",
    )
    signing_key: str = option(
        default="",
        description="Fingerprint of the secret key that responses are signed with; empty: they"
        " cannot be signed. Takes effect: reload.",
    )
    window_seconds: Seconds = option(
        default=300.0,
        description="How far the time of a request's signature may be from ours; each counts once"
        " in it. Takes effect: reload.",
    )
    seconds: Seconds = option(
        default=10.0,
        description="Time gpg has for one work before it is killed. Takes effect: reload.",
    )
    answer_octets: Positive = option(
        default=4194304,
        description="Longest response that is signed or encrypted. Takes effect: reload.",
    )


class AccessFilesConfig(Section):
    """Allow and deny files in the style of TCP wrappers, as ARIN's server reads them."""

    allow: Path | None = option(
        default=None,
        description="File of who is let in, read again when changed. Takes effect: at once.",
    )
    deny: Path | None = option(
        default=None,
        description="File of who is kept out, read again when changed. Takes effect: at once.",
    )


class LogConfig(Section):
    """What is written down."""

    queries: str = option(
        default="stderr",
        description="Where each query's line goes: stderr, off, or a file, which is opened anew"
        " on HUP. Takes effect: restart.",
    )
    format: Literal["json", "logfmt"] = option(
        default="logfmt", description="Form of these lines. Takes effect: restart."
    )
    address_v4_bits: int = option(
        default=32,
        ge=0,
        le=32,
        description="Bits of IPv4 addresses that are kept. Takes effect: restart.",
    )
    address_v6_bits: int = option(
        default=128,
        ge=0,
        le=128,
        description="Bits of IPv6 addresses that are kept. Takes effect: restart.",
    )
    level: Literal["debug", "info", "warning", "error"] = option(
        default="info", description="Least level of all other messages. Takes effect: reload."
    )


# ARIN's clients send their passwords as they always did.
_CLEAR: Final[Mapping[Compat, str]] = {"arin": "everywhere", "rfc": "tls-only"}


class Config(Section):
    """The whole configuration."""

    folder: Path = option(
        default=Path(),
        description="Folder that relative paths start from; default: that of the file."
        " Takes effect: restart.",
    )
    compat: Compat = option(
        default="rfc", description="Whose manners to follow: rfc or arin. Takes effect: reload."
    )
    listen: tuple[ListenConfig, ...] = option(
        default=(ListenConfig(),),
        min_length=1,
        description="Where to listen. Takes effect: restart.",
    )
    zones: tuple[Path, ...] = option(
        default=(),
        description="Zone folders, loaded at start and reload when they changed."
        " Takes effect: reload.",
    )
    arin_config: Path | None = option(
        default=None,
        description="rwhoisd.conf of an ARIN installation, imported at start and reload when"
        " its files changed. Takes effect: reload.",
    )
    state: Path = option(
        default=Path("/var/lib/rwhoisd"),
        description="Folder of what the server keeps: store and image. Takes effect: restart.",
    )
    host: str = option(
        default="", description="Name in the banner; default: the system's. Takes effect: reload."
    )
    clear_passwords: Literal["tls-only", "everywhere"] | None = option(
        default=None,
        description="Where secrets of guardians are accepted: by TLS and from this machine only,"
        " or from everywhere; default: everywhere in arin mode, else tls-only."
        " Takes effect: reload.",
    )
    contact: str = option(default="", description="Mail address in -status. Takes effect: reload.")
    workers: Count = option(
        default=0,
        le=256,
        description="Processes that serve; 0: one per processor. Takes effect: restart.",
    )
    user: str = option(
        default="", description="User to become once the ports are bound. Takes effect: restart."
    )
    group: str = option(
        default="", description="Group to become; default: the user's. Takes effect: restart."
    )
    store: StoreConfig = option(default=StoreConfig(), description=StoreConfig.__doc__)
    registration: RegistrationConfig = option(
        default=RegistrationConfig(), description=RegistrationConfig.__doc__
    )
    image: ImageConfig = option(default=ImageConfig(), description=ImageConfig.__doc__)
    limits: LimitsConfig = option(default=LimitsConfig(), description=LimitsConfig.__doc__)
    query: QueryConfig = option(default=QueryConfig(), description=QueryConfig.__doc__)
    referral: ReferralConfig = option(default=ReferralConfig(), description=ReferralConfig.__doc__)
    forward: ForwardConfig = option(default=ForwardConfig(), description=ForwardConfig.__doc__)
    directives: dict[str, DirectiveConfig] = option(
        default_factory=dict,
        description="Directives by name: on or off, and who may use them. Takes effect: reload.",
    )
    transfer: dict[str, AccessConfig] = option(
        default_factory=dict,
        description="Authority areas by name: who may -xfer them. Takes effect: reload.",
    )
    programs: ProgramsConfig = option(default=ProgramsConfig(), description=ProgramsConfig.__doc__)
    pgp: PgpConfig = option(default=PgpConfig(), description=PgpConfig.__doc__)
    access_files: AccessFilesConfig = option(
        default=AccessFilesConfig(), description=AccessFilesConfig.__doc__
    )
    log: LogConfig = option(default=LogConfig(), description=LogConfig.__doc__)

    # Names of the options above that were given, by whatever: no option itself.
    given: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

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


class Keeper(Protocol):
    """Keeps what was checked, as checking takes longer than all else of a start."""

    def find(self, data: Mapping[str, Any]) -> Config | None:
        """What the same data became the last time; None when that is not known."""

    def keep(self, data: Mapping[str, Any], config: Config) -> None:
        """Take note of what data became."""


def load(
    path: Path, overrides: Mapping[str, Any] | None = None, keeper: Keeper | None = None
) -> Config:
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
    return build({**data, **(overrides or {})}, str(path), text, keeper)


def from_arin(
    settings: "ArinSettings",
    conf: Path,
    overrides: Mapping[str, Any] | None = None,
    keeper: Keeper | None = None,
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
    return build({**data, **overrides}, str(conf), keeper=keeper)


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


def build(
    data: Mapping[str, Any],
    place: str = "configuration",
    text: str = "",
    keeper: Keeper | None = None,
) -> Config:
    """The configuration in ``data``, laid out as the file is, with the environment over it.

    ``place`` names where the data came from, ``text`` is its source, for line numbers.
    Raises: ConfigError.
    """
    config = keeper.find(data) if keeper else None
    if config is None:
        from rwhoisd.config_check import checked  # which loads pydantic, and only it does

        config = checked(data, place, text)
        if keeper:
            keeper.keep(data, config)
    return config


def options(table: type[Any] = Config, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every option as (dotted name, default, description); ``[]`` and ``<name>`` are rows.

    MISSING stands for the default of what has to be given.
    """
    for option in fields_of(table):
        inner, mark = section_of(option.type)
        if inner is None:
            factory = option.default_factory
            default = option.default if factory is MISSING else factory()
            yield prefix + option.name, default, option.metadata["description"]
        else:
            yield from options(inner, f"{prefix}{option.name}{mark}.")


def fields_of(table: type[Any]) -> Iterator[Field[Any]]:
    """The options of a section."""
    return (found for found in fields(table) if "description" in found.metadata)


def section_of(annotation: Any) -> tuple[type[Any] | None, str]:
    """The section an option holds, with the mark of what holds it: a row, a name or nothing."""
    if is_dataclass(annotation) and isinstance(annotation, type):
        return annotation, ""
    arguments = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return next((found for a in arguments if (found := section_of(a))[0]), (None, ""))
    mark = {tuple: "[]", dict: ".<name>"}.get(get_origin(annotation), "")
    inner = arguments[-1 if mark == ".<name>" else 0] if mark and arguments else None
    model = section_of(inner)[0] if inner is not None else None
    return model, mark
