"""What the workers counted, for the operator: a file in the state folder and a line in the log.

The file is renewed while something changes; ``rwhois-admin status`` shows it. The line is written
when the server stops; what the limits did meanwhile the supervisor tells each minute.
"""

import json
import logging
import time
from pathlib import Path

from rwhoisd.server.limits import Counter, LimitTable

logger = logging.getLogger(__name__)


class CounterReport:
    """Tells what is in the table; asked again and again by the supervisor."""

    def __init__(self, table: LimitTable, path: Path) -> None:
        self._table = table
        self._path = path
        self._started = _moment()
        self._written: dict[str, int] | None = None

    def totals(self) -> dict[str, int]:
        """Each counter summed over all workers."""
        return {counter.name.lower(): self._table.total(counter) for counter in Counter}

    def tell(self, *, last: bool = False) -> None:
        """Write what is due; ``last``: all of it, as the server stops."""
        totals = self.totals()
        if last or totals != self._written:
            self._write(totals)
        if last:
            logger.info("counted: %s", " ".join(f"{k}={v}" for k, v in totals.items()))

    def _write(self, totals: dict[str, int]) -> None:
        """A whole file or none, in place of the one before."""
        facts = {"since": self._started, "at": _moment(), **totals}
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps(facts) + "\n", encoding="ascii")
            new.replace(self._path)
        except OSError as error:
            if self._written is not None:
                logger.warning("%s: %s", self._path, error.strerror)
            return
        finally:
            self._written = totals


def _moment() -> str:
    """ISO time in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
