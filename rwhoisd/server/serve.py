"""``rwhoisd serve``: from the options of the command line to a supervisor that runs."""

import hashlib
import logging
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Never

from rwhoisd import config as configuration
from rwhoisd.config import Config, ConfigError
from rwhoisd.config_kept import KeptConfig
from rwhoisd.formats.findings import FormatError
from rwhoisd.server import loaded, prepare, settings
from rwhoisd.server.exposure import exposed
from rwhoisd.server.listeners import ListenError, bind
from rwhoisd.server.messages import log_to_stderr
from rwhoisd.server.supervisor import Supervisor, complain
from rwhoisd.server.worker import Ready

logger = logging.getLogger(__name__)

SYSTEM_STATE: Final = Path("/var/lib/rwhoisd")
_UMASK: Final = 0o027  # store, image and logs are for nobody but the server's user and group


@dataclass(frozen=True)
class Options:
    """What is given on a command line; what is not stands in the configuration."""

    config: Path | None = None
    arin_config: Path | None = None
    listen: Sequence[str] | None = None
    state: Path | None = None
    workers: int | None = None
    compat: str | None = None

    def source(self) -> "Source":
        """Where the configuration comes from.

        Raises: SystemExit, when they are misused, which was told.
        """
        source, overrides = self.config or self.arin_config, self._overrides()
        if source is None or (self.config and self.arin_config):
            _misused("give either --config or --arin-config")
        base = _state_base()  # of the user who starts it, whoever serves then
        kept = KeptConfig(lambda data: _state_of(data, source, base))
        if self.config is not None:

            def load() -> Config:
                return _with_state(configuration.load(source, overrides, kept), source, base)

            return Source(source, load, kept)

        def read() -> Config:
            from rwhoisd.formats.arin_config import read_settings  # others need none of it

            found, _ = read_settings(source)
            config = configuration.from_arin(found, source, overrides, kept)
            return _with_state(config, source, base)

        return Source(source, read, kept)

    def _overrides(self) -> dict[str, Any]:
        """Options of the configuration that the command line has another value for."""
        given: dict[str, Any] = {
            "listen": [_listen(text) for text in self.listen or ()],
            "state": str(self.state.absolute()) if self.state is not None else None,
            "workers": self.workers,
            "compat": self.compat,
        }
        return {name: value for name, value in given.items() if value not in (None, [])}


@dataclass(frozen=True)
class Source:
    """What ``read`` reads the configuration from, now and at each reload: the one ``file``."""

    file: Path
    read: Callable[[], Config]
    kept: KeptConfig


def serving(options: Options) -> int:
    """Serve as the options say; the exit status. Raises: SystemExit, when they are misused."""
    return run(options.source())


def run(source: Source) -> int:
    """Serve by the configuration of ``source``; the exit status."""
    try:
        config = source.read()
        log_to_stderr(config.log.level)
        _raise_file_limit()
        os.umask(_UMASK)
        prepare.make_state(config)
        listeners = bind(config.listen, config.workers or os.cpu_count() or 1)
        user = os.geteuid()
        prepare.become(config, source.file)
        if os.geteuid() == user:  # root does not rely on a folder of the user who serves
            source.kept.save(config.state_path)
        for remark in exposed(config, source.file):
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
        is_current=loaded.is_current,
        reread=source.read,
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


def _state_base() -> Path:
    """Where state folders are when none was chosen."""
    if os.geteuid() == 0:
        return SYSTEM_STATE
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rwhoisd"


def _with_state(config: Config, path: Path, base: Path) -> Config:
    """The configuration with a state folder of its own where none was chosen."""
    if "state" in config.given:
        return config
    return replace(config, state=_default_state(path, base, arin=bool(config.arin_config)))


def _state_of(data: Mapping[str, Any], path: Path, base: Path) -> Path:
    """Where the state folder of a configuration is that was not checked, most likely."""
    chosen = os.environ.get(f"{configuration.ENVIRONMENT_PREFIX}STATE") or data.get("state")
    if not chosen:
        return _default_state(path, base, arin=bool(data.get("arin_config")))
    return Path(os.path.normpath(Path(data["folder"]) / Path(chosen).expanduser()))


def _default_state(path: Path, base: Path, *, arin: bool) -> Path:
    name = hashlib.blake2b(os.fsencode(path.absolute()), digest_size=6).hexdigest()
    return base / name if arin else base


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
    raise SystemExit(2)


def _raise_file_limit() -> None:
    """A connection is a file: take as many as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
