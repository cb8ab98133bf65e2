"""Compiled modules are used when they were made of these very sources, and never else."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rwhoisd
from rwhoisd import compiled

_SHARED = f"anything{compiled.SUFFIX}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of compiled modules; what is in them is no code."""
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    monkeypatch.delenv(compiled.PURE, raising=False)
    finders = list(sys.meta_path)
    for module in compiled.MODULES:
        (tmp_path / f"{module}{compiled.SUFFIX}").write_bytes(b"")
    (tmp_path / _SHARED).write_bytes(b"")
    note(tmp_path, {module: compiled.number_of(module) for module in compiled.MODULES})
    yield tmp_path
    assert sys.meta_path == finders
    assert "anything" not in sys.modules


def note(folder: Path, numbers: object) -> None:
    (folder / compiled.SOURCES).write_text(json.dumps(numbers))


def test_all_modules_have_a_source() -> None:
    assert [m for m in compiled.MODULES if not compiled.source_of(m).is_file()] == []


@pytest.mark.parametrize("module", compiled.MODULES)
def test_bounds_of_slices_do_nothing(module: str) -> None:
    """mypyc 2.4 works them out twice, but for those of texts, lists and tuples."""
    doing = (ast.Call, ast.NamedExpr, ast.Await, ast.Yield)
    nodes = ast.walk(ast.parse(compiled.source_of(module).read_bytes()))
    found = [
        ast.unparse(bounds)
        for bounds in nodes
        if isinstance(bounds, ast.Slice) and any(isinstance(n, doing) for n in ast.walk(bounds))
    ]
    assert found == []


def test_what_cannot_be_loaded_is_not_used(folder: Path) -> None:
    assert folder == compiled.FOLDER
    assert not compiled.use()


@pytest.fixture
def watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, and it is an error when something in it is loaded."""

    def refuse(*_: object) -> None:
        raise AssertionError("it was loaded")

    monkeypatch.setattr(compiled, "spec_from_file_location", refuse)
    with pytest.raises(AssertionError, match="it was loaded"):
        compiled.use()
    return folder


def test_what_was_made_of_other_sources_is_not_even_looked_at(watched: Path) -> None:
    note(watched, {compiled.MODULES[0]: "0" * 16})
    assert not compiled.use()
    note(watched, {"rwhoisd.gone": "0" * 16})
    assert not compiled.use()


@pytest.mark.parametrize("missing", [compiled.SOURCES, _SHARED])
def test_half_a_folder_is_not_used(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert not compiled.use()


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": 1}'])
def test_a_damaged_list_of_sources_is_not_used(folder: Path, text: str) -> None:
    (folder / compiled.SOURCES).write_text(text)
    assert not compiled.use()


@pytest.mark.usefixtures("watched")
def test_nothing_is_used_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.PURE, "1")
    assert not compiled.use()


@pytest.mark.parametrize("pure", [False, True])
def test_a_process_runs_what_it_says_that_it_runs(
    pure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiled.PURE, raising=False)
    if pure:
        monkeypatch.setenv(compiled.PURE, "1")
    said, file = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import rwhoisd, rwhoisd.server.transport as t; print(rwhoisd.COMPILED, t.__file__)",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert file.endswith(compiled.SUFFIX if said == "True" else "transport.py")
    if pure:
        assert said == "False"


def test_this_process_says_what_it_runs() -> None:
    from rwhoisd.server import transport

    file = str(transport.__file__)
    assert file.endswith(compiled.SUFFIX if rwhoisd.COMPILED else "transport.py")
