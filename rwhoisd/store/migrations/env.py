"""Alembic's environment: runs on the connection that ``rwhoisd.store.schema`` hands over."""

from alembic import context

from rwhoisd.store.schema import VERSION_TABLE
from rwhoisd.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    compare_type=True,
    # SQLite's DDL is transactional once we say BEGIN ourselves: an upgrade is all or nothing.
    transactional_ddl=connection.dialect.name in ("sqlite", "postgresql"),
)
with context.begin_transaction():
    context.run_migrations()
