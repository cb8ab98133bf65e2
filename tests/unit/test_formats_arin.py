"""Reading and writing an installation of ARIN's rwhoisd (arin-rwhoisd.md §11)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.area import HostPort
from rwhoisd.directory.objects import Object, file_order, file_place, late_order
from rwhoisd.directory.schema import AttributeType, IndexType
from rwhoisd.formats.arin import (
    FormatError,
    Installation,
    XDirective,
    fingerprint,
    read_installation,
    write_installation,
)
from tests.arin_tree import AREA, SCHEMA, SOA, TEMPLATE, lay

Changes = dict[str, str | bytes | None]
DATA = "a/data/thing/thing.txt"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Changes], Installation]:
    return lambda changes: read_installation(lay(tmp_path, changes))


def objects(installation: Installation) -> list[Object]:
    return [obj for data in installation.areas for obj in data.objects]


def told(installation: Installation) -> list[str]:
    return [f"{Path(f.file).name}:{f.line} {f.message}" for f in installation.all_findings()]


# --- settings ---


def test_a_plain_tree_has_no_findings(read: Callable[[Changes], Installation]) -> None:
    installation = read({})
    assert told(installation) == []
    assert [obj.lines for obj in objects(installation)] == [
        (("ID", "1.a.com"), ("Name", "one")),
        (("ID", "2.a.com"), ("Name", "two")),
    ]


def test_settings_have_the_defaults_of_the_server(
    read: Callable[[Changes], Installation], tmp_path: Path
) -> None:
    settings = read({}).settings
    assert settings.root_dir == tmp_path
    assert (settings.max_hits_ceiling, settings.max_hits_default) == (2048, 20)
    assert (settings.deadman_time, settings.local_port, settings.max_children) == (200, 4321, 0)
    assert settings.query_allow_wildcard
    assert not settings.query_allow_substr
    assert set(settings.directives.values()) == {True}


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("MAX-HITS-CEILING: 7", "max_hits_ceiling", 7),
        ("query-allow-substr: On", "query_allow_substr", True),
        ("query-allow-wildcard: nope", "query_allow_wildcard", False),
        ("bin-loc: /usr/local/bin", "bin_path", "/usr/local/bin"),
        ("server-contact: a@b.com # x", "server_contact", "a@b.com # x"),
        ("verbosity: -1", "verbosity", -1),
        ("deadman-time: 30s", "deadman_time", 30),
        ("max-children: 5\nmax-children: 6", "max_children", 6),
    ],
)
def test_tags(
    read: Callable[[Changes], Installation], line: str, field: str, value: object
) -> None:
    conf = f"security-allow: allow\nsecurity-deny: deny\n{line}\n"
    assert getattr(read({"rwhoisd.conf": conf}).settings, field) == value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("max_children: 5", "tag 'max_children' is unknown and ignored"),
        ("max-children: many", "max-children 'many' is no number; the default is taken"),
        ("max-hits-ceiling: -3", "max-hits-ceiling '-3' is no number; the default is taken"),
        ("nonsense", "line 'nonsense' has no ':' and is ignored"),
    ],
)
def test_odd_tags_are_told(
    read: Callable[[Changes], Installation], line: str, message: str
) -> None:
    conf = f"security-allow: allow\nsecurity-deny: deny\n{line}\n"
    assert told(read({"rwhoisd.conf": conf})) == [f"rwhoisd.conf:3 {message}"]


def test_the_root_is_where_paths_start(tmp_path: Path) -> None:
    conf = lay(tmp_path / "root")
    text = f"root-dir: {tmp_path / 'root'}\n{conf.read_text()}"
    (tmp_path / "other.conf").write_text(text)
    assert len(objects(read_installation(tmp_path / "other.conf"))) == 2


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"rwhoisd.conf": "root-dir: nowhere\n"}, "rwhoisd.conf:1", "root-dir 'nowhere'"),
        ({"rwhoisd.x.dir": None}, "rwhoisd.conf", "x-directive-file"),
        ({"rwhoisd.root": None}, "rwhoisd.conf", "punt-file"),
        ({"allow": None}, "rwhoisd.conf:2", "security-allow"),
        ({"rwhoisd.auth_area": None}, "rwhoisd.conf", "auth-area-file"),
        ({"a/soa": None}, "rwhoisd.auth_area:5", "soa-file a/soa does not exist"),
        ({"a/schema": None}, "rwhoisd.auth_area:4", "schema-file a/schema does not exist"),
        (
            {"rwhoisd.auth_area": AREA.replace("a/data", "b/data")},
            "rwhoisd.auth_area:3",
            "data-dir b/data does not exist",
        ),
    ],
)
def test_what_the_server_would_not_start_with(
    tmp_path: Path, changes: Changes, where: str, message: str
) -> None:
    with pytest.raises(FormatError) as caught:
        read_installation(lay(tmp_path, changes))
    (finding,) = caught.value.findings
    assert f"{Path(finding.file).name}:{finding.line}".removesuffix(":0") == where
    assert message in finding.message


def test_directive_files(read: Callable[[Changes], Installation]) -> None:
    installation = read(
        {
            "rwhoisd.dir": "XFER: no\nsoa: off\nrwhois: no\nbogus: no\nlimit: yes\n",
            "rwhoisd.x.dir": (
                "command: date\ncommand-len: 2\nprogram: /bin/date -u\ndescription: Time\n"
                "---\ncommand: half\n---\nprogram: /bin/true\n---\ncommand: q\nprogram: /bin/q\n"
            ),
        }
    )
    off = [name for name, on in installation.settings.directives.items() if not on]
    assert off == ["soa", "xfer"]
    assert installation.settings.x_directives == (
        XDirective("date", "/bin/date -u", "Time", 2),
        XDirective("half", "/bin/true", "Time", 0),
        XDirective("q", "/bin/q", "Time", 0),
    )
    assert told(installation) == [
        "rwhoisd.dir:3 rwhois cannot be turned off; it stays on",
        "rwhoisd.dir:4 directive 'bogus' is unknown and ignored",
        "rwhoisd.x.dir:6 a record needs command and program; it is ignored",
    ]


def test_punt_file(read: Callable[[Changes], Installation]) -> None:
    text = "# up\n\n  rwhois://a.com:4321/auth-area=./ \nany text\n"
    assert read({"rwhoisd.root": text}).settings.punts == (
        "rwhois://a.com:4321/auth-area=.",
        "any text",
    )


# --- areas ---


def test_areas_with_everything(read: Callable[[Changes], Installation]) -> None:
    text = (
        AREA + "guardian: 1.a.com\nguardian: 2.a.com\nslave: s.a.com 4322\nslave: t.a.com\n---\n"
        "type: SECONDARY\nname: 10.0.0.0/8\nmaster: m.b.com 4400\nxfer-arg: class=network\n"
    )
    first, second = (data.area for data in read({"rwhoisd.auth_area": text}).areas)
    assert (first.role, first.guardians) == ("master", ("1.a.com", "2.a.com"))
    assert first.slaves == (HostPort("s.a.com", 4322), HostPort("t.a.com", 4321))
    assert (second.role, second.soa, second.schema.classes) == ("slave", None, ())
    assert second.masters == (HostPort("m.b.com", 4400),)
    assert (second.transfer_arguments, second.position) == ("class=network", 1)


@pytest.mark.parametrize(
    ("name", "served"),
    [
        (".a.com.", "a.com"),
        (".", "."),
        ("10.1.2.3/8", "10.1.2.3/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("a.info", "a.info"),
        ("10.0.0.0", None),
        ("10.0.0.0/33", None),
        ("a b.com", None),
        ("", None),
    ],
)
def test_area_names(read: Callable[[Changes], Installation], name: str, served: str | None) -> None:
    installation = read({"rwhoisd.auth_area": AREA.replace("a.com", name)})
    assert [data.area.name.text for data in installation.areas] == ([served] if served else [])
    assert bool(told(installation)) == (served is None or name == "a.info")


def test_an_area_that_is_not_complete_is_left_out_but_others_are_served(
    read: Callable[[Changes], Installation],
) -> None:
    text = AREA.replace("a.com", "b.com").replace("a/soa", "b.soa") + "---\n" + AREA
    installation = read(
        {"rwhoisd.auth_area": text, "b.soa": SOA.replace("Retry-Interval: 60\n", "")}
    )
    assert [data.area.name.text for data in installation.areas] == ["a.com"]
    assert told(installation) == [
        "b.soa:0 SOA variables missing or zero: retry-interval; give each a value",
        "rwhoisd.auth_area:1 area b.com is left out, as it is not complete",
    ]


def test_an_area_defined_twice_counts_once(read: Callable[[Changes], Installation]) -> None:
    installation = read({"rwhoisd.auth_area": AREA + "---\n" + AREA.replace("a.com", "A.COM")})
    assert [data.area.name.text for data in installation.areas] == ["a.com"]
    assert told(installation) == [
        "rwhoisd.auth_area:7 area A.COM is defined twice; the first counts"
    ]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("Serial-Number: any text", "serial_number", "any text"),
        ("Time-To-Live: 1d", "time_to_live", 1),
        ("---\nTime-To-Live: 55", "time_to_live", 55),
        ("Primary-Server: localhost:4321", "primary_server", "localhost:4321"),
    ],
)
def test_soa(read: Callable[[Changes], Installation], line: str, field: str, value: object) -> None:
    soa = read({"a/soa": SOA + line + "\n"}).areas[0].area.soa
    assert getattr(soa, field) == value


# --- schema and templates ---


def test_class_and_attributes(read: Callable[[Changes], Installation]) -> None:
    (class_def,) = read({}).areas[0].area.schema.classes
    assert (class_def.name, class_def.aliases, class_def.version) == ("thing", ("item",), "1.0")
    by_name = {a.name: a for a in class_def.own_attributes}
    assert by_name["Name"].primary
    assert by_name["Name"].aliases == ("N",)
    assert by_name["Phone"].format == "re: ^[+][0-9-]+$"
    assert by_name["Net"].index is IndexType.CIDR
    assert by_name["Boss"].type is AttributeType.ID
    assert by_name["Notes"].multi_line


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("attribute: X\nindex: FIRST", "index FIRST counts as NONE"),
        ("attribute: X\ntype: ZORK", "type ZORK counts as TEXT"),
        ("attribute: X\nzork: 1", "tag 'zork' is unknown and ignored"),
        ("attribute: Name", "attribute Name is ignored: Name is taken"),
        ("attribute: X\nattribute-alias: N", "attribute X is ignored: N is taken"),
        ("attribute: ID", "attribute ID is ignored: ID is taken"),
        ("attribute: X\nattribute-alias: grd", "attribute X is ignored: grd is taken"),
        ("attribute: X\nis-primary-key: yes", "a primary key must be required"),
        ("attribute: X\nis-multi-line: yes\nis-repeatable: yes", "exclude each other"),
        ("index: ALL", "attribute is ignored"),
        ("attribute: X\nformat: re:(", "is no expression and constrains nothing"),
    ],
)
def test_template_oddities(
    read: Callable[[Changes], Installation], record: str, message: str
) -> None:
    installation = read({"a/thing.tmpl": f"{TEMPLATE}---\n{record}\n"})
    (text,) = told(installation)
    assert message in text
    assert text.startswith("thing.tmpl:")


@pytest.mark.parametrize(
    ("schema", "names", "message"),
    [
        (SCHEMA + "---\n" + SCHEMA, ["thing"], "class name thing is taken; this class is ignored"),
        (SCHEMA + "alias: THING\n", ["thing"], "alias THING is taken; ignored"),
        ("name: bare\ndbdir: a/data/thing\n", ["bare"], None),
        (SCHEMA.replace("a/data/thing", "gone"), ["thing"], "dbdir gone does not exist"),
        (SCHEMA.replace("name: thing\n", ""), [], "class without name is ignored"),
        (SCHEMA + "command: thing2\n", ["thing"], None),
    ],
)
def test_schema_oddities(
    read: Callable[[Changes], Installation], schema: str, names: list[str], message: str | None
) -> None:
    installation = read({"a/schema": schema})
    assert [c.name for c in installation.areas[0].area.schema.classes] == names
    found = [t for t in told(installation) if t.startswith("schema:")]
    assert len(found) == (message is not None)
    assert all(message in t for t in found if message)


def test_a_missing_template_leaves_the_area_out(
    read: Callable[[Changes], Installation],
) -> None:
    installation = read({"a/thing.tmpl": None})
    assert installation.areas == ()
    assert told(installation)[0] == "schema:3 attributedef a/thing.tmpl does not exist"


# --- objects ---


def test_names_become_canonical_and_values_stay(
    read: Callable[[Changes], Installation],
) -> None:
    text = "n: two  words: here \nPHONE:\nzork: kept\n_Rep: gone\nclass-name: item\n"
    installation = read({DATA: text})
    (obj,) = objects(installation)
    assert obj.lines == (("Name", "two  words: here"), ("zork", "kept"), ("Class-Name", "item"))
    assert (obj.area, obj.class_name, obj.source) == ("a.com", "thing", "arin-files")
    assert told(installation) == [
        "thing.txt:3 attribute 'zork' is unknown in class thing; kept, but never shown"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Phone:+1", "required attribute Name missing"),
        ("Name:a\nName:b", "attribute Name stands 2 times"),
        ("Name:a\nPhone:none", "value 'none' of Phone is not of the form"),
        ("Name:a\nID:1.a\nID:2.a", "attribute ID stands 2 times"),
    ],
)
def test_what_the_indexer_refuses_is_kept_but_not_found(
    read: Callable[[Changes], Installation], text: str, message: str
) -> None:
    installation = read({DATA: f"{text}\n---\nName:good\nRep:1\nRep:2\nNotes:1\nNotes:2\n"})
    bad, good = objects(installation)
    assert (bad.indexed, good.indexed) == (False, True)
    (finding,) = told(installation)
    assert message in finding
    assert finding.endswith("; no query finds the object")


def test_an_index_made_without_validation_is_believed(
    read: Callable[[Changes], Installation],
) -> None:
    listing = f"type:DATA\nfile:{DATA}\nfile_no:3\n---\ntype:EXACT\nfile:a/data/thing/x.ndx\n"
    installation = read(
        {
            DATA: "Phone:+1\n---\nPhone:+2\n",
            "a/data/thing/local.db": listing,
            "a/data/thing/x.ndx": "0:3:0:8:+1\n13:3:1:8:+2\n",
        }
    )
    assert [obj.indexed for obj in objects(installation)] == [True, False]


def test_files_without_list_come_by_name(read: Callable[[Changes], Installation]) -> None:
    names = ("b.txt", "a.txt", "B.txt", "c.text", "d.txt~")
    installation = read({DATA: None, **{f"a/data/thing/{n}": f"---\nName:{n}\n" for n in names}})
    found = [(obj.get("Name"), file_place(obj.order)) for obj in objects(installation)]
    assert found == [("B.txt", (4, 0)), ("a.txt", (4, 1)), ("b.txt", (4, 2))]


@pytest.mark.parametrize("kind", ["DATA", "EXACT"])
@pytest.mark.parametrize("path", ["../outside.txt", "a/../../outside.txt", "/etc/hosts"])
def test_a_list_names_files_of_the_tree_only(
    read: Callable[[Changes], Installation], path: str, kind: str
) -> None:
    """Who may change data may not be who may choose what the server reads."""
    listing = f"type:{kind}\nfile:{path}\nfile_no:1\n---\ntype:DATA\nfile:{DATA}\nfile_no:2\n"
    installation = read({DATA: "Name:here\n", "a/data/thing/local.db": listing})
    assert [obj.get("Name") for obj in objects(installation)] == ["here"]
    (finding,) = (f for f in installation.findings if "leaves the tree" in f.message)
    assert path in finding.message


def test_a_list_decides_over_files_numbers_and_order(
    read: Callable[[Changes], Installation],
) -> None:
    record = "type:DATA\nfile:a/data/thing/%s\nfile_no:%s\nsize:9\nnum_recs:1\nlock:%s\n"
    listing = "---\n".join(
        record % row
        for row in (
            *(("b.txt", 7, "OFF"), ("gone.txt", 8, "OFF"), ("a.txt", 2, "OFF")),
            *(("b.txt", 9, "OFF"), ("c.txt", 5, "ON")),
        )
    )
    names = ("a.txt", "b.txt", "c.txt", "d.txt")
    files = {f"a/data/thing/{n}": f"Name:{n}\n" for n in names}
    installation = read({DATA: None, "a/data/thing/local.db": listing, **files})
    found = [(obj.get("Name"), file_place(obj.order)) for obj in objects(installation)]
    assert found == [("b.txt", (0, 7)), ("a.txt", (0, 2))]
    assert [t.partition(" ")[2] for t in told(installation)] == [
        "data file a/data/thing/gone.txt does not exist; left out",
        "data file a/data/thing/b.txt is listed twice; read once",
        "a/data/thing/c.txt is locked and left out",
    ]


@pytest.mark.parametrize(
    ("schema", "data", "charset", "shown"),
    [
        ("description: Ä", "Name:Ä\n".encode(), "utf-8", ("Ä", "Ä")),
        ("description: Ä", b"Name:\xc4\n", "latin-1", ("Ã\x84", "Ä")),
        ("description: A", b"Name:A\n", "utf-8", ("A", "A")),
    ],
)
def test_one_charset_for_all_text_of_an_area(
    read: Callable[[Changes], Installation],
    schema: str,
    data: bytes,
    charset: str,
    shown: tuple[str, str],
) -> None:
    text = SCHEMA.replace("description: Things", schema)
    installation = read({"a/schema": text.encode(), DATA: data})
    area = installation.areas[0].area
    assert area.charset == charset
    (obj,) = objects(installation)
    assert (area.schema.classes[0].description, obj.get("Name")) == shown


@pytest.mark.parametrize("place", [(0, 0), (719, 0), (13291, 0), (10**8, 123)])
def test_places_survive_as_orders(place: tuple[int, int]) -> None:
    assert file_place(file_order(*place)) == place


@pytest.mark.parametrize("order", [0, 1, late_order(0), late_order(99)])
def test_other_orders_are_no_places(order: int) -> None:
    assert file_place(order) is None


# --- writing ---


def round_trip(installation: Installation, target: Path) -> Installation:
    areas = [(data.area, data.objects) for data in installation.areas]
    assert write_installation(target, installation.settings, areas) == []
    return read_installation(target / "rwhoisd.conf")


def test_export_reads_back_as_it_was(tmp_path: Path) -> None:
    listing = "".join(
        f"type:DATA\nfile:a/data/thing/{name}\nfile_no:{number}\n---\n"
        for name, number in (("q.txt", 4), ("p.txt", 1))
    )
    before = read_installation(
        lay(
            tmp_path / "before",
            {
                "rwhoisd.conf": "security-allow: allow\nsecurity-deny: deny\nmax-children: 3\n"
                "use-syslog: NO\nerr-log-file: e.log\ncidr-search-direction: UP\n",
                "rwhoisd.dir": "xfer: no\n",
                "rwhoisd.x.dir": "command: d\nprogram: /bin/date\ndescription: x\n---\n"
                "command: e\nprogram: /bin/e\ndescription:\n",
                "rwhoisd.root": "rwhois://a.com:4321/auth-area=.\n",
                "allow": "ALL: ALL\n",
                "deny": "# nobody\nlast",
                "rwhoisd.auth_area": AREA + "guardian: 1.a.com\n---\ntype: slave\nname: b.com\n"
                "master: m.b.com 4322\nxfer-arg: class=x\n",
                DATA: None,
                "a/data/thing/local.db": listing,
                "a/data/thing/p.txt": "# much\n# comment\n\nName:p1\nzork:1\n---\nName:p2\n",
                "a/data/thing/q.txt": "---\nName:q1\n---\n_Name:gone\n---\nPhone:bad\n",
            },
        )
    )
    after = round_trip(before, tmp_path / "after")
    assert after.settings == replace(before.settings, root_dir=tmp_path / "after")
    assert [data.area for data in after.areas] == [data.area for data in before.areas]
    assert objects(after) == objects(before)
    assert len(objects(after)) == 4


def test_export_refuses_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(FormatError, match="is there already"):
        write_installation(tmp_path / "used", None, [])
    assert [p.name for p in tmp_path.iterdir()] == ["used"]


def test_an_export_that_fails_leaves_nothing(
    tmp_path: Path, read: Callable[[Changes], Installation]
) -> None:
    area = read({}).areas[0].area

    def broken() -> list[Object]:
        raise RuntimeError("source lost")

    with pytest.raises(RuntimeError):
        write_installation(tmp_path / "new", None, ((area, broken()) for _ in range(1)))
    assert not list(tmp_path.glob("new*"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("_odd", "x"), "cannot stand in a data file"),
        (("---", "x"), "cannot stand in a data file"),
        (("Name", ""), "cannot stand in a data file"),
        (("Name", "x" * 600), "too long or has odd blanks"),
        (("Name", " x"), "too long or has odd blanks"),
        (("Name", "a\x01b"), "too long or has odd blanks"),
    ],
)
def test_what_the_format_cannot_hold_is_told(
    tmp_path: Path,
    read: Callable[[Changes], Installation],
    line: tuple[str, str],
    message: str,
) -> None:
    area = read({}).areas[0].area
    obj = Object("a.com", "thing", (("Name", "good"), line), indexed=False)
    (finding,) = write_installation(tmp_path / "new", None, [(area, [obj])])
    assert message in finding.message


def test_an_audience_is_told_as_it_is_not_in_an_export(
    tmp_path: Path, read: Callable[[Changes], Installation]
) -> None:
    area = replace(read({}).areas[0].area, audience=("10.0.0.0/8", "192.0.2.0/24"))
    (finding,) = write_installation(tmp_path / "new", None, [(area, [])])
    assert finding.message == (
        "area a.com is answered to 10.0.0.0/8, 192.0.2.0/24 only; ARIN's server answers everybody"
    )


def test_a_privacy_profile_is_told_as_it_is_not_in_an_export(
    tmp_path: Path, read: Callable[[Changes], Installation]
) -> None:
    area = replace(read({}).areas[0].area, privacy="residential")
    (finding,) = write_installation(tmp_path / "new", None, [(area, [])])
    assert finding.message == "area a.com has a privacy profile; ARIN's server shows everything"


# --- fingerprint ---


def test_fingerprint_follows_every_file(tmp_path: Path) -> None:
    conf = lay(tmp_path)
    first = fingerprint(conf)
    assert fingerprint(conf) == first
    seen = {first}
    for name in ("rwhoisd.dir", "a/soa", "a/thing.tmpl", DATA, "deny", "rwhoisd.root"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"# more\n")
        seen.add(fingerprint(conf))
    (tmp_path / "a/data/thing/new.txt").write_text("Name:new\n")
    seen.add(fingerprint(conf))
    assert len(seen) == 8
