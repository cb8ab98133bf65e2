"""Dumps of Alteon (Nortel, Radware) switches: ``/cfg/dump``, and the report ``/info/slb/dump``.

A line that begins with ``/c/`` or ``/cfg/`` names a menu, and may go on with settings of it; the
lines after it are settings of the last menu. What stands in a menu that is not in ``_MENUS``
(certificates, scripts, filters, SNMP, access lists) is never looked at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import (
    TCP,
    Address,
    Block,
    Fact,
    Forwarding,
    Host,
    RealServer,
    Vip,
    service_name,
)
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.alteon_report import read_report

Menu = tuple[str, ...]
_REAL: Final[Menu] = ("slb", "real")
_GROUP: Final[Menu] = ("slb", "group")
_VIRT: Final[Menu] = ("slb", "virt")
_SERVICE: Final[Menu] = (*_VIRT, "service")
_RULES: Final[Menu] = (*_SERVICE, "cntrules")  # requests that go to another group
_PROXY: Final[Menu] = ("slb", "pip")
_MANAGEMENT: Final[Menu] = ("sys", "mmgmt")
_INTERFACES: Final[Sequence[Menu]] = (("l3", "if"), ("ip", "if"))  # the second is WebOS 10's
_FLOATING: Final[Sequence[Menu]] = (("l3", "vrrp", "vr"), ("vrrp", "vr"), ("l3", "ha", "floatip"))
# The settings that are taken from each menu.
_MENUS: Final[Mapping[Menu, frozenset[str]]] = {
    _REAL: frozenset({"ena", "dis", "rip", "name", "addport", "backup"}),
    _GROUP: frozenset({"add", "backup", "dis", "name"}),
    _VIRT: frozenset({"ena", "dis", "vip", "vname", "dname"}),
    _SERVICE: frozenset({"ena", "dis", "group", "rport", "protocol", "udp", "nonat"}),
    _RULES: frozenset({"group"}),
    _PROXY: frozenset({"add"}),
    _MANAGEMENT: frozenset({"addr"}),
    **dict.fromkeys(_INTERFACES, frozenset({"ena", "dis", "addr", "mask"})),
    **dict.fromkeys(_FLOATING, frozenset({"ena", "dis", "addr"})),
}
_PREFIXES: Final = frozenset(menu[:length] for menu in _MENUS for length in range(len(menu)))
_PROMPT: Final = re.compile(r">>[^#\n]{0,80}#\s*")  # of a session that was copied
_PATH: Final = re.compile(r"/c(?:fg)?/")
_PARTS: Final = re.compile(r'(?:"[^"]*"|[^/])+')
_DUMP: Final = re.compile(r"^(?:>>[^#\n]{0,80}#)?[ \t]*/c(?:fg)?/", re.MULTILINE)
_BEGIN: Final = re.compile(r"^script start\b", re.MULTILINE)
_END: Final = re.compile(r"^/?[ \t]*script end\b", re.MULTILINE)
_PROTOCOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "udp": ("udp",), "stateless": ("udp",), "udpstateless": ("udp",), "sctp": ("sctp",),
    "both": ("tcp", "udp"), "tcpandudp": ("tcp", "udp"), "tcp": (TCP,),
}  # fmt: skip


@dataclass(slots=True)
class _Entry:
    """One index of a menu: ``/c/slb/real 1``; of a service, the virtual server's and its own."""

    ids: tuple[str, ...]
    line: int
    settings: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    is_declared: bool = False  # not only named on the way to another menu

    def get(self, *keys: str) -> str:
        """The last value of the first key that has one."""
        return next((self.settings[key][-1][1] for key in keys if key in self.settings), "")

    def all(self, key: str) -> list[str]:
        """Each word of each value of a key, without quotes."""
        values = (value.replace('"', " ") for _, value in self.settings.get(key, []))
        return [word for value in values for word in value.split()]

    def line_of(self, key: str) -> int:
        return self.settings[key][-1][0] if key in self.settings else self.line

    @property
    def disabled(self) -> bool:
        """Whether ``dis`` is the last word on it."""
        off, on = self.settings.get("dis"), self.settings.get("ena")
        return off is not None and (on is None or on[-1][0] < off[-1][0])

    @property
    def name(self) -> str | None:
        """What people call it; an index that is no number is a name too."""
        given = self.get("vname", "dname", "name").strip().strip('"').strip()
        index = self.ids[-1] if self.ids else ""
        return given or (None if not index or index.isdigit() else index)


Entries = dict[Menu, dict[tuple[str, ...], _Entry]]


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """The facts of a dump or of a report."""
    del inputs
    if _DUMP.search(file.text) is None:
        yield from read_report(file, report)
        return
    if _BEGIN.search(file.text) and not _END.search(file.text):
        report.partial(file.at(len(file.lines)), "the line script end is missing")
    lines = _Lines()
    for number, line in enumerate(file.lines, 1):
        lines.take(number, line)
    yield from _Dump(file, lines.entries, report).facts()


# --- lines to entries ---


class _Lines:
    """Goes over the lines in order; ``entries`` is what the menus hold."""

    def __init__(self) -> None:
        self.entries: Entries = {}
        self._menu: Menu = ()
        self._entry: _Entry | None = None  # None: a menu that is not read
        # Indexes of services by virtual server and port: ``80`` and ``80 http`` are one.
        self._services: dict[tuple[tuple[str, ...], str], list[str]] = {}

    def take(self, number: int, line: str) -> None:
        """One line: a path, or a setting in the menu of the last path."""
        text = line.strip()
        prompt = _PROMPT.match(text)
        if prompt is not None:
            text = text[prompt.end() :]
        if not text or text.startswith("/*"):
            return
        if text.startswith("/"):
            self._menu, self._entry = (), None
            if _PATH.match(text):
                self._follow(_PARTS.findall(text)[1:], number)
        elif self._entry is not None and (*self._menu, _split(text)[0].lower()) in _MENUS:
            self._follow(_PARTS.findall(text), number)
        elif self._entry is not None:
            self._set(self._entry, text, number)

    def _follow(self, parts: Sequence[str], number: int) -> None:
        """Goes down to the menu that a path leads to; settings in the path are taken."""
        ids = self._entry.ids if self._entry is not None else ()
        for part in parts:
            name, value = _split(part)
            inner = (*self._menu, name.lower())
            if inner in _MENUS:
                ids = (*ids, *self._index(inner, ids, value))
                entries = self.entries.setdefault(inner, {})
                self._menu, self._entry = inner, entries.setdefault(ids, _Entry(ids, number))
            elif inner in _PREFIXES and self._entry is None:
                self._menu = inner
            elif self._entry is None or not self._set(self._entry, part, number):
                self._menu, self._entry = (), None
                return
        if self._entry is not None:
            self._entry.is_declared = True

    def _index(self, menu: Menu, ids: tuple[str, ...], value: str) -> tuple[str, ...]:
        """The index in a menu, if one was given; a service's type may be left out."""
        value = " ".join(value.partition("(")[0].replace('"', " ").split())  # (of a manual)
        if menu != _SERVICE:
            return (value,) if value else ()
        port, _, kind = value.partition(" ")
        known = self._services.setdefault((ids, port), [])
        for index in known:
            if index in (value, port) or not kind:
                return (index,)
        known.append(value)
        return (value,)

    def _set(self, entry: _Entry, text: str, number: int) -> bool:
        """Takes one setting; false: it is not one that is read."""
        key, value = _split(text)
        key = key.lower()
        if key not in _MENUS[self._menu]:
            return False
        entry.settings.setdefault(key, []).append((number, value))
        entry.is_declared = True
        return True


def _split(text: str) -> tuple[str, str]:
    """The first word, and what is behind it."""
    first, *rest = text.split(None, 1) or [""]
    return first, rest[0].strip() if rest else ""


# --- entries to facts ---


@dataclass(frozen=True, slots=True)
class _Served:
    """What the real servers of a virtual service need to know of it."""

    owner: str
    protocol: str
    forwarding: Forwarding
    ports: tuple[int | None, ...]  # real ports; none: ``addport`` of each server tells


class _Dump:
    """What the entries say."""

    def __init__(self, file: TextFile, entries: Entries, report: Report) -> None:
        self._file = file
        self._entries = entries
        self._report = report
        self._members: set[str] = set()  # reals that a service was seen to have
        self._services: dict[str, list[_Entry]] = {}  # of each virtual server
        for service in self._of(_SERVICE):
            self._services.setdefault(service.ids[0], []).append(service)
        self._rules: dict[tuple[str, ...], list[_Entry]] = {}  # of each service
        for rule in self._of(_RULES):
            self._rules.setdefault(rule.ids[:2], []).append(rule)

    def facts(self) -> Iterator[Fact]:
        """Virtual servers with their real servers, other real servers, the switch's own."""
        for virt in self._of(_VIRT):
            yield from self._virtual_server(virt)
        for real in self._of(_REAL):
            if real.ids[0] not in self._members:
                yield from self._real_server(real, None)
        yield from self._own_addresses()

    def _of(self, menu: Menu) -> Iterator[_Entry]:
        entries = self._entries.get(menu, {}).values()
        return (entry for entry in entries if entry.ids and entry.is_declared)

    def _virtual_server(self, virt: _Entry) -> Iterator[Fact]:
        where = self._address(virt, "vip")
        if where is None:
            return
        services = self._services.get(virt.ids[0], [])
        for service in services:
            yield from self._service(virt, where, service)
        if not services:
            yield Vip(
                place=self._file.at(virt.line_of("vip")), where=where, name=virt.name,
                disabled=virt.disabled,
            )  # fmt: skip

    def _service(self, virt: _Entry, where: Address, service: _Entry) -> Iterator[Fact]:
        """Of ``service 80 http``; the type ``ip`` stands for every port."""
        port_text, _, kind = service.ids[-1].partition(" ")
        every = "ip" in (port_text.lower(), kind.strip().lower())
        port = None if every else self._port(service, port_text)
        forwarding = Forwarding.DSR if service.get("nonat").startswith("e") else Forwarding.NAT
        groups = self._groups(service)
        for protocol in _protocols(service):
            yield Vip(
                place=self._file.at(service.line), where=where, name=virt.name, port=port,
                protocol=protocol if port else None, forwarding=forwarding,
                disabled=virt.disabled or service.disabled,
            )  # fmt: skip
            ports = self._real_ports(service, port)
            served = _Served(service_name(where, port, protocol), protocol, forwarding, ports)
            for group in groups:
                yield from self._group(group, served)

    def _groups(self, service: _Entry) -> list[str]:
        """The group of a service, then those that its content rules choose."""
        rules = self._rules.get(service.ids, [])
        chosen = [one.get("group").strip('"') for one in (service, *rules)]
        return [group for group in dict.fromkeys(chosen) if group]

    def _real_ports(self, service: _Entry, port: int | None) -> tuple[int | None, ...]:
        """``rport``; without it the service's port; 0: each real server has its own."""
        said = service.get("rport")
        if not said:
            return (port,)
        return () if not said.strip("0") else (self._port(service, said.split()[0]),)

    def _group(self, index: str, served: _Served) -> Iterator[Fact]:
        group = self._entries.get(_GROUP, {}).get((index,))
        if group is None:
            return
        off = set(group.all("dis"))
        for member in dict.fromkeys(group.all("add")):
            real = self._real(member)
            if real is not None:
                self._members.add(member)
                yield from self._real_server(real, served, disabled=member in off)
                yield from self._backup(real.get("backup"), served)
        yield from self._backup(group.get("backup"), served)

    def _backup(self, said: str, served: _Served) -> Iterator[Fact]:
        """``r2`` or ``2`` is a real server, ``g3`` are the members of a group."""
        index = "".join(said.split()).strip('"')
        group = self._entries.get(_GROUP, {}).get((index[1:],)) if index[:1] == "g" else None
        members = group.all("add") if group is not None else [index.removeprefix("r"), index]
        for real in filter(None, map(self._real, dict.fromkeys(members))):
            yield from self._real_server(real, served, standby=True)

    def _real(self, index: str) -> _Entry | None:
        return self._entries.get(_REAL, {}).get((index,))

    def _real_server(
        self, real: _Entry, served: _Served | None, *, standby: bool = False, disabled: bool = False
    ) -> Iterator[Fact]:
        where = self._address(real, "rip")
        if where is None:
            return
        own = tuple(map(words.port, real.all("addport"))) or (None,)
        for port in (served.ports or own) if served else (None,):
            yield RealServer(
                place=self._file.at(real.line_of("rip")), where=where, name=real.name, port=port,
                protocol=served.protocol if served and port else None,
                belongs_to=served.owner if served else None, standby=standby,
                forwarding=served.forwarding if served else None,
                disabled=real.disabled or disabled,
            )  # fmt: skip

    def _own_addresses(self) -> Iterator[Fact]:
        """Floating addresses, interfaces with their networks, proxy and management addresses."""
        for menu in _FLOATING:
            for one in self._of(menu):
                name = f"{menu[-1]} {one.ids[0]}"
                yield from self._own(Vip, one, "addr", name)
        for menu in _INTERFACES:
            for one in self._of(menu):
                yield from self._own(Host, one, "addr", f"if {one.ids[0]}")
                mask = one.get("mask")
                net = words.network_of(one.get("addr"), mask) if mask else None
                if net is not None:
                    yield Block(place=self._file.at(one.line_of("addr")), where=net)
        for menu, key in ((_MANAGEMENT, "addr"), (_PROXY, "add")):
            for one in self._entries.get(menu, {}).values():
                yield from self._own(Host, one, key, None)

    def _own(
        self, kind: type[Vip] | type[Host], one: _Entry, key: str, name: str | None
    ) -> Iterator[Fact]:
        for line, value in one.settings.get(key, ()):
            where = self._where(line, value)
            if where is not None:
                yield kind(place=self._file.at(line), where=where, name=name, disabled=one.disabled)

    # --- words ---

    def _address(self, entry: _Entry, key: str) -> Address | None:
        said = entry.get(key)
        return self._where(entry.line_of(key), said) if said else None

    def _where(self, line: int, said: str) -> Address | None:
        where = words.address(said.split()[0]) if said.strip() else None
        if where is None:
            why = "is still to be filled in" if words.is_placeholder(said) else "is none"
            self._report.warn(self._file.at(line), f"what stands for an address {why}")
        return where

    def _port(self, entry: _Entry, said: str) -> int | None:
        port = words.port(said)
        if port is None:
            self._report.warn(self._file.at(entry.line), "what stands for a port is none")
        return port


def _protocols(service: _Entry) -> Sequence[str]:
    """``protocol udp``; on older switches ``udp ena``."""
    said = service.get("protocol").lower()
    if not said and service.get("udp") and not service.get("udp").startswith("d"):
        said = "udp"
    return _PROTOCOLS.get(said, (TCP,))


SOURCE: Final = FileSource(
    "alteon",
    "Alteon switches: /cfg/dump, and the report /info/slb/dump",
    ("alteon*", "*.txt", "*.cfg", "*.dump"),
    _read,
)
