"""Ansible inventories: grammar, groups, addresses, variables."""

from pathlib import Path

import pytest

from rwhoisd.inventory.facts import DatabaseNode, Host, Kind, StorageNode, Vip
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import find_source
from rwhoisd.inventory.sources.ansible_groups import nearest, role_of, roles, told_by
from rwhoisd.inventory.sources.ansible_model import expanded
from tests.property.inventory_kit import read_text

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "ansible"


@pytest.mark.parametrize(
    ("group", "role"),
    [
        pytest.param(group, role, id=group)
        for role, groups in {
            Kind.STORAGE_NODE: (
                "osds", "ceph_osd_hosts", "cluster_ceph_osd", "ceph-osd", "gluster", "glusterfs",
                "gluster_servers", "minio", "minio_single_node", "swift_hosts", "storage_hosts",
                "storagenodes", "nfs_server", "CephStorage", "cephOSDs", "swift-object-server",
            ),
            Kind.DBNODE: (
                "mysql", "mariadb", "galera_cluster", "db_servers", "databases", "pg-test",
                "postgres_cluster", "pgsql", "MongoDB", "patroni_hosts", "db",
            ),
            None: (
                "mons", "mgrs", "mdss", "rgws", "clients", "nfss", "ceph_nfs_hosts", "minio_proxy",
                "swift-proxy_hosts", "gluster_clients", "storage-infra_hosts", "haproxy", "web",
                "monitoring", "ceph_mon_hosts", "postgres_exporter", "etcd", "pgbouncer", "network",
            ),
        }.items()
        for group in groups
    ],
)  # fmt: skip
def test_groups_say_by_their_names_what_they_are(group: str, role: Kind | None) -> None:
    assert role_of(group) is role


def test_a_group_of_the_whole_cluster_gives_way_to_its_parts() -> None:
    assert roles(["ceph", "osds", "mons"], ["ceph"], {}) == {"osds": Kind.STORAGE_NODE}
    assert roles(["ceph"], ["ceph"], {}) == {"ceph": Kind.STORAGE_NODE}
    kolla = roles(["swift", "swift-object-server", "storage"], ["storage"], {})
    assert "swift" not in kolla
    assert roles(["glusterfs", "glusterfs_more"], ["glusterfs"], {}).keys() == {
        "glusterfs",
        "glusterfs_more",
    }
    assert roles(["orders"], [], {"orders": Kind.DBNODE}) == {"orders": Kind.DBNODE}


def test_membership_is_transitive_and_loops_end() -> None:
    special = {"storage": Kind.STORAGE_NODE, "osds": Kind.STORAGE_NODE}
    children = {"storage": ["rack", "mons"], "rack": ["row"], "row": ["storage"], "osds": ["mons"]}
    found = nearest(special, Kind.STORAGE_NODE, children)
    assert found == {
        "storage": "storage",
        "osds": "osds",
        "rack": "storage",
        "row": "storage",
        "mons": "osds",  # whoever is below a group of OSDs has some
    }


def test_variables_tell_what_a_group_is() -> None:
    assert told_by(["x", "gluster_infra_volume_groups"]) is Kind.STORAGE_NODE
    assert told_by(["ansible_host"]) is None


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("n[1:3]", ["n1", "n2", "n3"]),
        ("n[01:10:4].example", ["n01.example", "n05.example", "n09.example"]),
        ("db[a:c]", ["dba", "dbb", "dbc"]),
        ("r[1:2]n[1:2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("10.0.0.[9:10]", ["10.0.0.9", "10.0.0.10"]),
        ("n[1:5000]", []),
        ("n[0:99999999999999]", []),
        ("n[3:1]", []),
        ("n[1:9:0]", [f"n{number}" for number in range(1, 10)]),
        ("n[a:1]", []),
    ],
)
def test_ranges_are_expanded_within_bounds(pattern: str, names: list[str]) -> None:
    assert list(expanded(pattern)) == names


@pytest.mark.parametrize(
    ("line", "address", "name"),
    [
        ("a ansible_host=10.0.0.1 ip=10.0.0.2", "10.0.0.1", "a"),
        ("a ansible_host=alias ip=10.0.0.2", "10.0.0.2", "a"),
        ("a ansible_ssh_host=10.0.0.3", "10.0.0.3", "a"),
        ("10.0.0.4 ansible_host=alias ip=10.9.9.9", "10.0.0.4", None),
        ("10.0.0.4 nodename=store4", "10.0.0.4", "store4"),
        ("a:2222 access_ip=10.0.0.5", "10.0.0.5", "a"),
        ("2001:db8::5", "2001:db8::5", None),
        ("[2001:db8::5]:2222", "2001:db8::5", None),
        ("a eth1_ip=10.0.0.6 bmc_ip=10.9.9.9", "10.0.0.6", "a"),
        ("a gateway_ip=10.9.9.9 dns_ip=10.9.9.9", None, "a"),
        ("a ansible_host=127.0.0.1 ip=10.0.0.7", "10.0.0.7", "a"),
        ("a ip='10.0.0.8' note=\"it's odd", "10.0.0.8", "a"),
    ],
)
def test_an_address_is_found_where_it_may_stand(
    line: str, address: str | None, name: str | None
) -> None:
    (fact,) = read_text("ansible", f"[web]\n{line}\n").facts
    assert (None if fact.where is None else str(fact.where), fact.name) == (address, name)


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "[x]\nlocalhost ansible_connection=local",
        "[x]\nhere ansible_connection=local",
        "[x]\nhere\n[x:vars]\nansible_connection=local",
        "[x]\nhere ansible_host=127.0.0.1",
        "[x]\nkey = value\n= 1\n",
        "[x]\n{{ template }}\n${name}\n",
        "plugin: aws_ec2\nregions: [x]\n",
        "- hosts: all\n  roles: [x]\n",
        "$ANSIBLE_VAULT;1.1;AES256\n6161\n",
        "",
    ],
)
def test_what_is_no_machine_gives_nothing(text: str) -> None:
    assert read_text("ansible", text).facts == []


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        ("internal_lb_vip_address: 10.0.0.1", ["10.0.0.1"]),
        ("external_lb_vip_address: cloud.example.net", ["cloud.example.net"]),
        ("kolla_internal_vip_address: '10.0.0.1'", ["10.0.0.1"]),
        ("virtual_ips: [ 10.0.0.1, 10.0.0.2 ]", ["10.0.0.1", "10.0.0.2"]),
        ("haproxy_keepalived_external_vip_cidr: 10.0.0.1/32", ["10.0.0.1"]),
        ("keepalived_floating_ip: 10.0.0.1", ["10.0.0.1"]),
        ("vips: { inside: 10.0.0.1, outside: { ip: 10.0.0.2, netmask: 255.255.0.0 } }",
         ["10.0.0.1", "10.0.0.2"]),
        ("vip: 10.0.0.1/24 brd 10.0.0.255 dev eth0", ["10.0.0.1"]),
        ("vip: '[2001:db8::1]:443'", ["2001:db8::1"]),
        ("vip: { 10.0.0.1: }", ["10.0.0.1"]),
        ("vip_network: 10.0.0.0/24", []),
        ("vip: 10.0.0.0/24", []),
        ("vip_gateway: 10.0.0.254", []),
        ("keepalived_unicast_peers: [ 10.0.0.8 ]", []),
        ("keepalived_master_ip: 10.0.0.8", []),
        ("keepalived_web01: 10.0.0.8", []),
        ("keepalived_vip_password: 10.0.0.8", []),
        ("vip_name: something", []),
        ("vip: none", []),
        ("smtp_server: 10.0.0.8", []),
    ],
)  # fmt: skip
def test_variables_with_a_virtual_address(variable: str, found: list[str]) -> None:
    facts = read_text("ansible", f"all:\n  vars:\n    {variable}\n  hosts:\n").facts
    assert [str(fact.where or fact.name) for fact in facts] == found
    assert all(isinstance(fact, Vip) for fact in facts)


def test_a_virtual_address_is_reported_once() -> None:
    text = "[a]\nx vip=10.0.0.9\ny vip=10.0.0.9\n[b]\nz vip=10.0.0.9:443\n"
    vips = [fact for fact in read_text("ansible", text).facts if isinstance(fact, Vip)]
    assert [(vip.port, vip.belongs_to) for vip in vips] == [(None, "a"), (443, "b")]


def test_an_inventory_script_prints_json() -> None:
    text = """{"_meta": {"hostvars": {"s1": {"ansible_host": "10.0.0.1"}}},
        "osds": {"hosts": ["s1", "s2"], "vars": {"vip": "10.0.0.9"}},
        "everything": {"children": ["osds"]}, "web": ["w1"]}"""
    rows = [fact.as_row() for fact in read_text("ansible", text).facts]
    assert rows == [
        {"kind": "vip", "address": "10.0.0.9", "belongs_to": "osds"},
        {"kind": "storage-node", "address": "10.0.0.1", "name": "s1", "belongs_to": "osds"},
        {"kind": "storage-node", "name": "s2", "belongs_to": "osds"},
        {"kind": "host", "name": "w1", "belongs_to": "web"},
    ]


def test_what_is_published_beside_the_address() -> None:
    reading = scan(find_source("ansible"), [FIXTURES / "platform.ini"])
    stores = {fact.name: fact for fact in reading.facts if isinstance(fact, StorageNode)}
    assert (stores["store01"].drives, stores["store02"].drives) == (2, 1)
    masters = [fact for fact in reading.facts if isinstance(fact, DatabaseNode)]
    assert [fact.role for fact in masters] == ["master", "slave"]
    hosts = {fact.name: fact for fact in reading.facts if isinstance(fact, Host)}
    assert hosts["store03"].aliases == ("st3-by-ssh",)


def test_variables_are_given_to_the_inventory_that_they_lie_beside() -> None:
    reading = scan(find_source("ansible"), [FIXTURES / "with-vars"])
    drives = [fact.drives for fact in reading.facts if isinstance(fact, StorageNode)]
    assert drives == [2, None]
    (node,) = [fact for fact in reading.facts if fact.name == "node1"]
    assert node.place.file.endswith("host_vars/node1.yml")


def test_a_file_that_is_torn_does_not_hide_the_others() -> None:
    reading = read_text("ansible", "[web]\nw ansible_host=10.0.0.1\n", '{"web": ')
    assert [str(fact.where) for fact in reading.facts] == ["10.0.0.1"]
    assert any("not the whole source" in str(found) for found in reading.findings)


def test_a_machine_with_two_addresses_has_both() -> None:
    """A configuration of OpenStack-Ansible repeats its machines, now and then with a slip."""
    text = (
        "pod1_hosts:\n  infra1: { ip: 10.0.1.10 }\n  infra2: { ip: 10.0.2.10 }\n"
        "storage_hosts:\n  infra1: { ip: 10.0.1.11 }\n  infra2: { ip: 10.0.2.10 }\n"
    )
    reading = read_text("ansible", text)
    rows = [fact.as_row() for fact in reading.facts if fact.name == "infra1"]
    assert rows == [
        {"kind": "storage-node", "address": "10.0.1.11", "name": "infra1",
         "belongs_to": "storage_hosts"},
        {"kind": "host", "address": "10.0.1.11", "name": "infra1"},
        {"kind": "host", "address": "10.0.1.10", "name": "infra1", "belongs_to": "pod1_hosts"},
    ]  # fmt: skip
    (found,) = [one for one in reading.findings if "another address" in one.message]
    assert (found.line, "infra1" in found.message) == (5, True)


def test_an_address_that_comes_back_is_told_once() -> None:
    lines = (
        "[a]\nm ansible_host=10.0.0.1\n[b]\nm ansible_host=10.0.0.2\n[c]\nm ansible_host=10.0.0.1\n"
    )
    facts = read_text("ansible", lines).facts
    assert [str(fact.where) for fact in facts] == ["10.0.0.1", "10.0.0.2"]


def test_a_machine_called_by_its_address_may_be_given_its_own() -> None:
    (fact,) = read_text("ansible", "[a]\n10.0.0.1\n[b]\n10.0.0.1 ansible_host=10.9.0.1\n").facts
    assert str(fact.where) == "10.9.0.1"


def test_services_in_containers_make_no_database_node_of_their_host() -> None:
    text = "database_hosts:\n  infra1: { ip: 10.0.1.10 }\n"
    rows = [fact.as_row() for fact in read_text("ansible", text).facts]
    assert rows == [
        {"kind": "host", "address": "10.0.1.10", "name": "infra1", "belongs_to": "database_hosts"}
    ]
