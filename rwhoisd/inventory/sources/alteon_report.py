"""``/info/slb/dump`` of an Alteon switch: what its virtual servers do now.

Three kinds of lines, each with a number or a port before a colon: a virtual server with its MAC
address, a service with its ``rport``, and below it the real servers. Older switches list the real
servers once more before, under ``Real server state``.
"""

import re
from collections.abc import Iterator
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import (
    TCP,
    Address,
    Fact,
    RealServer,
    Vip,
    service_name,
)
from rwhoisd.inventory.source import Report, TextFile

# Possessive where blanks may stand on both sides of a limit: long runs of them cost little.
_ROW: Final = re.compile(r"\s*([^\s:,]+):\s++(?:IP[46]\s++)?([^,]+),\s*(.*)\Z")
_MAC: Final = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b")
_SERVICE: Final = re.compile(r"\s*([^\s:,]+):\s+rport\s+([^\s,]*)\s*,?(.*)\Z")
_SECTION: Final = re.compile(r"\s*(real|virtual) server state\b", re.IGNORECASE)
# What may stand where newer switches write the name of a real server.
_NO_NAME: Final = re.compile(
    r"(?:group|backup|health|vlan|port|weight|\d+ ms)\b|(?:up|down|failed|disabled|blocked)\Z",
    re.IGNORECASE,
)


def read_report(file: TextFile, report: Report) -> Iterator[Fact]:
    """The facts of a report."""
    reader = _Report(file)
    for number, line in enumerate(file.lines, 1):
        yield from reader.take(number, line)
    yield from reader.end()
    yield from reader.idle()
    if not reader.known and file.text.strip():
        report.partial(file.at(0), "it is neither /cfg/dump nor /info/slb/dump")


class _Report:
    """Goes over the lines in order; knows which virtual server and service it is in."""

    def __init__(self, file: TextFile) -> None:
        self.known = 0  # lines that belong to the format
        self._file = file
        self._is_real_section = False
        self._vip: Vip | None = None  # without its services
        self._has_service = False
        self._service: tuple[str, int | None, str] | None = None  # owner, real port, protocol
        self._listed: dict[Address, RealServer] = {}  # of the section of real servers
        self._serving: set[Address] = set()

    def take(self, number: int, line: str) -> Iterator[Fact]:
        """One line."""
        section = _SECTION.match(line)
        if section is not None:
            yield from self.end()
            self._is_real_section = section[1].lower() == "real"
            return
        service = _SERVICE.match(line)
        if service is not None:
            yield from self._services(number, service)
            return
        row = _ROW.match(line)
        where = words.address(row[2]) if row is not None else None
        if row is None or where is None:
            return
        self.known += 1
        if _MAC.match(row[3]) and not self._is_real_section:
            yield from self.end()
            self._begin(number, where, row[3])
        else:
            server = self._real_server(number, where, row[3])
            if self._is_real_section:
                self._listed.setdefault(where, server)
            else:
                self._serving.add(where)
                yield server

    def _begin(self, number: int, where: Address, rest: str) -> None:
        name = re.search(r"\bvname\s+([^,]+)", rest)
        self._vip = Vip(
            place=self._file.at(number), where=where, name=name[1].strip() if name else None
        )
        self._has_service = False

    def end(self) -> Iterator[Fact]:
        """The virtual server ends; one without a service is a fact by itself."""
        if self._vip is not None and not self._has_service:
            yield self._vip
        self._vip = self._service = None

    def idle(self) -> Iterator[Fact]:
        """The real servers that no service was seen to have."""
        for where, server in self._listed.items():
            if where not in self._serving:
                yield server

    def _services(self, number: int, row: re.Match[str]) -> Iterator[Fact]:
        if self._vip is None or not isinstance(self._vip.where, Address):
            return
        self.known += 1
        self._has_service = True
        listed = {part.strip().lower() for part in row[3].split(",")}
        protocol = next((one for one in ("udp", "sctp") if one in listed), TCP)
        port = words.port(row[1])
        self._service = (
            service_name(self._vip.where, port, protocol),
            words.port(row[2]) or port,
            protocol,
        )
        yield Vip(
            place=self._file.at(number), where=self._vip.where, name=self._vip.name, port=port,
            protocol=protocol if port else None,
        )  # fmt: skip

    def _real_server(self, number: int, where: Address, rest: str) -> RealServer:
        parts = [part.strip() for part in rest.split(",")]
        named = not _NO_NAME.match(parts[0]) and not _MAC.match(parts[0])
        owner, port, protocol = self._service or (None, None, None)
        return RealServer(
            place=self._file.at(number), where=where,
            name=(parts[0] or None) if named else None, port=port,
            protocol=protocol if port else None, belongs_to=owner,
            disabled=parts[-1].lower() == "disabled" or "group dis" in parts,
        )  # fmt: skip
