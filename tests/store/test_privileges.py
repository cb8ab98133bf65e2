"""A server's database user needs no right to make tables, as the operators' page says."""

import asyncio

import pytest
from sqlalchemy import make_url

from rwhoisd.store import Store, StoreError
from rwhoisd.store.engines import make_engine, parse_url, transaction
from tests.store import servers
from tests.store.conftest import database_name
from tests.store.kit import AREA, area, attempt, network, objects

GRANTS = {
    "postgresql": (
        "CREATE ROLE {user} LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}",
    ),
    "mariadb": (
        "CREATE USER {user}@localhost",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO {user}@localhost",
    ),
}


@pytest.fixture(params=list(GRANTS))
def urls(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A database as its owner comes to it, and as a user does who may only use the tables."""
    server: servers.Server = request.getfixturevalue(f"make_{request.param}")
    name, user = database_name(), f"user_{database_name()}"
    owner = server(name)

    async def grant() -> None:
        async with await Store.open(owner, create=True):
            pass
        for statement in GRANTS[request.param]:
            await execute(owner, statement.format(user=user, database=name))

    asyncio.run(grant())
    return owner, make_url(owner).set(username=user).render_as_string(hide_password=False)


async def execute(url: str, statement: str) -> None:
    engine = make_engine(parse_url(url))
    try:
        async with transaction(engine, change=True) as connection:
            await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()


def test_a_user_without_ddl_can_do_all_that_a_server_does(urls: tuple[str, str]) -> None:
    owner, user = urls

    async def run() -> None:
        with pytest.raises(StoreError):
            await execute(user, "CREATE TABLE another (x INTEGER)")
        async with await Store.open(user, create=True) as store:
            await store.upgrade()  # as each start does
            await attempt(store, lambda c: c.put_area(area()), create=True)
            await attempt(store, lambda c: c.add(network(1)), lambda c: c.add(network(2)))
            await store.record_notice("kind", "text", "192.0.2.1")
            await store.set_setting("name", "value")
            (one, _) = await store.find_objects(AREA)
            await attempt(store, lambda c: c.delete(one.row))
        async with await Store.open(owner) as store:
            assert await objects(store) == [network(2)]

    asyncio.run(run())
