"""The pages about the inventory are true: their commands are run, and print what they show."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from rwhoisd.inventory.source import source_kinds
from tests.cli.test_readme import ROOT, console_blocks, expect, run

OPERATORS = ROOT / "docs" / "operators"
FIXTURES = ROOT / "tests" / "inventory_fixtures"
GUIDE = OPERATORS / "inventory.md"
COOKBOOK = OPERATORS / "inventory"


def play(page: Path, folder: Path) -> list[str]:
    commands = [command for block in console_blocks(page.read_text("utf-8")) for command in block]
    for command, shown in commands:
        expect(shown, run(shlex.split(command), folder))
    return [command for command, _ in commands]


def test_the_guide(tmp_path: Path) -> None:
    for name in ("data", "schema"):
        shutil.copytree(ROOT / name, tmp_path / name)
    assert len(play(GUIDE, tmp_path)) > 5


def test_there_is_a_page_for_each_kind() -> None:
    pages = {page.stem for page in COOKBOOK.glob("*.md")} - {"README"}
    assert pages == set(source_kinds())


@pytest.mark.parametrize("kind", source_kinds())
def test_the_page_of_a_kind(kind: str, tmp_path: Path) -> None:
    if (FIXTURES / kind).is_dir():
        shutil.copytree(FIXTURES / kind, tmp_path, dirs_exist_ok=True)
    commands = play(COOKBOOK / f"{kind}.md", tmp_path)
    assert any(f"--kind {kind}" in command for command in commands)


@pytest.mark.parametrize("page", [GUIDE, *sorted(COOKBOOK.glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
