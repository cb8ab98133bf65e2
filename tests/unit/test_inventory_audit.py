"""The checks of the audit: each with a platform in which it finds, and one in which it does not."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.directory.names import AddressRange
from rwhoisd.directory.objects import Object
from rwhoisd.formats.load import Options as LoadOptions
from rwhoisd.formats.load import load_zones
from rwhoisd.formats.zone import find_zones, read_zone
from rwhoisd.inventory.audit import CHECKS, AuditFinding, Enclosing, Evidence, audit
from rwhoisd.inventory.facts import Fact
from rwhoisd.inventory.machines import Machine
from rwhoisd.inventory.placing import Owners, place
from rwhoisd.inventory.publish import Publisher
from rwhoisd.inventory.records import Links, Sourced, gather
from rwhoisd.inventory.settings import Inventory, read_inventory
from rwhoisd.inventory.survey import Known, SourceState
from rwhoisd.store import Store
from tests.inventory_core import block, database, node, rip, table, told, vip

DATA = Path(__file__).parents[2] / "data"
VIP, SERVICE = "192.0.2.1", "192.0.2.1:443/tcp"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def evidence(
    facts: Sequence[Fact | Sourced],
    machines: list[Machine] | None = None,
    around: Mapping[str, list[str]] | None = None,
    **inventory: Any,
) -> Evidence:
    settings = table(**inventory)
    gathered = gather([f if isinstance(f, Sourced) else told([f])[0] for f in facts])
    placed = place(gathered, settings, Owners(settings.owner))
    seen = None if machines is None else {a: m for m in machines for a in m.addresses}
    found = Evidence(
        inventory=Inventory(settings, Path("inventory.toml")),
        known=Known({}, gathered, placed, [], []),
        links=Links(gathered),
        machines=seen,
        remembered={},
        pending={},
    )
    for text, networks in (around or {}).items():
        where = ip_network(text) if "/" in text else ip_address(text)
        ranges = [AddressRange.from_text(network) for network in networks]
        found.around[where] = [Enclosing("NET", span) for span in ranges if span is not None]
    return found


def names(found: Evidence, *wanted: str) -> list[tuple[str, str]]:
    """Check and subject of what was found, of the checks that are wanted."""
    rows = [row for _, check in CHECKS for row in check(found)]
    assert all(row.message and row.subject for row in rows)
    return [(row.check, row.subject) for row in rows if row.check in wanted]


# --- a VIP with no enabled real server ---


@pytest.mark.parametrize(
    ("facts", "finds"),
    [
        ([vip(VIP, port=443), rip("10.0.0.1", belongs_to=SERVICE)], False),
        ([vip(VIP, port=443), rip("10.0.0.1", belongs_to=SERVICE, disabled=True)], True),
        ([vip(VIP, port=443), rip("10.0.0.1", belongs_to=SERVICE, standby=True)], False),
        ([vip(VIP, port=443), rip("10.0.0.1", belongs_to="192.0.2.2:443/tcp")], True),
        (
            [
                vip(VIP, port=443),
                rip("10.0.0.1", belongs_to=SERVICE, disabled=True),
                rip("10.0.0.2", belongs_to=SERVICE),
            ],
            False,
        ),
        ([vip(VIP, port=443)], False),  # a source that tells no real servers at all
        ([vip(VIP), rip("10.0.0.1")], False),  # an address without a service
    ],
)
def test_a_vip_without_a_server(facts: list[Fact], finds: bool) -> None:
    found = names(evidence(facts), "vip-without-server")
    assert found == ([("vip-without-server", VIP)] if finds else [])


def test_a_server_that_is_disabled_for_this_vip_only() -> None:
    facts: list[Fact] = [
        vip(VIP, port=443),
        vip("192.0.2.2", port=443),
        rip("10.0.0.1", belongs_to=SERVICE, disabled=True),
        rip("10.0.0.1", belongs_to="192.0.2.2:443/tcp"),
    ]
    assert names(evidence(facts), "vip-without-server") == [("vip-without-server", VIP)]


# --- DSR ---

GOOD = {("all", "arp_ignore"): 1, ("all", "arp_announce"): 2}
DSR: list[Fact] = [
    vip(VIP, port=443, forwarding="DSR"),
    rip("10.0.0.1", belongs_to=SERVICE, forwarding="DSR"),
]


def machine(*loopback: str, arp: dict[tuple[str, str], int] | None = None) -> Machine:
    own = {ip_address(text) for text in loopback}
    return Machine("web1", "m/web1", {ip_address("10.0.0.1")}, own, GOOD if arp is None else arp)


@pytest.mark.parametrize(
    ("machines", "found"),
    [
        ([machine(VIP)], []),
        ([machine()], [("dsr-loopback", "10.0.0.1")]),
        ([machine("192.0.2.9")], [("dsr-loopback", "10.0.0.1")]),
        ([machine(VIP, arp={})], [("dsr-arp", "10.0.0.1")] * 2),
        ([machine(VIP, arp={("lo", "arp_ignore"): 1, ("lo", "arp_announce"): 2})],
         [("dsr-arp", "10.0.0.1")] * 2),
        ([machine(VIP, arp=GOOD | {("all", "arp_announce"): 1})], [("dsr-arp", "10.0.0.1")]),
        ([], [("machine-not-seen", "10.0.0.1")]),
        (None, []),
    ],
)  # fmt: skip
def test_direct_server_return(machines: list[Machine] | None, found: list[tuple[str, str]]) -> None:
    seen = names(evidence(DSR, machines), "dsr-loopback", "dsr-arp", "machine-not-seen")
    assert seen == found


@pytest.mark.parametrize("way", ["NAT", "tunnel", "proxy", None])
def test_only_direct_server_return_needs_the_loopback(way: Any) -> None:
    facts: list[Fact] = [
        vip(VIP, port=443, forwarding=way),
        rip("10.0.0.1", belongs_to=SERVICE, forwarding=way),
    ]
    assert names(evidence(facts, [machine(arp={})]), "dsr-loopback", "dsr-arp") == []


def test_arp_is_of_ipv4_only() -> None:
    facts: list[Fact] = [
        vip("2001:db8::1", port=443),
        rip("10.0.0.1", belongs_to="[2001:db8::1]:443/tcp", forwarding="DSR"),
    ]
    assert names(evidence(facts, [machine("2001:db8::1", arp={})]), "dsr-arp", "dsr-loopback") == []


# --- addresses ---


@pytest.mark.parametrize(
    ("more", "finds"),
    [
        ({}, True),
        ({"around": {VIP: ["192.0.2.0/24"]}}, False),
        ({"audit": {"networks": ["192.0.2.0/24"]}}, False),
        ({"audit": {"networks": ["198.51.100.0/24"]}}, True),
        ({"audit": {"networks": ["2001:db8::/32"]}}, True),
    ],
)
def test_outside_every_network(more: dict[str, Any], finds: bool) -> None:
    found = names(evidence([vip(VIP)], **more), "outside-networks")
    assert found == ([("outside-networks", VIP)] if finds else [])


def test_a_network_of_a_source_is_known() -> None:
    facts = [rip("10.0.0.1"), block("10.0.0.0/24")]
    assert names(evidence(facts), "outside-networks") == []


def test_two_owners() -> None:
    found = evidence([vip(VIP)])
    found.organizations[ip_address(VIP)] = {"ORG-A"}
    assert names(found, "two-owners") == []
    found.organizations[ip_address(VIP)] |= {"ORG-B"}
    assert names(found, "two-owners") == [("two-owners", VIP)]


def test_two_rules_for_one_network() -> None:
    one = {"networks": ["10.0.0.0/8"], "organization": "A"}
    other = {"networks": ["10.0.0.0/16"], "organization": "B"}
    assert names(evidence([], owner=[one, other]), "two-owners") == []
    assert names(evidence([], owner=[one, other, one]), "two-owners") == [
        ("two-owners", "10.0.0.0/8")
    ]


def test_two_clusters() -> None:
    one, other = told([vip(VIP)], "a"), told([vip(VIP)], "b")
    assert names(evidence([*one, *told([vip(VIP)], "a")]), "vip-two-clusters") == []
    assert names(evidence([*one, *other]), "vip-two-clusters") == [("vip-two-clusters", VIP)]
    alias = told([vip(VIP, on_loopback=True)], "b")
    assert names(evidence([*one, *alias]), "vip-two-clusters") == []


# --- machines ---


@pytest.mark.parametrize(
    ("first", "second", "finds"),
    [(True, True, True), (True, False, False), (True, None, False), (None, None, False)],
)
def test_two_writers(first: bool | None, second: bool | None, finds: bool) -> None:
    facts = [
        database("db1", "10.0.0.1", peer="DB2", writable=first),
        database("db2", "10.0.0.2", peer="db1", writable=second),
    ]
    found = names(evidence(facts), "two-writers")
    assert found == ([("two-writers", "db1")] if finds else [])


@pytest.mark.parametrize(
    ("places", "finds"),
    [
        (["default/r1", "default/r1"], True),
        (["default/r1", "default/r2"], False),
        (["default/room/r1", "default/room/r2"], False),
        (["default", "default"], False),
        (["default/r1"], False),
        (["default/r1", "other/r1"], False),
    ],
)
def test_one_failure_domain(places: list[str], finds: bool) -> None:
    facts = [node(f"s{n}", crush_place=text) for n, text in enumerate(places)]
    assert bool(names(evidence(facts), "one-failure-domain")) is finds


def test_no_abuse_contact() -> None:
    rule: dict[str, Any] = {"networks": ["192.0.2.0/24"], "organization": "A"}
    assert len(names(evidence([vip(VIP)], owner=[rule]), "no-abuse-contact")) == 2
    rule |= {"abuse-contact": ["ABUSE-1"]}
    assert names(evidence([vip(VIP)], owner=[rule]), "no-abuse-contact") == []


@pytest.mark.parametrize(
    ("text", "more", "finds"),
    [
        ("192.0.2.0/29", {}, True),
        ("192.0.2.0/30", {}, False),
        ("192.0.2.0/30", {"audit": {"reporting-v4": 30}}, True),
        ("192.0.2.0/24", {"audit": {"reporting-v4": 23}}, False),
        ("192.0.2.0/24", {"around": {"192.0.2.0/24": ["192.0.2.0/24"]}}, False),
        ("192.0.2.0/24", {"around": {"192.0.2.0/24": ["192.0.0.0/16"]}}, True),
        ("10.0.0.0/8", {}, False),
        ("2001:db8::/47", {}, True),
        ("2001:db8::/48", {}, False),
        ("2001:db8::/48", {"audit": {"reporting-v6": 48}}, True),
        ("fd00::/8", {}, False),
    ],
)
def test_networks_to_be_reported(text: str, more: dict[str, Any], finds: bool) -> None:
    assert bool(names(evidence([block(text)], **more), "unreported-network")) is finds


# --- records and their sources ---


@pytest.mark.parametrize(
    ("held", "last", "pending", "found"),
    [
        ("", NOW, 0, []),
        ("", NOW, 3, []),  # another cause than the source
        ("", datetime(2026, 2, 1, tzinfo=UTC), 3, ["record-behind-source"]),
        ("", datetime(2026, 2, 1, tzinfo=UTC), 0, []),
        ("", None, 0, ["record-behind-source"]),
        ("is stale", NOW, 0, ["source-failed"]),
    ],
)
def test_records_older_than_their_source(
    held: str, last: datetime | None, pending: int, found: list[str]
) -> None:
    seen = evidence([])
    seen.known.sources.append(SourceState("edge", "keepalived", 3, NOW, NOW, held))
    seen.pending = {"edge": pending}
    if last is not None:
        seen.remembered = {"edge": SourceState("edge", "keepalived", 3, last, last)}
    assert [c for c, _ in names(seen, "record-behind-source", "source-failed")] == found


# --- the sample platform, through a store ---


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "platform", tmp_path / "platform")


def audited(folder: Path, *, applied: bool = True) -> list[AuditFinding]:
    async def work() -> list[AuditFinding]:
        async with await Store.open(str(folder.parent / "store"), create=True) as store:
            await load_zones(store, [read_zone(path) for path in find_zones(DATA)], LoadOptions())
            inventory = read_inventory(folder / "inventory.toml")
            if applied and not await store.area("inside.example.net"):
                await Publisher(store, inventory).apply()
            return (await audit(store, inventory))[0]

    return asyncio.run(work())


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_sample_platform_is_in_order(platform: Path) -> None:
    assert audited(platform) == []


SYSCTL, NETPLAN = "machines/web1/etc/sysctl.d/60-dsr.conf", "machines/web2/etc/netplan/60-vips.yaml"
ABUSE = 'abuse-contact = ["ABUSE-1.example.net"]\n'
BREAKS: list[tuple[str, str, str, str]] = [
    (SYSCTL, "all.arp_ignore = 1", "lo.arp_ignore = 1", "dsr-arp"),
    (NETPLAN, "203.0.113.80/32, ", "", "dsr-loopback"),
    (NETPLAN, "10.20.0.12/24", "10.20.0.99/24", "machine-not-seen"),
    ("inventory.toml", ABUSE, "", "no-abuse-contact"),
    ("storage/osd-tree.json", '"children": [-5]', '"children": [-5, -6, -7]', "one-failure-domain"),
]


@pytest.mark.parametrize(("name", "old", "new", "found"), BREAKS)
def test_what_is_broken_in_the_platform_is_found(
    platform: Path, name: str, old: str, new: str, found: str
) -> None:
    edit(platform / name, old, new)
    if "osd-tree" in name:
        edit(platform / name, '"children": [-6]', '"children": []')
        edit(platform / name, '"children": [-7]', '"children": []')
    assert {row.check for row in audited(platform)} == {found}


def test_outside_of_what_the_directory_knows(platform: Path) -> None:
    text = (platform / "inventory.toml").read_text()
    (platform / "inventory.toml").write_text(text.partition("[audit]")[0])
    found = audited(platform)
    assert {row.check for row in found} == {"outside-networks"}
    assert "10.20.0.11" in {row.subject for row in found}
    assert "192.0.2.35" not in {row.subject for row in found}


def test_a_source_that_changed_since_the_apply(platform: Path) -> None:
    assert {row.check for row in audited(platform, applied=False)} == {"record-behind-source"}
    assert audited(platform) == []
    path = platform / "storage" / "osd-tree.json"
    edit(path, '"name": "ceph3"', '"name": "ceph4"')
    os.utime(path, (2_000_000_000, 2_000_000_000))
    assert ("record-behind-source", "ceph") in [(r.check, r.subject) for r in audited(platform)]


def test_a_source_that_cannot_be_read(platform: Path) -> None:
    audited(platform)
    (platform / "storage" / "osd-tree.json").unlink()
    assert [(r.check, r.subject) for r in audited(platform)] == [("source-failed", "ceph")]


def test_an_owner_elsewhere_in_the_directory(platform: Path) -> None:
    audited(platform)

    area = "inside.example.net"
    lines = (
        ("ID", f"MINE.{area}"),
        ("IP-Address", "192.0.2.35"),
        ("Organization", "ORG-OTHER.example.net"),
    )

    async def publish() -> None:
        async with (
            await Store.open(str(platform.parent / "store")) as store,
            store.change(area, author="a", source="registration") as change,
        ):
            await change.add(Object(area, "real-server", lines, source="registration"))

    asyncio.run(publish())
    assert ("two-owners", "192.0.2.35") in [(r.check, r.subject) for r in audited(platform)]


def test_machines_asked_over_a_command(platform: Path) -> None:
    script = platform / "ask"
    script.write_text(
        '#!/bin/sh\necho "2: eth0 inet $1/24 scope global"\n'
        "echo '1: lo inet 192.0.2.35/32 scope global'\n"
        "echo '1: lo inet 203.0.113.80/32 scope global'\n"
        "echo '1: lo inet6 2001:db8:0:1::35/128 scope global'\n"
        "echo 'net.ipv4.conf.all.arp_ignore = 1'\n"
        '[ "$1" = 10.20.0.11 ] || echo "net.ipv4.conf.all.arp_announce = 2"\n'
    )
    script.chmod(0o755)
    edit(platform / "inventory.toml", 'hosts = "machines" ', f'ssh = ["{script}", "{{host}}"] ')
    assert [(r.check, r.subject) for r in audited(platform)] == [("dsr-arp", "10.20.0.11")]
