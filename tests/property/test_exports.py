"""CSV comes back as it was; no reverse name is lost or doubled."""

import ipaddress
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName, Network
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import NAME, AttributeDef, ClassDef, Schema
from rwhoisd.formats.export_csv import Csv, read_csv
from rwhoisd.formats.export_hosts import Address
from rwhoisd.formats.export_ptr import origin, owner, zone_prefixes
from rwhoisd.formats.export_walk import Entry
from rwhoisd.formats.findings import FormatError

THING = ClassDef("thing", tuple(AttributeDef(n) for n in ("Name", "Source", "Note")))
AREA = AuthorityArea(AreaName.from_text("a.com"), None, Schema((THING,)))
# What a store takes: no line end, no surrogate; in a name no colon.
TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))
NAMES = st.sampled_from([a.name for a in THING.attributes]) | st.from_regex(NAME, fullmatch=True)
LINES = st.lists(st.tuples(NAMES.filter(lambda n: n.lower() != "guard-info"), TEXT))
OBJECTS = st.builds(
    Object, st.just("a.com"), st.just("thing"), LINES.map(tuple), st.sampled_from(["zone", "a,b"])
)


def by_attribute(obj: Object) -> tuple[str, str, str, dict[str, list[str]]]:
    values: dict[str, list[str]] = {}
    for name, value in obj.lines:
        values.setdefault(name, []).append(value)
    return obj.area, obj.class_name, obj.source, values


@given(objects=st.lists(OBJECTS))
def test_csv_reads_back(objects: list[Object]) -> None:
    text = Csv([AREA], "thing").text(Entry(AREA, THING, obj) for obj in objects)
    back = read_csv(text)
    assert list(map(by_attribute, back)) == list(map(by_attribute, objects))
    again = Csv([AREA], "thing").text(Entry(AREA, THING, obj) for obj in back)
    assert again == text


@given(text=st.text() | st.text(st.sampled_from('a",\r\n:')))
def test_reading_csv_gives_objects_or_a_finding(text: str) -> None:
    head = "ID,(area),(class),(source),Name,(other)\r\n"
    with suppress(FormatError):
        assert all(len(line) == 2 for obj in read_csv(head + text) for line in obj.lines)


@given(data=st.data(), family=st.sampled_from([4, 6]))
def test_every_address_has_its_reverse_name_in_one_zone(data: st.DataObject, family: int) -> None:
    bits = {4: 32, 6: 128}[family]
    number = data.draw(st.integers(0, (1 << bits) - 1))
    prefix = Network.masked(family, number, data.draw(st.integers(0, bits)))
    zones = zone_prefixes(prefix)
    holding = [z for z in zones if z.start <= number <= z.last]
    assert len(holding) == 1
    assert sum(z.last - z.start + 1 for z in zones) == prefix.last - prefix.start + 1
    name = owner(Address(family, number), holding[0])
    whole = origin(holding[0]) if name == "@" else f"{name}.{origin(holding[0])}"
    if "/" in whole:  # RFC 2317: the label with the slash stands between
        whole = ".".join(label for label in whole.split(".") if "/" not in label)
    address = ipaddress.ip_address(number.to_bytes(bits // 8))
    assert whole == address.reverse_pointer
