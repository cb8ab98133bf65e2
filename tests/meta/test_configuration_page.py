"""The page of options is as it is made, and names every option with its effect."""

from pathlib import Path

import pytest

from rwhoisd.config import options
from rwhoisd.config_page import page

PAGE = Path(__file__).parents[2] / "docs" / "operators" / "configuration.md"


def test_the_page_is_as_it_is_made() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make docs"


@pytest.mark.parametrize("name", [name for name, _, _ in options()])
def test_an_option_tells_when_it_takes_effect(name: str) -> None:
    row = next(d for n, _, d in options() if n == name)
    assert row.endswith(("Takes effect: reload.", "Takes effect: restart.", "at once."))
