"""Zone folders, class files in TOML, and what ships (issue: data in)."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.schema import BASE_NAMES, AttributeType, IndexType
from rwhoisd.formats.check import check_path
from rwhoisd.formats.classes import class_toml, read_classes, shipped, shipped_names
from rwhoisd.formats.findings import FormatError
from rwhoisd.formats.zone import ZoneWriter, find_zones, object_text, read_zone, zone_toml

ZONE = """\
name = "example.net"
classes = ["contact", "host"]

[soa]
primary-server = "rwhois.example.net:4321"
hostmaster = "hostmaster@example.net"
"""
HOST = "ID: H-1.example.net\nHost-Name: ns1.example.net\nIP-Address: 192.0.2.1\n"
SAMPLE = Path(__file__).parents[2] / "data"


def lay(folder: Path, zone: str = ZONE, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zone.toml").write_text(zone, encoding="utf-8")
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.txt").write_bytes(data)
    return folder


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(FormatError) as caught:
        read_zone(folder)
    return [f"{Path(f.file).name}:{f.line} {f.message}" for f in caught.value.findings]


def test_a_zone(tmp_path: Path) -> None:
    text = f"# hosts\n\n{HOST}IP-Address:  2001:db8::1 \n# in between\n\n\n" + HOST.replace(
        "1", "2"
    )
    zone = read_zone(lay(tmp_path, host=text))
    assert zone.area.name.text == "example.net"
    assert [c.name for c in zone.area.schema.classes] == ["contact", "host"]
    first, second = zone.objects
    assert first.values("IP-Address") == ("192.0.2.1", "2001:db8::1")
    assert (second.id, second.class_name, second.source) == ("H-2.example.net", "host", "zone")


def test_the_class_is_that_of_the_object_before_that_of_the_file(tmp_path: Path) -> None:
    zone = read_zone(lay(tmp_path, mixed=f"Class-Name: HOST\n{HOST}"))
    assert zone.objects[0].class_name == "host"


def test_names_become_canonical(tmp_path: Path) -> None:
    text = "id: 1.example.net\nfull-name: A\ne-mail: a@example.net\n"
    zone = read_zone(lay(tmp_path, contact=text))
    assert [n for n, _ in zone.objects[0].lines] == ["ID", "Name", "Email"]


def test_the_charset_of_the_zone_holds_for_its_files(tmp_path: Path) -> None:
    text = "Name: Z\xfcrich\nEmail: a@example.net\n"
    latin = ZONE.replace("[soa]", 'charset = "ISO-8859-1"\n[soa]')
    zone = read_zone(lay(tmp_path, latin, contact=text.encode("latin-1")))
    assert (zone.area.charset, zone.objects[0].get("Name")) == ("latin-1", "Zürich")
    (told,) = mistakes(lay(tmp_path, ZONE, contact=text.encode("latin-1")))
    assert told == "contact.txt:0 is not utf-8 at octet 7; save it so"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Host-Name ns1", "2 line 'Host-Name ns1' is no 'Attribute: value'", id="colon"
        ),
        pytest.param("Colour: red", "2 attribute Colour is unknown in class host", id="320"),
        pytest.param(
            "Host-Name: ns2.example.net", "2 attribute Host-Name stands 2 times", id="twice"
        ),
        pytest.param("Location:", "2 Location has no value", id="empty"),
        pytest.param("Location: a\x01b", "2 Location holds the control character", id="control"),
        pytest.param("Auth-Area: example.org", "1 Auth-Area 'example.org' is not", id="340"),
        pytest.param("Class-Name: zork", "2 class 'zork' is none of this zone", id="341"),
    ],
)
def test_mistakes_have_a_place_and_a_mend(tmp_path: Path, text: str, expected: str) -> None:
    first, _, rest = HOST.replace("ID: H-1.example.net\n", "").partition("\n")
    found = mistakes(lay(tmp_path, host=f"{first}\n{text}\n{rest}\n"))
    assert found[0].startswith(f"host.txt:{expected}")


def test_missing_required_attribute(tmp_path: Path) -> None:
    assert mistakes(lay(tmp_path, host="\nHost-Name: a.example.net\n")) == [
        "host.txt:2 required attribute IP-Address missing; add it"
    ]


def test_format(tmp_path: Path) -> None:
    text = "Name: a\nEmail: a@example.net\nPhone: none\n"
    assert mistakes(lay(tmp_path, contact=text)) == [
        "contact.txt:3 value 'none' of Phone is not of the form 're:^[+][0-9. -]+$'"
    ]


def test_double_keys_and_ids(tmp_path: Path) -> None:
    found = mistakes(lay(tmp_path, host=f"{HOST}\n{HOST}"))
    assert [line.partition(" ")[0] for line in found] == ["host.txt:6", "host.txt:1", "host.txt:5"]
    assert "the primary key Host-Name is that of" in found[0]
    assert "ID H-1.example.net stands more than once" in found[1]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("name = 3", "zone.toml:1 name: Input should be a valid string"),
        (ZONE.replace("name", "nmae", 1), "zone.toml:0 key 'name' is missing; add it"),
        (ZONE + "retry-intervall = 1\n", "did you mean 'retry-interval'?"),
        (ZONE + "retry-interval = 0\n", "zone.toml:7 soa.retry-interval: Input should be greater"),
        (ZONE.replace('"host"', '"hosts"'), "class 'hosts' is not one of asn, contact"),
        (ZONE.replace("example.net", "a b", 1), "zone.toml:1 name: 'a b' is no domain name"),
        (ZONE.replace("[soa]", 'slaves = ["x"]\n[soa]'), "slaves: 'x' is no host:port"),
        (ZONE.replace("[soa]", 'charset = "klingon"\n[soa]'), "zone.toml:4 charset: charset"),
        (
            ZONE.replace("[soa]", 'answer-to = [\n"10.0.0.1/8"]\n[soa]'),
            "zone.toml:4 answer-to: '10.0.0.1/8' has bits set behind the prefix; write",
        ),
        (ZONE.replace("[soa]", "answer-to = []\n[soa]"), "zone.toml:4 answer-to: no network is"),
        (ZONE.replace("[soa]", 'answer-to = ["all"]\n[soa]'), "'all' is everybody; to answer"),
        (ZONE.replace("[soa]", 'answer-to = "10.0.0.0/8"\n[soa]'), "zone.toml:4 answer-to: Input"),
        (ZONE.replace("[soa]", 'answers-to = ["::1"]\n[soa]'), "did you mean 'answer-to'?"),
        (ZONE + "[[[", "zone.toml:7 is no TOML"),
        (
            ZONE + '[class.x]\n[[class.x.attribute]]\nname = "a"\n'
            '[[class.x.attribute]]\nname = "b"\nindexed = true\n',
            "zone.toml:12 key 'class.x.attribute.1.indexed' is unknown; did you mean 'index'?",
        ),
        (ZONE + '[class.x]\n[[class.x.attribute]]\nname = "a b"\n', "attribute name 'a b'"),
        (
            ZONE + '[class.x]\n[[class.x.attribute]]\nname = "a"\nformat = "re:("\n',
            "is no expression",
        ),
    ],
)
def test_mistakes_in_zone_toml(tmp_path: Path, zone: str, expected: str) -> None:
    assert any(expected in told for told in mistakes(lay(tmp_path, zone)))


def test_a_class_may_come_from_a_file_of_the_operator(tmp_path: Path) -> None:
    (tmp_path / "vm.toml").write_text('[class.vm]\n[[class.vm.attribute]]\nname = "Name"\n')
    zone = read_zone(lay(tmp_path, ZONE.replace('"host"', '"vm.toml"'), vm="Name: x\n"))
    assert zone.objects[0].class_name == "vm"


def test_zones_are_found_in_a_folder_and_below(tmp_path: Path) -> None:
    lay(tmp_path / "b")
    lay(tmp_path / "a")
    assert find_zones(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_zones(tmp_path / "a") == [tmp_path / "a"]
    with pytest.raises(FormatError, match=r"is no folder with a zone\.toml"):
        find_zones(tmp_path / "c")
    (tmp_path / "none").mkdir()
    with pytest.raises(FormatError, match=r"holds no zone\.toml"):
        find_zones(tmp_path / "none")


# --- what ships ---


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_classes_survive_writing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "class.toml"
    path.write_text(class_toml(shipped(name)), encoding="utf-8")
    assert read_classes(path) == (shipped(name),)


def test_the_shipped_network_has_what_clients_parse() -> None:
    network = shipped("network")
    names = {a.name for a in network.attributes}
    assert names >= {
        *("Network-Name", "IP-Network", "IP-Network-Block", "Org-Name", "Organization"),
        *("Street-Address", "City", "State", "Postal-Code", "Country-Code", "Tech-Contact"),
        *("Admin-Contact", "Abuse-Contact", "Created", "Updated", "Updated-By"),
    }
    block, org = network.attribute("IP-Network"), network.attribute("Organization")
    assert block is not None
    assert org is not None
    assert (block.primary, block.required, block.index) == (True, True, IndexType.CIDR)
    assert org.type is AttributeType.ID


@pytest.mark.parametrize("name", shipped_names())
def test_no_word_of_a_shipped_class_is_a_country_or_a_class(name: str) -> None:
    """A word that names an attribute cannot stand unquoted behind "=" in arin mode."""
    words = {n.lower() for a in shipped(name).own_attributes for n in a.names} - BASE_NAMES
    assert not words & set(shipped_names()) - {"organization", "referral"}
    assert all(len(word) > 2 for word in words)


def test_the_sample_operator_is_without_fault() -> None:
    assert list(check_path(SAMPLE)) == []


@pytest.mark.parametrize("closed", ["zones", "example.net"])
def test_a_folder_that_cannot_be_looked_into_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    folder = lay(tmp_path / "zones" / "example.net", host=HOST)
    really = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(FormatError, match=rf"{closed}: error: cannot be read: Permission denied"):
        [read_zone(found) for found in find_zones(folder.parent)]


@pytest.mark.parametrize("folder", find_zones(SAMPLE), ids=lambda p: p.name)
def test_a_written_zone_reads_back(folder: Path, tmp_path: Path) -> None:
    zone = read_zone(folder)
    with ZoneWriter(tmp_path / "new") as writer:
        writer.begin(zone.area)
        for obj in zone.objects:
            writer.add(obj)
    assert writer.findings == []
    (written,) = find_zones(tmp_path / "new")
    again = read_zone(written)
    assert again.area == zone.area
    written_texts = sorted(object_text(o) for o in again.objects)
    assert written_texts == sorted(object_text(o) for o in zone.objects)


def test_an_audience_is_read_and_written_back(tmp_path: Path) -> None:
    zone = ZONE.replace("[soa]", 'answer-to = ["10.0.0.0/8", "2001:DB8::/32", "192.0.2.7"]\n[soa]')
    area = read_zone(lay(tmp_path / "a", zone)).area
    assert area.audience == ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32")
    assert 'answer-to = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]\n' in zone_toml(area)
    assert read_zone(lay(tmp_path / "b", zone_toml(area))).area == area
    assert read_zone(lay(tmp_path / "c")).area.audience == ()


def test_privacy_profiles_are_read_and_written_back(tmp_path: Path) -> None:
    said = 'privacy = "residential"\noperator = "Example ISP"\n[soa]'
    own = '\n[class.room]\nprivacy = "public"\nguardians = ["G.a"]\n'
    own += '[[class.room.attribute]]\nname = "Door"\n'
    area = read_zone(lay(tmp_path / "a", ZONE.replace("[soa]", said) + own)).area
    assert (area.privacy, area.operator) == ("residential", "Example ISP")
    room = area.schema.class_def("room")
    assert room is not None
    assert (room.privacy, room.guardians) == ("public", ("G.a",))
    assert read_zone(lay(tmp_path / "b", zone_toml(area))).area == area


def test_a_privacy_profile_that_is_none_is_refused(tmp_path: Path) -> None:
    for word in ("secret", "Residential"):
        with pytest.raises(FormatError, match="'public', 'residential' or 'internal'"):
            read_zone(lay(tmp_path / word, ZONE.replace("[soa]", f'privacy = "{word}"\n[soa]')))


def test_networks_of_what_is_internal_are_read_and_written_back(tmp_path: Path) -> None:
    said = 'privacy = "internal"\ninternal-to = ["10.0.0.0/8", "192.0.2.7"]\n[soa]'
    area = read_zone(lay(tmp_path / "a", ZONE.replace("[soa]", said))).area
    assert (area.privacy, area.internal_to) == ("internal", ("10.0.0.0/8", "192.0.2.7/32"))
    assert read_zone(lay(tmp_path / "b", zone_toml(area))).area == area
    with pytest.raises(FormatError, match="everybody"):
        read_zone(lay(tmp_path / "c", ZONE.replace("[soa]", 'internal-to = ["all"]\n[soa]')))


def test_any_text_survives_toml(tmp_path: Path) -> None:
    area = read_zone(lay(tmp_path / "a")).area
    assert area.soa is not None
    odd = replace(area, soa=replace(area.soa, hostmaster='a"b\\c\td\x7fé'))
    assert read_zone(lay(tmp_path / "b", zone_toml(odd))).area == odd
