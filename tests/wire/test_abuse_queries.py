"""Queries made to cost much, and very many of them: bounded, and in turns with everybody else's."""

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.wire.abuse import (
    QUERY,
    RECORD,
    abused,
    connect,
    log_of,
    memory,
    processor_seconds,
    rest,
    while_answered,
)
from tests.wire.process import Process, until

NETWORKS = 20_000
_DATA = "".join(
    f"ID: {n}.192.0.2.0/24\nNetwork-Name: NET-{n:05d}\nIP-Network: 10.{n >> 8}.{n & 255}.0/24\n"
    f"Org-Name: Example {n % 7}\n---\n"
    for n in range(NETWORKS)
)
FILES = {
    "a/data/network/network.txt": _DATA + "ID: POP.192.0.2.0/24\nNetwork-Name: POP-1\n"
    "IP-Network: 192.0.2.0/26\nOrg-Name: Example\n"
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of one worker over a large area, that takes leading wildcards."""
    limits = {"max_objects": 100, "cache_octets": 1 << 20}
    query = {"wildcard": True, "leading_wildcard": True}
    folder = tmp_path_factory.mktemp("large")
    # Without a log, whose lines would wait in memory until they are written.
    with abused(folder, limits, files=FILES, query=query, log__queries="off") as server:
        yield server


def _ask(server: Process, line: bytes) -> bytes:
    """The answer to one line, which may be cut off in the middle of sending it."""
    with connect(server) as client:
        with suppress(ConnectionError):
            client.sendall(line + b"\r\n")
        return rest(client)


ODD = [
    pytest.param(b"*a*b*", 350, id="three stars"),
    pytest.param(b"**", 350, id="two stars"),
    pytest.param(b"*" * 2000, 350, id="stars only"),
    pytest.param(b"* * * *", 350, id="stars apart"),
    pytest.param(b"a" + b"*a" * 900, 350, id="many stars"),
    pytest.param(b" or ".join([b"net-1"] * 200), 351, id="many terms of or"),
    pytest.param(b" and ".join([b"a*"] * 250), 351, id="many terms of and"),
    pytest.param(b"(" * 1000 + b"net-1" + b")" * 1000, 230, id="parentheses are characters"),
    pytest.param(b'"net-1', 230, id="a quote that does not end"),
    pytest.param(b'"' * 2001, None, id="quotes only"),
    pytest.param(b'"a" "b" ' * 200, 350, id="many quotes"),
    pytest.param(b"a=" * 900 + b"b", None, id="many equal signs"),
    pytest.param(b"and or " * 250, 350, id="keywords only"),
    pytest.param(b"x" * (1 << 20), 350, id="a million octets"),
    pytest.param(bytes(range(128, 256)) * 10, 230, id="high octets"),
    pytest.param(b"a\0b", 350, id="NUL"),
    pytest.param(b"!" * 1500, 230, id="exclamation marks"),
]


@pytest.mark.parametrize(("line", "code"), ODD)
def test_odd_lines_are_answered_with_their_error(
    large: Process, line: bytes, code: int | None
) -> None:
    """limits.line_octets, query.terms and the grammar."""
    answer = _ask(large, line)
    if code is None:
        assert b"%error " in answer
    else:
        assert b"%%error %d " % code in answer


COSTLY = [
    pytest.param(b"network net-*", id="a prefix of everything"),
    pytest.param(b"net-* and nothing", id="everything is looked at in vain"),
    pytest.param(b" or ".join([b"net-* and nothing"] * 20), id="again and again"),
    pytest.param(b" and ".join([b"net-*"] * 60), id="sixty tests of each"),
    pytest.param(b" or ".join([b"net-*"] * 60), id="sixty times the same"),
    pytest.param(b"*nothing*", id="a star on either side"),
    pytest.param(b" or ".join([b"*nothing*", b"*nobody*"] * 20), id="many of these"),
    pytest.param(b"10.0.0.0/8** and nothing", id="all networks below"),
    pytest.param(b"-xfer 192.0.2.0/24 99999999999999999", id="a transfer of nothing"),
    pytest.param(b"-xfer 192.0.2.0/24", id="a transfer of everything"),
]


@pytest.mark.parametrize("line", COSTLY)
def test_costly_lines_hold_up_nobody(large: Process, line: bytes) -> None:
    """They are gone on with in turns (server.turns): query.scan, query.terms, limits.objects."""
    answers: list[bytes] = []

    def ask() -> None:
        answers.append(_ask(large, b"-limit 100\r\n" + line + b"\r\n-quit"))

    with while_answered(large):
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 4
    assert all(b"\r\n%ok\r\n" in a or b"\r\n%error " in a for a in answers)


def test_a_prefix_of_everything_costs_as_its_limit(large: Process) -> None:
    """limits.max_objects: when twenty thousand match, a hundred are looked at."""

    def cost(lines: Sequence[bytes]) -> float:
        before = processor_seconds(large)
        _distinct(large, [b"-limit 100\r\n", *lines])
        return processor_seconds(large) - before

    a_hundred = cost([b"net-%03d* or zz%d\r\n" % (n % 200, n) for n in range(400)])
    everything = cost([b"net-* or yy%d\r\n" % n for n in range(400)])
    assert everything < 5 * max(a_hundred, 0.05)


_END = re.compile(rb"^%(?:ok|error [^\r]*)\r\n", re.MULTILINE)


_AT_ONCE = 60  # lines, not more than the server answers at once


def _distinct(server: Process, lines: Sequence[bytes]) -> None:
    """Send them in one session, a few whole lines at once; each has its answer."""
    size = max(1, min(_AT_ONCE, 24_000 // max(map(len, lines))))
    with connect(server) as client:
        client.sendall(b"-holdconnect on\r\n")
        _take(client, 1)
        for start in range(0, len(lines), size):
            some = lines[start : start + size]
            client.sendall(b"".join(some))
            _take(client, len(some))


def _take(client: socket.socket, count: int) -> bytes:
    """So many answers and nothing more."""
    said = b""
    while not said.endswith(b"\r\n") or len(_END.findall(said)) < count:
        piece = client.recv(1 << 18)
        assert piece, "the server closed"
        said += piece
    assert len(_END.findall(said)) == count
    return said


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("Missing-%d-%0380d", id="words"),
        pytest.param('"missing words %d %0380d"', id="quoted"),
        pytest.param("org-name=%d or network-name=no%0380d*", id="two terms"),
        pytest.param("Class%d attribute%0380d=x", id="invented classes and attributes"),
        pytest.param("-soa area%d.example%0380d", id="directives that fail"),
        pytest.param("-unknown%d %0380d", id="unknown directives"),
        pytest.param("-security on request pw secret%d-%0380d", id="credentials"),
    ],
)
def test_caches_are_bounded(large: Process, form: str) -> None:
    """limits.cache_octets, and what parser, plans, views and proofs keep: once they are full, very
    many more lines, each of them twice, take no more memory than they would without growing."""

    def some(begin: int, end: int) -> list[bytes]:
        lines = [form % (n, n * 7) for n in range(begin, end)]
        return [f"{line}\r\n".encode() for line in lines for _ in range(2)]

    with while_answered(large):
        _distinct(large, some(0, 4000))
        full = memory(large)
        _distinct(large, some(4000, 8000))
        assert memory(large) < full + 4000 * 400  # the lines alone, as keys, have more


def test_many_long_lines_are_not_kept(large: Process) -> None:
    """The size of a line counts."""
    full = 0
    for turn in range(2):
        lines = [b"%d-%d" % (turn, n) + b"x" * 2000 + b"\r\n" for n in range(1500)]
        _distinct(large, [line for line in lines for _ in range(2)])
        full = full or memory(large)
    assert memory(large) < full + (2 << 20)


def test_the_log_is_forged_by_nobody(tmp_path: Path) -> None:
    """Control characters, line ends and escapes of terminals do not get into the logs."""
    evil = (
        b"a\x1b[31mred\x07",
        b"x\x9b2J",
        b'"\rtime=2000-01-01T00:00:00Z client=10.0.0.1 query="forged',
        b"\xe2\x80\xaeright to left",
        b"-notify badref rwhois://x/\x1b]0;title\x07 y",
        b"-notify badref \xc2\x9b31m\xc2\x85forged",
        b"-rwhois V-1.5 \x9b31m",
    )
    with abused(tmp_path, compat="arin") as server:
        for line in evil:
            with connect(server) as client:
                client.sendall(line + b"\n")
                client.shutdown(socket.SHUT_WR)
                rest(client)
        assert RECORD in server.ask(QUERY)
        until(lambda: len(log_of(server).splitlines()) >= len(evil))
        for text in (log_of(server), server.log()):
            assert all(line.isprintable() for line in text.split("\n"))
            assert not [line for line in text.split("\n") if line.startswith("time=2000")]
        assert "-notify" in server.log()


def test_notices_by_the_thousand(large: Process) -> None:
    """Each is recorded or refused, while others are answered."""
    with while_answered(large):
        _distinct(large, [b"-notify badref rwhois://a.b.c:1/ x\r\n"] * 200)


def test_payloads_of_security_are_no_place_to_keep_things(large: Process) -> None:
    """A session keeps its last offer only."""
    with while_answered(large, growth=16 << 20), connect(large) as client:
        before = memory(large)
        client.sendall(b"-holdconnect on\r\n")
        _take(client, 1)
        for n in range(0, 3000, 10):
            some = [
                b"-security on request pw %d%s\r\n" % (m, b"s" * 1900) for m in range(n, n + 10)
            ]
            client.sendall(b"".join(some))
            assert b"%error" not in _take(client, 10)
        assert memory(large) < before + (3 << 20)  # all of them have six
