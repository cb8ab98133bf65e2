"""Manifests of Kubernetes: VIPs of LoadBalancer Services and of kube-vip, pools of addresses.

A pool (MetalLB, Cilium, kube-vip's cloud provider) is a network, named as the pool. One that is
all of a private block is an example more often than an allocation: it is published when the
setting ``pools`` names it. With that setting, no other pool is.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, Final

from rwhoisd.inventory.facts import TCP, Block, Fact, Place, Span, Vip
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.structures import Items, Row, is_true, json_of, text, yaml_of
from rwhoisd.inventory.words import address, is_placeholder, port, protocol, span

# Annotations that ask for the address of a Service, a list with commas; the first that is there.
_ANNOTATIONS: Final = (
    "metallb.universe.tf/loadBalancerIPs",
    "metallb.io/loadBalancerIPs",
    "kube-vip.io/loadbalancerIPs",
    "lbipam.cilium.io/ips",
    "io.cilium/lb-ipam-ips",
    "purelb.io/addresses",
    "service.beta.kubernetes.io/azure-load-balancer-ipv4",
    "service.beta.kubernetes.io/azure-load-balancer-ipv6",
)
_EXAMPLES: Final = frozenset(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fd00::/8"))
)
_LEGACY_POOLS: Final = "address-pools"
_CLOUD_POOL: Final = re.compile(r"(?:cidr|range)-(.+)\Z")
_JSON: Final = re.compile(r"\s*\{\s*\"")
_DOCUMENT: Final = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_DEPTH: Final = 8  # lists in lists


@dataclass(frozen=True, slots=True)
class _Manifest:
    """One object, with what is needed to tell of it."""

    row: Row
    file: TextFile
    shift: int  # lines before the document
    report: Report
    pools: frozenset[str]  # those to publish; none: all

    @property
    def name(self) -> str | None:
        """Its name, unless it is made or filled in later."""
        found = self.row.row("metadata").text("name")
        return None if not found or is_placeholder(found) else found

    @property
    def spec(self) -> Row:
        """What it is to be."""
        return self.row.row("spec")

    def at(self, line: int) -> Place:
        """A place in the file."""
        return self.file.at(self.shift + line)


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    pools = frozenset(inputs.settings.get("pools", "").replace(",", " ").split())
    for shift, document in _documents(file, report):
        for row in _objects(document, _DEPTH):
            manifest = _Manifest(row, file, shift, report, pools)
            sort = row.text("kind")
            if read := _KINDS.get(sort):
                yield from read(manifest)
            elif not sort:
                yield from _values_file(manifest)


# --- Documents ---


def _documents(file: TextFile, report: Report) -> Iterator[tuple[int, Any]]:
    """Each document with the lines before it; a broken one does not hide the others."""
    if _JSON.match(file.text):
        yield 0, json_of(file)
        return
    at = shift = 0
    for end in [*(match.start() for match in _DOCUMENT.finditer(file.text)), len(file.text)]:
        chunk = file.text[at:end]
        inner = Report()
        yield from ((shift, value) for value in yaml_of(replace(file, text=chunk), inner))
        for found in inner.incomplete:
            reason = found.message.partition(": ")[2]
            if "{{" in chunk:
                reason = "it is a template; read what helm template makes of it"
            report.partial(file.at(shift + found.line), reason)
        shift += chunk.count("\n")
        at = end


def _objects(value: Any, depth: int) -> Iterator[Row]:
    """The object, or those in a List of any kind."""
    if isinstance(value, Items) and depth:
        for item in value:
            yield from _objects(item, depth - 1)
    elif isinstance(value, Row):
        if value.text("kind").endswith("List") or (not value.text("kind") and "items" in value):
            yield from _objects(value.items_of("items"), depth - 1)
        else:
            yield value


# --- Services ---


def _service(manifest: _Manifest) -> Iterator[Fact]:
    """A VIP for each address and port of a LoadBalancer."""
    if manifest.spec.text("type") != "LoadBalancer":
        return
    for place, where in _service_addresses(manifest):
        for number, transport in list(_ports(manifest)) or [(None, None)]:
            yield Vip(place=place, where=where, name=manifest.name, port=number, protocol=transport)


def _service_addresses(manifest: _Manifest) -> Iterator[tuple[Place, IPv4Address | IPv6Address]]:
    """What is assigned, else what is asked for."""
    for line, word in next((found for words in _WORDS if (found := list(words(manifest)))), []):
        where = address(word)
        if where is not None:
            yield manifest.at(line), where
        elif is_placeholder(word):
            manifest.report.warn(manifest.at(line), "the address is still to be filled in; skipped")


_Words = Iterator[tuple[int, str]]


def _assigned(manifest: _Manifest) -> _Words:
    status = manifest.row.row("status", "loadBalancer")
    for row in status.rows("ingress"):
        if row.text("ip"):
            yield row.line_of("ip"), row.text("ip")


def _asked(manifest: _Manifest) -> _Words:
    if word := manifest.spec.text("loadBalancerIP"):
        yield manifest.spec.line_of("loadBalancerIP"), word


def _annotated(manifest: _Manifest) -> _Words:
    notes = manifest.row.row("metadata", "annotations")
    for key in _ANNOTATIONS:
        if words := notes.text(key):
            yield from ((notes.line_of(key), word.strip()) for word in words.split(","))
            return


_WORDS: Final = (_assigned, _asked, _annotated)


def _ports(manifest: _Manifest) -> Iterator[tuple[int | None, str | None]]:
    for row in manifest.spec.rows("ports"):
        number = port(row.text("port"))
        if number is not None:
            yield number, protocol(row.text("protocol")) or TCP


# --- Pools ---


def _pool(manifest: _Manifest, name: str | None, line: int, words: str) -> Iterator[Block]:
    """The network of one entry of a pool."""
    place = manifest.at(line)
    where = _network(words)
    if manifest.pools and name not in manifest.pools:
        return
    if where is None:
        what = "is still to be filled in" if is_placeholder(words) else "is none"
        manifest.report.warn(place, f"the network of a pool {what}; skipped")
    elif where in _EXAMPLES and not manifest.pools:
        manifest.report.warn(
            place, f"a pool is all of {where}, as in examples; name it with the setting pools"
        )
    else:
        yield Block(place=place, where=where, name=name)


def _network(words: str) -> IPv4Network | IPv6Network | Span | None:
    """A network in the form of its source: a range stays one, though it may be a block."""
    found = span(words)
    if isinstance(found, IPv4Address | IPv6Address):
        found = ip_network(found)
    return found


def _pools_of(manifest: _Manifest, row: Row, name: str | None) -> Iterator[Block]:
    for line, word in row.items_of("addresses").placed():
        if isinstance(word, str):
            yield from _pool(manifest, name, line, word)


def _metallb(manifest: _Manifest) -> Iterator[Fact]:
    """``IPAddressPool``, and ``AddressPool`` before it."""
    yield from _pools_of(manifest, manifest.spec, manifest.name)


def _cilium(manifest: _Manifest) -> Iterator[Fact]:
    """``CiliumLoadBalancerIPPool``: ``cidr``, or ``start`` and ``stop``."""
    for key in ("blocks", "cidrs"):
        for row in manifest.spec.rows(key):
            first, last = row.text("start"), row.text("stop")
            words = row.text("cidr") or (f"{first}-{last}" if last else first)
            if words:
                yield from _pool(manifest, manifest.name, row.line, words)


def _legacy_pools(manifest: _Manifest, row: Row) -> Iterator[Fact]:
    """``address-pools``, as the ConfigMap of MetalLB up to 0.12 has them."""
    for pool in row.rows(_LEGACY_POOLS):
        yield from _pools_of(manifest, pool, pool.text("name") or None)


def _values_file(manifest: _Manifest) -> Iterator[Fact]:
    """What stands in MetalLB's ConfigMap, alone or in the values of its chart."""
    row = manifest.row
    for place in ((), ("configInline",), ("metallb", "configInline")):
        yield from _legacy_pools(manifest, row.row(*place))


def _release(manifest: _Manifest) -> Iterator[Fact]:
    """``HelmRelease`` of Flux: the values of a chart are within."""
    yield from _values_file(replace(manifest, row=manifest.spec.row("values")))


def _config_map(manifest: _Manifest) -> Iterator[Fact]:
    """MetalLB's: YAML in a text. Of kube-vip's cloud provider: ``range-NAMESPACE: A-B``."""
    data = manifest.row.row("data")
    for key, value in data.items():
        line = data.line_of(key)
        if _LEGACY_POOLS in text(value):
            # The text of a block begins on the line below its key.
            inner = replace(manifest, shift=manifest.shift + line)
            part = replace(manifest.file, text=text(value))
            for document in yaml_of(part, Report()):
                yield from _legacy_pools(inner, document if isinstance(document, Row) else Row())
        elif manifest.name in ("kubevip", "plndr") and (match := _CLOUD_POOL.match(key)):
            for word in text(value).split(","):
                yield from _pool(manifest, match[1], line, word.strip())


# --- kube-vip ---


def _workload(manifest: _Manifest) -> Iterator[Fact]:
    """The VIP of the control plane: ``address`` in the environment of kube-vip."""
    template = manifest.spec.row("template", "spec")
    for container in (template or manifest.spec).rows("containers"):
        if any("kube-vip" in container.text(key) for key in ("image", "name")):
            yield from _kube_vip(manifest, container)


def _kube_vip(manifest: _Manifest, container: Row) -> Iterator[Fact]:
    rows = {row.text("name"): row for row in container.rows("env")}
    values: Mapping[str, str] = {name: row.text("value") for name, row in rows.items()}
    if "cp_enable" in values and not is_true(values["cp_enable"]):
        return
    key = next((key for key in ("address", "vip_address") if values.get(key)), "")
    if not key:
        return
    place = manifest.at(rows[key].line_of("value"))
    number = port(values.get("port", ""))
    transport = None if number is None else TCP
    for word in values[key].split(","):
        where = address(word)
        if where is not None:
            yield Vip(place=place, where=where, name=manifest.name, port=number, protocol=transport)
        elif is_placeholder(word):
            manifest.report.warn(place, "the address of kube-vip is still to be filled in; skipped")


_KINDS: Final[Mapping[str, Callable[[_Manifest], Iterator[Fact]]]] = {
    "Service": _service,
    "IPAddressPool": _metallb,
    "AddressPool": _metallb,
    "CiliumLoadBalancerIPPool": _cilium,
    "ConfigMap": _config_map,
    "HelmRelease": _release,
    "Pod": _workload,
    "DaemonSet": _workload,
    "Deployment": _workload,
}

SOURCE: Final = FileSource(
    "kubernetes",
    "manifests of Kubernetes: LoadBalancer Services, kube-vip, pools of MetalLB and Cilium",
    ("*.yaml", "*.yml", "*.json"),
    _read,
)
