"""The commands of ``rwhoisd`` as Typer has them: their help, and what is misused."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rwhoisd.config import ConfigError
from rwhoisd.formats.arin_config import read_settings
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.server import pgp, tls
from rwhoisd.server.exposure import exposed
from rwhoisd.server.serve import Options, serving
from rwhoisd.version import version_option

app = typer.Typer(
    name="rwhoisd",
    help="A directory server for network operators: RWhois v1.5 (RFC 2167).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    options = Options(config, arin_config, listen, state, workers, compat and compat.value)
    raise typer.Exit(serving(options))


@app.command("check-config", epilog="Example: rwhoisd check-config --config rwhoisd.toml")
def check_config(
    config: ConfigOption = None,
    arin_config: ArinOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check a configuration without serving; all mistakes are listed at once."""
    source = Options(config, arin_config).source()
    findings: list[str] = []
    remarks: list[str] = []
    try:
        remarks = [str(f) for f in _remarks(arin_config)]
        given = source.read()
        tls.contexts(given)
        pgp.check(given)
        remarks += exposed(given, source.file)
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
            typer.echo(f"{source.file}: the configuration can be used")
    raise typer.Exit(1 if findings else 0)


def _remarks(arin_config: Path | None) -> list[Finding]:
    return list(read_settings(arin_config)[1].findings) if arin_config else []
