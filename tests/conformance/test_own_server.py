"""Our own server plays both sets, in the mode each is written for, and the recorded one in both."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1500)  # a thousand conversations, some hundred servers

BIN = Path(sys.executable).parent
SERVER = (
    f"exec {BIN}/rwhoisd serve --arin-config {{dir}}/rwhoisd.conf --listen 127.0.0.1:{{port}}"
    " --state {dir}/.state --workers 1 --compat {mode}"
)


def play(tmp_path: Path, *options: str) -> dict[str, Any]:
    """The report of a run over our server; every case, every configuration, nothing skipped."""
    output = tmp_path / "report.json"
    command = [
        *(str(BIN / "rwhois-conformance"), *options, "--corrected", "--servers", "4"),
        *("--report", "json", "--output", str(output), "--spawn", SERVER),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(output.read_text())
    assert report["errors"] == []
    assert report["skipped"] == []
    return report


def total(report: dict[str, Any], name: str, kind: str) -> dict[str, int]:
    counts: dict[str, int] = report["sets"][name]["tags"]["TOTAL"][kind]
    return counts


def test_recorded_conversations_in_arin_mode(tmp_path: Path) -> None:
    report = play(tmp_path, "--set", "arin", "--mode", "arin")
    required = total(report, "arin", "required")
    assert required["semantic"] == required["cases"] > 900
    assert required["close"] == required["cases"]
    assert required["exact"] >= 0.99 * required["cases"]
    assert report["findings"] == 0


def test_recorded_conversations_in_rfc_mode_differ_only_as_ruled(tmp_path: Path) -> None:
    report = play(tmp_path, "--set", "arin", "--mode", "rfc")
    assert report["findings"] == 0
    assert total(report, "arin", "required")["cases"] > 900


def test_rules_of_rfc_2167(tmp_path: Path) -> None:
    report = play(tmp_path, "--set", "rfc")
    assert report["findings"] == 0
    assert total(report, "rfc", "required")["cases"] > 250
