"""Slow writers and readers, floods of connections: what stops them, while others are served."""

import re
import socket
import time
from pathlib import Path

from rwhoisd.server.tls import HANDSHAKE_SECONDS
from tests.wire.abuse import (
    QUERY,
    RECORD,
    abused,
    connect,
    many,
    memory,
    pushed,
    reset,
    rest,
    while_answered,
)
from tests.wire.certificates import Authority
from tests.wire.process import Process, until

LARGE = "".join(
    f"ID: {n}.192.0.2.0/24\nNetwork-Name: NET-{n:05d}\nIP-Network: 10.{n >> 8}.{n & 255}.0/24\n"
    f"Org-Name: {'x' * 400}\n---\n"
    for n in range(1500)
)
BIG_ANSWERS = {
    "a/data/network/network.txt": LARGE + "ID: POP.192.0.2.0/24\nNetwork-Name: POP-1\n"
    "IP-Network: 192.0.2.0/26\nOrg-Name: Example\n"
}


def _trickle(clients: list[socket.socket], seconds: float) -> list[bytes]:
    """Send an octet now and then to each, until the server ends it; what it said."""
    said = dict.fromkeys(clients, b"")
    left, end = set(clients), time.monotonic() + seconds
    for client in clients:
        client.setblocking(False)
    while left and time.monotonic() < end:
        for client in list(left):
            try:
                client.send(b"x")
                said[client] += client.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                left.discard(client)
                continue
            if b"%error" in said[client]:
                left.discard(client)
        time.sleep(0.05)
    assert not left, "an octet at a time kept a connection"
    return list(said.values())


def test_an_octet_at_a_time_does_not_keep_a_connection(tmp_path: Path) -> None:
    """limits.idle_seconds is the wait for a whole line."""
    with (
        abused(tmp_path, {"idle_seconds": 1}) as server,
        while_answered(server),
        many(server, 50) as clients,
    ):
        said = _trickle(clients, 30)
        assert all(b"%error 503 Idle time exceeded" in one for one in said)


def test_an_endless_line_is_refused_once_and_costs_nothing(tmp_path: Path) -> None:
    """limits.line_octets; in rfc mode the rest of it is skipped up to its end."""
    with abused(tmp_path, {"idle_seconds": 2}) as server, while_answered(server, growth=8 << 20):
        with connect(server) as client:
            client.sendall(b"-holdconnect on\r\n")
            for _ in range(400):
                client.sendall(b"x" * 65536)
            client.sendall(b"\r\n" + QUERY)
            client.shutdown(socket.SHUT_WR)
            answer = rest(client)
        assert answer.count(b"%error 350 Invalid query syntax: line longer than 2048 octets") == 1
        assert RECORD in answer


def test_an_endless_line_of_arins_mode_is_cut_and_each_piece_is_answered(tmp_path: Path) -> None:
    """Each 511 octets are a command: the session ends with the first, what follows is dropped."""
    with abused(tmp_path, compat="arin") as server, while_answered(server, growth=8 << 20):
        with connect(server) as client:
            assert pushed(client, b"x" * (64 << 20)) < 64 << 20
        with connect(server) as client:
            client.sendall(b"x" * 600)
            assert rest(client).count(b"%error") == 1


def test_who_never_reads_is_cut_off(tmp_path: Path) -> None:
    """limits.write_seconds; what is pipelined behind an answer that nobody takes waits unread."""
    limits = {"write_seconds": 1, "max_objects": 2000, "idle_seconds": 20}
    with (
        abused(tmp_path, limits, files=BIG_ANSWERS) as server,
        while_answered(server, growth=48 << 20),
        many(server, 40) as clients,
    ):
        for number, client in enumerate(clients):
            client.settimeout(0.5)
            asked = b"-xfer 192.0.2.0/24\r\n" if number % 2 else b"net-*\r\n"
            pushed(client, b"-holdconnect on\r\n-limit 2000\r\n" + asked * 2000)
        end = time.monotonic() + 30
        for client in clients:
            client.settimeout(30)
            while _still_open(client) and time.monotonic() < end:
                time.sleep(0.2)
        assert time.monotonic() < end
        until(lambda: "clients cut off that did not take their answers" in server.log(), 30)


def _still_open(client: socket.socket) -> bool:
    """Whether a connection is there, without taking anything from it."""
    try:
        client.send(b"")
        return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and _established(client)
    except OSError:
        return False


def _established(client: socket.socket) -> bool:
    state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == 1


def test_who_takes_a_few_octets_now_and_then_is_cut_off(tmp_path: Path) -> None:
    """limits.write_octets: the least that has to be taken in write_seconds."""
    limits = {"write_seconds": 0.5, "write_octets": 1 << 22, "max_objects": 2000}
    with (
        abused(tmp_path, limits, files=BIG_ANSWERS) as server,
        while_answered(server),
        connect(server) as client,
    ):
        client.sendall(b"-holdconnect on\r\n" + b"-xfer 192.0.2.0/24\r\n" * 200)
        end = time.monotonic() + 30
        while _established(client) and time.monotonic() < end:
            client.recv(256)
            time.sleep(0.05)
        assert time.monotonic() < end


def test_unread_answers_of_all_together_are_bounded(tmp_path: Path) -> None:
    """limits.unsent_octets: the worst are cut off long before their time."""
    limits = {"write_seconds": 600, "unsent_octets": 1 << 20, "max_objects": 2000}
    with (
        abused(tmp_path, limits, files=BIG_ANSWERS) as server,
        while_answered(server, growth=24 << 20),
        many(server, 60) as clients,
    ):
        for client in clients:
            client.settimeout(0.2)
            pushed(client, b"-holdconnect on\r\n-limit 2000\r\n" + b"net-*\r\n" * 200)
        until(lambda: sum(not _established(client) for client in clients) >= 40, 30)


def test_storms_of_resets_and_half_closed_connections(tmp_path: Path) -> None:
    """Nothing is left of them: neither memory nor places in connections_per_net."""
    limits = {"connections_per_net": 20, "exempt": []}
    with abused(tmp_path, limits) as server, while_answered(server, growth=16 << 20):
        for number in range(1500):
            try:
                client = connect(server)
                client.sendall(
                    (QUERY, b"half a li", b"-register on add a@b.example\r\nx", b"")[number % 4]
                )
                if number % 3 == 0:
                    client.shutdown(socket.SHUT_WR)
                    client.close()
                else:
                    reset(client)
            except ConnectionError:
                continue

        def answered() -> bool:
            with connect(server) as client:
                client.sendall(QUERY)
                return RECORD in rest(client)

        assert until(answered)


def test_a_flood_from_one_net_is_stopped_over_all_workers(tmp_path: Path) -> None:
    """limits.connections_per_net: 501, and the neighbour gets in."""
    limits = {"connections_per_net": 10, "exempt": [], "idle_seconds": 30}
    with (
        abused(tmp_path, limits, workers=2) as server,
        while_answered(server),
        many(server, 10) as first,
    ):
        assert all(client.recv(8) == b"%rwhois " for client in first)
        for _ in range(100):
            with connect(server) as client:
                answer = rest(client)
            assert answer.endswith(
                b"%error 501 Service not available: exceeded max client sessions\r\n"
            )
        until(lambda: "connections beyond the limit" in server.log(), 30)


def test_a_flood_from_many_nets_is_stopped_in_all(tmp_path: Path) -> None:
    """limits.connections: who comes then is told 501 at once, and gets in when they are gone."""
    with abused(tmp_path, {"connections": 50, "exempt": []}) as server:
        held = [connect(server, f"127.0.{n}.9") for n in range(1, 51)]
        try:
            assert all(client.recv(8) == b"%rwhois " for client in held)
            workers, before = server.workers(), memory(server)
            for n in range(100):
                with connect(server, f"127.1.{n}.9") as client:
                    assert b"%error 501 " in rest(client)
            assert memory(server) < before + (8 << 20)
        finally:
            for client in held:
                reset(client)
        until(lambda: RECORD in server.ask(QUERY))
        assert server.workers() == workers


def _listeners(folder: Path) -> tuple[Authority, list[object]]:
    """TLS on the first port, none on the second."""
    authority = Authority.make(folder / "ca")
    certificate, key = authority.issue("server")
    tls = {"certificate": str(certificate), "key": str(key)}
    place = {"host": "127.0.0.1", "port": 0}
    return authority, [{**place, "tls": tls}, place]


def _tls_port(server: Process) -> int:
    match = re.search(r" on 127\.0\.0\.1:(\d+), ", server.log())
    assert match
    return int(match[1])


def test_handshakes_that_never_end(tmp_path: Path) -> None:
    """A handshake has its time (HANDSHAKE_SECONDS), and counts as a connection from the start."""
    _, listen = _listeners(tmp_path)
    limits = {"connections_per_net": 30, "exempt": []}
    with abused(tmp_path, limits, listen=listen) as server, while_answered(server):
        place = ("127.0.0.1", _tls_port(server))
        clients = [socket.create_connection(place, 30, ("127.0.0.3", 0)) for _ in range(30)]
        for number, client in enumerate(clients):
            client.sendall((b"", b"\x16\x03\x01\x02\x00\x01", b"\x16")[number % 3])

        def refused() -> bool:
            with connect(server) as client:
                client.sendall(b"-quit\r\n")
                return b"%error 501 " in rest(client)

        until(refused, 8)
        begun = time.monotonic()
        assert {rest(client) for client in clients} == {b""}
        assert time.monotonic() - begun < HANDSHAKE_SECONDS + 20
        for client in clients:
            client.close()
        until(lambda: "TLS handshakes not finished" in server.log(), 30)
        with connect(server) as client:
            client.sendall(QUERY)
            assert RECORD in rest(client)


def test_an_octet_at_a_time_through_tls(tmp_path: Path) -> None:
    """limits.idle_seconds holds inside as well."""
    authority, listen = _listeners(tmp_path)
    context = authority.client()
    with abused(tmp_path, {"idle_seconds": 1}, listen=listen) as server, while_answered(server):
        place = ("127.0.0.1", _tls_port(server))
        with context.wrap_socket(
            socket.create_connection(place, 30, ("127.0.0.3", 0)), server_hostname="127.0.0.1"
        ) as client:
            begun = time.monotonic()
            client.settimeout(0.1)
            said = b""
            while b"%error" not in said and time.monotonic() - begun < 30:
                client.send(b"x")
                try:
                    said += client.recv(4096)
                except TimeoutError:
                    continue
            assert b"%error 503 " in said
