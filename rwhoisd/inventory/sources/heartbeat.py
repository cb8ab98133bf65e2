"""Heartbeat: the addresses that a line of haresources moves between machines are VIPs.

``NODE RESOURCE RESOURCE …``: a bare address, ``IPaddr::…``, ``IPaddr2::…`` or ``IPv6addr::…``
belongs to the preferred node (ipres() of ResourceManager; inventory-formats.md §5).
"""

import re
from collections.abc import Iterator
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Fact, Place, Vip
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.targets import target_of

_ARGUMENTS: Final = "::"
_AGENTS: Final = re.compile(r"(?:\w+_)?(?:IPaddr2?|IPv6addr)\Z", re.IGNORECASE)
_LOOKS_LIKE_ADDRESS: Final = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]*){3}(?:/|\Z)")  # as isip()


def _lines(file: TextFile) -> Iterator[tuple[int, list[str]]]:
    """The words of each logical line, which goes on behind a ``\\`` at its end."""
    found: list[str] = []
    begin = 0
    for number, line in enumerate(file.lines, 1):
        text = line.partition("#")[0].rstrip()
        goes_on = text.endswith("\\")
        text = text.removesuffix("\\")
        begin = begin if found else number
        found += text.split()
        if not goes_on:
            if found:
                yield begin, found
            found = []
    if found:
        yield begin, found


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    del inputs
    for number, (node, *resources) in _lines(file):
        place = file.at(number)
        owner = None if words.is_placeholder(node) else node
        for resource in resources:
            if where := _vip(resource, place, report):
                yield Vip(place=place, where=where, belongs_to=owner)


def _vip(resource: str, place: Place, report: Report) -> Address | None:
    """The address of a resource; None: it is another resource."""
    agent, has_arguments, rest = resource.partition(_ARGUMENTS)
    if has_arguments and _AGENTS.match(agent):
        # The delimiter stands in IPv6 addresses too, so the first argument may have it.
        whole = rest.partition("/")[0]
        first = whole if words.address(whole) else whole.partition(_ARGUMENTS)[0]
        return _address(first, place, report)
    bare = resource.partition("/")[0]
    if words.address(bare) is not None or _LOOKS_LIKE_ADDRESS.match(resource):
        return _address(bare, place, report)
    return None


def _address(word: str, place: Place, report: Report) -> Address | None:
    """The agents take no names, so a name only holds the place of an address."""
    target = target_of(word, place, report)
    if target is not None and target.where is None:
        report.warn(place, "an address that is none; skipped")
    return target.where if target else None


SOURCE: Final = FileSource(
    "heartbeat",
    "Heartbeat haresources: service addresses as VIPs of their preferred node",
    ("haresources", "haresources.*"),
    _read,
)
