"""The transport of clear connections keeps what asyncio's promise their protocols."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import uvloop

from rwhoisd.server.sockets import Sockets, SocketTransport
from tests.wire.harness import LONG_SECONDS, until

MUCH = b"x" * (1 << 24)  # more than the system takes at once


class Peer:
    """Our end of a connection: what was told of it, in order."""

    transport: SocketTransport

    def __init__(self, scene: "Scene") -> None:
        self.scene = scene
        self.told: list[str] = []
        self.data = b""
        self.error: Exception | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: SocketTransport) -> None:
        self.transport = transport
        self.told.append("made")
        self.scene.made(self)

    def data_received(self, data: bytes) -> None:
        if self.told[-1] != "data":
            self.told.append("data")
        self.data += data
        self.scene.received(self)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.scene.stays

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc
        self.lost.set()


class Scene:
    """Listening sockets of ours, and what their protocols do."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.made: Callable[[Peer], object] = lambda _: None
        self.received: Callable[[Peer], object] = lambda _: None
        self.stays = False  # open, when the other side has ended
        self.secure = False
        self.faults: list[Any] = []
        self.turns = 0
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(context["exception"]))
        self.sockets = Sockets(loop, self._ended)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = self.sock.getsockname()
        self.sockets.listen(self.sock, 100, self._make, lambda: self.secure)

    def _make(self) -> Peer:
        self.peers.append(Peer(self))
        return self.peers[-1]

    def _ended(self) -> None:
        self.turns += 1

    async def connect(self) -> tuple[Peer, socket.socket]:
        """Both ends of a new connection; the client's never blocks."""
        count = len(self.peers)
        client = socket.socket()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, self.address)
        await until(lambda: len(self.peers) > count)
        return self.peers[-1], client


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """A scene whose sockets are closed at the end."""
    made = Scene()
    try:
        yield made
    finally:
        made.sockets.close()
        await asyncio.sleep(0)
        assert all(peer.told.count("lost") == 1 for peer in made.peers if "made" in peer.told)
        assert all(peer.told[-1] == "lost" for peer in made.peers)


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Runs a test on a loop of each kind."""

    def go(main: Any) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(main, 2 * LONG_SECONDS))

    return go


async def read(client: socket.socket, octets: int = 1 << 30) -> bytes:
    """So much of what comes, or all of it up to the end."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    while len(got) < octets and (part := await loop.sock_recv(client, 1 << 16)):
        got += part
    return bytes(got)


@pytest.mark.parametrize("last", [b"x", b"", MUCH], ids=["little", "nothing", "more than fits"])
def test_last_bytes_and_our_end_arrive_and_the_other_side_stays_open(run: Any, last: bytes) -> None:
    async def main() -> None:
        async with scene() as server:
            server.made = lambda peer: peer.transport.write_last(last)
            peer, client = await server.connect()
            with closing(client):
                assert await read(client) == last
                client.send(b"still listened to")
                await until(lambda: peer.data == b"still listened to")
                assert "lost" not in peer.told
                client.shutdown(socket.SHUT_WR)
                await until(lambda: peer.told[-1] == "lost")
                assert peer.error is None

    run(main())


def test_what_does_not_fit_keeps_its_order_and_the_protocol_is_paused(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            peer, client = await server.connect()
            with closing(client):
                parts = [MUCH, b"second", b"third" * 100_000]
                for part in parts:
                    peer.transport.write(part)
                assert peer.told == ["made", "pause"]
                assert peer.transport.get_write_buffer_size() > 1 << 16
                peer.transport.close()
                peer.transport.write(b"too late")
                assert peer.transport.is_closing()
                assert await read(client) == b"".join(parts)
                await until(lambda: peer.told == ["made", "pause", "lost"])

    run(main())


def test_paused_protocol_goes_on_when_the_peer_has_taken_enough(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            peer, client = await server.connect()
            with closing(client):
                peer.transport.write(MUCH)
                await read(client, len(MUCH))
                await until(lambda: peer.told == ["made", "pause", "resume"])
                assert peer.transport.get_write_buffer_size() == 0
                peer.transport.write(b"more")
                assert await read(client, 4) == b"more"

    run(main())


def test_end_of_the_peer_leaves_our_side_open_if_it_is_to_be(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            server.stays = True
            peer, client = await server.connect()
            with closing(client):
                client.sendall(b"all of it")
                client.shutdown(socket.SHUT_WR)
                await until(lambda: peer.told == ["made", "data", "eof"])
                turns = server.turns
                await asyncio.sleep(0.05)
                peer.transport.resume_reading()
                await asyncio.sleep(0.05)
                assert server.turns == turns  # it is told once
                assert peer.told[-1] == "eof"
                peer.transport.write(b"answer")
                peer.transport.close()
                assert await read(client) == b"answer"

    run(main())


def test_who_reads_nothing_is_told_nothing_and_costs_nothing(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            peer, client = await server.connect()
            peer.transport.pause_reading()
            client.sendall(b"first")
            await asyncio.sleep(0.05)
            turns = server.turns
            client.sendall(b"second")
            client.close()
            await asyncio.sleep(0.05)
            assert server.turns <= turns + 1
            assert peer.told == ["made"]
            peer.transport.resume_reading()
            await until(lambda: peer.told == ["made", "data", "eof", "lost"])
            assert peer.data == b"firstsecond"

    run(main())


def test_reset_is_the_end_while_reading_and_found_out_by_writing(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            for paused in (False, True):
                peer, client = await server.connect()
                if paused:
                    peer.transport.pause_reading()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
                if paused:
                    await asyncio.sleep(0.05)
                    assert peer.told == ["made"]
                    peer.transport.write(b"to nobody")
                await peer.lost.wait()
                assert peer.told == ["made", "lost"]
                assert isinstance(peer.error, ConnectionError)
                peer.transport.write(b"nor this")
                peer.transport.write_last(b"nor this")
                peer.transport.close()
                peer.transport.abort()

    run(main())


@pytest.mark.parametrize("how", ["close", "abort"])
def test_closed_from_within_its_own_call_it_is_lost_behind_it(run: Any, how: str) -> None:
    async def main() -> None:
        async with scene() as server:

            def received(peer: Peer) -> None:
                getattr(peer.transport, how)()
                peer.told.append("still there")

            server.received = received
            peer, client = await server.connect()
            with closing(client):
                client.sendall(b"go away")
                assert await read(client) == b""
                await until(lambda: peer.told == ["made", "data", "still there", "lost"])

    run(main())


def test_protocol_that_fails_ends_its_own_connection_only(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            (bad, one), (good, other) = await server.connect(), await server.connect()

            def received(peer: Peer) -> None:
                if peer is bad:
                    raise KeyError("a fault of ours")
                peer.transport.write(peer.data)

            server.received = received
            with closing(one), closing(other):
                one.sendall(b"x")
                other.sendall(b"x")
                assert await read(other, 1) == b"x"
                assert await read(one) == b""
                await until(lambda: bad.told[-1] == "lost")
                assert [type(fault) for fault in server.faults] == [KeyError]
                assert good.told == ["made", "data"]

    run(main())


def test_query_that_comes_with_the_connection_is_seen_in_the_same_turn(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            client = socket.create_connection(server.address)
            client.sendall(b"query")
            await until(lambda: server.peers and server.peers[0].data)
            assert server.turns == 1
            client.close()

    run(main())


def test_many_at_once_all_come_in_and_leave_nothing(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
            clients = [socket.create_connection(server.address) for _ in range(90)]
            await until(lambda: len(server.peers) == 90)
            for client in clients:
                client.close()
            await until(lambda: all(peer.told[-1] == "lost" for peer in server.peers))
            assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    run(main())


def test_without_descriptors_clients_wait_until_there_are_some(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with scene() as server:
            client = socket.socket()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            spare = os.dup(client.fileno())
            os.close(spare)  # the number that a new client would get
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
            try:
                client.connect(server.address)
                await until(lambda: caplog.messages)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert f"no client can be let in: {os.strerror(errno.EMFILE)}" in caplog.messages
            await until(lambda: server.peers)
            client.close()

    run(main())


def test_who_comes_to_speak_tls_is_handed_to_the_loop(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            server.secure = True
            peer, client = await server.connect()
            await until(lambda: peer.told)
            assert not isinstance(peer.transport, SocketTransport)
            client.sendall(b"hello")
            await until(lambda: peer.data == b"hello")
            client.close()
            await until(lambda: peer.told[-1] == "lost")

    run(main())


def test_closed_they_cut_who_is_left_and_let_nobody_in(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            peer, client = await server.connect()
            server.sockets.close()
            await until(lambda: peer.told == ["made", "lost"])
            with closing(client):
                assert await read(client) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(server.address)
            server.sockets = Sockets(asyncio.get_running_loop(), lambda: None)

    run(main())


def test_who_does_not_listen_hears_nothing_of_clients_of_others(run: Any) -> None:
    async def main() -> None:
        async with scene() as server:
            with closing(server.sock.dup()):  # as a supervisor has it
                server.sockets.stop_listening()
                with closing(socket.create_connection(server.address)):
                    await asyncio.sleep(0.05)
                    assert server.turns == 0
                    assert not server.peers

    run(main())
