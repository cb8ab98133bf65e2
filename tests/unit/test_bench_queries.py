"""Kinds of queries of bench/: each is answered with what it says, and costs are told by size."""

from pathlib import Path
from typing import Any

import pytest

from bench import queries, report
from bench.errors import BenchError
from bench.queries import Cost


def test_each_kind_is_answered_with_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_SECONDS", 0.002)
    steps: list[str] = []
    found = queries.measure(tmp_path, [1_000, 2_000], steps.append)
    assert len(steps) == len(queries.KINDS)
    told = [(cost.kind, cost.objects) for cost in found]
    assert told == [(kind.name, n) for kind in queries.KINDS for n in (1_000, 2_000)]
    assert all(cost.microseconds > 0 and cost.octets > 0 for cost in found)
    by_kind = {cost.kind: cost.octets for cost in found}
    assert by_kind["below"] > 100 * by_kind["name"]


def test_a_wrong_answer_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = queries.Kind("wrong", "", lambda d, n: d.name(n), 2, 2)
    monkeypatch.setattr(queries, "KINDS", (wrong,))
    with pytest.raises(BenchError, match="wrong: 'ACME-"):
        queries.measure(tmp_path, [200], lambda _: None)


def test_an_image_is_made_once(tmp_path: Path) -> None:
    folder = queries.prepare(tmp_path, 50)
    (folder / "marker").touch()
    assert queries.prepare(tmp_path, 50) == folder
    assert (folder / "marker").exists()
    (folder / "stamp").write_text("another", encoding="ascii")
    queries.prepare(tmp_path, 50)
    assert not (folder / "marker").exists()


def test_growth_is_told_by_octet_as_well() -> None:
    costs: list[Any] = [
        Cost(size, kind.name, 10.0 * factor, 100.0 * factor)
        for kind in queries.KINDS
        for size, factor in ((1000, 1), (9000, 2))
    ]
    rows = [list(column.cells) for column in report.cost_table(costs).columns]
    assert rows[2][0] == "10.0"
    assert rows[3][0] == "20.0"
    assert (rows[4][0], rows[5][0]) == ("2.00", "1.00")
