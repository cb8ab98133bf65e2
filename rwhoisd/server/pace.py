"""How far long work is, for the log of a server that nobody watches a terminal of."""

import logging
import time
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

TELL_SECONDS: Final = 10.0  # between two lines, and before the first


class Pace:
    """Tells now and then how much of some work is done, and how fast it goes.

    It is what loads and builds report to: called with what is done, how many of it are, and of
    how many, when that is known. What one stage counts has nothing to do with the next one.
    """

    def __init__(self, doing: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``doing`` begins each line: loading, building the image."""
        self._doing = doing
        self._clock = clock
        self._stage = ""
        self._began = self._told = clock()

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Tell, if it is time to."""
        now = self._clock()
        if what != self._stage:
            # The stage began when the one before it was told of last, or not long after that.
            self._stage, self._began = what, now if self._stage else self._began
        if now < self._told + TELL_SECONDS:
            return
        self._told = now
        seconds = now - self._began
        rate = done / seconds if seconds else 0.0
        left = ""
        if total and rate:
            left = f" of {total}, {max(0.0, (total - done) / rate):.0f} s left"
        logger.info("%s: %s: %d%s, %.0f a second", self._doing, what, done, left, rate)
