"""The command: exit statuses and the three forms of its report."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from conformance.cli import app

from .scripted import RIGHT, scripted

IDS = "o-0003,o-0059,o-0098"  # -rwhois, -limit, -quit
SPAWN = (
    f"cd '{Path(__file__).parents[2]}' && "
    f"exec '{sys.executable}' -m tests.conformance.scripted {{port}}"
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--timeout", "5"])


def asked(*arguments: str, wrong: str = "") -> Result:
    answers = {**RIGHT, "-limit": wrong} if wrong else RIGHT
    with scripted(answers) as port:
        return run(f"127.0.0.1:{port}", "--set", "arin", "--ids", IDS, *arguments)


def test_all_right_is_0() -> None:
    result = asked()
    assert result.exit_code == 0
    assert "semantic 100.0%" in result.stdout


def test_a_finding_is_1_and_can_be_shown() -> None:
    result = asked("--show", "1", wrong="%error 331 No\n")
    assert result.exit_code == 1
    assert "o-0059  SEMANTIC MISS" in result.stdout
    assert "+%error 331 No" in result.stdout


def test_other_words_are_a_finding_at_the_exact_level_only() -> None:
    assert asked(wrong="%error 338 words\n").exit_code == 0
    assert asked("--level", "exact", wrong="%error 338 words\n").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "give exactly one", id="nothing"),
        pytest.param(["127.0.0.1:1", "--spawn", "x"], "give exactly one", id="two"),
        pytest.param(["127.0.0.1"], "not HOST:PORT", id="no port"),
        pytest.param(["--spawn", "x", "--set", "arin", "--ids", "none"], "no such case", id="id"),
        pytest.param(["--spawn", "x", "--tag", "nothing-such"], "no case has", id="tag"),
        pytest.param(["--arin-bin", "/nowhere"], "no such program", id="programs"),
        pytest.param(["127.0.0.1:1"], "no connection", id="probe"),
        pytest.param(["--spawn", "x", "--set", "ietf"], "ietf", id="set"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_server_without_the_data_of_a_set_is_wrong_usage() -> None:
    with scripted() as port:
        result = run(f"127.0.0.1:{port}")
    assert result.exit_code == 2
    assert "conformance/rfc/data" in result.output


def test_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "rwhois-conformance 127.0.0.1:4321 --set arin" in result.output


def test_json_tells_counts_and_cases() -> None:
    result = asked("--report", "json", wrong="%error 331 No\n")
    report = json.loads(result.stdout)
    assert (report["findings"], report["level"], report["errors"]) == (1, "semantic", [])
    rows = {row["id"]: row for row in report["sets"]["arin"]["cases"]}
    assert {name: row["semantic"] for name, row in rows.items()} == {
        "o-0003": True,
        "o-0059": False,
        "o-0098": True,
    }
    assert report["sets"]["arin"]["tags"]["TOTAL"]["required"] == {
        "cases": 3,
        "exact": 2,
        "semantic": 2,
        "close": 3,
    }


def test_junit_is_xml_that_build_servers_read(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    result = asked("--report", "junit", "--output", str(path), wrong="%error 331 \x01<No>\n")
    assert result.exit_code == 1
    (suite,) = ET.parse(path).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("arin", "3", "1")
    failures = {case.get("name"): case.find("failure") for case in suite}
    assert failures["o-0003"] is None
    failure = failures["o-0059"]
    assert failure is not None
    assert "331 \\x01<No>" in (failure.text or "")


def test_a_report_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    result = asked("--output", str(tmp_path / "none" / "report"))
    assert result.exit_code == 2


def test_spawned_servers() -> None:
    result = run("--spawn", SPAWN, "--set", "arin", "--ids", IDS)
    assert result.exit_code == 0


def test_a_command_that_fails_is_a_finding() -> None:
    result = run("--spawn", "echo alas; exit 1", "--set", "arin", "--ids", IDS)
    assert result.exit_code == 1
    assert "alas" in result.output


def test_two_equal_servers() -> None:
    with scripted() as one, scripted() as two:
        both = ("--compare", f"127.0.0.1:{one}", f"127.0.0.1:{two}")
        result = run(*both, "--set", "arin", "--ids", IDS)
    assert result.exit_code == 0
    assert "3 cases: exact 3, semantic 3, close 3" in result.stdout


def test_two_servers_that_differ() -> None:
    with scripted() as one, scripted({**RIGHT, "-limit": "%error 331 No\n"}) as two:
        both = ("--compare", f"127.0.0.1:{one}", f"127.0.0.1:{two}")
        result = run(*both, "--set", "arin", "--ids", IDS)
        report = run(*both, "--set", "arin", "--ids", IDS, "--report", "json")
    assert result.exit_code == 1
    assert "arin o-0059  OTHER MEANING" in result.stdout
    rows = {row["id"]: row["semantic"] for row in json.loads(report.stdout)["cases"]}
    assert rows == {"o-0003": True, "o-0059": False, "o-0098": True}
