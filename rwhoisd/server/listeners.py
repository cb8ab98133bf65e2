"""Listening sockets: bound once by the supervisor, one per worker, inherited by the workers.

With ``SO_REUSEPORT`` the kernel spreads connections over the sockets of the workers. The
supervisor keeps all of them, so that a worker that is started again takes over what waited.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rwhoisd.config import ListenConfig

ALL: Final = ("*", "")


class ListenError(Exception):
    """An address that cannot be listened on; the text names it and the mend."""


@dataclass(frozen=True)
class Listener:
    """One address to listen on: its sockets, one per worker."""

    row: int  # of the configuration's listen; a name with several addresses makes several
    name: str  # HOST:PORT as bound
    sockets: tuple[socket.socket, ...]
    backlog: int

    def close(self) -> None:
        """Close the sockets of this process."""
        for sock in self.sockets:
            sock.close()


def bind(rows: Sequence[ListenConfig], workers: int) -> list[Listener]:
    """Bind every address for every worker; nothing listens yet. Raises: ListenError."""
    bound: list[Listener] = []
    try:
        for number, row in enumerate(rows):
            for family, address in _addresses(row):
                sockets = _bind_all(row, family, address, workers)
                bound.append(Listener(number, _name(sockets[0]), sockets, row.backlog))
    except OSError as error:
        for listener in bound:
            listener.close()
        raise ListenError(f"cannot listen on {place_of(row)}: {_reason(error)}") from None
    return bound


def place_of(row: ListenConfig) -> str:
    """How an address of the configuration is called in messages."""
    return f"{'*' if row.host in ALL else row.host}:{row.port}"


def _addresses(row: ListenConfig) -> list[tuple[int, str]]:
    """The families and addresses of one row; all interfaces are one dual-stack socket."""
    if row.host in ALL:
        return [(socket.AF_INET6, "::") if _has_ipv6() else (socket.AF_INET, "0.0.0.0")]  # noqa: S104
    found = socket.getaddrinfo(row.host, row.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), str(place[0])) for family, *_, place in found))


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _bind_all(
    row: ListenConfig, family: int, address: str, workers: int
) -> tuple[socket.socket, ...]:
    # A socket of another process that shares its port would share it with us as well; without
    # SO_REUSEPORT it shows that the port is taken.
    _bind(row, family, address, row.port, shared=False).close()
    sockets = [_bind(row, family, address, row.port, shared=True)]
    port = sockets[0].getsockname()[1]
    while len(sockets) < workers:
        sockets.append(_bind(row, family, address, port, shared=True))
    return tuple(sockets)


def _bind(
    row: ListenConfig, family: int, address: str, port: int, *, shared: bool
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            only = 0 if row.host in ALL else 1
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        sock.setblocking(False)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    mends = {
        "Address already in use": "another server listens there; stop it or choose another port",
        "Permission denied": "ports below 1024 need root or CAP_NET_BIND_SERVICE",
        "Cannot assign requested address": "this machine does not have that address",
    }
    return f"{text}; {mends[text]}" if text in mends else text
