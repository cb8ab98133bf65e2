"""Manifests, whatever stands in them: nothing is raised, no secret gets out."""

from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import planted, read_text, said, soups

KIND: Final = "kubernetes"
FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / KIND
GOOD: Final = [
    (FIXTURES / name).read_text()
    for name in (
        "platform.yaml",
        "legacy.yaml",
        "kube-vip.yaml",
        "services.json",
    )
]
TOKENS: Final = [
    "kind: Service",
    "kind: List",
    "kind: IPAddressPool",
    "kind: CiliumLoadBalancerIPPool",
    "kind: ConfigMap",
    "kind: Pod",
    "metadata: {name: web}",
    "spec: {type: LoadBalancer, loadBalancerIP: 192.0.2.1, ports: [{port: 80}]}",
    "spec: {addresses: [192.0.2.0/24, 192.0.2.1-192.0.2.9]}",
    "spec: {blocks: [{cidr: 192.0.2.0/24}, {start: 192.0.2.1, stop: 192.0.2.9}]}",
    "spec: {containers: [{image: kube-vip, env: [{name: address, value: 192.0.2.1}]}]}",
    "data:",
    "  config: |",
    "    address-pools: [{name: p, addresses: [192.0.2.0/24]}]",
    "items:",
    "- kind: Service",
    "  spec: {type: LoadBalancer}",
    "---",
    "...",
    "{",
    "}",
    "[",
    "]",
    "{{ .Values.ip }}",
    "&a",
    "*a",
    "<<: *a",
    "status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}",
    '"',
    "|",
    "# remark",
    "!vault",
    "address-pools:",
    "annotations: {metallb.io/loadBalancerIPs: 192.0.2.1}",
    '{"kind": "List", "items": [',
]
HIDDEN: Final = [
    "  password: {}",
    "stringData: {{password: {}}}",
    '    token: "{}"',
    "peers: [{{password: {}}}]",
    "  annotations: {{note: {}}}",
    "# {}",
    'env: [{{name: bgp_peers, value: "10.0.0.1:64512:{}:false"}}]',
]


@given(text=st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    read_text(KIND, text)


@given(text=soups(TOKENS))
def test_any_words_of_the_format_are_read(text: str) -> None:
    read_text(KIND, text)


@given(secret_and_text=planted(GOOD, HIDDEN))
def test_no_planted_secret_gets_out_of_a_broken_file(secret_and_text: tuple[str, str]) -> None:
    secret, text = secret_and_text
    assert secret not in said(read_text(KIND, text))
