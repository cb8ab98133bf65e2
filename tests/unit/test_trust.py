"""Folders and links that somebody else could have made."""

import os
import stat
from pathlib import Path

import pytest

from rwhoisd.config import build
from rwhoisd.formats.findings import FormatError
from rwhoisd.formats.newfile import new_file
from rwhoisd.formats.trust import distrust, is_trap, lies_below
from rwhoisd.image.folder import Folder
from rwhoisd.server.prepare import PrepareError, make_state
from rwhoisd.server.querylog import LogSettings, QueryLog

OTHER = 12345  # a user


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """Whose files and links are somebody else's; only root can give them away in fact."""
    given: dict[Path, int] = {}
    look = Path.stat

    def status(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = list(look(self, follow_symlinks=follow_symlinks))
        place = Path(os.path.realpath(self)) if follow_symlinks else self
        found[stat.ST_UID] = given.get(place, found[stat.ST_UID])
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", status)
    return given


def test_our_own_folder_is_trusted(tmp_path: Path) -> None:
    assert distrust(tmp_path) == ""


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_may_write_to_is_not(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert "can be written by everybody" in distrust(tmp_path)


def test_nor_one_below_such_a_folder_unless_that_is_like_tmp(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir(0o755)
    tmp_path.chmod(0o777)
    assert str(tmp_path) in distrust(inner)
    tmp_path.chmod(0o1777)
    assert distrust(inner) == ""


def test_a_link_to_a_folder_is_as_good_as_the_folder(tmp_path: Path) -> None:
    bad, link = tmp_path / "bad", tmp_path / "link"
    bad.mkdir()
    bad.chmod(0o777)
    link.symlink_to(bad)
    assert str(bad) in distrust(link)


def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path, owners: dict[Path, int]) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    owners[folder] = OTHER
    assert "belongs to another user" in distrust(folder)
    assert distrust(folder, [OTHER]) == ""


def test_a_link_is_a_trap_when_its_maker_does_not_own_what_it_leads_to(
    tmp_path: Path, owners: dict[Path, int]
) -> None:
    ours, link = tmp_path / "ours", tmp_path / "link"
    ours.write_text("secret")
    link.symlink_to(ours)
    assert not is_trap(link)
    assert not is_trap(ours)
    owners[link] = OTHER
    assert is_trap(link)
    owners[ours] = OTHER
    assert not is_trap(link)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tree/a", True),
        ("tree/a/../b", True),
        ("tree/../tree/a", True),
        ("tree/../other", False),
        ("tree/a/../../../etc/passwd", False),
        ("/etc/passwd", False),
        ("treeless/a", False),
    ],
)
def test_paths_that_leave_a_tree(tmp_path: Path, path: str, expected: bool) -> None:
    assert lies_below(tmp_path / path, tmp_path / "tree") is expected


def test_a_state_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    config = build({"state": str(state)})
    with pytest.raises(PrepareError, match=r"would not be safe: .*chmod o-w"):
        make_state(config)
    state.chmod(0o750)
    make_state(config)
    image = tmp_path / "image"
    image.mkdir()
    image.chmod(0o777)
    with pytest.raises(PrepareError, match="image can be written by everybody"):
        make_state(build({"state": str(state), "image": {"path": str(image)}}))


def test_files_of_the_image_are_not_written_through_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    folder = Folder(tmp_path / "image")
    folder.path.mkdir()
    (folder.path / "state").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        folder.write_state(1, 1)
    (folder.path / "state").unlink()
    (folder.path / "current.new").symlink_to(victim)
    folder.switch(1, 1)
    assert folder.current() == 1
    assert victim.read_text() == "as it was"


def test_a_new_file_is_not_written_through_a_link_that_anybody_may_have_made(
    tmp_path: Path,
) -> None:
    victim, shared = tmp_path / "victim", tmp_path / "shared"
    victim.write_text("as it was")
    shared.mkdir()
    (shared / "out").symlink_to(victim)
    shared.chmod(0o1777)
    with pytest.raises(FormatError, match="is a link"), new_file(shared / "out") as write:
        write("new")
    assert victim.read_text() == "as it was"
    shared.chmod(0o755)
    with new_file(shared / "out") as write:  # our own link
        write("new")
    assert victim.read_text() == "new"


def test_the_query_log_is_not_written_through_a_link_that_anybody_may_have_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, shared = tmp_path / "victim", tmp_path / "shared"
    victim.write_text("as it was")
    shared.mkdir()
    (shared / "log").symlink_to(victim)
    shared.chmod(0o1777)
    with pytest.raises(OSError, match="symbolic links"):
        QueryLog(LogSettings(str(shared / "log")))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_symlink", lambda _: False)  # it was made a moment later
        with pytest.raises(OSError, match="symbolic links"):
            QueryLog(LogSettings(str(shared / "log")))
    assert victim.read_text() == "as it was"
    shared.chmod(0o755)
    QueryLog(LogSettings(str(shared / "log"))).close()  # our own link
    QueryLog(LogSettings(str(tmp_path / "log"))).close()
    assert (tmp_path / "log").is_file()


def test_an_unfinished_file_has_a_name_that_nobody_foresees(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with new_file(tmp_path / "out") as write:
            write("x")
            (partial,) = tmp_path.glob(".out.*")
            names.add(partial.name)
    assert len(names) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_new_file_has_the_rights_of_the_one_it_replaces(tmp_path: Path) -> None:
    target = tmp_path / "out"
    mask = os.umask(0o027)
    try:
        with new_file(target) as write:
            write("x")
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
        target.chmod(0o604)
        with new_file(target) as write:
            write("y")
        assert stat.S_IMODE(target.stat().st_mode) == 0o604
    finally:
        os.umask(mask)
