"""The last answer of a connection and the end of our side, in one segment where that can be."""

import asyncio
import socket
from typing import Any, Final

# Held back by the kernel for what follows at once, which is the end.
_WITH_END: Final = getattr(socket, "MSG_MORE", 0)  # where the system can


def send_last(transport: asyncio.Transport, data: bytes) -> None:
    """Send ``data`` and end our side, while the peer's stays open (W5).

    Written and ended by themselves they are two packets, and the client wakes up twice. The loop
    has no call for both at once, so what waits for nothing goes past it, to its socket.
    """
    if not transport.get_write_buffer_size():
        data = _past_the_loop(transport.get_extra_info("socket"), data)
        if not data:
            return
    transport.write(data)
    transport.write_eof()


def _past_the_loop(loops: Any, data: bytes) -> bytes:
    """What is still to be sent; nothing when the end was sent as well."""
    if loops is None:
        return data
    sock = socket.SocketType(loops.family, socket.SOCK_STREAM, 0, loops.fileno())
    try:
        sent = sock.send(data, _WITH_END)
        if sent == len(data):
            sock.shutdown(socket.SHUT_WR)
        return data[sent:]
    except OSError:
        return data  # it takes nothing now, or is gone: the loop tells
    finally:
        sock.detach()  # it stays the loop's
