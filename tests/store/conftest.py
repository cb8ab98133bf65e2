"""Every test that asks for ``url`` runs on each database server that is installed."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store import servers

_numbers = itertools.count()


def database_name() -> str:
    """A name that no database has yet."""
    return f"store{next(_numbers)}"


@pytest.fixture(scope="session")
def make_postgresql() -> Iterator[servers.Server]:
    """A private PostgreSQL server."""
    if not (servers.program("postgres") and servers.program("initdb")):
        pytest.skip("PostgreSQL is not installed")
    with servers.postgresql() as make:
        yield make


@pytest.fixture(scope="session")
def make_mariadb() -> Iterator[servers.Server]:
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
    make: servers.Server = request.getfixturevalue(f"make_{request.param}")
    return make(database_name())
