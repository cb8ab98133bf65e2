"""What the machines themselves are set to: their addresses, their loopback, their ARP settings.

Read from files collected in a folder for each machine, laid out as they lie on it, or asked for
over the operator's own command. Only the keys that the audit needs are taken.
"""

import asyncio
import os
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.inventory.facts import Address
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.loopback import interface_addresses
from rwhoisd.inventory.words import address

SSH_SECONDS: Final = 20.0
SSH_AT_ONCE: Final = 8
SSH_OCTETS: Final = 1 << 20
# What is run on a machine: its addresses, then its ARP settings. No file is read, none written.
REMOTE: Final = "ip -o addr show; sysctl -a --pattern 'net.ipv4.conf.*arp_(ignore|announce)'"

_ARP: Final = re.compile(
    r"\s*-?\s*net[./]ipv4[./]conf[./](?P<interface>[^=\s]+)[./](?P<key>arp_ignore|arp_announce)"
    r"\s*=\s*(?P<value>[0-9])\s*(?:[#;].*)?$"
)
_IP_ADDR: Final = re.compile(r"\d+:\s+(?P<interface>[^\s@:]+)\S*\s+inet6?\s+(?P<address>\S+)")
_SYSCTL_FILES: Final = ("sysctl.conf", "sysctl.txt", "sysctl-a.txt")
_INTERFACE_FILES: Final = ("ifcfg-*", "interfaces", "*.yaml", "*.yml", "*.cfg")
_IP_FILES: Final = ("ip-addr.txt", "ip-addr", "ip_addr.txt")


@dataclass
class Machine:
    """One machine. ``arp``: (interface, key) → value, as the files set it, the last one wins."""

    name: str
    place: str  # folder, or the command that was asked
    addresses: set[Address] = field(default_factory=set)  # on interfaces with a wire
    loopback: set[Address] = field(default_factory=set)
    arp: dict[tuple[str, str], int] = field(default_factory=dict)

    def arp_value(self, key: str) -> int:
        """What is in force on an interface with a wire: the larger of ``all`` and its own.

        A setting of ``lo`` alone does nothing: questions come in on another interface.
        """
        told = (
            v for (name, k), v in self.arp.items() if k == key and name not in ("lo", "default")
        )
        return max(told, default=0)


def read_machines(folder: Path) -> tuple[list[Machine], list[Finding]]:
    """The machines of a folder, by name; a file that cannot be read is a finding.

    Raises: FormatError, when the folder is none or is empty.
    """
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise failed(folder, 0, f"cannot be read: {error.strerror}") from error
    if not folders:
        raise failed(folder, 0, "has no folder of a machine; collect one for each, by its name")
    report = Report()
    return [_machine(path, report) for path in folders], report.findings


def _machine(folder: Path, report: Report) -> Machine:
    machine = Machine(folder.name, str(folder))
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in sorted(files, key=_sysctl_order):
        try:
            file = TextFile.read(path)
        except FormatError as error:
            report.findings += error.findings
            continue
        if _is_sysctl(path):
            _take_sysctl(machine, file.lines)
        elif _matches(path, _IP_FILES):
            _take_ip_addr(machine, file.lines)
        elif _matches(path, _INTERFACE_FILES):
            _take_interfaces(machine, file, report)
    return machine


def _matches(path: Path, names: Iterable[str]) -> bool:
    return any(fnmatch(path.name, name) for name in names)


def _is_sysctl(path: Path) -> bool:
    in_folder = path.parent.name == "sysctl.d" and path.suffix == ".conf"
    return in_folder or path.name in _SYSCTL_FILES


def _sysctl_order(path: Path) -> tuple[bool, str]:
    """sysctl.d by name, then sysctl.conf, as ``sysctl --system`` reads them."""
    return path.parent.name != "sysctl.d", path.name


def _take_sysctl(machine: Machine, lines: Iterable[str]) -> None:
    for line in lines:
        if match := _ARP.match(line):
            machine.arp[match["interface"], match["key"]] = int(match["value"])


def _take_ip_addr(machine: Machine, lines: Iterable[str]) -> None:
    for line in lines:
        if match := _IP_ADDR.match(line.strip()):
            found = address(match["address"])
            if found is not None and not found.is_loopback and not found.is_link_local:
                own = match["interface"] == "lo" or match["interface"].startswith("dummy")
                (machine.loopback if own else machine.addresses).add(found)


def _take_interfaces(machine: Machine, file: TextFile, report: Report) -> None:
    for found in interface_addresses(file, Inputs((file,)), report):
        if not found.address.is_loopback:
            own = found.on_loopback
            (machine.loopback if own else machine.addresses).add(found.address)


async def ask_machines(
    command: Sequence[str], addresses: Sequence[Address]
) -> tuple[list[Machine], list[Finding]]:
    """The machines at these addresses, asked over the operator's command; no shell of ours.

    ``{host}`` in the command is the address. One that does not answer is a finding.
    """
    gate = asyncio.Semaphore(SSH_AT_ONCE)
    findings: list[Finding] = []

    async def ask(where: Address) -> Machine | None:
        words = [word.replace("{host}", str(where)) for word in command]
        async with gate:
            try:
                text = await _output([*words, REMOTE])
            except (OSError, TimeoutError, ValueError) as error:
                reason = str(error) or "took too long"
                findings.append(Finding(f"machine {where}", 0, f"could not be asked: {reason}"))
                return None
        machine = Machine(str(where), f"machine {where}", {where})
        _take_ip_addr(machine, text.split("\n"))
        _take_sysctl(machine, text.split("\n"))
        return machine

    asked = await asyncio.gather(*[ask(where) for where in addresses])
    return [machine for machine in asked if machine is not None], findings


async def _output(command: Sequence[str]) -> str:
    """What a command prints. Raises: OSError, TimeoutError, ValueError (its exit status)."""
    process = await asyncio.create_subprocess_exec(
        *command,
        start_new_session=True,  # so that what it started ends with it
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SSH_SECONDS):
            data = await _at_most(process.stdout, SSH_OCTETS)
            status = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if status and not data:
        raise ValueError(f"the command ended with status {status}")
    return data.decode("utf-8", "replace")


async def _at_most(stream: asyncio.StreamReader, octets: int) -> bytes:
    """All of a stream. Raises: ValueError, when it is longer."""
    try:
        await stream.readexactly(octets)
    except asyncio.IncompleteReadError as error:
        return error.partial
    raise ValueError(f"the command prints more than {octets} octets")


def by_address(machines: Iterable[Machine]) -> dict[Address, Machine]:
    """Which machine has an address on an interface with a wire."""
    return {where: machine for machine in machines for where in machine.addresses}


def arp_faults(machine: Machine) -> Iterator[str]:
    """What keeps a real server from being silent about the VIP on its loopback (LVS-DR)."""
    if machine.arp_value("arp_ignore") < 1:
        yield "arp_ignore is not set; set net.ipv4.conf.all.arp_ignore = 1"
    if machine.arp_value("arp_announce") < 2:
        yield "arp_announce is not set; set net.ipv4.conf.all.arp_announce = 2"
