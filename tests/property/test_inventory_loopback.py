"""Interfaces, whatever stands in them: nothing is raised, no secret gets out."""

from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import planted, read_text, said, soups

KIND: Final = "loopback"
FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / KIND
GOOD: Final = [
    (FIXTURES / name).read_text()
    for name in (
        "ifcfg-lo",
        "ifcfg-bond0",
        "interfaces",
        "netplan.yaml",
    )
]
TOKENS: Final = [
    "DEVICE=lo:0",
    "IPADDR=192.0.2.1",
    "IPADDR1=192.0.2.2/32",
    "NETMASK=255.255.255.255",
    "PREFIX1=32",
    "IPV6ADDR=2001:db8::1/128",
    "IPADDR_START=192.0.2.1",
    "IPADDR_END=192.0.2.250",
    "ONBOOT=no",
    'IPADDR="192.0.2.3',
    "auto lo",
    "iface lo:0 inet static",
    "iface",
    "address 192.0.2.4",
    "address",
    "netmask 255.255.255.255",
    "netmask 999",
    "up ip addr add 192.0.2.5/32 dev lo",
    "up ip addr add",
    "up ifconfig lo:1",
    "up ifconfig lo:1 192.0.2.6 netmask",
    "source /etc/*",
    "\\",
    "&&",
    "#",
    "$VIP",
    "[Match]",
    "Name=lo",
    "[Network]",
    "Address=192.0.2.9/32",
    "1: lo: <UP>",
    "inet 192.0.2.9/32",
    "network:",
    "  ethernets:",
    "    lo:",
    "      addresses:",
    "        - 192.0.2.7/32",
    "[192.0.2.8/32]",
    "{",
    "}",
    "match: {name: lo}",
    "config:",
    "- subnets:",
    "a: &a [*a]",
]
HIDDEN: Final = [
    "KEY={}",
    'KEY_PASSPHRASE1="{}"',
    "WPA_PSK={}",
    "  wpa-psk {}",
    "  up wpa_passphrase office {}",
    "          password: {}",
    "    auth: {{password: {}}}",
    "# {}",
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
