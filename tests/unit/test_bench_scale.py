"""The page on scale: every figure is one of a run, or a product of such figures."""

from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from bench import record, scale
from bench.errors import BenchError
from bench.harness import Results, Settings, Startup
from bench.stats import ECHO, ONE_WORKER, OURS, TWO_WORKERS, Sample

_SETTINGS = Settings(Path("out"), [1000, 2_000_000], 1, 1.0, [8, 64], 1, None)


def _sample(server: str, pattern: str, kind: str, cpu: float, rate: float = 1000.0) -> Sample:
    counts = (rate, 50.0, 90.0, cpu, 0.5, 500.0, 10, 0, 0)
    return Sample(2_000_000, server, pattern, kind, 8, 0, *counts)


def _run(without: str = "") -> dict[str, Any]:
    samples = [
        _sample(OURS, pattern, kind, 10.0)
        for pattern in ("conn", "held", "pipe")
        for kind in ("name", "addr", "wild")
        if pattern != without
    ]
    samples += [_sample(ECHO, pattern, "name", 5.0) for pattern in ("conn", "held", "pipe")]
    samples += [_sample(ONE_WORKER, "pipe", "name", 1.0, 1000.0)]
    samples += [_sample(TWO_WORKERS, "pipe", "name", 1.0, 1700.0)]
    startup = Startup(2_000_000, OURS, 30.0, 0.08, 40.0, 800_000_000, 1_200_000_000)
    return record.describe(_SETTINGS, Results(samples, [startup], []))


def test_every_figure_is_a_product_of_measured_ones() -> None:
    page = scale.page(_run())
    lines = page.splitlines()
    # 1 / 10 µs; the goal's million a second needs ten such cores, planned with half of each.
    assert "| a connection for each query | 100,000 | 100,000 | 100,000 | 200,000 |" in lines
    assert "| held connections | an address | 20 | 1 |" in lines
    assert "| 100 million | 60.0 GB | 25 min (in proportion) |" in lines  # 600 octets each
    assert "1.70 (a name)" in page
    assert "600 octets an object on disk, 1.50 × the text" in page


def test_a_run_that_lacks_something_is_refused() -> None:
    with pytest.raises(BenchError, match="pattern"):
        scale.page(_run(without="held"))
    run = _run()
    with pytest.raises(BenchError, match="start"):
        scale.page(run | {"startups": []})


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    record.write(tmp_path / "run.json", _run())
    app = Typer()
    app.command()(scale.main)
    target = tmp_path / "scale.md"
    done = CliRunner().invoke(app, [str(tmp_path / "run.json"), str(target)])
    assert done.exit_code == 0, done.output
    assert target.read_text(encoding="utf-8") == scale.page(record.read(tmp_path / "run.json"))
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(app, [str(tmp_path / "run.json"), str(target)])
    assert done.exit_code == 2
    assert "run.json" in done.output
