"""Manifests: the address of a Service by its order, pools by their kinds, broken documents."""

import pytest

from rwhoisd.inventory.source import Inputs, Report, TextFile, find_source
from tests.property.inventory_kit import read_text


def rows(text: str, pools: str = "") -> list[str]:
    """``ADDRESS-OR-NETWORK SERVICE name`` of each fact."""
    source = find_source("kubernetes")
    inputs = Inputs((TextFile("file", text),), settings={"pools": pools})
    return [
        " ".join(filter(None, (str(fact.where), fact.service, fact.name)))
        for fact in source.read(inputs, Report())
    ]


def service(spec: str = "", notes: str = "", status: str = "") -> str:
    return (
        f"kind: Service\nmetadata: {{name: web, annotations: {{{notes}}}}}\n"
        f"spec: {{type: LoadBalancer, ports: [{{port: 80}}]{spec}}}\n"
        f"status: {{loadBalancer: {{{status}}}}}\n"
    )


ASSIGNED = "ingress: [{ip: 192.0.2.1}, {hostname: a.example.net}]"
ASKED = ", loadBalancerIP: 192.0.2.2"
NOTED = (
    "metallb.universe.tf/loadBalancerIPs: '192.0.2.3, "
    "192.0.2.4', kube-vip.io/loadbalancerIPs: 192.0.2.5"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(service(ASKED, NOTED, ASSIGNED), ["192.0.2.1 80/tcp web"], id="assigned"),
        pytest.param(service(ASKED, NOTED), ["192.0.2.2 80/tcp web"], id="asked for"),
        pytest.param(
            service("", NOTED), ["192.0.2.3 80/tcp web", "192.0.2.4 80/tcp web"], id="noted"
        ),
        pytest.param(service(), [], id="no address"),
        pytest.param(
            service("", "lbipam.cilium.io/ips: 0.0.0.0x"), [], id="no address in the note"
        ),
        pytest.param(
            "kind: Service\nspec: {type: LoadBalancer, loadBalancerIP: 192.0.2.1}",
            ["192.0.2.1"],
            id="no ports",
        ),
        pytest.param(
            "kind: Service\nspec: {type: NodePort, loadBalancerIP: 192.0.2.1}",
            [],
            id="another type",
        ),
        pytest.param(
            "kind: List\nitems:\n- kind: ServiceList\n  items:\n  - "
            + service(ASKED).replace("\n", "\n    "),
            ["192.0.2.2 80/tcp web"],
            id="lists in lists",
        ),
        pytest.param(
            "kind: Service\nspec: {{ toYaml .x }}\n---\n" + service(ASKED),
            ["192.0.2.2 80/tcp web"],
            id="templates",
        ),
        pytest.param(
            "kind: AddressPool\nmetadata: {name: p}\nspec: {addresses: [192.0.2.0/30]}",
            ["192.0.2.0/30 p"],
            id="MetalLB before its pools",
        ),
        pytest.param(
            "kind: IPAddressPool\nspec: {addresses: "
            "[192.0.2.0-192.0.2.3, 192.0.2.7, '2001:db8::1-2001:db8::9']}",
            ["192.0.2.0-192.0.2.3", "192.0.2.7/32", "2001:db8::1-2001:db8::9"],
            id="a range stays one",
        ),
        pytest.param(
            "kind: IPAddressPool\nspec: {addresses: [192.0.2.9-192.0.2.1, a/b, 300.0.0.0/8]}",
            [],
            id="no networks",
        ),
        pytest.param(
            "kind: CiliumLoadBalancerIPPool\nspec: {cidrs: [{cidr: 192.0.2.0/30}]}",
            ["192.0.2.0/30"],
            id="Cilium",
        ),
        pytest.param(
            "kind: ConfigMap\ndata: {range-a: 192.0.2.1-192.0.2.2}", [], id="another ConfigMap"
        ),
        pytest.param(
            "kind: ConfigMap\ndata: {config: 'address-pools: "
            "[{name: p, addresses: [192.0.2.0/30]}]'}",
            ["192.0.2.0/30 p"],
            id="MetalLB's ConfigMap",
        ),
        pytest.param(
            "kind: IPPool\nspec: {cidr: 192.0.2.0/24}\n"
            "---\nkind: Node\nspec: {podCIDR: 192.0.2.0/24}",
            [],
            id="pods",
        ),
        pytest.param(
            "configInline: {address-pools: [{name: p, addresses: [192.0.2.0/30]}]}\n---\n"
            "kind: HelmRelease\nspec: {values: {configInline: {address-pools:"
            " [{addresses: [192.0.2.4/30]}]}}}",
            ["192.0.2.0/30 p", "192.0.2.4/30"],
            id="values of MetalLB's chart",
        ),
        pytest.param("- just\n- a list\n---\ntext\n---\n", [], id="no objects"),
        pytest.param(
            '{"kind": "Service", "spec": {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.1"}}',
            ["192.0.2.1"],
            id="JSON",
        ),
    ],
)
def test_manifests(text: str, expected: list[str]) -> None:
    assert rows(text) == expected


POOLS = """kind: IPAddressPool
metadata: {name: example}
spec: {addresses: [10.0.0.0/8]}
---
kind: IPAddressPool
metadata: {name: office}
spec: {addresses: [192.0.2.0/24]}
"""


def test_the_operator_names_the_pools_to_publish() -> None:
    assert rows(POOLS) == ["192.0.2.0/24 office"]
    assert rows(POOLS, "office, other") == ["192.0.2.0/24 office"]
    assert rows(POOLS, "example") == ["10.0.0.0/8 example"]


def test_facts_and_warnings_know_their_lines_in_any_document() -> None:
    text = (
        "# one\n---\n"
        + service(ASKED)
        + "---\nkind: [\n---\n"
        + service(", loadBalancerIP: '<ip>'")
    )
    reading = read_text("kubernetes", text)
    assert [fact.place.line for fact in reading.facts] == [5]
    assert sorted(found.line for found in reading.findings) == [9, 12]


def test_a_line_within_a_text_is_that_of_the_file() -> None:
    text = (
        "kind: ConfigMap\ndata:\n  config: |\n    "
        "address-pools:\n    - addresses:\n      - 192.0.2.0/30\n"
    )
    assert [fact.place.line for fact in read_text("kubernetes", text).facts] == [6]


def test_json_that_is_none_is_said() -> None:
    assert [found.line for found in read_text("kubernetes", '{"kind":\n').failures] == [2]
