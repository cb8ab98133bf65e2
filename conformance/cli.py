"""``rwhois-conformance``: the command."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance.comparison import compare_servers
from conformance.outcomes import Level, Report
from conformance.report import as_json, as_junit, print_table
from conformance.runner import Effort, Play, playable, run_plays
from conformance.servers import ArinTarget, ServerError, SpawnTarget, Target, target_from_text
from conformance.sets import load_set, served_areas, set_areas
from conformance.wire import Pace

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_HELP = """Play conversations against an RWhois V1.5 (RFC 2167) server and judge its answers.

Name the server by exactly one of HOST:PORT (a server that runs and holds the data of a set),
--spawn (a command that starts one; every configuration variant is played then), --arin-bin
(an operator's own build of ARIN's rwhoisd) or --compare.

Examples:

  rwhois-conformance 127.0.0.1:4321 --set arin --show 3

  rwhois-conformance --set arin --spawn 'rwhoisd serve --arin-config {dir}/rwhoisd.conf
  --listen 127.0.0.1:{port} --state {dir}/.state --workers 1 --compat {mode}'

  rwhois-conformance --set arin --arin-bin /usr/local/libexec/arin --report junit --output a.xml

The data stand in conformance/arin/data and conformance/rfc/data of this package, in the layout
of ARIN's server. In a command, {dir} is a private copy of them, {port} a free port, and {mode}
the mode ("arin" or "rfc") that the expected answers are written for.

Exit status: 0 all as it should be, 1 a finding, 2 wrong usage.
"""


class CaseSet(StrEnum):
    """Which cases."""

    ARIN = "arin"
    RFC = "rfc"


class Mode(StrEnum):
    """Which answers are expected for the recorded set."""

    ARIN = "arin"
    RFC = "rfc"


class Format(StrEnum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


class UsageError(Exception):
    """The command line makes no sense; the text says how it would."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rwhois-conformance {version('rwhoisd')}")
        raise typer.Exit


@app.command(help=_HELP)
def conformance(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="A running server.")] = "",
    spawn: Annotated[str, typer.Option(metavar="CMD", help="Start servers with this.")] = "",
    arin_bin: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A built rwhoisd and rwhois_indexer.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B", help="Two servers side by side: HOST:PORT, arin:DIR or a command each."
        ),
    ] = None,
    sets: Annotated[
        list[CaseSet] | None, typer.Option("--set", help="Play this set (default: what can be).")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="What the arin set expects: ARIN's answers, or RFC 2167's.")
    ] = Mode.ARIN,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only cases with it; repeatable.")
    ] = None,
    skip_tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="No cases with it; repeatable.")
    ] = None,
    ids: Annotated[str, typer.Option(metavar="ID,ID", help="Only these cases.")] = "",
    level: Annotated[
        Level, typer.Option(help="What a finding is: another meaning, or other bytes.")
    ] = Level.SEMANTIC,
    corrected: Annotated[
        bool, typer.Option(help="Count a copied defect of ARIN's server as a finding.")
    ] = False,
    report: Annotated[Format, typer.Option(help="How to report.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report there.")
    ] = None,
    show: Annotated[int, typer.Option(metavar="N", min=0, help="Show N differences.")] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="Play cases that change data on a running server too.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 20.0,
    servers: Annotated[int, typer.Option(min=1, help="Servers started at a time.")] = 3,
    connections: Annotated[int, typer.Option(min=1, help="Connections at a time.")] = 12,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The command; see ``_HELP``."""
    del show_version
    try:
        targets = _targets(server, spawn, arin_bin, compare)
        wanted = _sets(sets, targets)
        plays = _chosen(wanted, mode, tag or [], skip_tag or [], ids)
    except (UsageError, ServerError) as error:
        typer.echo(f"rwhois-conformance: {error}", err=True)
        raise typer.Exit(2) from error
    pace = Pace(timeout=timeout, patience=min(3.0, timeout))
    effort = Effort(servers=servers, connections=connections)
    with _output(output) as console:
        if compare is not None:
            same = _compare(plays, targets, pace, effort, report, console, show)
            raise typer.Exit(0 if same else 1)
        found = _run(plays, targets[0], pace, effort, everything=everything)
        _print(found, report, console, level, corrected=corrected, show=show)
        bad = found.errors or found.findings(level, corrected=corrected)
        raise typer.Exit(1 if bad else 0)


def _targets(
    server: str, spawn: str, arin_bin: Path | None, compare: tuple[str, str] | None
) -> list[Target]:
    given = [bool(server), bool(spawn), arin_bin is not None, compare is not None]
    if sum(given) != 1:
        raise UsageError(
            "give exactly one of HOST:PORT, --spawn, --arin-bin and --compare; --help has examples"
        )
    if compare is not None:
        return [target_from_text(text) for text in compare]
    if arin_bin is not None:
        return [ArinTarget(arin_bin)]
    if spawn:
        return [SpawnTarget(spawn)]
    target = target_from_text(server)
    if not target.fixed:
        raise UsageError(f"{server}: not HOST:PORT (an IPv6 address stands in brackets)")
    return [target]


def _sets(asked: Sequence[CaseSet] | None, targets: Sequence[Target]) -> list[CaseSet]:
    """The sets asked for; else those whose data every running server holds."""
    if asked:
        return list(dict.fromkeys(asked))
    areas = [served_areas(target) for target in targets if target.fixed]
    wanted = [kind for kind in CaseSet if all(set_areas(kind.value) <= held for held in areas)]
    if not wanted:
        raise UsageError(
            "the server answers -soa for no set's areas: give it conformance/arin/data or "
            "conformance/rfc/data to serve, or say --set"
        )
    return wanted


def _chosen(
    wanted: Sequence[CaseSet], mode: Mode, tags: Sequence[str], without: Sequence[str], ids: str
) -> list[Play]:
    only = {name for name in ids.split(",") if name}
    plays = [
        play
        for kind in wanted
        for play in load_set(kind.value, mode.value)
        if (not tags or set(tags) & set(play.tags))
        and not set(without) & set(play.tags)
        and (not only or play.id in only)
    ]
    if missing := only - {play.id for play in plays}:
        raise UsageError(f"no such case: {', '.join(sorted(missing))}")
    if not plays:
        raise UsageError("no case has these tags")
    return plays


def _run(
    plays: Sequence[Play], target: Target, pace: Pace, effort: Effort, *, everything: bool
) -> Report:
    count = sum(playable(play, target, everything=everything) for play in plays)
    with _progress(count) as advance:
        return run_plays(plays, target, pace, effort, everything=everything, progress=advance)


def _print(
    found: Report, form: Format, console: Console, level: Level, *, corrected: bool, show: int
) -> None:
    match form:
        case Format.TABLE:
            print_table(found, console, level, show=show)
        case Format.JSON:
            _raw(console, as_json(found, level, corrected=corrected) + "\n")
        case Format.JUNIT:
            _raw(console, as_junit(found, level, corrected=corrected))


def _raw(console: Console, text: str) -> None:
    """Writes text that is for programs: neither wrapped nor coloured."""
    console.file.write(text)


def _compare(
    plays: Sequence[Play],
    targets: Sequence[Target],
    pace: Pace,
    effort: Effort,
    form: Format,
    console: Console,
    show: int,
) -> bool:
    """Whether the two servers agree in meaning; prints where they do not."""
    if form is Format.JUNIT:
        raise typer.BadParameter("--compare reports as table or json")
    left, right = targets
    both = [play for play in plays if playable(play, left) and playable(play, right)]
    with _progress(2 * len(both)) as advance:
        found = compare_servers(both, left, right, pace, effort, progress=advance)
    if form is Format.JSON:
        _raw(console, found.as_json() + "\n")
    else:
        found.print(console, show=show)
    return not found.errors and not found.differing(Level.SEMANTIC)


@contextmanager
def _output(path: Path | None) -> Iterator[Console]:
    if path is None:
        yield Console(width=None if sys.stdout.isatty() else 110)
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        typer.echo(f"rwhois-conformance: {path}: {error.strerror}", err=True)
        raise typer.Exit(2) from error
    with file:
        yield Console(file=file, width=110)


@contextmanager
def _progress(count: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("playing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("playing", total=count)
        yield lambda: bar.advance(task)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
