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
        *(str(BIN / "rwhois-conformance"), *options, "--corrected"),
        *("--report", "json", "--output", str(output), "--spawn", SERVER),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(output.read_text())
    assert report["errors"] == []
    assert report["skipped"] == []
    return report


def assert_no_finding(report: dict[str, Any], name: str, tmp_path: Path, *options: str) -> None:
    """No required case has another meaning than it should.

    Idle limits and session limits are about real time: on a machine that is busy with other
    tests such a case is played once more, alone.
    """
    if report["findings"]:
        missed = [case for case in report["sets"][name]["cases"] if not case["semantic"]]
        ids = ",".join(case["id"] for case in missed if case["standing"] != "optional")
        alone = play(tmp_path, *options, "--ids", ids, "--servers", "1", "--connections", "1")
        assert alone["findings"] == 0, [case for case in missed if case["id"] in ids]


def total(report: dict[str, Any], name: str, kind: str) -> dict[str, int]:
    counts: dict[str, int] = report["sets"][name]["tags"]["TOTAL"][kind]
    return counts


def test_recorded_conversations_in_arin_mode(tmp_path: Path) -> None:
    options = ("--set", "arin", "--mode", "arin")
    report = play(tmp_path, *options)
    required = total(report, "arin", "required")
    assert required["cases"] > 900
    assert required["exact"] >= 0.99 * required["cases"]
    assert_no_finding(report, "arin", tmp_path, *options)


def test_recorded_conversations_in_rfc_mode_differ_only_as_ruled(tmp_path: Path) -> None:
    options = ("--set", "arin", "--mode", "rfc")
    report = play(tmp_path, *options)
    assert_no_finding(report, "arin", tmp_path, *options)
    assert total(report, "arin", "required")["cases"] > 900


def test_rules_of_rfc_2167(tmp_path: Path) -> None:
    report = play(tmp_path, "--set", "rfc")
    assert_no_finding(report, "rfc", tmp_path, "--set", "rfc")
    assert total(report, "rfc", "required")["cases"] > 250
