"""When a start may serve the image that is there before anything is looked at."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rwhoisd.config import Config, build
from rwhoisd.image.folder import MANIFEST, Folder, write_manifest
from rwhoisd.server import loaded


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration with a zone, whose loader is done."""
    (tmp_path / "zone").mkdir()
    (tmp_path / "zone" / "a.txt").write_text("one\n")
    (tmp_path / "store.sqlite").write_text("a store")
    made = Config(folder=tmp_path, state=tmp_path, zones=(Path("zone"),))
    folder = Folder(made.image_path)
    folder.generation(1).mkdir(parents=True)
    write_manifest(folder.generation(1), {"eol": "\r\n", "octets": {}})
    folder.switch(1, 1)
    loaded.note(made, _look(tmp_path))
    return made


def _look(folder: Path) -> loaded.Seen:
    zone = folder / "zone"
    return loaded.look([zone, *zone.iterdir(), folder / "gone"])


def test_nothing_changed(config: Config) -> None:
    assert loaded.is_current(config)
    (config.state_path / "store.sqlite").write_text("a store that was written to")
    assert loaded.is_current(config)


def _new_store(folder: Path) -> None:
    (folder / "another").write_text("a store")
    (folder / "another").replace(folder / "store.sqlite")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: (f / "zone/a.txt").write_text("other\n"), id="a file"),
        pytest.param(lambda f: (f / "zone/b.txt").write_text(""), id="one more file"),
        pytest.param(lambda f: (f / "zone/a.txt").unlink(), id="one file less"),
        pytest.param(lambda f: (f / "gone").write_text(""), id="a file that was missing"),
        pytest.param(lambda f: shutil.rmtree(f / "zone"), id="no folder"),
        pytest.param(_new_store, id="another store"),
        pytest.param(lambda f: (f / "store.sqlite").unlink(), id="no store"),
        pytest.param(lambda f: (f / "image/current").unlink(), id="no image"),
        pytest.param(
            lambda f: (f / "image/gen-000001" / MANIFEST).write_text("{}"), id="a torn image"
        ),
        pytest.param(
            lambda f: write_manifest(f / "image/gen-000001", {"eol": "\n", "octets": {}}),
            id="other line ends",
        ),
        pytest.param(
            lambda f: write_manifest(
                f / "image/gen-000001", {"eol": "\r\n", "octets": {"records.dat": 1}}
            ),
            id="a file of the image is gone",
        ),
        pytest.param(lambda f: (f / "image" / loaded.NOTE).unlink(), id="no note"),
        pytest.param(lambda f: (f / "image" / loaded.NOTE).write_text("[]"), id="a foreign note"),
        pytest.param(
            lambda f: (f / "image" / loaded.NOTE).write_bytes(b"\xff\0"), id="a torn note"
        ),
    ],
)
def test_something_changed(config: Config, change: Callable[[Path], object]) -> None:
    change(config.folder)
    assert not loaded.is_current(config)


@pytest.mark.parametrize(
    "update",
    [
        pytest.param({"zones": ()}, id="zones"),
        pytest.param({"arin_config": Path("rwhoisd.conf")}, id="installation"),
        pytest.param({"compat": "arin"}, id="compat"),
        pytest.param({"query": {"leading_wildcard": True}}, id="leading wildcard"),
        pytest.param({"store": {"url": "postgresql://db/names"}}, id="store"),
    ],
)
def test_another_configuration(config: Config, update: dict[str, object]) -> None:
    given = {"folder": config.folder, "state": config.state, "zones": config.zones, **update}
    assert not loaded.is_current(build(given))


def test_limits_are_no_matter_of_the_image(config: Config) -> None:
    given = {"folder": config.folder, "state": config.state, "zones": config.zones}
    assert loaded.is_current(build({**given, "limits": {"objects": 7}}))


def test_the_note_holds_no_password(tmp_path: Path) -> None:
    config = build({"state": tmp_path, "store": {"url": "postgresql://us:hidden@db/names"}})
    config.image_path.mkdir()
    loaded.note(config, {})
    assert "hidden" not in (config.image_path / loaded.NOTE).read_text()
    other = build({"state": tmp_path, "store": {"url": "postgresql://us:other@db/names"}})
    assert loaded._asked(config) == loaded._asked(other)  # nor anything made of it
