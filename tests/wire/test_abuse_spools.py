"""Huge registrations, one by one and all together."""

import socket
import threading
from pathlib import Path

from tests.wire.abuse import abused, connect, many, memory, rest, while_answered
from tests.wire.process import NETWORKS, Process, until

ON = b"-holdconnect on\r\n-register on add hostmaster@example.net\r\n"
OFF = b"-register off\r\n-quit\r\n"


def _register(server: Process, lines: bytes) -> bytes:
    with connect(server) as client:
        reader: list[bytes] = []
        thread = threading.Thread(target=lambda: reader.append(rest(client)))
        thread.start()
        client.sendall(ON + lines + OFF)
        thread.join()
        return reader[0]


def test_a_long_registration_is_given_up(tmp_path: Path) -> None:
    """limits.spool_octets and limits.spool_lines; nothing of it is kept meanwhile."""
    limits = {"spool_octets": 20_000, "spool_lines": 100}
    with abused(tmp_path, limits) as server, while_answered(server, growth=16 << 20):
        answer = _register(server, (b"Org-Name: " + b"x" * 1000 + b"\r\n") * 20_000)
        assert b"%error 338 Invalid directive syntax: registration longer than 20000 oct" in answer
        answer = _register(server, b"a\r\n" * 1_000_000)
        assert b"%error 338 Invalid directive syntax: registration longer than 100 lines" in answer


def test_a_pattern_that_explodes_elsewhere_takes_no_time(tmp_path: Path) -> None:
    """Formats are matched in linear time, whatever the pattern and the value are."""
    template = NETWORKS["a/network.tmpl"] + "---\nattribute: Note\nformat: re:^(a+)+(a|aa)*(a*)*$\n"
    record = (
        b"Auth-Area: 192.0.2.0/24\r\nClass-Name: network\r\nNetwork-Name: POP-7\r\n"
        b"IP-Network: 192.0.2.64/26\r\nNote: " + b"a" * 2000
    )
    wrong = b"%error 321 Invalid attribute syntax: Note"
    with abused(tmp_path, files={"a/network.tmpl": template}) as server, while_answered(server):
        assert wrong in _register(server, record + b"!\r\n")
        assert wrong not in _register(server, record + b"\r\n")


def test_open_registrations_of_all_together_are_bounded(tmp_path: Path) -> None:
    """limits.spools_octets: who would take more is told so; the room is there again afterwards."""
    limits = {"spools_octets": 1 << 20, "spool_octets": 60_000}
    record = b"Org-Name: " + b"x" * 1000 + b"\r\n"
    told = b"%error 338 Invalid directive syntax: too many registrations are under way"

    def open_all(clients: list[socket.socket], lines: bytes) -> None:
        for client in clients:
            client.sendall(ON + lines + b"-limit 5\r\n")
        for client in clients:  # until all of it was read, and none is finished
            said = b""
            while said.count(b"%ok") < 3:
                piece = client.recv(4096)
                assert piece
                said += piece

    with abused(tmp_path, limits) as server, while_answered(server, growth=32 << 20):
        with many(server, 100) as clients:
            open_all(clients, record * 50)
            for client in clients:
                client.sendall(OFF)
            answers = [rest(client) for client in clients]
        assert 50 < sum(told in answer for answer in answers) < 100
        before = memory(server)
        with many(server, 100) as clients:
            open_all(clients, b"ab\r\n" * 4000)
            assert memory(server) < before + (6 << 20)  # all these lines have twenty
        until(lambda: told not in _register(server, record * 50))  # those went without a word
