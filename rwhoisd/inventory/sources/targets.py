"""What a statement of a load balancer points at: an address, a name, ports."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Place
from rwhoisd.inventory.source import Report

MOST_PORTS: Final = 1024  # of one range
_TOOL_MARKS: Final = re.compile(r"[<>{}$%@]")
_WILDCARDS: Final = frozenset({"", "*"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost4", "localhost6", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Target:
    """A machine: its address, else its name."""

    where: Address | None = None
    name: str | None = None

    def __str__(self) -> str:
        return str(self.where or self.name)


def target_of(host: str, place: Place, report: Report) -> Target | None:
    """The machine of an address or a host name.

    None: a wildcard or this machine itself, without a word; a placeholder or what is neither
    address nor name, with a warning.
    """
    where = words.address(host)
    if where is not None:
        return Target(where) if words.is_publishable(where) else None
    if host in _WILDCARDS or is_loopback_name(host):
        return None
    if words.is_placeholder(host):
        report.warn(place, "an address is still to be filled in; skipped")
    elif words.is_host_name(host):
        return Target(name=host.rstrip("."))
    else:
        report.warn(place, "an address that is none; skipped")
    return None


def is_loopback_name(host: str) -> bool:
    """Whether a name stands for the machine itself."""
    first, _, rest = host.lower().rstrip(".").partition(".")
    return first in _LOOPBACK_NAMES and rest in ("", "localdomain", "localdomain4", "localdomain6")


def ports_of(text: str, place: Place, report: Report) -> Iterator[int | None]:
    """The ports of ``80`` or ``8000-8010``; one None when there is none to tell."""
    first_text, is_range, last_text = text.partition("-")
    first = words.port(first_text)
    last = words.port(last_text) if is_range else first
    if first is None or last is None or last < first:
        if text not in ("", "0"):
            report.warn(place, "a port that is none; the fact goes without")
        yield None
    elif last - first >= MOST_PORTS:
        report.warn(place, f"more than {MOST_PORTS} ports; the fact goes without")
        yield None
    else:
        yield from range(first, last + 1)


def is_open_name(name: str) -> bool:
    """Whether a tool has yet to write this name of a pool; ``xxx.api`` is a name like others."""
    return _TOOL_MARKS.search(name) is not None
