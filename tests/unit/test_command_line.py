"""A plain ``serve`` is read by a table, everything else by Typer, and both understand the same."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rwhoisd.server import commands
from rwhoisd.server.cli import plain
from rwhoisd.server.serve import Options

PLAIN = [
    [],
    ["--config", "rwhoisd.toml"],
    ["--config", "a b.toml", "--workers", "0", "--state", "/var/lib/r"],
    ["--arin-config", "x/rwhoisd.conf", "--listen", "[::1]:0", "--listen", ":43", "--workers", "2"],
    ["--compat", "rfc", "--workers", "007", "--listen", "nothing of sense"],
    ["--config", "a", "--arin-config", "b"],
]


@pytest.mark.parametrize("arguments", PLAIN)
def test_both_give_the_same_options(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Options] = []

    def serving(options: Options) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(commands, "serving", serving)
    given = plain(["serve", *arguments])
    assert given is not None
    assert CliRunner().invoke(commands.app, ["serve", *arguments]).exit_code == 0
    (options,) = seen
    assert _filled(options) == _filled(Options(**given))


def _filled(options: Options) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if value not in (None, [])}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["check-config", "--config", "a"],
        ["serve", "--help"],
        ["serve", "--config"],
        ["serve", "--config", "--state"],
        ["serve", "--config", ""],
        ["serve", "--config=a"],
        ["serve", "--config", "a", "--config", "b"],
        ["serve", "--workers", "many"],
        ["serve", "--workers", "257"],
        ["serve", "--workers", "-1"],
        ["serve", "--workers", "1_0"],
        ["serve", "--workers", "\N{ARABIC-INDIC DIGIT ONE}"],
        ["serve", "--compat", "RFC"],
        ["serve", "--unknown", "a"],
        ["serve", "more", "words"],
    ],
)
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert plain(arguments) is None


def test_a_path_is_what_it_is() -> None:
    assert plain(["serve", "--config", "~/a"]) == {"config": Path("~/a")}
