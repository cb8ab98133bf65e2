"""Alembic, called as a library: the schema of the database and its version."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, update

from rwhoisd.store.errors import StoreError, StoreOutdatedError
from rwhoisd.store.tables import metadata

MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSION_TABLE: Final = "rwhoisd_schema"  # not alembic_version: the database may serve others, too
HEAD: Final = "head"
NOTHING: Final = "base"
_COPYING: Final = "copying:"  # before the revision of tables that a copy has not filled yet


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file; commands run on ``connection``."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def head() -> str:
    """The revision that this release works with."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


def current(connection: Connection) -> str | None:
    """The revision of a database; None when it has no tables of ours."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def is_unfinished(connection: Connection) -> bool:
    """Whether a copy into this database was begun by this release, and not finished."""
    return current(connection) == _COPYING + head()


def mark_unfinished(connection: Connection) -> None:
    """From here on nobody takes the database for a store, until it is marked finished."""
    _mark(connection, _COPYING + head())


def mark_finished(connection: Connection) -> None:
    """The copy is whole: the database is a store of this release."""
    _mark(connection, head())


def _mark(connection: Connection, revision: str) -> None:
    table = Table(VERSION_TABLE, MetaData(), Column("version_num", String))
    connection.execute(update(table).values(version_num=revision))


def _check_finished(found: str | None, place: str) -> None:
    if found and found.startswith(_COPYING):
        raise StoreOutdatedError(
            f"{place} is a copy that was not finished: run rwhois-admin db copy again with"
            " --replace"
        )


def check_current(connection: Connection, place: str) -> None:
    """Raise StoreOutdatedError unless the schema is that of this release."""
    found = current(connection)
    if found == head():
        return
    _check_finished(found, place)
    if found is None:
        raise StoreOutdatedError(f"{place} has no tables yet: make them with rwhois-admin init")
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if found in known:
        raise StoreOutdatedError(
            f"{place} has schema {found}, this release needs {head()}: run rwhois-admin db upgrade"
        )
    raise StoreOutdatedError(
        f"{place} has schema {found}, which this release does not know: use a newer release"
    )


def check_free(connection: Connection, place: str) -> None:
    """Raise StoreError when tables of another program have names of ours, or half a copy."""
    found = current(connection)
    _check_finished(found, place)
    if found is not None:
        return
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken:
        raise StoreError(
            f"{place} has a table {taken[0]} of another program: give the store a database of its"
            " own"
        )


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Bring the schema up to ``revision``; idempotent. Raises: StoreError, if it is unknown."""
    try:
        command.upgrade(config(connection), revision)
    except CommandError as error:
        raise StoreOutdatedError(f"no way to schema {revision}: {error}") from error


def downgrade(connection: Connection, revision: str) -> None:
    """Take the schema back to ``revision``, or to nothing with ``base``. Raises: StoreError.

    Every step is asked first whether it may be taken: MariaDB cannot undo those before it.
    """
    try:
        for script in _steps_down(connection, revision):
            refusal = getattr(script.module, "refusal", None)
            if refusal and (reason := refusal(connection)):
                raise CommandError(reason)
        command.downgrade(config(connection), revision)
    except CommandError as error:
        raise StoreOutdatedError(f"no way back to schema {revision}: {error}") from error


def _steps_down(connection: Connection, revision: str) -> Iterator[Script]:
    scripts = ScriptDirectory.from_config(config())
    return scripts.iterate_revisions(current(connection), revision)


def differences(connection: Connection) -> list[object]:
    """What the tables of the database lack compared with ``tables.metadata``; empty is right."""
    options = {"version_table": VERSION_TABLE, "compare_type": True}
    context = MigrationContext.configure(connection, opts=options)
    found: list[object] = compare_metadata(context, metadata)
    return found
