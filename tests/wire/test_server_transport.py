"""The shell of sockets: order, gentle close, back-pressure, limits, drain."""

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from rwhoisd.directory.access import AccessRules
from rwhoisd.server.hub import Timing
from rwhoisd.server.limits import Counter, LimitSettings
from rwhoisd.server.querylog import LogSettings, QueryLog
from tests.wire.harness import BANNER, LONG_SECONDS, run, serving, until


def test_banner_comes_at_once_and_a_query_closes() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            assert await reader.readline() == BANNER
            writer.write(b"hello\r\n")
            assert await reader.read() == b"hello\n%ok\n"
            writer.close()

    run(main())


@pytest.mark.parametrize(
    ("sent", "eof", "answer"),
    [
        pytest.param(b"one\n", False, b"one\n%ok\n", id="lf"),
        pytest.param(b"one\r\ntwo\r\n", False, b"one\n%ok\n", id="nothing after the query"),
        pytest.param(b"-x\none\n", False, b"%ok\none\n%ok\n", id="directive keeps it open"),
        pytest.param(b"one", True, b"one\n%ok\n", id="half-close ends the last line"),
        pytest.param(b"-holdconnect on\na\nb", True, b"%ok\na\n%ok\nb\n%ok\n", id="held"),
        pytest.param(b"", True, b"", id="nothing said"),
        pytest.param(b"-quit\nmore\n", False, b"%ok\n", id="quit"),
        pytest.param(b"fault\n", False, b"%error 402 Unidentified Error\n", id="fault of ours"),
    ],
)
def test_conversation(sent: bytes, eof: bool, answer: bytes) -> None:
    async def main() -> None:
        async with serving() as server:
            assert await server.ask(sent, eof=eof) == answer

    run(main())


def test_bytes_one_at_a_time() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            for octet in b"-holdconnect on\r\none\r\n-quit\r\n":
                writer.write(bytes([octet]))
                await asyncio.sleep(0.001)
            assert await reader.read() == BANNER + b"%ok\none\n%ok\n%ok\n"
            writer.close()

    run(main())


def test_pipelined_lines_are_answered_in_order() -> None:
    async def main() -> None:
        lines = [b"line %d\n" % i for i in range(1000)]
        async with serving(timing=Timing(batch_lines=7)) as server:
            answer = await server.ask(b"-holdconnect on\n" + b"".join(lines) + b"-quit\n")
            assert answer == b"%ok\n" + b"".join(line + b"%ok\n" for line in lines) + b"%ok\n"

    run(main())


def test_awaited_answer_keeps_its_place() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            writer.write(b"-holdconnect on\na\nwait b\nc\n-quit\n")
            assert await reader.readuntil(b"a\n%ok\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
            server.service.release.set()
            assert await reader.read() == b"b\n%ok\nc\n%ok\n%ok\n"
            writer.close()

    run(main())


def test_awaited_fault_is_a_bare_402() -> None:
    async def main() -> None:
        async with serving() as server:
            server.service.release.set()
            answer = await server.ask(b"wait fault\n")
            assert answer == b"%error 402 Unidentified Error\n"

    run(main())


def test_client_that_leaves_during_an_awaited_answer() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            writer.write(b"wait x\n")
            await reader.readline()
            await until(lambda: server.service.asked)
            writer.transport.abort()
            assert await server.ask(b"here\n") == b"here\n%ok\n"
            server.service.release.set()
            assert await server.ask(b"alive\n") == b"alive\n%ok\n"

    run(main())


def test_one_client_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        async with serving(timing=Timing(batch_lines=4)) as server:
            reader, writer = await server.connect()
            writer.write(b"-holdconnect on\n" + b"x\n" * 50000)
            await reader.readline()
            assert await server.ask(b"quick\n") == b"quick\n%ok\n"
            assert server.service.asked < 10000
            writer.transport.abort()

    run(main())


def test_answer_survives_what_the_client_sends_after_it() -> None:
    """jwhois sends -quit after its query: a reset would destroy the answer (W5)."""

    async def main() -> None:
        async with serving(timing=Timing(close_seconds=LONG_SECONDS)) as server:
            reader, writer = await server.connect()
            writer.write(b"big 200000\n")
            await until(lambda: server.service.asked)
            for _ in range(5):
                writer.write(b"-quit\r\n")
                await asyncio.sleep(0.01)
            answer = await reader.read()
            assert len(answer) == len(BANNER) + 200000 + len(b"%ok\n")
            writer.close()

    run(main())


def test_client_that_never_ends_its_side_is_closed_after_a_while() -> None:
    async def main() -> None:
        async with serving(timing=Timing(close_seconds=0.2)) as server:
            reader, writer = await server.connect()
            writer.write(b"one\n")
            assert await reader.read() == BANNER + b"one\n%ok\n"
            assert server.hub.connections  # it may still say something
            await until(lambda: not server.hub.connections)
            writer.close()

    run(main())


def test_client_that_goes_on_sending_is_cut_off() -> None:
    async def main() -> None:
        async with serving(timing=Timing(close_seconds=LONG_SECONDS)) as server:
            _, writer = await server.connect()
            writer.write(b"one\n")

            async def chatter() -> None:
                for _ in range(1000):
                    writer.write(b"x" * 10000)
                    await writer.drain()
                    await asyncio.sleep(0.001)

            with pytest.raises(ConnectionError):
                await chatter()
            await until(lambda: not server.hub.connections)
            writer.close()

    run(main())


def test_client_that_does_not_read_is_cut_off() -> None:
    async def main() -> None:
        async with serving(timing=Timing(write_seconds=0.2)) as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"-holdconnect on\n" + b"big 1000000\n" * 64)
            await until(lambda: server.table.total(Counter.SLOW))
            await until(lambda: not server.hub.connections)
            assert server.table.total(Counter.SLOW) == 1
            client.close()

    run(main())


def test_client_that_reads_slowly_gets_everything() -> None:
    async def main() -> None:
        seconds = 2.0
        async with serving(timing=Timing(write_seconds=seconds)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 16)
            writer.write(b"-holdconnect on\nbig 20000000\nlast\n-quit\n")
            size = 0
            while chunk := await reader.read(1 << 20):
                size += len(chunk)
                await asyncio.sleep(seconds / 100)  # some 200 pieces
            assert size == len(BANNER) + len(b"%ok\n") * 4 + 20000000 + len(b"last\n")
            writer.close()

    run(main())


def test_long_answer_is_made_at_the_pace_of_the_client() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            writer.write(b"parts 2000\nrest\n")
            await asyncio.sleep(0.3)
            assert server.service.parts_made < 500
            answer = await reader.read()
            assert len(answer) == len(BANNER) + 2000 * 65536 + len(b"%ok\n")
            writer.close()

    run(main())


def test_idle_client_is_told_and_closed() -> None:
    async def main() -> None:
        async with serving(timing=Timing(idle_seconds=0.3)) as server:
            reader, writer = await server.connect()
            await reader.readline()
            assert await reader.read() == b"%error 503 Idle Time Exceeded\n"
            assert server.table.total(Counter.IDLE) == 1
            writer.close()

    run(main())


def test_trickling_bytes_do_not_stop_the_idle_clock() -> None:
    async def main() -> None:
        async with serving(timing=Timing(idle_seconds=0.4)) as server:
            reader, writer = await server.connect()
            reading = asyncio.create_task(reader.read())
            while not reading.done():
                writer.write(b"x")
                await asyncio.sleep(0.05)
            assert (await reading).endswith(b"%error 503 Idle Time Exceeded\n")
            writer.close()

    run(main())


def test_held_connection_has_its_own_idle_limit() -> None:
    async def main() -> None:
        timing = Timing(idle_seconds=0.3, held_idle_seconds=100 * LONG_SECONDS)
        async with serving(timing=timing) as server:
            said = b""
            while said != b"%ok\n":  # on a busy machine it may come too late
                reader, writer = await server.connect()
                writer.write(b"-holdconnect on\n")
                assert await reader.readline() == BANNER
                said = await reader.readline()
            await asyncio.sleep(0.8)
            writer.write(b"still\n-quit\n")
            assert await reader.read() == b"still\n%ok\n%ok\n"
            writer.close()

    run(main())


def test_denied_client_gets_not_a_byte() -> None:
    async def main() -> None:
        for options in (
            {"rules": AccessRules.from_texts(deny=["127.0.0.0/8"])},
            {"welcome": lambda address: address != "127.0.0.1"},
        ):
            async with serving(**options) as server:
                reader, writer = await server.connect()
                writer.write(b"hello\n")
                assert await reader.read() == b""
                assert server.table.total(Counter.DENIED) == 1
                writer.close()

    run(main())


def test_too_many_connections() -> None:
    async def main() -> None:
        async with serving(limits=LimitSettings(connections=2)) as server:
            held = [await server.connect() for _ in range(2)]
            for reader, _ in held:
                assert await reader.readline() == BANNER
            text = b"%error 501 Service Not Available: exceeded max client sessions\n"
            assert await server.ask(b"hello\n") == text
            held[0][1].close()
            await until(lambda: server.table.connections() == 1)
            assert await server.ask(b"hello\n") == b"hello\n%ok\n"
            held[1][1].close()

    run(main())


def test_too_many_queries() -> None:
    async def main() -> None:
        limits = LimitSettings(queries_per_net=3, query_interval_seconds=60)
        async with serving(limits=limits) as server:
            answer = await server.ask(b"-holdconnect on\n-status\na\nb\nc\nd\ne\n")
            told = b"%error 402 Unidentified Error: Query rate limit exceeded\n"
            assert answer == b"%ok\n%ok\na\n%ok\nb\n%ok\nc\n%ok\n" + told
            assert server.table.total(Counter.TOO_FAST) == 1

    run(main())


@pytest.mark.parametrize("line", [b"-register on", b"-REGISTER off", b"-xfer a.com", b"-X-date"])
def test_directives_that_work_hard_count_as_queries(line: bytes) -> None:
    async def main() -> None:
        limits = LimitSettings(queries_per_net=2, query_interval_seconds=60)
        async with serving(limits=limits) as server:
            told = b"%error 402 Unidentified Error: Query rate limit exceeded\n"
            assert await server.ask((line + b"\n") * 3) == b"%ok\n%ok\n" + told

    run(main())


def test_reset_by_the_client_leaves_nothing() -> None:
    async def main() -> None:
        async with serving() as server:
            for _ in range(50):
                client = socket.create_connection(("127.0.0.1", server.port))
                client.sendall(b"one\n")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            await until(lambda: not server.hub.connections)
            assert server.table.connections() == 0

    run(main())


def test_drain_answers_what_is_under_way() -> None:
    async def main() -> None:
        async with serving() as server:
            waiting = asyncio.create_task(server.ask(b"wait x\n"))
            idle_reader, idle_writer = await server.connect()
            idle_writer.write(b"-holdconnect on\n")
            fresh_reader, fresh_writer = await server.connect()
            await until(lambda: server.service.asked == 2 and len(server.hub.connections) == 3)
            drained = asyncio.create_task(server.hub.drain(LONG_SECONDS))
            assert await idle_reader.read() == BANNER + b"%ok\n"
            idle_writer.close()
            fresh_writer.write(b"late\n")
            assert await fresh_reader.read() == BANNER + b"late\n%ok\n"
            fresh_writer.close()
            server.service.release.set()
            assert await waiting == b"x\n%ok\n"
            await drained

    run(main())


def test_drain_does_not_wait_for_clients_that_are_idle() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            await reader.readline()
            next(iter(server.hub.connections))._since -= 10  # seconds without a word
            drained = asyncio.create_task(server.hub.drain(100 * LONG_SECONDS))
            async with asyncio.timeout(LONG_SECONDS):
                assert await reader.read() == b""
                # Its own side stays open, as that of a client that waits for its user.
                await drained
            assert not server.hub.connections
            writer.close()

    run(main())


def test_query_log_has_a_line_for_each_request(tmp_path: Path) -> None:
    path = tmp_path / "queries.log"

    async def main() -> None:
        log = QueryLog(LogSettings(str(path)))
        async with serving(log=log) as server:
            await server.ask(
                b"-holdconnect on\nhello \xe9\nfault\n-security on request pw s3\n-quit\n"
            )

    run(main())
    rows = [line.split(" ", 3) for line in path.read_text().splitlines()]
    assert [row[1:3] for row in rows] == [["client=127.0.0.1", "listener=test:0"]] * 5
    assert [row[3].rpartition(" us=")[0] for row in rows] == [
        'query="-holdconnect on" hits=0 code=0',
        'query="hello \\u00e9" hits=1 code=0',
        'query="fault" hits=0 code=402',
        'query="-security" hits=0 code=0',
        'query="-quit" hits=0 code=0',
    ]


def test_where_there_are_no_sets_of_sockets_the_loop_serves() -> None:
    async def main() -> None:
        async with serving(has_sets=False) as server:
            assert await server.ask(b"one\n") == b"one\n%ok\n"
            assert await server.ask(b"-holdconnect on\nfirst\nsecond", eof=True) == (
                b"%ok\nfirst\n%ok\nsecond\n%ok\n"
            )
            reader, writer = await server.connect()
            assert await reader.readline() == BANNER
            drain = asyncio.create_task(server.hub.drain(2.0))
            await until(lambda: server.hub.draining)
            with pytest.raises(ConnectionRefusedError):
                await server.connect()
            writer.close()
            await drain

    run(main())
