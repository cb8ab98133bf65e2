"""Records of address managers: what is told from which fields."""

import json
from typing import Any

import pytest

from rwhoisd.inventory.facts import Block, Vip
from rwhoisd.inventory.scan import Reading
from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.sources.records import (
    Fields,
    guess_separator,
    is_json,
    is_sheet,
    row_of,
    sheet_of,
    squash,
)
from tests.property.inventory_kit import read_text

Rows = list[dict[str, Any]]


def rows_of(reading: Reading) -> Rows:
    return [fact.as_row() for fact in reading.facts]


def is_whole_source(reading: Reading) -> bool:
    """Whether nothing says that a part is missing."""
    partial = [found for found in reading.findings if "not the whole source" in found.message]
    return reading.whole and not partial


def netbox(*records: Any) -> Rows:
    return rows_of(read_text("netbox", json.dumps(records)))


def ipam(*records: Any) -> Rows:
    return rows_of(read_text("ipam-other", json.dumps(records)))


def host(address: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "host", "address": address, **fields}


def network(prefix: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "network", "prefix": prefix, **fields}


# --- NetBox ---


@pytest.mark.parametrize(
    "role",
    [
        "vip", "VIP", 40, {"value": "vip", "label": "VIP"}, {"value": 40, "label": "VIP"}, "vrrp",
        41, "hsrp", "glbp", "carp", "anycast", 30, "loopback", {"name": "VIP"},
    ],
    ids=str,
)  # fmt: skip
def test_roles_that_no_one_machine_has_are_virtual(role: Any) -> None:
    assert netbox({"id": 1, "address": "192.0.2.1/24", "role": role})[0]["kind"] == "vip"


@pytest.mark.parametrize("role", [None, "", "secondary", 20, {"value": "secondary"}], ids=str)
def test_other_roles_are_those_of_a_host(role: Any) -> None:
    assert netbox({"id": 1, "address": "192.0.2.1/24", "role": role}) == [host("192.0.2.1")]


def test_a_loopback_is_told_apart() -> None:
    reading = read_text("netbox", '[{"id": 1, "address": "192.0.2.1/32", "role": "loopback"}]')
    (fact,) = reading.facts
    assert isinstance(fact, Vip)
    assert fact.on_loopback


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (0, "container"), (1, "active"), ("active", "active"),
        ({"value": 3, "label": "Deprecated"}, "Deprecated"),
    ],
    ids=str,
)  # fmt: skip
def test_a_status_is_told_in_words(status: Any, told: str) -> None:
    record = {"id": 1, "prefix": "192.0.2.0/24", "status": status, "site": {"name": "fra1"}}
    reading = read_text("netbox", json.dumps([record]))
    (fact,) = reading.facts
    assert isinstance(fact, Block)
    assert (fact.status, fact.site) == (told, "fra1")


@pytest.mark.parametrize(
    ("fields", "ports"),
    [
        ({"ports": [80, 443], "protocol": {"value": "tcp"}}, [(80, "tcp"), (443, "tcp")]),
        ({"ports": "80,443", "protocol": "TCP"}, [(80, "tcp"), (443, "tcp")]),
        ({"ports": "8000-8002", "protocol": "udp"}, [(8000, "udp"), (8001, "udp"), (8002, "udp")]),
        ({"port": 53, "protocol": 17}, [(53, "udp")]),
        ({"port": 53, "protocol": {"value": 6, "label": "TCP"}}, [(53, "tcp")]),
        ({"ports": [0, 70000, 22], "protocol": "sctp"}, [(22, "sctp")]),
    ],
    ids=str,
)
def test_ports_of_a_service_in_all_versions(
    fields: dict[str, Any], ports: list[tuple[int, str]]
) -> None:
    service = {"id": 1, "name": "s", "device": {"name": "d"}, **fields}
    found = netbox({**service, "ipaddresses": [{"id": 1, "address": "192.0.2.1/24"}]})
    assert [(row["port"], row["protocol"]) for row in found] == ports
    assert {row["name"] for row in found} == {"d"}


def test_ranges_of_ports_are_bounded() -> None:
    service = {"id": 1, "name": "s", "device": {"name": "d"}, "protocol": "tcp"}
    found = netbox({**service, "ports": "1-65535 1-65535", "ipaddresses": ["192.0.2.1"]})
    assert len(found) == 1024


def test_a_service_of_a_group_is_one_of_its_addresses() -> None:
    group = {
        "id": 5, "name": "front", "protocol": "vrrp3", "group_id": 10, "auth_key": "x",
        "ip_addresses": [{"id": 3, "address": "192.0.2.80/32"}],
    }  # fmt: skip
    service = {
        "id": 1, "name": "s", "protocol": "tcp", "ports": [80], "ipaddresses": [],
        "parent_object_type": "ipam.fhrpgroup", "parent_object_id": 5,
    }  # fmt: skip
    assert netbox(group, service)[0] == {
        "kind": "vip", "address": "192.0.2.80", "port": 80, "protocol": "tcp",
        "belongs_to": "front",
    }  # fmt: skip


def test_a_device_repeats_its_address_only_when_no_record_has_it() -> None:
    device = {"id": 1, "name": "d", "primary_ip4": {"id": 2, "address": "192.0.2.1/24"}}
    assert netbox(device) == [host("192.0.2.1", name="d")]
    address = {"id": 2, "address": "192.0.2.1/24", "dns_name": "d.example.net"}
    assert netbox(device, address) == [host("192.0.2.1", name="d.example.net")]


def test_what_is_free_is_no_allocation() -> None:
    free = {"family": 4, "address": "192.0.2.1/24", "vrf": None}
    assert netbox(free, {"family": 4, "prefix": "192.0.2.0/25", "vrf": None}) == []
    assert netbox({**free, "id": 1}) == [host("192.0.2.1")]


@pytest.mark.parametrize(
    ("pages", "is_whole"),
    [
        ([{"count": 1, "next": None, "results": [1]}], True),
        ([{"count": 2, "next": "x", "results": [1]}], False),
        ([{"count": 2, "next": None, "previous": "x", "results": [2]}], False),
        ([{"count": 2, "next": "x", "results": [1]}, {"count": 2, "results": [2]}], True),
        ([{"count": 3, "next": "x", "results": [1]}, {"count": 3, "results": [2]}], False),
        ([{"count": 2, "next": "x", "results": [1]}, {"count": 2, "results": [1]}], False),
        ([{"count": 5, "next": "x", "results": []}], False),
    ],
    ids=str,
)
def test_pages_are_the_whole_when_all_are_there(pages: Rows, is_whole: bool) -> None:
    for page in pages:
        page["results"] = [{"id": n, "address": f"192.0.2.{n}/24"} for n in page["results"]]
    assert is_whole_source(read_text("netbox", *map(json.dumps, pages))) is is_whole


def test_a_page_of_other_records_does_not_matter() -> None:
    page = {"count": 9, "next": "x", "results": [{"id": 1, "vid": 100, "name": "Data"}]}
    assert is_whole_source(read_text("netbox", json.dumps(page)))


@pytest.mark.parametrize(
    ("header", "line", "found"),
    [
        ("prefix,status,location", "192.0.2.0/24,Active,Oslo", network("192.0.2.0/24")),
        ("ID,Prefix (Flat),Status", "1,192.0.2.0/24,Active", network("192.0.2.0/24")),
        ("prefix,rir", "10.0.0.0/8,RFC1918", network("10.0.0.0/8")),
        ("address,status,device", "192.0.2.1/24,active,d", host("192.0.2.1", name="d")),
        ("IP Address,Status,Parent", "192.0.2.1/24,Active,d", host("192.0.2.1", name="d")),
        ("host,mask_length,status", "192.0.2.1,24,Active", host("192.0.2.1")),
        ("Start address,End address", "192.0.2.3/24,192.0.2.9/24",
         {"kind": "network", "range": "192.0.2.3-192.0.2.9"}),
        ("name,device,protocol,ports,ipaddresses", "s,d,tcp,22,192.0.2.1/24",
         host("192.0.2.1", name="d", port=22, protocol="tcp")),
        ("name,IPv4 Address,IPv6 Address", "d,192.0.2.1/24,", host("192.0.2.1", name="d")),
    ],
)  # fmt: skip
def test_the_header_decides_what_a_sheet_is(header: str, line: str, found: dict[str, Any]) -> None:
    for separator in ",;\t":
        text = f"{header}\n{line}\n".replace(",", separator)
        assert rows_of(read_text("netbox", text)) == [found]


def test_lines_of_json_are_read_one_by_one() -> None:
    text = '{"id": 1, "address": "192.0.2.1/24"}\n\n{"id": 2, "address": "192.0.2.2/24"}\n'
    reading = read_text("netbox", text)
    assert rows_of(reading) == [host("192.0.2.1"), host("192.0.2.2")]
    assert [fact.place.line for fact in reading.facts] == [1, 3]


def test_a_torn_file_is_a_failure() -> None:
    assert not read_text("netbox", '[{"id": 1, "address": "192.0.2.1/24"}, {"id"').whole


# --- other address managers ---


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"subnet": "192.0.2.0", "mask": "24"}, [network("192.0.2.0/24")]),
        ({"subnet": "192.0.2.0", "mask": "255.255.255.0"}, [network("192.0.2.0/24")]),
        ({"subnet": "192.0.2.0", "mask": "/24"}, [network("192.0.2.0/24")]),
        ({"subnet": "3221225984", "mask": "24"}, [network("192.0.2.0/24")]),
        ({"cidr": "192.0.2.0/24"}, [network("192.0.2.0/24")]),
        ({"Subnet Address": "192.0.2.0", "CIDR": 24}, [network("192.0.2.0/24")]),
        ({"address": "192.0.2.0", "netmask": "255.255.255.0"}, [network("192.0.2.0/24")]),
        ({"address": "192.0.2.1", "netmask": "255.255.255.0"}, [host("192.0.2.1")]),
        ({"networkAddress": "2001:db8::", "prefixLength": 32}, [network("2001:db8::/32")]),
        ({"properties": "CIDR=192.0.2.0/24|name=x|"}, [network("192.0.2.0/24")]),
        ({"ip": "192.0.2.1", "tag": "Reserved"}, [host("192.0.2.1", disabled=True)]),
        ({"ip": "192.0.2.1", "available": "yes"}, []),
        ({"ip": "192.0.2.1", "status": "Available"}, []),
        ({"ip": "192.0.2.1", "role": "VIP", "name": "v"},
         [{"kind": "vip", "address": "192.0.2.1", "name": "v"}]),
        ({"hostname": "h", "ip_addr": "3221225985"}, [host("192.0.2.1", name="h")]),
        (
            {"start_ip": "192.0.2.0", "end_ip": "192.0.2.63"},
            [{"kind": "network", "range": "192.0.2.0-192.0.2.63"}],
        ),
        ({"ip": "fe80::1"}, []),
        ({"fqdn": "10.0.0.0/8"}, []),
        ({"comment": "192.0.2.1", "dns": ["192.0.2.53"]}, []),
    ],
    ids=str,
)  # fmt: skip
def test_a_record_is_what_its_fields_say(record: dict[str, Any], found: Rows) -> None:
    assert ipam(record) == found


def test_a_name_is_that_of_the_nearest_machine_only() -> None:
    text = """
- name: Play
  tasks:
    - name: Task
      nios_host_record: {ipv4addrs: [{ipv4addr: 192.0.2.1}], name: web1}
    - name: Other task
      nios_network: {network: 192.0.2.0/24}
    - name: Clean up
      nios_host_record: {ipv4addrs: [{ipv4addr: 192.0.2.9}], state: absent}
    - name: Nameless
      nios_host_record: {ipv4addrs: [{ipv4addr: 192.0.2.2}]}
    - name: Net
      subnet: 192.0.3.0/24
      addresses: [{ip: 192.0.3.1}]
"""
    assert rows_of(read_text("ipam-other", text)) == [
        host("192.0.2.1", name="web1"), network("192.0.2.0/24"), host("192.0.2.2"),
        network("192.0.3.0/24", name="Net"), host("192.0.3.1"),
    ]  # fmt: skip


def test_what_a_task_takes_away_is_no_allocation() -> None:
    text = """
- netbox_prefix: {data: {prefix: 192.0.2.0/24}, state: present}
- netbox_prefix: {data: {prefix: 192.0.3.0/24}, state: absent}
"""
    assert rows_of(read_text("netbox", text)) == [network("192.0.2.0/24")]


def test_an_address_outside_its_network_is_not_moved() -> None:
    record = {"ip_address": "192.0.2.200", "network": "192.0.2.0/26", "lease_state": "FREE"}
    reading = read_text("ipam-other", json.dumps([record]))
    assert rows_of(reading) == [host("192.0.2.200"), network("192.0.2.0/26")]
    assert len(reading.findings) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"next_page_id": "1", "result": [{"cidr": "192.0.2.0/24"}]}',
        '{"total_count": 3, "limit": 1, "subnets": [{"cidr": "192.0.2.0/24"}]}',
        '{"count": 3, "next": "x", "results": [{"cidr": "192.0.2.0/24"}]}',
    ],
)
def test_a_page_is_not_the_whole(text: str) -> None:
    reading = read_text("ipam-other", text)
    assert rows_of(reading) == [network("192.0.2.0/24")]
    assert not is_whole_source(reading)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.0/24,front\n192.0.2.1,web1\n",
         [network("192.0.2.0/24"), host("192.0.2.1", name="web1")]),
        ("192.0.2.0;255.255.255.0;front\n", [network("192.0.2.0/24")]),
        ("Netz;Maske\n192.0.2.0/24;24\n", []),
        ("name,network\nfront,192.0.2.0/24\n", [network("192.0.2.0/24", name="front")]),
    ],
)  # fmt: skip
def test_sheets_with_and_without_a_header(text: str, found: Rows) -> None:
    assert rows_of(read_text("ipam-other", text)) == found


# --- what both share ---


@pytest.mark.parametrize(
    ("text", "separator"),
    [("a,b\n", ","), ("a;b,c;d\n", ";"), ("a\tb\n", "\t"), ("a|b|c\n", "|"), ("a\n", ","),
     ("# a;b;c\ntitle\na,b\n", ",")],
)  # fmt: skip
def test_the_separator_is_guessed(text: str, separator: str) -> None:
    assert guess_separator(TextFile("t", text)) == separator


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("t", "[]", "json"), ("t", " {}", "json"), ("t", "---\na: 1\n", "yaml"),
        ("t", "- a: 1\n", "yaml"), ("t", "a:\n", "yaml"), ("t", "# c\na: 1\n", "yaml"),
        ("t.yml", "a,b", "yaml"), ("t.csv", "a: b", "sheet"), ("t", "a,b\n", "sheet"),
    ],
)  # fmt: skip
def test_the_text_decides_what_a_file_is(name: str, text: str, kind: str) -> None:
    file = TextFile(name, text)
    found = "json" if is_json(file) else "sheet" if is_sheet(file) else "yaml"
    assert found == kind


def test_cells_know_the_line_that_they_begin_on() -> None:
    text = 'a,b\n"one\ntwo",2\n\n# x\n3,4\n'
    lines = list(sheet_of(TextFile("t", text), Report()))
    assert [(line.number, line.cells) for line in lines] == [
        (1, ("a", "b")), (2, ("one\ntwo", "2")), (6, ("3", "4")),
    ]  # fmt: skip


def test_a_cell_without_an_end_makes_the_sheet_partial() -> None:
    report = Report()
    list(sheet_of(TextFile("t", 'a,b\n"' + "x" * 200_000), report))
    assert len(report.incomplete) == 1


def test_names_of_fields_are_folded() -> None:
    (header, line) = sheet_of(TextFile("t", "IP Address*,ip-address,ipAddress\n,,3\n"), Report())
    fields = Fields(row_of(header.cells, line))
    assert squash("IP Address*") == "ipaddress"
    assert fields.text("ipaddress") == "3"
