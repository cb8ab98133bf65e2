"""Interfaces: what stands on the loopback, what elsewhere; each form by its own grammar."""

import pytest

from rwhoisd.inventory.facts import Vip
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.loopback import interface_addresses, loopback_addresses
from tests.property.inventory_kit import read_text


def told(text: str, name: str = "file") -> list[str]:
    """``INTERFACE ADDRESS/LENGTH``, with marks for an alias and for what is not started."""
    found = interface_addresses(TextFile(name, text), Inputs(), Report())
    return [
        f"{one.interface} {one.address}/{one.length}"
        + " alias" * one.is_alias
        + " off" * (not one.started)
        for one in found
    ]


LO = "network: {ethernets: {lo: {addresses: [%s]}}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "DEVICE=lo:0\nIPADDR=192.0.2.1\nNETMASK=255.255.255.255",
            ["lo:0 192.0.2.1/32 alias"],
            id="ifcfg",
        ),
        pytest.param(
            "IPADDR=192.0.2.1\nPREFIX=32\nDEVICE='lo:1'\nONBOOT=no",
            ["lo:1 192.0.2.1/32 alias off"],
            id="ifcfg in any order",
        ),
        pytest.param(
            'DEVICE=lo\nIPADDR_0="127.0.0.1/8"\nIPADDR_web=192.0.2.2/32\nLABEL_web=web',
            ["lo 127.0.0.1/8", "lo 192.0.2.2/32 alias"],
            id="ifcfg of SUSE",
        ),
        pytest.param(
            "DEVICE=eth0\nIPADDR0=192.0.2.1\nNETMASK=255.255.255.0\nIPADDR1=192.0.2.9\nPREFIX1=28",
            ["eth0 192.0.2.1/24", "eth0 192.0.2.9/28"],
            id="ifcfg, IPADDR0 has the mask of IPADDR",
        ),
        pytest.param(
            "DEVICE=eth0-range0\nIPADDR_START=192.0.2.7\n"
            "IPADDR_END=192.0.2.8\nNETMASK=255.255.255.0",
            ["eth0-range0 192.0.2.7/24", "eth0-range0 192.0.2.8/24"],
            id="ifcfg, a range of aliases",
        ),
        pytest.param(
            "DEVICE=any\nTYPE=dummy\nIPADDR=192.0.2.1\nPREFIX=32",
            ["any 192.0.2.1/32 alias"],
            id="ifcfg, a dummy",
        ),
        pytest.param("DEVICE=lo:0\nIPADDR=192.0.2.1", ["lo:0 192.0.2.1/None alias"], id="no mask"),
        pytest.param("DEVICE=dummy0\nIPADDR=192.0.2.1", ["dummy0 192.0.2.1/None"], id="dummy, too"),
        pytest.param("#IPADDR=192.0.2.1\nDEVICE=lo\nIPADDR=", [], id="ifcfg, nothing"),
        pytest.param(
            "iface lo:0 inet static\naddress 192.0.2.1\nnetmask 255.255.255.255",
            ["lo:0 192.0.2.1/32 alias"],
            id="ifupdown",
        ),
        pytest.param(
            "iface lo inet loopback\n address 192.0.2.1/32\n address 192.0.2.2/32\nauto eth0",
            ["lo 192.0.2.1/32 alias", "lo 192.0.2.2/32 alias"],
            id="ifupdown2",
        ),
        pytest.param(
            "iface lo inet6 static\n address 2001:db8::1\n netmask 128",
            ["lo 2001:db8::1/128 alias"],
            id="ifupdown, IPv6",
        ),
        pytest.param(
            "iface lo inet loopback\nup ifconfig lo:1 192.0.2.1 netmask 255.255.255.255 up",
            ["lo:1 192.0.2.1/32 alias"],
            id="ifconfig",
        ),
        pytest.param(
            "iface eth0 inet static\n address 192.0.2.1/24\n"
            " post-up sudo ip a add 192.0.2.5 \\\n   dev lo ; true\n pre-down ip a del 192.0.2.6",
            ["eth0 192.0.2.1/24", "lo 192.0.2.5/32 alias"],
            id="ip, over two lines",
        ),
        pytest.param(
            "iface eth0 inet manual\n up ip route add 192.0.2.0/24 dev lo\n"
            " up ifconfig eth0 192.0.2.7\n up ifconfig "
            "eth0 up mtu 9000\n address-virtual x 192.0.2.8",
            ["eth0 192.0.2.7/None"],
            id="what is no address",
        ),
        pytest.param(
            "[Match]\nName=lo\n[Network]\n#Address=192.0.2.9/32\nAddress=192.0.2.1/32\nDNS=192.0.2.53"
            "\n[Address]\nAddress=2001:db8::1/128\n[Route]\nDestination=192.0.2.0/24",
            ["lo 192.0.2.1/32 alias", "lo 2001:db8::1/128 alias"],
            id="networkd",
        ),
        pytest.param(
            "1: lo: <LOOPBACK,UP> mtu 65536\n    link/loopback 00:00:00:00:00:00\n"
            "    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n"
            "    inet 192.0.2.1/32 scope global lo:0\n    inet6 ::1/128 scope host\n"
            "2: eth0@if9: <BROADCAST,UP> mtu 1500\n    inet 192.0.2.7/24 brd 192.0.2.255",
            ["lo 127.0.0.1/8", "lo 192.0.2.1/32 alias", "lo ::1/128 alias", "eth0 192.0.2.7/24"],
            id="ip addr show",
        ),
        pytest.param(
            "1: lo    inet 192.0.2.1/32 scope global lo\\       valid_lft forever\n"
            "3: tun0    inet 192.0.2.8 peer 192.0.2.9/32 scope global tun0",
            ["lo 192.0.2.1/32 alias", "tun0 192.0.2.8/32"],
            id="ip -o addr show",
        ),
        pytest.param(
            "DEVICE=lo\nIPV6ADDR_SECONDARIES=2001:db8::1/128 2001:db8::2/128 # two",
            ["lo 2001:db8::1/128 alias", "lo 2001:db8::2/128 alias"],
            id="ifcfg, a list without quotes",
        ),
        pytest.param(
            "DEVICE=eth0\nIPADDR_START=192.0.2.9\nIPADDR_END=192.0.2.1", [], id="ifcfg, no range"
        ),
        pytest.param(
            "# iface lo inet \\\niface lo inet loopback\n address 192.0.2.1/32\n pre-up \\",
            ["lo 192.0.2.1/32 alias"],
            id="ifupdown, remarks and a torn end",
        ),
        pytest.param(LO % "192.0.2.1/32", ["lo 192.0.2.1/32 alias"], id="netplan"),
        pytest.param(LO % "192.0.2.1/24", ["lo 192.0.2.1/24"], id="netplan, a mistake"),
        pytest.param(
            "network: {ethernets: {x: {match: {name: lo}, "
            "addresses: [{192.0.2.1/32: {label: a}}]}}}",
            ["lo 192.0.2.1/32 alias"],
            id="netplan, a mapping",
        ),
        pytest.param(
            "network: {dummy-devices: {dm1: {addresses: [192.0.2.1/32, 192.0.2.2/24]}}}",
            ["dm1 192.0.2.1/32 alias", "dm1 192.0.2.2/24"],
            id="netplan, a dummy",
        ),
        pytest.param(
            "autoinstall: {network: {network: {bonds: {b: {addresses: [192.0.2.1/24]}}}}}",
            ["b 192.0.2.1/24"],
            id="netplan of an installer",
        ),
        pytest.param(
            "network: {version: 1, config: [{type: physical, name: eth0, subnets:"
            " [{type: static, address: 192.0.2.1, netmask: 255.255.255.0}, {type: dhcp}]}]}",
            ["eth0 192.0.2.1/24"],
            id="cloud-init, version 1",
        ),
        pytest.param(
            "network: {ethernets: {e: {dhcp4: true}, f: null}}", [], id="netplan, nothing"
        ),
    ],
)
def test_addresses_on_interfaces(text: str, expected: list[str]) -> None:
    assert told(text) == expected


def test_the_name_of_the_file_tells_the_device() -> None:
    text = "IPADDR=192.0.2.1\nPREFIX=32"
    assert told(text, "/etc/sysconfig/network-scripts/ifcfg-lo:7") == ["lo:7 192.0.2.1/32 alias"]
    assert told(text, "other") == [" 192.0.2.1/32"]


def test_an_alias_is_a_vip_on_the_loopback_and_the_rest_hosts_and_networks() -> None:
    reading = read_text(
        "loopback",
        "iface lo:0 inet static\naddress 192.0.2.1/32",
        "DEVICE=eth0\nIPADDR=192.0.2.9/24",
    )
    vip, *others = reading.facts
    assert isinstance(vip, Vip)
    assert vip.on_loopback
    assert [fact.as_row() for fact in others] == [
        {"kind": "host", "address": "192.0.2.9"},
        {"kind": "network", "prefix": "192.0.2.0/24"},
    ]


def test_a_wide_mask_on_the_loopback_is_a_mistake_but_known_to_the_audit() -> None:
    text = "auto lo:0\niface lo:0 inet static\naddress 192.0.2.1\nnetmask 255.255.255.0"
    reading = read_text("loopback", text)
    assert reading.facts == []
    assert [(found.line, "give it /32" in found.message) for found in reading.findings] == [
        (3, True)
    ]
    (found,) = loopback_addresses(TextFile("file", text), Inputs(), Report())
    assert (str(found.address), found.length, found.is_alias) == ("192.0.2.1", 24, False)


def test_the_audit_is_told_no_address_that_is_the_machines_own() -> None:
    text = "DEVICE=lo\nIPADDR0=127.0.0.1\nPREFIX0=8\nIPADDR1=192.0.2.1\nPREFIX1=32"
    found = loopback_addresses(TextFile("file", text), Inputs(), Report())
    assert [str(one.address) for one in found] == ["192.0.2.1"]


def test_a_file_of_another_form_is_warned_about() -> None:
    reading = read_text("loopback", "vrrp_instance one {\n}\n")
    assert [found.line for found in reading.findings] == [1]
    assert read_text("loopback", "\n").findings == []


def test_sources_of_ifupdown_are_followed_within_the_root(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("network")
    (root / "interfaces.d").mkdir()
    (root / "interfaces.d" / "lo").write_text("iface lo inet static\naddress 192.0.2.1/32\n")
    main = root / "interfaces"
    main.write_text("source interfaces.d/*\nsource-directory interfaces.d\nsource /etc/passwd\n")
    report = Report()
    found = interface_addresses(TextFile.read(main), Inputs(root=root), report)
    assert [str(one.address) for one in found] == ["192.0.2.1", "192.0.2.1"]
    assert [finding.line for finding in report.findings] == [3]
