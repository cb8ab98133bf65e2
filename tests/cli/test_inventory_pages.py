"""The pages about the inventory are true: their commands are run, and print what they show."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rwhoisd.admin.cli import app
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.settings import read_inventory
from rwhoisd.inventory.source import source_kinds
from tests.cli.test_readme import ROOT, console_blocks, expect, run
from tests.unit.netbox_stub import Stub, serving

OPERATORS = ROOT / "docs" / "operators"
FIXTURES = ROOT / "tests" / "inventory_fixtures"
GUIDE = OPERATORS / "inventory.md"
COOKBOOK = OPERATORS / "inventory"
# Keys that mean what they mean in zone.toml, or that stand beside one of their like.
UNEXPLAINED = {
    *("refresh_interval", "increment_interval", "retry_interval", "time_to_live"),
    *("admin_contact", "noc_contact"),
}
INDEX = COOKBOOK / "README.md"
NETBOX = "http://127.0.0.1:8000"  # where the page of netbox-api has it
Runner = Callable[[list[str], Path], str]


def run_here(words: list[str], folder: Path) -> str:
    """As ``run``, without a process of its own for rwhois-admin: it takes long to start."""
    if words[0] != "rwhois-admin":
        return run(words, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, words[1:], env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert done.exit_code == 0, (words, done.output)
    return done.stdout


def play(page: Path, folder: Path, runner: Runner = run, url: str = NETBOX) -> list[str]:
    blocks = console_blocks(page.read_text("utf-8"))
    commands = [command for block in blocks for command in block]
    for command, shown in commands:
        expect(shown, runner(shlex.split(command.replace(NETBOX, url)), folder))
    return [command for command, _ in commands]


def test_the_guide(tmp_path: Path) -> None:
    for name in ("data", "schema"):
        shutil.copytree(ROOT / name, tmp_path / name)
    assert len(play(GUIDE, tmp_path)) > 5


def test_the_file_that_the_guide_explains_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"^```toml\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    path = tmp_path / "inventory.toml"
    path.write_text(block, encoding="utf-8")
    table = read_inventory(path).table
    assert set(table.model_fields_set) == set(type(table).model_fields)  # every key is explained
    for row in (*table.source, *table.area, *table.owner, table.audit):
        unexplained = set(type(row).model_fields) - row.model_fields_set
        assert unexplained <= UNEXPLAINED


def test_there_is_a_page_for_each_kind() -> None:
    pages = {page.stem for page in COOKBOOK.glob("*.md")} - {INDEX.stem}
    assert pages == set(source_kinds())
    listed = re.findall(r"^\| \[([\w-]+)\]\(\1\.md\) ", INDEX.read_text("utf-8"), re.MULTILINE)
    assert listed == source_kinds()


@pytest.mark.parametrize("kind", source_kinds())
def test_the_page_of_a_kind(kind: str, tmp_path: Path) -> None:
    if (FIXTURES / kind).is_dir():
        shutil.copytree(FIXTURES / kind, tmp_path, dirs_exist_ok=True)
    with serving(Stub()) as netbox:
        (tmp_path / "netbox.token").write_text(f"{netbox.token}\n")
        commands = play(COOKBOOK / f"{kind}.md", tmp_path, run_here, netbox.url)
    assert any(f"--kind {kind}" in command for command in commands)


def test_the_source_of_ones_own(tmp_path: Path) -> None:
    (program,) = re.findall(
        r"^```python\n(.*?)^```", INDEX.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    made: dict[str, Any] = {}
    exec(program, made)
    file = tmp_path / "room1.rack"
    file.write_text("web1 192.0.2.7\n\nspare\n")
    reading = scan(made["SOURCE"], [tmp_path])
    assert [fact.as_row() for fact in reading.facts] == [
        {"kind": "host", "address": "192.0.2.7", "name": "web1"}
    ]
    assert [str(finding) for finding in reading.findings] == [
        f"{file}:3: warning: has no address; skipped"
    ]


@pytest.mark.parametrize("page", [GUIDE, *sorted(COOKBOOK.glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
