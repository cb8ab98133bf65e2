"""Whatever a parse program says and leaves: one last line, nothing invalid. Any Format."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rwhoisd.directory.dialect import ARIN
from rwhoisd.directory.format import Flavour, PatternError, matcher
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.validate import ObjectRules, unknown_attributes
from rwhoisd.image.current import ImageReader
from rwhoisd.service.ports import Parsed, Ports
from rwhoisd.service.service import Service
from tests.unit import service_kit as kit

PARSED = replace(kit.CONTACT, parse_program="check")
AREAS = (replace(kit.DOMAIN_AREA, schema=Schema((PARSED,))),)
OBJECTS = tuple(o for o in kit.OBJECTS if o.class_name == "contact" and o.area == "a.com")
REGISTRATIONS = {
    "add": ("CN: contact", "AA: a.com", "Name: New"),
    "mod": ("ID:1.a.com", "Updated:20240101", "---", "CN:contact", "AA:a.com", "Name:Changed"),
    "del": ("ID:1.a.com", "Updated:20240101"),
}
LAST = ("%ok", "%error")
LINES = st.sampled_from(
    [
        *(b"%ok", b"%error", b"%error 321 x", b"%error 120", b"%error 999 x", b"%error 501 gone"),
        *(b"%note", b"", b"\r", b"\0", b" %ok", b"\xff\xfe"),
        *(b"CN:contact", b"AA:a.com", b"AA:b.net", b"Name:New", b"Name:Jane", b"n:", b"Type:x"),
        *(b"ID:1.a.com", b"ID:2.a.com", b"UP:1", b"_NEW_", b"---", b"Bogus:x", b"Notes:\x85\t"),
    ]
)
TEXTS = st.lists(st.one_of(LINES, st.binary(max_size=12)), max_size=12).map(b"\n".join)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ImageReader:
    return kit.open_reader(tmp_path_factory.mktemp("image"), AREAS, OBJECTS)


@settings(deadline=None, max_examples=200)
@given(
    action=st.sampled_from(list(REGISTRATIONS)),
    output=TEXTS,
    content=st.one_of(st.none(), TEXTS),
    status=st.sampled_from([0, 0, 0, 1, 2, 3, None]),
)
def test_a_parse_program_says_and_leaves_anything(
    reader: ImageReader, action: str, output: bytes, content: bytes | None, status: int | None
) -> None:
    untouched = "\n".join(REGISTRATIONS[action]).encode()
    programs = kit.FakePrograms(
        parsed=Parsed(output, status, untouched if content is None else content)
    )
    registry = kit.FakeRegistry(OBJECTS, AREAS)
    before = dict(registry.rows)
    one = kit.Talk(Service(reader, kit.settings(), Ports(registry=registry, programs=programs)))
    said = one.say(f"-register on {action} a@a.com", *REGISTRATIONS[action], "-register off")
    assert said[0] == "%ok"
    assert [line for line in said[1:] if line.startswith(LAST)] == said[-1:]
    if status != 0:
        assert said[-1] != "%ok"
    if said[-1] != "%ok":
        assert registry.rows == before
    rules = ObjectRules(PARSED, Flavour.of(ARIN))
    for row, obj in registry.rows.items():
        if before.get(row) is not obj:
            assert not rules.violations(obj.lines)
            assert not list(unknown_attributes(obj.lines, PARSED))
            assert (obj.area, obj.class_name) == ("a.com", "contact")
            assert obj.id
            assert (obj.id == "1.a.com") is (action == "mod")


@settings(deadline=None, max_examples=300)
@given(
    pattern=st.text(st.sampled_from("ab*+?()[]{}|^$.\\,019-:é\0 "), max_size=20),
    flavour=st.sampled_from(Flavour),
    value=st.text(max_size=40),
)
def test_any_pattern_is_matched_or_refused(pattern: str, flavour: Flavour, value: str) -> None:
    try:
        matches = matcher(f"re:{pattern}", flavour)
    except PatternError:
        return
    assert matches is not None
    assert matches(value) in (True, False)
