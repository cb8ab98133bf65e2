"""Which ratios got worse between two runs: ``python -m bench.compare OLD.json NEW.json``.

Only ratios are compared, never figures: two runs may come from different machines.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import record
from bench.errors import BenchError
from bench.stats import METRICS, Change, Ratios, changes

DEFAULT_TOLERANCE = 10.0


def worse_than(old: Ratios, new: Ratios, percent: float) -> list[Change]:
    """The ratios that got worse by more than ``percent``, the worst first."""
    return [change for change in changes(old, new) if change.worse * 100 > percent]


def _table(found: list[Change]) -> Table:
    table = Table("ratio", "old", "new", "worse by")
    for change in found:
        table.add_row(
            str(change.key), f"{change.old:.3g}", f"{change.new:.3g}", f"{change.worse:.0%}"
        )
    return table


def main(
    old: Annotated[Path, typer.Argument(help="An earlier run, written by --json.")],
    new: Annotated[Path, typer.Argument(help="A later run.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="How many percent worse is still taken as noise.")
    ] = DEFAULT_TOLERANCE,
    metric: Annotated[
        list[str] | None, typer.Option(help=f"Look at these only: {', '.join(METRICS)}.")
    ] = None,
) -> None:
    """Show what got worse. Exit status 0: nothing, 1: something, 2: the files do not compare.

    Example: python -m bench.compare old.json new.json --metric cpu
    """
    console = Console()
    try:
        before, after = (_chosen(record.ratios_of(record.read(p)), metric) for p in (old, new))
    except BenchError as error:
        typer.echo(f"bench.compare: {error}", err=True)
        raise typer.Exit(2) from None
    compared = len(before.keys() & after.keys())
    if not compared:
        typer.echo("bench.compare: the two runs have no ratio in common", err=True)
        raise typer.Exit(2)
    found = worse_than(before, after, tolerance)
    if found:
        console.print(_table(found))
    console.print(f"{compared} ratios compared, {len(found)} worse by over {tolerance:g} %")
    if gone := len(before.keys() - after.keys()):
        console.print(f"{gone} ratios of the old run were not measured in the new one")
    raise typer.Exit(1 if found else 0)


def _chosen(values: Ratios, metrics: list[str] | None) -> Ratios:
    if unknown := set(metrics or ()) - set(METRICS):
        raise BenchError(f"--metric: {', '.join(unknown)} is none of {', '.join(METRICS)}")
    return {key: value for key, value in values.items() if not metrics or key.metric in metrics}


if __name__ == "__main__":
    typer.run(main)
