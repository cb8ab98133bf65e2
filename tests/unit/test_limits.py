"""Limits over all workers: connections and queries per net in shared memory."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.access import AccessRules, address_from_text
from rwhoisd.server import limits as module
from rwhoisd.server.limits import EXEMPT, GROUP, Counter, LimitSettings, LimitTable, WorkerLimits


def _workers(count: int, **settings: object) -> list[WorkerLimits]:
    table = LimitTable(1024, count)
    chosen = LimitSettings(**settings)  # type: ignore[arg-type]
    return [WorkerLimits(table, number, chosen) for number in range(count)]


def test_connections_in_all_hold_over_workers() -> None:
    one, two = _workers(2, connections=3)
    client = address_from_text("192.0.2.1")
    rows = [one.admit(client), two.admit(client), two.admit(client)]
    assert None not in rows
    assert one.admit(client) is None
    assert two.admit(client) is None
    two.leave(rows[1] or 0)
    assert one.admit(client) is not None


def test_connections_per_net_hold_over_workers() -> None:
    one, two = _workers(2, connections_per_net=2)
    client, other = address_from_text("192.0.2.1"), address_from_text("192.0.2.2")
    row = one.admit(client)
    assert two.admit(client) is not None
    assert one.admit(client) is None
    assert one.admit(other) is not None
    assert row is not None
    one.leave(row)
    assert two.admit(client) is not None


def test_net_that_two_workers_meet_at_once_has_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = _workers(2, connections_per_net=1)
    client = address_from_text("192.0.2.1")
    counted = LimitTable.held_by_net
    got: list[int | None] = []

    def meanwhile(table: LimitTable, row: int) -> int:
        """The other one lets the net in while this one looks for a row."""
        if not got:
            got.append(None)
            got.append(two.admit(client))
        return counted(table, row)

    monkeypatch.setattr(LimitTable, "held_by_net", meanwhile)
    assert one.admit(client) is None
    assert got[1] is not None
    two.leave(got[1])
    assert one.admit(client) == got[1]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        pytest.param("192.0.2.1", "192.0.2.2", False, id="v4 by address"),
        pytest.param("2001:db8::1", "2001:db8::2", True, id="v6 by /64"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="another /64"),
        pytest.param("192.0.2.1", "::ffff:192.0.2.1", True, id="mapped v4"),
    ],
)
def test_client_nets(first: str, second: str, together: bool) -> None:
    (worker,) = _workers(1, connections_per_net=1)
    assert worker.admit(address_from_text(first)) is not None
    assert (worker.admit(address_from_text(second)) is None) is together


def test_net_lengths_can_be_set() -> None:
    (worker,) = _workers(1, connections_per_net=1, net_v4_bits=24, net_v6_bits=32)
    assert worker.admit(address_from_text("192.0.2.1")) is not None
    assert worker.admit(address_from_text("192.0.2.200")) is None
    assert worker.admit(address_from_text("2001:db8::1")) is not None
    assert worker.admit(address_from_text("2001:db8:ffff::1")) is None


def test_exempt_clients_count_only_in_all() -> None:
    rules = AccessRules.from_texts(["127.0.0.0/8"])
    (worker,) = _workers(1, connections=3, connections_per_net=1, queries_per_net=1, exempt=rules)
    client = address_from_text("127.0.0.1")
    rows = [worker.admit(client) for _ in range(3)]
    assert rows == [EXEMPT] * 3
    assert all(worker.spend(EXEMPT) for _ in range(100))
    assert worker.admit(client) is None


def test_queries_per_net_hold_over_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    one, two = _workers(2, queries_per_net=10, query_interval_seconds=5.0)
    client = address_from_text("192.0.2.1")
    rows = one.admit(client), two.admit(client)
    assert rows[0] == rows[1]
    assert rows[0] is not None
    allowed = [w.spend(rows[0]) for _ in range(10) for w in (one, two)]
    assert allowed == [True] * 10 + [False] * 10
    clock += 0.5  # the time of one query
    assert [one.spend(rows[0]), two.spend(rows[0])] == [True, False]
    clock += 60.0  # a rest gives one interval's queries, not more
    assert [one.spend(rows[0]) for _ in range(11)] == [True] * 10 + [False]


def test_refused_query_is_not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    (worker,) = _workers(1, queries_per_net=1, query_interval_seconds=1.0)
    row = worker.admit(address_from_text("192.0.2.1"))
    assert row is not None
    assert worker.spend(row)
    assert not any(worker.spend(row) for _ in range(50))
    clock += 1.0
    assert worker.spend(row)


def test_dead_worker_holds_nothing() -> None:
    table = LimitTable(1024, 2)
    settings = LimitSettings(connections=4, connections_per_net=2)
    one, two = (WorkerLimits(table, number, settings) for number in range(2))
    client = address_from_text("192.0.2.1")
    assert one.admit(client) is not None
    assert one.admit(client) is not None
    assert two.admit(client) is None
    table.forget(0)
    assert table.connections() == 0
    assert two.admit(client) is not None


def test_limits_hold_over_processes() -> None:
    table = LimitTable(1024, 2)
    settings = LimitSettings(connections_per_net=1)
    child = os.fork()
    if not child:
        admitted = WorkerLimits(table, 1, settings).admit(address_from_text("192.0.2.1"))
        os._exit(0 if admitted is not None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ours = WorkerLimits(table, 0, settings)
    assert ours.admit(address_from_text("192.0.2.1")) is None
    assert table.total(Counter.ACCEPTED) == 1


def test_many_nets_share_rows_and_stay_bounded() -> None:
    table = LimitTable(1024, 1)
    worker = WorkerLimits(table, 0, LimitSettings(connections_per_net=1000))
    rows = {worker.admit((4, number)) for number in range(20000)}
    assert None not in rows
    assert len(rows) <= table.groups * GROUP
    assert table.connections() == 20000


def test_row_of_an_idle_net_is_used_again() -> None:
    table = LimitTable(GROUP, 1)  # a single group
    worker = WorkerLimits(table, 0, LimitSettings(connections_per_net=1))
    for number in range(100):
        row = worker.admit((4, number))
        assert row is not None
        worker.leave(row)
    assert table.connections() == 0


def test_other_limits_from_now_on() -> None:
    (worker,) = _workers(1, connections=1)
    assert worker.admit(None) is not None
    assert worker.admit(None) is None
    worker.configure(LimitSettings(connections=2))
    assert worker.admit(None) is not None


@given(steps=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.booleans()), max_size=60))
def test_counts_agree_with_a_plain_model(steps: list[tuple[int, int, bool]]) -> None:
    table = LimitTable(module.GROUP * 128, 2)
    settings = LimitSettings(connections=8, connections_per_net=3)
    workers = [WorkerLimits(table, number, settings) for number in range(2)]
    held: list[tuple[int, int, int]] = []
    for worker, client, enter in steps:
        if enter:
            row = workers[worker].admit((4, client))
            full = len(held) >= 8 or sum(1 for _, c, _ in held if c == client) >= 3
            assert (row is None) is full
            if row is not None:
                held.append((worker, client, row))
        elif held:
            owner, _, row = held.pop(client % len(held))
            workers[owner].leave(row)
        assert table.connections() == len(held)


# -- failed authentications


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that is turned by hand."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_failures_per_net_hold_over_workers(clock: list[float]) -> None:
    one, two = _workers(2, failures_per_net=4, failure_interval_seconds=100.0)
    for worker in (one, two, one, two):
        assert worker.may_try("192.0.2.1")
        worker.failed("192.0.2.1", 1)
    assert not one.may_try("192.0.2.1")
    assert not two.may_try("192.0.2.1")
    assert one.may_try("192.0.2.2")
    clock[0] += 25.0  # one is forgotten
    assert two.may_try("192.0.2.1")
    two.failed("192.0.2.1", 1)
    assert not one.may_try("192.0.2.1")
    clock[0] += 100.0
    for _ in range(4):
        assert one.may_try("192.0.2.1")
        one.failed("192.0.2.1", 1)
    assert not one.may_try("192.0.2.1")


def test_no_number_of_failures_keeps_a_net_out_for_longer_than_the_interval(
    clock: list[float],
) -> None:
    (worker,) = _workers(1, failures_per_net=4, failure_interval_seconds=100.0)
    worker.failed("192.0.2.1", 1_000_000)
    assert not worker.may_try("192.0.2.1")
    clock[0] += 25.0
    assert worker.may_try("192.0.2.1")


def test_failures_are_of_the_whole_net(clock: list[float]) -> None:
    (worker,) = _workers(1, failures_per_net=1)
    worker.failed("2001:db8::1", 1)
    assert not worker.may_try("2001:db8::ffff")
    assert worker.may_try("2001:db8:0:1::1")


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_exempt_clients_may_always_try(address: str, clock: list[float]) -> None:
    rules = AccessRules.from_texts(["127.0.0.0/8"])
    (worker,) = _workers(1, failures_per_net=1, exempt=rules)
    worker.failed(address, 9)
    assert worker.may_try(address)


def test_without_a_limit_everybody_may_try(clock: list[float]) -> None:
    (worker,) = _workers(1)
    worker.failed("192.0.2.1", 9)
    assert worker.may_try("192.0.2.1")


def test_failures_and_refusals_are_counted(clock: list[float]) -> None:
    table = LimitTable(1024, 2)
    chosen = LimitSettings(failures_per_net=2)
    one, two = (WorkerLimits(table, number, chosen) for number in range(2))
    one.failed("192.0.2.1", 2)
    two.may_try("192.0.2.1")
    one.may_try("192.0.2.1")
    assert table.total(Counter.FAILED) == 2
    assert table.total(Counter.GUESSING) == 2


def test_one_net_is_never_taken_for_another(clock: list[float]) -> None:
    """However many nets fail, those who did not are let try: no place is shared."""
    table = LimitTable(GROUP, 1)
    worker = WorkerLimits(table, 0, LimitSettings(failures_per_net=1))
    for number in range(1, 200):
        worker.failed(f"192.0.2.{number}", 1)
    assert all(worker.may_try(f"198.51.100.{number}") for number in range(1, 200))
    refused = [n for n in range(1, 200) if not worker.may_try(f"192.0.2.{n}")]
    assert len(refused) == GROUP  # as many as there is room for


def test_failures_do_not_touch_what_queries_are_charged(clock: list[float]) -> None:
    (worker,) = _workers(1, failures_per_net=1, queries_per_net=1)
    row = worker.admit(address_from_text("192.0.2.1"))
    assert row is not None
    worker.failed("192.0.2.1", 1)
    assert worker.spend(row)
    worker.leave(row)
