"""A run as JSON: what was measured, where, with what; read again by bench.compare."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bench import harness, load
from bench.errors import BenchError
from bench.harness import Results, Settings, Startup
from bench.pieces import Piece
from bench.queries import Cost
from bench.stats import METRICS, RatioKey, Ratios, Sample, ratios
from rwhoisd import COMPILED

FORMAT: Final = 1
_PACKAGES: Final = ("rwhoisd", "uvloop", "lmdb", "lark", "sqlalchemy")


def describe(settings: Settings, results: Results) -> dict[str, Any]:
    """Everything about a run, in values that JSON knows."""
    return {
        "format": FORMAT,
        "when": harness.stamp(),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "settings": {
            "objects": list(settings.objects),
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "connections": list(settings.connections),
            "workers": settings.workers,
        },
        "notes": results.notes,
        "ratios": [asdict(key) | {"value": v} for key, v in ratios(results.samples).items()],
        "startups": [asdict(startup) for startup in results.startups],
        "costs": [asdict(cost) for cost in results.costs],
        "pieces": [asdict(piece) for piece in results.parts],
        "upkeep": [asdict(figure) for figure in results.figures],
        "samples": [asdict(sample) for sample in results.samples],
    }


def commit() -> str:
    """The commit that was measured, marked when files differ from it."""
    text = _output(["git", "describe", "--always", "--dirty", "--exclude", "*"])
    return text or "unknown"


def machine() -> dict[str, str | int]:
    """The machine, as far as it says what it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(memory / 1e9),
        "kernel": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Interpreter, compiler and the libraries that decide the figures."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    if COMPILED:
        found["rwhoisd"] += " (compiled)"
    found["compiler"] = _output([load.compiler(), "--version"]).partition("\n")[0]
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def write(path: Path, run: dict[str, Any]) -> None:
    """Write a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read a run. Raises: BenchError naming the file, when it is none of ours."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{path} is no JSON: {error}") from error
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise BenchError(f"{path} is no run that `python -m bench --json` of this version wrote")
    return run


def ratios_of(run: dict[str, Any]) -> Ratios:
    """The ratios of a run that was read."""
    return {_key(row): float(row["value"]) for row in run["ratios"] if row["metric"] in METRICS}


def _key(row: dict[str, Any]) -> RatioKey:
    return RatioKey(**{name: row[name] for name in RatioKey.__dataclass_fields__})


def samples_of(run: dict[str, Any]) -> list[Sample]:
    """The samples of a run that was read."""
    return [Sample(**row) for row in run["samples"]]


def startups_of(run: dict[str, Any]) -> list[Startup]:
    """The start-ups of a run that was read."""
    return [Startup(**row) for row in run["startups"]]


def costs_of(run: dict[str, Any]) -> list[Cost]:
    """The costs of queries of a run that was read."""
    return [Cost(**row) for row in run["costs"]]


def pieces_of(run: dict[str, Any]) -> list[Piece]:
    """The parts of the query path of a run that was read."""
    return [Piece(**row) for row in run.get("pieces", ())]


def faults(samples: Iterable[Sample]) -> list[str]:
    """Runs in which an answer was %error or a connection broke: their figures are no good."""
    return [
        f"{s.server} {s.pattern} {s.kind}, {s.objects} objects, round {s.round + 1}: "
        f"{s.error} errors, {s.failed} broken connections, {s.answers_per_s:.0f} answers/s"
        for s in samples
        if s.error or s.failed or not s.answers_per_s
    ]
