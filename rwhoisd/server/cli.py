"""``rwhoisd``: serve in the foreground, or check a configuration."""

import hashlib
import json
import logging
import os
import resource
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Never

import typer

from rwhoisd import config as configuration
from rwhoisd.config import Config, ConfigError
from rwhoisd.formats.arin_config import read_settings
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.server import pgp, tls
from rwhoisd.server.exposure import exposed
from rwhoisd.server.messages import log_to_stderr
from rwhoisd.server.supervisor import complain
from rwhoisd.server.worker import Ready
from rwhoisd.version import version_option

app = typer.Typer(
    name="rwhoisd",
    help="A directory server for network operators: RWhois v1.5 (RFC 2167).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

logger = logging.getLogger(__name__)

SYSTEM_STATE: Final = Path("/var/lib/rwhoisd")
_UMASK: Final = 0o027  # store, image and logs are for nobody but the server's user and group


class Compat(StrEnum):
    """Whose manners to follow."""

    ARIN = "arin"
    RFC = "rfc"


# What cannot be read is for us to tell (1): typer would call it a misuse (2).
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file (TOML).", show_default=False, readable=False),
]
ArinOption = Annotated[
    Path | None,
    typer.Option(
        "--arin-config",
        help="rwhoisd.conf of an ARIN rwhoisd installation, served as it is.",
        show_default=False,
        readable=False,
    ),
]


@app.callback()
def options(show_version: Annotated[bool, version_option("rwhoisd")] = False) -> None:
    """Options before the verb."""


@app.command(
    epilog="Example: rwhoisd serve --arin-config /srv/rwhoisd/rwhoisd.conf --listen 127.0.0.1:4321"
)
def serve(
    config: ConfigOption = None,
    arin_config: ArinOption = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(help="HOST:PORT to listen on instead, * for all interfaces; may be repeated."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for store and image.", show_default=False, readable=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve.", min=0, max=256, show_default=False)
    ] = None,
    compat: Annotated[
        Compat | None, typer.Option(help="Whose manners to follow.", show_default=False)
    ] = None,
) -> None:
    """Serve in the foreground. TERM ends it after the queries under way, HUP reloads."""
    overrides: dict[str, Any] = {}
    if listen:
        overrides["listen"] = [_listen(text) for text in listen]
    if state is not None:
        overrides["state"] = str(state.absolute())
    if workers is not None:
        overrides["workers"] = workers
    if compat is not None:
        overrides["compat"] = compat.value
    read = _reader(config, arin_config, overrides)
    raise typer.Exit(run(read, _source(config, arin_config)))


@app.command("check-config", epilog="Example: rwhoisd check-config --config rwhoisd.toml")
def check_config(
    config: ConfigOption = None,
    arin_config: ArinOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check a configuration without serving; all mistakes are listed at once."""
    read = _reader(config, arin_config, {})
    findings: list[str] = []
    remarks: list[str] = []
    try:
        remarks = [str(f) for f in _remarks(arin_config)]
        given = read()
        tls.contexts(given)
        pgp.check(given)
        remarks += exposed(given, _source(config, arin_config))
    except (ConfigError, FormatError, tls.TlsError, pgp.PgpError) as error:
        findings = str(error).splitlines()
    except OSError as error:
        findings = [f"{error.filename}: {error.strerror}"]
    if as_json:
        typer.echo(json.dumps({"ok": not findings, "errors": findings, "remarks": remarks}))
    else:
        for line in (*findings, *remarks):
            typer.echo(line, err=True)
        if not findings:
            typer.echo(f"{_source(config, arin_config)}: the configuration can be used")
    raise typer.Exit(1 if findings else 0)


def run(read: Callable[[], Config], source: Path) -> int:
    """Serve by the configuration that ``read`` gives from ``source``; the exit status."""
    from rwhoisd.server import prepare, settings
    from rwhoisd.server.listeners import ListenError, bind
    from rwhoisd.server.supervisor import Supervisor

    try:
        config = read()
        log_to_stderr(config.log.level)
        _raise_file_limit()
        os.umask(_UMASK)
        prepare.make_state(config)
        listeners = bind(config.listen, config.workers or os.cpu_count() or 1)
        prepare.become(config, source)
        for remark in exposed(config, source):
            logger.warning("%s", remark)
    except (ConfigError, FormatError, ListenError, prepare.PrepareError) as error:
        complain(error)
        return 1
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        return 1
    supervisor = Supervisor(
        config,
        listeners,
        prepare=prepare.run,
        compact=prepare.compact,
        is_worn=prepare.is_worn,
        reread=read,
        host=settings.system_name(),
        ready=lambda news: _announce(news, [listener.name for listener in listeners]),
    )
    return supervisor.run()


def _announce(news: Ready, names: list[str]) -> None:
    """Tell that the server serves, where, and a command to try."""
    host, _, port = names[0].rpartition(":")
    host = {"[::]": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(host, host.strip("[]"))  # noqa: S104
    print(f"rwhoisd serves {news.objects} objects of {news.areas} areas on {', '.join(names)}")
    print(f"try: whois -h {host} -p {port} {news.example}", flush=True)


def _reader(
    config: Path | None, arin_config: Path | None, overrides: dict[str, Any]
) -> Callable[[], Config]:
    """What reads the configuration, now and at each reload."""
    _source(config, arin_config)
    base = _state_base()  # of the user who starts it, whoever serves then
    if config is not None:
        path = config
        return lambda: _with_state(configuration.load(path, overrides), path, base)
    assert arin_config is not None
    conf = arin_config

    def read() -> Config:
        settings, _ = read_settings(conf)
        return _with_state(configuration.from_arin(settings, conf, overrides), conf, base)

    return read


def _source(config: Path | None, arin_config: Path | None) -> Path:
    """The one file that was given."""
    source = config or arin_config
    if source is None or (config and arin_config):
        _misused("give either --config or --arin-config")
    return source


def _state_base() -> Path:
    """Where state folders are when none was chosen."""
    if os.geteuid() == 0:
        return SYSTEM_STATE
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rwhoisd"


def _with_state(config: Config, path: Path, base: Path) -> Config:
    """The configuration with a state folder of its own where none was chosen."""
    if "state" in config.model_fields_set:
        return config
    name = hashlib.blake2b(os.fsencode(path.absolute()), digest_size=6).hexdigest()
    return config.model_copy(update={"state": base / name if config.arin_config else base})


def _remarks(arin_config: Path | None) -> list[Finding]:
    return list(read_settings(arin_config)[1].findings) if arin_config else []


def _listen(text: str) -> dict[str, Any]:
    """``HOST:PORT``, ``[V6]:PORT`` or ``:PORT`` as a row of listen."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        _misused(f"--listen {text}: HOST:PORT is needed, such as 127.0.0.1:4321 or [::1]:4321")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        _misused(f"--listen {text}: an IPv6 address stands in brackets, such as [::1]:4321")
    return {"host": host.strip("[]") or "*", "port": int(port)}


def _misused(message: str) -> Never:
    complain(message)
    raise typer.Exit(2)


def _raise_file_limit() -> None:
    """A connection is a file: take as many as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """The ``rwhoisd`` command."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    app()
