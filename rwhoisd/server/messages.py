"""Messages of the server as lines that nobody else can write.

What a client sent may stand in a message. Whatever could begin a new line there, move a cursor or
turn the direction of text is written as an escape, so that a message is what it seems to be.
"""

import logging
import sys
from types import TracebackType
from typing import Final

# Libraries that would write down each statement, with the objects and secrets in it.
_CHATTY: Final = ("alembic", "aiosqlite", "sqlalchemy", "asyncmy", "asyncpg")
FORM: Final = "%(asctime)s rwhoisd[%(process)d] %(levelname)s %(name)s: %(message)s"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PlainFormatter(logging.Formatter):
    """One line for each message; the lines of a traceback behind it are plain as well."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as it is there
        """The message in one line."""
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - as it is there
        """The traceback."""
        return "\n".join(map(plain, super().formatException(ei).split("\n")))


def plain(text: str) -> str:
    """``text`` with what is no visible character as an escape of Python's."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def log_to_stderr(level: str) -> None:
    """Let all messages of at least ``level`` go to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(FORM))
    logging.basicConfig(handlers=[handler], level=level.upper())
    for library in _CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)
