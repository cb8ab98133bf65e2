"""Compiles the load generator and runs it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from bench.errors import BenchError
from bench.stats import Sample

SOURCE: Final = Path(__file__).with_name("rwload.c")
FLAGS: Final = ("-O2", "-Wall", "-Wextra")
COMPILERS: Final = ("cc", "gcc", "clang")
_WARM_UP_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Pattern:
    """How clients behave. ``quick_ack`` clients acknowledge at once (see rwload.c, -Q)."""

    name: str
    mode: Literal["conn", "held", "pipe"]
    quick_ack: bool
    text: str


PATTERNS: Final = {
    pattern.name: pattern
    for pattern in (
        Pattern("conn", "conn", False, "a connection for each query"),
        Pattern("held", "held", False, "held connection, one query at a time"),
        Pattern("held-q", "held", True, "the same, client acknowledges at once"),
        Pattern("pipe", "pipe", True, "held connection, 16 queries in flight"),
    )
}


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the load generator."""

    objects: int
    server: str
    port: int
    pid: int
    pattern: Pattern
    kind: str
    query_file: Path
    connections: int
    round: int
    seconds: float


def compiler() -> str:
    """Name of the C compiler. Raises: BenchError that says how to get one."""
    wanted = [os.environ["CC"]] if os.environ.get("CC") else COMPILERS
    for name in wanted:
        if shutil.which(name):
            return name
    raise BenchError(
        f"no C compiler found (looked for {', '.join(wanted)}): the load generator is written "
        "in C. Install one (Debian and Ubuntu: apt install gcc libc6-dev; Fedora: dnf install "
        "gcc; Alpine: apk add gcc musl-dev) or name yours in the variable CC."
    )


def compile_generator(out: Path) -> Path:
    """The load generator's program in ``out``, compiled when its source is newer."""
    program = out / "rwload"
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    out.mkdir(parents=True, exist_ok=True)
    command = [compiler(), *FLAGS, "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return program


def run(program: Path, job: Job) -> Sample:
    """Run one job and give what the generator saw. Raises: BenchError, when it failed."""
    command = [str(program), "-m", job.pattern.mode, "-p", str(job.port), "-s", str(job.pid)]
    command += ["-c", str(job.connections), "-q", str(job.query_file)]
    command += ["-w", str(_WARM_UP_SECONDS), "-d", str(job.seconds)]
    command += ["-Q"] if job.pattern.quick_ack else []
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=job.seconds + 60
    )
    if done.returncode:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return _sample(job, json.loads(done.stdout))


def _sample(job: Job, seen: dict[str, Any]) -> Sample:
    named: dict[str, Any] = {
        "objects": job.objects,
        "server": job.server,
        "pattern": job.pattern.name,
        "kind": job.kind,
        "round": job.round,
    }
    measured = {f.name: seen[f.name] for f in fields(Sample) if f.name not in named}
    return Sample(**named, **measured)
