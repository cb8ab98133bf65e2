"""The page about exports is true: its commands are run, and print what it shows."""

import re
import shlex
import shutil
from pathlib import Path

from rwhoisd.admin.exporting import app
from tests.cli.test_readme import ROOT, console_blocks, expect, run

PAGE = (ROOT / "docs" / "operators" / "exports.md").read_text(encoding="utf-8")


def test_every_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    for name in ("data", "schema"):
        shutil.copytree(ROOT / name, tmp_path / name)
    commands = [command for block in console_blocks(PAGE) for command in block]
    for command, shown in commands:
        expect(shown, run(shlex.split(command), tmp_path))
    formats = {command.split()[2] for command, _ in commands if " export " in command}
    assert formats | {"arin", "zone"} == {command.name for command in app.registered_commands}


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / "operators" / target).exists(), target
