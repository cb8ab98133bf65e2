"""keepalived.conf: VRRP addresses, virtual servers and their real servers (keepalived.conf(5)).

Read are the keywords of ``_Facts`` and nothing else; a check's ``connect_ip`` or ``bindto`` is a
word like any other and never looked at. Keywords are taken in order, at whatever depth they
stand, as keepalived itself does: a lost ``}`` does not hide what follows.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import (
    TCP,
    Address,
    Fact,
    Forwarding,
    Host,
    Place,
    RealServer,
    Vip,
)
from rwhoisd.inventory.source import INCLUDED_FILES, Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources.blocks import Grammar, Statement, tree_of, walk
from rwhoisd.inventory.sources.lvs import Machine, Service, forwarding

GRAMMAR: Final = Grammar(comments="#!", quotes='"', terminator="\n", marks_within_words=True)
_INCLUDE: Final = re.compile(r"include[rmwba]?\Z")
_NESTED: Final = 32  # blocks in each other; deeper ones are left as they are
_INSTANCE_ID: Final = re.compile(r"@\^?[^@{]+\Z")  # ``@name text``; not ``@NAME@`` of a template
_DEFINITION: Final = re.compile(r"\$(\w+)=(.*)\Z", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_EXPANDED: Final = 1024  # characters of a word, with what its variables stand for
_REPEATED: Final = re.compile(r"~(?:SEQx?|LST)\(")  # the rest of the line, once for each value
# Where one of these stands, the service or instance before it has ended.
_ROOTS: Final = frozenset({
    "global_defs", "virtual_server", "virtual_server_group", "vrrp_instance", "vrrp_script",
    "vrrp_sync_group", "static_ipaddress", "static_routes", "static_rules", "local_address_group",
    "vrrp_track_process", "vrrp_track_file", "track_file", "bfd_instance",
})  # fmt: skip
# Words in a line of addresses that take the next word (ip-address(8)).
_TAKES_VALUE: Final = frozenset({
    "brd", "broadcast", "dev", "label", "scope", "peer", "preferred_lft", "valid_lft",
    "track_group", "metric", "proto",
})  # fmt: skip
Groups = Mapping[str, Mapping[tuple[str, ...], Statement]]  # lines by their words


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    """The facts of all files; a group may be declared in another file than its service."""
    files = [tuple(_Loader(report).load(file, inputs)) for file in inputs.files]
    everywhere = _groups(one for statements in files for one in statements)
    for statements in files:
        yield from _Facts({**everywhere, **_groups(statements)}, report).of(statements)


def _groups(statements: Iterable[Statement]) -> dict[str, dict[tuple[str, ...], Statement]]:
    """The lines of each ``virtual_server_group``; those of one name go together."""
    found: dict[str, dict[tuple[str, ...], Statement]] = {}
    for one in walk(tuple(statements)):
        if one.keyword == "virtual_server_group":
            group = found.setdefault(one.word(1), {})
            for line in one.body or ():
                if line.body is None:
                    group.setdefault(line.words, line)
    return found


class _Loader:
    """Reads a file with what it includes; variables go on from one to the next."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._variables: dict[str, str | None] = {}  # None: it stands for a block
        self._chain: list[str] = []  # files under way: an include of one of them is a loop
        self._count = 0

    def load(self, file: TextFile, inputs: Inputs) -> Iterator[Statement]:
        """Its statements; an include statement is replaced by those of the files it names."""
        tree = tree_of(file, GRAMMAR)
        for place in tree.unclosed[:_NESTED]:
            self._report.partial(place, "the block that opens here is not closed; add its }")
        for place in tree.stray[:_NESTED]:
            self._report.warn(place, "a } closes nothing; is one before it needless?")
        self._chain.append(file.name)
        yield from self._resolved(tree.statements, inputs)
        self._chain.pop()

    def _resolved(
        self, statements: Iterable[Statement], inputs: Inputs, depth: int = 0
    ) -> Iterator[Statement]:
        for one in statements:
            if _INSTANCE_ID.match(one.keyword) and len(one.words) > 1:
                # Which machine reads the file is not known: each one's lines count.
                one = replace(one, words=one.words[1:])
            if self._define(one):
                continue
            if "$" in "".join(one.words):
                one = self._expanded(one)
            if _REPEATED.match(one.keyword):
                self._report.partial(one.place, "~SEQ and ~LST are not expanded; write it out")
            elif _INCLUDE.match(one.keyword):
                yield from self._included(one, inputs)
            elif one.body and depth < _NESTED:
                yield replace(one, body=tuple(self._resolved(one.body, inputs, depth + 1)))
            else:
                yield one

    def _define(self, one: Statement) -> bool:
        """Whether a statement is ``$NAME=value``; it is taken."""
        found = _DEFINITION.match(one.keyword)
        if found is None:
            return False
        value = " ".join([found[2], *one.values]).strip()
        self._variables[found[1]] = value if one.body is None else None
        return True

    def _expanded(self, one: Statement) -> Statement:
        """A statement with values for its variables; one that has none stays as it is."""

        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            known = self._variables.get(name, match[0])
            if known is None:
                self._report.partial(one.place, "a variable that holds a block is not expanded")
            return match[0] if known is None else known

        words = one.words
        for _ in range(_NESTED):  # a value may name variables itself
            text = [_VARIABLE.sub(value, word)[:_EXPANDED] for word in words]
            new = tuple(part for word in text for part in word.split() or [word])
            if new == words:
                break
            words = new[:_EXPANDED]
        return replace(one, words=words)

    def _included(self, one: Statement, inputs: Inputs) -> Iterator[Statement]:
        for file in inputs.included(one.word(1), one.place, self._report):
            self._count += 1
            if file.name in self._chain or self._count > INCLUDED_FILES:
                self._report.warn(one.place, "include names a file that is being read; left out")
            else:
                yield from self.load(file, inputs.deeper([file]))


@dataclass(frozen=True, slots=True)
class _VirtualServer:
    """What the real servers of a ``virtual_server`` need to know of it."""

    services: tuple[Service, ...] = ()
    protocol: str = TCP
    forwarding: Forwarding | None = None
    group: str | None = None
    is_outgoing: bool = False  # SNAT of DPVS: what it calls real servers clients get as addresses


class _Facts:
    """Goes over statements in order; knows which instance or service it is in."""

    def __init__(self, groups: Groups, report: Report) -> None:
        self._groups = groups
        self._report = report
        self._instance: str | None = None
        self._server = _VirtualServer()
        self._readers: Mapping[str, Callable[[Statement], Iterator[Fact]]] = {
            "virtual_server": self._virtual_server,
            "real_server": self._real_server,
            "sorry_server": self._real_server,
            "virtual_ipaddress": self._virtual_addresses,
            "virtual_ipaddress_excluded": self._virtual_addresses,
            "static_ipaddress": self._static_addresses,
        }

    def of(self, statements: tuple[Statement, ...]) -> Iterator[Fact]:
        """The facts of statements."""
        for one in walk(statements):
            if one.keyword in _ROOTS:
                self._instance = one.word(1) if one.keyword == "vrrp_instance" else None
                self._server = _VirtualServer()
            reader = self._readers.get(one.keyword)
            if reader is not None:
                yield from reader(one)

    # --- VRRP ---

    def _virtual_addresses(self, block: Statement) -> Iterator[Fact]:
        for line in block.body or ():
            for where in self._addresses(line):
                yield Vip(place=line.place, where=where, belongs_to=self._instance or None)

    def _static_addresses(self, block: Statement) -> Iterator[Fact]:
        for line in block.body or ():
            for where in self._addresses(line):
                yield Host(place=line.place, where=where)

    def _addresses(self, line: Statement) -> Iterator[Address]:
        """The addresses of ``ADDR[/MASK] [dev IF] [label L] …``; more may stand on one line."""
        if line.body is not None:
            return  # the block of addresses misses its }
        found = False
        rest = iter(line.words)
        for word in rest:
            if word.startswith("//"):  # to people it is a comment
                break
            if word.lower() in _TAKES_VALUE:
                next(rest, None)
            elif (where := words.address(word)) is not None:
                found = True
                yield where
        if not found:
            self._skip(line, line.keyword, "address")

    # --- LVS ---

    def _virtual_server(self, one: Statement) -> Iterator[Fact]:
        settings = _settings(one)
        if one.word(1) == "match":
            self._server = _VirtualServer(is_outgoing=True)
            return
        protocol = words.protocol(settings.get("protocol", TCP))
        if protocol is None:
            self._report.warn(one.place, "protocol is not TCP, UDP or SCTP; read as TCP")
            protocol = TCP
        kind = forwarding(settings.get("lb_kind", settings.get("lvs_method", "")))
        group = one.word(2) if one.word(1) == "group" else None
        placed = list(self._services(one, protocol))
        services = tuple(service for _, service in placed)
        self._server = _VirtualServer(services, protocol, kind, group)
        for place, service in placed:
            if service.machine is not None:
                yield Vip(
                    place=place, where=service.machine.where, port=service.port,
                    protocol=protocol if service.port else None, belongs_to=group,
                    forwarding=kind, pool=group,
                )  # fmt: skip

    def _services(self, one: Statement, protocol: str) -> Iterator[tuple[Place, Service]]:
        """Of ``virtual_server ADDR PORT``, ``virtual_server fwmark N``, ``… group NAME``."""
        if one.word(1) != "group":
            for service in self._line_services(one, one.values, protocol):
                yield one.place, service
            return
        lines = self._groups.get(one.word(2))
        if lines is None:
            self._report.warn(one.place, "virtual_server names a group that is not declared")
        for line in (lines or {}).values():
            for service in self._line_services(line, line.words, protocol):
                yield line.place, service

    def _line_services(
        self, line: Statement, said: tuple[str, ...], protocol: str
    ) -> Iterator[Service]:
        """Of ``ADDR [PORT]``, ``ADDR-RANGE [PORT]`` or ``fwmark N``."""
        first, second = (*said, "", "")[:2]
        if first == "fwmark":
            if second.isascii() and second.isdigit():
                yield Service(protocol=protocol, mark=int(second[:10]))
            else:
                self._skip(line, second, "fwmark")
            return
        if line.keyword == "virtual_server":  # one address; a range only in a group
            first = first.partition("/")[0]
        found = words.addresses_of(first)
        if found is None:
            self._skip(line, first, "address")
        for where in found or ():
            yield Service(Machine(where), self._port(line, second), protocol)

    def _real_server(self, one: Statement) -> Iterator[Fact]:
        """``real_server ADDR [PORT]`` and ``sorry_server ADDR [PORT]``."""
        server = self._server
        if server.is_outgoing:
            return
        machine = Machine.of(one.word(1))
        if machine is None:
            self._skip(one, one.word(1), "address")
            return
        port = self._port(one, one.word(2))
        kind = forwarding(_settings(one).get("lvs_method", "")) or server.forwarding
        keys: list[str | None] = [service.key for service in server.services]
        for key in keys or [None]:
            yield RealServer(
                place=one.place, where=machine.where, name=machine.name, port=port,
                protocol=server.protocol if port else None, belongs_to=key, forwarding=kind,
                standby=one.keyword == "sorry_server", pool=server.group,
            )  # fmt: skip

    def _port(self, one: Statement, word: str) -> int | None:
        """A port; none and 0 stand for all ports."""
        if not word.strip("0"):
            return None
        port = words.port(word)
        if port is None:
            self._report.warn(one.place, "what stands for a port is none; read as all ports")
        return port

    def _skip(self, one: Statement, word: str, what: str) -> None:
        """Warn of a word that is no ``what``."""
        why = "is still to be filled in" if words.is_placeholder(word) else "is none"
        self._report.warn(one.place, f"what stands for the {what} {why}; the line is skipped")


def _settings(one: Statement) -> dict[str, str]:
    """First value of each plain statement in a block, the last one counting."""
    return {inner.keyword: inner.word(1) for inner in one.body or () if inner.body is None}


SOURCE: Final = WholeSource(
    "keepalived",
    "keepalived.conf: VRRP addresses, virtual servers and their real servers",
    ("*.conf",),
    _read,
)
