"""Records become objects of areas: who holds what, and what is never shown to everybody."""

import re
from ipaddress import ip_address, ip_network
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.format import Flavour
from rwhoisd.directory.objects import Object
from rwhoisd.directory.validate import ObjectRules, unknown_attributes
from rwhoisd.inventory.facts import Fact
from rwhoisd.inventory.placing import PRIVATE, Area, Owners, is_private, place, tells_private
from rwhoisd.inventory.records import gather
from tests.inventory_core import (
    INSIDE,
    PUBLIC,
    block,
    database,
    host,
    node,
    objects,
    placed,
    rip,
    table,
    told,
    vip,
)

ALL_KINDS = ["vip", "rip", "storage-node", "dbnode", "host", "network"]
PLATFORM: list[Fact] = [
    vip("192.0.2.1", port=443, forwarding="DSR", name="www", belongs_to="edge"),
    vip("10.0.0.100", port=3306),
    rip("10.0.0.1", port=443, belongs_to="192.0.2.1:443/tcp", name="web1"),
    rip("198.51.100.7", port=443, belongs_to="192.0.2.1:443/tcp"),
    node("s1", "10.0.1.1", drives=4, capacity="29 TiB", crush_place="default/rack1"),
    node("s2"),
    database("d1", "10.0.2.1", role="master", peer="d2", writable=True),
]


def by_id(some: Any, name: str, **changes: Any) -> dict[str, Object]:
    made = objects(placed(some, table(**changes)), name)
    found = {(one.id or "").removesuffix(f".{name}"): one for one in made}
    assert len(found) == len(made)
    return found


# --- who holds what ---


def test_an_area_for_everybody_holds_what_is_public_and_the_other_all() -> None:
    assert list(by_id(PLATFORM, PUBLIC)) == ["VIP-192-0-2-1", "RIP-198-51-100-7"]
    assert set(by_id(PLATFORM, INSIDE)) == {
        "VIP-10-0-0-100", "VIP-192-0-2-1", "RIP-10-0-0-1", "RIP-198-51-100-7", "SN-s1", "SN-s2",
        "DB-d1",
    }  # fmt: skip


def test_an_area_holds_the_kinds_and_networks_of_its_rule() -> None:
    area = {"name": PUBLIC, "kinds": ["rip"], "networks": ["198.51.100.0/24"]}
    assert list(by_id(PLATFORM, PUBLIC, area=[area])) == ["RIP-198-51-100-7"]
    assert by_id(PLATFORM, PUBLIC, area=[area | {"networks": ["198.51.100.8/29"]}]) == {}


def test_what_no_area_takes_is_told() -> None:
    area = {"name": PUBLIC, "kinds": ["vip"], "networks": ["203.0.113.0/24"]}
    (finding,) = placed([vip("192.0.2.1"), rip("10.0.0.1")], table(area=[area])).findings
    assert str(finding) == (
        "f:1: warning: vip 192.0.2.1 goes to no area; add its network to an [[area]]"
    )


def test_private_becomes_public_by_a_rule_only_and_is_told() -> None:
    area = {"name": PUBLIC, "networks": ["10.0.0.0/24", "192.0.2.0/24"]}
    made = placed(PLATFORM, table(area=[area]))
    assert [one.id for one in objects(made, PUBLIC)] == [
        f"{name}.{PUBLIC}" for name in ("VIP-10-0-0-100", "VIP-192-0-2-1", "RIP-10-0-0-1")
    ]
    warned = [str(f) for f in made.findings if "becomes public" in str(f)]
    assert [text.split(" is ")[0] for text in warned] == [
        "f:1: warning: vip 10.0.0.100",
        "f:1: warning: rip 10.0.0.1",
    ]
    assert f"is private and becomes public in area {PUBLIC}; take its network" in warned[0]


def test_without_such_a_rule_nothing_is_warned_of() -> None:
    assert placed(PLATFORM).findings == []


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("10.0.0.1", True), ("172.16.0.1", True), ("172.32.0.1", False), ("192.168.0.1", True),
        ("100.64.0.1", True), ("fd00::1", True), ("192.0.2.1", False), ("2001:db8::1", False),
        ("::ffff:10.0.0.1", True), ("::ffff:192.0.2.1", False), ("10.0.0.0/7", True),
        ("::ffff:0:0/96", True), ("fc00::/6", True), ("11.0.0.0/8", False),
    ],
)  # fmt: skip
def test_what_is_private(text: str, private: bool) -> None:
    assert is_private(ip_network(text)) is private


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("10.0.0.1", True), ("10.0.0.1:443/tcp", True), ("[fd00::1]:443/tcp", True),
        ("node10.0.0.1", True), ("de10.0.0.1", True), ("10.0.0.1.example.net", True),
        ("fd00::", True), ("x fd00::1.", True), ("fd00::1:443", True), ("10.0.0.1-10.0.0.9", True),
        ("::ffff:10.0.0.1", True), ("192.0.2.1:443/tcp", False), ("web-10", False),
        ("[2001:db8::1]:443/tcp", False), ("110.0.0.1", False), ("1.10.0.0.1", True),
        ("443/tcp", False), ("fwmark:5", False), ("default/rack1", False), ("", False),
    ],
)  # fmt: skip
def test_private_addresses_within_a_text(text: str, private: bool) -> None:
    if text == "1.10.0.0.1":  # five numbers are no address
        private = False
    assert tells_private(text) is private


# --- lines ---


def lines_of(obj: Object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in obj.lines:
        found.setdefault(name, []).append(value)
    return found


def test_a_virtual_address_says_everything_inside_and_the_public_part_outside() -> None:
    inside = lines_of(by_id(PLATFORM, INSIDE)["VIP-192-0-2-1"])
    assert inside == {
        "ID": [f"VIP-192-0-2-1.{INSIDE}"],
        "Auth-Area": [INSIDE],
        "IP-Address": ["192.0.2.1"],
        "Host-Name": ["www"],
        "Service": ["443/tcp"],
        "Forwarding": ["DSR"],
        "Served-By": [f"RIP-10-0-0-1.{INSIDE}", f"RIP-198-51-100-7.{INSIDE}"],
        "Cluster": ["edge"],
        "Status": ["active"],
        "Source": ["s"],
    }
    outside = lines_of(by_id(PLATFORM, PUBLIC)["VIP-192-0-2-1"])
    assert outside["Served-By"] == [f"RIP-198-51-100-7.{PUBLIC}"]


def test_a_real_server_names_its_vips_and_services() -> None:
    found = lines_of(by_id(PLATFORM, INSIDE)["RIP-10-0-0-1"])
    assert found["Serves"] == [f"VIP-192-0-2-1.{INSIDE}"]
    assert found["Cluster"] == ["192.0.2.1:443/tcp"]
    assert found["Host-Name"] == ["web1"]


def test_storage_and_database_nodes_say_what_the_source_has() -> None:
    found = by_id(PLATFORM, INSIDE)
    storage, plain, db = (lines_of(found[name]) for name in ("SN-s1", "SN-s2", "DB-d1"))
    assert (storage["Drives"], storage["Capacity"]) == (["4"], ["29 TiB"])
    assert storage["Crush-Place"] == ["default/rack1"]
    assert "IP-Address" not in plain
    assert (db["Role"], db["Peer"], db["Writable"]) == (["master"], ["d2"], ["yes"])


def test_a_link_goes_to_an_area_that_the_same_people_are_answered_about() -> None:
    vips = {"name": "vips.net", "kinds": ["vip"], "answer-to": ["10.1.0.0/16"]}
    narrow = {"name": "rips.net", "kinds": ["rip"], "answer-to": ["10.1.2.0/24"]}
    wide = narrow | {"answer-to": ["10.0.0.0/8"]}
    for rips, linked in ((narrow, False), (wide, True)):
        (found,) = by_id([PLATFORM[0], PLATFORM[2]], "vips.net", area=[vips, rips]).values()
        assert (found.get("Served-By") == "RIP-10-0-0-1.rips.net") is linked


OWNERS = [
    {"networks": ["10.0.0.0/8"], "organization": "ORG-A", "abuse-contact": ["A-1", "A-2"]},
    {"networks": ["10.0.1.0/24", "192.0.2.0/24"], "organization": "ORG-B", "org-name": "B"},
]


def test_the_owner_of_the_longest_prefix() -> None:
    found = by_id(PLATFORM, INSIDE, owner=OWNERS)
    assert lines_of(found["RIP-10-0-0-1"])["Organization"] == ["ORG-A"]
    assert lines_of(found["RIP-10-0-0-1"])["Abuse-Contact"] == ["A-1", "A-2"]
    assert lines_of(found["SN-s1"])["Organization"] == ["ORG-B"]
    assert "Abuse-Contact" not in lines_of(found["SN-s1"])
    assert "Organization" not in lines_of(found["RIP-198-51-100-7"])
    assert "Organization" not in lines_of(found["SN-s2"])


def test_what_has_no_address_belongs_to_the_owner_of_all() -> None:
    rule = {"networks": ["0.0.0.0/0"], "organization": "ORG-ALL"}
    found = by_id(PLATFORM, INSIDE, owner=[*OWNERS, rule])
    assert found["SN-s2"].get("Organization") == "ORG-ALL"
    assert found["RIP-198-51-100-7"].get("Organization") == "ORG-ALL"


def test_what_a_rule_leaves_out_comes_from_the_network_around() -> None:
    around = (("Organization", "ORG-Z"), ("Tech-Contact", "T"), ("Abuse-Contact", "Z"))
    owners = Owners(table(owner=OWNERS).owner, lambda _where: around)
    lines = owners.of(ip_address("10.0.1.1"))
    assert lines == (
        ("Organization", "ORG-B"), ("Org-Name", "B"), ("Tech-Contact", "T"), ("Abuse-Contact", "Z"),
    )  # fmt: skip


# --- all classes ---


def test_every_object_of_every_kind_keeps_the_rules_of_its_class() -> None:
    areas = [{"name": INSIDE, "answer-to": ["10.0.0.0/8"], "kinds": ALL_KINDS}]
    facts = [
        *PLATFORM,
        host("h1", "10.0.3.1", "alias"),
        block("10.0.0.0/8", name="lan", role="r", site="s"),
        block("192.0.2.0/24"),
    ]
    made = placed(facts, table(area=areas, owner=OWNERS))
    definition = Area.of(table(area=areas).area[0]).definition()
    assert {one.class_name for one in objects(made, INSIDE)} == {
        "vip", "real-server", "storage-node", "database-node", "host", "network",
    }  # fmt: skip
    for one in objects(made, INSIDE):
        class_def = definition.schema.class_def(one.class_name)
        assert class_def is not None
        assert ObjectRules(class_def, Flavour.POSIX).violations(one.lines) == []
        assert list(unknown_attributes(one.lines, class_def)) == []


# --- IDs ---


def test_ids_are_the_same_whatever_the_order_of_the_facts() -> None:
    facts = [node("a.b", "10.0.0.1"), node("a-b", "10.0.0.2"), vip("10.0.0.3"), rip("10.0.0.3")]
    found = {frozenset((o.id, o.get("Host-Name")) for o in objects(placed(list(some)), INSIDE))
             for some in permutations(facts)}  # fmt: skip
    assert len(found) == 1
    ids = {name for name, _ in next(iter(found))}
    assert len(ids) == 4


# --- what everybody may see, as a property ---

PRIVATE_TEXTS = ("10.0.0.1", "10.9.8.7", "172.16.5.4", "192.168.1.1", "fd00::7", "::ffff:10.1.1.1")
PUBLIC_TEXTS = ("192.0.2.1", "198.51.100.7", "2001:db8::7")
addresses = st.sampled_from((*PRIVATE_TEXTS, *PUBLIC_TEXTS))
words = st.sampled_from(("web", "a.b", "db-1", *PRIVATE_TEXTS)) | st.builds(
    "{}{}".format, st.sampled_from(("x", "x.", "[")), addresses
)
texts = st.none() | words | st.builds("{}:443/tcp".format, addresses)


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    kind = draw(st.sampled_from(ALL_KINDS))
    name, where = draw(st.none() | words), draw(addresses)
    if kind == "network":
        is_v4 = ":" not in where
        return block(f"{where}/{draw(st.sampled_from((8, 24, 32)))}" if is_v4 else f"{where}/64")
    if kind == "host":
        return host(name, where, *draw(st.lists(words, max_size=2)))
    fields: dict[str, Any] = {"belongs_to": draw(texts), "port": draw(st.none() | st.just(443))}
    if kind in ("vip", "rip"):
        balanced = vip if kind == "vip" else rip
        return balanced(where, name=name, pool=draw(texts), **fields)
    text = draw(st.none() | st.just(where)) if name else where
    if kind == "dbnode":
        return database(name, text, peer=draw(texts), role=draw(texts), **fields)
    return node(name, text, crush_place=draw(texts), **fields)


def holds_private(text: str) -> bool:
    """Whether any piece of a text is a private address; written apart from the code's own."""
    pieces = {text[a:b] for a in range(len(text)) for b in range(a + 3, min(len(text), a + 40) + 1)}
    for piece in pieces:
        try:
            one = ip_address(piece)
        except ValueError:
            continue
        mapped = getattr(one, "ipv4_mapped", None) or one
        in_v4 = piece.count(".") == 3
        begins = not re.search(rf"[0-9.]{re.escape(piece)}|{re.escape(piece)}[0-9]", text)
        if (not in_v4 or begins) and any(
            mapped in net for net in PRIVATE if net.version == mapped.version
        ):
            return True
    return False


@given(st.lists(facts(), max_size=8), st.booleans())
def test_no_line_for_everybody_holds_a_private_address(some: list[Fact], both: bool) -> None:
    areas: list[dict[str, Any]] = [{"name": PUBLIC, "kinds": ALL_KINDS}]
    if both:
        areas.append({"name": INSIDE, "answer-to": ["10.0.0.0/8"], "kinds": ALL_KINDS})
    inventory = table(area=areas)
    made = place(gather(told(some)), inventory, Owners(()))
    ids = [one.id for area in made.wanted for one in objects(made, area)]
    assert len(ids) == len(set(ids))
    for obj in objects(made, PUBLIC):
        for name, value in obj.lines:
            spelt = value.replace("-", ".") if name == "ID" else value
            assert not holds_private(spelt), (name, value)
            assert INSIDE not in value


@given(st.lists(facts(), max_size=8))
def test_an_area_shows_no_address_that_its_rule_does_not_name(some: list[Fact]) -> None:
    area = {"name": PUBLIC, "kinds": ALL_KINDS, "networks": ["10.9.0.0/16", "192.0.2.0/24"]}
    made = place(gather(told(some)), table(area=[area]), Owners(()))
    for obj in objects(made, PUBLIC):
        for text in obj.values("IP-Address"):
            assert text.startswith(("10.9.", "192.0.2."))


def test_a_private_network_that_becomes_public_is_told() -> None:
    area = {"name": PUBLIC, "kinds": ["network"], "networks": ["10.0.0.0/8"]}
    (finding,) = placed([block("10.1.0.0/16")], table(area=[area])).findings
    assert "network 10.1.0.0/16 is private and becomes public" in str(finding)


def test_text_of_a_source_is_tidied() -> None:
    found = by_id([vip("192.0.2.1", name="a\nID: x\u2028\ud800", belongs_to=" \t ")], PUBLIC)
    (obj,) = found.values()
    assert obj.get("Host-Name") == "a ID: x"
    assert obj.get("Cluster") is None
