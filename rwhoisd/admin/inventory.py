"""Verbs of the inventory: kinds, scan, plan, apply, audit, watch."""

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    REFUSED,
    ConfigOption,
    ImageOption,
    JsonOption,
    StateOption,
    StoreOption,
)
from rwhoisd.inventory.audit import CHECKS, AuditFinding
from rwhoisd.inventory.audit import audit as audit_platform
from rwhoisd.inventory.facts import Fact
from rwhoisd.inventory.publish import Outcome, Publisher
from rwhoisd.inventory.reconcile import Action, AreaPlan
from rwhoisd.inventory.scan import scan as scan_source
from rwhoisd.inventory.settings import read_inventory
from rwhoisd.inventory.source import find_source, source_kinds
from rwhoisd.inventory.survey import Options
from rwhoisd.inventory.watch import Watch

app = typer.Typer(
    help="Publish the platform: virtual addresses, real servers, storage and database nodes, as"
    " they are configured.",
    no_args_is_help=True,
)

InventoryArgument = Annotated[
    Path,
    typer.Argument(help="The inventory: sources, areas and owners.", readable=False),
]
MaxRemovals = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Share of the records of a source that one apply may release; the default is the"
        " inventory's.",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--source", help="Read this source only; the records of others stay."),
]
Retire = Annotated[
    list[str] | None,
    typer.Option("--retire", help="A source that is gone for good: release its records."),
]


@app.command(epilog="Example: rwhois-admin inventory kinds")
def kinds(json: JsonOption = False) -> None:
    """List the kinds of sources that can be read."""

    async def work() -> int:
        found = {kind: find_source(kind) for kind in source_kinds()}
        if json:
            rows = [
                {"kind": kind, "summary": source.summary, "files": list(source.names)}
                for kind, source in found.items()
            ]
            common.as_json(rows)
            return DONE
        table = common.table("kind", "reads")
        for kind, source in found.items():
            table.add_row(kind, source.summary)
        common.console().print(table)
        return DONE

    common.run(work)


@app.command(
    epilog="Example: rwhois-admin inventory scan --kind keepalived /etc/keepalived/keepalived.conf"
)
def scan(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files, or folders of files.", readable=False, show_default=False),
    ] = None,
    kind: Annotated[str, typer.Option(help="What the files are; see: inventory kinds.")] = ...,  # type: ignore[assignment]
    include_root: Annotated[
        Path | None,
        typer.Option(help="Folder that includes may name files of.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the source as NAME=VALUE; may be repeated."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a source says, and change nothing."""
    words = [text.partition("=") for text in settings or []]
    for name, equals, _ in words:
        if not equals:
            common.misuse(f"--set {name}: write NAME=VALUE")

    async def work() -> int:
        values = {name: value for name, _, value in words}
        source = find_source(kind)
        if source.names and not files:
            common.misuse(f"kind {kind} reads files; name some, or a folder of them")
        reading = scan_source(source, files or [], root=include_root, settings=values)
        common.tell_findings([*reading.findings, *reading.failures])
        if json:
            common.as_json([fact.as_row() for fact in reading.facts])
        else:
            _tell_facts(reading.facts)
        return REFUSED if reading.failures else DONE

    common.run(work)


def _tell_facts(facts: list[Fact]) -> None:
    table = common.table("kind", "where", "service", "name", "belongs to", "", "from")
    for fact in facts:
        table.add_row(
            fact.kind.value,
            str(fact.where or ""),
            fact.service or "",
            fact.name or "",
            fact.belongs_to or "",
            "disabled" if fact.disabled else "",
            str(fact.place),
        )
    common.console().print(table)


@app.command(epilog="Example: rwhois-admin inventory plan /etc/rwhoisd/inventory.toml")
def plan(
    inventory: InventoryArgument,
    max_removals: MaxRemovals = None,
    only: Only = None,
    retire: Retire = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what apply would do. Exit status 1: something stands in the way."""

    async def work() -> int:
        target = common.target(config, state, store, None)
        with common.progress() as show:
            options = _options(max_removals, only, retire, show)
            async with target.open_for_load(dry_run=True) as opened:
                outcome = await Publisher(opened, read_inventory(inventory), options).plan()
        return _tell(outcome, json=json)

    common.run(work)


@app.command(epilog="Example: rwhois-admin inventory apply /etc/rwhoisd/inventory.toml")
def apply(
    inventory: InventoryArgument,
    max_removals: MaxRemovals = None,
    only: Only = None,
    retire: Retire = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Bring the directory to what the sources say. Exit status 1: not all of it was done."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        with common.progress() as show:
            options = _options(max_removals, only, retire, show)
            async with target.open_for_load(dry_run=False) as opened:
                outcome = await Publisher(opened, read_inventory(inventory), options).apply()
                await target.refresh_image(opened)
        return _tell(outcome, json=json)

    common.run(work)


def _options(
    max_removals: float | None, only: list[str] | None, retire: list[str] | None, show: Any
) -> Options:
    return Options(
        max_removals=max_removals,
        retire=frozenset(retire or ()),
        only=frozenset(only or ()),
        progress=show,
    )


def _tell(outcome: Outcome, *, json: bool) -> int:
    common.tell_findings(outcome.findings)
    if json:
        common.as_json(_as_row(outcome))
    else:
        _tell_outcome(outcome)
    return DONE if outcome.clean else REFUSED


def _as_row(outcome: Outcome) -> dict[str, Any]:
    return {
        "areas": [_area_row(plan, outcome.refused.get(plan.area, "")) for plan in outcome.areas],
        "sources": [
            {
                **asdict(state),
                "read": state.read.isoformat(),
                "modified": state.modified and state.modified.isoformat(),
            }
            for state in outcome.sources
        ],
        "findings": [common.finding_row(finding) for finding in outcome.findings],
    }


def _area_row(plan: AreaPlan, refused: str) -> dict[str, Any]:
    rows: dict[str, Any] = {action.value: [] for action in Action}
    for step in plan.steps:
        rows[step.action.value].append(
            {
                "class": step.diff.class_name,
                "name": step.diff.name,
                "source": step.owner,
                "minus": list(step.diff.minus),
                "plus": list(step.diff.plus),
            }
        )
    return {
        "area": plan.area,
        **rows,
        "conflicts": [str(clash) for clash in plan.conflicts],
        "held": [stored.object.id for stored in plan.held],
        "unchanged": plan.unchanged,
        "refused": refused,
    }


def _tell_outcome(outcome: Outcome) -> None:
    table = common.table("area", "what", "class", "name", "source")
    for plan in outcome.areas:
        for step in plan.steps:
            row = step.diff
            table.add_row(plan.area, step.action.value, row.class_name, row.name, step.owner)
        for clash in plan.conflicts:
            table.add_row(plan.area, "conflict", clash.object.class_name, str(clash), clash.owner)
    if table.row_count:
        common.console().print(table)
    for plan in outcome.areas:
        counts = [f"{plan.count(action)} {action.value}" for action in Action]
        rest = f"{len(plan.conflicts)} conflicts, {len(plan.held)} held, {plan.unchanged} unchanged"
        typer.echo(f"{plan.area}: {', '.join(counts)}, {rest}")
    for area, reason in outcome.refused.items():
        common.complain(f"area {area}: {reason}")
    for state in outcome.sources:
        if state.failed:
            common.complain(f"source {state.name} {state.held}; its records stay as they are")


@app.command(epilog="Example: rwhois-admin inventory audit /etc/rwhoisd/inventory.toml --json")
def audit(
    inventory: InventoryArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Check the platform itself: exit status 1 when something is not as it should be."""

    async def work() -> int:
        target = common.target(config, state, store, None)
        with common.progress() as show:
            async with target.open_for_load(dry_run=True) as opened:
                found, seen = await audit_platform(
                    opened, read_inventory(inventory), Options(progress=show)
                )
        common.tell_findings(seen)
        if json:
            common.as_json([asdict(finding) for finding in found])
        else:
            _tell_audit(found)
        return REFUSED if found else DONE

    common.run(work)


def _tell_audit(found: list[AuditFinding]) -> None:
    table = common.table("check", "what", "finding", "told by")
    for row in found:
        table.add_row(row.check, row.subject, row.message, row.place)
    if found:
        common.console().print(table)
    typer.echo(f"{len(found)} findings of {len(CHECKS)} checks")


@app.command(
    epilog="Example: rwhois-admin inventory watch /etc/rwhoisd/inventory.toml --config"
    " /etc/rwhoisd/rwhoisd.toml"
)
def watch(
    inventory: InventoryArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
) -> None:
    """Apply whenever a source changes and at every interval, until it is told to stop."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
        logging.getLogger("rwhoisd").setLevel(logging.INFO)
        await Watch(inventory, target.open_for_load, target.refresh_image).run()
        return DONE

    common.run(work)
