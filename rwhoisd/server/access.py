"""Access rules as the server applies them: those of the configuration and ARIN's files.

The files are looked at again when they changed, a few times a second at most. A file that
cannot be read leaves the rules as they were and says so: a door does not open because a file
is gone.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rwhoisd.directory.access import AccessRules, address_from_text
from rwhoisd.formats.hosts_access import CONNECTION, WrapperRule, allowed, parse

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.1
_MOST_VERDICTS: Final = 8192


class AccessFiles:
    """An allow and a deny file in the style of TCP wrappers (arin-rwhoisd.md §11.8)."""

    def __init__(self, allow: Path | None, deny: Path | None) -> None:
        """Raises: OSError, when a file that is named cannot be read."""
        self._files = (allow, deny)
        self._rules: tuple[tuple[WrapperRule, ...], ...] = ((), ())
        self._verdicts: dict[tuple[str, str], bool] = {}
        self._stamps = self._look()
        self._read()
        self._next_look = time.monotonic() + LOOK_SECONDS

    def allows(self, service: str, address: str) -> bool:
        """Whether a client may use a service: ``rwhoisd``, or a directive by its name."""
        if time.monotonic() > self._next_look:
            self._refresh()
        key = (service, address)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = allowed(service, address, self._rules[0], self._rules[1])
            if len(self._verdicts) >= _MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def _refresh(self) -> None:
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            stamps = self._look()
            if stamps == self._stamps:
                return
            self._read()
            self._stamps = stamps
        except OSError as error:
            logger.error("access file %s: %s; the rules stay as they were", *_told(error))
            self._next_look += 60.0  # said once a minute

    def _look(self) -> list[tuple[int, int, int]]:
        found = [path.stat() for path in self._files if path]
        return [(s.st_mtime_ns, s.st_size, s.st_ino) for s in found]

    def _read(self) -> None:
        texts = [path.read_text("latin-1") if path else "" for path in self._files]
        self._rules = tuple(parse(text)[0] for text in texts)
        self._verdicts.clear()


class Access:
    """Who may connect, use a directive, or transfer an area."""

    def __init__(
        self,
        directives: Mapping[str, AccessRules],
        areas: Mapping[str, AccessRules],
        files: AccessFiles | None = None,
    ) -> None:
        """``directives`` and ``areas`` are keyed by lower-case name; None is everybody."""
        self._directives = {name.lower(): rules for name, rules in directives.items() if rules}
        self._areas = {name.lower(): rules for name, rules in areas.items() if rules}
        self._files = files

    def may_connect(self, address: str) -> bool:
        """Whether the files let a client in; listeners have rules of their own besides."""
        return self._files is None or self._files.allows(CONNECTION, address)

    def may_use(self, name: str, address: str) -> bool:
        """Whether a client may use a directive, named as the table of directives spells it."""
        if not _holds(self._directives.get(name.lower()), address):
            return False
        return self._files is None or self._files.allows(name, address)

    def may_transfer(self, area: str, address: str) -> bool:
        """Whether a client may transfer an area, named by its key."""
        return _holds(self._areas.get(area.lower()), address)


def _holds(rules: AccessRules | None, address: str) -> bool:
    return rules is None or rules.allows(address_from_text(address))


def _told(error: OSError) -> tuple[object, object]:
    return error.filename, error.strerror
