"""``ifcfg-NAME`` files of Red Hat and SUSE: assignments of a shell."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Final, NamedTuple

from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.interfaces import InterfaceAddress, interface_address
from rwhoisd.inventory.words import addresses_of

_ASSIGNMENT: Final = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z]\w*)[ \t]*=[ \t]*(.*)")
# In quotes: up to the same quote; bare: up to a blank or ``;``.
_VALUE: Final = re.compile(r"\"([^\"]*)|'([^']*)|([^\s;\"']*)")
_LIST: Final = "IPV6ADDR_SECONDARIES"  # parted by blanks, by many written without quotes
_QUOTES: Final = str.maketrans("\"'", "  ")
_ADDRESS: Final = re.compile(r"IPADDR(?!_START\Z|_END\Z)([0-9]*|_\w+)\Z")
_MASKS: Final = ("NETMASK", "PREFIX", "PREFIXLEN")
_NO: Final = frozenset({"no", "false", "off", "0", "manual"})
_FILE: Final = re.compile(r"ifcfg-(.+)\Z")


class _Value(NamedTuple):
    line: int
    text: str


def _values(file: TextFile) -> dict[str, _Value]:
    """The last value of each key."""
    found: dict[str, _Value] = {}
    for number, line in enumerate(file.lines, 1):
        if match := _ASSIGNMENT.match(line):
            found[match[1]] = _Value(number, _text(match[1], match[2]))
    return found


def _text(key: str, written: str) -> str:
    if key == _LIST:
        return written.partition("#")[0].translate(_QUOTES).strip()
    match = _VALUE.match(written)
    parts = match.groups() if match else ()
    return next((part for part in parts if part is not None), "").strip()


def _device(file: TextFile, values: Mapping[str, _Value]) -> str:
    """The interface, by what the file says, else by the file's name."""
    named = values.get("DEVICE")
    if named and named.text:
        return named.text
    match = _FILE.match(PurePath(file.name).name)
    return match[1] if match else ""


def _mask(values: Mapping[str, _Value], mark: str) -> str:
    """The mask for ``IPADDR`` with this mark; ``IPADDR0`` is ``IPADDR``."""
    marks = (mark, "") if mark in ("0", "_0") else (mark,)
    found = (values.get(f"{key}{one}") for one in marks for key in _MASKS)
    return next((value.text for value in found if value and value.text), "")


def read_ifcfg(file: TextFile, inputs: Inputs, report: Report) -> Iterator[InterfaceAddress]:
    """The addresses of one interface and of its aliases."""
    del inputs
    values = _values(file)
    device = _device(file, values)
    kind = values.get("TYPE")
    dummy = kind is not None and kind.text.lower() == "dummy"
    boot = values.get("ONBOOT") or values.get("STARTMODE")
    started = boot is None or boot.text.lower() not in _NO
    for line, text, mask in _addresses(values, file, report):
        found = interface_address(
            file.at(line), device, text, report, mask=mask, dummy=dummy, started=started
        )
        if found:
            yield found


def _addresses(
    values: Mapping[str, _Value], file: TextFile, report: Report
) -> Iterator[tuple[int, str, str]]:
    """Line, address and mask of each address."""
    for key, value in values.items():
        if (match := _ADDRESS.match(key)) and value.text:
            yield value.line, value.text, _mask(values, match[1])
    for key in ("IPV6ADDR", _LIST):
        if key in values:
            yield from ((values[key].line, text, "") for text in values[key].text.split())
    if "IPADDR_START" in values:
        yield from _range(values, file, report)


def _range(
    values: Mapping[str, _Value], file: TextFile, report: Report
) -> Iterator[tuple[int, str, str]]:
    """``ifcfg-eth0-range0``: an alias for each address from one to another."""
    first, last = values["IPADDR_START"], values.get("IPADDR_END")
    found = addresses_of(f"{first.text}-{last.text}") if last else None
    if found is None:
        report.warn(file.at(first.line), "IPADDR_START and IPADDR_END are no range; skipped")
        return
    yield from ((first.line, str(one), _mask(values, "")) for one in found)
