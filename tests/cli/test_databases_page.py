"""The page about databases is true: it names what there is."""

import re

import pytest
from typer.testing import CliRunner

from rwhoisd.admin.cli import app
from rwhoisd.config import StoreConfig, options
from rwhoisd.store.engines import parse_url
from tests.cli.test_readme import ROOT
from tests.store.test_privileges import GRANTS

PAGE = (ROOT / "docs" / "operators" / "databases.md").read_text(encoding="utf-8")


def test_urls_of_the_page_are_taken() -> None:
    urls = re.findall(r"`((?:sqlite|postgresql|mariadb)://[^`\s]+)`", PAGE)
    engines = {parse_url(url).get_backend_name() for url in urls}
    assert engines == {"sqlite", "postgresql", "mariadb"}


@pytest.mark.parametrize("verb", ["copy", "upgrade", "status"])
def test_verbs_of_the_page_are_there(verb: str) -> None:
    assert f"db {verb}" in PAGE
    result = CliRunner().invoke(app, ["db", verb, "--help"])
    assert result.exit_code == 0
    assert "--replace" in result.stdout or verb != "copy"


def test_options_of_the_page_are_those_of_the_store() -> None:
    defaults = {name: default for name, default, _ in options(StoreConfig)}
    assert f"`poll_seconds` ({defaults['poll_seconds']})" in PAGE
    assert {"url", "follow", "poll_seconds"} == set(defaults)


def test_grants_of_the_page_are_those_that_are_tested() -> None:
    text = " ".join(PAGE.split())
    tested = [s for statements in GRANTS.values() for s in statements if s.startswith("GRANT")]
    for statement in tested:
        assert statement.partition(" TO ")[0].format(database="rwhoisd", user="") in text
