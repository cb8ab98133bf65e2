"""Ratios, growth, comparison and the report page of bench/."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from bench import compare, harness, load, plots, record, report
from bench.errors import BenchError
from bench.harness import Results, Settings, Startup
from bench.stats import (
    ARIN,
    ECHO,
    ONE_WORKER,
    OURS,
    TWO_WORKERS,
    Change,
    RatioKey,
    Sample,
    changes,
    growth,
    ratios,
)

BASE = Sample(
    objects=1000,
    server=OURS,
    pattern="held",
    kind="name",
    connections=8,
    round=0,
    answers_per_s=100_000.0,
    p50_us=60.0,
    p99_us=120.0,
    server_us_per_answer=9.0,
    client_cpu=0.5,
    octets_per_answer=500.0,
    ok=100_000,
    error=0,
    failed=0,
)
KEY = RatioKey(1000, "held", 8, "name", ECHO, "cpu")


def test_ratio_is_the_median_of_the_ratios_within_rounds() -> None:
    def sample(server: str, cpu: float, number: int) -> Sample:
        return replace(BASE, server=server, round=number, server_us_per_answer=cpu)

    ours = [sample(OURS, cpu, i) for i, cpu in enumerate((9.0, 20.0, 8.0))]
    echo = [sample(ECHO, cpu, i) for i, cpu in enumerate((3.0, 4.0, 8.0))]
    assert ratios([*ours, *echo])[KEY] == 3  # of 3, 5 and 1; 9 / 4 would be that of the medians


def test_echo_of_one_kind_is_the_yardstick_of_all() -> None:
    samples = [replace(BASE, kind=kind) for kind in ("name", "wild")]
    samples.append(replace(BASE, server=ECHO, answers_per_s=200_000.0))
    found = ratios(samples)
    assert found[replace(KEY, metric="rate")] == 0.5
    assert found[replace(KEY, metric="rate", kind="wild")] == 0.5


def test_arin_is_compared_kind_by_kind() -> None:
    samples = [BASE, replace(BASE, server=ARIN, kind="wild")]
    assert ratios(samples) == {}
    found = ratios([*samples, replace(BASE, server=ARIN, answers_per_s=2000.0)])
    assert found[replace(KEY, against=ARIN, metric="rate")] == 50
    assert {key.against for key in found} == {ARIN}


def test_peer_too_short_to_measure_gives_no_ratio() -> None:
    found = ratios([BASE, replace(BASE, server=ECHO, server_us_per_answer=0.0)])
    assert KEY not in found
    assert replace(KEY, metric="p50") in found


def test_growth_compares_the_most_with_the_fewest() -> None:
    values = {replace(KEY, objects=n): v for n, v in ((10, 2.0), (100, 2.2), (1000, 2.5))}
    values[replace(KEY, metric="rate")] = 99.0
    assert growth(values) == {KEY: 1.25}


def test_growth_needs_two_sizes() -> None:
    assert growth({KEY: 2.0}) == {}


@pytest.mark.parametrize(
    ("metric", "old", "new", "worse"),
    [
        ("cpu", 2.0, 2.2, 0.1),
        ("cpu", 2.0, 1.0, -0.5),
        ("rate", 2.2, 2.0, 0.1),
        ("rate", 1.0, 2.0, -0.5),
        ("p99", 1.0, 3.0, 2.0),
    ],
    ids=["cost-up", "cost-down", "rate-down", "rate-up", "latency-up"],
)
def test_worse_knows_which_way_is_better(metric: str, old: float, new: float, worse: float) -> None:
    assert Change(replace(KEY, metric=metric), old, new).worse == pytest.approx(worse)


def test_changes_are_those_of_both_runs_worst_first() -> None:
    rate, gone, fresh = (replace(KEY, metric=m) for m in ("rate", "p50", "p99"))
    old = {KEY: 1.0, rate: 1.0, gone: 1.0}
    new = {KEY: 1.2, rate: 0.5, fresh: 9.0}
    assert [change.key for change in changes(old, new)] == [rate, KEY]


def test_worse_than_takes_the_tolerance_as_noise() -> None:
    old = {KEY: 1.0, replace(KEY, kind="wild"): 1.0}
    new = {KEY: 1.09, replace(KEY, kind="wild"): 1.11}
    assert [change.key.kind for change in compare.worse_than(old, new, 10)] == ["wild"]
    assert compare.worse_than(old, new, 12) == []


SETTINGS = Settings(
    out=Path("out"),
    objects=[1000],
    rounds=1,
    seconds=1.0,
    connections=[8],
    workers=1,
    arin_bin=Path("bin"),
)


def _run(server_us: float) -> dict[str, Any]:
    samples = [
        replace(BASE, server_us_per_answer=server_us),
        replace(BASE, server=ECHO, server_us_per_answer=5.0),
        replace(BASE, server=ARIN, answers_per_s=181.0),
    ]
    startups = [
        Startup(1000, OURS, 2.0, 0.05, 8.0, 400_000, 600_000),
        Startup(1000, ARIN, 4.0, 0.01, 1.0, 400_000, 500_000),
    ]
    return record.describe(SETTINGS, Results(samples, startups, ["the moon was full"]))


def _compare(tmp_path: Path, old: float, new: float, *options: str) -> tuple[int, str]:
    paths = []
    for name, server_us in (("old", old), ("new", new)):
        paths.append(tmp_path / f"{name}.json")
        record.write(paths[-1], _run(server_us))
    app = Typer()
    app.command()(compare.main)
    result = CliRunner().invoke(app, [*map(str, paths), *options])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("old", "new", "options", "status"),
    [
        (9.0, 9.5, (), 0),
        (9.0, 12.0, (), 1),
        (12.0, 9.0, (), 0),
        (9.0, 12.0, ("--tolerance", "40"), 0),
        (9.0, 12.0, ("--metric", "rate"), 0),
        (9.0, 12.0, ("--metric", "cpu"), 1),
        (9.0, 12.0, ("--metric", "speed"), 2),
    ],
    ids=["noise", "worse", "better", "tolerated", "other-metric", "metric", "no-metric"],
)
def test_compare_command(
    tmp_path: Path, old: float, new: float, options: tuple[str, ...], status: int
) -> None:
    code, output = _compare(tmp_path, old, new, *options)
    assert code == status, output


def test_compare_says_what_was_not_measured_again(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    run = _run(9.0)
    record.write(old, run)
    record.write(new, run | {"ratios": run["ratios"][:-2]})
    app = Typer()
    app.command()(compare.main)
    result = CliRunner().invoke(app, [str(old), str(new)])
    assert result.exit_code == 0
    assert "2 ratios of the old run were not measured" in " ".join(result.output.split())


def test_compare_names_what_got_worse(tmp_path: Path) -> None:
    _, output = _compare(tmp_path, 9.0, 12.0)
    text = " ".join(output.split())
    assert "33%" in text
    assert "2 worse by over 10 %" in text  # the cost against echo and against ARIN


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "no JSON"), ('{"format": 0}', "no run"), ("[]", "no run")],
    ids=["torn", "other-format", "other-shape"],
)
def test_foreign_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=message) as caught:
        record.read(path)
    assert str(path) in str(caught.value)


def test_run_survives_json(tmp_path: Path) -> None:
    run = _run(9.0)
    record.write(tmp_path / "run.json", run)
    read = record.read(tmp_path / "run.json")
    assert read == json.loads(json.dumps(run))
    assert record.ratios_of(read) == ratios(record.samples_of(run))
    assert record.startups_of(read)[0].restart_seconds == 0.05


def test_page_claims_ratios_only() -> None:
    page = report.performance_page(_run(10.0))
    row = next(line for line in page.splitlines() if line.startswith("| 1000 | held"))
    # CPU 10 against 5, and 100000 answers/s against ARIN's 181
    assert row.split("|")[5].strip() == "2.00"
    assert "552" in row
    assert "100000" not in page.partition("## To repeat")[0]
    assert "- In this run the moon was full." in page
    assert "| 1000 | 0.50 |" in page  # loaded in half of ARIN's time


def test_faults_are_named() -> None:
    bad = [
        replace(BASE, error=3),
        replace(BASE, failed=1, round=1),
        replace(BASE, answers_per_s=0.0, round=2),
    ]
    found = record.faults([BASE, *bad])
    assert len(found) == 3
    assert "3 errors" in found[0]
    assert "round 2" in found[1]


@pytest.mark.parametrize("with_ours", [True, False], ids=["all", "without-ours"])
def test_servers_take_turns_within_a_pattern(with_ours: bool) -> None:
    jobs = list(harness.jobs_of_round(replace(SETTINGS, with_ours=with_ours), largest=False))
    assert len(jobs) == len(set(jobs)) == (30 if with_ours else 17)
    for pattern in load.PATTERNS:
        first = next(job for job in jobs if job[1] == pattern)
        assert first[0] == ECHO
    names = [job[0] for job in jobs if job[1] == "conn"]
    assert names == [ECHO, *([OURS, ARIN] if with_ours else [ARIN]) * 3]


def test_further_clients_and_workers_are_measured_at_the_largest_size() -> None:
    settings = replace(SETTINGS, objects=[10, 1000], connections=[8, 64], arin_bin=None)
    small, large = (list(harness.jobs_of_round(settings, largest=n)) for n in (False, True))
    assert len(small) + len(large) == harness.job_count(settings)
    added = [job for job in large if job not in small]
    assert {job[0] for job in added if job[3] == 8} == {ONE_WORKER, TWO_WORKERS}
    assert [job for job in added if job[3] == 64] == [
        (server, pattern, "name", 64) for pattern in ("conn", "held") for server in (ECHO, OURS)
    ]


def test_two_workers_are_compared_with_one() -> None:
    one, two = (replace(BASE, server=name, pattern="pipe") for name in (ONE_WORKER, TWO_WORKERS))
    found = ratios([BASE, one, replace(two, answers_per_s=150_000.0)])
    assert found[replace(KEY, pattern="pipe", against=ONE_WORKER, metric="rate")] == 1.5
    assert {key.against for key in found} == {ONE_WORKER}


def test_pictures_have_a_line_for_each_server(tmp_path: Path) -> None:
    places = [(server, n, c) for server in (OURS, ECHO) for n in (1000, 9000) for c in (8, 64)]
    samples = [replace(BASE, server=s, objects=n, connections=c) for s, n, c in places]
    names = plots.write(tmp_path, samples)
    assert names == [plots.CLIENTS, plots.OBJECTS]
    first = {name: (tmp_path / name).read_bytes() for name in names}
    assert all(b"<svg" in text for text in first.values())
    assert all(name.encode() in first[plots.CLIENTS] for name in (OURS, ECHO))
    assert ARIN.encode() not in first[plots.CLIENTS]
    plots.write(tmp_path, samples)
    assert {name: (tmp_path / name).read_bytes() for name in names} == first


def test_nothing_is_drawn_of_a_single_point(tmp_path: Path) -> None:
    assert plots.write(tmp_path, [BASE]) == []
    assert plots.line([BASE, replace(BASE, round=1, p50_us=80)], "objects", lambda s: s.p50_us) == [
        (1000, 70)
    ]


@pytest.mark.parametrize(
    ("load_average", "told"), [(0.1, False), (3.0, True)], ids=["idle", "busy"]
)
def test_busy_machine_is_told(load_average: float, told: bool) -> None:
    notes = harness.notes_of(replace(SETTINGS, arin_bin=None), load_average, cores=2)
    assert any("load average" in note for note in notes) is told
    assert any("--arin-bin" in note for note in notes)


def test_missing_compiler_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match="apt install gcc"):
        load.compiler()


def test_compiler_of_the_user_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "mycc"
    program.touch(mode=0o755)
    monkeypatch.setenv("CC", str(program))
    assert load.compiler() == str(program)
