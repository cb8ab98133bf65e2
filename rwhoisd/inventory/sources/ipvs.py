"""The kernel's virtual servers: ``ipvsadm-save``, ``ipvsadm -L`` and ``/proc/net/ip_vs``.

They are told apart line by line. A line of ``ipvsadm-save`` is read as the command that it is
(ipvsadm(8)), with ``ipvsadm`` before it or not, so a script that sets up a director is read too,
with the plain variables it sets. Lines that change or delete nothing are the rest.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Fact, Forwarding, Place, RealServer, Vip
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.lvs import FORWARDING, Machine, Service, forwarding

_ADD_SERVICE: Final = frozenset({"-A", "--add-service", "-E", "--edit-service"})
_ADD_SERVER: Final = frozenset({"-a", "--add-server", "-e", "--edit-server"})
_SERVICES: Final[Mapping[str, str]] = {
    "-t": "tcp", "--tcp-service": "tcp", "-u": "udp", "--udp-service": "udp",
    "--sctp-service": "sctp", "-f": "mark", "--fwmark-service": "mark",
}  # fmt: skip
_SERVER: Final = frozenset({"-r", "--real-server"})
_OTHER_VALUES: Final = frozenset({
    "-s", "--scheduler", "-w", "--weight", "-M", "--netmask", "-x", "--u-threshold", "-y",
    "--l-threshold", "--pe", "--tun-type", "--tun-port", "-z", "--local-address", "-F", "--ifname",
})  # fmt: skip
_TAKES_VALUE: Final = frozenset(_SERVICES) | _SERVER | _OTHER_VALUES
_PROGRAM: Final = re.compile(r"(?:\A|[/=${(`])ipvsadm\}?\Z", re.IGNORECASE)
_PROMPT: Final = re.compile(r"\[[^\]\n]{1,80}\]\s*[#$]\s")  # of a session that was copied
_COMMAND_END: Final = re.compile(r"&&|\|\||[;|]")
_ASSIGNMENT: Final = re.compile(
    r"(?:export\s+|readonly\s+)?([A-Za-z_]\w*)=([\"']?)([\w.:/\[\]-]{1,99})\2\s*(?:#.*)?\Z"
)
_QUOTED: Final = re.compile(r"[\"'\\]")
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

_SERVICE_ROW: Final = re.compile(r"(?:(TCP|UDP|SCTP)\s+(\S+:\S+)|(FWM)\s+(\S+))")
_SERVER_ROW: Final = re.compile(r"->\s+(\S+)(?:\s+(\S+))?")
_CONNECTIONS: Final = re.compile(r"IPVS connection entries|Pro FromIP\b")  # another table
_TABLE: Final = "IP Virtual Server version"
_HEX: Final = re.compile(r"([0-9A-F]{8}):([0-9A-F]{4})\Z")
_HEX_V6: Final = re.compile(r"\[([0-9a-fA-F:]{39})\]:([0-9A-F]{4})\Z")
# The kernel's own table: its header has single blanks, its numbers are hexadecimal.
_KERNEL: Final = re.compile(
    r"RemoteAddress:Port Forward"
    r"|(?:TCP|UDP|SCTP|->)[ \t]+(?:[0-9A-F]{8}:[0-9A-F]{4}\b|\[[0-9a-f:]{39}\]:0)"
)


@dataclass
class _Services:
    """What was read of a file: services in order of their first line, and their real servers."""

    places: dict[Service, Place] = field(default_factory=dict)
    servers: dict[Service, dict[tuple[Machine, int | None], RealServer]] = field(
        default_factory=dict
    )
    known: int = 0  # lines that belong to the format

    def add(self, service: Service, place: Place) -> None:
        """A service, the first time it is named."""
        self.places.setdefault(service, place)
        self.servers.setdefault(service, {})

    def add_server(
        self, service: Service, place: Place, machine: Machine, port: int | None,
        way: Forwarding | None,
    ) -> None:  # fmt: skip
        """A real server of a service, whether the service has its own line or not.

        A table that was printed twice, or an edited server, is one; the first word on it counts.
        """
        self.add(service, place)
        known = self.servers[service].get((machine, port))
        if known is not None and known.forwarding is not None:
            return
        server = RealServer(
            place=place, where=machine.where, name=machine.name, port=port,
            protocol=service.protocol if port else None, belongs_to=service.key, forwarding=way,
        )  # fmt: skip
        self.servers[service][machine, port] = server

    def facts(self) -> Iterator[Fact]:
        """Each service's address, then its real servers."""
        for service, place in self.places.items():
            servers = self.servers[service].values()
            ways = {server.forwarding for server in servers}
            if service.machine is not None:
                yield Vip(
                    place=place, where=service.machine.where, name=service.machine.name,
                    port=service.port, protocol=service.protocol if service.port else None,
                    forwarding=ways.pop() if len(ways) == 1 else None,
                )  # fmt: skip
            yield from servers


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """The facts of one file."""
    del inputs
    found = _Services()
    commands, table = _Commands(file, found, report), _Table(file, found, report)
    for number, line in _joined(file):
        if not table.take(number, line):
            commands.take(number, line)
    if not found.known and file.text.strip():
        report.partial(file.at(0), "it holds no line of ipvsadm-save and no table of services")
    yield from found.facts()


def _joined(file: TextFile) -> Iterator[tuple[int, str]]:
    r"""Lines with their numbers; one that ends with ``\`` goes on in the next."""
    begun: list[str] = []
    first = 1
    for number, line in enumerate([*file.lines, ""], 1):
        if not begun:
            first = number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun.append(line[:-1])
            continue
        yield first, " ".join([*begun, line]) if begun else line
        begun.clear()


class _Commands:
    """Reads ipvsadm's commands."""

    def __init__(self, file: TextFile, found: _Services, report: Report) -> None:
        self._file = file
        self._found = found
        self._report = report
        self._variables: dict[str, str] = {}

    def take(self, number: int, line: str) -> None:
        """One line, with one command or several."""
        line = line.strip()
        prompt = _PROMPT.match(line)
        if prompt is not None:
            line = line[prompt.end() :]
        if line.startswith("#"):
            return
        assigned = _ASSIGNMENT.match(line)
        if assigned is not None:
            self._variables[assigned[1]] = assigned[3]
            return
        if "-" not in line:
            return
        for part in _COMMAND_END.split(line):
            options = _options(_arguments(part))
            if options:
                self._command(self._file.at(number), options)

    def _command(self, place: Place, options: list[tuple[str, str]]) -> None:
        given = dict(options)
        is_server = any(option in _ADD_SERVER for option in given)
        if not is_server and not any(option in _ADD_SERVICE for option in given):
            return
        self._found.known += 1
        service = self._service(place, options)
        if service is None:
            return
        if not is_server:
            self._found.add(service, place)
            return
        real = next((value for option, value in options if option in _SERVER), "")
        host, port_text = words.host_port(self._expanded(real))
        machine = Machine.of(host)
        if machine is None:
            self._skip(place, host, "real server")
            return
        port = self._port(place, port_text) if port_text else service.port
        ways = [FORWARDING[option] for option in given if option in FORWARDING]
        way = ways[0] if ways else Forwarding.DSR  # -g is the default
        self._found.add_server(service, place, machine, port, way)

    def _service(self, place: Place, options: list[tuple[str, str]]) -> Service | None:
        for option, value in options:
            kind = _SERVICES.get(option)
            if kind is None:
                continue
            text = self._expanded(value)
            if kind == "mark":
                if text.isascii() and text.isdigit():
                    return Service(mark=int(text[:10]))
            else:
                host, port = words.host_port(text)
                machine = Machine.of(host)
                if machine is not None:
                    return Service(machine, self._port(place, port), kind)
            self._skip(place, text, "service")
            return None
        self._skip(place, "", "service")
        return None

    def _port(self, place: Place, text: str) -> int | None:
        if not text.strip("0"):
            return None
        port = words.port(text)
        if port is None:
            self._report.warn(place, "what stands for a port is none; read as all ports")
        return port

    def _expanded(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            return self._variables.get(match[1] or match[2], match[0])

        return _VARIABLE.sub(value, text)

    def _skip(self, place: Place, text: str, what: str) -> None:
        why = "is still to be filled in" if words.is_placeholder(text) else "is none"
        self._report.warn(place, f"what stands for the {what} {why}; the line is skipped")


def _arguments(part: str) -> list[str]:
    """The arguments of a command of ipvsadm; none: it is another command."""
    found = part.partition(" #")[0].split()
    if _QUOTED.search(part):
        with suppress(ValueError):  # an open quote
            found = shlex.split(part, comments=True)
    if found and found[0].startswith("-"):
        return found
    at = next((at for at, word in enumerate(found) if _PROGRAM.search(word)), None)
    return [] if at is None else found[at + 1 :]


def _options(arguments: list[str]) -> list[tuple[str, str]]:
    """Options with their values: ``-At A:P``, ``-tA:P``, ``--tcp-service=A:P`` come apart."""
    found: list[tuple[str, str]] = []
    rest = iter(arguments)
    for word in rest:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            if option in _TAKES_VALUE and not equals:
                value = next(rest, "")
            found.append((option, value))
            continue
        letters = word[1:] if word.startswith("-") else ""
        while letters:
            option, letters, value = f"-{letters[0]}", letters[1:], ""
            if option in _TAKES_VALUE:
                value, letters = letters or next(rest, ""), ""
            found.append((option, value))
    return found


class _Table:
    """Reads rows of ``ipvsadm -L`` and of the kernel's table."""

    def __init__(self, file: TextFile, found: _Services, report: Report) -> None:
        self._file = file
        self._found = found
        self._report = report
        self._is_kernel = _KERNEL.search(file.text) is not None
        self._service: Service | None = None
        self._is_other = False  # rows of another table come now

    def take(self, number: int, line: str) -> bool:
        """Whether the line is one of a table."""
        text = line.strip()
        if text.startswith(_TABLE) or _CONNECTIONS.match(text):
            self._is_other = not text.startswith(_TABLE)
            self._service = None
            self._found.known += 1
            return True
        service, server = _SERVICE_ROW.match(text), _SERVER_ROW.match(text)
        if service is None and server is None:
            return False
        self._found.known += 1
        if self._is_other:
            return True
        place = self._file.at(number)
        if service is not None:
            kind, text = service[1] or service[3], service[2] or service[4]
            self._service = self._service_of(place, kind, text)
            if self._service is not None:
                self._found.add(self._service, place)
        elif server is not None and self._service is not None:
            self._server(place, self._service, server[1], server[2] or "")
        return True

    def _service_of(self, place: Place, kind: str, text: str) -> Service | None:
        if kind == "FWM":
            mark = _number(text, 16 if self._is_kernel else 10)
            if mark is not None:
                return Service(mark=mark)
        else:
            machine, port = self._endpoint(text)
            if machine is not None:
                return Service(machine, port, kind.lower())
        self._report.warn(place, "the service of this row is no address; its rows are skipped")
        return None

    def _server(self, place: Place, service: Service, text: str, way: str) -> None:
        if text.startswith("RemoteAddress"):
            return
        machine, port = self._endpoint(text)
        if machine is None:
            self._report.warn(place, "the real server of this row is no address; it is skipped")
            return
        self._found.add_server(service, place, machine, port, forwarding(way))

    def _endpoint(self, text: str) -> tuple[Machine | None, int | None]:
        """Address and port of ``C0A80016:0CEA``, ``[2001:…]:0050``, ``192.0.2.1:80``."""
        v4, v6 = _HEX.match(text), _HEX_V6.match(text)
        if v4 is not None:
            octets = bytes.fromhex(v4[1])
            return Machine.of(".".join(map(str, octets))), words.port(str(int(v4[2], 16)))
        if v6 is not None and self._is_kernel:
            return Machine.of(v6[1]), words.port(str(int(v6[2], 16)))
        host, port = words.host_port(text)
        return Machine.of(host), words.port(port)


def _number(text: str, base: int) -> int | None:
    try:
        return int(text[:10], base)
    except ValueError:
        return None


SOURCE: Final = FileSource(
    "ipvs",
    "virtual servers of the kernel: ipvsadm-save, ipvsadm -L, /proc/net/ip_vs",
    ("ip_vs", "ipvs*", "*.rules", "*.txt"),
    _read,
)
