"""Privacy profiles: which one holds, what it takes, and who reads what all the same."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.guardian import Credentials
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.privacy import profile_of, veiled, with_profiles_of
from rwhoisd.directory.schema import Schema
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.export_geofeed import Geofeed
from rwhoisd.formats.export_swip import Swip
from rwhoisd.formats.export_walk import Gate
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.verify import verify
from rwhoisd.service.service import Service
from rwhoisd.testing.memory_source import MemorySource
from tests.export_kit import area, obj
from tests.unit import service_kit as kit

Said = Literal["", "public", "residential", "internal"]

CUSTOMER = """
ID: N1.192.0.2.0/24
Network-Name: NET-1
IP-Network: 192.0.2.0/29
Network-Type: reassignment
Org-Name: Jane Roe
Organization: O1.192.0.2.0/24
Street-Address: 7 Elm Street
Street-Address: Apartment 3
City: Halifax
State: NS
Postal-Code: B3J 1A1
Country-Code: CA
Tech-Contact: C1.192.0.2.0/24
Admin-Contact: JANE.192.0.2.0/24
Abuse-Contact: C2.192.0.2.0/24
Comment: call Jane at night
"""
SHOWN = [
    *("ID: N1.192.0.2.0/24", "Network-Name: NET-1", "IP-Network: 192.0.2.0/29"),
    *("Network-Type: reassignment", "Org-Name: Private Customer - Example ISP"),
    *("Street-Address: Private Residence", "City: Halifax", "State: NS", "Postal-Code: B3J 1A1"),
    *("Country-Code: CA", "Tech-Contact: C1.192.0.2.0/24", "Abuse-Contact: C2.192.0.2.0/24"),
]
HIDDEN = ("jane", "roe", "7 elm", "apartment", "O1.", "night")
HOME = area(privacy="residential", operator="Example ISP")


def said(text: str, own: str = "") -> Object:
    return obj("network", text + (f"Privacy: {own}\n" if own else ""))


def lines_of(one: Object) -> list[str]:
    return [f"{name}: {value}" for name, value in one.lines]


def hides(text: str) -> bool:
    return not any(word.lower() in text.lower() for word in HIDDEN)


# --- which profile ---


@pytest.mark.parametrize(
    ("own", "of_class", "of_area", "expected"),
    [
        ("", "", "", "public"),
        ("", "", "residential", "residential"),
        ("", "public", "residential", "public"),
        ("", "residential", "public", "residential"),
        ("public", "residential", "residential", "public"),
        ("residential", "public", "public", "residential"),
        (" Public ", "residential", "", "public"),
        ("internal", "public", "public", "internal"),
        ("intrenal", "public", "public", "internal"),  # no profile: it hides
        ("residental", "", "", "internal"),
        ("public\nPrivacy: Internal", "", "", "internal"),
        ("residential\nPrivacy: internal", "", "", "internal"),
        ("", "internal", "residential", "internal"),
        ("", "", "internal", "internal"),
        ("residential", "internal", "internal", "residential"),
        ("public\nPrivacy: residential", "", "", "residential"),
    ],
)
def test_the_nearest_profile_holds(own: str, of_class: Said, of_area: Said, expected: str) -> None:
    where = replace(area(), privacy=of_area)
    class_def = replace(shipped("network"), privacy=of_class)
    assert profile_of(said(CUSTOMER, own), class_def, where) == expected


@pytest.mark.parametrize("name", ["guardian", "referral"])
def test_what_keeps_the_directory_going_is_always_public(name: str) -> None:
    class_def = replace(shipped(name), privacy="residential")
    assert veiled(obj(name, "Privacy: residential"), class_def, HOME) is None


def test_a_contact_is_hidden_by_its_own_word_or_its_class_only() -> None:
    contact, one = shipped("contact"), obj("contact", "Name: Jane\nEmail: j@example.net\nCity: X")
    assert veiled(one, contact, HOME) is None
    by_class = veiled(one, replace(contact, privacy="residential"), HOME)
    assert by_class is not None
    assert lines_of(by_class) == ["Name: Private Customer - Example ISP", "City: X"]
    own = obj("contact", "Name: Jane\nPrivacy: residential")
    assert veiled(own, contact, area()) is not None


def test_a_definition_from_elsewhere_keeps_the_profiles_there_were() -> None:
    first, *others = area().schema.classes
    had = replace(HOME, schema=Schema((replace(first, privacy="public"), *others)))
    assert with_profiles_of(area(), had) == had
    assert with_profiles_of(had, area()) == area()


# --- what it takes ---


def test_a_residential_object_reads_as_the_policy_says() -> None:
    shown = veiled(said(CUSTOMER), shipped("network"), HOME)
    assert shown is not None
    assert lines_of(shown) == SHOWN
    nameless = veiled(said(CUSTOMER), shipped("network"), replace(HOME, operator=""))
    assert nameless is not None
    assert "Org-Name: Private Customer" in lines_of(nameless)


@pytest.mark.parametrize("operator", [" Example", "two\nlines"])
def test_an_operator_is_a_name_on_one_line(operator: str) -> None:
    with pytest.raises(ValueError, match="write a name on one line"):
        replace(HOME, operator=operator)


def test_an_operator_is_of_the_areas_charset() -> None:
    with pytest.raises(ValueError, match="does not exist in charset latin-1"):
        replace(HOME, charset="latin-1", operator="\u0416")


# --- who reads what ---

GUARDED = CUSTOMER.replace("N1", "N2").replace("0/29", "8/29") + "Guardian: G.192.0.2.0/24\n"
GUARDIAN = "ID: G.192.0.2.0/24\nUpdated: 1\nGuard-Scheme: pw\nGuard-Info: Secret"


def source_of(where: AuthorityArea) -> MemorySource:
    source = MemorySource(where)
    for class_name, text in (
        ("network", CUSTOMER),
        ("network", GUARDED),
        ("guardian", GUARDIAN),
    ):
        source.add(obj(class_name, text, where))
    return source


def served(path: Path, where: AuthorityArea, compat: Compat) -> kit.Talk:
    asyncio.run(build(source_of(where), path, DIALECTS[compat].eol))
    verify_it(source_of(where), path)
    talk = kit.Talk(Service(ImageReader(path), kit.settings(compat)))
    talk.session.peer.holdconnect = True
    return talk


def verify_it(source: MemorySource, path: Path) -> None:
    assert asyncio.run(verify(source, path)) is None


GUESSES = (
    *('network org-name="Jane Roe"', "network org-name=Jane*", '"Jane Roe"', "Jane*", '"Jain Row"'),
    *("network organization=O1.192.0.2.0/24", "network admin-contact=JANE.192.0.2.0/24"),
    *('city=Halifax and org-name="Jane Roe"', "city=Halifax and street-address=7*"),
    *("192.0.2.1 and comment=call*", "city=Halifax and Jane*"),
)


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_the_guesses_find_what_is_public(tmp_path: Path, compat: Compat) -> None:
    talk = served(tmp_path, area(), compat)
    for query in GUESSES:
        assert talk.say(query)[0].startswith("network:"), query


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_nobody_finds_or_reads_a_hidden_value(tmp_path: Path, compat: Compat) -> None:
    talk = served(tmp_path, HOME, compat)
    found = talk.say("192.0.2.1")
    assert "network:Org-Name:Private Customer - Example ISP" in found
    assert "network:City:Halifax" in found
    assert hides("\n".join(found))
    for query in GUESSES:
        assert talk.say(query)[0].startswith("%error 230"), query
    assert talk.say("city=Halifax and org-name=Private*")[0].startswith("network:")
    assert hides("\n".join(talk.say("-xfer 192.0.2.0/24")))


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_a_guardian_reads_the_truth_of_what_it_guards_alone(tmp_path: Path, compat: Compat) -> None:
    talk = served(tmp_path, HOME, compat)
    talk.session.peer.credentials = Credentials("pw", "Secret")
    assert hides("\n".join(talk.say("192.0.2.1")))  # nothing guards it
    truth = talk.say("192.0.2.9")
    assert {"network:Org-Name:Jane Roe", "network:Street-Address:7 Elm Street"} <= set(truth)
    sent = "\n".join(talk.say("-xfer 192.0.2.0/24"))
    assert sent.count("Jane Roe") == sent.count("Private Customer - Example ISP") == 1


def test_the_image_keeps_the_truth_and_follows_changes(tmp_path: Path) -> None:
    source = source_of(area())
    asyncio.run(build(source, tmp_path, b"\n"))
    reader = ImageReader(tmp_path)

    def public() -> str:
        image = reader.current()
        return image.public(image.by_id("N1.192.0.2.0/24")).decode()

    assert not hides(public())
    (first, *_) = [s for s in source.stored() if s.object.id == "N1.192.0.2.0/24"]
    hidden = replace(first.object, lines=(*first.object.lines, ("Privacy", "residential")))
    source.modify(first.row, hidden)
    assert asyncio.run(catch_up(source, tmp_path))
    verify_it(source, tmp_path)
    assert hides(public())
    image = reader.current()
    assert image.object(image.by_id("N1.192.0.2.0/24")[0]).lines == hidden.lines
    source.modify(first.row, first.object)
    assert asyncio.run(catch_up(source, tmp_path))
    verify_it(source, tmp_path)
    assert not hides(public())


@pytest.mark.parametrize(
    "changed",
    [
        HOME,
        replace(HOME, operator=""),
        replace(
            area(),
            schema=Schema(tuple(replace(c, privacy="residential") for c in HOME.schema.classes)),
        ),
    ],
    ids=["area", "operator", "class"],
)
def test_a_profile_of_area_or_class_makes_the_image_anew(
    tmp_path: Path, changed: AuthorityArea
) -> None:
    before = HOME if not changed.operator and changed.privacy else area()
    source = source_of(before)
    asyncio.run(build(source, tmp_path, b"\n"))
    source.put_area(changed)
    assert asyncio.run(catch_up(source, tmp_path))
    verify_it(source, tmp_path)


# --- exports ---


@pytest.mark.parametrize("named", [(), ("192.0.2.0/24",)])
def test_a_public_export_holds_what_the_public_reads(named: tuple[str, ...]) -> None:
    gate = Gate(public=True, current=True, named=named)
    entry = gate.entry(said(CUSTOMER), shipped("network"), HOME)
    assert entry is not None
    swip, feed = Swip(), Geofeed()
    swip.add(entry)
    (customer, net) = swip.calls()
    assert "<customerName>Private Customer - Example ISP</customerName>" in customer.xml
    assert ">Private Residence</line>" in customer.xml
    assert hides(customer.xml + net.xml)
    assert "CA,CA-NS,Halifax" in feed.text([entry])


def test_an_operators_own_export_holds_the_truth() -> None:
    gate = Gate(public=False, current=False)
    entry = gate.entry(said(CUSTOMER), shipped("network"), HOME)
    assert entry is not None
    assert entry.object == said(CUSTOMER)


def test_an_area_without_a_profile_renders_as_before(tmp_path: Path) -> None:
    where = AuthorityArea(AreaName.from_text("192.0.2.0/24"), HOME.soa, HOME.schema)
    assert "network:Org-Name:Jane Roe" in served(tmp_path, where, "rfc").say("192.0.2.1")
