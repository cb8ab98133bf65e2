"""How answers go out: with the banner, with the end of our side, with those of others."""

import asyncio
import socket
from contextlib import closing
from typing import Any, cast

import pytest

from rwhoisd.server.hub import Timing
from tests.wire.harness import BANNER, LONG_SECONDS, Server, run, serving, until


def test_last_bytes_to_a_peer_that_is_gone_are_no_fault_of_ours() -> None:
    async def main() -> None:
        async with serving() as server:
            faults: list[BaseException] = []
            server.hub.faulted = faults.append
            reader, writer = await server.connect()
            writer.write(b"wait x\n")
            await reader.readline()
            await until(lambda: server.service.asked)
            writer.transport.abort()
            await asyncio.sleep(0.05)
            server.service.release.set()
            assert await server.ask(b"here\n") == b"here\n%ok\n"
            assert not faults

    run(main())


async def told_at_once(server: Server, data: bytes, *, ends: bool) -> bytes:
    """All that comes back for what is there before the server's loop has its turn."""
    loop = asyncio.get_running_loop()
    with closing(socket.create_connection(("127.0.0.1", server.port))) as sock:
        sock.sendall(data)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        sock.setblocking(False)
        got = b""
        while part := await loop.sock_recv(sock, 65536):
            got += part
    return got


@pytest.mark.parametrize(
    ("data", "ends", "answer"),
    [
        pytest.param(b"early\n", False, b"early\n%ok\n", id="query"),
        pytest.param(b"early\n", True, b"early\n%ok\n", id="query and end"),
        pytest.param(b"-holdconnect on\nlast", True, b"%ok\nlast\n%ok\n", id="held, and end"),
        pytest.param(b"", True, b"", id="end"),
    ],
)
def test_what_comes_with_the_connection_is_answered_behind_the_banner(
    data: bytes, ends: bool, answer: bytes
) -> None:
    async def main() -> None:
        async with serving() as server:
            assert await told_at_once(server, data, ends=ends) == BANNER + answer

    run(main())


def test_many_that_ask_in_one_turn_get_each_its_own_answer() -> None:
    async def main() -> None:
        async with serving() as server:
            clients = [await server.connect() for _ in range(50)]
            for number, (_, writer) in enumerate(clients):
                writer.write(b"-holdconnect on\nnumber %d\n" % number)
            for number, (reader, _) in enumerate(clients):
                wanted = BANNER + b"%%ok\nnumber %d\n%%ok\n" % number
                assert await reader.readexactly(len(wanted)) == wanted
            for _, writer in clients:
                writer.close()

    run(main())


def test_long_answer_does_not_wait_in_memory_for_a_client_that_reads_nothing() -> None:
    async def main() -> None:
        async with serving(timing=Timing(write_seconds=LONG_SECONDS)) as server:
            _, writer = await server.connect()
            cast("asyncio.Transport", writer.transport).pause_reading()
            writer.write(b"parts 100000\n")
            await until(lambda: server.hub.slow)
            made = server.service.parts_made
            await asyncio.sleep(0.2)
            assert server.service.parts_made == made < 1000
            writer.transport.abort()

    run(main())


def test_connection_whose_answer_cannot_be_sent_is_gone_and_the_others_get_theirs() -> None:
    class Broken:
        aborted = False

        def __init__(self, transport: Any) -> None:
            self.transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self.transport, name)

        def write(self, data: bytes) -> None:
            raise MemoryError(len(data))

        def abort(self) -> None:
            self.aborted = True
            self.transport.abort()

    async def main() -> None:
        async with serving() as server:
            faults: list[BaseException] = []
            server.hub.faulted = faults.append
            (_, writer), (reader, other) = await server.connect(), await server.connect()
            await until(lambda: len(server.hub.connections) == 2)
            here = writer.get_extra_info("sockname")
            connection = next(
                c for c in server.hub.connections if c._transport.get_extra_info("peername") == here
            )
            connection._transport = broken = Broken(connection._transport)  # type: ignore[assignment]
            for end in (writer, other):
                end.write(b"-holdconnect on\n")
            assert await reader.readexactly(len(BANNER) + 4) == BANNER + b"%ok\n"
            await until(lambda: broken.aborted and len(server.hub.connections) == 1)
            assert [type(fault) for fault in faults] == [MemoryError]
            for end in (writer, other):
                end.close()

    run(main())
