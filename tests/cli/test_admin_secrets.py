"""Secrets stay in the store: no command shows them, and a dry run leaves nothing behind."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rwhoisd.admin.cli import app

ROOT = Path(__file__).parents[2]
SECRETS = ("aurora-secret", "nested-secret", "area-secret", "ab2Vqm.AnTodk")


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conformance" / "arin" / "data", tmp_path / "arin")
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_dry_run_shows_the_objects_without_secrets_and_makes_no_store(installation: Path) -> None:
    state = installation / "state"
    conf = str(installation / "arin" / "rwhoisd.conf")
    text = run("import", "arin", conf, "--dry-run", "--state", str(state))
    assert "Guard-Info: ********" in text
    assert [secret for secret in SECRETS if secret in text] == []
    assert not state.exists()


def test_what_is_stored_is_shown_without_secrets(installation: Path) -> None:
    state = str(installation / "state")
    run("import", "arin", str(installation / "arin" / "rwhoisd.conf"), "--state", state)
    shown = [
        run("find", "G1.example.org", "--state", state),
        run("show", "G1.example.org", "--state", state),
        run("find", "example.net", "--limit", "1000", "--state", state, "--json"),
        run("find", "G1.example.org", "--state", state, "--json"),
        run("journal", "--state", state, "--json"),
    ]
    assert ["Guard-Info", "********"] in json.loads(shown[3])[0]["lines"]
    assert [secret for secret in SECRETS if any(secret in text for text in shown)] == []


def test_a_changed_secret_shows_that_it_changed(installation: Path) -> None:
    state = str(installation / "state")
    conf = str(installation / "arin" / "rwhoisd.conf")
    run("import", "arin", conf, "--state", state)
    guardians = installation / "arin" / "example.org" / "data" / "guardian"
    [data] = guardians.glob("*.txt")
    data.write_text(data.read_text().replace("area-secret", "other-secret"))
    text = run("import", "arin", conf, "--dry-run", "--state", state)
    assert "  - Guard-Info: ********\n  + Guard-Info: ********" in text
    assert "other-secret" not in text
