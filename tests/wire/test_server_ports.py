"""What the service asks of the world outside: programs, other servers, access files, the log."""

import asyncio
import os
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rwhoisd.config import ProgramConfig
from rwhoisd.directory.access import EVERYONE, AccessRules
from rwhoisd.directory.area import HostPort
from rwhoisd.protocol.directives import x_directive
from rwhoisd.server.access import LOOK_SECONDS, Access, AccessFiles
from rwhoisd.server.forward import StreamConnector
from rwhoisd.server.programs import LocalPrograms
from rwhoisd.server.querylog import Entry, Formatter, LogSettings, QueryLog
from rwhoisd.service.ports import ForwardError, ProgramResult
from rwhoisd.testing.scripted import ScriptedServer, refusing_port
from tests.wire.process import until


def _program(folder: Path, code: str, *arguments: str, **bounds: Any) -> ProgramResult:
    """What comes of a Python program run as ``-X-test`` with these arguments of a client."""
    row = ProgramConfig(
        name="test",
        command=(sys.executable, "-c", code),
        **bounds,
    )
    programs = LocalPrograms([row], folder)
    return asyncio.run(programs.run(x_directive("test", "any"), arguments))


def test_program_gets_arguments_and_no_more(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), sorted(os.environ), sys.stdin.read())"
    result = _program(tmp_path, code, "a b", "$HOME;x", "caf\xe9")
    assert result.failure == ""
    arguments, rest = result.output.decode().split("] ", 1)
    assert arguments == "['a b', '$HOME;x', 'caf\\udce9'"
    assert rest == f"{tmp_path} ['LC_ALL', 'PATH'] \n"


def test_program_that_is_too_slow_goes_with_its_children(tmp_path: Path) -> None:
    code = "import os, time\nchild = os.fork()\nif child: print(child, flush=True)\ntime.sleep(999)"
    for seconds in (0.5, 4, 30):  # it needs some to begin
        result = _program(tmp_path, code, seconds=seconds)
        assert result.failure == f"not done after {seconds:g} seconds"
        if result.output:
            break
    until(lambda: not _lives(int(result.output)))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_program_of_another_user_in_a_folder_that_is_closed_to_it(tmp_path: Path) -> None:
    closed = tmp_path / "state"
    closed.mkdir(mode=0o700)
    row = ProgramConfig(name="test", command=("/usr/bin/id", "-un"), user="nobody")
    programs = LocalPrograms([row], closed)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the workers have it
        result = runner.run(programs.run(x_directive("test", "any"), ()))
    assert result == ProgramResult(b"nobody\n", "")


def test_program_that_says_too_much(tmp_path: Path) -> None:
    result = _program(tmp_path, "while True: print('x' * 1000)", output_octets=5000)
    assert result.failure == "more than 5000 octets of output"
    assert len(result.output) == 5000


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        pytest.param(("/bin/false",), "exit status 1", id="exit status"),
        pytest.param(("/no/such/program",), "there is no program /no/such/program", id="missing"),
        pytest.param(("/etc/passwd",), "there is no program /etc/passwd", id="not executable"),
    ],
)
def test_program_that_fails(tmp_path: Path, command: tuple[str, ...], failure: str) -> None:
    programs = LocalPrograms([ProgramConfig(name="test", command=command)], tmp_path)
    result = asyncio.run(programs.run(x_directive("test", "any"), ()))
    assert (result.output, result.failure) == (b"", failure)


def test_program_is_found_in_the_search_list(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "hello"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    programs = LocalPrograms(
        [ProgramConfig(name="test", command=("hello",))], tmp_path, [tmp_path / "bin"]
    )
    result = asyncio.run(programs.run(x_directive("test", "any"), ()))
    assert result.output == b"found\n"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("9.9.9.9", True, id="public v4"),
        pytest.param("2620:fe::fe", True, id="public v6"),
        pytest.param("127.0.0.1", False, id="loopback"),
        pytest.param("::1", False, id="loopback v6"),
        pytest.param("::ffff:127.0.0.1", False, id="mapped loopback"),
        pytest.param("::127.0.0.1", False, id="compatible loopback"),
        pytest.param("10.0.0.1", False, id="private"),
        pytest.param("100.64.0.1", False, id="carrier-grade NAT"),
        pytest.param("169.254.169.254", False, id="link-local"),
        pytest.param("192.0.2.1", False, id="documentation"),
        pytest.param("224.0.0.1", False, id="multicast"),
        pytest.param("0.0.0.0", False, id="unspecified"),
        pytest.param("255.255.255.255", False, id="broadcast"),
        pytest.param("fc00::1", False, id="unique local"),
        pytest.param("fe80::1%lo", False, id="link-local v6"),
        pytest.param("ff02::1", False, id="multicast v6"),
        pytest.param("64:ff9b::7f00:1", False, id="NAT64 of loopback"),
        pytest.param("2002:7f00:1::", False, id="6to4 of loopback"),
    ],
)
def test_only_public_servers_are_asked(host: str, expected: bool) -> None:
    assert StreamConnector(EVERYONE).may_ask(host) is expected


def test_special_prefix_may_be_allowed() -> None:
    connector = StreamConnector(AccessRules.from_texts(["10.0.0.0/8"]))
    assert connector.may_ask("10.1.2.3")
    assert not connector.may_ask("192.168.0.1")
    assert connector.may_ask("9.9.9.9")


_LOOPBACK = AccessRules.from_texts(["127.0.0.0/8"])


def test_asking_another_server() -> None:
    async def main() -> bytes:
        async with ScriptedServer({"10.0.0.1": "network:ID:1\n\n%ok\n"}) as server:
            place = HostPort("127.0.0.1", server.port)
            connector = StreamConnector(_LOOPBACK)
            return await connector.ask(place, b"10.0.0.1", seconds=120, octets=10000)

    answer = asyncio.run(main())
    assert answer.endswith(b"network:ID:1\r\n\r\n%ok\r\n")


def test_asking_is_refused_at_a_private_address() -> None:
    with pytest.raises(ForwardError, match=r"127\.0\.0\.1 is not public; see forward\.allow"):
        asyncio.run(
            StreamConnector(EVERYONE).ask(HostPort("127.0.0.1", 4321), b"x", seconds=120, octets=10)
        )


@pytest.mark.parametrize(
    ("script", "seconds", "words"),
    [
        pytest.param({"banner": False}, 0.2, "no whole answer in 0.2 seconds", id="silent"),
        pytest.param({"endless": True}, 120, "more than 1000 octets", id="endless"),
    ],
)
def test_asking_is_bounded(script: dict[str, bool], seconds: float, words: str) -> None:
    async def main() -> None:
        async with ScriptedServer({"x": "a\n" * 200}, **script) as server:  # type: ignore[arg-type]
            place = HostPort("127.0.0.1", server.port)
            await StreamConnector(_LOOPBACK).ask(place, b"x", seconds=seconds, octets=1000)

    with pytest.raises(ForwardError, match=words):
        asyncio.run(main())


def test_asking_a_server_that_is_not_there() -> None:
    with refusing_port() as port, pytest.raises(ForwardError, match=f"127.0.0.1:{port}: "):
        asyncio.run(
            StreamConnector(_LOOPBACK).ask(
                HostPort("127.0.0.1", port), b"x", seconds=120, octets=10
            )
        )


def test_access_files_follow_changes(tmp_path: Path) -> None:
    allow, deny = tmp_path / "allow", tmp_path / "deny"
    allow.write_text("")
    deny.write_text("soa: 192.0.2.\n")
    files = AccessFiles(allow, deny)
    assert not files.allows("soa", "192.0.2.1")
    assert files.allows("soa", "198.51.100.1")
    allow.write_text("ALL: 192.0.2.1\n")
    time.sleep(LOOK_SECONDS * 1.5)
    assert files.allows("soa", "192.0.2.1")
    assert not files.allows("soa", "192.0.2.2")


def test_access_file_that_goes_away_opens_no_door(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deny = tmp_path / "deny"
    deny.write_text("ALL: ALL\n")
    files = AccessFiles(None, deny)
    deny.unlink()
    time.sleep(LOOK_SECONDS * 1.5)
    assert not files.allows("rwhoisd", "192.0.2.1")
    assert "the rules stay as they were" in caplog.text


def test_access_asks_rules_and_files(tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text("status: ALL\n")
    access = Access(
        {"SOA": AccessRules.from_texts(["192.0.2.0/24"])},
        {"Example.NET": AccessRules.from_texts(["192.0.2.1"])},
        AccessFiles(None, deny),
    )
    assert access.may_connect("203.0.113.1")
    assert access.may_use("soa", "192.0.2.9")
    assert not access.may_use("soa", "203.0.113.1")
    assert not access.may_use("status", "192.0.2.9")
    assert access.may_transfer("example.net", "192.0.2.1")
    assert not access.may_transfer("example.net", "192.0.2.2")
    assert access.may_transfer("example.org", "192.0.2.2")


_ENTRY: Entry = (1767225599.25, "192.0.2.77", "*:4321", b'na"me\xe9\x01 \n', 3, 230, 41)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        pytest.param(
            LogSettings(form="logfmt"),
            b"time=2025-12-31T23:59:59.250Z client=192.0.2.77 listener=*:4321"
            b' query="na\\"me\\u00e9\\u0001 \\n" hits=3 code=230 us=41\n',
            id="logfmt",
        ),
        pytest.param(
            LogSettings(form="json"),
            b'{"time":"2025-12-31T23:59:59.250Z","client":"192.0.2.77","listener":"*:4321",'
            b'"query":"na\\"me\\u00e9\\u0001 \\n","hits":3,"code":230,"us":41}\n',
            id="json",
        ),
        pytest.param(
            LogSettings(v4_bits=24),
            b"time=2025-12-31T23:59:59.250Z client=192.0.2.0/24 listener=*:4321"
            b' query="na\\"me\\u00e9\\u0001 \\n" hits=3 code=230 us=41\n',
            id="masked",
        ),
    ],
)
def test_line_of_the_query_log(settings: LogSettings, line: bytes) -> None:
    assert Formatter(settings).lines([_ENTRY]) == line


def test_lines_of_the_query_log_do_not_depend_on_each_other() -> None:
    texts = [b"ten", b'"a b"', b"", b"back\\slash", b"jos\xe9", b"a\nb", b"x*"]
    outcomes = [(3, 0, 41), (3, 0, 41), (0, 230, 5)]
    entries = [
        (1767225599.25 + number / 3000, f"192.0.2.{number // 5}", "*:4321", text, *outcome)
        for number, (text, outcome) in enumerate(product(texts, outcomes))
    ]
    formatter = Formatter(LogSettings(form="json"))
    for some in (entries, entries[:3], [*entries[:3], *entries[-3:]]):
        assert formatter.lines(some) == b"".join(formatter.lines([entry]) for entry in some)


def test_query_log_loses_nothing_on_close(tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def main() -> None:
        log = QueryLog(LogSettings(str(path)))
        log.start()
        for _ in range(5000):
            log.add(_ENTRY)
            await asyncio.sleep(0)
        log.close()

    asyncio.run(main())
    assert len(path.read_text().splitlines()) == 5000


def test_query_log_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = QueryLog(LogSettings(str(path)))
    path.rename(tmp_path / "old")
    log.reopen()
    log.add(_ENTRY)
    log.close()
    assert len(path.read_text().splitlines()) == 1
    assert (tmp_path / "old").read_text() == ""
