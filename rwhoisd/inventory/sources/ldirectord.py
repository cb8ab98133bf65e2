"""ldirectord: ``virtual=`` gives VIPs, ``real=`` and ``fallback=`` give their real servers.

read_config() of ldirectord(8) says what a line means; inventory-formats.md §5 what people and
tools make of it: blanks around ``=``, comments at column 0 within a block, the sections of a
web front end (``[vip]`` lists addresses, other names are its own).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import TCP, Fact, Forwarding, Place, RealServer, Vip, service_name
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.lvs import forwarding
from rwhoisd.inventory.sources.targets import Target, target_of

_UDP: Final = "udp"
_SETTING: Final = re.compile(r"([A-Za-z][\w:.-]*)\s*=\s*(.*)")
_SECTION: Final = re.compile(r"\[([^\]]*)\]\s*\Z")
_FALLBACKS: Final = frozenset({"fallback", "fallback6"})
_REALS: Final = frozenset({"real", "real6"})
_VIRTUALS: Final = frozenset({"virtual", "virtual6"})
# What only a virtual service has: it belongs to the last one, indented or not.
_OF_VIRTUALS: Final = _REALS | {
    "checkcommand", "checkport", "checktype", "comment", "database", "httpmethod", "load", "login",
    "netmask", "ops", "passwd", "persistent", "protocol", "receive", "request", "schedflags",
    "scheduler", "secret", "service", "servicename", "virtualhost",
}  # fmt: skip
_VIP_SECTION: Final = "vip"
_ARROW: Final = "->"


@dataclass(frozen=True, slots=True)
class _Setting:
    place: Place
    value: str


@dataclass(slots=True)
class _Virtual:
    """A virtual service with its settings, which may stand in any order."""

    setting: _Setting
    reals: list[_Setting] = field(default_factory=list)
    fallback: _Setting | None = None
    protocol: str = ""
    title: str | None = None


@dataclass(slots=True)
class _Config:
    virtuals: list[_Virtual] = field(default_factory=list)
    fallbacks: dict[bool, _Setting] = field(default_factory=dict)  # by: is for IPv6
    addresses: list[_Setting] = field(default_factory=list)  # of the section [vip]


def _config_of(file: TextFile) -> _Config:
    config = _Config()
    virtual: _Virtual | None = None
    section = ""
    for number, line in enumerate(file.lines, 1):
        text = line.partition("#")[0].strip()
        if found := _SECTION.match(text):
            section, virtual = found[1].strip().lower(), None
        if not (match := _SETTING.match(text)):
            continue
        keyword, setting = match[1].lower(), _Setting(file.at(number), match[2].strip())
        if keyword in _VIRTUALS:
            virtual = _Virtual(setting)
            config.virtuals.append(virtual)
        elif virtual is not None and (line[0].isspace() or keyword in _OF_VIRTUALS):
            _set(virtual, keyword, setting)
        else:
            virtual = None
            _set_global(config, section, keyword, setting)
    return config


def _set(virtual: _Virtual, keyword: str, setting: _Setting) -> None:
    if keyword in _REALS:
        virtual.reals.append(setting)
    elif keyword in _FALLBACKS:
        virtual.fallback = setting
    elif keyword == "protocol":
        virtual.protocol = setting.value.lower()
    elif keyword == "servicename":
        virtual.title = setting.value.strip("\"' ") or None


def _set_global(config: _Config, section: str, keyword: str, setting: _Setting) -> None:
    if section == _VIP_SECTION:
        config.addresses.append(setting)
    elif keyword in _FALLBACKS:
        config.fallbacks[keyword.endswith("6")] = setting


@dataclass(frozen=True, slots=True)
class _Service:
    """What real servers belong to: a VIP with a port, else a firewall mark."""

    target: Target | None
    port: int | None
    protocol: str
    mark: int | None = None

    @property
    def key(self) -> str:
        if self.target is None:
            return f"fwmark:{self.mark}"
        return service_name(self.target.where or str(self.target), self.port, self.protocol)

    @property
    def is_ipv6(self) -> bool:
        return self.target is not None and isinstance(self.target.where, IPv6Address)


def _service_of(virtual: _Virtual, report: Report) -> _Service | None:
    """The service of a ``virtual=`` line; None, with a warning, when it names none."""
    value, place = virtual.setting.value.strip("\"'"), virtual.setting.place
    if value.isascii() and value.isdigit():
        return _Service(None, None, TCP, int(value[:10]))
    host, port_text = _host_port(value)
    target = target_of(host, place, report)
    if target is None:
        return None
    port = _port(port_text, place, report)
    # read_config(): the service of names is UDP unless it says otherwise.
    default = _UDP if port == words.PORTS["domain"] else TCP
    return _Service(target, port, words.protocol(virtual.protocol) or default)


def _host_port(text: str) -> tuple[str, str]:
    """As all do, and ``192.0.2.2::5060``, as it stands in the sample that is handed out."""
    return words.host_port(text.replace("::", ":") if "." in text and "[" not in text else text)


def _port(text: str, place: Place, report: Report) -> int | None:
    port = words.port(text)
    if port is None and text not in ("", "0"):
        report.warn(place, "a port that is none; the fact goes without")
    return port


def _real_servers(virtual: _Virtual, service: _Service, report: Report) -> Iterator[Fact]:
    for setting in virtual.reals:
        address, options = _halves(setting.value)
        first, arrow, rest = address.partition(_ARROW)
        host, port_text = _host_port(rest if arrow else first)
        port = _port(port_text, setting.place, report) or service.port
        targets = _targets(first, host if arrow else "", setting.place, report)
        for target in targets:
            yield _real(setting.place, target, service, port, _way(options))


def _targets(first: str, last: str, place: Place, report: Report) -> list[Target]:
    """The servers of ``FIRST->LAST``; of one alone ``last`` is ""."""
    host = first if last else _host_port(first)[0]
    if last:
        found = words.addresses_of(f"{host.strip('[]')}-{last}")
        if found is not None:
            return [Target(one) for one in found]
        report.warn(place, "a range that is none of addresses; only its ends are taken")
    ends = [host, last] if last else [host]
    return [target for end in ends if (target := target_of(end, place, report))]


def _halves(value: str) -> tuple[str, str]:
    """The address and what stands behind it."""
    first, *rest = value.split(None, 1) or [""]
    return first, rest[0] if rest else ""


def _way(options: str) -> Forwarding | None:
    return next((way for word in options.split()[:1] if (way := forwarding(word))), None)


def _real(
    place: Place,
    target: Target,
    service: _Service,
    port: int | None,
    way: Forwarding | None,
    *,
    standby: bool = False,
) -> RealServer:
    return RealServer(
        place=place,
        where=target.where,
        name=target.name,
        port=port,
        protocol=service.protocol if port else None,
        belongs_to=service.key,
        forwarding=way,
        standby=standby,
    )


def _fallback(setting: _Setting, service: _Service, report: Report) -> Iterator[Fact]:
    """The standby; most are this machine itself, which is none."""
    address, options = _halves(setting.value)
    host, port_text = _host_port(address)
    target = target_of(host, setting.place, report)
    if target is not None:
        port = _port(port_text, setting.place, report) or service.port
        yield _real(setting.place, target, service, port, _way(options), standby=True)


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    del inputs
    config = _config_of(file)
    for setting in config.addresses:
        if target := target_of(setting.value, setting.place, report):
            yield Vip(place=setting.place, where=target.where, name=target.name)
    for virtual in config.virtuals:
        service = _service_of(virtual, report)
        if service is None:
            continue
        if service.target is not None:
            yield Vip(
                place=virtual.setting.place,
                where=service.target.where,
                name=service.target.name or virtual.title,
                port=service.port,
                protocol=service.protocol if service.port else None,
                forwarding=_common_way(virtual),
            )
        yield from _real_servers(virtual, service, report)
        standby = virtual.fallback or config.fallbacks.get(service.is_ipv6)
        if standby is not None:
            yield from _fallback(standby, service, report)


def _common_way(virtual: _Virtual) -> Forwarding | None:
    """The way of forwarding, when all real servers have the same."""
    ways = {_way(_halves(setting.value)[1]) for setting in virtual.reals}
    return next(iter(ways)) if len(ways) == 1 else None


SOURCE: Final = FileSource(
    "ldirectord",
    "ldirectord configuration: virtual services as VIPs, their real servers and fallbacks",
    ("ldirectord*.cf", "ldirectord*.conf"),
    _read,
)
