"""The table of directives."""

import pytest

from rwhoisd.directory.dialect import ARIN, RFC
from rwhoisd.protocol.directives import BUILT_IN, NAMES, DirectiveTable, x_directive

ECHO = x_directive("echo", ["/bin/echo"], command_octets=2)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        pytest.param("status", "status", id="exact"),
        pytest.param("STATUS", "status", id="case"),
        pytest.param("statusfoo", "status", id="suffix"),
        pytest.param("soap", "soa", id="suffix-soa"),
        pytest.param("stat", None, id="no-abbreviation"),
        pytest.param("", None, id="nothing"),
        pytest.param("x-ec", "X-echo", id="command-len"),
        pytest.param("X-echoed", "X-echo", id="x-suffix"),
        pytest.param("X-e", None, id="x-too-short"),
        pytest.param("X-", None, id="x-alone"),
    ],
)
def test_find(word: str, name: str | None) -> None:
    row = DirectiveTable(external=[ECHO]).find(word)
    assert (row.name if row else None) == name


def test_first_row_wins() -> None:
    table = DirectiveTable(external=[x_directive("te", ["a"]), x_directive("test", ["b"])])
    row = table.find("X-test")
    assert row is not None
    assert row.program == ("a",)


def test_command_octets_are_at_most_the_command() -> None:
    assert x_directive("te", ["a"], command_octets=9).match_octets == 4
    assert x_directive("te", ["a"]).match_octets == 4


def test_capability_is_the_sum_of_what_is_on() -> None:
    assert DirectiveTable().capability(ARIN) == 0x3FFF
    assert DirectiveTable(external=[ECHO]).capability(ARIN) == 0x3FFF
    assert DirectiveTable(external=[ECHO]).capability(RFC) == 0x7FFF
    off = {"register", "security", "xfer", "notify"}
    assert DirectiveTable(set(NAMES) - off).capability(RFC) == 0x1ABF
    assert (
        DirectiveTable(set(NAMES) - {"soa", "xfer", "quit", "forward"}).capability(ARIN) == 0x1777
    )


def test_rwhois_cannot_be_switched_off() -> None:
    table = DirectiveTable([])
    assert [row.name for row in table.on] == ["rwhois"]
    assert table.capability(RFC) == 0
    assert not table.is_on(BUILT_IN[1])
