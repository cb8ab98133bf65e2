"""Verbs that bring data in: init, load, check, import."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    REFUSED,
    ConfigOption,
    Failure,
    ImageOption,
    JsonOption,
    StateOption,
    StoreOption,
)
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import AreaName, Network
from rwhoisd.formats import arin, zone
from rwhoisd.formats.check import check_path, check_store
from rwhoisd.formats.classes import toml_text
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.formats.load import (
    AreaResult,
    ImportResult,
    Options,
    import_installation,
    load_zones,
)
from rwhoisd.formats.newfolder import area_folder
from rwhoisd.store import Store

MaxRemovals = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="Share of the objects of an area that one load may remove."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, change nothing.")]
Force = Annotated[
    bool, typer.Option("--force", help="Take ours where somebody else changed an object.")
]


class Foreign(StrEnum):
    """Formats of others, and our own."""

    ARIN = "arin"
    ZONE = "zone"


def init(
    folder: Annotated[
        Path,
        typer.Argument(help="New or empty folder for configuration and data.", readable=False),
    ],
    area: Annotated[
        list[str] | None,
        typer.Option(help="Authority area such as example.net or 192.0.2.0/24; may be repeated."),
    ] = None,
    host: Annotated[str, typer.Option(help="Name of this server.")] = "rwhois.example.net",
) -> None:
    """Lay out a configuration, a zone folder per area and an empty store."""

    async def work() -> int:
        areas = [AreaName.from_text(text) for text in area or ["example.net"]]
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Failure(f"{folder}: is there already; name a new or an empty folder")
        paths = [_write_zone(folder / "zones", name, host) for name in areas]
        zones = tuple(str(path.relative_to(folder)) for path in paths)
        (folder / "rwhoisd.toml").write_text(
            "# Configuration of rwhoisd. Relative paths start from this folder.\n"
            f'host = {toml_text(host)}\nstate = "state"\nzones = {toml_text(zones)}\n'
        )
        config = folder / "rwhoisd.toml"
        async with common.target(config, None, None, None).open(create=True):
            pass
        typer.echo(f"wrote {config} and {len(zones)} zone folders; add objects to them, then try:")
        typer.echo(f"  rwhois-admin load --config {config} {folder / 'zones'}")
        typer.echo(f"  rwhoisd serve --config {config}")
        return DONE

    common.run(work)


_NETWORK_CLASSES: Final = ("network", "referral")
_DOMAIN_CLASSES: Final = (
    *("organization", "contact", "host", "domain", "asn", "referral", "guardian"),
)


def _write_zone(folder: Path, name: AreaName, host: str) -> Path:
    path = folder / area_folder(name)
    path.mkdir(parents=True)
    is_network = isinstance(name.place, Network)
    classes = _NETWORK_CLASSES if is_network else _DOMAIN_CLASSES
    domain = host.partition(".")[2] or host
    (path / zone.ZONE_FILE).write_text(
        f"name = {toml_text(name.text)}\nclasses = {toml_text(classes)}\n\n[soa]\n"
        f"primary-server = {toml_text(host + ':4321')}\n"
        f"hostmaster = {toml_text('hostmaster@' + domain)}\n"
    )
    return path


def load(
    paths: Annotated[
        list[Path], typer.Argument(help="Zone folders, or folders of them.", readable=False)
    ],
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    dry_run: DryRun = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove objects that are gone from the files.")
    ] = False,
    force: Force = False,
    max_removals: MaxRemovals = 0.1,
    json: JsonOption = False,
) -> None:
    """Load zone folders into the store, each in one transaction. One with a mistake is left out."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        zones, findings = read_zones(paths)
        with common.progress() as bar:
            options = Options(
                prune=prune,
                force=force,
                dry_run=dry_run,
                max_removals=max_removals,
                diffs=dry_run,
                progress=bar,
            )
            async with target.open_for_load(dry_run=dry_run) as opened:
                results = await load_zones(opened, zones, options)
                if not dry_run:
                    await target.refresh_image(opened, bar)
        return tell_results(results, findings, dry_run=dry_run, json=json)

    common.run(work)


def read_zones(paths: Sequence[Path]) -> tuple[list[zone.Zone], list[Finding]]:
    """The zones that can be read, and the mistakes of the others."""
    zones: list[zone.Zone] = []
    findings: list[Finding] = []
    for path in paths:
        try:
            folders = zone.find_zones(path)
        except FormatError as error:
            findings += error.findings
            continue
        for folder in folders:
            try:
                zones.append(zone.read_zone(folder))
            except FormatError as error:
                findings += error.findings
    return zones, findings


def result_row(result: AreaResult) -> dict[str, Any]:
    """What was done to an area, as JSON shows it."""
    return {
        "area": result.area,
        "created": result.created,
        "definition_changed": result.definition_changed,
        **{
            name: getattr(result, name)
            for name in ("added", "changed", "moved", "removed", "left", "unchanged")
        },
        "refused": result.refused or None,
        "conflicts": [str(conflict) for conflict in result.conflicts],
        "diffs": result.diffs,
    }


def tell_results(
    results: Sequence[AreaResult],
    findings: Sequence[Finding],
    *,
    dry_run: bool,
    json: bool,
) -> int:
    """Print what a load did; the exit status."""
    told = [*findings, *(f for result in results for f in result.findings)]
    failed = any(f.severity == "error" for f in told) or any(
        result.refused or result.conflicts for result in results
    )
    if json:
        common.as_json(
            {
                "dry_run": dry_run,
                "areas": [result_row(result) for result in results],
                "findings": [common.finding_row(f) for f in told],
            }
        )
        return REFUSED if failed else DONE
    common.tell_findings(told)
    for result in results:
        _tell_diffs(result)
        typer.echo(_summary(result, dry_run=dry_run))
        for conflict in result.conflicts:
            common.complain(f"{result.area}: {conflict}")
    return REFUSED if failed else DONE


def _tell_diffs(result: AreaResult) -> None:
    for one in result.diffs:
        typer.echo(f"{one.operation} {one.class_name} {one.name}")
        for line in one.minus:
            typer.echo(f"  - {line}")
        for line in one.plus:
            typer.echo(f"  + {line}")


def _summary(result: AreaResult, *, dry_run: bool) -> str:
    if result.refused:
        return f"{result.area}: nothing was loaded: {result.refused}"
    counts = ("added", "changed", "moved", "removed", "unchanged")
    parts = [f"{getattr(result, n)} {n}" for n in counts if getattr(result, n) or n == "unchanged"]
    if result.left:
        parts.append(f"{result.left} gone from the files (--prune removes them)")
    if result.created:
        parts.insert(0, "new area")
    elif result.definition_changed:
        parts.insert(0, "definition changed")
    would = "would be: " if dry_run else ""
    return f"{result.area}: {would}{', '.join(parts)}"


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="rwhoisd.conf of ARIN's server, or zone folders; a URL with --store."),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: Annotated[bool, typer.Option("--store", help="Check what is stored.")] = False,
    json: JsonOption = False,
) -> None:
    """Find mistakes without loading: RFC rules, references, addresses, what ARIN expects."""
    if not paths and not store:
        common.misuse("name a path to check, or --store")

    async def work() -> int:
        findings: list[Finding] = []
        if store:
            target = common.target(config, state, paths[0] if paths else None, None)
            flavour = Flavour.V8 if target.compat == "arin" else Flavour.POSIX
            async with target.open() as opened:
                findings += await check_store(opened, flavour)
        else:
            for path in paths or ():
                findings += check_path(Path(path))
        return _tell_check(findings, json=json)

    common.run(work)


def _tell_check(findings: Sequence[Finding], *, json: bool) -> int:
    real = [f for f in findings if f.severity != "note"]
    if json:
        common.as_json([common.finding_row(f) for f in findings])
    else:
        for finding in findings:
            typer.echo(str(finding))
        errors = sum(f.severity == "error" for f in real)
        typer.echo(f"{errors} errors, {len(real) - errors} warnings", err=True)
    return REFUSED if real else DONE


def import_(
    format: Annotated[Foreign, typer.Argument(help="What is to be imported.")],  # noqa: A002
    path: Annotated[
        Path, typer.Argument(help="rwhoisd.conf of ARIN's server; a zone folder.", readable=False)
    ],
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    dry_run: DryRun = False,
    force: Force = False,
    max_removals: MaxRemovals = 0.1,
    json: JsonOption = False,
) -> None:
    """Take over the data of another server; again, when its files have changed."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        with common.progress() as bar:
            options = Options(
                prune=True,
                force=force,
                dry_run=dry_run,
                max_removals=max_removals,
                diffs=dry_run,
                progress=bar,
            )
            async with target.open_for_load(dry_run=dry_run) as opened:
                result = await _import(opened, format, path, options)
                if not dry_run:
                    await target.refresh_image(opened, bar)
        for name in result.removed_areas:
            typer.echo(f"{name}: area {'would be ' if dry_run else ''}removed", err=json)
        return tell_results(result.areas, result.findings, dry_run=dry_run, json=json)

    common.run(work)


async def _import(store: Store, form: Foreign, path: Path, options: Options) -> ImportResult:
    if form is Foreign.ZONE:
        zones, findings = read_zones([path])
        return ImportResult(await load_zones(store, zones, options), findings)
    installation = arin.read_installation(arin.conf_of(path))
    return await import_installation(store, installation, options)
