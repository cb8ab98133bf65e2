"""nginx: servers of upstreams and proxied addresses are real servers, ``listen ADDR`` are VIPs.

An upstream may stand in another file than the server that names it, so all files of a run are
read first (nginx.org, modules http_upstream, http_proxy, stream_core; inventory-formats.md §6).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
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
from rwhoisd.inventory.source import Inputs, Report, WholeSource
from rwhoisd.inventory.sources.blocks import Statement
from rwhoisd.inventory.sources.nginx_files import CONTEXTS, HTTP_PORT, Files, Server, Upstream
from rwhoisd.inventory.sources.targets import ports_of, target_of

# The port of each scheme of what hands requests on; "" is without a scheme.
_SCHEMES: Final[dict[str, dict[str, int | None]]] = {
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
    upstream: Upstream | None = None


class _Resolver:
    """Tells upstreams from machines, once all of them are known."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def passes(self, server: Server) -> Iterator[_Pass]:
        """What the server hands requests to; a variable may stand for several."""
        for statement in server.passes:
            for text in self._texts(statement.word(1), server):
                yield self._pass(statement, text, server)

    def _texts(self, text: str, server: Server) -> list[str]:
        """A value with its variables put in, as far as the files tell them."""
        single = _VARIABLE.sub(
            lambda match: server.variables.get(match[1] or match[2], match[0]), text
        )
        url = _URL.match(single)
        match = _VARIABLE.search(single, 0, url.end() if url else 0)
        many = self._files.values.get(match[1] or match[2], []) if match else []
        if match is None or not many:
            return [single]
        return [single[: match.start()] + one + single[match.end() :] for one in many]

    def _pass(self, statement: Statement, text: str, server: Server) -> _Pass:
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
            _SCHEMES[statement.keyword].get(scheme.lower()),
            self._upstream(server.context, authority, host),
        )

    def _upstream(self, context: str, authority: str, host: str) -> Upstream | None:
        """An upstream goes by its whole name; in a lone file the context is not known."""
        upstreams = self._files.upstreams
        contexts = dict.fromkeys((context, "", *sorted(CONTEXTS)) if not context else (context, ""))
        keys = ((where, name.lower()) for where in contexts for name in (authority, host))
        return next((upstreams[key] for key in keys if key in upstreams), None)


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    files = Files(inputs, report)
    resolver = _Resolver(files)
    direct: list[Fact] = []
    services: dict[tuple[Address, int | None, str], _Service] = {}
    for server in files.servers:
        for one in resolver.passes(server):
            if one.upstream is not None:
                one.upstream.protocols |= server.behind
                server.pools |= {one.upstream.name} if one.upstream.name else set()
            else:
                direct += _proxied(one, server, report)
        for listen in server.listens:
            key = (listen.where, listen.port, listen.protocol)
            service = services.setdefault(key, _Service(listen.place))
            service.names |= set(server.names[:1])
            service.pools |= server.pools
    yield from _vips(services)
    for upstream in files.upstreams.values():
        yield from _members(upstream, report)
    yield from direct


def _vips(
    services: dict[tuple[Address, int | None, str], _Service],
) -> Iterator[Fact]:
    for (where, port, protocol), service in services.items():
        yield Vip(
            place=service.place,
            where=where,
            name=_only(service.names),
            port=port,
            protocol=protocol,
            forwarding=Forwarding.PROXY,
            pool=_only(service.pools),
        )


def _only(found: set[str]) -> str | None:
    """What all of them agree on."""
    return next(iter(found)) if len(found) == 1 else None


def _members(upstream: Upstream, report: Report) -> Iterator[Fact]:
    for statement in upstream.servers:
        text, options = statement.word(1), statement.words[2:]
        if text.startswith("unix:"):
            continue
        host, port_text = words.host_port(text)
        target = target_of(host, statement.place, report)
        if target is None:
            continue
        default = None if upstream.context == "stream" else HTTP_PORT
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


def _proxied(one: _Pass, server: Server, report: Report) -> Iterator[Fact]:
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
    ends: list[tuple[str | None, str]] = [
        (service_name(at.where, at.port, at.protocol), at.behind) for at in server.listens
    ]
    for owner, protocol in ends or [(None, each) for each in sorted(server.behind) or [TCP]]:
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
