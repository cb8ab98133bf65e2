"""Interfaces of one machine: ifcfg, ifupdown, netplan, systemd-networkd, ``ip addr show``.

A host address on the loopback tells a real server of direct server return: it answers for that
VIP. An address on another interface is a host in its network. ``interface_addresses`` is for
the audit as well: what does a file put where?
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from rwhoisd.inventory.facts import Block, Fact, Host, Vip
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.ifcfg import read_ifcfg
from rwhoisd.inventory.sources.ifupdown import read_ifupdown
from rwhoisd.inventory.sources.interfaces import InterfaceAddress
from rwhoisd.inventory.sources.netplan import read_netplan
from rwhoisd.inventory.sources.networkd import read_ip_addr, read_network
from rwhoisd.inventory.words import is_publishable

_Reader = Callable[[TextFile, Inputs, Report], Iterator[InterfaceAddress]]
# The first whose mark is in a file reads it; the file's name says less, such as ``lo0.dns``.
_READERS: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = (
    (re.compile(r"^[0-9]+:[ \t]+\S+[ \t]+(?:<|inet)", re.MULTILINE), read_ip_addr),
    (re.compile(r"^[ \t]*\[(?:Match|Network)\]", re.MULTILINE), read_network),
    (
        re.compile(r"^[ \t{]*[\"']?(?:network|autoinstall)[\"']?[ \t]*:", re.MULTILINE),
        read_netplan,
    ),
    (
        re.compile(
            r"^[ \t]*(?:iface|auto|allow-\S+|mapping|source|source-directory)[ \t]+\S", re.MULTILINE
        ),
        read_ifupdown,
    ),
    (re.compile(r"^[ \t]*(?:export[ \t]+)?[A-Z]\w*[ \t]*=", re.MULTILINE), read_ifcfg),
)


def interface_addresses(
    file: TextFile, inputs: Inputs, report: Report
) -> Iterator[InterfaceAddress]:
    """Every address that a file gives to an interface, 127.0.0.1 as well; by the file's form."""
    reader = next((read for mark, read in _READERS if mark.search(file.text)), None)
    if reader is not None:
        yield from reader(file, inputs, report)
    elif file.text.strip():
        report.warn(file.at(1), "is no file of network interfaces that is known; skipped")


def loopback_addresses(
    file: TextFile, inputs: Inputs, report: Report
) -> Iterator[InterfaceAddress]:
    """The addresses on the loopback (or a dummy) that are there for others than the machine.

    Also those whose mask is a mistake: ``is_alias`` tells.
    """
    for found in interface_addresses(file, inputs, report):
        if found.on_loopback and is_publishable(found.address):
            yield found


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    for found in interface_addresses(file, inputs, report):
        if is_publishable(found.address):
            yield from _facts(found, report)


def _facts(found: InterfaceAddress, report: Report) -> Iterator[Fact]:
    if found.is_alias:
        yield Vip(
            place=found.place, where=found.address, on_loopback=True, disabled=not found.started
        )
    elif found.loopback:
        report.warn(
            found.place,
            f"{found.address} on the loopback has no host mask, so it is no alias of a VIP;"
            f" give it /{found.address.max_prefixlen}",
        )
    else:
        yield Host(place=found.place, where=found.address, disabled=not found.started)
        if found.network is not None:
            yield Block(place=found.place, where=found.network)


SOURCE: Final = FileSource(
    "loopback",
    "interfaces of a machine (ifcfg, ifupdown, netplan, networkd): VIPs on the loopback, hosts",
    ("ifcfg-*", "interfaces", "interfaces.*", "*.yaml", "*.yml", "*.cfg", "*.network"),
    _read,
)
