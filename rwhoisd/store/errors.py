"""What can go wrong with the database, in one line that names the mend."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rwhoisd.masking import masked


class StoreError(Exception):
    """The store cannot do what was asked; the text is one line for people, with the mend."""


class StoreLockedError(StoreError):
    """Somebody else holds what is needed (lock, deadlock, conflict): worth another try."""


class StoreLostError(StoreError):
    """The database cannot be reached or went away: nothing was changed, or it is not known."""


class StoreFullError(StoreError):
    """There is no space for it: nothing was changed."""


class StoreOutdatedError(StoreError):
    """The schema of the database is not the one of this release."""


# SQLSTATE of PostgreSQL and error numbers of MariaDB for serialisation failure, deadlock, lock
# timeout, and the unique violation of two nodes that create the same thing at once.
_CONFLICT_STATES: Final = frozenset({"40001", "40P01", "55P03", "23505"})
_CONFLICT_NUMBERS: Final = frozenset({1020, 1062, 1205, 1213})
_FULL_STATES: Final = frozenset({"53100"})
_FULL_NUMBERS: Final = frozenset({28, 1021, 1114})
_READ_ONLY_STATES: Final = frozenset({"25006"})
_READ_ONLY_NUMBERS: Final = frozenset({1290, 1792, 1836})

# Text of SQLite's error → class and what to say; {place} is the file.
_SQLITE: Final[tuple[tuple[str, type[StoreError], str], ...]] = (
    (
        r"database (table )?is locked",
        StoreLockedError,
        "{place} is locked by another program: wait for it to finish, then try again",
    ),
    (
        r"database or disk is full",
        StoreFullError,
        "no space left for {place}: free some on that disk, then try again; nothing was changed",
    ),
    (
        r"readonly database",
        StoreError,
        "{place} is read-only: give this user the right to write the file and its directory",
    ),
    (
        r"unable to open database file",
        StoreError,
        "{place} cannot be opened: check that its directory exists and that this user may use it",
    ),
    (
        r"file is not a database|malformed|disk image|unsupported file format",
        StoreError,
        "{place} is no sound SQLite database: name another file or restore it from a backup",
    ),
    (
        r"disk I/O error",
        StoreLostError,
        "{place} cannot be read or written: check the disk, then try again",
    ),
)
_SERVER: Final[tuple[tuple[frozenset[str], frozenset[int], type[StoreError], str], ...]] = (
    (
        _CONFLICT_STATES,
        _CONFLICT_NUMBERS,
        StoreLockedError,
        "another change at {place} was in the way: try again",
    ),
    (
        _FULL_STATES,
        _FULL_NUMBERS,
        StoreFullError,
        "no space left at {place}: free some on the database server; nothing was changed",
    ),
    (
        _READ_ONLY_STATES,
        _READ_ONLY_NUMBERS,
        StoreError,
        "{place} is read-only: connect to the primary database server",
    ),
)


def place_of(url: URL) -> str:
    """How a database is called in messages: the file, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "the database"
    return masked(url.render_as_string(hide_password=True))


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn what the database library raises within into a StoreError."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise store_error(error, url) from error


def store_error(error: Exception, url: URL) -> StoreError:
    """The StoreError that tells what ``error`` means for a person at ``url``."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(error, PoolTimeoutError):
        return StoreLockedError(
            f"all connections to {place_of(url)} are busy: try again, or allow more of them"
        )
    if url.get_backend_name() == "sqlite":
        return _sqlite_error(origin, url)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return unreachable(url, origin)
    return _server_error(origin, url)


def _sqlite_error(origin: BaseException, url: URL) -> StoreError:
    text = str(origin)
    for pattern, kind, message in _SQLITE:
        if re.search(pattern, text):
            return kind(message.format(place=place_of(url)))
    return StoreError(f"{place_of(url)}: {_one_line(text)}")


def _server_error(origin: BaseException, url: URL) -> StoreError:
    state, number = _codes(origin)
    for states, numbers, kind, message in _SERVER:
        if state in states or number in numbers:
            return kind(message.format(place=place_of(url)))
    # Class 08 and 57P: PostgreSQL goes down; 2000 and above: client side of MariaDB.
    if (state or "").startswith(("08", "57P")) or (number or 0) in range(2000, 2100):
        return unreachable(url, origin)
    return StoreError(f"{place_of(url)}: {_one_line(str(origin))}")


def _codes(origin: BaseException) -> tuple[str | None, int | None]:
    """SQLSTATE (PostgreSQL) and error number (MariaDB), as far as the driver gives them."""
    state = getattr(origin, "sqlstate", None)
    number = origin.args[0] if origin.args and isinstance(origin.args[0], int) else None
    return state, number


def unreachable(url: URL, error: BaseException) -> StoreLostError:
    """The StoreError for a server that does not answer (any more)."""
    return StoreLostError(
        f"no connection to {place_of(url)} ({_one_line(str(error))}):"
        " check that the database server runs and takes this user"
    )


def _one_line(text: str) -> str:
    return masked(" ".join(text.split()))[:300] or "no reason given"
