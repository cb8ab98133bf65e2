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
