"""Images that are missing, torn, foreign or of another kind: never served, built anew."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest

from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import Soa
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import write_manifest
from rwhoisd.image.info import info
from rwhoisd.image.verify import verify
from rwhoisd.testing.memory_source import MemorySource
from tests.unit.image_data import EXAMPLE, NET10, after_steps, network

Damage = Callable[[Path], object]


def built(path: Path, steps: int = 0, eol: bytes = b"\n") -> Path:
    """An image; its only generation."""
    asyncio.run(build(after_steps(steps), path, eol))
    (generation,) = path.glob("gen-*")
    return generation


def cut(name: str) -> Damage:
    return lambda generation: os.truncate(generation / name, 100)


def foreign_manifest(generation: Path) -> None:
    facts = json.loads((generation / "manifest.json").read_text())
    del facts["check"]
    write_manifest(generation, facts | {"format": 99})


def torn_manifest(generation: Path) -> None:
    text = (generation / "manifest.json").read_text()
    (generation / "manifest.json").write_text(text.replace('"objects": 40', '"objects": 41'))


def zero_index(generation: Path) -> None:
    octets = (generation / "index.mdb").stat().st_size
    (generation / "index.mdb").write_bytes(bytes(octets))


DAMAGES: dict[str, Damage] = {
    "records cut": cut("records.dat"),
    "offsets cut": cut("records.off"),
    "objects cut": cut("objects.tab"),
    "index cut": cut("index.mdb"),
    "index of zeros": zero_index,
    "index gone": lambda g: (g / "index.mdb").unlink(),
    "manifest gone": lambda g: (g / "manifest.json").unlink(),
    "manifest empty": lambda g: (g / "manifest.json").write_text(""),
    "manifest is a list": lambda g: (g / "manifest.json").write_text("[]"),
    "another format": foreign_manifest,
    "manifest changed": torn_manifest,
    "current unreadable": lambda g: (g.parent / "current").write_text("x"),
    "current gone": lambda g: (g.parent / "current").unlink(),
    "generation gone": lambda g: g.rename(g.parent / "elsewhere"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_image_is_not_served_but_built_anew(tmp_path: Path, damage: Damage) -> None:
    damage(built(tmp_path))
    with pytest.raises(ImageError, match=r"image|build"):
        ImageReader(tmp_path)
    assert asyncio.run(verify(after_steps(0), tmp_path)) is not None
    with pytest.raises(ImageError):
        asyncio.run(catch_up(after_steps(0), tmp_path))  # nobody said how lines have to end
    assert asyncio.run(catch_up(after_steps(0), tmp_path, b"\n"))
    assert asyncio.run(verify(after_steps(0), tmp_path)) is None


def test_there_is_no_image_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no image; build one"):
        ImageReader(tmp_path / "nowhere")
    assert asyncio.run(catch_up(after_steps(2), tmp_path / "nowhere", b"\n"))
    assert info(tmp_path / "nowhere").objects == len(after_steps(2).stored())


def test_a_reader_keeps_the_good_version_when_the_next_is_damaged(tmp_path: Path) -> None:
    built(tmp_path)
    reader = ImageReader(tmp_path)
    asyncio.run(build(after_steps(1), tmp_path, b"\n"))
    (generation,) = tmp_path.glob("gen-*")
    foreign_manifest(generation)
    assert reader.current().object_count == 40
    assert asyncio.run(catch_up(after_steps(1), tmp_path, b"\n"))
    assert reader.current().object_count == 41
    reader.close()


def test_other_line_ends_need_another_image(tmp_path: Path) -> None:
    built(tmp_path)
    with pytest.raises(ImageError, match="lines end"):
        ImageReader(tmp_path, b"\r\n")
    assert not asyncio.run(catch_up(after_steps(0), tmp_path, b"\n"))
    assert asyncio.run(catch_up(after_steps(0), tmp_path, b"\r\n"))
    reader = ImageReader(tmp_path, b"\r\n")
    assert reader.current().eol == b"\r\n"
    assert reader.current().public((0,)).count(b"\r\n") == 7
    reader.close()


def test_an_index_damaged_inside_is_built_anew(tmp_path: Path) -> None:
    generation = built(tmp_path)
    with (generation / "index.mdb").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(2 * 4096)  # behind the two pages that say where all others are
        file.write(b"\xff" * (size - 2 * 4096))
    source = after_steps(0)
    assert asyncio.run(catch_up(source, tmp_path, b"\n"))
    assert asyncio.run(verify(source, tmp_path)) is None


@pytest.mark.parametrize(
    ("whole", "torn"),
    [
        pytest.param(b'"objects": 40', b'"objects"; 40', id="no JSON"),
        pytest.param(b'"objects": 40', b'"obj\xffcts": 40', id="no text"),
        pytest.param(b'"objects": 40', b'"Objects": 40', id="other names"),
    ],
)
def test_an_index_that_makes_no_sense_is_damaged(tmp_path: Path, whole: bytes, torn: bytes) -> None:
    index = built(tmp_path) / "index.mdb"
    data = index.read_bytes()
    assert whole in data
    index.write_bytes(data.replace(whole, torn))
    with pytest.raises(ImageError, match=r"damaged .*; build the image anew"):
        ImageReader(tmp_path)
    assert "damaged" in str(asyncio.run(verify(after_steps(0), tmp_path)))
    assert asyncio.run(catch_up(after_steps(0), tmp_path, b"\n"))
    assert asyncio.run(verify(after_steps(0), tmp_path)) is None


def test_verify_tells_of_an_entry_that_names_no_record(tmp_path: Path) -> None:
    index = built(tmp_path) / "index.mdb"
    data = index.read_bytes()
    entry = b"ENET-12.10.0.0.0/8\0\0\0\1\0\0\0"  # key, scope, begin of the record's number
    assert entry + b"\x0c" in data
    index.write_bytes(data.replace(entry + b"\x0c", entry[:-3] + b"\x7f\xff\xff\xff"))
    assert "damaged" in str(asyncio.run(verify(after_steps(0), tmp_path)))


def test_damage_that_a_change_meets_is_built_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise lmdb.CorruptedError("mdb_put")

    built(tmp_path)
    source = after_steps(1)
    monkeypatch.setattr("rwhoisd.image.catch_up._Update.run", damaged)
    assert asyncio.run(catch_up(source, tmp_path))
    assert asyncio.run(verify(source, tmp_path)) is None


def test_a_build_that_fails_leaves_what_was_served(tmp_path: Path) -> None:
    built(tmp_path)
    source = MemorySource(replace(NET10, charset="latin-1"), EXAMPLE)
    source.add(network("EURO", "10.0.0.0/8", ("City", "\u20ac")))
    with pytest.raises(ImageError, match=r"EURO.*does not exist in the area's charset"):
        asyncio.run(build(source, tmp_path, b"\n"))
    assert info(tmp_path).objects == 40
    assert len(list(tmp_path.glob("gen-*"))) == 1


def test_an_object_of_an_unknown_class_is_named(tmp_path: Path) -> None:
    source = after_steps(0)
    area = replace(EXAMPLE, schema=NET10.schema)
    source.put_area(area)
    source.add(Object("example.net", "network", (("ID", "X.example.net"),)))
    source.put_area(replace(area, schema=type(area.schema)((area.schema.classes[1],))))
    with pytest.raises(ImageError, match=r"X.example.net is of class network"):
        asyncio.run(build(source, tmp_path, b"\n"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: s.modify(3, network("NET-2", "10.2.0.0/17")), "serial"),
        (lambda s: s.put_area(replace(NET10, transfer_arguments="x")), "serial"),
    ],
    ids=["object", "area"],
)
def test_verify_says_when_the_source_went_on(
    tmp_path: Path, spoil: Callable[[MemorySource], None], words: str
) -> None:
    built(tmp_path)
    source = after_steps(0)
    spoil(source)
    difference = asyncio.run(verify(source, tmp_path))
    assert difference is not None
    assert words in difference


def changed(source: MemorySource, row: int, obj: Object) -> MemorySource:
    """The source with another object in a row, without a trace in its journal."""
    area, stored = source._objects[row]
    source._objects[row] = (area, replace(stored, object=obj))
    return source


def without(source: MemorySource, row: int) -> MemorySource:
    del source._objects[row]
    return source


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: changed(s, 3, network("NET-2", "10.2.0.0/17")), "NET-2.10.0.0.0/8 (row 3)"),
        (lambda s: without(s, 40), "network NET-39.10.0.0.0/8 (row 40): only in the image"),
        (lambda s: without(s, 1), "the image has area 10.0.0.0/8, network NET-0"),
    ],
    ids=["other lines", "last one gone", "first one gone"],
)
def test_verify_names_the_first_difference(
    tmp_path: Path, spoil: Callable[[MemorySource], MemorySource], words: str
) -> None:
    built(tmp_path)
    difference = asyncio.run(verify(spoil(after_steps(0)), tmp_path))
    assert difference is not None
    assert words in difference


def test_verify_sees_a_changed_byte_of_a_record(tmp_path: Path) -> None:
    generation = built(tmp_path)
    records = bytearray((generation / "records.dat").read_bytes())
    records[300] ^= 1
    (generation / "records.dat").write_bytes(records)
    assert "checksum" in (asyncio.run(verify(after_steps(0), tmp_path)) or "")


def test_verify_sees_an_entry_too_few_and_one_too_many(tmp_path: Path) -> None:
    built(tmp_path)
    reader = ImageReader(tmp_path)
    env = reader.current().env
    with env.env.begin(write=True) as txn:
        txn.delete(b"ENET-7", db=env.terms)
    assert "'NET-7': the index misses" in (asyncio.run(verify(after_steps(0), tmp_path)) or "")
    with env.env.begin(write=True) as txn:
        entry = txn.get(b"ENET-8", db=env.terms)
        assert entry is not None
        txn.put(b"ENET-7", entry, db=env.terms)
    difference = asyncio.run(verify(after_steps(0), tmp_path)) or ""
    assert "'NET-7': the index" in difference
    reader.close()


def test_info_counts(tmp_path: Path) -> None:
    built(tmp_path)
    asyncio.run(catch_up(after_steps(4), tmp_path))
    found = info(tmp_path)
    assert (found.objects, found.records, found.dead_records) == (41, 43, 2)
    assert found.areas == 2
    assert found.entries == 41 * 5  # ID, name, network, organization as text and as it sounds
    assert set(found.octets) == {"records.dat", "records.off", "objects.tab", "index.mdb"}


AREA_CHANGES = {
    "soa": lambda s: s.put_area(replace(NET10, soa=Soa("1", hostmaster="x"))),
    "slaves": lambda s: s.put_area(replace(NET10, transfer_arguments="x")),
    "guardians": lambda s: s.put_area(replace(NET10, guardians=("G.example.net",))),
    "schema": lambda s: s.put_area(replace(EXAMPLE, schema=NET10.schema)),
    "charset": lambda s: s.put_area(replace(EXAMPLE, charset="latin-1")),
    "one dropped": lambda s: s.drop_area("example.net"),
    "one in front": lambda s: s.put_area(
        replace(EXAMPLE, name=type(NET10.name).from_text("a.example"), position=-1)
    ),
    "one behind, with an object": lambda s: (
        s.put_area(replace(NET10, name=type(NET10.name).from_text("192.0.2.0/24"), position=9)),
        s.add(network("NEW", "192.0.2.0/24", area="192.0.2.0/24")),
    ),
}


@pytest.mark.parametrize("change", AREA_CHANGES.values(), ids=AREA_CHANGES.keys())
def test_changes_of_areas_arrive(tmp_path: Path, change: Callable[[MemorySource], object]) -> None:
    built(tmp_path, 3)
    reader = ImageReader(tmp_path)
    source = after_steps(3)
    change(source)
    assert asyncio.run(catch_up(source, tmp_path))
    assert reader.current().areas == asyncio.run(source.areas())
    assert asyncio.run(verify(source, tmp_path)) is None
    reader.close()
