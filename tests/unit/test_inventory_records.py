"""Facts of many files become one record for each address, machine and network."""

from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.inventory.facts import Block, Fact, Kind, Span
from rwhoisd.inventory.records import Links, Record, drives_of, gather, is_writable
from tests.inventory_core import (
    at,
    block,
    database,
    host,
    node,
    records,
    rip,
    told,
    vip,
    where,
)


def only(facts: list[Fact]) -> Record:
    (record,) = records(*facts).records.values()
    return record


# --- merging ---


def test_one_address_in_two_files_is_one_record() -> None:
    facts = [
        *told([vip("192.0.2.1", port=443, belongs_to="edge")], "lb1", date(2026, 1, 1)),
        *told([vip("192.0.2.1", port=443), vip("192.0.2.1", port=80)], "lb2", date(2026, 2, 1)),
    ]
    (record,) = gather(facts).records.values()
    assert (record.kind, record.key) == (Kind.VIP, "192.0.2.1")
    assert record.services == ("80/tcp", "443/tcp")
    assert record.sources == ("lb1", "lb2")
    assert record.seen == date(2026, 2, 1)
    assert record.values("belongs_to") == ("edge",)


def test_services_of_both_protocols() -> None:
    facts: list[Fact] = [
        vip("192.0.2.1", port=53, protocol="udp"),
        vip("192.0.2.1", port=53),
        vip("192.0.2.1"),
    ]
    assert only(facts).services == ("53/tcp", "53/udp")


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([rip("10.0.0.1")], "active"),
        ([rip("10.0.0.1", disabled=True)], "disabled"),
        ([rip("10.0.0.1", disabled=True), rip("10.0.0.1", port=80)], "active"),
        ([rip("10.0.0.1", standby=True)], "standby"),
        ([rip("10.0.0.1", standby=True), rip("10.0.0.1", port=80)], "active"),
        ([rip("10.0.0.1", standby=True), rip("10.0.0.1", port=80, disabled=True)], "standby"),
    ],
)
def test_status(facts: list[Fact], status: str) -> None:
    assert only(facts).status == status


def test_an_address_of_two_roles_has_two_records() -> None:
    found = records(vip("10.0.0.1", port=80), rip("10.0.0.1", port=8080)).records
    assert set(found) == {(Kind.VIP, "10.0.0.1"), (Kind.RIP, "10.0.0.1")}


def test_a_host_with_a_role_lends_its_names_and_is_no_record() -> None:
    found = records(
        *told([rip("10.0.0.1", port=80)], "lb"), *told([host("web1", "10.0.0.1", "w1")], "hosts")
    )
    (record,) = found.records.values()
    assert record.kind is Kind.RIP
    assert list(record.names) == ["web1", "w1"]
    assert record.sources == ("lb", "hosts")


def test_of_a_host_with_two_addresses_the_other_stays() -> None:
    found = records(rip("10.0.0.1", port=80), host("web1", "10.0.0.1"), host("web1", "10.9.0.1"))
    left = found.at(Kind.HOST, "web1")
    assert left is not None
    assert list(left.addresses) == [where("10.9.0.1")]


# --- known by name ---


def test_a_name_gets_the_address_that_a_hosts_file_tells() -> None:
    found = records(
        *told([node("Ceph1"), rip("10.0.0.7", name="web1"), rip(None, name="web2")], "a"),
        *told([host("x", "10.0.0.1", "ceph1"), host("web2", "10.0.0.2")], "hosts"),
    )
    ceph = found.at(Kind.STORAGE_NODE, "Ceph1")
    assert ceph is not None
    assert list(ceph.addresses) == [where("10.0.0.1")]
    assert ceph.sources == ("a", "hosts")
    web2 = found.at(Kind.RIP, "10.0.0.2")
    assert web2 is not None
    assert web2.sources == ("a", "hosts")


def test_a_name_with_two_addresses_tells_nothing() -> None:
    found = records(rip(None, name="w"), host("w", "10.0.0.1"), host("w", "10.0.0.2"))
    assert found.of(Kind.RIP) == []
    assert "rip w is known by its name only and is not published" in str(found.findings[0])


def test_of_both_families_the_older_is_taken() -> None:
    found = records(rip(None, name="w"), host("w", "2001:db8::1"), host("w", "10.0.0.1"))
    assert [record.key for record in found.of(Kind.RIP)] == ["10.0.0.1"]


def test_a_real_server_without_an_address_is_told_with_its_line() -> None:
    found = records(rip(None, name="web9"))
    assert found.records == {}
    assert str(found.findings[0]).startswith("f:1: warning: rip web9 is known by its name only")


@pytest.mark.parametrize(
    "fact", [vip("192.0.2.0/28"), rip("10.0.0.0/30"), node(None, "10.0.0.0/8")]
)
def test_a_network_is_no_machine(fact: Fact) -> None:
    found = records(fact)
    assert found.records == {}
    assert f"{fact.where} is no single address and is not published" in str(found.findings[0])


def test_a_storage_node_without_address_is_a_record() -> None:
    assert only([node("s1")]).key == "s1"


def test_a_name_that_is_an_address_is_the_address() -> None:
    record = only([node("10.0.0.1"), node(None, "10.0.0.1")])
    assert (record.key, list(record.names)) == ("10.0.0.1", [])
    assert list(record.addresses) == [where("10.0.0.1")]


# --- machines ---


def test_machines_are_one_by_name_or_address_in_any_order() -> None:
    facts = [
        node("s1", "10.0.0.1", port=1),
        node("S1", "10.1.0.1", port=2),
        node(None, "10.1.0.1", port=3),
        node("s1", None, port=4),
    ]
    for some in permutations(facts):
        record = only(list(some))
        assert {str(one) for one in record.addresses} == {"10.0.0.1", "10.1.0.1"}
        assert record.services == ("1/tcp", "2/tcp", "3/tcp", "4/tcp")


def test_machines_that_get_one_name_of_a_host_are_one() -> None:
    """Their name is their primary key: two would keep the whole area from being written."""
    found = records(
        *told([node(None, "10.0.0.1"), node(None, "10.1.0.1"), node("other", "10.2.0.1")], "a"),
        *told([host("s1", "10.0.0.1"), host("s1", "10.1.0.1")], "hosts"),
    )
    assert [list(r.names) for r in found.of(Kind.STORAGE_NODE)] == [["s1"], ["other"]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "a", "A", "b", "c", "10.0.0.1"]),
            st.sampled_from([None, "10.0.0.1", "10.0.0.2", "10.0.0.0/8"]),
            st.sampled_from([node, database, lambda n, w: host(n, w, "a", "z")]),
        ),
        max_size=8,
    )
)
def test_no_two_machines_have_the_same_first_name(
    rows: list[tuple[str | None, str | None, object]],
) -> None:
    facts = [make(name, text) for name, text, make in rows if name or text]  # type: ignore[operator]
    found = records(*facts)
    for kind in (Kind.STORAGE_NODE, Kind.DBNODE, Kind.HOST):
        names = [next(iter(r.names), r.key).lower() for r in found.of(kind)]
        assert len(names) == len(set(names))
    assert all(record.key == key for (_, key), record in found.records.items())


def test_drives_and_writability() -> None:
    assert drives_of(only([node("s"), node("s", drives=4), node("s", drives=6)])) == 6
    assert drives_of(only([node("s")])) is None
    assert is_writable(only([database("d")])) is None
    assert is_writable(only([database("d", writable=False)])) is False
    assert is_writable(only([database("d", writable=False), database("d", writable=True)])) is True


# --- networks ---


def test_a_range_becomes_the_blocks_it_is_made_of() -> None:
    first, last = where("192.0.2.1"), where("192.0.2.6")
    span = Span(first, last)  # type: ignore[arg-type]
    found = records(Block(place=at(), where=span), block("192.0.2.8/29", role="lan"))
    assert [record.key for record in found.of(Kind.NETWORK)] == [
        "192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/31", "192.0.2.6/32", "192.0.2.8/29",
    ]  # fmt: skip


# --- links ---


def behind(*facts: Fact) -> dict[str, list[str]]:
    links = Links(records(*facts))
    found = {key: sorted(servers) for key, servers in links.servers.items()}
    back = {(v, s) for s, vips in links.vips.items() for v in vips}
    assert back == {(v, s) for v, servers in found.items() for s in servers}
    return found


@pytest.mark.parametrize(
    "facts",
    [
        [vip("192.0.2.1", port=443), rip("10.0.0.1", belongs_to="192.0.2.1:443/tcp")],
        [vip("192.0.2.1"), rip("10.0.0.1", belongs_to="192.0.2.1:0/udp")],
        [vip("192.0.2.1", pool="web static"), rip("10.0.0.1", belongs_to="static")],
        [vip("192.0.2.1", pool="web"), rip("10.0.0.1", belongs_to="x", pool="web")],
        [vip("192.0.2.1", pool="fwmark:5"), rip("10.0.0.1", belongs_to="fwmark:5")],
    ],
    ids=["service", "any port", "pool of belongs_to", "pool", "fwmark"],
)
def test_a_real_server_stands_behind_its_vip(facts: list[Fact]) -> None:
    assert behind(*facts) == {"192.0.2.1": ["10.0.0.1"]}


def test_services_of_ipv6() -> None:
    facts = [vip("2001:db8::1", port=443), rip("fd00::1", belongs_to="[2001:db8::1]:443/tcp")]
    assert behind(*facts) == {"2001:db8::1": ["fd00::1"]}


@pytest.mark.parametrize(
    "belongs_to", [None, "", "web", "fwmark:6", "192.0.2.9:443/tcp", "a:1/tcp"]
)
def test_what_is_no_link(belongs_to: str | None) -> None:
    facts = [vip("192.0.2.1", pool="static fwmark:5"), rip("10.0.0.1", belongs_to=belongs_to)]
    assert behind(*facts) == {}


def test_pools_of_two_sources_with_one_name_are_two() -> None:
    facts = [
        *told([vip("192.0.2.1", pool="web"), rip("10.0.0.1", pool="web")], "a"),
        *told([vip("192.0.2.2", pool="web"), rip("10.0.0.2", pool="web")], "b"),
    ]
    links = Links(gather(facts))
    assert {k: list(v) for k, v in links.servers.items()} == {
        "192.0.2.1": ["10.0.0.1"],
        "192.0.2.2": ["10.0.0.2"],
    }


def test_a_link_between_two_sources_is_told_by_both() -> None:
    found = gather(
        [
            *told([vip("192.0.2.1", port=80)], "a"),
            *told([rip("10.0.0.1", belongs_to="192.0.2.1:80/tcp")], "b"),
        ]
    )
    Links(found)
    assert {record.sources for record in found.records.values()} == {("a", "b"), ("b", "a")}
