"""Pacemaker: agents, nodes, groups, templates and bundles, in XML and in crm shell text."""

import pytest

from tests.property.inventory_kit import read_text, rows_of


def rows(text: str) -> list[str]:
    return rows_of(read_text("pacemaker", text))


def cib(resources: str = "", nodes: str = "", rest: str = "") -> str:
    return (
        f"<?xml version='1.0'?>\n<cib><configuration><nodes>{nodes}</nodes>"
        f"<resources>{resources}</resources></configuration>{rest}</cib>"
    )


def primitive(name: str, kind: str = "IPaddr2", *, more: str = "", **params: str) -> str:
    pairs = "".join(f'<nvpair name="{key}" value="{value}"/>' for key, value in params.items())
    return (
        f'<primitive id="{name}" class="ocf" provider="heartbeat" type="{kind}">'
        f"<instance_attributes>{pairs}</instance_attributes>{more}</primitive>"
    )


STOPPED = '<meta_attributes><nvpair name="target-role" value="Stopped"/></meta_attributes>'


@pytest.mark.parametrize(
    ("kind", "key", "found"),
    [
        ("IPaddr", "ip", True),
        ("IPaddr2", "ip", True),
        ("ns_IPaddr2", "ip", True),
        ("IPaddr2_vlan", "ip", True),
        ("IPv6addr", "ipv6addr", True),
        ("aws-vpc-move-ip", "ip", True),
        ("gcp-vpc-move-vip", "alias_ip", True),
        ("awseip", "elastic_ip", True),
        ("IPaddr2", "server", False),
        ("IPsrcaddr", "ipaddress", False),
        ("fence_ipmilan", "ip", False),
        ("fence_ipmilan", "ipaddr", False),
        ("nfsserver", "nfs_ip", False),
        ("remote", "server", False),
        ("portblock", "ip", False),
    ],
)
def test_agents_that_move_an_address(kind: str, key: str, found: bool) -> None:
    expected = ["vip 192.0.2.1 = v"] if found else []
    assert rows(cib(primitive("v", kind, **{key: "192.0.2.1"}))) == expected
    assert rows(f"primitive v ocf:heartbeat:{kind} params {key}=192.0.2.1\n") == expected


@pytest.mark.parametrize("value", ["192.0.2.1", "192.0.2.1/24", "192.0.2.1/24/eth0/192.0.2.255"])
def test_agents_of_heartbeat_take_the_address_first(value: str) -> None:
    found = cib(primitive("v", "IPaddr", **{"1": value, "2": "192.0.2.9"}))
    assert rows(found) == ["vip 192.0.2.1 = v"]
    assert rows(f"primitive v heartbeat:IPaddr params 1={value}\n") == ["vip 192.0.2.1 = v"]
    assert rows(cib(primitive("m", "MailTo", **{"1": value}))) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(cib(f'<group id="g">{primitive("v", ip="192.0.2.1/24")}</group>'), id="xml"),
        pytest.param(
            cib(f'<clone id="c"><group id="g">{primitive("v", ip="192.0.2.1")}</group></clone>'),
            id="xml, within a clone",
        ),
        pytest.param(
            f'<group id="g">{primitive("v", ip="192.0.2.1")}</group>', id="a part of the XML"
        ),
        pytest.param(
            cib(f'<group id="g">{primitive("v", ip="192.0.2.1")}</group>').replace(
                "<cib>", '<cib xmlns="urn:x">'
            ),
            id="xml with a name space",
        ),
        pytest.param("primitive v IPaddr2 params ip=192.0.2.1\ngroup g x v meta a=b\n", id="crm"),
        pytest.param("group g x v\nprimitive v IPaddr2 \\\n  ip='192.0.2.1' \\\n op x", id="bare"),
        pytest.param(
            'crm configure primitive v ocf:heartbeat:IPaddr2 params ip="192.0.2.1"\n'
            "sudo crm -w configure group g v\ncrm node standby a\ncrm(live)resource# group h v\n",
            id="commands of a shell",
        ),
        pytest.param(
            "crm(live)configure# primitive v IPaddr params ip=192.0.2.1\n"
            "crm(live/a)# configure group g v\n",
            id="behind a prompt",
        ),
    ],
)
def test_a_vip_belongs_to_its_group(text: str) -> None:
    assert rows(text) == ["vip 192.0.2.1 = v @ g"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(cib(primitive("v", ip="192.0.2.1", more=STOPPED)), id="xml"),
        pytest.param(
            cib(f'<clone id="c">{STOPPED}{primitive("v", ip="192.0.2.1")}</clone>'), id="its clone"
        ),
        pytest.param("primitive v IPaddr2 params ip=192.0.2.1 meta target-role=stopped", id="crm"),
    ],
)
def test_a_stopped_address_is_still_allocated(text: str) -> None:
    assert rows(text) == ["vip 192.0.2.1 = v (off)"]


def test_a_stopped_group_stops_its_members() -> None:
    text = "primitive v IPaddr2 params ip=192.0.2.1\ngroup g v meta target-role=Stopped\n"
    assert rows(text) == ["vip 192.0.2.1 = v @ g (off)"]


def test_each_rule_may_have_its_own_address() -> None:
    two = primitive("v", ip="192.0.2.1").replace(
        "</primitive>",
        '<instance_attributes><rule><expression attribute="#uname" value="a"/></rule>'
        '<nvpair name="ip" value="192.0.2.2"/></instance_attributes></primitive>',
    )
    expected = ["vip 192.0.2.1 = v", "vip 192.0.2.2 = v"]
    assert rows(cib(two)) == expected
    text = "primitive v IPaddr2 params 2: rule #uname eq a ip=192.0.2.1 params 1: ip=192.0.2.2"
    assert rows(text) == expected


def test_an_address_that_two_agents_hold_is_told_once() -> None:
    both = primitive("v", ip="192.0.2.1") + primitive(
        "w", "gcp-vpc-move-vip", alias_ip="192.0.2.1/32"
    )
    assert rows(cib(both)) == ["vip 192.0.2.1 = v"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            cib(
                '<template id="t" type="IPaddr2"><instance_attributes>'
                '<nvpair name="ip" value="192.0.2.1"/></instance_attributes></template>'
                '<primitive id="v" template="t"/>'
            ),
            id="xml",
        ),
        pytest.param("rsc_template t IPaddr2 params ip=192.0.2.1\nprimitive v @t\n", id="crm"),
        pytest.param(
            cib(
                '<primitive id="o" type="Dummy"><instance_attributes id="s">'
                '<nvpair id="n" name="ip" value="192.0.2.1"/></instance_attributes></primitive>'
                '<primitive id="v" type="IPaddr2"><instance_attributes id-ref="s"/></primitive>'
            ),
            id="a set of another",
        ),
        pytest.param(
            cib(
                '<primitive id="o" type="Dummy"><instance_attributes>'
                '<nvpair id="n" name="ip" value="192.0.2.1"/></instance_attributes></primitive>'
                '<primitive id="v" type="IPaddr2"><instance_attributes>'
                '<nvpair id-ref="n"/></instance_attributes></primitive>'
            ),
            id="a value of another",
        ),
    ],
)
def test_what_a_resource_takes_from_elsewhere(text: str) -> None:
    assert rows(text) == ["vip 192.0.2.1 = v"]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("node a\nnode 2: b\nnode $id=3 c:normal attributes standby=on\n", ["a", "b", "c"]),
        ("node a:remote\nnode b\n", ["b"]),
        ("node a:remote\nprimitive a ocf:pacemaker:remote params server=10.0.0.1\n", ["a"]),
        ('<node uname="a" id="1"/><node uname="b" type="member"/>', ["a", "b"]),
        ('<node uname="a" type="remote"/><node uname="b" type="normal"/>', ["b"]),
    ],
)
def test_nodes_are_hosts_and_containers_are_not(nodes: str, expected: list[str]) -> None:
    text = cib(nodes=nodes) if nodes.startswith("<") else nodes
    assert rows(text) == [f"host = {name}" for name in expected]


@pytest.mark.parametrize(
    ("counts", "network", "found"),
    [
        ('replicas="2"', 'ip-range-start="192.0.2.1"', ["192.0.2.1", "192.0.2.2"]),
        ('promoted-max="2"', 'ip-range-start="192.0.2.1"', ["192.0.2.1", "192.0.2.2"]),
        ("", 'ip-range-start="192.0.2.1"', ["192.0.2.1"]),
        ('replicas="9"', 'ip-range-start="255.255.255.253"', []),
        ('replicas="2"', 'control-port="9999"', []),
    ],
)
def test_each_container_of_a_bundle_has_an_address(
    counts: str, network: str, found: list[str]
) -> None:
    text = f'<bundle id="b"><docker {counts}/><network {network}/></bundle>'
    expected = [f"vip {where} = b-ip-{where} @ b" for where in found]
    assert [row for row in rows(cib(text)) if "255." not in row] == expected
    plain = f"bundle b docker {counts} network {network}"
    assert [row for row in rows(plain) if "255." not in row] == expected


@pytest.mark.parametrize("above", ["status", "diff-removed"])
def test_resources_elsewhere_are_not_of_now(above: str) -> None:
    old = f"<{above}><resources>{primitive('o', ip='192.0.2.9')}</resources></{above}>"
    assert rows(cib(primitive("v", ip="192.0.2.1"), rest=old)) == ["vip 192.0.2.1 = v"]


def test_a_torn_file_is_read_as_far_as_it_goes() -> None:
    text = cib(primitive("v", ip="192.0.2.1") + primitive("w", ip="192.0.2.2"))
    reading = read_text("pacemaker", text[: text.index('id="w"')])
    assert rows_of(reading) == ["vip 192.0.2.1 = v"]
    assert any("not the whole source" in found.message for found in reading.findings)


def test_what_is_no_xml_is_a_failure() -> None:
    reading = read_text("pacemaker", "<")
    assert reading.facts == []
    assert reading.failures


@pytest.mark.parametrize("value", ["$VIP", "<vip>", "192.0.2.XXX", "10.0.0.999"])
def test_what_is_not_filled_in_is_a_warning(value: str) -> None:
    reading = read_text("pacemaker", f"# x\nprimitive v IPaddr2 params ip={value}\n")
    assert reading.facts == []
    assert [found.line for found in reading.findings] == [2]


def test_a_bundle_without_a_good_address_is_a_warning() -> None:
    reading = read_text("pacemaker", "bundle b docker replicas=2 network ip-range-start=$FIRST\n")
    assert reading.facts == []
    assert [found.line for found in reading.findings] == [1]
