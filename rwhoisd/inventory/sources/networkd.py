"""``*.network`` files of systemd-networkd, and what ``ip addr show`` prints."""

import re
from collections.abc import Iterator
from typing import Final

from rwhoisd.inventory.facts import Place
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.interfaces import InterfaceAddress, interface_address

_DEVICE: Final = re.compile(r"[0-9]+:\s+([^\s:@]+)")
_INET: Final = re.compile(r"\binet6?\s+(\S+)(?:\s+peer\s+\S+)?")


def read_network(file: TextFile, inputs: Inputs, report: Report) -> Iterator[InterfaceAddress]:
    """``Address=`` of [Network] and [Address], on the interface that [Match] names."""
    del inputs
    section, interface = "", ""
    found: list[tuple[Place, str]] = []
    for number, line in enumerate(file.lines, 1):
        text = line.strip()
        key, separator, value = (part.strip() for part in text.partition("="))
        if text.startswith("["):
            section = text.strip("[]")
        elif (section, key) == ("Match", "Name"):
            interface = next(iter(value.split()), "")
        elif section in ("Network", "Address") and key == "Address" and separator and value:
            found.append((file.at(number), value))
    for place, text in found:
        if one := interface_address(place, interface, text, report):
            yield one


def read_ip_addr(file: TextFile, inputs: Inputs, report: Report) -> Iterator[InterfaceAddress]:
    """The addresses below each device, or behind it in the form of ``ip -o``."""
    del inputs
    device = ""
    for number, line in enumerate(file.lines, 1):
        if match := _DEVICE.match(line):
            device = match[1]
        inet = _INET.search(line)
        # A line of its own begins with it; elsewhere the word may be a name.
        if inet and device and (match or line.lstrip().startswith("inet")):
            text = inet[1]
            mask = "" if "/" in text else ("128" if ":" in text else "32")
            if one := interface_address(file.at(number), device, text, report, mask=mask):
                yield one
