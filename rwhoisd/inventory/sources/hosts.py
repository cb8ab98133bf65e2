"""Hosts files, hosts(5): ``ADDRESS NAME ALIAS…``, one host for each address."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.inventory.facts import Address, Fact, Host, Place
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.words import address, is_host_name, is_placeholder, is_publishable

# Names that distributions put there; an address with no other name is no host of the operator.
_DISTRIBUTION: Final = re.compile(
    r"(?:localhost|localhost[46]?\.localdomain[46]?|localhost[46]|broadcasthost"
    r"|ipv?6-(?:localhost|loopback|localnet|mcastprefix|all(?:nodes|routers|hosts)))\Z",
    re.IGNORECASE,
)


@dataclass
class _Entry:
    """What all lines of one address say."""

    place: Place
    names: dict[str, None] = field(default_factory=dict)  # in order, each once

    def host(self, where: Address) -> Host:
        names = tuple(self.names)
        name = names[0] if names else None
        return Host(place=self.place, where=where, name=name, aliases=names[1:])


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    del inputs
    entries: dict[Address, _Entry] = {}
    for number, line in enumerate(file.lines, 1):
        words = line.partition("#")[0].split()
        if words:
            _read_line(words, file.at(number), entries, report)
    yield from (entry.host(where) for where, entry in entries.items())


def _read_line(
    words: list[str], place: Place, entries: dict[Address, _Entry], report: Report
) -> None:
    """One line more for the address that it begins with."""
    where = address(words[0])
    if where is None:
        what = "is still to be filled in" if is_placeholder(words[0]) else "is none"
        report.warn(place, f"the address {what}; the line is skipped")
        return
    if not is_publishable(where):
        return
    names = [name for name in words[1:] if not _DISTRIBUTION.match(name)]
    if any(map(is_placeholder, names[:1])):
        report.warn(place, "the name is still to be filled in; the line is skipped")
        return
    good = [name for name in names if is_host_name(name)]
    if len(good) < len(names):
        report.warn(place, "has a word that is no host name; the word is skipped")
    if names:  # the address is in use, whatever it is called
        entries.setdefault(where, _Entry(place)).names.update(dict.fromkeys(good))
    elif len(words) == 1:
        report.warn(place, "the address has no name; the line is skipped")


SOURCE: Final = FileSource(
    "hosts", "hosts files: addresses and names", ("hosts", "hosts.*", "*.hosts", "hosts-*"), _read
)
