"""``rwhois QUERY``: the command."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Annotated, Final, NoReturn

import typer

from rwhoisd.client import servers as area_servers
from rwhoisd.client import show
from rwhoisd.client.resolve import Event, Options, resolve
from rwhoisd.client.servers import find_servers
from rwhoisd.client.session import SessionLimits
from rwhoisd.directory.area import HostPort
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AreaName
from rwhoisd.protocol.follow import FollowLimits
from rwhoisd.version import version_option

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

app = typer.Typer(add_completion=False)


def query_line(words: list[str]) -> str:
    """The line to send for the words of the command line, one blank between them (R3.1.9-9).

    Words that would make a directive of it are put in quotes (R3.1.3-1).

    Raises: typer.BadParameter, when it would be no query, or more than one line.
    """
    line = " ".join(words).strip()
    if not line:
        raise typer.BadParameter("there is nothing to look for")
    if _CONTROL.search(line):
        raise typer.BadParameter("a query is one line without control characters")
    if not line.startswith("-"):
        return line
    if '"' in line:
        raise typer.BadParameter('a query that begins with "-" cannot hold quotes')
    return f'"{line}"'


def _server(text: str) -> HostPort:
    try:
        return HostPort.from_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _area(text: str) -> AreaName:
    try:
        return AreaName.from_text(text)
    except RwhoisError as error:
        raise typer.BadParameter(error.detail) from None


@app.command()
def rwhois(
    words: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="What to look for; after -- it may begin with -."),
    ],
    host: Annotated[
        str,
        typer.Option(
            "-h",
            "--host",
            envvar="RWHOIS_SERVER",
            metavar="HOST[:PORT]",
            help="The first server; an IPv6 address with a port stands in [ ].",
        ),
    ] = "localhost:4321",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Show referrals instead of following them.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Tell on standard error what happens.")
    ] = False,
    servers: Annotated[
        bool,
        typer.Option(
            "--servers", help="QUERY is an authority area: find its master and its slaves."
        ),
    ] = False,
    depth: Annotated[
        int, typer.Option(min=0, max=64, help="Referrals to follow one after another.")
    ] = FollowLimits().depth,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds for the conversation with a server.")
    ] = SessionLimits().seconds,
    show_version: Annotated[bool, version_option("rwhois")] = False,
) -> None:
    """Look something up in an RWhois directory (RFC 2167) and follow its referrals.

    Examples: rwhois -h rwhois.example.net network 192.0.2.1;  rwhois --servers example.net

    Exit status 0: found; 1: nothing found, or an error; 2: usage.
    """
    del show_version
    line = query_line(words)
    start = _server(host)
    limits = SessionLimits(seconds=timeout)
    options = Options(limits, FollowLimits(depth=depth), referrals=not no_follow)

    def watch(event: Event) -> None:
        if trace:
            typer.echo(show.trace_line(event), err=True)

    if servers:
        _find_servers(_area(line), start, options, watch, as_json=as_json)
    events = asyncio.run(resolve(line, start, options, watch))
    is_found = show.found(events, referrals_count=no_follow)
    if as_json:
        typer.echo(json.dumps(show.as_json(line, events, is_found=is_found), indent=2))
    else:
        _print(events, referrals=no_follow, is_found=is_found)
    raise typer.Exit(0 if is_found else 1)


def _find_servers(
    area: AreaName,
    start: HostPort,
    options: Options,
    watch: Callable[[Event], None],
    *,
    as_json: bool,
) -> NoReturn:
    found, events = asyncio.run(find_servers(area, start, options, watch))
    problems = list(show.problem_lines(events))
    if as_json:
        typer.echo(json.dumps(area_servers.as_json(found, problems), indent=2))
    else:
        for text in area_servers.as_text(found):
            typer.echo(text)
        for text in problems or ([] if found.servers else ["no server of this area is known"]):
            typer.echo(f"rwhois: {text}", err=True)
    raise typer.Exit(0 if found.master else 1)


def _print(events: list[Event], *, referrals: bool, is_found: bool) -> None:
    for text in show.data_lines(events, referrals=referrals):
        typer.echo(text)
    problems = list(show.problem_lines(events))
    if not is_found and not problems:
        problems = ["nothing found"]
    for text in problems:
        typer.echo(f"rwhois: {text}", err=True)


def main() -> None:
    """Entry point of the console script."""
    app()
