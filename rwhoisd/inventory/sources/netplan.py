"""Netplan's YAML, and the older form of cloud-init (version 1) that is in the same place."""

from collections.abc import Iterator
from typing import Any, Final

from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.interfaces import InterfaceAddress, interface_address
from rwhoisd.inventory.structures import Row, text, yaml_of

_DUMMIES: Final = "dummy-devices"
_NOT_STARTED: Final = frozenset({"off", "manual"})
_NESTING: Final = 4  # ``autoinstall: network: network:``


def read_netplan(file: TextFile, inputs: Inputs, report: Report) -> Iterator[InterfaceAddress]:
    """The addresses of every device of every sort."""
    del inputs
    for document in yaml_of(file, report):
        network = _network(document)
        for sort, devices in network.items():
            if isinstance(devices, Row):
                yield from _devices(file, sort, devices, report)
        for row in network.rows("config"):
            yield from _version_1(file, row, report)


def _network(document: Any) -> Row:
    """The innermost ``network`` mapping."""
    found = document if isinstance(document, Row) else Row()
    if not found.row("network"):
        found = found.row("autoinstall")
    for _ in range(_NESTING):
        found = found.row("network") or found
    return found


def _devices(file: TextFile, sort: str, devices: Row, report: Report) -> Iterator[InterfaceAddress]:
    for name, device in devices.items():
        if not isinstance(device, Row):
            continue
        interface = device.row("match").text("name") or device.text("set-name") or name
        started = device.text("activation-mode") not in _NOT_STARTED
        for line, item in device.items_of("addresses").placed():
            for address in _addresses(item):
                found = interface_address(
                    file.at(line), interface, address, report,
                    dummy=sort == _DUMMIES, started=started,
                )  # fmt: skip
                if found:
                    yield found


def _addresses(item: Any) -> Iterator[str]:
    """An address, or those that are keys to their label and lifetime."""
    if isinstance(item, Row):
        yield from item
    elif text(item):
        yield text(item)


def _version_1(file: TextFile, row: Row, report: Report) -> Iterator[InterfaceAddress]:
    """``type: physical`` and the like with ``subnets``."""
    for subnet in row.rows("subnets"):
        address = subnet.text("address")
        if address:
            found = interface_address(
                file.at(subnet.line_of("address")), row.text("name"), address, report,
                mask=subnet.text("netmask"), dummy=row.text("type") == "dummy",
            )  # fmt: skip
            if found:
                yield found
