"""Pacemaker: addresses that the cluster moves are VIPs, its nodes are hosts by name.

The configuration comes as XML (``cib.xml``, ``pcs cluster cib``) or as text of the crm shell
(``crm configure show``); what a file is, its content tells (inventory-formats.md §5).
"""

from collections.abc import Iterator
from typing import Final

from rwhoisd.inventory.facts import Fact
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.cluster import facts_of
from rwhoisd.inventory.sources.cluster_crm import crm_cluster
from rwhoisd.inventory.sources.cluster_xml import xml_cluster


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    del inputs
    is_xml = file.text.lstrip().startswith("<")
    cluster = xml_cluster(file, report) if is_xml else crm_cluster(file)
    yield from facts_of(cluster, report)


SOURCE: Final = FileSource(
    "pacemaker",
    "Pacemaker CIB as XML or crm shell text: cluster addresses as VIPs, nodes as hosts",
    ("cib*.xml", "*cib.xml", "*.cib", "*.crm"),
    _read,
)
