"""What the files of an nginx say of upstreams and servers, with the files that they include."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import TCP, Address, Place
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.blocks import Grammar, Statement, tree_of
from rwhoisd.inventory.sources.targets import is_open_name, ports_of, target_of

# What hands requests on.
PASSES: Final = frozenset(
    {"proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"}
)
HTTP_PORT: Final = 80
UDP: Final = "udp"
CONTEXTS: Final = frozenset({"http", "stream", "mail"})
_GRAMMAR: Final = Grammar(
    starts=PASSES | CONTEXTS | {"upstream", "server", "listen", "location", "server_name"}
)
_VALUE_BLOCKS: Final = frozenset({"map", "split_clients", "geo"})
# Values of those blocks that are options of theirs.
_VALUE_OPTIONS: Final = frozenset({"include", "hostnames", "volatile", "ranges", "proxy", "delete"})
_MOST_VALUES: Final = 1024  # of one variable
# Files that come with nginx and name no machine: an include of theirs is not worth a warning.
_SHIPPED: Final = re.compile(
    r"(?:.*/)?(?:mime\.types|(?:fastcgi|uwsgi|scgi|proxy)(?:_params|\.conf)|fastcgi-php\.conf"
    r"|koi-(?:utf|win)|win-utf|(?:share/nginx/|modules-enabled/).*)"
)


@dataclass(slots=True)
class Upstream:
    """A pool of servers; in ``http`` and ``stream`` two may have the same name."""

    name: str | None
    context: str
    servers: list[Statement] = field(default_factory=list)
    protocols: set[str] = field(default_factory=set)  # of the servers that hand on to it


@dataclass(frozen=True, slots=True)
class Listen:
    """An address that a server listens on."""

    place: Place
    where: Address
    port: int | None
    protocol: str
    behind: str  # the protocol that machines behind it are spoken to


@dataclass(slots=True)
class Server:
    """A server block with all that stands in its locations."""

    context: str
    listens: list[Listen] = field(default_factory=list)
    behind: set[str] = field(default_factory=set)  # of all its listens, wildcards too
    names: list[str] = field(default_factory=list)
    passes: list[Statement] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Scope:
    """Where a statement stands."""

    context: str = ""
    upstream: Upstream | None = None
    server: Server | None = None


class Files:
    """Collects upstreams, servers and values of all files and of what they include."""

    def __init__(self, inputs: Inputs, report: Report) -> None:
        self.report = report
        self.upstreams: dict[tuple[str, str], Upstream] = {}
        self.servers: list[Server] = []
        self.values: dict[str, list[str]] = {}
        self._seen: set[Path] = set()
        for file in inputs.files:
            self._read(file, inputs, _Scope(server=self._server("")))

    def _read(self, file: TextFile, inputs: Inputs, scope: _Scope) -> None:
        if file.path is not None:
            path = file.path.resolve()
            if path in self._seen:
                return
            self._seen.add(path)
        tree = tree_of(file, _GRAMMAR)
        for place in tree.unclosed[-1:]:
            self.report.partial(place, "a block that begins here is not closed")
        for place in tree.endless:
            self.report.warn(place, "a statement has no ; at its end; read up to the next line")
        for place in tree.stray[:1]:
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
            case word if word in CONTEXTS:
                return _Scope(word)
            case "upstream":
                return _Scope(scope.context, upstream=self._upstream(statement, scope))
            case "server":
                return _Scope(scope.context, server=self._server(scope.context))
            case word if word in _VALUE_BLOCKS:
                self._values(statement)
        return scope

    def _server(self, context: str) -> Server:
        """A new one: of a block, or for a file that is to be included within a block."""
        self.servers.append(Server(context))
        return self.servers[-1]

    def _upstream(self, statement: Statement, scope: _Scope) -> Upstream:
        given = statement.word(1)
        name = None if not given or is_open_name(given) else given
        return self.upstreams.setdefault(
            (scope.context, given.lower()), Upstream(name, scope.context)
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
            if statement.keyword in PASSES:
                scope.server.passes.append(statement)
            elif take := _TAKEN.get(statement.keyword):
                take(scope.server, statement, self.report)
            elif statement.keyword == "server" and _is_endpoint(statement.word(1)):
                # Such a file is for an upstream, whose name it does not tell.
                loose = self.upstreams.setdefault(("", ""), Upstream(None, ""))
                loose.servers.append(statement)


def _ends_within(text: str) -> bool:
    """Whether the last statement has no end."""
    for line in reversed(text.split("\n")):
        bare = line.partition(" #")[0].strip() if not line.lstrip().startswith("#") else ""
        if bare:
            return bare[-1] not in ";{}" and "%}" not in bare
    return False


def _is_endpoint(text: str) -> bool:
    """Whether a word can only be a machine, even in a file that may be of another program."""
    host, port = words.host_port(text)
    return words.address(host) is not None or words.port(port) is not None


# --- statements of a server ---


def _listen(server: Server, statement: Statement, report: Report) -> None:
    text, options = statement.word(1), statement.words[2:]
    behind = UDP if "udp" in options else TCP
    protocol = UDP if "quic" in options else behind  # HTTP/3 in front, HTTP/1 behind
    server.behind.add(behind)
    if text.isdigit() or text.startswith("unix:") or not text:
        return
    host, port = words.host_port(text)
    if "-" in text and ":" not in text and text.replace("-", "").isdigit():
        return  # a range of ports on every address
    target = target_of(host, statement.place, report)
    if target is None or target.where is None:
        return  # a name says of no address that it is ours
    default = str(HTTP_PORT) if server.context in ("", "http") else ""
    for number in ports_of(port or default, statement.place, report):
        server.listens.append(Listen(statement.place, target.where, number, protocol, behind))


def _server_name(server: Server, statement: Statement, report: Report) -> None:
    del report
    server.names += [name for name in statement.values if words.is_host_name(name) and name != "_"]


def _set(server: Server, statement: Statement, report: Report) -> None:
    del report
    value = statement.word(2)
    if "$" not in value:
        server.variables[statement.word(1).removeprefix("$")] = value


_TAKEN: Final[dict[str, Callable[[Server, Statement, Report], None]]] = {
    "listen": _listen,
    "server_name": _server_name,
    "set": _set,
}
