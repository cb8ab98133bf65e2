"""Variables of Ansible that name virtual addresses and networks (inventory-formats.md §8).

Read by allow-list: a variable counts when its name says that it holds a virtual address. Its
value may be an address, a list, or a mapping of them; whatever else lies there is not looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import TCP, Address, Block, Fact, Place, Prefix, Span, Vip
from rwhoisd.inventory.source import Report
from rwhoisd.inventory.sources.ansible_model import Scope
from rwhoisd.inventory.structures import Items, Row, is_true, text

_DEEPEST: Final = 12
_VIP: Final = re.compile(
    r"(?:^|_)vips?\d*(?:_|$)|virtual_?ip|virtual_?addr"
    r"|(?:keepalived|vrrp)(?!\w*(?:master|slave|backup|primary|secondary|node|host|server))"
    r"\w*_(?:ips?|address(?:es)?)$"
)
# Of a virtual address, but not it: its mask, who asks for it, what watches it.
_NOT_A_VIP: Final = re.compile(
    r"(?:^|_)(?:net)?masks?(?:_|$)|prefix|gateway|(?:^|_)gw(?:_|$)|router|peer|sources?(?:_|$)"
    r"|(?:^|_)src|dns|ntp|(?:^|_)net(?:work)?s?(?:_|$)|subnet|broadcast|brd|start|(?:^|_)end(?:_|$)"
    r"|range|pools?(?:_|$)|check|ping|unicast|mcast|multicast|track|pass|auth|secret|token|key"
    r"|allow|deny|whitelist|exclude|backend|bind|(?:^|_)local|smtp|mail|notif"
)
_MAY_BE_A_NAME: Final = re.compile(r"_lb_vip_address$|_vip_fqdn$|_vip_address$")
_SKIPPED_WORD: Final = frozenset({"brd", "broadcast", "via", "src", "peer"})
_NETWORKS: Final = frozenset({"public_network", "cluster_network"})  # of ceph-ansible
_CIDR_NETWORKS: Final = "cidr_networks"  # of OpenStack-Ansible
_USED_IPS: Final = "used_ips"
_RESERVED: Final = "reserved"


def facts_of(scope: Scope, group: str | None, report: Report) -> Iterator[Fact]:
    """Virtual addresses and networks among the variables of a group, or of a machine in it."""
    yield from _Variables(scope, group, report).walk(scope.row, 0)


class _Variables:
    def __init__(self, scope: Scope, group: str | None, report: Report) -> None:
        self._file = scope.file
        self._group = group
        self._report = report

    def walk(self, row: Row, depth: int) -> Iterator[Fact]:
        """Every mapping below, to find names of variables; values of others are not read."""
        if depth > _DEEPEST:
            return
        for key in row:
            value, line = row[key], row.line_of(key)
            folded = key.lower().replace("-", "_")
            if folded == _CIDR_NETWORKS and isinstance(value, Row):
                yield from self._cidr_networks(value)
            elif folded == _USED_IPS:
                yield from self._used_ips(row.items_of(key))
            elif folded in _NETWORKS:
                yield from self._networks(text(value), key, self._file.at(line))
            elif _VIP.search(folded) and not _NOT_A_VIP.search(folded):
                disabled = self._is_off(row, folded)
                for vip in self._vips(value, folded, line, depth):
                    yield replace(vip, disabled=disabled)
            elif isinstance(value, Row):
                yield from self.walk(value, depth + 1)
            elif isinstance(value, Items):
                for item in value:
                    if isinstance(item, Row):
                        yield from self.walk(item, depth + 1)

    @staticmethod
    def _is_off(row: Row, key: str) -> bool:
        """``pg_vip_enabled: false`` beside ``pg_vip_address``."""
        switch = f"{key.rpartition('_')[0]}_enabled"
        return switch in row and not is_true(row[switch])

    # --- virtual addresses ---

    def _vips(self, value: Any, key: str, line: int, depth: int) -> Iterator[Vip]:
        if depth > _DEEPEST:
            return
        if isinstance(value, Row):
            for name in value:
                inner = name.lower()
                if words.address(inner) is not None and not text(value[name]):
                    yield from self._words(inner, key, value.line_of(name))
                elif not _NOT_A_VIP.search(inner):
                    yield from self._vips(value[name], inner, value.line_of(name), depth + 1)
        elif isinstance(value, Items):
            for at, item in value.placed():
                yield from self._vips(item, key, at, depth + 1)
        else:
            yield from self._words(text(value), key, line)

    def _words(self, value: str, key: str, line: int) -> Iterator[Vip]:
        place = self._file.at(line)
        if _MAY_BE_A_NAME.search(key) and "." in value and words.is_host_name(value):
            yield Vip(place=place, name=value, belongs_to=self._group)
            return
        if words.is_placeholder(value):
            self._report.warn(place, "virtual address is still to be filled in; skipped")
            return
        before = ""
        for word in re.split(r"[\s,;'\"()]+", value):
            found = _virtual(word) if before not in _SKIPPED_WORD else None
            before = word
            if found is not None:
                yield Vip(
                    place=place, where=found[0], port=found[1],
                    protocol=TCP if found[1] else None, belongs_to=self._group,
                )  # fmt: skip

    # --- networks ---

    def _cidr_networks(self, row: Row) -> Iterator[Fact]:
        for name in row:
            yield from self._networks(text(row[name]), name, self._file.at(row.line_of(name)))

    def _networks(self, value: str, name: str, place: Place) -> Iterator[Fact]:
        if words.is_placeholder(value):
            self._report.warn(place, "network is still to be filled in; skipped")
            return
        for word in re.split(r"[\s,'\"\[\]]+", value):
            if (found := words.prefix(word)) is not None:
                yield Block(place=place, where=found, name=name)

    def _used_ips(self, items: Items) -> Iterator[Fact]:
        """``FIRST,LAST``: not given to containers, so used by something else."""
        for line, item in items.placed():
            found: Span | Prefix | Address | None = words.span(text(item))
            if words.is_placeholder(text(item)):
                self._report.warn(self._file.at(line), "range is still to be filled in; skipped")
            elif isinstance(found, Span | Prefix):
                yield Block(place=self._file.at(line), where=found, status=_RESERVED)


def _virtual(word: str) -> tuple[Address, int | None] | None:
    """``ADDRESS[/LENGTH]`` or ``ADDRESS:PORT``; a whole network is no virtual address."""
    word = word.strip("[]") if ":" not in word else word
    host, port = words.host_port(word)
    where = words.address(host)
    if where is None or host.count("/") > 1:
        return None
    block = words.prefix(host)
    if block is not None and block.num_addresses > 2 and block.network_address == where:
        return None
    return where, words.port(port) if port else None
