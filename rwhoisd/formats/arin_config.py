"""The main configuration of an ARIN installation and the small files beside it (§11.2, §11.7)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rwhoisd.directory.referral import punt_text
from rwhoisd.formats.arin_text import Reading, boolean, is_file, is_folder, leading_number
from rwhoisd.formats.findings import failed
from rwhoisd.formats.hosts_access import WrapperRule, parse
from rwhoisd.formats.records import CONFIG_OCTETS, LINE_OCTETS, Record, clean, pieces

DIRECTIVES: Final = (
    *("rwhois", "class", "directive", "display", "forward", "holdconnect", "limit", "notify"),
    *("quit", "register", "schema", "security", "soa", "status", "xfer"),
)
LOG_LEVELS: Final = ("emergency", "alert", "crit", "err", "warn", "notice", "info", "debug")
UNUSED: Final = frozenset({"cidr-search-direction", "notify-log", "register-log"})


@dataclass(frozen=True, slots=True)
class XDirective:
    """An extended directive: ``-X-COMMAND`` runs ``program`` (which may hold arguments).

    ``length`` is how many characters of the command are significant, 0 for all.
    """

    command: str
    program: str
    description: str = ""
    length: int = 0


@dataclass(frozen=True)
class ArinSettings:
    """Every tag of ``rwhoisd.conf`` (§11.2), typed, and what the files it names say.

    Names of files are kept as they are written, relative to ``root_dir``; see ``path``.
    Times are seconds. ``punts`` are texts of referral lines.
    """

    root_dir: Path
    bin_path: str = "bin"
    auth_area_file: str = "rwhoisd.auth_area"
    directive_file: str = "rwhoisd.dir"
    x_directive_file: str = "rwhoisd.x.dir"
    punt_file: str = "rwhoisd.root"
    security_allow: str = "hosts.allow"
    security_deny: str = "hosts.deny"
    register_spool: str = "register_spool"
    max_hits_ceiling: int = 2048  # 0: unlimited
    max_hits_default: int = 20  # without effect in ARIN's server
    local_host: str = ""  # empty: the name of this machine
    local_port: int = 4321
    userid: str = ""
    chrooted: bool = False
    deadman_time: int = 200  # 0: never
    server_type: str = "daemon"
    background: bool = True
    verbosity: int = 6
    pid_file: str = "rwhoisd.pid"
    server_contact: str = " "
    use_syslog: bool = True
    syslog_facility: str = "LOG_DAEMON"
    default_log_file: str = "rwhoisd.log"
    level_log_files: Mapping[str, str] = field(default_factory=dict)
    query_allow_wildcard: bool = True
    query_allow_substr: bool = False
    max_children: int = 0  # 0: unlimited
    skip_referral_search: bool = False
    listen_queue_length: int = 5
    child_priority_offset: int = 0
    unused: Mapping[str, str] = field(default_factory=dict)  # accepted without effect
    directives: Mapping[str, bool] = field(default_factory=lambda: dict.fromkeys(DIRECTIVES, True))
    x_directives: tuple[XDirective, ...] = ()
    punts: tuple[str, ...] = ()
    allow_text: str = ""
    deny_text: str = ""
    allow_rules: tuple[WrapperRule, ...] = ()
    deny_rules: tuple[WrapperRule, ...] = ()

    def path(self, text: str) -> Path:
        """Where a file named in the configuration lies."""
        return self.root_dir / text


_ALIASES: Final = {"default-dir": "root-dir", "bin-loc": "bin-path"}
_MUST_EXIST: Final = (
    *("auth-area-file", "directive-file", "x-directive-file", "punt-file"),
    *("security-allow", "security-deny"),
)
# Tag → how its text becomes a value; the field is the tag with "_" for "-".
_TAGS: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(_MUST_EXIST, str),
    **dict.fromkeys(("bin-path", "register-spool", "local-host", "userid", "server-type"), str),
    **dict.fromkeys(("pid-file", "server-contact", "syslog-facility", "default-log-file"), str),
    **dict.fromkeys(("max-hits-ceiling", "max-hits-default", "local-port"), leading_number),
    **dict.fromkeys(("deadman-time", "verbosity", "max-children"), leading_number),
    **dict.fromkeys(("listen-queue-length", "child-priority-offset"), leading_number),
    **dict.fromkeys(("chrooted", "background", "use-syslog", "query-allow-wildcard"), boolean),
    **dict.fromkeys(("query-allow-substr", "skip-referral-search"), boolean),
}
TAGS: Final = tuple(_TAGS)
_NOT_NEGATIVE: Final = frozenset({"max-hits-ceiling", "deadman-time", "max-children"})


def read_settings(conf: Path) -> tuple[ArinSettings, Reading]:
    """The settings of ``rwhoisd.conf`` with its directive, punt and access files.

    Without ``root-dir`` the tree is taken to lie beside the file.
    Raises: FormatError, when ARIN's server would refuse to start: a missing file or root.
    """
    reading = Reading(conf.parent)
    found, charset = reading.records(conf, CONFIG_OCTETS)
    places = _places(found, charset)
    reading.root = _root(conf, places.pop("root-dir", None))
    values, lines = _values(conf, places, reading)
    settings = ArinSettings(root_dir=reading.root, **values)
    for tag in _MUST_EXIST:
        _must_exist(conf, settings, tag, lines.get(tag, 0))
    return _with_files(settings, reading), reading


def _places(found: Iterable[Record], charset: str) -> dict[str, tuple[int, str]]:
    """Tag → line and value, the last one counts; separators mean nothing here."""
    return {
        _ALIASES.get(tag, tag): (line.number, line.value.decode(charset))
        for record in found
        for line in record.lines
        for tag in [line.tag.decode(charset).lower()]
    }


def _root(conf: Path, place: tuple[int, str] | None) -> Path:
    line, text = place or (0, "")
    root = conf.parent / text
    if not is_folder(root):
        raise failed(conf, line, f"root-dir {text!r} is no directory; name the one of this tree")
    return root


def _values(
    conf: Path, places: Mapping[str, tuple[int, str]], reading: Reading
) -> tuple[dict[str, Any], dict[str, int]]:
    values: dict[str, Any] = {"level_log_files": {}, "unused": {}}
    for tag, (line, text) in places.items():
        level = tag.removesuffix("-log-file")
        if tag in _TAGS:
            value = _TAGS[tag](text)
            if value is None or (tag in _NOT_NEGATIVE and value < 0):
                reading.find(conf, line, f"{tag} {text!r} is no number; the default is taken")
            else:
                values[tag.replace("-", "_")] = value
        elif level != tag and level in LOG_LEVELS:
            values["level_log_files"][level] = text
        elif tag in UNUSED:
            values["unused"][tag] = text
            reading.find(conf, line, f"{tag} has no effect, as in ARIN's server", "note")
        else:
            reading.find(conf, line, f"tag {tag!r} is unknown and ignored")
    return values, {tag: line for tag, (line, _) in places.items()}


def _must_exist(conf: Path, settings: ArinSettings, tag: str, line: int) -> None:
    path = settings.path(getattr(settings, tag.replace("-", "_")))
    if not is_file(path):
        default = "" if line else " (the default name)"
        raise failed(conf, line, f"{tag} {path}{default} does not exist; create it, if only empty")


def _with_files(settings: ArinSettings, reading: Reading) -> ArinSettings:
    allow, deny = (
        reading.read(settings.path(p)).decode("latin-1")
        for p in (settings.security_allow, settings.security_deny)
    )
    rules: list[tuple[WrapperRule, ...]] = []
    for name, text in ((settings.security_allow, allow), (settings.security_deny, deny)):
        found, odd = parse(text)
        rules.append(found)
        for line, message in odd:
            reading.find(settings.path(name), line, message)
    values = {**vars(settings), "allow_text": allow, "deny_text": deny}
    values |= {"allow_rules": rules[0], "deny_rules": rules[1]}
    values["directives"] = _directives(settings.path(settings.directive_file), reading)
    values["x_directives"] = tuple(_x_directives(settings.path(settings.x_directive_file), reading))
    values["punts"] = tuple(_punts(reading.read(settings.path(settings.punt_file))))
    return ArinSettings(**values)


def _directives(path: Path, reading: Reading) -> dict[str, bool]:
    """Directive → on; all are on unless the file says otherwise (§11.7)."""
    switches = dict.fromkeys(DIRECTIVES, True)
    found, charset = reading.records(path)
    for record in found:
        for line in record.lines:
            name, on = line.tag.decode(charset).lower(), boolean(line.value.decode(charset))
            if name not in switches:
                reading.find(path, line.number, f"directive {name!r} is unknown and ignored")
            elif name == "rwhois" and not on:
                reading.find(path, line.number, "rwhois cannot be turned off; it stays on")
            else:
                switches[name] = on
    return switches


def _x_directives(path: Path, reading: Reading) -> Iterator[XDirective]:
    """Extended directives. A description holds on until the next one, as in ARIN's server."""
    found, charset = reading.records(path)
    values: dict[str, str] = {}
    for record in found:
        for line in record.lines:
            tag = line.tag.decode(charset).lower()
            if tag in ("command", "command-len", "program", "description"):
                values[tag] = line.value.decode(charset)
            else:
                reading.find(path, line.number, f"tag {tag!r} is unknown and ignored")
        if values.get("command") and values.get("program"):
            yield XDirective(
                values["command"],
                values["program"],
                values.get("description", ""),
                leading_number(values.get("command-len", "")) or 0,
            )
            values = {t: v for t, v in values.items() if t == "description"}
        else:
            reading.find(path, record.line, "a record needs command and program; it is ignored")


def _punts(data: bytes) -> Iterator[str]:
    for _, _, line in pieces(data, LINE_OCTETS):
        text = punt_text(clean(line).decode("latin-1"))
        if text is not None:
            yield text
