"""What the log tells of long work: seldom, and how fast it goes."""

import logging

import pytest

from rwhoisd.server import pace
from rwhoisd.server.pace import Pace


def test_the_log_tells_now_and_then_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    now = [50.0]
    told = Pace("loading", lambda: now[0])
    with caplog.at_level(logging.INFO, pace.__name__):
        for second in range(1, 26):
            now[0] = 50.0 + second
            told("192.0.2.0/24", 2000 * second)
        now[0] = 80.0
        told("entries", 0, 10_000)
        now[0] = 90.0
        told("entries", 4_000, 10_000)
        now[0] = 91.0
        told("entries", 10_000, 10_000)
    assert caplog.messages == [
        "loading: 192.0.2.0/24: 20000, 2000 a second",
        "loading: 192.0.2.0/24: 40000, 2000 a second",
        "loading: entries: 0, 0 a second",
        "loading: entries: 4000 of 10000, 15 s left, 400 a second",
    ]


def test_short_work_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    told = Pace("loading", lambda: 1.0)
    with caplog.at_level(logging.INFO, pace.__name__):
        told("objects", 5, 5)
    assert not caplog.messages
