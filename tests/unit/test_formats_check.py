"""Findings of ``rwhois-admin check`` (RFC 320 to 324, addresses, referrals, ARIN's list)."""

from collections.abc import Iterable

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.formats.check import Place, check_objects
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.findings import Finding

CLASSES = ("network", "organization", "contact", "referral")
SOA = Soa("1", primary_server="rwhois.example.net:4321", hostmaster="h@example.net")
AREA = AuthorityArea(
    AreaName.from_text("192.0.2.0/24"), SOA, Schema(tuple(shipped(c) for c in CLASSES))
)
FULL = (
    *(("ID", "N-1.192.0.2.0/24"), ("Network-Name", "A"), ("IP-Network", "192.0.2.0/25")),
    *(("IP-Network-Block", "192.0.2.0 - 192.0.2.127"), ("Organization", "O-1.192.0.2.0/24")),
    *((f"{role}-Contact", "C-1.192.0.2.0/24") for role in ("Tech", "Admin", "Abuse")),
    *(("Created", "20240101"), ("Updated", "20240101"), ("Updated-By", "h@example.net")),
)
ORGANIZATION = Object(
    "192.0.2.0/24",
    "organization",
    (
        *(("ID", "O-1.192.0.2.0/24"), ("Org-Name", "Org"), ("Street-Address", "1")),
        *(("City", "C"), ("State", "S"), ("Postal-Code", "1"), ("Country-Code", "US")),
    ),
)
CONTACT = Object(
    "192.0.2.0/24",
    "contact",
    (("ID", "C-1.192.0.2.0/24"), ("Name", "n"), ("Email", "e@example.net")),
)


def network(**changes: str | None) -> Object:
    values = {n.replace("_", "-"): v for n, v in changes.items()}
    lines = [(n, values.pop(n, v)) for n, v in FULL]
    lines += values.items()
    return Object("192.0.2.0/24", "network", tuple((n, v) for n, v in lines if v is not None))


def referral(area: str, url: str) -> Object:
    lines = (("ID", "R-1.192.0.2.0/24"), ("Referred-Auth-Area", area), ("Referral", url))
    return Object("192.0.2.0/24", "referral", lines)


def found(
    objects: Iterable[Object], area: AuthorityArea = AREA, flavour: Flavour = Flavour.POSIX
) -> list[Finding]:
    everything = [*objects, ORGANIZATION, CONTACT]
    located = [(area, obj, Place("f.txt", at)) for at, obj in enumerate(everything, 1)]
    return list(check_objects([area], located, flavour))


def test_a_good_network() -> None:
    assert found([network()]) == []


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"Colour": "red"}, 320, "attribute Colour is unknown"),
        ({"Network_Name": None}, 322, "required attribute Network-Name missing"),
        ({"Country_Code": "usa"}, 321, "value 'usa' of Country-Code"),
        ({"Organization": "gone.192.0.2.0/24"}, 323, "no object has this ID"),
        ({"IP_Network": "192.0.2.0/33"}, None, "'192.0.2.0/33' is no network"),
        ({"IP_Network": "192.0.2.9/25"}, None, "has bits set behind the prefix"),
        ({"IP_Network": "198.51.100.0/25"}, None, "lies outside of 192.0.2.0/24"),
        ({"IP_Network_Block": "192.0.2.0 - 192.0.2.9"}, None, "is not the range of IP-Network"),
        ({"IP_Network_Block": "192.0.2.x"}, None, "is no range of addresses"),
        ({"ID": None}, None, "the object has no ID"),
        ({"ID": "N-1.example.net"}, None, "does not end in .192.0.2.0/24"),
        ({"ID": "N.1.192.0.2.0/24"}, None, "no local part without period"),
        ({"Org_Name": "Zürich"}, None, "is not ASCII"),
        ({"Comment": "x" * 2000}, None, "a line of more than 2000 octets"),
        ({"See_Also": "www.example.net"}, None, "is no URI"),
        ({"Abuse_Contact": None, "Created": None}, None, "also Abuse-Contact, Created"),
        ({"Organization": None}, None, "also Org-Name, Street-Address, City, State"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
def test_findings_on_a_network(
    changes: dict[str, str | None], code: int | None, message: str
) -> None:
    matching = [f for f in found([network(**changes)]) if message in f.message]
    assert [f.code for f in matching] == [code]
    assert matching[0].line == 1


def test_an_unknown_class() -> None:
    (finding,) = found([Object("192.0.2.0/24", "zork", (("ID", "1.192.0.2.0/24"),))])
    assert finding.code == 341


def test_double_ids_and_keys() -> None:
    findings = found([network(), network()])
    assert [(f.line, f.code) for f in findings] == [(2, 324), (2, 324)]
    assert "ID N-1.192.0.2.0/24 is that of f.txt:1" in findings[0].message


@pytest.mark.parametrize(
    ("blocks", "crossing"),
    [
        (("192.0.2.0 - 192.0.2.63", "192.0.2.32 - 192.0.2.95"), 1),
        (("192.0.2.0 - 192.0.2.63", "192.0.2.32 - 192.0.2.63"), 0),
        (("192.0.2.0 - 192.0.2.63", "192.0.2.0 - 192.0.2.31"), 0),
        (("192.0.2.0 - 192.0.2.63", "192.0.2.64 - 192.0.2.95"), 0),
        (("192.0.2.0 - 192.0.2.9", "192.0.2.5 - 192.0.2.15", "192.0.2.8 - 192.0.2.20"), 3),
    ],
)
def test_overlaps_that_are_not_nesting(blocks: tuple[str, ...], crossing: int) -> None:
    objects = [
        network(ID=f"N-{n}.192.0.2.0/24", IP_Network=f"192.0.2.{200 + n}/32", IP_Network_Block=text)
        for n, text in enumerate(blocks)
    ]
    overlaps = [f for f in found(objects) if "without one enclosing" in f.message]
    assert len(overlaps) == crossing


@pytest.mark.parametrize(
    ("area", "url", "message"),
    [
        ("192.0.2.64/26", "rwhois://a.net:4321/auth-area=192.0.2.64/26", None),
        ("192.0.2.0/24", "rwhois://a.net:4321", "is served here; remove the referral"),
        ("10.0.0.0/8", "rwhois://a.net:4321", "lies outside of 192.0.2.0/24"),
        ("192.0.2.0.16", "rwhois://a.net:4321", "is no area that a query can lie in"),
        ("192.0.2.64/26", "http://a.net", "leads nowhere"),
        ("192.0.2.64/26", "rwhois://a.net:99999", "leads nowhere"),
        ("192.0.2.64/26", "rwhois://RWHOIS.example.net", "leads to this server itself"),
        ("192.0.2.64/26", "rwhois://a_b.net:4321", "no '_' in a host name"),
    ],
)
def test_referrals(area: str, url: str, message: str | None) -> None:
    findings = found([referral(area, url)])
    assert len(findings) == (message is not None)
    assert all(message in f.message for f in findings if message)


def test_areas() -> None:
    pin = AttributeDef("pin", private=True, index=IndexType.EXACT)
    broken = ClassDef("x", (AttributeDef("a", format="re:("), pin), guardians=("2.a_b.net",))
    area = AuthorityArea(
        AreaName.from_text("a_b.net"), None, Schema((broken,)), guardians=("1.a_b.net",)
    )
    findings = list(check_objects([area], [], Flavour.POSIX))
    assert [f.message.partition(";")[0].partition(":")[0] for f in findings] == [
        "a master area needs an SOA",
        "the name has a '_', which the grammar of RFC 2167 does not know",
        "guardian 1.a_b.net is no object",
        "class x",
        "class x",
        "class x",
    ]
    assert "class x: guardian 2.a_b.net is no object" in findings[3].message
    assert "class x: pin is private and indexed" in findings[4].message
    assert findings[4].severity == "warning"


def test_the_mode_decides_how_formats_match() -> None:
    lower = [network(Country_Code="us")]
    assert [f.code for f in found(lower, flavour=Flavour.POSIX)] == [321]
    assert found(lower, flavour=Flavour.V8) == []
