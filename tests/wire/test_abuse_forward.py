"""Servers that mislead the queries which are forwarded to them (RFC 2167 §3.3.4)."""

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from rwhoisd.directory.access import EVERYONE
from rwhoisd.directory.area import HostPort
from rwhoisd.server.forward import StreamConnector
from rwhoisd.service.ports import ForwardError
from tests.wire.abuse import abused, connect, read_to, rest, while_answered
from tests.wire.process import PATIENCE_SECONDS, Process, until

BANNER = b"%rwhois V-1.5:00000000:00 stub (stub)\r\n"
ALLOW = ["127.0.0.0/8"]
Answer = Callable[[socket.socket], None]


class Stub(socketserver.ThreadingTCPServer):
    """A server on loopback that answers as it likes."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.port: int = self.server_address[1]
        self.asked = 0
        self._count = threading.Lock()
        self.answer: Answer = lambda client: client.sendall(b"%ok\r\n")

    def finish_request(self, request: object, client_address: object) -> None:
        """Banner, a line, the answer."""
        assert isinstance(request, socket.socket)
        with self._count:
            self.asked += 1
        request.settimeout(PATIENCE_SECONDS)
        with suppress(OSError):
            request.sendall(BANNER)
            request.recv(4096)
            self.answer(request)

    def url(self, area: str = ".") -> str:
        """The referral to it."""
        return f"rwhois://127.0.0.1:{self.port}/auth-area={area}"


@contextmanager
def stubs(count: int) -> Iterator[list[Stub]]:
    """So many of them."""
    servers = [Stub() for _ in range(count)]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield servers
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _says(*lines: str) -> Answer:
    return lambda client: client.sendall("".join(f"{x}\r\n" for x in lines).encode("latin-1"))


def _refers(*urls: str) -> Answer:
    return _says(*(f"%referral {url}" for url in urls), "%ok")


@contextmanager
def forwarding(folder: Path, punt: str, **limits: object) -> Iterator[Process]:
    """A server that refers everything unknown to ``punt`` and may ask on loopback."""
    forward = {"allow": ALLOW, "seconds": PATIENCE_SECONDS, **limits}
    with abused(folder, referral={"punt": [punt]}, forward=forward) as server:
        yield server


def ask(server: Process, line: bytes = b"198.51.100.1") -> bytes:
    """The answer with referrals followed."""
    with connect(server) as client:
        client.sendall(b"-forward on\r\n" + line + b"\r\n")
        return rest(client).partition(b"%ok\r\n")[2]


def test_referrals_in_a_circle_end(tmp_path: Path) -> None:
    """A server is asked once; its way back to us, to itself or to another one is not taken."""
    with stubs(2) as (one, other), forwarding(tmp_path, one.url()) as server:
        ours = f"rwhois://127.0.0.1:{server.port}/auth-area=."
        one.answer = _refers(other.url(), one.url("a.example"), ours)
        other.answer = _refers(one.url(), other.url("b.example"), ours)
        with while_answered(server):
            assert ask(server) == b"%error 230 No objects found\r\n"
        assert (one.asked, other.asked) == (1, 1)


def test_a_chain_of_referrals_is_followed_so_far(tmp_path: Path) -> None:
    """forward.depth"""
    with stubs(7) as chain, forwarding(tmp_path, chain[0].url(), depth=3) as server:
        for number, stub in enumerate(chain[:-1]):
            stub.answer = _refers(chain[number + 1].url(f"a{number}.example"))
        with while_answered(server):
            ask(server)
        assert [stub.asked for stub in chain] == [1, 1, 1, 0, 0, 0, 0]


def test_many_referrals_are_followed_to_so_many_servers(tmp_path: Path) -> None:
    """forward.servers; the log tells of the first that were not followed."""
    with stubs(9) as (first, *others), forwarding(tmp_path, first.url(), servers=4) as server:
        first.answer = _refers(
            *(stub.url(f"a{n}.example") for n, stub in enumerate(others)),
            *(f"rwhois://h{n}.invalid:4321/auth-area=b{n}.example" for n in range(5000)),
        )
        with while_answered(server):
            ask(server)
        assert sum(stub.asked for stub in others) == 3
        until(lambda: "more referrals not followed" in server.log())
        assert server.log().count("not followed") < 20


def _endless(client: socket.socket) -> None:
    while True:
        client.sendall(b"network:Network-Name:ENDLESS\r\n" * 100)


def _slow(client: socket.socket) -> None:
    while True:
        client.sendall(b"x")
        time.sleep(0.1)


MISLEADING = [
    pytest.param(_endless, id="an endless answer"),
    pytest.param(lambda client: client.sendall(bytes(range(256)) * 300), id="garbage"),
    pytest.param(lambda client: client.sendall(b"\n" * 250_000), id="empty lines"),
    pytest.param(lambda client: client.sendall(b"%\n" * 100_000), id="short lines"),
    pytest.param(lambda client: client.sendall(b"a:b:c\n" * 40_000 + b"%ok\n"), id="lines"),
    pytest.param(lambda client: client.sendall(b"x" * 250_000), id="a long line"),
    pytest.param(
        lambda client: client.sendall(b"%referral rwhois://h/\n" * 10_000), id="referrals"
    ),
    pytest.param(lambda client: client.sendall(b"%referral \n\0%ok\0\n"), id="NUL"),
    pytest.param(lambda client: client.close(), id="gone"),
]
LATE = [
    pytest.param(_slow, id="a slow answer"),
    pytest.param(lambda client: client.recv(1), id="no answer"),
]


@contextmanager
def _misled(folder: Path, **limits: object) -> Iterator[tuple[Stub, Process]]:
    with stubs(1) as (stub,), forwarding(folder, stub.url(), octets=1 << 18, **limits) as server:
        yield stub, server


@pytest.fixture(scope="module")
def misled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stub, Process]]:
    """A server and the one that it asks."""
    with _misled(tmp_path_factory.mktemp("misled")) as both:
        yield both


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stub, Process]]:
    """The same, and it does not wait for long."""
    with _misled(tmp_path_factory.mktemp("hasty"), seconds=1) as both:
        yield both


def _asked_by_four(server: Process) -> bytes:
    """What one of four is told, who ask at once."""
    with while_answered(server, growth=96 << 20):
        threads = [threading.Thread(target=ask, args=(server,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        said = ask(server)
        for thread in threads:
            thread.join()
    return said


@pytest.mark.parametrize("answer", MISLEADING)
def test_answers_that_mislead(misled: tuple[Stub, Process], answer: Answer) -> None:
    """forward.octets: whatever another server says, its client gets one end."""
    stub, server = misled
    stub.answer = answer
    before = stub.asked
    said = _asked_by_four(server)
    assert stub.asked == before + 4
    assert said.count(b"%ok\r\n") + said.count(b"%error ") == 1
    assert said.endswith(b"\r\n")
    assert len(said) < 1 << 20


@pytest.mark.parametrize("answer", LATE)
def test_answers_that_do_not_come_in_time(hasty: tuple[Stub, Process], answer: Answer) -> None:
    """forward.seconds"""
    stub, server = hasty
    stub.answer = answer
    told = f"%error 402 Unidentified error: no answer from 127.0.0.1:{stub.port}\r\n"
    assert _asked_by_four(server) == told.encode()


def test_so_many_queries_are_forwarded_at_once(tmp_path: Path) -> None:
    """forward.at_once: the others wait until a place is free."""
    at_once, count = 2, 12
    with stubs(1) as (stub,), forwarding(tmp_path, stub.url(), at_once=at_once) as server:
        asking, lock, all_asked = [0], threading.Lock(), threading.Event()

        def answer(client: socket.socket) -> None:
            with lock:
                asking.append(asking[-1] + 1)
            all_asked.wait(PATIENCE_SECONDS)
            with lock:
                asking.append(asking[-1] - 1)
            client.sendall(b"%error 230 No objects found\r\n")

        stub.answer = answer
        with ExitStack() as stack, while_answered(server) as second:
            clients = [stack.enter_context(connect(server)) for _ in range(count)]
            for client in clients:
                client.sendall(b"-forward on\r\n198.51.100.1\r\n")
            until(lambda: asking[-1] == at_once)
            said = [read_to(client, b"%ok\r\n") for client in clients]
            second.once()  # those whose place is free are asked for by now
            all_asked.set()
            answers = [rest(client) for client in clients]
        assert answers == [b"%error 230 No objects found\r\n"] * count
        assert all(one.startswith(b"%rwhois ") for one in said)
        assert max(asking) == at_once
        assert (stub.asked, asking[-1]) == (count, 0)


NOT_ASKED = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001::1", "fe80::1", "fec0::1"),
    *("fc00::1", "fd00::1", "ff02::1", "2001:db8::1"),
]


@pytest.mark.parametrize("address", NOT_ASKED)
def test_special_addresses_are_not_asked(address: str) -> None:
    assert not StreamConnector(EVERYONE).may_ask(address)


@pytest.mark.parametrize("port", [22, 25, 80, 443, 1023])
def test_a_public_address_is_asked_at_no_port_of_other_services(port: int) -> None:
    connector = StreamConnector(EVERYONE)
    assert connector.may_ask("9.9.9.9", 43)
    assert connector.may_ask("9.9.9.9", 4321)
    assert not connector.may_ask("9.9.9.9", port)


@pytest.mark.parametrize("public", ["9.9.9.9", "2620:fe::9"])
def test_a_name_that_changes_its_address_leads_nowhere_else(public: str) -> None:
    """The address that was found public is the one that is connected to."""
    answers, reached = [["127.0.0.1", public, "127.0.0.1"]], list[str]()

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        found = answers.pop() if answers else ["127.0.0.1"]  # from the second time on
        family = {False: socket.AF_INET, True: socket.AF_INET6}
        kinds = (socket.SOCK_STREAM, 6, "")
        return [(family[":" in one], *kinds, (one, port)) for one in found]

    async def connect_to(sock: socket.socket, address: tuple[str, int]) -> None:
        reached.append(address[0])
        raise ConnectionRefusedError("not in a test")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (
            patch.object(loop, "getaddrinfo", resolve),
            patch.object(loop, "sock_connect", connect_to),
        ):
            server = HostPort("rebinds.example", 4321)
            with pytest.raises(ForwardError, match="not in a test"):
                await StreamConnector(EVERYONE).ask(server, b"x", seconds=20, octets=100)

    asyncio.run(main())
    assert reached == [public]


HOSTS = [
    *("127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "localhost"),
]


def test_nothing_leads_to_this_machine(tmp_path: Path) -> None:
    """However an address is written, and whatever a name resolves to: without forward.allow
    the server is asked nothing, and its client is told that there is no answer."""
    with stubs(1) as (first,):
        urls = [f"rwhois://{host}:{first.port}/auth-area=a{n}." for n, host in enumerate(HOSTS)]
        forward = {"seconds": 5, "servers": 64}
        with abused(tmp_path, referral={"punt": urls}, forward=forward) as server:
            with while_answered(server):
                assert ask(server).startswith(b"%error ")
            assert first.asked == 0
            assert "is not public" in server.log()
