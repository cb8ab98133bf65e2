"""What all verbs share: where the store and the image are, how to print, how to fail."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rwhoisd import config as configuration
from rwhoisd.config import Config, ConfigError
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.image.catch_up import follow
from rwhoisd.image.errors import ImageError
from rwhoisd.service.deferred import DeferredQueue
from rwhoisd.store import Store, StoreError

DONE: Final = 0
REFUSED: Final = 1  # a finding, or it cannot be done
MISUSED: Final = 2
SYSTEM_CONFIG: Final = Path("/etc/rwhoisd/rwhoisd.toml")
SYSTEM_STATE: Final = Path("/var/lib/rwhoisd")
_WIDE: Final = 1_000  # columns of a pipe or a file
_PATIENCE: Final = 1.0  # seconds before a progress bar shows
_T = TypeVar("_T")

# What cannot be read is for us to tell (1): typer would call it a misuse (2).
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The server's configuration file, which tells where store and image are.",
        show_default=False,
        readable=False,
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", help="Folder with store and image.", show_default=False, readable=False
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="URL of the store, or an SQLite file.", show_default=False),
]
ImageOption = Annotated[
    Path | None,
    typer.Option("--image", help="Folder of the image.", show_default=False, readable=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


class Failure(Exception):  # noqa: N818
    """Something that cannot be done, in words for a person."""


@dataclass(frozen=True)
class Target:
    """Which store and which image a command works on."""

    url: str
    image: Path
    compat: str
    deferred: DeferredQueue
    counters: Path  # file of what the server counted

    @property
    def eol(self) -> bytes:
        """What ends the lines of answers."""
        return b"\n" if self.compat == "arin" else b"\r\n"

    @asynccontextmanager
    async def open(self, *, create: bool = False) -> AsyncIterator[Store]:
        """The store; with ``create`` it is made where there is none."""
        if create:
            self._make_folder()
        async with await Store.open(self.url, create=create) as store:
            yield store

    @asynccontextmanager
    async def open_for_load(self, *, dry_run: bool) -> AsyncIterator[Store]:
        """The store that a load goes into; a dry run makes none, it tries on an empty one."""
        path = sqlite_path(self.url)
        if not dry_run or path is None or path.exists():
            async with self.open(create=not dry_run) as store:
                yield store
            return
        with tempfile.TemporaryDirectory() as folder:
            async with await Store.open(str(Path(folder) / "store.sqlite"), create=True) as store:
                yield store

    @asynccontextmanager
    async def open_any(self, *, create: bool = False) -> AsyncIterator[Store]:
        """The store whatever the version of its tables; ``create`` makes a missing SQLite file."""
        path = sqlite_path(self.url)
        missing = create and path is not None and not path.exists()
        if missing:
            self._make_folder()
        async with await Store.open(self.url, create=missing, check=False) as store:
            yield store

    def _make_folder(self) -> None:
        path = sqlite_path(self.url)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    async def refresh_image(
        self, store: Store, progress: Callable[..., None] | None = None
    ) -> None:
        """Bring the image up to the store, if there is one."""
        if self.image.is_dir():
            await follow(store.snapshot, self.image, progress=progress)


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL or a bare path; None for other databases."""
    if "://" not in url:
        return Path(url)
    scheme, _, rest = url.partition("://")
    return Path(rest.removeprefix("/")) if scheme.startswith("sqlite") and rest else None


def target(
    config: Path | None, state: Path | None, store: str | None, image: Path | None
) -> Target:
    """Store and image by options, else by configuration and environment, else by default."""
    try:
        settings = _settings(config)
    except ConfigError as error:
        raise Failure(str(error)) from error
    if state is not None:
        settings = replace(settings, state=state.absolute())
    chosen = settings.store_url if state is None else f"sqlite+aiosqlite:///{state.absolute()}"
    if state is not None:
        chosen += "/store.sqlite"
    return Target(
        url=store or chosen,
        image=image or (settings.image_path if state is None else state / "image"),
        compat=settings.compat,
        deferred=DeferredQueue(settings.deferred_path),
        counters=settings.counters_path,
    )


def _settings(config: Path | None) -> Config:
    path = config or (SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None)
    if path is not None:
        return configuration.load(path)
    settings = configuration.build({})
    if "state" in settings.given:
        return settings
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    state = SYSTEM_STATE if os.geteuid() == 0 else home / "rwhoisd"
    return replace(settings, state=state)


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Do the work of a command and leave with its status; what fails is one line of text."""
    try:
        status = asyncio.run(work())
    except (Failure, FormatError, StoreError, ImageError, ConfigError, RwhoisError) as error:
        complain(str(error))
        status = REFUSED
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        status = REFUSED
    raise typer.Exit(status)


def misuse(message: str) -> NoReturn:
    """Leave over options that do not fit together."""
    complain(message)
    raise typer.Exit(MISUSED)


def chosen(areas: Sequence[AuthorityArea], names: Sequence[str]) -> list[AuthorityArea]:
    """The areas named, all when none is. Raises: Failure, for a name that no area has."""
    by_name = {area.name.key: area for area in areas}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        known = ", ".join(area.name.text for area in areas) or "no areas at all"
        raise Failure(f"{unknown[0]}: no such area; there are {known}")
    return [by_name[name.lower()] for name in names] or list(areas)


def complain(message: str) -> None:
    """Tell a person on standard error."""
    for line in message.splitlines():
        typer.echo(f"rwhois-admin: {line}", err=True)


def console() -> Console:
    """Standard output for tables; without colours when it is no terminal or NO_COLOR is set.

    Text is printed as it is: ``[fd00::1]:443`` is no markup and ``:100:`` no picture. Where it is
    no terminal, and nobody set COLUMNS, a line is as long as it has to be.
    """
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal or "COLUMNS" in os.environ else _WIDE
    return Console(
        highlight=False, markup=False, emoji=False, soft_wrap=not is_terminal, width=width
    )


def table(*headers: str) -> Table:
    """A table without lines, whose cells are folded rather than cut."""
    made = Table(box=None, pad_edge=False)
    for header in headers:
        made.add_column(header, overflow="fold")
    return made


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def finding_row(finding: Finding) -> dict[str, Any]:
    """A finding as JSON shows it."""
    return {
        "file": finding.file,
        "line": finding.line,
        "severity": finding.severity,
        "code": int(finding.code) if finding.code else None,
        "message": finding.message,
    }


def tell_findings(findings: Sequence[Finding], limit: int = 1000) -> None:
    """Findings on standard error, one a line."""
    for finding in findings[:limit]:
        typer.echo(str(finding), err=True)
    if len(findings) > limit:
        typer.echo(f"… and {len(findings) - limit} more", err=True)


class _Silent:
    """Stands for a bar where there is no terminal."""

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Nothing to show."""


class _Rate(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """The column's text."""
        speed = task.finished_speed or task.speed
        if not speed and task.elapsed:  # told of once only
            speed = task.completed / task.elapsed
        return Text(f"{speed:,.0f}/s" if speed else "")


class _Bar:
    """A bar that shows when the work has taken longer than a second."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._started = time.monotonic()
        self._task: Any = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Show how far the work is."""
        if time.monotonic() - self._started < _PATIENCE:
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(what, total=total)
        elif what != self._what:  # another thing is counted, from the beginning
            self._bar.reset(self._task, total=total)
        self._what = what
        self._bar.update(self._task, description=what, completed=done, total=total)

    def close(self) -> None:
        """Remove it from the terminal."""
        self._bar.stop()


@contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """What work reports to: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.close()
