"""Keeps the directory true: applies when a source changes, and at every interval.

One apply at a time. What fails is told in the log and tried again at the next interval: a
database that is down or a file that is wrong never ends the service.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from watchfiles import Change, awatch

from rwhoisd.directory.errors import RwhoisError
from rwhoisd.formats.findings import FormatError
from rwhoisd.image.errors import ImageError
from rwhoisd.inventory.publish import Outcome, Publisher
from rwhoisd.inventory.settings import Inventory, read_inventory
from rwhoisd.inventory.survey import Options
from rwhoisd.store import Store, StoreError

logger = logging.getLogger(__name__)

SETTLE_MILLISECONDS: Final = 1_000  # a copy of many files is one change
_SHOWN: Final = 20  # findings that are told one by one


class OpenStore(Protocol):
    """Opens the store for one apply."""

    def __call__(self, *, dry_run: bool) -> AbstractAsyncContextManager[Store]:
        """The store."""


class Watch:
    """One inventory file, watched."""

    def __init__(
        self,
        path: Path,
        open_store: OpenStore,
        applied: Callable[[Store], Awaitable[None]],
        options: Options | None = None,
    ) -> None:
        """``applied`` is called after each apply that changed something: it renews the image."""
        self._path = path
        self._open = open_store
        self._applied = applied
        self._options = options or Options()
        self._stop = asyncio.Event()
        self._due = asyncio.Event()

    def stop(self) -> None:
        """End after what is under way."""
        self._stop.set()
        self._due.set()

    async def run(self) -> None:
        """Apply until told to stop. Raises: FormatError, when the inventory is wrong at start."""
        inventory = read_inventory(self._path)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._due.set)
        while not self._stop.is_set():
            inventory = self._read_again(inventory)
            self._due.clear()
            watching = asyncio.create_task(self._wake(inventory))
            try:
                await self._apply(inventory)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._due.wait(), inventory.table.interval_seconds)
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
        logger.info("stopped")

    def _read_again(self, inventory: Inventory) -> Inventory:
        """The inventory as it is now; a wrong one is told, and the old one stays."""
        try:
            return read_inventory(self._path)
        except FormatError as error:
            logger.error("%s; going on with the inventory as it was", error)
            return inventory

    async def _wake(self, inventory: Inventory) -> None:
        """Say that something is due when a file changes."""
        interests = watched(inventory)

        def is_ours(_change: Change, path: str) -> bool:
            # The database may lie in the same folder, and what an apply writes is no change.
            return any(Path(path).is_relative_to(one) for one in interests)

        # Folders are watched, not files: a file is often replaced by a new one.
        folders = {one if one.is_dir() else one.parent for one in interests}
        try:
            async for changes in awatch(
                *[folder for folder in folders if folder.is_dir()],
                watch_filter=is_ours,
                debounce=SETTLE_MILLISECONDS,
            ):
                logger.info("%s changed", ", ".join(sorted({path for _, path in changes})[:3]))
                self._due.set()
        except (OSError, RuntimeError) as error:  # such as no more watches left in the system
            logger.warning("changes are not noticed, the interval alone counts: %s", error)

    async def _apply(self, inventory: Inventory) -> None:
        try:
            async with self._open(dry_run=False) as store:
                outcome = await Publisher(store, inventory, self._options).apply()
                if outcome.touches:
                    await self._applied(store)
        except (StoreError, ImageError, FormatError, RwhoisError, OSError) as error:
            logger.error("nothing was applied: %s; tried again at the next interval", error)
            return
        tell(outcome, self._options.now())


def watched(inventory: Inventory) -> list[Path]:
    """The files and folders that the inventory reads, itself among them."""
    found = [inventory.path]
    for source in inventory.table.source:
        with suppress(FormatError):
            found += inventory.files_of(source)
        if source.include_root:
            found.append(inventory.place(source.include_root))
    return [path.resolve() for path in found]


def tell(outcome: Outcome, now: datetime) -> None:
    """The outcome in the log: what changed, and how old each source is."""
    for finding in outcome.findings[:_SHOWN]:
        logger.warning("%s", finding)
    for plan in outcome.areas:
        for clash in plan.conflicts[:_SHOWN]:
            logger.warning("area %s: %s", plan.area, clash)
        counts = {step.action.value: plan.count(step.action) for step in plan.steps}
        said = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing to do"
        logger.info("area %s: %s", plan.area, said)
    for area, reason in outcome.refused.items():
        logger.error("area %s: %s", area, reason)
    for state in outcome.sources:
        level = logging.ERROR if state.held else logging.INFO
        held = f"; {state.held}; its records stay as they are" if state.held else ""
        logger.log(
            level, "source %s: %d facts, %s%s", state.name, state.facts, state.age(now), held
        )
