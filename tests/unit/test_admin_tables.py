"""Tables of rwhois-admin show what is in them, letter for letter."""

import pytest

from rwhoisd.admin.common import console, table


@pytest.mark.parametrize("cell", ["[fd00::1]:443/tcp", "2001:db8:0:100::10", "[bold]web[/bold]"])
def test_a_cell_is_printed_as_it_is(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = table("a")
    shown.add_row(cell)
    console().print(shown)
    assert capsys.readouterr().out.splitlines()[1].rstrip() == cell
