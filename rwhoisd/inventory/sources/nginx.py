"""nginx: servers of upstreams and proxied addresses are real servers, ``listen ADDR`` are VIPs.

An upstream may stand in another file than the server that names it, so all files of a run are
read first (nginx.org, modules http_upstream, http_proxy, stream_core; inventory-formats.md §6).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import (
    TCP,
    Address,
    Fact,
    Forwarding,
    Place,
    RealServer,
    Vip,
    service_name,
)
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources.blocks import Grammar, Statement, tree_of
from rwhoisd.inventory.sources.targets import Target, ports_of, target_of

_GRAMMAR: Final = Grammar()
_UDP: Final = "udp"
_HTTP_PORT: Final = 80
_CONTEXTS: Final = frozenset({"http", "stream", "mail"})
_VALUE_BLOCKS: Final = frozenset({"map", "split_clients", "geo"})
# Values of those blocks that are options of theirs.
_VALUE_OPTIONS: Final = frozenset({"include", "hostnames", "volatile", "ranges", "proxy", "delete"})
_MOST_VALUES: Final = 1024  # of one variable
# Files that come with nginx and name no machine: an include of theirs is not worth a warning.
_SHIPPED: Final = re.compile(
    r"(?:.*/)?(?:mime\.types|(?:fastcgi|uwsgi|scgi|proxy)(?:_params|\.conf)|fastcgi-php\.conf"
    r"|koi-(?:utf|win)|win-utf|(?:share/nginx/|modules-enabled/).*)"
)
# What hands requests on, and the port of each scheme; "" is without a scheme.
_PASSES: Final[dict[str, dict[str, int | None]]] = {
    "proxy_pass": {"http": 80, "https": 443, "ws": 80, "wss": 443, "": None},
    "grpc_pass": {"grpc": 80, "grpcs": 443, "": 80},
    "fastcgi_pass": {"": None},
    "uwsgi_pass": {"": None, "uwsgi": None, "suwsgi": None},
    "scgi_pass": {"": None},
    "memcached_pass": {"": None},
}
_URL: Final = re.compile(r"(?:([\w${}]+)://)?([^/?\s]*)")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(slots=True)
class _Upstream:
    name: str | None
    context: str
    servers: list[Statement] = field(default_factory=list)
    protocols: set[str] = field(default_factory=set)  # of the servers that hand on to it


@dataclass(frozen=True, slots=True)
class _Listen:
    place: Place
    target: Target
    port: int | None
    protocol: str


@dataclass(slots=True)
class _Server:
    context: str
    listens: list[_Listen] = field(default_factory=list)
    protocols: set[str] = field(default_factory=set)  # wildcards too
    names: list[str] = field(default_factory=list)
    passes: list[Statement] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Scope:
    """Where a statement stands."""

    context: str = ""
    upstream: _Upstream | None = None
    server: _Server | None = None


class _Reader:
    """Collects upstreams, servers and values of all files and of what they include."""

    def __init__(self, inputs: Inputs, report: Report) -> None:
        self.report = report
        self.upstreams: dict[tuple[str, str], _Upstream] = {}
        self.servers: list[_Server] = []
        self.values: dict[str, list[str]] = {}
        self._seen: set[Path] = set()
        for file in inputs.files:
            self._read(file, inputs, _Scope())

    def _read(self, file: TextFile, inputs: Inputs, scope: _Scope) -> None:
        if file.path is not None:
            path = file.path.resolve()
            if path in self._seen:
                return
            self._seen.add(path)
        tree = tree_of(file, _GRAMMAR)
        for place in tree.unclosed:
            self.report.partial(place, "a block that begins here is not closed")
        for place in tree.stray:
            self.report.partial(place, "a brace is closed that was never opened")
        if not tree.unclosed and _ends_within(file.text):
            self.report.partial(file.at(len(file.lines)), "it ends within a statement")
        self._walk(tree.statements, inputs, scope)

    def _walk(self, statements: tuple[Statement, ...], inputs: Inputs, scope: _Scope) -> None:
        """Statements at any depth; without recursion, as a file may be nested at will."""
        pending = [(one, scope) for one in reversed(statements)]
        while pending:
            statement, where = pending.pop()
            if statement.keyword.endswith("_by_lua_block"):
                continue
            if statement.body is not None:
                inner = self._inner(statement, where)
                pending += [(one, inner) for one in reversed(statement.body)]
            elif statement.keyword == "include":
                self._include(statement, inputs, where)
            else:
                self._take(statement, where)

    def _inner(self, statement: Statement, scope: _Scope) -> _Scope:
        """The scope within a block."""
        match statement.keyword:
            case word if word in _CONTEXTS:
                return _Scope(word)
            case "upstream":
                return _Scope(scope.context, upstream=self._upstream(statement, scope))
            case "server":
                server = _Server(scope.context)
                self.servers.append(server)
                return _Scope(scope.context, server=server)
            case word if word in _VALUE_BLOCKS:
                self._values(statement)
        return scope

    def _upstream(self, statement: Statement, scope: _Scope) -> _Upstream:
        given = statement.word(1)
        name = None if not given or words.is_placeholder(given) else given
        return self.upstreams.setdefault(
            (scope.context, given.lower()), _Upstream(name, scope.context)
        )

    def _values(self, statement: Statement) -> None:
        """What ``map … $name { KEY VALUE; … }`` may make of its variable."""
        variable = statement.words[-1].removeprefix("$")
        found = self.values.setdefault(variable, [])
        for one in statement.body or ():
            value = one.words[-1] if one.words else ""
            if value and one.keyword not in _VALUE_OPTIONS and len(found) < _MOST_VALUES:
                found.append(value)

    def _include(self, statement: Statement, inputs: Inputs, scope: _Scope) -> None:
        pattern = statement.word(1)
        if not pattern or _SHIPPED.fullmatch(pattern):
            return
        files = list(inputs.included(pattern, statement.place, self.report))
        for file in files:
            self._read(file, inputs.deeper(files), scope)

    def _take(self, statement: Statement, scope: _Scope) -> None:
        if scope.upstream is not None:
            if statement.keyword == "server":
                scope.upstream.servers.append(statement)
        elif scope.server is not None:
            if statement.keyword in _PASSES:
                scope.server.passes.append(statement)
            elif take := _TAKEN.get(statement.keyword):
                take(scope.server, statement, self.report)


def _ends_within(text: str) -> bool:
    """Whether the last statement has no end."""
    for line in reversed(text.split("\n")):
        bare = line.partition(" #")[0].strip() if not line.lstrip().startswith("#") else ""
        if bare:
            return bare[-1] not in ";{}" and "%}" not in bare
    return False


# --- statements of a server ---


def _listen(server: _Server, statement: Statement, report: Report) -> None:
    text, options = statement.word(1), statement.words[2:]
    protocol = _UDP if "udp" in options or "quic" in options else TCP
    server.protocols.add(protocol)
    if text.isdigit() or text.startswith("unix:") or not text:
        return
    host, port = words.host_port(text)
    if "-" in text and ":" not in text and text.replace("-", "").isdigit():
        return  # a range of ports on every address
    target = target_of(host, statement.place, report)
    if target is None:
        return
    default = str(_HTTP_PORT) if server.context in ("", "http") else ""
    for number in ports_of(port or default, statement.place, report):
        server.listens.append(_Listen(statement.place, target, number, protocol))


def _server_name(server: _Server, statement: Statement, report: Report) -> None:
    del report
    server.names += [name for name in statement.values if words.is_host_name(name) and name != "_"]


def _set(server: _Server, statement: Statement, report: Report) -> None:
    del report
    value = statement.word(2)
    if "$" not in value:
        server.variables[statement.word(1).removeprefix("$")] = value


_TAKEN: Final[dict[str, Callable[[_Server, Statement, Report], None]]] = {
    "listen": _listen,
    "server_name": _server_name,
    "set": _set,
}


# --- facts ---


@dataclass(slots=True)
class _Service:
    """A VIP of all the servers that listen there."""

    place: Place
    names: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Pass:
    """Where a server hands requests to: an upstream, else a machine."""

    place: Place
    host: str
    port: str
    default_port: int | None
    upstream: _Upstream | None = None


class _Resolver:
    """Tells upstreams from machines, once all of them are known."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def passes(self, server: _Server) -> Iterator[_Pass]:
        """What the server hands requests to; a variable may stand for several."""
        for statement in server.passes:
            for text in self._texts(statement.word(1), server):
                yield self._pass(statement, text, server)

    def _texts(self, text: str, server: _Server) -> list[str]:
        """A value with its variables put in, as far as the files tell them."""
        single = _VARIABLE.sub(
            lambda match: server.variables.get(match[1] or match[2], match[0]), text
        )
        url = _URL.match(single)
        match = _VARIABLE.search(single, 0, url.end() if url else 0)
        many = self._reader.values.get(match[1] or match[2], []) if match else []
        if match is None or not many:
            return [single]
        return [single[: match.start()] + one + single[match.end() :] for one in many]

    def _pass(self, statement: Statement, text: str, server: _Server) -> _Pass:
        found = _URL.match(text)
        scheme, authority = (found[1] or "", found[2]) if found else ("", "")
        host, port = words.host_port(authority.rpartition("@")[2])
        # ``10.0.0.1:8080$request_uri``: the address ends where the variable begins.
        if words.address(host) is not None:
            port = port.partition("$")[0]
        return _Pass(
            statement.place,
            host,
            port,
            _PASSES[statement.keyword].get(scheme.lower()),
            self._upstream(server.context, authority, host),
        )

    def _upstream(self, context: str, authority: str, host: str) -> _Upstream | None:
        """An upstream goes by its whole name; in a lone file the context is not known."""
        upstreams = self._reader.upstreams
        contexts = dict.fromkeys(
            (context, "", *sorted(_CONTEXTS)) if not context else (context, "")
        )
        keys = ((where, name.lower()) for where in contexts for name in (authority, host))
        return next((upstreams[key] for key in keys if key in upstreams), None)


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    reader = _Reader(inputs, report)
    resolver = _Resolver(reader)
    direct: list[Fact] = []
    services: dict[tuple[Address | str | None, int | None, str], _Service] = {}
    for server in reader.servers:
        for one in resolver.passes(server):
            if one.upstream is not None:
                one.upstream.protocols |= server.protocols
                server.pools |= {one.upstream.name} if one.upstream.name else set()
            else:
                direct += _proxied(one, server, report)
        for listen in server.listens:
            key = (listen.target.where or listen.target.name, listen.port, listen.protocol)
            service = services.setdefault(key, _Service(listen.place))
            service.names |= set(server.names[:1])
            service.pools |= server.pools
    yield from _vips(services)
    for upstream in reader.upstreams.values():
        yield from _members(upstream, report)
    yield from direct


def _vips(
    services: dict[tuple[Address | str | None, int | None, str], _Service],
) -> Iterator[Fact]:
    for (where, port, protocol), service in services.items():
        name = where if isinstance(where, str) else _only(service.names)
        yield Vip(
            place=service.place,
            where=None if isinstance(where, str) else where,
            name=name,
            port=port,
            protocol=protocol,
            forwarding=Forwarding.PROXY,
            pool=_only(service.pools),
        )


def _only(found: set[str]) -> str | None:
    """What all of them agree on."""
    return next(iter(found)) if len(found) == 1 else None


def _members(upstream: _Upstream, report: Report) -> Iterator[Fact]:
    for statement in upstream.servers:
        text, options = statement.word(1), statement.words[2:]
        if text.startswith("unix:"):
            continue
        host, port_text = words.host_port(text)
        target = target_of(host, statement.place, report)
        if target is None:
            continue
        default = None if upstream.context == "stream" else _HTTP_PORT
        for port in ports_of(port_text or str(default or ""), statement.place, report):
            for protocol in sorted(upstream.protocols) or [TCP]:
                yield RealServer(
                    place=statement.place,
                    where=target.where,
                    name=target.name,
                    port=port,
                    protocol=protocol,
                    belongs_to=upstream.name,
                    disabled="down" in options,
                    forwarding=Forwarding.PROXY,
                    standby="backup" in options,
                    pool=upstream.name,
                )


def _proxied(one: _Pass, server: _Server, report: Report) -> Iterator[Fact]:
    """A machine that is named in the server itself.

    A bare name without a port may as well be an upstream of a file that is not here, or some
    site of others, so it is no fact.
    """
    if one.host == "unix" or one.host.startswith("$"):
        return
    if not one.port and words.is_host_name(one.host):
        return
    target = target_of(one.host, one.place, report)
    if target is None:
        return
    port = words.port(one.port) if one.port else one.default_port
    owners: list[str | None] = [
        service_name(at.target.where or str(at.target), at.port, at.protocol)
        for at in server.listens
    ]
    for protocol in sorted(server.protocols) or [TCP]:
        for owner in owners or [None]:
            yield RealServer(
                place=one.place,
                where=target.where,
                name=target.name,
                port=port,
                protocol=protocol,
                belongs_to=owner,
                forwarding=Forwarding.PROXY,
            )


SOURCE: Final = WholeSource(
    "nginx",
    "nginx configuration: servers of upstreams as real servers, listen addresses as VIPs",
    ("*.conf", "*.vhost", "default"),
    _read,
)
