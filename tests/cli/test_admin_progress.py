"""Long work shows a bar with a rate on a terminal, and nothing elsewhere."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import generate

COUNT = 3000
# A bar shows when work takes long, which a test's should not.
RUN = """
import sys
from rwhoisd.admin import common
from rwhoisd.admin.cli import main
common._PATIENCE = 0.0
sys.argv = ["rwhois-admin", *sys.argv[1:]]
main()
"""


def on_terminal(*arguments: str) -> tuple[int, str]:
    """Exit status and what went to a terminal; standard output goes elsewhere."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "140", "LINES": "24"},
    )
    os.close(theirs)
    shown = b""
    try:
        while some := os.read(ours, 65536):
            shown += some
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    return process.wait(60), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation of ARIN's server."""
    root = tmp_path_factory.mktemp("progress") / "arin"
    generate.write_installation(root, COUNT, 4321)
    return root / "rwhoisd.conf"


def test_loading_and_building_show_how_fast_they_go(conf: Path, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path))
    status, shown = on_terminal("import", "arin", str(conf), *state)
    assert status == 0, shown
    assert re.search(r"\d+/\?", shown), shown  # how many there are is not known before
    assert re.search(r"\d[\d,]*/s ", shown), shown

    status, shown = on_terminal("image", "build", *state)
    assert status == 0, shown
    assert re.search(r"objects .*\d+/3\d\d\d ", shown), shown
    assert re.search(r"entries .*\d[\d,]*/s .* left \d+:\d\d:\d\d", shown), shown


def test_without_a_terminal_there_is_no_bar(conf: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "import", "arin", str(conf), "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "/s" not in done.stderr
