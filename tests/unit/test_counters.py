"""What the workers counted is told: a file for ``rwhois-admin status``, a line in the log."""

import json
import logging
from pathlib import Path

import pytest

from rwhoisd.server.counters import CounterReport
from rwhoisd.server.limits import Counter, LimitSettings, LimitTable, WorkerLimits


def counted(folder: Path) -> tuple[CounterReport, WorkerLimits, Path]:
    table = LimitTable(1024, 2)
    path = folder / "counters.json"
    return CounterReport(table, path), WorkerLimits(table, 1, LimitSettings()), path


def test_every_counter_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report, worker, path = counted(tmp_path)
    for number, counter in enumerate(Counter, 1):
        worker.count(counter, number)
    with caplog.at_level(logging.INFO):
        report.tell(last=True)
    told = json.loads(path.read_text())
    for number, counter in enumerate(Counter, 1):
        assert told[counter.name.lower()] == number
        assert f" {counter.name.lower()}={number}" in caplog.text
    assert told["since"] <= told["at"]


def test_the_file_is_written_when_something_changed(tmp_path: Path) -> None:
    report, worker, path = counted(tmp_path)
    report.tell()
    path.unlink()
    report.tell()
    assert not path.exists()
    worker.count(Counter.FAILED)
    report.tell()
    assert json.loads(path.read_text())["failed"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["counters.json"]


def test_a_full_disk_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report, worker, path = counted(tmp_path / "none")
    report.tell()
    worker.count(Counter.FAILED)
    report.tell()
    assert f"{path}: No such file" in caplog.text
