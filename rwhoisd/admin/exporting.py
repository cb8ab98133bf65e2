"""Verbs of ``export``: what is stored, in the formats of others."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import DONE, REFUSED, ConfigOption, Failure, StateOption, StoreOption
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Source
from rwhoisd.directory.names import Network
from rwhoisd.formats import (
    arin,
    export_csv,
    export_geofeed,
    export_hosts,
    export_ptr,
    export_swip,
    zone,
)
from rwhoisd.formats.export_walk import Gate, TextExport, file_name, walk
from rwhoisd.formats.findings import Finding
from rwhoisd.formats.newfile import new_file
from rwhoisd.formats.newfolder import NewFolder
from rwhoisd.store import Store

app = typer.Typer(
    help="Write what is stored for others: as files of a directory server, or in a format that"
    " the rest of the platform reads.",
    no_args_is_help=True,
)
_STDOUT: Final = Path("-")

FolderArgument = Annotated[Path, typer.Argument(help="New or empty folder.", readable=False)]
FileArgument = Annotated[
    Path,
    typer.Argument(
        help="File, replaced when all is written; - is standard output.",
        readable=False,
        allow_dash=True,
    ),
]
AreaOption = Annotated[
    list[str] | None, typer.Option("--area", help="Only this authority area; may be repeated.")
]
PublicAreaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--area",
        help="Only this authority area, with what is private in it; may be repeated.",
    ),
]


@app.command("arin", epilog="Example: rwhois-admin export arin /tmp/tree --area 192.0.2.0/24")
def export_arin(
    folder: FolderArgument,
    area: AreaOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="rwhoisd.conf whose settings are taken along.",
            show_default=False,
            readable=False,
        ),
    ] = None,
) -> None:
    """Write a tree that ARIN's server takes."""

    async def work() -> int:
        target = common.target(config, state, store, None)
        taken = arin.read_installation(settings).settings if settings else None
        return await _export_areas(target, arin.InstallationWriter(folder, taken), folder, area)

    common.run(work)


@app.command("zone", epilog="Example: rwhois-admin export zone /tmp/zones --area example.net")
def export_zone(
    folder: FolderArgument,
    area: AreaOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
) -> None:
    """Write zone folders, as load takes them."""

    async def work() -> int:
        target = common.target(config, state, store, None)
        return await _export_areas(target, zone.ZoneWriter(folder), folder, area)

    common.run(work)


async def _export_areas(
    target: common.Target,
    writer: arin.InstallationWriter | zone.ZoneWriter,
    folder: Path,
    names: Sequence[str] | None,
) -> int:
    """Write whole areas, all when none is named. Raises: Failure, for a name that no area has."""
    async with target.open() as opened, opened.snapshot() as source:
        areas = common.chosen(await source.areas(), names or [])
        with writer:
            for area in areas:
                writer.begin(area)
                async for batch in source.objects(area.name.text):
                    for stored in batch:
                        writer.add(stored.object)
    status = _tell(writer.findings)
    typer.echo(f"wrote {folder}")
    return status


def _tell(findings: Sequence[Finding], gate: Gate | None = None) -> int:
    """Findings, and what was left out, on standard error; the exit status."""
    common.tell_findings(findings)
    for message in gate.told() if gate else ():
        common.complain(message)
    return REFUSED if any(f.severity == "error" for f in findings) else DONE


# --- formats that are one text ---


@app.command("geofeed", epilog="Example: rwhois-admin export geofeed /var/www/geofeed.csv")
def export_geofeed_(
    file: FileArgument = _STDOUT,
    area: PublicAreaOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
) -> None:
    """Write where the networks are (RFC 8805). Private objects stay out."""

    async def work() -> int:
        gate = Gate(public=True, current=True, named=area or ())
        async with common.target(config, state, store, None).open() as opened:
            return await _export_text(
                opened, file, area, gate, export_geofeed.CLASSES, lambda _: export_geofeed.Geofeed()
            )

    common.run(work)


@app.command("hosts", epilog="Example: rwhois-admin export hosts /etc/hosts.d/platform")
def export_hosts_(
    file: FileArgument = _STDOUT,
    area: AreaOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
) -> None:
    """Write addresses and names as a hosts file, private ones as well: it is for the platform."""

    async def work() -> int:
        gate = Gate(public=False, current=True)
        async with common.target(config, state, store, None).open() as opened:
            return await _export_text(
                opened, file, area, gate, export_hosts.CLASSES, lambda _: export_hosts.Hosts()
            )

    common.run(work)


@app.command("csv", epilog="Example: rwhois-admin export csv networks.csv --class network")
def export_csv_(
    file: FileArgument = _STDOUT,
    class_name: Annotated[
        str, typer.Option("--class", help="Class of the objects, by name or alias.")
    ] = "network",
    area: AreaOption = None,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet",
            help="Put ' before what a spreadsheet would calculate; it no longer reads back.",
        ),
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
) -> None:
    """Write every object of a class as a row, private ones as well; Guard-Info never."""

    def form(areas: Sequence[AuthorityArea]) -> TextExport:
        if not any(a.schema.class_def(class_name) for a in areas):
            known = ", ".join(dict.fromkeys(c.name for a in areas for c in a.schema.classes))
            raise Failure(f"{class_name}: no area has such a class; there are {known or 'none'}")
        return export_csv.Csv(areas, class_name, spreadsheet=spreadsheet)

    async def work() -> int:
        async with common.target(config, state, store, None).open() as opened:
            gate = Gate(public=False, current=False)
            return await _export_text(opened, file, area, gate, [class_name], form)

    common.run(work)


async def _export_text(
    store: Store,
    file: Path,
    names: Sequence[str] | None,
    gate: Gate,
    classes: Collection[str],
    form: Callable[[Sequence[AuthorityArea]], TextExport],
) -> int:
    """Write the objects of the classes as one text; the exit status."""
    async with store.snapshot() as source:
        areas = common.chosen(await source.areas(), names or [])
        export = form(areas)
        with _output(file) as write:
            async for entry in walk(source, areas, classes, gate):
                write(export.add(entry))
            for text in export.end():
                write(text)
    return _tell(export.findings, gate)


def _output(file: Path) -> AbstractContextManager[Callable[[str], object]]:
    return _standard_output() if file == _STDOUT else new_file(file)


@contextmanager
def _standard_output() -> Iterator[Callable[[str], object]]:
    """Octets, so that neither the charset nor the line ends of the terminal count."""
    yield lambda text: sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


# --- reverse zones ---


@app.command(
    "ptr",
    epilog="Example: rwhois-admin export ptr /etc/bind/2.0.192.zone --prefix 192.0.2.0/24",
)
def export_ptr_(
    target: Annotated[
        Path,
        typer.Argument(
            help="File of the one zone of --prefix; - is standard output. A new folder for more.",
            readable=False,
            allow_dash=True,
        ),
    ] = _STDOUT,
    prefix: Annotated[
        list[str] | None,
        typer.Option(help="Block to make the zone of; may be repeated. Default: network areas."),
    ] = None,
    area: PublicAreaOption = None,
    ns: Annotated[
        list[str] | None,
        typer.Option(help="Name server of the zones, in place of Name-Server; may be repeated."),
    ] = None,
    serial: Annotated[
        str,
        typer.Option(
            help="Serial: unix or date (yyyymmddnn) of the directory's last change; or a number."
        ),
    ] = export_ptr.UNIX,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
) -> None:
    """Write reverse zone files. Private objects stay out."""
    wanted = [_block(text) for text in prefix or ()]
    single = len(wanted) == 1 and len(export_ptr.zone_prefixes(wanted[0])) == 1
    if target == _STDOUT and not single:
        common.misuse("more than one zone: name a folder, or one zone's block with --prefix")
    servers = [_server(text) for text in ns or ()]

    async def work() -> int:
        opened_store = common.target(config, state, store, None)
        async with opened_store.open() as opened, opened.snapshot() as source:
            gate = Gate(public=True, current=True, named=area or ())
            zones, findings = await _zones(source, gate, wanted, area or (), servers, serial)
        if single and not zones:
            return _tell(findings, gate)
        texts = {export_ptr.origin(z.prefix): "\n".join((*z.lines(), "")) for z in zones}
        if single:
            with _output(target) as write:
                write(next(iter(texts.values())))
        else:
            _write_folder(target, {f"{file_name(name)}.zone": t for name, t in texts.items()})
        return _tell(findings, gate)

    common.run(work)


def _block(text: str) -> Network:
    block = Network.from_text(text)
    if block is None:
        common.misuse(f"{text!r} is no block such as 192.0.2.0/24")
    return block


def _server(text: str) -> str:
    name = export_hosts.host_name(text)
    if name is None:
        common.misuse(f"--ns {text!r} is no host name")
    return name


async def _zones(
    source: Source,
    gate: Gate,
    wanted: Sequence[Network],
    names: Sequence[str],
    servers: Sequence[str],
    serial: str,
) -> tuple[list[export_ptr.Zone], list[Finding]]:
    """The zones that can be made, and what is wrong with the others."""
    areas = await source.areas()
    picked = common.chosen(areas, names)
    prefixes = wanted or [
        a.name.place for a in picked if isinstance(a.name.place, Network) and not gate.closed(a)
    ]
    if not prefixes:
        raise Failure("no network area to make zones of; name a block with --prefix")
    hosts, around = export_hosts.HostNames(), export_ptr.NameServers()
    async for entry in walk(source, areas, export_hosts.CLASSES, gate):
        around.findings += map(entry.finding, hosts.add(entry))
    silent = Gate(public=True, current=True, named=names)  # only of hosts is it worth telling
    async for entry in walk(source, areas, export_ptr.NETWORK_CLASSES, silent):
        around.add(entry)
    number = export_ptr.serial_number(serial, max((await source.serials()).values()))
    zones, findings, named = [], around.findings, hosts.sorted()
    for block in dict.fromkeys(z for p in prefixes for z in export_ptr.zone_prefixes(p)):
        area = export_ptr.area_around(areas, block) or (picked[0] if len(picked) == 1 else None)
        place = f"zone {export_ptr.origin(block)}"
        if area is None or area.soa is None:
            message = "no area around it has an SOA; name one with --area"
            findings.append(Finding(place, 0, message, "error"))
            continue
        inside = export_ptr.hosts_within(named, block)
        made = export_ptr.Zone(block, area.soa, number, servers or around.around(block), inside)
        mistakes = [Finding(place, 0, message, "error") for message in made.mistakes()]
        findings += mistakes or made.findings()
        zones += [] if mistakes else [made]
    return zones, findings


# --- reassignments ---


@app.command(
    "swip",
    epilog="Example: rwhois-admin export swip /tmp/swip --parent-org EXAMPLE-1"
    " --parent-net 192.0.2.0/24=NET-192-0-2-0-1",
)
def export_swip_(
    folder: FolderArgument,
    area: PublicAreaOption = None,
    kind: Annotated[
        export_swip.Kind,
        typer.Option(help="Kind of reassignments; auto: detailed where the holder has a handle."),
    ] = export_swip.Kind.AUTO,
    parent_org: Annotated[
        str, typer.Option(help="Your handle at ARIN: parent organization of customers.")
    ] = "",
    parent_net: Annotated[
        list[str] | None,
        typer.Option(help="Handle of a block of yours, as BLOCK=HANDLE; may be repeated."),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
) -> None:
    """Write the calls of ARIN's Reg-RWS that report reassignments. Private objects stay out."""
    if folder == _STDOUT:
        common.misuse("payloads are files of their own: name a folder")
    nets = dict(map(_parent_net, parent_net or ()))

    async def work() -> int:
        gate = Gate(public=True, current=True, named=area or ())
        silent = Gate(public=True, current=True, named=area or ())
        swip = export_swip.Swip(kind, export_swip.Handles(parent_org, nets))
        opened_store = common.target(config, state, store, None)
        async with opened_store.open() as opened, opened.snapshot() as source:
            areas = await source.areas()
            async for entry in walk(source, areas, export_swip.LINKED_CLASSES, silent):
                swip.link(entry)
            picked = common.chosen(areas, area or [])
            async for entry in walk(source, picked, export_swip.CLASSES, gate):
                swip.add(entry)
        calls = list(swip.calls())
        listed = "".join(f"{call.method} {call.path} {call.file}\n" for call in calls)
        _write_folder(
            folder, {export_swip.CALLS_FILE: listed, **{call.file: call.xml for call in calls}}
        )
        return _tell(swip.findings, gate)

    common.run(work)


def _parent_net(text: str) -> tuple[Network, str]:
    block, _, handle = text.partition("=")
    if not handle:
        common.misuse(f"--parent-net {text}: write BLOCK=HANDLE")
    return _block(block), handle


def _write_folder(folder: Path, files: dict[str, str]) -> None:
    """Write a new folder, which takes its name when all is there. Raises: FormatError."""
    tree = NewFolder(folder)
    tree.begin()
    keep = False
    try:
        for name, text in files.items():
            (tree.path / name).write_text(text, encoding="utf-8")
        keep = True
    finally:
        tree.end(keep=keep)
    typer.echo(f"wrote {folder}: {len(files)} files")
