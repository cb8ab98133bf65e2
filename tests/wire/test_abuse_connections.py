"""Slow writers and readers, floods of connections: what stops them, while others are served."""

import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.wire.abuse import (
    QUERY,
    RECORD,
    abused,
    connect,
    counted,
    established,
    many,
    memory,
    pushed,
    reset,
    rest,
    while_answered,
)
from tests.wire.certificates import Authority
from tests.wire.process import PATIENCE_SECONDS, Process, until

LARGE = "".join(
    f"ID: {n}.192.0.2.0/24\nNetwork-Name: NET-{n:05d}\nIP-Network: 10.{n >> 8}.{n & 255}.0/24\n"
    f"Org-Name: {'x' * 400}\n---\n"
    for n in range(1500)
)
BIG_ANSWERS = {
    "a/data/network/network.txt": LARGE + "ID: POP.192.0.2.0/24\nNetwork-Name: POP-1\n"
    "IP-Network: 192.0.2.0/26\nOrg-Name: Example\n"
}
ASKED = (b"-xfer 192.0.2.0/24\r\n", b"net-*\r\n")  # 0.7 MB each
HELD = b"-holdconnect on\r\n-limit 2000\r\n"
ROOM = 4096
PER_NET = 20


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of two workers that lets in so many of each net."""
    limits = {"connections_per_net": PER_NET, "exempt": [], "idle_seconds": 59}
    with abused(tmp_path_factory.mktemp("nets"), limits, workers=2) as server:
        yield server


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server in arin mode that lets in fifty in all."""
    limits = {"connections": 50, "exempt": []}
    with abused(tmp_path_factory.mktemp("few"), limits, compat="arin") as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of long answers that have to be taken quickly."""
    limits = {"write_seconds": 1, "write_octets": 1 << 22, "max_objects": 2000}
    with abused(tmp_path_factory.mktemp("strict"), limits, files=BIG_ANSWERS) as server:
        yield server


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Authority]]:
    """A server with TLS on the first port and none on the second, which waits three seconds."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority.make(folder / "ca")
    certificate, key = authority.issue("server")
    tls = {"certificate": str(certificate), "key": str(key)}
    place = {"host": "127.0.0.1", "port": 0}
    listen = [{**place, "tls": tls}, place]
    limits = {"connections_per_net": 60, "exempt": [], "idle_seconds": 3}
    with abused(folder, limits, listen=listen) as server:
        yield server, authority


def _to_tls(server: Process) -> socket.socket:
    match = re.search(r" on 127\.0\.0\.1:(\d+), ", server.log())
    assert match
    return socket.create_connection(
        ("127.0.0.1", int(match[1])), PATIENCE_SECONDS, ("127.0.0.3", 0)
    )


def _trickle(clients: Sequence[socket.socket]) -> list[bytes]:
    """Send an octet now and then to each, until the server ends it; what it said."""
    said = dict.fromkeys(clients, b"")
    left, end = set(clients), time.monotonic() + PATIENCE_SECONDS
    for client in clients:
        client.setblocking(False)
    while left and time.monotonic() < end:
        for client in list(left):
            try:
                client.send(b"x")
                said[client] += client.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError:
                left.discard(client)
                continue
            if b"%error" in said[client]:
                left.discard(client)
        time.sleep(0.05)
    assert not left, "an octet at a time kept a connection"
    return list(said.values())


def test_an_octet_at_a_time_does_not_keep_a_connection(secured: tuple[Process, Authority]) -> None:
    """limits.idle_seconds is the wait for a whole line, in TLS as well."""
    server, authority = secured
    context = authority.client()
    with while_answered(server), many(server, 40) as clients, ExitStack() as stack:
        for _ in range(5):
            client = context.wrap_socket(_to_tls(server), server_hostname="127.0.0.1")
            clients.append(stack.enter_context(client))
        assert all(b"%error 503 Idle time exceeded" in one for one in _trickle(clients))


def test_handshakes_that_do_not_end(secured: tuple[Process, Authority]) -> None:
    """They count as connections from the start, and give their places back."""
    server, _ = secured

    def begun(number: int) -> socket.socket:
        client = _to_tls(server)
        client.sendall((b"", b"\x16\x03\x01\x02\x00\x01", b"\x16")[number % 3])
        return client

    def said() -> bytes:
        with connect(server) as client:
            client.sendall(QUERY)
            return rest(client)

    clients = [begun(number) for number in range(60)]

    def full() -> bool:
        for number, client in enumerate(clients):
            if not established(client):  # its time is over, or it did not get in
                client.close()
                clients[number] = begun(number)
        return b"%error 501 " in said()

    with while_answered(server):
        until(full)
        for client in clients:
            client.close()
        until(lambda: RECORD in said())


def test_an_endless_line_is_refused_once_and_costs_nothing(nets: Process) -> None:
    """limits.line_octets; in rfc mode the rest of it is skipped up to its end."""
    with while_answered(nets, growth=20 << 20), connect(nets, "127.0.0.5") as client:
        before = memory(nets)
        client.sendall(b"-holdconnect on\r\n")
        for _ in range(512):
            client.sendall(b"x" * 65536)  # 32 MB, of which a few wait in the system
        assert memory(nets) < before + (12 << 20)
        client.sendall(b"\r\n" + QUERY)
        client.shutdown(socket.SHUT_WR)
        answer = rest(client)
    assert answer.count(b"%error 350 Invalid query syntax: line longer than 2048 octets") == 1
    assert RECORD in answer


def test_an_endless_line_of_arins_mode_is_cut_and_each_piece_is_answered(few: Process) -> None:
    """Each 511 octets are a command: the session ends with the first, what follows is dropped."""
    with while_answered(few, growth=20 << 20):
        with connect(few) as client:
            assert pushed(client, b"x" * (64 << 20)) < 64 << 20
        with connect(few) as client:
            client.sendall(b"x" * 600)
            assert rest(client).count(b"%error") == 1


def test_who_never_reads_is_cut_off(strict: Process) -> None:
    """limits.write_seconds; what is pipelined behind an answer that nobody takes waits unread."""
    before = memory(strict)
    with while_answered(strict, growth=24 << 20), many(strict, 16, room=ROOM) as clients:
        for number, client in enumerate(clients):
            client.sendall(HELD + ASKED[number % 2] * 1000)
        assert memory(strict) < before + (24 << 20)
        until(lambda: not any(map(established, clients)))
    until(lambda: counted(strict, "slow") >= len(clients))


def test_who_takes_a_few_octets_now_and_then_is_cut_off(strict: Process) -> None:
    """limits.write_octets: the least that has to be taken in write_seconds."""
    with while_answered(strict, growth=24 << 20), connect(strict, room=ROOM) as client:
        client.sendall(HELD + ASKED[0] * 200)
        end = time.monotonic() + PATIENCE_SECONDS
        while established(client):
            assert time.monotonic() < end, "a few octets at a time kept a connection"
            client.recv(256)
            time.sleep(0.05)


def test_unread_answers_of_all_together_are_bounded(tmp_path: Path) -> None:
    """limits.unsent_octets: the worst are cut off long before their time."""
    limits = {"write_seconds": 600, "unsent_octets": 1 << 20, "max_objects": 2000}
    with (
        abused(tmp_path, limits, files=BIG_ANSWERS) as server,
        while_answered(server, growth=24 << 20),
        many(server, 40, room=ROOM) as clients,
    ):
        before = memory(server)
        for client in clients:
            client.sendall(HELD + ASKED[1] * 200)
        # At least 64 kB are waiting for each of those who stay.
        until(lambda: sum(not established(client) for client in clients) >= 40 - 16)
        assert memory(server) < before + (24 << 20)


def test_storms_of_resets_and_half_closed_connections(nets: Process) -> None:
    """Nothing is left of them: neither memory nor a single place in connections_per_net."""
    sent = (QUERY, b"half a li", b"-register on add a@b.example\r\nx", b"")
    with while_answered(nets, growth=16 << 20):
        for number in range(800):
            try:
                client = connect(nets)
                client.sendall(sent[number % 4])
                if number % 3 == 0:
                    client.shutdown(socket.SHUT_WR)
                    client.close()
                else:
                    reset(client)
            except ConnectionError:
                continue

        def all_get_in() -> bool:
            with many(nets, PER_NET) as clients:
                for client in clients:
                    client.sendall(QUERY)
                return [RECORD in rest(client) for client in clients] == [True] * PER_NET

        until(all_get_in)


def test_a_flood_from_one_net_is_stopped_over_all_workers(nets: Process) -> None:
    """limits.connections_per_net: 501, the neighbour gets in, and so do those who were there."""
    told = b"%error 501 Service not available: exceeded max client sessions\r\n"
    with while_answered(nets), many(nets, PER_NET, "127.0.0.4") as first:
        assert all(client.recv(8) == b"%rwhois " for client in first)
        for client in first:
            client.sendall(b"-holdconnect on\r\n")  # others have a minute, which may be too short
        for _ in range(100):
            with connect(nets, "127.0.0.4") as client:
                assert rest(client).endswith(told)
        for client in first:
            client.sendall(QUERY + b"-quit\r\n")
        assert all(RECORD in rest(client) for client in first)
    until(lambda: counted(nets, "too_many") >= 100)


def test_a_flood_from_many_nets_is_stopped_in_all(few: Process) -> None:
    """limits.connections: who comes then is told 501 at once, and gets in when they are gone."""
    until(lambda: counted(few, "connections") == 0)
    workers, before = few.workers(), memory(few)
    held = [connect(few, f"127.0.{n}.9") for n in range(1, 51)]
    try:
        assert all(client.recv(8) == b"%rwhois " for client in held)
        for n in range(100):
            with connect(few, f"127.1.{n}.9") as client:
                assert b"%error 501 " in rest(client)
        assert memory(few) < before + (8 << 20)
    finally:
        for client in held:
            reset(client)
    until(lambda: RECORD in few.ask(QUERY))
    assert few.workers() == workers
