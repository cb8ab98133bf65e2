"""The page about security is true: commands and keys on it are those that there are."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rwhoisd.admin.cli import app
from rwhoisd.config import ForwardConfig, LimitsConfig, build, options
from tests.cli.test_readme import ROOT, console_blocks

PAGE = (ROOT / "docs" / "operators" / "security.md").read_text(encoding="utf-8")
_KEY = re.compile(r"`((?:limits|query|forward|programs|pgp)\.[a-z0-9_.]+)`")


def test_examples_of_the_configuration_are_taken() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        build(tomllib.loads(block))


def test_keys_of_the_page_are_there_and_no_limit_is_left_out() -> None:
    there = {re.sub(r"\[\]|\.<name>", "", name) for name, _, _ in options()}
    named = set(_KEY.findall(PAGE))
    assert named - there == set()
    bounds = {f"limits.{name}" for name, _, _ in options(LimitsConfig)}
    bounds |= {f"forward.{name}" for name, _, _ in options(ForwardConfig)}
    assert bounds - named == set()


def test_the_unit_is_scored_as_the_page_says() -> None:
    ((line, shown),) = [
        found for block in console_blocks(PAGE) for found in block if "systemd-analyze" in found[0]
    ]
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    done = subprocess.run(shlex.split(line), cwd=ROOT, capture_output=True, text=True, check=False)
    # Another release may weigh otherwise, in its last digit.
    level = re.search(r"exposure level for rwhoisd\.service: (\d\.\d)", done.stdout)
    told = re.search(r"exposure level for rwhoisd\.service: (\d\.\d)", shown[-1])
    assert level
    assert told
    assert abs(float(level[1]) - float(told[1])) < 0.5


def test_options_of_the_drop_ins_are_known_to_systemd(tmp_path: Path) -> None:
    """Each is taken with the unit, without a word of warning."""
    rows = re.findall(r"^\| .* \| (`[A-Z]\w+=.*?) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 4
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    unit = (ROOT / "docs/operators/rwhoisd.service").read_text("utf-8")
    for number, row in enumerate(rows):
        lines = re.findall(r"`([A-Z][A-Za-z]+=[^`]*)`", row)
        path = tmp_path / f"n{number}.service"
        text = unit.replace("/opt/rwhoisd/bin/rwhoisd", "/bin/true")
        path.write_text(text.replace("[Install]", "\n".join([*lines, "", "[Install]"])))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(path)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
        )
        assert not re.search(r"Unknown|Failed to parse|nvalid", done.stderr), done.stderr


@pytest.mark.parametrize(
    "verb", sorted(set(re.findall(r"rwhois-admin ((?:guardian|image) \w+|undo)", PAGE)))
)
def test_verbs_of_the_page_are_there(verb: str) -> None:
    result = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert result.exit_code == 0


def test_commands_that_make_the_user_are_those_of_the_unit() -> None:
    unit = (ROOT / "docs/operators/rwhoisd.service").read_text("utf-8")
    (made,) = re.findall(r"^useradd .*$", PAGE, re.MULTILINE)
    assert f"#   {made}" in unit
    assert "User=rwhoisd" in unit
    places = re.findall(r"^install -d .* (/\S+)$", PAGE, re.MULTILINE)
    assert places == ["/etc/rwhoisd", "/var/lib/rwhoisd"]
    assert all(place in unit for place in places)
