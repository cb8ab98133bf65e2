"""mysql-mmm: ``<host db1>`` are nodes, the addresses of ``<role writer>`` are VIPs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rwhoisd.inventory.facts import Fact, Place, Vip
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.mysql_nodes import Node
from rwhoisd.inventory.words import address, is_placeholder

_OPEN: Final = re.compile(r"<\s*(\w+)(?:\s+([^\s<>]+))?\s*>\Z")
_CLOSE: Final = re.compile(r"</\s*(\w+)\s*>\Z")
_WRITER: Final = "writer"  # of ``active_master_role``, when it is not set
_DEFAULT: Final = "default"


class _Value(NamedTuple):
    place: Place
    text: str


@dataclass
class _Block:
    """``<sort name>``; the outermost has neither."""

    place: Place
    sort: str = ""
    name: str = ""
    values: dict[str, _Value] = field(default_factory=dict)

    def words(self, key: str) -> list[str]:
        """The words of a list, parted by commas or blanks."""
        value = self.values.get(key)
        return value.text.replace(",", " ").split() if value else []

    def word(self, key: str) -> str:
        """The first word."""
        return next(iter(self.words(key)), "")


def read_mmm(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """Nodes and VIPs of a file and those that it includes."""
    blocks = list(_blocks(file, inputs, report))
    hosts = [block for block in blocks if block.sort == "host"]
    roles = [block for block in blocks if block.sort == "role"]
    active = next((word for block in blocks if (word := block.word("active_master_role"))), _WRITER)
    default = next((block for block in hosts if block.name == _DEFAULT), _Block(file.at(0)))
    shared = _writers(roles, active)
    for block in hosts:
        if block.name != _DEFAULT and (fact := _node(block, default, shared).fact(report)):
            yield fact
    for role in roles:
        yield from _vips(role, report)
    known = {block.name for block in hosts}
    for role in roles:
        yield from _others(role, known, report)


def _blocks(file: TextFile, inputs: Inputs, report: Report) -> Iterator[_Block]:
    """Every block of the file and its includes; the last is what stands in none."""
    outer = _Block(file.at(1))
    block = outer
    for number, line in enumerate(file.lines, 1):
        text = _without_comment(line)
        if opened := _OPEN.match(text):
            if block is not outer:
                report.partial(block.place, f"<{block.sort}> has no end")
                yield block
            block = _Block(file.at(number), opened[1].lower(), opened[2] or "")
        elif _CLOSE.match(text):
            if block is not outer:
                yield block
            block = outer
        elif text:
            key, *value = text.split(None, 1)
            if key == "include" and value:
                for other in inputs.included(value[0], file.at(number), report):
                    yield from _blocks(other, inputs.deeper([other]), report)
            block.values[key.lower()] = _Value(file.at(number), "".join(value))
    if block is not outer:
        report.partial(block.place, f"<{block.sort}> has no end")
        yield block
    yield outer


def _without_comment(line: str) -> str:
    text = line.strip()
    return "" if text.startswith("#") else re.split(r"\s#", text, maxsplit=1)[0].strip()


def _writers(roles: Sequence[_Block], active: str) -> frozenset[str]:
    """Hosts of which several write at once: the writer's role is balanced, not exclusive."""
    return frozenset(
        host
        for role in roles
        if role.name == active and role.word("mode") == "balanced"
        for host in role.words("hosts")
    )


def _node(block: _Block, default: _Block, shared: frozenset[str]) -> Node:
    """mysql-mmm makes every slave read-only, and of masters all but one."""
    mode = block.word("mode") or default.word("mode")
    writable = True if block.name in shared else False if mode == "slave" else None
    host = block.word("ip")
    return Node(
        place=block.values["ip"].place if host else block.place,
        host=host or block.name,
        port=block.word("mysql_port") or default.word("mysql_port"),
        name=block.name or None,
        role=mode or None,
        peer=block.word("peer") or None,
        writable=writable,
    )


def _vips(role: _Block, report: Report) -> Iterator[Vip]:
    for word in role.words("ips"):
        place = role.values["ips"].place
        where = address(word)
        if where is not None:
            yield Vip(place=place, where=where, name=role.name or None)
        else:
            what = "is still to be filled in" if is_placeholder(word) else "is none"
            report.warn(place, f"an address of the role {what}; skipped")


def _others(role: _Block, known: set[str], report: Report) -> Iterator[Fact]:
    """Hosts of a role that no block tells of."""
    for host in role.words("hosts"):
        if host not in known and (
            fact := Node(place=role.values["hosts"].place, host=host).fact(report)
        ):
            yield fact
