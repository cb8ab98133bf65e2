"""Every test that asks for ``url`` runs on each database server that is installed."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store import servers

_numbers = itertools.count()


@pytest.fixture(scope="session")
def make_postgresql() -> Iterator[Callable[[str], str]]:
    """A private PostgreSQL server."""
    if not (servers.program("postgres") and servers.program("initdb")):
        pytest.skip("PostgreSQL is not installed")
    with servers.postgresql() as make:
        yield make


@pytest.fixture(scope="session")
def make_mariadb() -> Iterator[Callable[[str], str]]:
    """A private MariaDB server."""
    if not (servers.program("mariadbd") and servers.program("mariadb-install-db")):
        pytest.skip("MariaDB is not installed")
    with servers.mariadb() as make:
        yield make


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    make: Callable[[str], str] = request.getfixturevalue(f"make_{request.param}")
    return make(f"store{next(_numbers)}")
