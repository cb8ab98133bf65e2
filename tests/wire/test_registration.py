"""-register at a whole server of two workers: who sees what, when, and under which ID."""

import re
import select
import socket
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.wire.process import (
    NETWORKS,
    PATIENCE_SECONDS,
    Process,
    installation,
    read_all,
    running,
    until,
)

AREA = "192.0.2.0/24"
ROUNDS = 8
PAGE = Path(__file__).parents[2] / "docs" / "operators" / "registration.md"
_REGISTERED = re.compile(rb"%register ID: ?(\S+)\r?\n%register Updated: ?(\d{17})\r?\n%ok")


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def _add(name: str, *more: str) -> bytes:
    lines = ("Class-Name:network", f"Auth-Area:{AREA}", f"Network-Name:{name}", *more)
    return _lines("-register on add ops@example.net", *lines, "-register off")


class Client:
    """A connection that stays open and is asked line by line."""

    def __init__(self, server: Process) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)
        self.stream = self.socket.makefile("rb")
        assert self.stream.readline().startswith(b"%rwhois")

    def say(self, data: bytes, ends: int = 1) -> bytes:
        """The answers to ``data``, up to the last line of so many of them."""
        self.socket.sendall(data)
        found = b""
        while ends:
            line = self.stream.readline()
            assert line, found
            found += line
            ends -= line.startswith((b"%ok", b"%error"))
        return found

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


def _identity(answer: bytes) -> tuple[str, str]:
    """ID and Updated of what was added."""
    match = _REGISTERED.search(answer)
    assert match, answer
    return match[1].decode(), match[2].decode()


def _serial(server: Process) -> str:
    match = re.search(rb"%soa serial:(\d+)", server.ask(_lines(f"-soa {AREA}", "-quit")))
    assert match
    return match[1].decode()


def _objects(server: Process) -> int:
    match = re.search(rb"%status objects:(\d+)", server.ask(_lines("-status", "-quit")))
    assert match
    return int(match[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Two workers over an installation of ARIN's."""
    folder = tmp_path_factory.mktemp("registry")
    conf = installation(folder / "arin")
    arguments = ("--arin-config", str(conf), "--listen", "127.0.0.1:0", "--workers", "2")
    with running(folder, *arguments) as one:
        yield one


def test_whoever_asks_after_ok_sees_the_change(server: Process) -> None:
    """On connections of their own, which the system spreads over both workers."""
    client, count = Client(server), _objects(server)
    assert client.say(_lines("-holdconnect on")) == b"%ok\n"
    for number in range(ROUNDS):
        name = f"SEEN-{number}"
        before = _serial(server)
        object_id, updated = _identity(client.say(_add(name, "IP-Network:192.0.2.64/26"), 2))
        for _ in range(4):
            found = server.ask(_lines(name))
            assert f"network:ID:{object_id}\n".encode() in found
            assert found.endswith(b"%ok\n")
        assert before < _serial(server) == updated
        assert _objects(server) == count + 1  # B19

        target = _lines(f"ID:{object_id}", f"Updated:{updated}")
        replacement = _lines("_NEW_", "CN:network", f"AA:{AREA}", f"Network-Name:NEW-{number}")
        begin, end = _lines("-register on mod ops@example.net"), _lines("-register off")
        assert client.say(begin + target + replacement + end, 2) == b"%ok\n%ok\n"
        for _ in range(4):
            assert b"%error 230" in server.ask(_lines(name))
            found = server.ask(_lines(f"NEW-{number}"))
            assert f"network:ID:{object_id}\n".encode() in found
        assert updated < _serial(server)
        assert _objects(server) == count + 1

        assert b"%error 325" in client.say(begin.replace(b"mod", b"del") + target + end, 2)
        target = _lines(f"ID:{object_id}", f"Updated:{_serial(server)}")
        assert client.say(begin.replace(b"mod", b"del") + target + end, 2) == b"%ok\n%ok\n"
        for _ in range(4):
            assert b"%error 230" in server.ask(_lines(f"NEW-{number}"))
        assert _objects(server) == count
    client.close()


def test_ids_never_collide(server: Process) -> None:
    """B20: pipelined in one session, and by several clients of both workers at once."""

    def adds(client: int) -> list[tuple[str, str]]:
        wire = b"".join(_add(f"ID-{client}-{n}", "ID:mine.192.0.2.0/24") for n in range(6))
        answer = server.ask(wire + _lines("-quit"))
        return [(i.decode(), u.decode()) for i, u in _REGISTERED.findall(answer)]

    with ThreadPoolExecutor(6) as pool:
        found = [pair for pairs in pool.map(adds, range(6)) for pair in pairs]
    assert len(found) == len(set(found)) == 36
    assert len({i for i, _ in found}) == len({u for _, u in found}) == 36
    assert not any(i.startswith("mine") for i, _ in found)


def test_the_conversation_of_the_page(server: Process) -> None:
    text = PAGE.read_text("utf-8").partition("```\n")[2].partition("```")[0]
    said = [line[3:] for line in text.splitlines() if line.startswith("C: ")]
    expected = [line[3:] for line in text.splitlines() if line.startswith("S: ")]
    client = Client(server)
    answer = client.say(_lines(*said), 2).decode().replace("ID: ", "ID:")
    client.close()
    answer = answer.replace("Updated: ", "Updated:")  # A12
    assert _masked(answer) == _masked("\n".join(expected) + "\n")


def _masked(text: str) -> str:
    return re.sub(r"\d{17}", "(serial)", text)


def test_a_client_that_goes_leaves_nothing(server: Process) -> None:
    """R3.3.9-24."""
    server.ask(_add("CUT").replace(b"-register off\r\n", b"-quit\r\n"))
    client = Client(server)
    client.socket.sendall(_add("CUT").replace(b"-register off\r\n", b""))
    client.close()
    assert b"%error 230" in server.ask(_lines("CUT"))


# -- parse programs


def _example() -> str:
    """The program of the page."""
    return PAGE.read_text("utf-8").partition("```sh\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def parsing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Path]]:
    """An installation whose networks have the program of the page, and its folder."""
    folder = tmp_path_factory.mktemp("parsing")
    root = folder / "arin"
    schema = NETWORKS["a/schema"] + "parse-program: check-network\n"
    conf = installation(root, {"a/schema": schema, "bin/check-network": _example()})
    (root / "bin/check-network").chmod(0o755)
    arguments = ("--arin-config", str(conf), "--listen", "127.0.0.1:0", "--workers", "2")
    with running(folder, *arguments) as one:
        yield one, root


def test_the_program_of_the_page(parsing: tuple[Process, Path]) -> None:
    server, root = parsing
    client = Client(server)
    client.say(_lines("-holdconnect on"))
    refused = b"%ok\n%error 322 Required Attribute Missing: Org-Name\n"
    assert client.say(_add("parsed"), 2) == refused
    assert b"%error 230" in server.ask(_lines("parsed"))
    object_id, updated = _identity(client.say(_add("parsed", "Org-Name:Example"), 2))
    assert b"network:Network-Name:PARSED\n" in server.ask(_lines("parsed"))

    target = _lines(f"ID:{object_id}", f"Updated:{updated}")
    new = _lines("---", "CN:network", f"AA:{AREA}", "Network-Name:changed")
    begin, end = _lines("-register on mod ops@example.net"), _lines("-register off")
    assert client.say(begin + target + new + end, 2) == refused
    new += _lines("Org-Name:Other")
    assert client.say(begin + target + new + end, 2) == b"%ok\n%ok\n"
    found = server.ask(_lines("changed"))
    assert b"network:Network-Name:CHANGED\nnetwork:Org-Name:Other\n" in found
    match = re.search(rb"network:Updated:(\d+)", found)
    assert match
    target = _lines(f"ID:{object_id}", f"Updated:{match[1].decode()}")
    assert client.say(begin.replace(b"mod", b"del") + target + end, 2) == b"%ok\n%ok\n"
    assert b"%error 230" in server.ask(_lines("changed"))
    client.close()
    assert list((root.parent / "state" / "spool").iterdir()) == []  # B34
    assert not (root / "register_spool").exists()  # nothing is written to the tree
    assert "was abandoned by check-network" in server.log()


def test_others_register_while_a_program_runs(parsing: tuple[Process, Path]) -> None:
    """Nothing is locked meanwhile, not even in its own area."""
    server, root = parsing
    program = root / "bin/check-network"
    good = program.read_text()
    wait = (
        'if grep -q Name:SLOW "$1"; then touch started; while [ ! -e go ]; do sleep 0.1; done; fi'
    )
    program.write_text(f"#!/bin/sh\n{wait}\n")
    try:
        slow, quick = Client(server), Client(server)
        slow.socket.sendall(_add("SLOW"))
        with ThreadPoolExecutor(1) as pool:
            waited = pool.submit(slow.say, b"", 2)
            while not (root / "started").exists():
                assert not waited.done()
            _identity(quick.say(_add("QUICK"), 2))
            assert not waited.done()
            (root / "go").touch()
            _identity(waited.result(PATIENCE_SECONDS))
        slow.close()
        quick.close()
    finally:
        program.write_text(good)


def test_a_program_that_is_gone_is_402(parsing: tuple[Process, Path]) -> None:
    server, root = parsing
    program = root / "bin/check-network"
    program.rename(root / "away")
    try:
        answer = server.ask(_add("GONE", "Org-Name:x") + _lines("-quit"))
        assert b"%ok\n%error 402 Unidentified Error\n%ok\n" in answer
    finally:
        (root / "away").rename(program)
    assert "there is no program check-network" in server.log()


# -- bounds and patterns

ZONE = """
name = "example.net"
[soa]
hostmaster = "hostmaster@example.net"
primary-server = "rwhois.example.net:4321"
[class.thing]
parse-program = "bin/thing"
[[class.thing.attribute]]
name = "Name"
primary = true
index = "EXACT"
[[class.thing.attribute]]
name = "Slow"
repeatable = true
format = "re:(.*a){900}c"
"""


def _own(folder: Path, program: str, **limits: float) -> str:
    """A configuration of one worker over a zone of our own."""
    (folder / "zone").mkdir()
    (folder / "zone" / "zone.toml").write_text(textwrap.dedent(ZONE))
    (folder / "bin").mkdir()
    (folder / "bin" / "thing").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "bin" / "thing").chmod(0o755)
    config = folder / "rwhoisd.toml"
    bounds = "".join(f"{name} = {value}\n" for name, value in limits.items())
    config.write_text(
        f'zones = ["zone"]\nworkers = 1\nlisten = [{{ host = "127.0.0.1", port = 0 }}]\n'
        f'[programs]\nfolder = "."\n[limits]\n{bounds}'
    )
    return str(config)


THING = ("-register on add ops@example.net", "CN:thing", "AA:example.net", "Name:x")


def test_a_schema_of_our_own_has_its_program(tmp_path: Path) -> None:
    with running(tmp_path, "--config", _own(tmp_path, 'echo "%note $ACTION $EMAIL"')) as server:
        answer = server.ask(_lines(*THING, "-register off", "-quit"))
        assert b"%ok\r\n%note ADD ops@example.net\r\n%register ID:" in answer
        assert b"thing:Name:x\r\n" in server.ask(_lines("x"))
        assert list((tmp_path / "state" / "spool").iterdir()) == []


def test_a_registration_that_takes_too_long_or_is_too_long(tmp_path: Path) -> None:
    config = _own(tmp_path, "exit 0", spool_seconds=0.5, spool_lines=5)
    with running(tmp_path, "--config", config) as server:
        client = Client(server)
        assert client.say(_lines(THING[0])) == b"%ok\r\n"
        assert not select.select([client.socket], [], [], 0.8)[0]
        late = b"%error 338 Invalid directive syntax: registration took longer than 0.5 seconds\r\n"
        assert client.say(_lines(*THING[1:], "-register off")) == late
        client.close()
        long = _lines(*THING, *["Slow:a"] * 3, "-register off", "-quit")
        until(lambda: b": registration longer than 5 lines\r\n%ok" in server.ask(long))


def test_a_pattern_that_takes_its_time_holds_up_nobody(tmp_path: Path) -> None:
    """The only worker answers others while it matches 40 kB against a pattern of seconds."""
    with running(tmp_path, "--config", _own(tmp_path, "exit 0")) as server:
        slow, quick = Client(server), Client(server)
        assert slow.say(_lines(THING[0])) == b"%ok\r\n"
        values = ["Slow:" + "ab" * 1000] * 20
        slow.socket.sendall(_lines(*THING[1:], *values, "-register off"))
        quick.socket.sendall(_lines("y.example.net"))
        # Whoever is slow to look may find both answers.
        assert quick.socket in select.select([slow.socket, quick.socket], [], [])[0]
        assert b"%error 230" in read_all(quick.socket)
        quick.close()
        assert slow.say(b"") == b"%error 321 Invalid attribute syntax: Slow\r\n"
        slow.socket.sendall(_lines("-quit"))
        assert read_all(slow.socket) == b"%ok\r\n"
        slow.close()
