"""Every command tells its release."""

from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from conformance.cli import app as conformance
from rwhoisd.admin.cli import app as admin
from rwhoisd.client.cli import app as client
from rwhoisd.server.commands import app as server

COMMANDS = {
    "rwhoisd": server,
    "rwhois-admin": admin,
    "rwhois": client,
    "rwhois-conformance": conformance,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_tells_its_release(name: str) -> None:
    app: typer.Typer = COMMANDS[name]
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"{name} {version('rwhoisd')}\n")
