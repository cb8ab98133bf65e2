"""The cluster information base (CIB) of Pacemaker as XML."""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.sources.cluster import (
    STOPPED,
    Bundle,
    Cluster,
    Node,
    Parameter,
    Resource,
    replicas_of,
)
from rwhoisd.inventory.structures import line_of, name_of, xml_as_far

# Below these resources are repeated, or are those of before.
_ELSEWHERE: Final = frozenset({"status", "diff-removed"})
_RESOURCES: Final = frozenset({"primitive", "group", "clone", "master", "bundle", "template"})


def xml_cluster(file: TextFile, report: Report) -> Cluster:
    """The cluster of a CIB, or of a part of one. Raises: FormatError."""
    root = xml_as_far(file, report)
    reader = _Reader(file, root)
    for section in root.iter():
        if name_of(section) == "nodes" and not _is_elsewhere(section):
            reader.take_nodes(section)
        elif name_of(section) == "resources" and not _is_elsewhere(section):
            reader.take_resources(section)
    if name_of(root) in _RESOURCES:  # what ``cibadmin --query --xpath`` gives
        reader.take_resources(root)
    return reader.cluster


def _is_elsewhere(element: etree._Element) -> bool:
    return any(name_of(above) in _ELSEWHERE for above in element.iterancestors())


class _Reader:
    """Collects what a CIB says; elements may stand in for others by ``id-ref``."""

    def __init__(self, file: TextFile, root: etree._Element) -> None:
        self.cluster = Cluster()
        self._file = file
        wanted = ("instance_attributes", "meta_attributes", "nvpair")
        self._by_id = {
            found: element
            for element in root.iter()
            if name_of(element) in wanted and (found := element.get("id"))
        }

    def take_nodes(self, nodes: etree._Element) -> None:
        for element in nodes:
            if name_of(element) == "node":
                place = self._file.at(line_of(element))
                name = element.get("uname") or ""
                self.cluster.nodes.append(Node(place, name, element.get("type") or ""))

    def take_resources(self, resources: etree._Element) -> None:
        """Resources at any depth; what a group or a clone says holds for those within it."""
        pending: list[tuple[etree._Element, str | None, bool]] = [(resources, None, False)]
        while pending:
            element, group, stopped = pending.pop()
            stopped = stopped or self._is_stopped(element)
            match name_of(element):
                case "primitive":
                    resource = self._resource(element, group, stopped)
                    self.cluster.resources.setdefault(resource.name, resource)
                case "template":
                    resource = self._resource(element, group, stopped)
                    self.cluster.templates.setdefault(resource.name, resource)
                case "group":
                    group = element.get("id")
                case "bundle":
                    self._take_bundle(element)
            within = (child for child in reversed(element) if name_of(child) in _RESOURCES)
            pending += [(child, group, stopped) for child in within]

    def _resource(self, element: etree._Element, group: str | None, stopped: bool) -> Resource:
        return Resource(
            self._file.at(line_of(element)),
            element.get("id") or "",
            element.get("type") or "",
            list(self._parameters(element, "instance_attributes")),
            element.get("template") or "",
            group,
            stopped,
        )

    def _is_stopped(self, element: etree._Element) -> bool:
        return any(
            one.name == "target-role" and one.value.lower() == STOPPED
            for one in self._parameters(element, "meta_attributes")
        )

    def _parameters(self, element: etree._Element, kind: str) -> Iterator[Parameter]:
        """The name and value pairs of a resource itself, not of those within it."""
        for child in element:
            if name_of(child) == kind:
                for pair in self._meant(child).iter():
                    if name_of(pair) == "nvpair":
                        yield self._parameter(pair)

    def _parameter(self, pair: etree._Element) -> Parameter:
        meant = self._meant(pair)
        place = self._file.at(line_of(pair))
        name = pair.get("name") or meant.get("name") or ""
        return Parameter(place, name, meant.get("value") or "")

    def _meant(self, element: etree._Element) -> etree._Element:
        """The element itself, or the one that it refers to."""
        return self._by_id.get(element.get("id-ref") or "", element)

    def _take_bundle(self, element: etree._Element) -> None:
        network = next((one for one in element if name_of(one) == "network"), None)
        first = network.get("ip-range-start") if network is not None else None
        if network is None or not first:
            return
        counts = [
            (one.get("replicas") or "", one.get("promoted-max") or one.get("masters") or "")
            for one in element
            if name_of(one) in ("docker", "podman", "rkt")
        ]
        replicas = replicas_of(*counts[0]) if counts else 1
        place = self._file.at(line_of(network))
        self.cluster.bundles.append(Bundle(place, element.get("id") or "", first, replicas))
