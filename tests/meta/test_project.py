"""The project about itself: version, typing marker, licence of words."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_version_equals_changelog_and_installed_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert project["version"] == newest[1] == metadata.version("rwhoisd")


def test_every_dependency_has_a_range() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*document["project"]["dependencies"], *document["dependency-groups"]["dev"]]
    assert wanted
    assert [w for w in wanted if not re.search(r">=[\d.]+,<[\d.]+$", w)] == []


def test_package_says_that_it_is_typed() -> None:
    assert (ROOT / "rwhoisd" / "py.typed").exists()


def test_every_module_says_what_it_is() -> None:
    modules = [*ROOT.glob("rwhoisd/**/*.py"), *ROOT.glob("conformance/*.py")]
    silent = [
        str(m.relative_to(ROOT))
        for m in modules
        if m.read_text().strip() and not m.read_text().startswith(('"""', 'r"""', "#"))
    ]
    assert silent == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(p.name[:4]) for p in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 5
