"""The yardstick: a bare uvloop protocol that gives every query the same 500 bytes.

It does what no server can leave out (accept, banner, read, one write, close) and nothing
else, so the ratio of a server to it is what that server's own work costs. Like a server it
closes after an answer unless it was told ``-holdconnect on``.

usage: python -m bench.echo PORT [WORKERS]
"""

import asyncio
import os
import signal
import socket
import sys
from typing import Final, cast

import uvloop

BANNER: Final = b"%rwhois V-1.5:003fff:00 localhost (echo)\r\n"
REPLY: Final = (b"x" * 38 + b"\r\n") * 12 + b"x" * 13 + b"\r\n%ok\r\n"
BACKLOG: Final = 4096
HOLD: Final = b"-holdconnect on"


class Echo(asyncio.Protocol):
    """Counts lines and answers each with ``REPLY``."""

    __slots__ = ("_hold", "_partial", "_transport")

    def __init__(self) -> None:
        self._partial = b""
        self._hold = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the banner."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self._transport.write(BANNER)

    def data_received(self, data: bytes) -> None:
        """Answer the lines that are whole now; one write for all of them."""
        if self._partial:
            data = self._partial + data
        lines = data.count(b"\n")
        self._partial = b"" if data.endswith(b"\n") else data[data.rfind(b"\n") + 1 :]
        if not lines:
            return
        if self._hold:
            self._transport.write(REPLY * lines)
        elif data.startswith(HOLD):
            self._hold = True
            self._transport.write(b"%ok\r\n" + REPLY * (lines - 1))
        else:
            self._transport.write(REPLY)
            self._transport.close()


def listener(port: int) -> socket.socket:
    """A socket of loopback that several processes can share by SO_REUSEPORT."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


async def serve(port: int) -> None:
    """Answer on ``port`` until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Echo, sock=listener(port), backlog=BACKLOG)
    await stop.wait()
    server.close()


def main(port: int, workers: int = 1) -> None:
    """Serve in ``workers`` processes; the first stops the others when it ends."""
    children = []
    for _ in range(workers - 1):
        if (pid := os.fork()) == 0:
            uvloop.run(serve(port))
            return
        children.append(pid)
    uvloop.run(serve(port))
    for pid in children:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
