"""Whatever is written is read as it was; whatever bytes are read, nothing breaks."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.format import Flavour, PatternError, matcher
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object, file_order
from rwhoisd.directory.schema import (
    BASE_NAMES,
    AttributeDef,
    AttributeType,
    ClassDef,
    IndexType,
    Schema,
)
from rwhoisd.directory.soa import Soa
from rwhoisd.directory.validate import ObjectRules
from rwhoisd.formats.arin import (
    ArinSettings,
    Installation,
    XDirective,
    read_installation,
    write_installation,
)
from rwhoisd.formats.arin_objects import ClassReader
from rwhoisd.formats.classes import class_toml, read_classes
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.formats.hosts_access import allowed, parse
from rwhoisd.formats.records import LINE_OCTETS, Part, clean, parts, pieces, read_part, records
from rwhoisd.formats.zone import ZoneWriter, find_zones, read_zone
from tests.arin_tree import lay

PRINTABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs"))
WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True).filter(
    lambda word: word.lower() not in BASE_NAMES
)
VALUES = st.text(PRINTABLE, min_size=1, max_size=30).filter(lambda v: v.strip() == v)
TEXTS = st.just("") | VALUES


def distinct(words: Sequence[str]) -> list[str]:
    return list({word.lower(): word for word in words}.values())


@st.composite
def attributes(draw: st.DrawFn) -> tuple[AttributeDef, ...]:
    names = distinct(draw(st.lists(WORDS, min_size=1, max_size=6)))
    made = []
    while names:
        name, count = names.pop(), draw(st.integers(0, 2))
        aliases, names = names[:count], names[count:]
        primary = draw(st.booleans())
        multi_line = draw(st.booleans())
        made.append(
            AttributeDef(
                name=name,
                aliases=tuple(aliases),
                description=draw(TEXTS),
                type=draw(st.sampled_from(AttributeType)),
                format=draw(st.sampled_from(["", "for people", "re:^.*$", "re: (A|b)?"])),
                index=draw(st.sampled_from(IndexType)),
                required=primary or draw(st.booleans()),
                primary=primary,
                multi_line=multi_line,
                repeatable=not multi_line and draw(st.booleans()),
                hierarchical=draw(st.booleans()),
                private=draw(st.booleans()),
            )
        )
    return tuple(made)


@st.composite
def classes(draw: st.DrawFn) -> tuple[ClassDef, ...]:
    names = distinct(draw(st.lists(WORDS, min_size=1, max_size=4)))
    return tuple(
        ClassDef(
            name=name,
            own_attributes=draw(attributes()),
            description=draw(TEXTS),
            version=draw(TEXTS),
        )
        for name in names
    )


@st.composite
def areas(draw: st.DrawFn) -> tuple[AuthorityArea, ...]:
    names = draw(
        st.lists(
            st.sampled_from(["a.com", "b.net", ".", "10.0.0.0/8", "2001:db8::/32", "x.a.com"]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    return tuple(
        AuthorityArea(
            name=AreaName.from_text(name),
            soa=Soa(
                serial_number=draw(VALUES),
                refresh_interval=draw(st.integers(1, 10**9)),
                primary_server="rwhois.a.com:4321",
                hostmaster=draw(VALUES),
            ),
            schema=Schema(draw(classes())),
            guardians=tuple(draw(st.lists(VALUES, max_size=2))),
            slaves=tuple(draw(st.lists(st.just(HostPort("s.a.com", 4322)), max_size=1))),
            position=position,
        )
        for position, name in enumerate(names)
    )


@st.composite
def lines_of(draw: st.DrawFn, class_def: ClassDef) -> tuple[tuple[str, str], ...]:
    """Lines of a valid object: required ones, and any others as often as they may stand."""
    found = []
    for attribute in class_def.own_attributes:
        least = 1 if attribute.required else 0
        most = 3 if attribute.multi_line or attribute.repeatable else 1
        for _ in range(draw(st.integers(least, most))):
            value = "A" if attribute.format.startswith("re:") else draw(VALUES)
            found.append((attribute.name, value))
    return tuple(draw(st.permutations(found)))


@st.composite
def objects_of(draw: st.DrawFn, area: AuthorityArea) -> list[Object]:
    found = []
    for class_def in area.schema.classes:
        offset = 0
        for _ in range(draw(st.integers(0, 3))):
            lines = draw(lines_of(class_def))
            if not lines:
                continue
            order = file_order(offset, 0)
            found.append(Object(area.name.text, class_def.name, lines, "arin-files", order=order))
            size = sum(len(f"{n}:{v}\n".encode()) for n, v in lines)
            offset += size + draw(st.integers(4, 2000))
    return found


@st.composite
def installations(draw: st.DrawFn) -> tuple[ArinSettings, list[tuple[AuthorityArea, list[Object]]]]:
    chosen = ArinSettings(
        root_dir=Path(),
        max_hits_ceiling=draw(st.integers(0, 10**6)),
        local_host=draw(TEXTS),
        query_allow_substr=draw(st.booleans()),
        verbosity=draw(st.integers(-1, 7)),
        directives={**ArinSettings(Path()).directives, "xfer": draw(st.booleans())},
        x_directives=tuple(
            XDirective(word, "/bin/true", draw(TEXTS), draw(st.integers(0, 9)))
            for word in draw(st.lists(WORDS, max_size=2))
        ),
        punts=tuple(draw(st.lists(st.just("rwhois://a.com:4321/auth-area=."), max_size=2))),
    )
    made = draw(areas())
    return chosen, [(area, draw(objects_of(area))) for area in made]


def contents(installation: Installation) -> list[tuple[AuthorityArea, list[Object]]]:
    return [(data.area, list(data.objects)) for data in installation.areas]


@given(installations())
@settings(deadline=None, max_examples=60)
def test_export_then_import_gives_the_same(
    installation: tuple[ArinSettings, list[tuple[AuthorityArea, list[Object]]]],
) -> None:
    chosen, wanted = installation
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            target = Path(folder, name)
            assert write_installation(target, chosen, wanted) == []
            found = read_installation(target / "rwhoisd.conf")
            assert not list(found.all_findings())
            assert replace(found.settings, root_dir=Path()) == chosen
            assert contents(found) == wanted
            wanted = contents(found)


@given(st.binary(max_size=3000), st.sampled_from([7, LINE_OCTETS]))
def test_pieces_are_the_octets_in_order(data: bytes, octets: int) -> None:
    found = list(pieces(data, octets))
    assert all(data[offset : offset + len(line)] == line for offset, _, line in found)
    assert b"".join(line for _, _, line in found) == data.replace(b"\n", b"")
    assert all(len(line) <= octets for _, _, line in found)


@given(st.binary(max_size=3000))
def test_any_bytes_give_records_in_order(data: bytes) -> None:
    found = list(records(data))
    assert [r.offset for r in found] == sorted({r.offset for r in found})
    for record in found:
        assert record.lines or record.odd
        for line in record.lines:
            assert clean(line.value) == line.value
            assert b"\n" not in line.tag


@given(
    name=st.sampled_from(
        [
            *("rwhoisd.conf", "rwhoisd.auth_area", "rwhoisd.dir", "rwhoisd.x.dir"),
            *("rwhoisd.root", "allow", "deny", "a/schema", "a/soa", "a/thing.tmpl"),
            "a/data/thing/thing.txt",
        ]
    ),
    junk=st.binary(max_size=200),
    at=st.integers(0, 2000),
)
@settings(deadline=None, max_examples=150)
def test_any_damage_is_told_or_harmless(name: str, junk: bytes, at: int) -> None:
    """An installation with junk in one file reads, or says in words why it does not."""
    with tempfile.TemporaryDirectory() as folder:
        conf = lay(Path(folder))
        data = Path(folder, name).read_bytes()
        at = min(at, len(data))
        Path(folder, name).write_bytes(data[:at] + junk + data[at:])
        told: list[Finding] = []
        try:
            told += read_installation(conf).all_findings()
        except FormatError as error:
            told += error.findings or [Finding("", 0, "")]  # none would be a fault
        assert all(f.message and f.file.startswith(folder) for f in told)


@given(areas().map(lambda made: made[0]), st.data())
@settings(deadline=None, max_examples=60)
def test_a_written_zone_reads_back(area: AuthorityArea, data: st.DataObject) -> None:
    area = replace(area, position=0)
    wanted: dict[tuple[str, object], Object] = {}
    for obj in data.draw(objects_of(area)):
        class_def = area.schema.class_def(obj.class_name)
        assert class_def is not None
        # Zones hold a primary key once, which objects of ARIN's files need not.
        wanted.setdefault((class_def.name, obj.key_values(class_def) or obj.lines), obj)
    with tempfile.TemporaryDirectory() as folder:
        with ZoneWriter(Path(folder, "new")) as writer:
            writer.begin(area)
            for obj in wanted.values():
                writer.add(obj)
        (path,) = find_zones(Path(folder, "new"))
        zone = read_zone(path)
    assert zone.area == area
    synthetic = ("class-name", "auth-area")
    found = sorted(
        (o.class_name, tuple(line for line in o.lines if line[0].lower() not in synthetic))
        for o in zone.objects
    )
    assert found == sorted((o.class_name, o.lines) for o in wanted.values())


@given(classes())
@settings(deadline=None)
def test_classes_survive_toml(made: tuple[ClassDef, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "classes.toml")
        path.write_text("\n".join(class_toml(c) for c in made), encoding="utf-8")
        assert read_classes(path) == made


@given(st.text(max_size=200), st.sampled_from(["192.0.2.1", "2001:db8::1", "::1"]))
def test_any_access_file_decides(text: str, address: str) -> None:
    rules, odd = parse(text)
    assert allowed("rwhoisd", address, rules, ()) is True
    assert allowed("rwhoisd", address, (), rules) in (True, False)
    assert all(line > 0 for line, _ in odd)


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(Flavour))
def test_any_pattern_matches_or_is_refused(pattern: str, value: str, flavour: Flavour) -> None:
    with suppress(PatternError):
        matches = matcher(f"re:{pattern}", flavour)
        assert matches is not None
        assert matches(value) in (True, False)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_a_quoted_text_matches_itself(text: str) -> None:
    quoted = "".join(f"\\{c}" for c in text)
    matches = matcher(f"re:^{quoted}$", Flavour.POSIX)
    assert matches is not None
    assert matches(text)


READER_CLASS = ClassDef(
    "host",
    (
        AttributeDef("Name", aliases=("N",), required=True, format="re:^[a-c:]+$"),
        AttributeDef("Note", multi_line=True),
        AttributeDef("City"),
    ),
)
DATA_LINES = st.sampled_from(
    [
        *(b"Name: a", b"name:b", b"N:  c ", b"Name:", b"Name: off", b"City: x\ty", b"city: \t z"),
        *(b"Note: a b", b"Note:one\x01 two", b"Other: 1", b"# Name: a", b"_City: x", b"no colon"),
        *(b"---", b"--- more", b" ---", b"_NEW_", b"", b" ", b"Note: caf\xc3\xa9", b"City : q"),
        *(b"Note: \xc2\x85", b"Note: " + b"q" * 600, b"Note: " + b"q" * 505 + b"---", b":x"),
        *(b"Name: a\0b", b"Note: x\r", b"-\x01--", b"Note: a:b", b"Note: " + b"\xc3\xa9" * 260),
    ]
)
DATA_FILES = st.lists(DATA_LINES, max_size=30).flatmap(
    lambda lines: st.sampled_from([b"\n", b"\r\n"]).map(lambda eol: eol.join(lines))
)


@given(data=DATA_FILES | st.lists(DATA_LINES, max_size=8).map(lambda p: b"\n---\n".join(p * 3)))
def test_objects_are_those_of_the_records_whatever_their_shape(data: bytes) -> None:
    """The reader's way by shape against the plain one: same lines, places and line numbers."""
    charset = "latin-1"
    reader = ClassReader("a.net", charset, READER_CLASS, ())
    found = reader.read(Path("f"), 3, Part(0, 1, len(data)), data)
    expected = []
    for record in records(data):
        lines = []
        for line in record.lines:
            attribute = READER_CLASS.attribute(tag := line.tag.decode(charset))
            if line.value and tag:
                name = attribute.name if attribute else tag
                lines.append((name, line.value.decode(charset)))
        if lines:
            order = file_order(record.offset, 3)
            expected.append((tuple(lines), order, record.lines[0].number))
    assert expected == [
        (obj.lines, obj.order, line) for obj, line in zip(found.objects, found.lines, strict=True)
    ]
    rules = ObjectRules(READER_CLASS, Flavour.V8_UPPER)
    known = [[pair for pair in o.lines if READER_CLASS.attribute(pair[0])] for o in found.objects]
    assert [obj.indexed for obj in found.objects] == [not rules.violations(k) for k in known]
    unknown = sum(1 for o in found.objects for n, _ in o.lines if not READER_CLASS.attribute(n))
    assert unknown == sum(count for count, _ in found.unknown.values())


@given(data=DATA_FILES, octets=st.integers(1, 200))
def test_parts_of_a_file_have_the_records_of_the_whole(data: bytes, octets: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(data)
        found = [
            record
            for part in parts(path, octets)
            for record in records(read_part(path, part), offset=part.offset, line=part.line)
        ]
    assert found == list(records(data))
