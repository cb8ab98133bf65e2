"""Engines: one code path for SQLite, PostgreSQL and MariaDB; what differs stands here."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, event, func, make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from rwhoisd.masking import masked
from rwhoisd.store.errors import (
    StoreError,
    StoreLockedError,
    place_of,
    translated,
    unreachable,
)

DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
}
CHANNEL: Final = "rwhoisd_change"  # of PostgreSQL: who listens hears of each commit
BUSY_SECONDS: Final = 30.0  # how long a change waits for another one before it is "locked"
ANSWER_SECONDS: Final = 60.0  # of silence, before a database counts as lost
_CONNECT_SECONDS: Final = 10
# A peer that is gone without a word is noticed after 10 s of silence and 3 probes, or when what
# was sent is not acknowledged; the system's own limits are two hours, and 15 minutes.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 25_000),  # milliseconds
)
_SCHEMA_LOCK: Final = "rwhoisd schema"
_SCHEMA_SECONDS: Final = 120  # for another node to make the tables
_T = TypeVar("_T")
_SQLITE_HEADER: Final = b"SQLite format 3\0"
# Cache of pages in KiB, by whether it is a change: a bulk load touches indexes at random, and a
# million objects take a tenth more CPU when those do not fit. Only what is used is allocated.
_CACHE: Final = {True: 262_144, False: 65_536}
_PRAGMAS: Final = (
    # The order counts: the timeout first, as switching to WAL may have to wait, too.
    "PRAGMA busy_timeout = {milliseconds}",
    "PRAGMA page_size = 8192",  # of a new file: a load costs a tenth less than with 4096
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # an acknowledged change survives a power cut (DESIGN §8)
    "PRAGMA foreign_keys = ON",
)


def parse_url(text: str) -> URL:
    """The database URL with the driver that we use; a bare path means SQLite.

    Raises: StoreError for what is no URL, another database, or SQLite in memory.
    """
    try:
        url = make_url(text if "://" in text else f"sqlite:///{text}")
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise StoreError(
            f"{masked(text)!r} is no database URL: write sqlite:///PATH or postgresql://USER@HOST/NAME"
        ) from error
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise StoreError(f"no support for {backend} databases: use one of {', '.join(DRIVERS)}")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreError("a store needs a file that several processes share: sqlite:///PATH")
    return url.set(drivername=DRIVERS[backend])


def check_file(url: URL, *, create: bool) -> None:
    """Make sure that an SQLite file is there and is one; other engines are left alone.

    Raises: StoreError, for a missing file (unless ``create``), a directory or a foreign file.
    """
    if url.get_backend_name() != "sqlite":
        return
    assert url.database is not None
    path = Path(url.database)
    try:
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return
        with path.open("rb") as file:
            header = file.read(len(_SQLITE_HEADER))
    except FileNotFoundError as error:
        raise StoreError(f"no store at {path}: make one with rwhois-admin init") from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened ({error.strerror}): check the path and this user's rights"
        ) from error
    if header not in (b"", _SQLITE_HEADER):
        raise StoreError(f"{path} is no SQLite database: name another file for the store")


def make_engine(url: URL, busy_seconds: float = BUSY_SECONDS) -> AsyncEngine:
    """An engine whose transactions begin as we say; nothing is connected yet.

    Raises: StoreError, when the driver of that database is not installed.
    """
    if url.get_backend_name() != "sqlite":
        return _server_engine(url, busy_seconds)
    engine = create_async_engine(url, connect_args={"timeout": busy_seconds})
    event.listen(engine.sync_engine, "connect", _sqlite_connected(busy_seconds))
    event.listen(engine.sync_engine, "begin", _sqlite_begin)
    return engine


def _server_engine(url: URL, busy_seconds: float) -> AsyncEngine:
    name = "timeout" if url.get_backend_name() == "postgresql" else "connect_timeout"
    try:
        engine = create_async_engine(
            url,
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={} if name in url.query else {name: _CONNECT_SECONDS},
        )
    except ModuleNotFoundError as error:
        extra = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
        raise StoreError(
            f"{place_of(url)} needs the Python package {error.name}:"
            f" install it with pip install 'rwhoisd[{extra}]'"
        ) from error
    event.listen(engine.sync_engine, "connect", _server_connected(url, busy_seconds))
    # It would tell with a traceback that a lost connection, or one that was in the middle of
    # something, could not be rolled back. It is thrown away, and what was lost is told by us.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    return engine


def _server_connected(url: URL, busy_seconds: float) -> Any:
    setting = _lock_timeout(url.get_backend_name(), busy_seconds)

    def connected(connection: Any, _record: object) -> None:
        _keep_alive(connection)
        cursor = connection.cursor()
        cursor.execute(f"SET SESSION {setting}")
        cursor.close()
        connection.commit()

    return connected


def _lock_timeout(engine: str, seconds: float) -> str:
    """How long to wait for another change: PostgreSQL would wait for ever."""
    whole = max(1, round(seconds))
    if engine == "postgresql":
        return f"lock_timeout = '{whole}s'"
    return f"innodb_lock_wait_timeout = {whole}"


def _keep_alive(connection: Any) -> None:
    """Notice in time when the server is gone without a word."""
    # Neither driver gives its socket away otherwise (asyncmy, asyncpg).
    transport: Any = connection.driver_connection._transport  # noqa: SLF001
    sock = transport.get_extra_info("socket")
    if sock.family != socket.AF_UNIX:
        for level, option, value in _KEEPALIVE:
            sock.setsockopt(level, option, value)


def _sqlite_connected(busy_seconds: float) -> Any:
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see _sqlite_begin
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma.format(milliseconds=int(busy_seconds * 1000)))
        cursor.close()

    return connected


def _sqlite_begin(connection: Connection) -> None:
    """A change takes the write lock at once: upgrading a read lock later may deadlock."""
    change = connection.get_execution_options().get("rwhoisd_change", False)
    connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE[change]}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if change else "BEGIN")


@asynccontextmanager
async def transaction(engine: AsyncEngine, *, change: bool) -> AsyncIterator[AsyncConnection]:
    """A connection in a transaction, committed on leaving, rolled back on an exception.

    A change sees what others committed up to each statement (the area's row is its lock); a
    reader sees one moment throughout. Raises: StoreError for whatever the database says.
    """
    with translated(engine.url):
        async with AsyncExitStack() as stack:
            connection = await _connect(engine, stack)
            level = "READ COMMITTED" if change else "REPEATABLE READ"
            if engine.dialect.name == "sqlite":
                await connection.execution_options(rwhoisd_change=change)
            elif engine.dialect.name == "postgresql":  # which costs no statement
                await connection.execution_options(isolation_level=level)
            async with connection.begin():
                if engine.dialect.name in ("mysql", "mariadb"):
                    # Said for this transaction alone: the library would have to take it back
                    # afterwards, and loses the connection's place when the server is gone then.
                    await connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {level}")
                yield connection


@asynccontextmanager
async def answering(url: URL) -> AsyncIterator[None]:
    """What is done within is given up when it takes longer: a server that hangs keeps nobody.

    Raises: StoreLostError.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError as error:
        silence = TimeoutError(f"no answer in {ANSWER_SECONDS:g} seconds")
        raise unreachable(url, silence) from error


@asynccontextmanager
async def in_time(url: URL, manager: AbstractAsyncContextManager[_T]) -> AsyncIterator[_T]:
    """``manager``, whose beginning and end may each take ``ANSWER_SECONDS``."""
    async with answering(url):
        value = await manager.__aenter__()
    try:
        yield value
    except BaseException:
        async with answering(url):
            await manager.__aexit__(*sys.exc_info())
        raise
    async with answering(url):
        await manager.__aexit__(None, None, None)


async def _connect(engine: AsyncEngine, stack: AsyncExitStack) -> AsyncConnection:
    """A connection for as long as ``stack`` lasts. An OSError here, and only here, is about the
    database: later ones are the caller's own."""
    try:
        return await stack.enter_async_context(engine.connect())
    except OSError as error:
        raise unreachable(engine.url, error) from error


@asynccontextmanager
async def schema_locked(connection: AsyncConnection) -> AsyncIterator[None]:
    """The right to make tables, within a change; others wait for it.

    Raises: StoreLockedError, when they wait in vain. SQLite's changes come one by one anyway.
    """
    name = connection.dialect.name
    if name == "postgresql":  # let go with the transaction
        longer = _lock_timeout(name, _SCHEMA_SECONDS)
        await connection.exec_driver_sql(f"SET LOCAL {longer}")
        key = func.hashtextextended(_SCHEMA_LOCK, 0)
        await connection.execute(select(func.pg_advisory_xact_lock(key)))
    elif name != "sqlite":  # of the whole server: each database has its own
        key = func.concat(func.database(), "/", _SCHEMA_LOCK)
        if not await connection.scalar(select(func.get_lock(func.sha1(key), _SCHEMA_SECONDS))):
            place = place_of(connection.engine.url)
            raise StoreLockedError(f"another node makes tables at {place}: try again")
        try:
            yield
        finally:
            await connection.execute(select(func.release_lock(func.sha1(key))))
        return
    yield


async def announce(connection: AsyncConnection, area: str) -> None:
    """Let those who ``listen`` hear of a change of ``area``, at its commit and not before."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_notify(CHANNEL, area)))


async def listen(engine: AsyncEngine, heard: Callable[[], None]) -> None:
    """Call ``heard`` now and at each change that is announced, until the connection is lost.

    Returns at once where the database tells nobody. Raises: StoreError.
    """
    if engine.dialect.name != "postgresql":
        return
    with translated(engine.url):
        async with AsyncExitStack() as stack:
            connection = await _connect(engine, stack)
            # It is of no use to others afterwards: it would go on to be told.
            stack.push_async_callback(connection.invalidate)
            driver: Any = (await connection.get_raw_connection()).driver_connection
            lost = asyncio.Event()
            driver.add_termination_listener(lambda _: lost.set())
            try:
                await driver.add_listener(CHANNEL, lambda *_: heard())
            except Exception as error:  # the driver's own, which SQLAlchemy does not see
                raise unreachable(engine.url, error) from error
            heard()  # of what came before we listened
            await lost.wait()
    raise unreachable(engine.url, ConnectionError("it was closed"))


__all__ = [
    "BUSY_SECONDS",
    "announce",
    "answering",
    "check_file",
    "in_time",
    "listen",
    "make_engine",
    "parse_url",
    "place_of",
    "schema_locked",
    "transaction",
]
