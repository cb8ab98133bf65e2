"""``/etc/network/interfaces`` of ifupdown, ifupdown2 and ifupdown-ng, interfaces(5)."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final

from rwhoisd.inventory.facts import Place
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.interfaces import InterfaceAddress, interface_address
from rwhoisd.inventory.words import is_placeholder

# What begins at these words is no longer the stanza before.
_STARTS: Final = re.compile(
    r"(?:iface|auto|allow-\S+|mapping|source|source-directory|rename|template|no-\S+)\Z"
)
_NAME_CHARS: Final = 64  # more than the kernel's 15; a hook may repeat the name at will
_HOOKS: Final = frozenset({"up", "pre-up", "post-up"})
_COMMANDS: Final = re.compile(r"&&|\|\||[;|]")
_BEFORE: Final = frozenset({"sudo", "do", "then", "-"})  # a command of a hook
_WITH_VALUE: Final = frozenset({"label", "scope", "brd", "broadcast", "peer", "metric"})
_ADD: Final = frozenset({"a", "ad", "add", "replace", "change", "append"})


@dataclass
class _Stanza:
    """``iface NAME FAMILY METHOD`` and its options; the mask may come behind the addresses."""

    name: str
    addresses: list[tuple[Place, str]] = field(default_factory=list)
    mask: str = ""
    commands: list[tuple[Place, list[str]]] = field(default_factory=list)

    def found(self, report: Report) -> Iterator[InterfaceAddress | None]:
        for place, text in self.addresses:
            yield interface_address(place, self.name, text, report, mask=self.mask)
        for place, words in self.commands:
            for one in _command(words, self.name):
                yield interface_address(place, one.device, one.text, report, mask=one.mask)


def read_ifupdown(file: TextFile, inputs: Inputs, report: Report) -> Iterator[InterfaceAddress]:
    """The addresses of every stanza, and those that its hooks add."""
    stanza = _Stanza("")
    for place, words in _lines(file):
        if _STARTS.match(words[0]):
            yield from filter(None, stanza.found(report))
            named = words[0] == "iface" and len(words) > 1
            stanza = _Stanza(words[1][:_NAME_CHARS] if named else "")
            if words[0] in ("source", "source-directory") and len(words) > 1:
                yield from _included(words, place, inputs, report)
        elif stanza.name:
            _option(stanza, place, words)
    yield from filter(None, stanza.found(report))


def _lines(file: TextFile) -> Iterator[tuple[Place, list[str]]]:
    r"""The words of each line; a ``\`` at its end goes on with the next one."""
    begun, at = "", 0
    parts: list[str] = []
    for number, line in enumerate(file.lines, 1):
        if not parts:
            at, begun = number, line.lstrip()
        if begun.startswith("#"):
            parts = []
            continue
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        words = " ".join([*parts, line]).split()
        parts = []
        if words:
            yield file.at(at), words
    if words := " ".join(parts).split():
        yield file.at(at), words


def _option(stanza: _Stanza, place: Place, words: Sequence[str]) -> None:
    key, *values = words
    if not values:
        return
    if key == "address":
        stanza.addresses.append((place, values[0]))
    elif key == "netmask":
        stanza.mask = values[0]
    elif key in _HOOKS:
        stanza.commands.append((place, values))


def _included(
    words: Sequence[str], place: Place, inputs: Inputs, report: Report
) -> Iterator[InterfaceAddress]:
    for pattern in words[1:]:
        glob = f"{pattern.rstrip('/')}/*" if words[0] == "source-directory" else pattern
        for file in inputs.included(glob, place, report):
            yield from read_ifupdown(file, inputs.deeper([file]), report)


@dataclass
class _Added:
    """What a command adds to an interface."""

    device: str
    text: str = ""
    mask: str = ""


def _command(words: Sequence[str], interface: str) -> Iterator[_Added]:
    """The addresses that the commands of a hook add; ``$IFACE`` is the stanza's interface."""
    text = " ".join(words).replace("${IFACE}", interface).replace("$IFACE", interface)
    for command in _COMMANDS.split(text.replace('"', " ").replace("'", " ")):
        parts = list(dropwhile(lambda word: word in _BEFORE or "=" in word, command.split()))
        if parts and (parse := _PARSERS.get(parts[0].rpartition("/")[2])):
            added = parse(parts[1:], interface)
            if added.text:
                yield added


def _ip(words: Sequence[str], interface: str) -> _Added:
    """``ip [-4] addr add ADDRESS[/N] [dev DEVICE] [label LABEL]``."""
    added = _Added(interface)
    rest = [word for word in words if not word.startswith("-")]
    if len(rest) < 3 or not "address".startswith(rest[0]) or rest[1] not in _ADD:
        return added
    words_left = iter(rest[2:])
    for word in words_left:
        if word == "dev":
            added.device = next(words_left, interface)
        elif word == "local":
            added.text = next(words_left, "")
        elif word in _WITH_VALUE:
            next(words_left, None)
        else:
            added.text = added.text or word
    # Without a mask it is one address alone, ip-address(8).
    added.mask = "128" if ":" in added.text else "32"
    return added


def _ifconfig(words: Sequence[str], interface: str) -> _Added:
    """``ifconfig DEVICE [inet|inet6|add] ADDRESS[/N] [netmask MASK]``."""
    device, *rest = words or [interface]
    added = _Added(device)
    rest = [word for word in rest if word not in ("inet", "inet6", "add", "alias")]
    # Other words may stand there: up, mtu, hw ether and so on.
    if rest and ("." in rest[0] or ":" in rest[0] or is_placeholder(rest[0])):
        added.text = rest[0]
    if "netmask" in rest[:-1]:
        added.mask = rest[rest.index("netmask") + 1]
    return added


_PARSERS: Final[dict[str, Callable[[Sequence[str], str], _Added]]] = {
    "ip": _ip,
    "ifconfig": _ifconfig,
}
