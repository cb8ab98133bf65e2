"""TCP-wrappers access files: ``services : clients`` lines, first match wins (§11.8).

Names of clients are never looked up: DNS is neither fast nor to be trusted here. Patterns that
would need a name (``.suffix``, ``LOCAL``, ``KNOWN``, a host name) match only when the caller
knows one; the reader of an installation reports them.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rwhoisd.directory.names import Network

CONNECTION: Final = "rwhoisd"  # the service name of a connection; others are directive names
_COLON: Final = re.compile(r":(?![^\[]*\])")  # a colon that is not within [...]
_WORDS: Final = re.compile(r"[^\s,]+")
_WITH_NAME: Final = frozenset({"LOCAL", "KNOWN"})


@dataclass(frozen=True, slots=True)
class PatternList:
    """``a b EXCEPT c``: matches what a pattern matches and the exception does not."""

    patterns: tuple[str, ...]
    excepts: "PatternList | None" = None

    def matches(self, test: Callable[[str], bool]) -> bool:
        """Whether ``test`` holds for one of the patterns, but not for the exception."""
        if not any(test(pattern) for pattern in self.patterns):
            return False
        return self.excepts is None or not self.excepts.matches(test)

    def all_patterns(self) -> Iterator[str]:
        """Its patterns and those of its exceptions."""
        yield from self.patterns
        if self.excepts is not None:
            yield from self.excepts.all_patterns()

    def __str__(self) -> str:
        text = " ".join(self.patterns)
        return f"{text} EXCEPT {self.excepts}" if self.excepts else text


@dataclass(frozen=True, slots=True)
class WrapperRule:
    """One line of an access file. ``command`` is the third field; it is never run."""

    services: PatternList
    clients: PatternList
    command: str = ""
    line: int = 0

    def matches(self, service: str, address: str, name: str | None) -> bool:
        """Whether the rule speaks of this service and this client."""
        return self.services.matches(lambda p: _service_matches(p, service)) and (
            self.clients.matches(lambda p: client_matches(p, address, name))
        )


def allowed(
    service: str,
    address: str,
    allow_rules: Sequence[WrapperRule],
    deny_rules: Sequence[WrapperRule],
    name: str | None = None,
) -> bool:
    """Whether a client may use a service: allow file, then deny file, else yes (§11.8).

    ``service`` is ``rwhoisd`` for the connection itself, a directive without ``-`` otherwise.
    ``address`` is plain text; IPv4 clients of a dual-stack socket come as dotted quads.
    """
    if any(rule.matches(service, address, name) for rule in allow_rules):
        return True
    return not any(rule.matches(service, address, name) for rule in deny_rules)


def parse(text: str) -> tuple[tuple[WrapperRule, ...], list[tuple[int, str]]]:
    """The rules of an access file, and what is odd about it as (line, message).

    A last line without line end is ignored, as the wrappers library does.
    """
    rules: list[WrapperRule] = []
    odd: list[tuple[int, str]] = []
    lines = text.split("\n")
    if lines[-1].strip():
        odd.append((len(lines), "the last line has no line end and is ignored; end it"))
    for number, line in _logical(lines[:-1]):
        fields = [f.strip() for f in _COLON.split(line, maxsplit=2)]
        if len(fields) < 2:
            odd.append((number, f"rule {line!r} has no ':' between services and clients; ignored"))
            continue
        services, clients = (_pattern_list(_WORDS.findall(field)) for field in fields[:2])
        rule = WrapperRule(services, clients, fields[2] if len(fields) > 2 else "", number)
        rules.append(rule)
        odd += [(number, message) for message in _remarks(rule)]
    return tuple(rules), odd


def _logical(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined, without comments and blank ones."""
    held, first = "", 0
    for number, line in enumerate(lines, 1):
        first = first or number
        if line.endswith("\\"):
            held += line[:-1]
            continue
        whole = (held + line).strip()
        if whole and not whole.startswith("#"):
            yield first, whole
        held, first = "", 0


def _pattern_list(words: Sequence[str]) -> PatternList:
    for place, word in enumerate(words):
        if word.upper() == "EXCEPT":
            return PatternList(tuple(words[:place]), _pattern_list(words[place + 1 :]))
    return PatternList(tuple(words))


def _remarks(rule: WrapperRule) -> Iterator[str]:
    if rule.command:
        yield f"command {rule.command!r} is never run; the rule itself counts"
    for pattern in rule.clients.all_patterns():
        if pattern.startswith("@"):
            yield f"netgroup {pattern} is not supported and matches nobody; list addresses"
        elif needs_name(pattern):
            yield f"client {pattern} needs a name, names are not looked up; list addresses"


def needs_name(pattern: str) -> bool:
    """Whether a client pattern speaks of names rather than addresses."""
    if pattern.upper() == "ALL" or pattern.endswith(".") or "/" in pattern:
        return False
    return _address(pattern.strip("[]")) is None


def _service_matches(pattern: str, service: str) -> bool:
    return pattern.upper() == "ALL" or pattern.lower() == service.lower()


def client_matches(pattern: str, address: str, name: str | None = None) -> bool:
    """Whether a client pattern matches an address, or the name if it is known."""
    word = pattern.upper()
    if word == "ALL":
        return True
    if word in _WITH_NAME:
        return name is not None and (word == "KNOWN" or "." not in name)
    if pattern.startswith("."):
        return name is not None and name.lower().endswith(pattern.lower())
    if pattern.endswith("."):
        return address.startswith(pattern)
    if pattern.startswith("["):
        return _in_v6(pattern, address)
    if "/" in pattern:
        return _in_masked(pattern, address)
    same_name = name is not None and pattern.lower() == name.lower()
    return same_name or pattern.lower() == address.lower()


@lru_cache(maxsize=4096)
def _address(text: str) -> Network | None:
    network = Network.from_text(text) if "/" not in text else None
    if network is None and text.startswith(":"):
        try:
            return Network(6, int(ipaddress.IPv6Address(text)), 128)
        except ValueError:
            return None
    return network


def _in_v6(pattern: str, address: str) -> bool:
    base, _, length = pattern.strip("[]").partition("/")
    outer, inner = _address(base), _address(address)
    if outer is None or inner is None or not (length.isdecimal() or length == ""):
        return False
    bits = int(length) if length else 128
    return bits <= 128 and inner.within(Network.masked(6, outer.start, bits))


def _in_masked(pattern: str, address: str) -> bool:
    """``net/mask`` with dotted quads on both sides; ``/len`` is no such thing (§11.8)."""
    base, _, mask = pattern.partition("/")
    net, bits, client = _address(base), _address(mask), _address(address)
    if net is None or bits is None or client is None or {net.family, client.family} != {4}:
        return False
    return client.start & bits.start == net.start
