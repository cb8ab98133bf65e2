"""The password of the database is in nothing that a command prints or a server logs."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rwhoisd.admin.cli import app
from tests.wire.process import command

SECRET = "s3cret-0f-db"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@127.0.0.1:1/db",
        f"mariadb://u:{SECRET}@127.0.0.1:1/db",
        f"postgresql://u@127.0.0.1:1/db?password={SECRET}",
        f"postgresql://u:{SECRET}@127.0.0.1:port/db",
        f"oracle://u:{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:{SECRET}@@/db",
    ],
)
def test_no_command_prints_it(url: str, tmp_path: Path) -> None:
    config = tmp_path / "rwhoisd.toml"
    config.write_text(f'state = "state"\nstore = {{ url = "{url}" }}\n')
    config.chmod(0o640)
    for arguments in (
        ["db", "status", "--store", url],
        ["db", "status", "--config", str(config), "--json"],
        ["journal", "--store", url],
        ["db", "upgrade", "--config", str(config)],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1, result.output
        assert result.output
        assert SECRET not in result.output


def test_no_server_prints_it(tmp_path: Path) -> None:
    config = tmp_path / "rwhoisd.toml"
    url = f"postgresql://u:{SECRET}@127.0.0.1:1/db"
    config.write_text(f'store = {{ url = "{url}" }}\nlisten = [{{ port = 0 }}]\n')
    state = ("--state", str(tmp_path / "state"))
    for done in (
        command("serve", "--config", str(config), *state, RWHOISD_LOG__LEVEL="debug"),
        command("serve", "--config", str(config), *state, RWHOISD_STORE=url),
        command("check-config", "--config", str(config), "--json", RWHOISD_STORE=url),
        command("serve", "--help", RWHOISD_STORE__URL=url),
    ):
        assert done.stdout or done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert not re.search("Traceback", done.stderr)
