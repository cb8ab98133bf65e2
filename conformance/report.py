"""A run's report: a table for people, JSON for programs, JUnit for build servers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table

from conformance.outcomes import Level, Outcome, Report, Standing


@dataclass(slots=True)
class Tally:
    """Counts of cases of one tag and standing."""

    cases: int = 0
    exact: int = 0
    semantic: int = 0
    close: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one outcome."""
        self.cases += 1
        self.exact += outcome.exact
        self.semantic += outcome.semantic
        self.close += outcome.close

    def as_dict(self) -> dict[str, int]:
        """By name, for JSON."""
        return {
            "cases": self.cases,
            "exact": self.exact,
            "semantic": self.semantic,
            "close": self.close,
        }


Tallies = dict[str, dict[Standing, Tally]]


def tally(outcomes: Iterable[Outcome]) -> Tallies:
    """Counts by tag, then by standing; the last row, ``TOTAL``, counts each case once."""
    rows: Tallies = {}
    total: dict[Standing, Tally] = {}
    for outcome in outcomes:
        for tag in outcome.tags:
            row = rows.setdefault(tag, {})
            row.setdefault(outcome.standing, Tally()).add(outcome)
        total.setdefault(outcome.standing, Tally()).add(outcome)
    return {**{tag: rows[tag] for tag in sorted(rows)}, "TOTAL": total}


def suites(report: Report) -> dict[str, list[Outcome]]:
    """The outcomes by suite."""
    found: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        found.setdefault(outcome.suite, []).append(outcome)
    return found


def print_table(report: Report, console: Console, level: Level, *, show: int = 0) -> None:
    """One table per suite, the first ``show`` findings, and what was not played."""
    for suite, outcomes in suites(report).items():
        console.print(_table(suite, tally(outcomes)))
        console.print(_score(tally(outcomes)["TOTAL"].get(Standing.REQUIRED, Tally())))
    for outcome in worst(report, level)[:show]:
        print_finding(outcome, console)
    if report.skipped:
        console.print(
            f"not played, as they need a server of their own (see --spawn): {len(report.skipped)}"
        )
    for error in report.errors:
        console.print(f"ERROR {error}", style="bold red", markup=False, emoji=False)
    console.print(f"{len(report.outcomes)} answers judged in {report.seconds:.1f} s")


def worst(report: Report, level: Level) -> list[Outcome]:
    """What to look at first: findings, then weaker disagreements, then wrong corrections."""
    rank = {Standing.REQUIRED: 0, Standing.CORRECTED: 1, Standing.OPTIONAL: 2}
    looked_at = [
        outcome
        for outcome in report.outcomes
        if outcome.standing in rank and not (outcome.exact and outcome.close)
    ]
    return sorted(looked_at, key=lambda one: (rank[one.standing], one.reached(level), one.semantic))


def print_finding(outcome: Outcome, console: Console) -> None:
    """One disagreement: what was sent, and the difference in what came."""
    kind = "SEMANTIC MISS" if not outcome.semantic else "exact miss"
    kind = "close miss" if outcome.exact else kind
    lines = [
        "=" * 72,
        f"{outcome.suite} {outcome.id}  {kind} ({outcome.standing})  {', '.join(outcome.tags)}",
        *(f"C {line}" for line in outcome.request),
        *(f"  {line}" for line in outcome.detail[:60]),
    ]
    console.print("\n".join(lines), markup=False, highlight=False, emoji=False, soft_wrap=True)


def _table(suite: str, rows: Tallies) -> Table:
    table = Table(title=f"set {suite}", title_justify="left")
    table.add_column("tag")
    for name in ("cases", "exact", "semantic", "close"):
        table.add_column(name, justify="right")
    others = [
        standing
        for standing in (Standing.OPTIONAL, Standing.CORRECTED, Standing.DEFECT)
        if standing in rows["TOTAL"]
    ]
    for standing in others:
        table.add_column(f"{standing}: cases/exact/semantic", justify="right")
    for tag, row in rows.items():
        counts = row.get(Standing.REQUIRED, Tally())
        cells = [str(number) for number in counts.as_dict().values()]
        table.add_row(tag, *cells, *(_short(row.get(standing)) for standing in others))
    return table


def _short(counts: Tally | None) -> str:
    return f"{counts.cases}/{counts.exact}/{counts.semantic}" if counts else ""


def _score(counts: Tally) -> str:
    cases = max(counts.cases, 1)
    parts = (
        f"{name} {100 * number / cases:.1f}%" for name, number in list(counts.as_dict().items())[1:]
    )
    return "score: " + "  ".join(parts)


def as_json(report: Report, level: Level, *, corrected: bool = False) -> str:
    """The whole run as one JSON object."""
    return json.dumps(
        {
            "target": report.target,
            "level": level.value,
            "seconds": round(report.seconds, 3),
            "findings": len(report.findings(level, corrected=corrected)),
            "errors": list(report.errors),
            "skipped": list(report.skipped),
            "sets": {
                suite: {
                    "tags": _tallies_as_dict(tally(outcomes)),
                    "cases": [_outcome_as_dict(outcome) for outcome in outcomes],
                }
                for suite, outcomes in suites(report).items()
            },
        },
        indent=1,
    )


def _tallies_as_dict(rows: Tallies) -> dict[str, dict[str, dict[str, int]]]:
    return {
        tag: {standing.value: counts.as_dict() for standing, counts in row.items()}
        for tag, row in rows.items()
    }


def _outcome_as_dict(outcome: Outcome) -> dict[str, object]:
    return {
        "id": outcome.id,
        "tags": list(outcome.tags),
        "standing": outcome.standing.value,
        "exact": outcome.exact,
        "semantic": outcome.semantic,
        "close": outcome.close,
        "request": list(outcome.request),
        "detail": list(outcome.detail),
    }


def as_junit(report: Report, level: Level, *, corrected: bool = False) -> str:
    """JUnit XML: a suite per set; what is only information is marked skipped when it fails."""
    findings = {id(outcome) for outcome in report.findings(level, corrected=corrected)}
    root = ET.Element("testsuites", name="rwhois-conformance")
    for suite, outcomes in suites(report).items():
        _junit_suite(root, suite, outcomes, findings, level)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _junit_suite(
    root: ET.Element, suite: str, outcomes: Sequence[Outcome], findings: set[int], level: Level
) -> None:
    failed = [outcome for outcome in outcomes if id(outcome) in findings]
    informative = [
        outcome
        for outcome in outcomes
        if id(outcome) not in findings and not outcome.reached(level)
    ]
    element = ET.SubElement(
        root,
        "testsuite",
        name=suite,
        tests=str(len(outcomes)),
        failures=str(len(failed)),
        skipped=str(len(informative)),
    )
    for outcome in outcomes:
        case = ET.SubElement(
            element,
            "testcase",
            classname=f"conformance.{suite}.{outcome.standing}",
            name=outcome.id,
        )
        if outcome.reached(level):
            continue
        kind = "failure" if id(outcome) in findings else "skipped"
        ET.SubElement(case, kind, message=" | ".join(outcome.tags)).text = "\n".join(
            (*(f"C {line}" for line in outcome.request), *outcome.detail)
        )
