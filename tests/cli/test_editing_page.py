"""The page about changes is true: its commands are run in order, and print what it shows."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.cli.test_readme import ROOT, console_blocks, environment

PAGE = (ROOT / "docs" / "operators" / "editing.md").read_text(encoding="utf-8")
# What differs from run to run: serials of this run, and moments.
VARIES = re.compile(r"\b202611\d{11}\b|2026-11-27 [0-9:.]{12}")

_ANY = r"([0-9]{17}|[0-9-]{10} [0-9:.]{12})"


def run(command: str, folder: Path, *, refused: bool) -> list[str]:
    """What a command says, on either stream."""
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == int(refused), (command, said)
    return [line.rstrip() for line in said.splitlines()]


def known(text: str, real: Mapping[str, str]) -> str:
    """A text of the page with what this run has in the place of what the page shows."""
    return VARIES.sub(lambda match: real.get(match[0], match[0]), text)


def compare(shown: list[str], said: list[str], real: dict[str, str]) -> None:
    """Each line in order; ``...`` leaves lines out. Notes what varies."""
    rest, skips = iter(said), False
    for wanted in shown:
        if wanted == "...":
            skips = True
            continue
        pattern = "".join(
            _ANY if VARIES.fullmatch(part) else re.escape(part)
            for part in re.split(f"({VARIES.pattern})", wanted)
        )
        found = None
        for line in rest:
            found = re.fullmatch(pattern, line)
            if found or not skips:
                break
        assert found, (wanted, said)
        skips = False
        for name, value in zip(VARIES.findall(wanted), found.groups(), strict=True):
            assert real.setdefault(name, value) == value, (wanted, name, value)
    assert skips or next(rest, None) is None, said


def test_every_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    for name in ("data", "schema"):
        shutil.copytree(ROOT / name, tmp_path / name)
    real: dict[str, str] = {}
    verbs = set()
    for command, shown in [one for block in console_blocks(PAGE) for one in block]:
        refused = any(line.startswith("rwhois-admin: ") for line in shown)
        said = run(known(command, real), tmp_path, refused=refused)
        if shown:
            compare(shown, said, real)
        verbs.add(command.split()[1])
    assert real
    told = set(re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE))
    assert told <= verbs, "a command of the table is not shown"
    assert (tmp_path / "space.svg").read_text().startswith("<svg ")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / "operators" / target).exists(), target
