"""What a Pacemaker cluster is made of, and the facts of it, in whichever form it was read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Fact, Host, Place, Vip
from rwhoisd.inventory.source import Report
from rwhoisd.inventory.sources.targets import target_of

MOST_REPLICAS: Final = 256
REMOTE: Final = "remote"
STOPPED: Final = "stopped"
# Agents of class ``heartbeat`` take what haresources gives them: the first is the address.
POSITIONAL: Final = "1"
# Agents that move an address, and the parameter that holds it. A fence device has an address
# too (of its management port) and is no such agent.
_AGENTS: Final = (
    (re.compile(r"[\w-]*IPaddr2?(?:[_-]\w+)?", re.IGNORECASE), ("ip", POSITIONAL)),
    (re.compile(r"[\w-]*IPv6addr", re.IGNORECASE), ("ipv6addr", "ip", POSITIONAL)),
    (re.compile(r"(?:aws|gcp)-vpc-move-(?:ip|route)|powervs-move-ip"), ("ip",)),
    (re.compile(r"gcp-vpc-move-vip"), ("alias_ip",)),
    (re.compile(r"awseip|awsvip"), ("elastic_ip", "secondary_private_ip")),
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a resource; it may be there several times, each under its own rule."""

    place: Place
    name: str
    value: str


@dataclass(slots=True)
class Resource:
    """A primitive, or the template of some."""

    place: Place
    name: str
    agent: str = ""  # its type alone: ``IPaddr2``
    parameters: list[Parameter] = field(default_factory=list)
    template: str = ""
    group: str | None = None
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster. Of type ``remote``: it may be a container of a bundle."""

    place: Place
    name: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Containers with an address each, counted from the first."""

    place: Place
    name: str
    first: str
    replicas: int


@dataclass(slots=True)
class Cluster:
    """What both forms of the configuration say."""

    nodes: list[Node] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    templates: dict[str, Resource] = field(default_factory=dict)
    bundles: list[Bundle] = field(default_factory=list)


def facts_of(cluster: Cluster, report: Report) -> Iterator[Fact]:
    """VIPs, then hosts. Two agents may hold one address: in a cloud, and on the machine."""
    seen: set[tuple[object, str | None]] = set()
    for resource in cluster.resources.values():
        for vip in _vips(resource, cluster, report):
            if (key := (vip.where or vip.name, vip.belongs_to)) not in seen:
                seen.add(key)
                yield vip
    for bundle in cluster.bundles:
        yield from _addresses(bundle, report)
    for node in cluster.nodes:
        if node.type == REMOTE and not _is_machine(node, cluster):
            continue
        if words.is_host_name(node.name):
            yield Host(place=node.place, name=node.name)
        else:
            report.warn(node.place, "a node whose name is none; skipped")


def _is_machine(node: Node, cluster: Cluster) -> bool:
    """Whether a resource of its name connects to it; else it is a container or a guest."""
    resource = cluster.resources.get(node.name)
    return resource is not None and resource.agent == REMOTE


def _vips(resource: Resource, cluster: Cluster, report: Report) -> Iterator[Fact]:
    template = cluster.templates.get(resource.template, Resource(resource.place, ""))
    agent = resource.agent or template.agent
    wanted = next((names for form, names in _AGENTS if form.fullmatch(agent)), ())
    own = [one for one in resource.parameters if one.name in wanted]
    for parameter in own or [one for one in template.parameters if one.name in wanted]:
        target = target_of(_address_of(parameter), parameter.place, report)
        if target is not None:
            yield Vip(
                place=parameter.place,
                where=target.where,
                name=target.name or resource.name,
                belongs_to=resource.group,
                disabled=resource.is_stopped,
            )


def _address_of(parameter: Parameter) -> str:
    """The address, without the mask and the interface (``A/24/eth0``) behind it."""
    value = parameter.value
    return value.partition("/")[0] if parameter.name == POSITIONAL else value


def _addresses(bundle: Bundle, report: Report) -> Iterator[Fact]:
    first = words.address(bundle.first)
    if first is None:
        report.warn(bundle.place, "a bundle whose first address is none; skipped")
        return
    top = 2**first.max_prefixlen - 1
    for number in range(min(bundle.replicas, MOST_REPLICAS, top - int(first) + 1)):
        where = first + number
        name = f"{bundle.name}-ip-{where}"  # as Pacemaker calls the resource that it makes
        yield Vip(place=bundle.place, where=where, name=name, belongs_to=bundle.name)


def replicas_of(replicas: str, promoted: str) -> int:
    """How many containers: as many as are said, else as many as may be promoted, else one."""
    return next((int(text[:6]) for text in (replicas, promoted) if _is_count(text)), 1)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:6]) > 0
