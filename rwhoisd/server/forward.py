"""Asking other servers for a client: bounded in time and octets, and only at public addresses.

The address is checked after the name was resolved, and that very address is connected to, so
that a name cannot lead to loopback or to a private net (nor to one that hides in an IPv6
transition prefix) unless the operator allows it.
"""

import asyncio
import ipaddress
import socket
import time
from typing import Final

from rwhoisd.directory.access import AccessRules, address_from_text
from rwhoisd.directory.area import DEFAULT_PORT, HostPort
from rwhoisd.service.ports import ForwardError

_CHUNK_OCTETS: Final = 1 << 16
# Prefixes that carry IPv4 addresses inside, where a private one could hide (NAT64, 6to4, Teredo),
# and one that was private once and is routed as such still (site-local).
_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10")
)
_FIRST_PORT: Final = 1024  # below are services of systems, but for
_WHOIS_PORT: Final = 43


class StreamConnector:
    """Asks servers over TCP; ``allowed`` names the special prefixes that may be asked."""

    def __init__(self, allowed: AccessRules) -> None:
        self._allowed = allowed

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""
        return time.monotonic()

    async def ask(self, server: HostPort, line: bytes, *, seconds: float, octets: int) -> bytes:
        """Everything the server sends until it closes, after ``line``. Raises: ForwardError."""
        try:
            async with asyncio.timeout(seconds):
                host = await self._resolve(server)
                reader, writer = await asyncio.open_connection(host, server.port)
                try:
                    writer.write(line.rstrip(b"\r\n") + b"\r\n")
                    return await _everything(reader, octets)
                finally:
                    writer.close()
        except TimeoutError:
            raise ForwardError(f"{server}: no whole answer in {seconds:g} seconds") from None
        except OSError as error:
            raise ForwardError(f"{server}: {error.strerror or error}") from None

    async def _resolve(self, server: HostPort) -> str:
        """The first address of the server that may be asked."""
        loop = asyncio.get_running_loop()
        rows = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        hosts = [str(row[4][0]) for row in rows]
        for host in hosts:
            if self.may_ask(host, server.port):
                return host
        if any(map(self.may_ask, hosts)):
            raise ForwardError(f"{server}: port {server.port} is for other services")
        raise ForwardError(f"{server}: address {', '.join(hosts)} is not public; see forward.allow")

    def may_ask(self, host: str, port: int = DEFAULT_PORT) -> bool:
        """Whether a literal address is explicitly allowed, or public with a port for it."""
        address = address_from_text(host)
        if address is None:
            return False
        if self._allowed and self._allowed.allows(address):
            return True
        if port < _FIRST_PORT and port != _WHOIS_PORT:
            return False  # what we send is a client's: not to a mail server
        family, number = address
        if family == 4:
            return _is_public(ipaddress.IPv4Address(number))
        v6 = ipaddress.IPv6Address(number)
        return _is_public(v6) and not any(v6 in carrier for carrier in _CARRIERS)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


async def _everything(reader: asyncio.StreamReader, octets: int) -> bytes:
    answer = bytearray()
    while chunk := await reader.read(_CHUNK_OCTETS):
        answer += chunk
        if len(answer) > octets:
            raise ForwardError(f"more than {octets} octets")
    return bytes(answer)
