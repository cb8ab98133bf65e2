"""The load generator of bench/ against the echo server and against servers that err."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import load, servers
from bench.errors import BenchError
from bench.load import PATTERNS, Job
from bench.stats import Sample
from rwhoisd.testing.scripted import ScriptedServer

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, load.COMPILERS)), reason="the load generator needs a C compiler"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return load.compile_generator(tmp_path_factory.mktemp("rwload"))


def job(folder: Path, port: int, pid: int, pattern: str) -> Job:
    query_file = folder / "queries"
    query_file.write_text("".join(f"network {i}\n" for i in range(50)), encoding="ascii")
    return Job(
        objects=50,
        server="peer",
        port=port,
        pid=pid,
        pattern=PATTERNS[pattern],
        kind="name",
        query_file=query_file,
        connections=2,
        round=0,
        seconds=0.2,
    )


def loaded(program: Path, wanted: Job) -> Sample:
    """What came of it, for as long as it takes to have an answer."""
    for seconds in (wanted.seconds, 2.0, 20.0):
        sample = load.run(program, replace(wanted, seconds=seconds))
        if sample.ok or sample.error or sample.failed:
            break
    return sample


@pytest.mark.parametrize("pattern", PATTERNS)
def test_echo_is_loaded_without_a_fault(tmp_path: Path, program: Path, pattern: str) -> None:
    with servers.running(servers.echo(tmp_path, workers=1)) as echo:
        sample = loaded(program, job(tmp_path, echo.port, echo.pid, pattern))
    assert (sample.error, sample.failed) == (0, 0)
    assert sample.ok > 0
    assert sample.octets_per_answer >= 500 * 0.9
    assert 0 < sample.p50_us <= sample.p99_us
    assert sample.server_us_per_answer >= 0


async def _against(server: ScriptedServer, folder: Path, program: Path, pattern: str) -> Sample:
    async with server:
        wanted = job(folder, server.port, 1, pattern)
        return await asyncio.to_thread(loaded, program, wanted)


@pytest.mark.parametrize("pattern", ["conn", "held"])
def test_errors_are_counted(tmp_path: Path, program: Path, pattern: str) -> None:
    sample = asyncio.run(_against(ScriptedServer(), tmp_path, program, pattern))
    assert sample.error > 0
    assert sample.ok == 0


@pytest.mark.parametrize("pattern", ["conn", "held"])
def test_answers_that_never_end_are_faults(tmp_path: Path, program: Path, pattern: str) -> None:
    server = ScriptedServer(otherwise=None)
    sample = asyncio.run(_against(server, tmp_path, program, pattern))
    assert sample.failed > 0
    assert sample.answers_per_s == 0


@pytest.mark.parametrize("piece_octets", [1, 3, 5], ids=str)
def test_last_line_in_pieces_is_counted_once(
    tmp_path: Path, program: Path, piece_octets: int
) -> None:
    text = "network:Remarks:100 %ok\nnetwork:Remarks:%error is no error\n\n%ok\n"
    server = ScriptedServer(otherwise=text, piece_octets=piece_octets)
    sample = asyncio.run(_against(server, tmp_path, program, "conn"))
    assert (sample.error, sample.failed) == (0, 0)
    assert sample.ok > 0


def test_compile_error_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(void) { return }", encoding="ascii")
    monkeypatch.setattr(load, "SOURCE", broken)
    with pytest.raises(BenchError, match="expected expression"):
        load.compile_generator(tmp_path / "out")
    assert program.exists()


def test_server_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    start = servers.Start(
        "peer", ["sh", "-c", "echo no port; exit 3"], 1, tmp_path / "log", tmp_path, {}, 10
    )
    with pytest.raises(BenchError, match="peer ended with 3: no port"), servers.running(start):
        pass
