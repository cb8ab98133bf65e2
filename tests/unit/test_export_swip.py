"""Payloads for Reg-RWS against examples made by hand after ARIN's "RESTful Payloads"."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rwhoisd.directory.names import Network
from rwhoisd.formats.export_swip import Call, Handles, Kind, Swip
from tests.export_kit import SHIPPED, area, entry

EXAMPLES = Path(__file__).parents[1] / "fixtures" / "swip"
WITH_HANDLES = area("192.0.2.0/24", *SHIPPED)
ORCHARD = """
    ID: NET-2
    Network-Name: ORCHARD
    IP-Network: 192.0.2.64/26
    Network-Type: reassignment
    Org-Name: Orchard & Sons
"""
ADDRESS = """
    Street-Address: 81 Orchard Lane
    Street-Address: Building C
    City: Richmond
    State: VA
    Postal-Code: 23219
    Country-Code: US
"""
PARENT = Network.from_text("192.0.2.0/24")
HANDLES = Handles("EXAMPLE-1", {PARENT: "NET-192-0-2-0-1"} if PARENT else {})


def calls(
    *networks: str,
    linked: tuple[tuple[str, str], ...] = (),
    kind: Kind = Kind.AUTO,
    handles: Handles = HANDLES,
) -> tuple[list[Call], list[str]]:
    swip = Swip(kind, handles)
    for class_name, text in linked:
        swip.link(entry(class_name, text, WITH_HANDLES))
    for text in networks:
        swip.add(entry("network", text, WITH_HANDLES))
    return list(swip.calls()), [f.message for f in swip.findings]


def same(xml: str, example: str) -> None:
    """Compare in canonical form, without the blanks between elements."""
    wanted = (EXAMPLES / example).read_text(encoding="utf-8")
    assert ET.canonicalize(xml, strip_text=True) == ET.canonicalize(wanted, strip_text=True)


def test_a_simple_reassignment_makes_a_customer_and_its_network() -> None:
    (customer, net), findings = calls(ORCHARD + ADDRESS)
    assert customer[:3] == (
        *("POST", "/rest/net/NET-192-0-2-0-1/customer", "192.0.2.64-26.customer.xml"),
    )
    assert net[:3] == ("PUT", "/rest/net/NET-192-0-2-0-1/reassign", "192.0.2.64-26.net.xml")
    same(customer.xml, "simple.customer.xml")
    same(net.xml, "simple.net.xml")
    assert customer.xml.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<customer xmlns=')
    assert findings == []


def test_a_residential_customer_passes_as_stored() -> None:
    text = """
        IP-Network: 192.0.2.168/29
        Network-Type: Reassignment
        Org-Name: Private Customer - Example Networks
        Street-Address: Private Residence
        City: Fairfax
        State: VA
        Postal-Code: 22030
        Country-Code: US
    """
    (customer, net), findings = calls(text, handles=Handles())
    same(customer.xml, "residence.customer.xml")
    assert net.path == "/rest/net/PARENTNETHANDLE/reassign"
    assert findings == ["the parent of 1 networks has no handle; --parent-net tells it"]


LUMEN = """
    Network-Name: LUMEN-V6
    IP-Network: 2001:db8:100::/48
    Network-Type: reassignment
    Organization: ORG-LUMEN
    Tech-Contact: P-1
    Admin-Contact: P-2
    Abuse-Contact: P-3
    NOC-Contact: P-4
    Origin-AS: AS-64496.example.net
    Origin-AS: 64511
    Origin-AS: none
    Comment: Operations center:
    Comment: noc@lumen.example
"""
LINKED = (
    ("organization", "ID: ORG-LUMEN\nOrg-Name: Lumen\nARIN-Handle: LUMEN-7"),
    ("contact", "ID: P-1\nName: T\nARIN-Handle: TECH1-ARIN"),
    ("contact", "ID: P-2\nName: no handle"),
    ("contact", "ID: p-3\nName: A\nARIN-Handle: ABUSE9-ARIN"),
    ("network", "ID: NET-0\nIP-Network: 2001:db8::/32\nARIN-Handle: NET6-2001-DB8-1"),
    ("network", "ID: NET-1\nIP-Network: 2001:db8:100::/48\nARIN-Handle: NET6-2001-DB8-100-1"),
)


def test_a_detailed_reassignment_names_the_organization() -> None:
    (net,), findings = calls(LUMEN, linked=LINKED)
    assert net[:3] == ("PUT", "/rest/net/NET6-2001-DB8-1/reassign", "2001_db8_100__-48.net.xml")
    same(net.xml, "detailed.net.xml")
    assert findings == []


def test_the_kind_can_be_forced() -> None:
    (customer, _), _ = calls(LUMEN + ADDRESS, linked=LINKED, kind=Kind.SIMPLE)
    assert "<customerName>Lumen</customerName>" in customer.xml
    found, (message,) = calls(ORCHARD + ADDRESS, kind=Kind.DETAILED)
    assert found == []
    assert message.endswith(
        "a detailed reassignment needs an organization with ARIN-Handle; left out"
    )


def test_a_reallocation_of_a_range() -> None:
    text = """
        Network-Name: LUMEN
        IP-Network-Block: 192.0.2.0 - 192.0.2.95
        Network-Type: reallocation
        Organization: ORG-LUMEN
    """
    (net,), _ = calls(text, linked=LINKED, handles=Handles())
    assert net[:3] == (
        *("PUT", "/rest/net/PARENTNETHANDLE/reallocate", "192.0.2.0-192.0.2.95.net.xml"),
    )
    same(net.xml, "range.net.xml")


def test_an_address_is_taken_whole() -> None:
    holder = ("organization", f"ID: ORG-1\nOrg-Name: Holder\n{ADDRESS}")
    (customer, _), _ = calls(ORCHARD + "Organization: ORG-1", linked=(holder,))
    same(customer.xml, "simple.customer.xml")
    found, (message,) = calls(ORCHARD + "Organization: ORG-1\nCity: Norfolk", linked=(holder,))
    assert found == []
    assert "a customer needs Street-Address, Country-Code; left out" in message


def test_a_private_one_is_told_to_be_private() -> None:
    (customer, _), _ = calls(f"Private: true\n{ORCHARD}{ADDRESS}")
    assert "<privateCustomer>true</privateCustomer>" in customer.xml


def test_other_networks_are_not_reported() -> None:
    for kind in ("allocation", "infrastructure", ""):
        assert calls(ORCHARD.replace("reassignment", kind) + ADDRESS) == ([], [])


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (ORCHARD, "a customer needs Street-Address, City, Country-Code"),
        (ORCHARD + ADDRESS.replace("State: VA", ""), "a customer needs State"),
        ((ORCHARD + ADDRESS).replace("Org-Name", "Comment"), "a customer needs Org-Name"),
        ("ID: N\nNetwork-Type: reassignment", "has no address block that can be read"),
        (
            (ORCHARD + ADDRESS).replace("reassignment", "reallocation"),
            "a reallocation needs an organization with ARIN-Handle",
        ),
    ],
)
def test_what_arin_would_refuse_is_left_out(text: str, finding: str) -> None:
    found, (message,) = calls(text)
    assert found == []
    assert message.endswith(f"{finding}; left out")


def test_elsewhere_state_and_postal_code_may_be_missing() -> None:
    text = ORCHARD + "Street-Address: Storgatan 1\nCity: Malmö\nCountry-Code: SE"
    (customer, _), (message,) = calls(text)
    assert "iso3166-2" not in customer.xml
    assert "postalCode" not in customer.xml
    assert "is not ASCII" in message


def test_a_block_is_reported_once() -> None:
    found, (message,) = calls(ORCHARD + ADDRESS, ORCHARD.replace("NET-2", "NET-9") + ADDRESS)
    assert len(found) == 2
    assert message == "NET-9: 192.0.2.64/26 is that of another network as well; left out"


def test_what_xml_cannot_hold_goes() -> None:
    (_, net), _ = calls(ORCHARD + ADDRESS + "\nComment: a\x01b\ufffec <&>")
    assert ET.fromstring(net.xml).findtext(".//{*}line") == "abc <&>"
