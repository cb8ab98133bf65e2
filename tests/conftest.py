"""For all tests: in CI nothing is skipped, and no test of Hypothesis depends on its time."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# What these run is measured by the other tests; measuring takes as long again as running it.
_UNMEASURED = [Path(__file__).parent / name for name in ("conformance", "meta", "property")]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a server that they started."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the measuring of coverage from those that run very much, and nothing of their own."""
    for item in items:
        if any(folder in item.path.parents for folder in _UNMEASURED):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A check that was skipped is no check: with CI set it counts as failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
    return report
