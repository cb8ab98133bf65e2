"""Schema, objects, time-stamps, referrals, routing and dump format as values."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.dialect import ARIN, RFC
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import AreaName, HierarchicalName, specificity
from rwhoisd.directory.objects import Object, file_order, late_order, with_synthesized
from rwhoisd.directory.referral import Referral, link_text, punt_text, with_port
from rwhoisd.directory.render import (
    class_record,
    record_lines,
    schema_record,
    soa_record,
    transfer_record,
)
from rwhoisd.directory.routing import AreaTree, route
from rwhoisd.directory.schema import (
    AttributeDef,
    AttributeType,
    ClassDef,
    IndexType,
    Schema,
    class_names,
)
from rwhoisd.directory.soa import Soa, TimeStamp
from rwhoisd.directory.visibility import full_lines, public_lines, transfer_lines

NAME = AttributeDef("Name", aliases=("N",), index=IndexType.ALL, required=True, primary=True)
PIN = AttributeDef("Pin", private=True)
ORG = AttributeDef("Organization", type=AttributeType.ID)
CONTACT = ClassDef("contact", (NAME, PIN, ORG), aliases=("person",), version="20240101")
AREA = AuthorityArea(AreaName.from_text("a.com"), Soa("1"), Schema((CONTACT,)))


def contact(*lines: tuple[str, str]) -> Object:
    return Object("a.com", "contact", lines)


# --- errors ---------------------------------------------------------------------------------


def test_the_table_has_every_code_of_appendix_c() -> None:
    codes = (
        *(120, 130, 230, 300, 320, 321, 322, 323, 324, 325, 330, 331, 332, 333, 336, 338, 340),
        *(341, 342, 350, 351, 352, 353, 354, 400, 401, 402, 420, 436, 500, 501, 502, 503),
    )
    assert [int(code) for code in ResponseCode] == list(codes)
    assert all(code.text and code.arin_text for code in ResponseCode)
    assert [c for c in ResponseCode if c.fatal] == [500, 501, 502, 503]


def test_wording_follows_the_dialect() -> None:
    code = ResponseCode.LIMIT_EXCEEDED
    assert ARIN.error_text(code) == "Exceeded Max Objects Limit"
    assert RFC.error_text(code) == "Exceeded maximum objects limit"
    assert str(RwhoisError(code, "x")) == "330 Exceeded maximum objects limit: x"


# --- schema ---------------------------------------------------------------------------------


def test_attributes_are_found_by_name_and_alias_in_any_case() -> None:
    assert CONTACT.attribute("n") is NAME
    assert CONTACT.attribute("PVT") is CONTACT.attribute("private")
    assert CONTACT.attribute("nosuch") is None
    assert CONTACT.key_attributes == (NAME,)


def test_index_order_is_the_order_of_first_need() -> None:
    cidr = ClassDef("host", (AttributeDef("IP", index=IndexType.CIDR), NAME))
    assert cidr.index_order == (IndexType.EXACT, IndexType.CIDR, IndexType.SOUNDEX)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AttributeDef("a b"), "letters, digits"),
        (lambda: AttributeDef("x", multi_line=True, repeatable=True), "exclude each other"),
        (lambda: AttributeDef("x", primary=True), "must be required"),
        (lambda: ClassDef("c", (AttributeDef("id"),)), "taken twice"),
        (lambda: ClassDef("c", (NAME, AttributeDef("X", aliases=("n",)))), "taken twice"),
        (lambda: ClassDef("c d", ()), "letters, digits"),
        (lambda: Schema((CONTACT, ClassDef("Person", ()))), "taken twice"),
    ],
    ids=["name", "R2.3.1-12", "R2.3.1-16", "base", "alias", "class", "class-alias"],
)
def test_wrong_definitions_cannot_exist(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()


def test_attribute_numbers_go_by_first_appearance_in_the_area() -> None:
    other = ClassDef("host", (AttributeDef("Name"), AttributeDef("IP")))
    numbers = Schema((CONTACT, other)).attribute_numbers
    assert (numbers["class-name"], numbers["ttl"]) == ("0", "6")
    assert [numbers[n] for n in ("name", "pin", "organization", "ip")] == ["7", "8", "9", "10"]


def test_equal_keys_go_by_attribute_numbers_as_text() -> None:
    attributes = tuple(AttributeDef(name) for name in ("a", "b", "c", "d"))
    numbers = Schema((ClassDef("host", attributes),)).attribute_numbers
    assert sorted("abcd", key=numbers.__getitem__) == ["d", "a", "b", "c"]  # 10, 7, 8, 9


def test_a_class_word_belongs_to_the_area_that_registers_it_first() -> None:
    second = Schema((ClassDef("person", ()),))
    assert class_names([AREA.schema, second])["person"] == "contact"
    assert class_names([second, AREA.schema])["person"] == "person"


# --- objects --------------------------------------------------------------------------------


def test_file_order_is_the_text_order_of_offset_and_file() -> None:
    places = [(0, 0), (1294, 0), (13291, 0), (719, 0), (719, 1), (99, 0), (9, 0), (9, 12)]
    assert sorted(places, key=lambda p: file_order(*p)) == sorted(
        places, key=lambda p: f"{p[0]}:{p[1]}:"
    )
    assert file_order(2**40, 9999) < late_order(0) < late_order(1) < 2**63


def test_missing_base_lines_are_put_in_front() -> None:
    assert with_synthesized((("Name", "x"),), "a.com", "contact") == (
        ("Auth-Area", "a.com"),
        ("Class-Name", "contact"),
        ("Name", "x"),
    )
    complete = (("Auth-Area", "wrong"), ("Class-Name", "user"))
    assert with_synthesized(complete, "a.com", "contact") == complete


def test_keys_compare_by_equality_without_case() -> None:
    assert contact(("Name", "Ann")).key_values(CONTACT) == (("ANN",),)
    assert contact().key_values(ClassDef("x", ())) is None


# --- time -----------------------------------------------------------------------------------


def test_time_stamps_are_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=2)))
    stamp = TimeStamp.from_datetime(moment)
    assert stamp.text == "20260102010405678"
    assert stamp.to_datetime() == datetime(2026, 1, 2, 1, 4, 5, 678000, UTC)


@pytest.mark.parametrize(
    ("serial", "now", "expected"),
    [
        ("20260101000000000", "20260102000000000", "20260102000000000"),
        ("20260102000000000", "20260102000000000", "20260102000000001"),
        ("20260101235959999", "20250101000000000", "20260102000000000"),
        ("99999999999999998", "20250101000000000", "99999999999999999"),
    ],
)
def test_serials_strictly_increase(serial: str, now: str, expected: str) -> None:
    assert TimeStamp(serial).next(TimeStamp(now)).text == expected


def test_short_dates_are_padded_and_other_text_is_none() -> None:
    assert TimeStamp.padded("19961023") == TimeStamp("19961023000000000")
    assert TimeStamp.padded("1996-10-23") is None
    with pytest.raises(ValueError, match="17 digits"):
        TimeStamp("1")


# --- referrals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "server", "area"),
    [
        ("rwhois://h.example:43/auth-area=x.y", HostPort("h.example", 43), "x.y"),
        ("rwhois://h.example", HostPort("h.example"), ""),
        ("RWHOIS://h/AUTH-AREA=10.0.0.0/8/", HostPort("h"), "10.0.0.0/8"),
        ("rwhois://[2001:db8::1]:4321/auth-area=.", HostPort("2001:db8::1"), "."),
    ],
)
def test_referral_urls(text: str, server: HostPort, area: str) -> None:
    referral = Referral.from_text(text)
    assert (referral.server, referral.area) == (server, area)
    assert Referral.from_text(referral.to_text()) == referral


@pytest.mark.parametrize("text", ["http://h:1/", "rwhois://", "rwhois://h:99999", "rwhois://h:0"])
def test_wrong_referral_urls(text: str) -> None:
    with pytest.raises(ValueError, match="rwhois"):
        Referral.from_text(text)


def test_texts_of_referral_lines() -> None:
    assert link_text(" rwhois://h:1/ ", "x.y") == "rwhois://h:1/auth-area=x.y"
    assert link_text("rwhois://h/Auth-Area=q//", "x.y") == "rwhois://h/Auth-Area=q"
    assert [punt_text(t) for t in ("", " # no", "any text/")] == [None, None, "any text"]


AREAS = [AreaName.from_text(t) for t in ("com", "a.com", "10.0.0.0/8")]
PUNTS = ["rwhois://root/auth-area=."]


def links(area: int, name: HierarchicalName) -> Sequence[str]:
    return [f"{AREAS[area]}:{name}"]


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        ([["X.A.COM"]], ["a.com:x.a.com"]),  # R2.5.1-11: not routed by com
        ([["SMITH", "X.COM"]], ["com:x.com"]),  # R2.5.1-1, -2
        ([["B.ORG"], ["C.ORG"]], PUNTS),  # R2.5.1-13
        ([["X.COM", "B.ORG"]], ["com:x.com"]),
        ([["X.COM"], ["B.ORG"]], ["com:x.com", *PUNTS]),  # B40
        ([["BANANA.NET"]], PUNTS),  # B15
        ([["10.1.2.3"]], ["10.0.0.0/8:10.1.2.3/32"]),
        ([["11.0.0.1"]], PUNTS),
        ([["SMITH"]], []),
    ],
)
def test_routing(branches: list[list[str]], expected: list[str]) -> None:
    assert route(branches, AreaTree(AREAS), links, PUNTS) == expected


def test_covered_without_link_is_no_punt() -> None:
    assert route([["X.COM"]], AreaTree(AREAS), lambda _area, _name: (), PUNTS) == []  # R2.5.1-5


# --- guardians and visibility ---------------------------------------------------------------

GUARDED = contact(("ID", "1.a.com"), ("Guardian", "9.a.com"), ("Pin", "7"), ("Name", "Ann"))


def texts(lines: Sequence[tuple[AttributeDef, str]]) -> list[str]:
    return [f"{a.name}={v}" for a, v in lines]


def test_private_attributes_of_guarded_objects_are_for_guardians() -> None:
    assert "Pin=7" in texts(full_lines(GUARDED, CONTACT))
    assert "Pin=7" not in texts(public_lines(GUARDED, CONTACT, AREA))


def test_unguarded_objects_hide_nothing_in_queries_but_all_in_transfers() -> None:
    free = contact(("Pin", "7"), ("Private", "yes"), ("Bogus", "kept, never shown"))
    assert texts(public_lines(free, CONTACT, AREA))[2:] == ["Pin=7", "Private=yes"]  # ruling a
    assert transfer_lines(free, CONTACT, AREA) == ()  # ruling b
    assert "Pin=7" not in texts(transfer_lines(GUARDED, CONTACT, AREA))


def test_hidden_objects_show_nothing() -> None:
    hidden = contact(*GUARDED.lines, ("Private", "TRUE"))
    assert public_lines(hidden, CONTACT, AREA) == ()
    assert record_lines("contact", ()) == []


# --- dump format ----------------------------------------------------------------------------


def test_record_and_transfer_lines() -> None:
    lines = full_lines(contact(("Organization", "7.a.com")), CONTACT)
    assert record_lines("contact", lines)[-2:] == ["contact:Organization;I:7.a.com", ""]
    assert transfer_record("contact", lines)[-2:] == [
        "%xfer contact:Organization:7.a.com",
        "%xfer",
    ]


def test_schema_lines_in_both_dialects() -> None:
    rfc = [line.split(":")[1] for line in schema_record("contact", NAME, RFC)[:-1]]
    assert rfc == [
        *("attribute", "description", "type", "format", "indexed", "required", "multi-line"),
        *("repeatable", "primary", "hierarchical", "private"),
    ]
    arin = schema_record("contact", ORG, ARIN)
    assert arin[1:3] == ["%schema contact:format:none", "%schema contact:description:none"]
    assert arin[-3:] == ["%schema contact:type:ID", "%schema contact:primary:OFF", "%schema"]


def test_class_versions() -> None:
    assert class_record(CONTACT, ARIN, "")[:2] == [
        "%class contact:description:0",
        "%class contact:version:20240101",
    ]
    assert class_record(CONTACT, RFC, "")[1] == "%class contact:version:20240101000000000"
    free_text = ClassDef("x", (), version="v2")
    assert class_record(free_text, RFC, "20260101000000000")[1].endswith("20260101000000000")


def test_soa_lines() -> None:
    area = AuthorityArea(AREA.name, Soa("20260101000000000", hostmaster="h@a.com"))
    assert [line.partition(":")[0] for line in soa_record(area, RFC)] == [
        *(f"%soa {n}" for n in ("authority", "ttl", "serial", "refresh", "increment", "retry")),
        *(f"%soa {n}" for n in ("tech-contact", "admin-contact", "hostmaster", "primary")),
        "%soa",
    ]
    assert "%soa tech-contact:h@a.com" in soa_record(area, RFC)
    assert len(soa_record(area, ARIN)) == 9
    assert soa_record(AuthorityArea(AREA.name, None), RFC) == []


PLACES = [
    *(".", "com", "a.com", "b.a.com", "xa.com", "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16"),
    *("10.1.2.3/32", "0::/0", "2001:db8::/32", "2001:db8:1::/48"),
]


@given(names=st.lists(st.sampled_from(PLACES), max_size=8), wanted=st.sampled_from(PLACES))
def test_the_most_specific_area_decides(names: list[str], wanted: str) -> None:
    areas = [AreaName.from_text(name) for name in names]
    name = AreaName.from_text(wanted).place
    covering = [i for i, area in enumerate(areas) if area.covers(name)]
    expected = max(covering, key=lambda i: specificity(areas[i].place), default=None)
    assert AreaTree(areas).deciding(name) == expected


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("rwhois://h.net/auth-area=a", "rwhois://h.net:4321/auth-area=a"),
        ("RWhois://[2001:db8::1]", "RWhois://[2001:db8::1]:4321"),
        ("rwhois://h.net:43/auth-area=a", "rwhois://h.net:43/auth-area=a"),
        ("http://h.net/", "http://h.net/"),
        ("anything", "anything"),
    ],
)
def test_a_referral_without_port_is_completed(text: str, completed: str) -> None:
    assert with_port(text) == completed
