"""TLS: the same conversation on a port of its own, and what is wrong with a certificate."""

import asyncio
import contextlib
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rwhoisd.config import TlsConfig
from rwhoisd.server import transport as transport_module
from rwhoisd.server.hub import Timing
from rwhoisd.server.limits import Counter, LimitSettings
from rwhoisd.server.tls import TlsError, context
from rwhoisd.service.hashing import argon2_hash
from tests.wire import process
from tests.wire.certificates import Authority
from tests.wire.harness import BANNER, LONG_SECONDS, Server, open_files, run, serving, until
from tests.wire.process import PATIENCE_SECONDS, Process, command, read_all, running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority with a server's certificate."""
    made = Authority.make(tmp_path_factory.mktemp("authority"))
    made.issue("server")
    return made


def server_context(authority: Authority, *, client_ca: str | None = None) -> ssl.SSLContext:
    row = TlsConfig(
        certificate=Path("server.pem"),
        key=Path("server.key"),
        client_ca=Path(client_ca) if client_ca else None,
    )
    return context(row, lambda path: authority.folder / path)


@asynccontextmanager
async def connected(
    server: Server, client: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def all_gone(server: Server) -> None:
    """Wait until the server has no connection left."""
    await until(lambda: not server.hub.connections)


async def ask(server: Server, client: ssl.SSLContext, *pieces: bytes) -> bytes:
    """What comes back, up to a proper end: banner left out."""
    async with connected(server, client) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), LONG_SECONDS)
    assert answer.startswith(BANNER)
    return answer[len(BANNER) :]


def test_a_conversation_by_tls(authority: Authority) -> None:
    async def main() -> None:
        async with serving(tls=server_context(authority)) as server:
            client = authority.client()
            assert await ask(server, client, b"secure\r\n") == b"yes\n%ok\n"
            held = b"-holdconnect on\na\nb\n-quit\n"
            assert await ask(server, client, held) == b"%ok\na\n%ok\nb\n%ok\n%ok\n"
            pieces = [held[i : i + 1] for i in range(len(held))]
            assert await ask(server, client, *pieces) == b"%ok\na\n%ok\nb\n%ok\n%ok\n"
            assert server.table.total(Counter.NO_TLS) == 0

    run(main())


def test_a_clear_listener_says_so() -> None:
    async def main() -> None:
        async with serving() as server:
            assert await server.ask(b"secure\n") == b"no\n%ok\n"

    run(main())


def test_an_answer_that_has_to_be_awaited(authority: Authority) -> None:
    async def main() -> None:
        async with serving(tls=server_context(authority)) as server:
            asking = asyncio.create_task(ask(server, authority.client(), b"wait x\n"))
            await asyncio.sleep(0.05)
            assert not asking.done()
            server.service.release.set()
            assert await asking == b"x\n%ok\n"

    run(main())


@pytest.mark.parametrize("query", [b"big 3000000\n", b"parts 50\n"])
def test_long_answers_to_a_client_that_reads_slowly(authority: Authority, query: bytes) -> None:
    async def main() -> None:
        async with serving(tls=server_context(authority)) as server:
            async with connected(server, authority.client()) as (reader, writer):
                writer.write(query)
                await asyncio.sleep(0.1)
                octets, last = 0, b""
                while piece := await asyncio.wait_for(reader.read(1 << 18), LONG_SECONDS):
                    octets += len(piece)
                    last = piece
                    await asyncio.sleep(0)
            wanted = 3_000_000 if query.startswith(b"big") else 50 * 65536
            assert octets == wanted + len(BANNER) + len(b"%ok\n")
            assert last.endswith(b"%ok\n")

    run(main())


def test_who_does_not_take_an_answer_is_cut_off(authority: Authority) -> None:
    async def main() -> None:
        timing = Timing(write_seconds=0.3, close_seconds=0.3)
        async with serving(tls=server_context(authority), timing=timing) as server:
            loop = asyncio.get_running_loop()
            client = authority.client()
            protocol = asyncio.Protocol()
            transport, _ = await loop.create_connection(
                lambda: protocol, "127.0.0.1", server.port, ssl=client
            )
            transport.pause_reading()
            transport.write(b"-holdconnect on\n" + b"big 8000000\n" * 3)
            await all_gone(server)
            assert server.table.total(Counter.SLOW) == 1
            transport.abort()

    run(main())


def test_idle_clients_are_told_and_ended(authority: Authority) -> None:
    async def main() -> None:
        timing = Timing(idle_seconds=0.3)
        async with serving(tls=server_context(authority), timing=timing) as server:
            assert (await ask(server, authority.client())).startswith(b"%error 503")
            await all_gone(server)

    run(main())


@pytest.mark.parametrize(
    "sent", [b"192.0.2.1\r\n", b"", b"\x16\x03\x01\x00\x05junk.", b"\x80\x2e\x01\x00\x02"]
)
def test_who_speaks_no_tls_is_gone_without_a_word(authority: Authority, sent: bytes) -> None:
    async def once(server: Server) -> None:
        reader, writer = await server.connect()
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            writer.write(sent)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), LONG_SECONDS)
        assert b"%" not in answer
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()
        await all_gone(server)

    async def main() -> None:
        async with serving(tls=server_context(authority)) as server:
            await once(server)
            before = open_files()
            for _ in range(10):
                await once(server)
            await until(lambda: open_files() <= before)
            assert server.table.total(Counter.NO_TLS) == 11
            assert server.table.connections() == 0

    run(main())


def test_a_handshake_that_does_not_come_is_not_waited_for(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "HANDSHAKE_SECONDS", 0.3)

    async def main() -> None:
        async with serving(tls=server_context(authority)) as server:
            reader, writer = await server.connect()
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), LONG_SECONDS) == b""
            await all_gone(server)
            assert server.table.total(Counter.NO_TLS) == 1
            writer.close()

    run(main())


def test_those_who_shake_hands_count_and_are_not_waited_for_at_the_end(
    authority: Authority,
) -> None:
    async def main() -> None:
        limits = LimitSettings(connections=2)
        async with serving(tls=server_context(authority), limits=limits) as server:
            clients = [await server.connect() for _ in range(2)]
            await until(lambda: server.table.connections() == 2)
            reader, writer = await server.connect()
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), LONG_SECONDS) == b""
            assert server.table.total(Counter.TOO_MANY) == 1
            async with asyncio.timeout(LONG_SECONDS):
                await server.hub.drain(100 * LONG_SECONDS)
            for _, one in [*clients, (reader, writer)]:
                one.close()

    run(main())


def test_client_certificates_can_be_asked_for(authority: Authority, tmp_path: Path) -> None:
    own = authority.issue("client", "maintainer.example.net")
    stranger = Authority.make(tmp_path / "other").issue("client", "maintainer.example.net")

    async def main() -> None:
        tls = server_context(authority, client_ca="ca.pem")
        async with serving(tls=tls) as server:
            assert await ask(server, authority.client(*own), b"secure\n") == b"yes\n%ok\n"
            for client in (authority.client(), authority.client(*stranger)):
                answer = b""
                with contextlib.suppress(OSError):
                    async with connected(server, client) as (reader, writer):
                        writer.write(b"secure\n")
                        answer = await asyncio.wait_for(reader.read(), LONG_SECONDS)
                assert answer == b""
            await all_gone(server)

    run(main())


def test_old_versions_are_not_spoken(authority: Authority) -> None:
    assert server_context(authority).minimum_version is ssl.TLSVersion.TLSv1_2


# -- certificates that cannot be used


def _missing(folder: Path) -> None:
    (folder / "server.pem").unlink()


def _no_file(folder: Path) -> None:
    (folder / "server.key").unlink()
    (folder / "server.key").mkdir()


def _swapped(folder: Path) -> None:
    shutil.copy(folder / "server.key", folder / "server.pem")


def _no_key(folder: Path) -> None:
    shutil.copy(folder / "server.pem", folder / "server.key")


def _other_key(folder: Path) -> None:
    _, key = Authority.make(folder / "other").issue("server")
    shutil.copy(key, folder / "server.key")


def _torn(folder: Path) -> None:
    text = (folder / "server.pem").read_text()
    (folder / "server.pem").write_text(text[:200] + "\n-----END CERTIFICATE-----\n")


def _encrypted(folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization as how

    key = how.load_pem_private_key((folder / "server.key").read_bytes(), None)
    kind, form = how.Encoding.PEM, how.PrivateFormat.PKCS8
    (folder / "server.key").write_bytes(
        key.private_bytes(kind, form, how.BestAvailableEncryption(b"fjord"))
    )


FAULTS = [
    pytest.param(_missing, r"server\.pem: cannot be read: No such file", id="missing"),
    pytest.param(_no_file, r"server\.key: cannot be read: Is a directory", id="no file"),
    pytest.param(_swapped, r"server\.pem: holds no certificate in PEM form", id="no certificate"),
    pytest.param(_no_key, r"server\.key: holds no private key in PEM form", id="no key"),
    pytest.param(_other_key, r"server\.key: is not the key of .*server\.pem", id="other key"),
    pytest.param(_torn, r"server\.pem, .*server\.key: cannot be used: ", id="torn"),
    pytest.param(_encrypted, r"server\.key: the key is encrypted", id="encrypted"),
]


@pytest.mark.parametrize(("spoil", "told"), FAULTS)
def test_what_is_wrong_is_told(tmp_path: Path, spoil: Callable[[Path], None], told: str) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("server")
    spoil(authority.folder)
    with pytest.raises(TlsError, match=told):
        server_context(authority)


def test_authorities_of_clients_have_to_be_there(authority: Authority) -> None:
    with pytest.raises(TlsError, match=r"none\.pem: cannot be read"):
        server_context(authority, client_ca="none.pem")
    with pytest.raises(TlsError, match=r"server\.key: holds no certificate"):
        server_context(authority, client_ca="server.key")


# -- the whole server


CONFIG = """\
compat = "rfc"
zones = ["zone"]
workers = 2
[limits]
exempt = []
failures_per_net = 3
[[listen]]
host = "127.0.0.1"
port = 0
[[listen]]
host = "127.0.0.1"
port = 0
tls = { certificate = "authority/server.pem", key = "authority/server.key" }
"""


def _installed(folder: Path) -> tuple[Path, Authority]:
    """A configuration with a zone, whose guardian has the secret "fjord"."""
    authority = Authority.make(folder / "authority")
    authority.issue("server")
    (folder / "zone").mkdir()
    (folder / "zone" / "zone.toml").write_text(
        'name = "a.com"\nclasses = ["organization", "guardian"]\n'
        '[soa]\nprimary-server = "h.a.com:4321"\nhostmaster = "h@a.com"\n'
    )
    (folder / "zone" / "organization.txt").write_text(
        "ID: o.a.com\nOrg-Name: Hidden\nPrivate: true\nGuardian: g.a.com\n"
    )
    (folder / "zone" / "guardian.txt").write_text(
        f"ID: g.a.com\nGuard-Scheme: argon2id\nGuard-Info: {argon2_hash('fjord')}\n"
    )
    config = folder / "rwhoisd.toml"
    config.write_text(CONFIG)
    return config, authority


def _ports(server: Process) -> tuple[int, int]:
    found = re.search(r" on 127\.0\.0\.1:(\d+), 127\.0\.0\.1:(\d+)$", server.log(), re.MULTILINE)
    assert found is not None
    return int(found[1]), int(found[2])


def _ask(port: int, client: ssl.SSLContext | None, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as plain:
        if client is None:
            plain.sendall(data)
            return read_all(plain)
        with client.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            secure.sendall(data)
            return read_all(secure)


def test_a_server_with_both_listeners(tmp_path: Path) -> None:
    config, authority = _installed(tmp_path)
    good = b"-holdconnect on\r\n-security on request pw fjord\r\no.a.com\r\n-quit\r\n"
    with running(tmp_path, "--config", str(config)) as server:
        clear, tls = _ports(server)
        client = authority.client()
        assert b"organization:Org-Name:Hidden\r\n" in _ask(tls, client, good)
        # who guesses is let try three times, by whichever worker
        bad = good.replace(b"fjord", b"guess")
        answers = [_ask(tls, client, bad) for _ in range(8)]
        assert [b"%error 401" in answer for answer in answers] == [False] * 3 + [True] * 5
        assert not [answer for answer in answers if b"Hidden" in answer]
        assert b"%error 401" in _ask(clear, None, good)

        # another certificate, then one that cannot be used
        other = Authority.make(tmp_path / "other")
        for path in other.issue("server"):
            shutil.copy(path, authority.folder / path.name)
        server.hang_up()
        process.until(lambda: _speaks(tls, other.client()))
        assert not _speaks(tls, client)
        (authority.folder / "server.key").write_text("torn")
        server.hang_up()
        assert "server.key: holds no private key" in server.log()
        assert _speaks(tls, other.client())
        assert b"%ok" in _ask(clear, None, b"-quit\r\n")
        assert "Traceback" not in server.log()
        assert server.stop() == 0


def _speaks(port: int, client: ssl.SSLContext) -> bool:
    try:
        return b"%ok" in _ask(port, client, b"-quit\r\n")
    except ssl.SSLCertVerificationError:
        return False


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl program here")
def test_a_client_that_is_not_ours(tmp_path: Path) -> None:
    config, authority = _installed(tmp_path)
    with running(tmp_path, "--config", str(config), "--workers", "1") as server:
        _, tls = _ports(server)
        done = subprocess.run(
            [
                *("openssl", "s_client", "-quiet", "-verify_return_error"),
                *("-CAfile", str(authority.folder / "ca.pem")),
                *("-connect", f"127.0.0.1:{tls}"),
            ],
            input=b"-soa a.com\r\n-quit\r\n",
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert b"%soa authority:a.com\r\n" in done.stdout


def test_the_server_does_not_start_with_a_wrong_key(tmp_path: Path) -> None:
    config, authority = _installed(tmp_path)
    _other_key(authority.folder)
    for arguments in (
        ("serve", "--config", str(config), "--state", str(tmp_path / "state")),
        ("check-config", "--config", str(config)),
    ):
        done = command(*arguments)
        assert done.returncode == 1
        assert re.search(r"server\.key: is not the key of", done.stderr)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("held", [False, True])
def test_query_and_goodbye_in_one_packet_are_answered(authority: Authority, held: bool) -> None:
    """As from ``openssl s_client`` with a query piped into it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(tls=server_context(authority)) as server:
            coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = authority.client().wrap_bio(coming, going, server_hostname="127.0.0.1")
            with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as sock:
                sock.setblocking(False)

                async def exchange() -> bool:
                    await loop.sock_sendall(sock, going.read())
                    part = await asyncio.wait_for(loop.sock_recv(sock, 65536), LONG_SECONDS)
                    coming.write(part)
                    return bool(part)

                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        await exchange()
                got = b""
                while not got.endswith(BANNER):
                    try:
                        got += tls.read(65536)
                    except ssl.SSLWantReadError:
                        await exchange()
                tls.write(b"-holdconnect on\none\n" if held else b"one\n")
                with pytest.raises(ssl.SSLWantReadError):
                    tls.unwrap()
                answer = b""
                while await exchange():
                    with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                        while part := tls.read(65536):
                            answer += part
            assert answer == (b"%ok\none\n%ok\n" if held else b"one\n%ok\n")

    run(main())
