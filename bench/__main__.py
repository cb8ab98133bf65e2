"""``python -m bench``: measure, show, record."""

import signal
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import harness, plots, queries, record, report
from bench.errors import BenchError
from bench.harness import Results, Settings

TABLE_COLUMNS = 132
OUT = Path(__file__).with_name("out")
DOCS = Path(__file__).parent.parent / "docs"


class Preset(NamedTuple):
    """What holds for options that are not given."""

    objects: str
    rounds: int
    seconds: float
    connections: str


QUICK = Preset("1000", 1, 0.3, "8")
KINDS_OBJECTS = "1000,100000"
FULL = Preset("1000,100000,1000000", 3, 0.4, "8,1,64")


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r}: numbers with commas between them") from None
    if min(found) < 1:
        raise typer.BadParameter(f"{text!r}: each is at least 1")
    return found


def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="1000 objects, one round of 0.3 s a run.")
    ] = False,
    objects: Annotated[
        str | None, typer.Option(help="Networks in each data set.", show_default=FULL.objects)
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds.", show_default=str(FULL.rounds))
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=60, help="Length of a run.", show_default=str(FULL.seconds)),
    ] = None,
    connections: Annotated[
        str | None,
        typer.Option(
            help="Clients at once; lines are drawn through further numbers.",
            show_default=FULL.connections,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes of rwhoisd and of echo.")] = 1,
    arin_bin: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder with ARIN's rwhoisd and rwhois_indexer."
        ),
    ] = None,
    without_ours: Annotated[
        bool, typer.Option("--without-ours", help="Leave rwhoisd out: try the harness alone.")
    ] = False,
    only_kinds: Annotated[
        bool,
        typer.Option("--kinds", help="Only what each kind of query costs, in the process."),
    ] = False,
    kinds_objects: Annotated[
        str | None,
        typer.Option(help="Networks in the table of kinds of queries.", show_default="--objects"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything that was measured.")
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", help="Write the page of ratios (Markdown) and its pictures."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where data, programs and logs are kept.")] = OUT,
) -> None:
    """Measure rwhoisd beside a bare event loop and, if you have it, ARIN's server.

    Example: python -m bench --quick --arin-bin /usr/local/sbin

    Without --quick and without a file to write to it is the run of docs/performance.md.

    Exit status 0: done, 1: a server failed or gave wrong answers, 2: usage.
    """
    preset = QUICK if quick else FULL
    if only_kinds:
        _show_kinds(out.resolve(), _numbers(objects or KINDS_OBJECTS))
        return
    if not (quick or without_ours or json_file or report_file):
        json_file, report_file = DOCS / "performance.json", DOCS / "performance.md"
    settings = Settings(
        out=out.resolve(),
        objects=_numbers(objects or preset.objects),
        rounds=rounds or preset.rounds,
        seconds=seconds or preset.seconds,
        connections=_numbers(connections or preset.connections),
        workers=workers,
        arin_bin=arin_bin,
        with_ours=not without_ours,
        kinds_objects=_numbers(kinds_objects) if kinds_objects else (),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # stop the servers
    console = Console(width=max(Console().width, TABLE_COLUMNS))  # a cut figure is a wrong one
    try:
        results = _measure(settings, console)
    except (BenchError, ValueError) as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    run = record.describe(settings, results)
    _show(console, run, results)
    if json_file:
        record.write(json_file, run)
    if report_file:
        drawn = plots.write(report_file.parent, results.samples)
        report_file.write_text(report.performance_page(run, drawn), encoding="utf-8")
    raise typer.Exit(1 if record.faults(results.samples) else 0)


def _show_kinds(out: Path, objects: list[int]) -> None:
    console = Console(width=max(Console().width, TABLE_COLUMNS))
    try:
        costs = queries.measure(out, objects, lambda step: console.print(step, style="dim"))
    except BenchError as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    console.print(report.cost_table(costs))


def _measure(settings: Settings, console: Console) -> Results:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*Progress.get_default_columns()[1:2], *columns, console=console) as progress:
        steps = harness.job_count(settings) + harness.setup_steps(settings)
        task = progress.add_task("start", total=steps)

        def advance(step: str) -> None:
            progress.update(task, description=step, advance=1)

        return harness.measure(settings, advance)


def _show(console: Console, run: dict[str, object], results: Results) -> None:
    console.print(report.figure_table(results.samples))
    if results.startups:
        console.print(report.startup_table(results.startups))
    if results.costs:
        console.print(report.cost_table(results.costs))
    if results.parts:
        console.print(report.piece_table(results.parts))
    if results.figures:
        console.print(report.upkeep_table(results.figures))
    if values := record.ratios_of(run):
        console.print(report.ratio_table(values))
    for note in results.notes:
        console.print(f"note: {note}")
    for fault in record.faults(results.samples):
        console.print(f"[red]fault:[/red] {fault}")


if __name__ == "__main__":
    typer.run(main)
