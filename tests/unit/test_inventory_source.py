"""Files, folders and includes of sources, and sources of other packages."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory import source as sources
from rwhoisd.inventory.facts import Fact, Host, Place
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import (
    GROUP,
    FileSource,
    Inputs,
    Report,
    TextFile,
    WholeSource,
    find_source,
    source_kinds,
    text_of,
)
from rwhoisd.inventory.words import address

BAD = "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1"  # never published


def _hosts(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """Lines are names, ``include PATTERN`` or ``fail``."""
    for number, line in enumerate(file.lines, 1):
        if line.startswith("include "):
            for other in inputs.included(line.removeprefix("include "), file.at(number), report):
                yield from _hosts(other, inputs.deeper([other]), report)
        elif line == "fail":
            raise KeyError("Zq-secret")
        elif line:
            yield Host(place=file.at(number), name=line)


LINES = FileSource("lines", "names", ("*.txt", "*/deep/*.lst"), _hosts)


def names(*paths: Path, root: Path | None = None) -> list[str | None]:
    return [fact.name for fact in scan(LINES, paths, root=root).facts]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- text ---


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"\xef\xbb\xbfa", "a"),
        ("ä".encode(), "ä"),
        (b"\xe4", "ä"),
        ("ä".encode("utf-16"), "ä"),
        (b"\xff\xfea\x00b", "ab"),
        (b"a\x00b", "ab"),
        (b"", ""),
    ],
)
def test_octets_as_text(data: bytes, text: str) -> None:
    assert text_of(data).replace("\ufffd", "b") == text


# --- files and folders ---


def test_facts_name_the_file_as_it_was_named_and_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "d" / "a.txt", "\nweb1\n")
    monkeypatch.chdir(tmp_path)
    (fact,) = scan(LINES, [Path("d/a.txt")]).facts
    assert str(fact.place) == "d/a.txt:2"


def test_of_a_folder_the_files_of_the_kind_are_read_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.conf", "x/deep/d.lst", "x/d.lst", "x/e.txt"):
        write(tmp_path / name, name)
    assert names(tmp_path) == ["a.txt", "b.txt", "x/deep/d.lst", "x/e.txt"]


def test_the_newest_file_is_the_age_of_the_source(tmp_path: Path) -> None:
    for name, seconds in (("a.txt", 1_000_000), ("b.txt", 2_000_000)):
        os.utime(write(tmp_path / name, name), (seconds, seconds))
    assert scan(LINES, [tmp_path]).modified == datetime.fromtimestamp(2_000_000, UTC)


@pytest.mark.parametrize("what", ["missing", "empty folder", "too large"])
def test_what_cannot_be_read_is_a_failure(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    if what == "empty folder":
        path.mkdir()
    elif what == "too large":
        monkeypatch.setattr(sources, "FILE_OCTETS", 3)
        write(path, "four")
    reading = scan(LINES, [path])
    assert not reading.whole
    assert str(path) in str(reading.failures[0])
    assert reading.facts == []


def test_one_bad_file_of_a_folder_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FILE_OCTETS", 3)
    for name, text in (("a.txt", "a"), ("b.txt", "too long"), ("c.txt", "c")):
        write(tmp_path / name, text)
    reading = scan(LINES, [tmp_path])
    assert [fact.name for fact in reading.facts] == ["a", "c"]
    assert not reading.whole


@contextmanager
def without_root() -> Iterator[None]:
    """As somebody who may not read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_looked_into_is_a_failure() -> None:
    with tempfile.TemporaryDirectory() as name:  # not below pytest's, which is for its user only
        folder = Path(name)
        folder.chmod(0o755)
        write(folder / "a.txt", "a")
        closed = write(folder / "closed" / "b.txt", "b").parent
        closed.chmod(0)
        try:
            with without_root():
                reading = scan(LINES, [folder])
        finally:
            closed.chmod(0o700)
    assert not reading.whole
    assert "closed: error: cannot be read" in str(reading.failures[0])


def test_a_fault_of_a_source_is_told_without_values_and_its_facts_stay(tmp_path: Path) -> None:
    reading = scan(LINES, [write(tmp_path / "a.txt", "web1\nfail\nweb2\n")])
    assert [fact.name for fact in reading.facts] == ["web1"]
    (failure,) = map(str, reading.failures)
    assert "kind 'lines': error: failed with KeyError at test_inventory_source.py:" in failure
    assert "Zq" not in failure


def test_a_fact_stands_once_and_what_is_nobodys_not_at_all() -> None:
    def read(_inputs: Inputs, _report: Report) -> Iterable[Fact]:
        yield Host(place=Place("f", 1), name="a")
        yield Host(place=Place("f", 2), name="a")
        yield Host(place=Place("f", 3))
        for text in BAD:
            yield Host(place=Place("f", 4), where=address(text))

    reading = scan(WholeSource("k", "s", (), read), [])
    assert [fact.place.line for fact in reading.facts] == [1]


# --- includes ---


def test_without_a_root_nothing_is_included(tmp_path: Path) -> None:
    write(tmp_path / "b.inc", "b")
    reading = scan(LINES, [write(tmp_path / "a.txt", "a\ninclude b.inc\n")])
    assert [fact.name for fact in reading.facts] == ["a"]
    assert str(reading.findings[0]).startswith(f"{tmp_path}/a.txt:2: warning: include is not")
    assert reading.whole


def test_patterns_relative_absolute_and_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("etc/x/1.inc", "etc/x/2.inc", "top.inc"):
        write(root / name, name)
    start = write(root / "etc" / "a.txt", "include x/*.inc\ninclude /etc/x/1.inc\n")
    assert names(start, root=root) == ["etc/x/1.inc", "etc/x/2.inc"]  # the second is the same
    start = write(root / "etc" / "a.txt", f"include {root}/top.inc\ninclude top.inc\n")
    assert scan(LINES, [start], root=root).findings == []
    assert names(start, root=root) == ["top.inc"]


@pytest.mark.parametrize(
    "pattern",
    ["../outside.txt", "/../outside.txt", "link.txt", "folder/*", "../*", "", "/", "**", "[", "\\"],
)
def test_nothing_outside_of_the_root_is_included(tmp_path: Path, pattern: str) -> None:
    root = tmp_path / "root"
    write(tmp_path / "outside.txt", "outside")
    write(tmp_path / "far" / "outside.txt", "outside")
    start = write(root / "a.start", f"include {pattern}\n")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "folder").symlink_to(tmp_path / "far")
    assert "outside" not in names(start, root=root)


def test_links_that_go_round_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.inc").symlink_to("b.inc")
    (tmp_path / "b.inc").symlink_to("a.inc")
    reading = scan(LINES, [write(tmp_path / "a.txt", "a\ninclude *.inc\n")], root=tmp_path)
    assert "include names no file" in str(reading.findings[0])


def test_files_that_include_each_other_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "INCLUDED_FILES", 100)
    for number in range(4):
        write(tmp_path / f"{number}.inc", f"n{number}\ninclude *.inc\n")
    reading = scan(LINES, [tmp_path / "0.inc"], root=tmp_path)
    assert {fact.name for fact in reading.facts} == {"n0", "n1", "n2", "n3"}
    assert not reading.whole


def test_depth_has_an_end(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / f"{number}.inc", f"n{number}\ninclude {number + 1}.inc\n")
    reading = scan(LINES, [tmp_path / "0.inc"], root=tmp_path)
    assert len(reading.facts) == sources.INCLUDE_DEPTH + 1
    assert "nested deeper" in str(reading.failures[0])


def test_an_included_file_that_cannot_be_read_makes_the_reading_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "b.inc", "b" * 50)
    start = write(tmp_path / "a.txt", "a\ninclude b.inc\n")
    monkeypatch.setattr(sources, "FILE_OCTETS", 20)
    reading = scan(LINES, [start], root=tmp_path)
    assert [fact.name for fact in reading.facts] == ["a"]
    assert not reading.whole


# --- sources of other packages ---


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of somebody else, as an installer lays it out."""
    site = tmp_path / "site"
    write(
        site / "rackbook.py",
        "from rwhoisd.inventory.facts import Host\n"
        "from rwhoisd.inventory.source import FileSource\n"
        "def read(file, inputs, report):\n"
        "    for number, line in enumerate(file.lines, 1):\n"
        "        if line:\n"
        "            yield Host(place=file.at(number), name=line.strip())\n"
        "SOURCE = FileSource('rackbook', 'our rack book', ('*.rack',), read)\n"
        "NONE = 7\n",
    )
    info = site / "rackbook-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: rackbook\nVersion: 1.0\n")
    write(
        info / "entry_points.txt",
        f"[{GROUP}]\nrackbook = rackbook:SOURCE\nnosource = rackbook:NONE\nbroken = nowhere:X\n",
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "rackbook", raising=False)
    return site


@pytest.mark.usefixtures("package")
def test_a_source_of_another_package_is_found_and_used(tmp_path: Path) -> None:
    assert "rackbook" in source_kinds()
    found = find_source("rackbook")
    assert found.summary == "our rack book"
    write(tmp_path / "rooms" / "r1.rack", "web1\n")
    (fact,) = scan(found, [tmp_path / "rooms"]).facts
    assert fact.name == "web1"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("nosource", "kind 'nosource': error: of rackbook:NONE is no inventory source"),
        ("broken", "kind 'broken': error: of nowhere:X cannot be loaded: ModuleNotFoundError"),
        ("nothing", "kind 'nothing': error: is not known; known are"),
    ],
)
def test_a_kind_that_is_none_is_told(kind: str, told: str) -> None:
    with pytest.raises(FormatError) as caught:
        find_source(kind)
    assert told in str(caught.value)


def test_our_own_kinds_are_sources_with_a_summary() -> None:
    for kind in source_kinds():
        found = find_source(kind)
        assert found.kind == kind
        assert found.summary
