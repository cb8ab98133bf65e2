"""HAProxy: ``bind`` of frontends gives VIPs, ``server`` of backends gives real servers.

The files of a run are one configuration: a frontend names backends of other files, and a
section may go on in the next file (configuration.txt of HAProxy; inventory-formats.md §4).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import TCP, Fact, Forwarding, Place, RealServer, Vip
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources.targets import is_open_name, ports_of, target_of

# Sections with machines of ours. In all others (peers, resolvers, ring, log-forward, …) an
# address is no allocation, though their statements are called ``bind`` and ``server`` too.
_PROXIES: Final = frozenset({"frontend", "listen", "backend", "udp-lb"})
_SECTIONS: Final = _PROXIES | {
    "acme", "aggregations", "cache", "crt-list", "crt-store", "defaults", "dynamic-update",
    "fcgi-app", "global", "healthcheck", "http-errors", "log-forward", "log-profile", "mailers",
    "namespace_list", "peers", "program", "resolvers", "ring", "ruleset", "spoe-agent",
    "spoe-group", "spoe-message", "traces", "userlist", "waf-global", "waf-profile",
}  # fmt: skip
_UDP: Final = "udp"
# Families before an ``@``; those of sockets on the machine itself are not here.
_FAMILIES: Final = {
    **dict.fromkeys(("", "ip", "ipv4", "ipv6", "tcp", "tcp4", "tcp6"), TCP),
    **dict.fromkeys(("mptcp", "mptcp4", "mptcp6"), TCP),
    **dict.fromkeys(("udp", "udp4", "udp6", "quic", "quic4", "quic6"), _UDP),
}
_TRANSPORTS: Final = {"stream": TCP, "dgram": _UDP, "quic": _UDP}
_CLIENT_PORTS: Final = 16  # a server without a port has one fact for each; else one without
# Marks of the tools that write such files; HAProxy itself never has them in a word.
_TEMPLATE: Final = re.compile(r"\{\{|\}\}|\{%|<%|%>|<<")
_WORD: Final = re.compile(
    r"""(\#)|((?:[^\s\#"'\\]|\\.|\\$|"(?:[^"\\]|\\.|\\$)*(?:"|$)|'[^']*(?:'|$))+)"""
)
_QUOTED: Final = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)(?:"|$)|'([^']*)(?:'|$)""")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(slots=True)
class _Bind:
    place: Place
    text: str  # one of the list: ``ADDR:PORT``
    is_datagram: bool = False


@dataclass(slots=True)
class _Server:
    place: Place
    name: str | None
    text: str
    options: frozenset[str]


@dataclass(slots=True)
class _Proxy:
    """A frontend, a backend, or a listen section, which is both."""

    section: str
    name: str | None
    binds: list[_Bind] = field(default_factory=list)
    servers: list[_Server] = field(default_factory=list)
    backends: list[str] = field(default_factory=list)  # the default one first
    options: frozenset[str] = frozenset()  # of default-server
    disabled: bool = False
    mode: str = ""


@dataclass(slots=True)
class _Statement:
    place: Place
    words: list[str]
    raw: str

    def word(self, number: int) -> str:
        return self.words[number] if number < len(self.words) else ""


def split(line: str) -> list[str]:
    """The words of a line, without quotes, escapes and the comment."""
    found: list[str] = []
    for match in _WORD.finditer(line):
        if match[1]:
            break
        found.append(_QUOTED.sub(_unquoted, match[2]))
    return found


def _unquoted(match: re.Match[str]) -> str:
    if match[2] is not None:
        return re.sub(r"\\(.)", r"\1", match[2])
    return match[1] or match[3] or ""


class _Reader:
    """Collects the proxies of all files, one after the other."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.proxies: dict[tuple[str, str], _Proxy] = {}
        self._section = ""
        self._proxy: _Proxy | None = None
        self._variables: dict[str, str] = {}
        self._defaults = _Proxy("defaults", None)

    def read(self, file: TextFile) -> None:
        for number, line in enumerate(file.lines, 1):
            first = line.split(None, 1)[0] if line.strip() else ""
            if first in _WANTED:
                statement = _Statement(file.at(number), self._expanded(split(line)), line)
                self._take(first, statement)

    def _expanded(self, found: list[str]) -> list[str]:
        """Words with the variables that the files themselves set; others stay as they are."""

        def value(match: re.Match[str]) -> str:
            return self._variables.get(match[1] or match[2], match[0])

        return [_VARIABLE.sub(value, word) if "$" in word else word for word in found]

    def _take(self, first: str, statement: _Statement) -> None:
        if first in _SECTIONS:
            self._begin(first, statement)
        elif first in _ENVIRONMENT:
            self._variables[statement.word(1)] = statement.word(2)
        elif self._section == "defaults":
            _STATEMENTS[first](self._defaults, statement, self.report)
        elif self._proxy is not None:
            _STATEMENTS[first](self._proxy, statement, self.report)

    def _begin(self, section: str, statement: _Statement) -> None:
        self._section, self._proxy = section, None
        if section == "defaults":
            self._defaults = _Proxy("defaults", None)
        if section not in _PROXIES:
            return
        given = statement.word(1)
        is_name = given and not _is_open(given, statement)
        fresh = _Proxy(section, given if is_name else None)
        fresh.options, fresh.disabled = self._defaults.options, self._defaults.disabled
        self._proxy = self.proxies.setdefault((section, given), fresh)
        if statement.word(2) not in ("", "from"):  # the address on the line, up to HAProxy 1.8
            bound = _Statement(statement.place, ["bind", *statement.words[2:]], statement.raw)
            _STATEMENTS["bind"](self._proxy, bound, self.report)


# --- statements ---


def _is_open(word: str, statement: _Statement) -> bool:
    """Whether a tool has yet to write this."""
    return is_open_name(word) or _TEMPLATE.search(statement.raw) is not None


def _bind(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    if _TEMPLATE.search(statement.raw):
        report.warn(statement.place, "bind is still to be filled in; skipped")
        return
    is_datagram = statement.words[0] == "dgram-bind" or proxy.section == "udp-lb"
    for part in statement.word(1).split(","):
        if part:
            proxy.binds.append(_Bind(statement.place, part, is_datagram))


def _server(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    _add_server(proxy, statement, 2, report)


def _server_template(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    """``server-template PREFIX NUMBER|RANGE NAME[:PORT]``: as many as the name has addresses."""
    _add_server(proxy, statement, 3, report)


def _dispatch(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    _add_server(proxy, statement, 1, report)


def _add_server(proxy: _Proxy, statement: _Statement, at: int, report: Report) -> None:
    if _TEMPLATE.search(statement.raw):
        report.warn(statement.place, f"{statement.words[0]} is still to be filled in; skipped")
    elif not statement.word(at):
        report.warn(statement.place, f"{statement.words[0]} has no address; skipped")
    else:
        label = statement.word(1) if at == 2 else ""
        name = label if label and not is_open_name(label) else None
        options = proxy.options | frozenset(statement.words[at + 1 :])
        proxy.servers.append(_Server(statement.place, name, statement.word(at), options))


def _default_server(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    del report
    proxy.options |= frozenset(statement.words[1:]) & {"disabled", "backup"}


def _use_backend(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    del report
    name = statement.word(1)
    if name and "%[" not in name and name not in proxy.backends:
        at = 0 if statement.words[0] == "default_backend" else len(proxy.backends)
        proxy.backends.insert(at, name)


def _mode(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    del report
    proxy.mode = statement.word(1)


def _switch(proxy: _Proxy, statement: _Statement, report: Report) -> None:
    del report
    proxy.disabled = statement.words[0] == "disabled"


_STATEMENTS: Final[dict[str, Callable[[_Proxy, _Statement, Report], None]]] = {
    "bind": _bind,
    "dgram-bind": _bind,
    "server": _server,
    "server-template": _server_template,
    "dispatch": _dispatch,
    "default-server": _default_server,
    "default_backend": _use_backend,
    "use_backend": _use_backend,
    "mode": _mode,
    "disabled": _switch,
    "enabled": _switch,
}
_ENVIRONMENT: Final = frozenset({"setenv", "presetenv"})
_WANTED: Final = _SECTIONS | _ENVIRONMENT | _STATEMENTS.keys()


# --- facts ---


def _endpoint(text: str) -> tuple[str, str, str] | None:
    """Host, port and protocol; None for a socket of the machine itself.

    Without brackets the last colon parts the port, in IPv6 too (str2sa_range() of HAProxy).
    """
    family, _, rest = text.rpartition("@")
    transport, plus, kind = family.rpartition("+")
    if rest.startswith("/") or kind not in _FAMILIES or (plus and transport not in _TRANSPORTS):
        return None
    protocol = _TRANSPORTS[transport] if plus else _FAMILIES[kind]
    if rest.startswith("["):
        return *words.host_port(rest), protocol
    host, colon, port = rest.rpartition(":")
    if not colon:
        return rest, "", protocol
    if words.address(host) is None and words.address(rest) is not None:
        return rest, "", protocol  # an IPv6 address without a port, which HAProxy refuses
    return host, port, protocol


def _vips(proxy: _Proxy, report: Report) -> Iterator[Fact]:
    pool = proxy.name if proxy.section == "listen" else next(iter(proxy.backends), None)
    for bind in proxy.binds:
        endpoint = _endpoint(bind.text)
        target = target_of(endpoint[0], bind.place, report) if endpoint else None
        if endpoint is None or target is None:
            continue
        for port in ports_of(endpoint[1], bind.place, report):
            yield Vip(
                place=bind.place,
                where=target.where,
                name=target.name or proxy.name,
                port=port,
                protocol=_UDP if bind.is_datagram else endpoint[2],
                disabled=proxy.disabled,
                forwarding=Forwarding.PROXY,
                pool=pool,
            )


def _client_ports(proxies: Iterable[_Proxy]) -> dict[str, set[int]]:
    """The ports on which the clients of each backend come; of a range none is told."""
    silent = Report()
    found: dict[str, set[int]] = {}
    for proxy in proxies:
        ends = [end for bind in proxy.binds if (end := _endpoint(bind.text))]
        single = {port for _, text, _ in ends for port in ports_of(text, Place(""), silent)}
        many = any("-" in text for _, text, _ in ends) or len(single) > _CLIENT_PORTS
        ports = set() if many else {port for port in single if port}
        for name in [*proxy.backends, *([proxy.name] if proxy.servers and proxy.name else [])]:
            found.setdefault(name, set()).update(ports)
    return found


def _server_ports(
    text: str, clients: Sequence[int], place: Place, report: Report
) -> Iterator[int | None]:
    """The port itself; ``+N`` and ``-N`` are counted from the client's; none is the client's."""
    if text and text[0] not in "+-":
        yield words.port(text)
        if words.port(text) is None and text != "0":
            report.warn(place, "a port that is none; the fact goes without")
        return
    shift = int(text) if re.fullmatch(r"[+-][0-9]{1,5}", text) else 0
    shifted = [port + shift for port in clients if 0 < port + shift < 65536]
    yield from shifted if 0 < len(shifted) <= _CLIENT_PORTS else [None]


def _real_servers(proxy: _Proxy, clients: Sequence[int], report: Report) -> Iterator[Fact]:
    if proxy.mode == "log":
        return  # targets of a log
    for server in proxy.servers:
        endpoint = _endpoint(server.text)
        target = target_of(endpoint[0], server.place, report) if endpoint else None
        if endpoint is None or target is None:
            continue
        protocol = _UDP if proxy.section == "udp-lb" else endpoint[2]
        for port in _server_ports(endpoint[1], clients, server.place, report):
            yield RealServer(
                place=server.place,
                where=target.where,
                name=target.name or server.name,
                port=port,
                protocol=protocol,
                belongs_to=proxy.name,
                disabled=proxy.disabled or _is_disabled(server.options),
                forwarding=Forwarding.PROXY,
                standby="backup" in server.options,
                pool=proxy.name,
            )


def _is_disabled(options: frozenset[str]) -> bool:
    return "disabled" in options and "enabled" not in options


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    reader = _Reader(report)
    for file in inputs.files:
        reader.read(file)
    proxies = list(reader.proxies.values())
    ports = _client_ports(proxies)
    for proxy in proxies:
        yield from _vips(proxy, report)
        yield from _real_servers(proxy, sorted(ports.get(proxy.name or "", ())), report)


SOURCE: Final = WholeSource(
    "haproxy",
    "HAProxy configuration: binds as VIPs, servers as real servers of their backend",
    ("*.cfg", "haproxy*.conf"),
    _read,
)
