"""Parse programs as processes: what they find, what they may leave, and that nothing stays."""

import asyncio
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rwhoisd.config import ParseConfig, ProgramConfig
from rwhoisd.protocol.directives import x_directive
from rwhoisd.server.programs import LocalPrograms
from rwhoisd.service.ports import Parsed, Parsing, ProgramResult

CONTENT = b"Name:one\nEmail:e\xe9\n"


class Place:
    """A folder as of an ARIN installation, with programs in ``bin``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()

    def program(self, name: str, code: str) -> None:
        path = self.root / name
        path.write_text(code)
        path.chmod(0o755)

    def parse(self, code: str, program: str = "check", **bounds: Any) -> Parsed:
        """What comes of a parse program, a shell script."""
        self.program("bin/check", f"#!/bin/sh\n{code}\n")
        programs = LocalPrograms(
            [], self.root, [self.root / "bin"], parse=ParseConfig(**bounds), spool=self.spool
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as in the workers
            return runner.run(
                programs.parse(Parsing(program, "ADD", "a\xe9@b.com", "Acme 1", CONTENT))
            )

    @property
    def spool(self) -> Path:
        return self.root / "register_spool"

    def left(self) -> list[str]:
        """What lies in the spool folder."""
        return sorted(path.name for path in self.spool.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def _words(output: bytes) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in output.decode("latin-1").splitlines())


def test_it_gets_the_path_of_a_file_of_its_own(place: Place) -> None:
    """B22: the folder is made; B34: the file is gone afterwards."""
    code = 'echo "$#"; echo "$1"; cat "$1"; stat -c %a "$1" "$(dirname "$1")"; pwd; cat'
    parsed = place.parse(code)
    count, path, name, email, file_mode, folder_mode, folder = parsed.output.split(b"\n")[:-1]
    assert (count, name, email) == (b"1", b"Name:one", b"Email:e\xe9")
    assert path.startswith(f"{place.spool}/parse-".encode())
    assert (file_mode, folder_mode) == (b"600", b"700")
    assert folder == str(place.root).encode()  # §11.2: paths start from root-dir
    assert parsed == Parsed(parsed.output, 0, CONTENT)
    assert place.left() == []
    assert stat.S_IMODE(place.spool.stat().st_mode) == 0o711


def test_its_environment(place: Place) -> None:
    found = _words(place.parse("env").output)
    assert {name: value for name, value in found.items() if name not in ("PWD", "_", "SHLVL")} == {
        "ACTION": "ADD",
        "BIN_PATH": str(place.root / "bin"),
        "CLIENT_VENDOR": "Acme 1",
        "EMAIL": "a\xe9@b.com",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


def test_what_is_empty_is_left_out_of_it(place: Place) -> None:
    place.program("bin/check", "#!/bin/sh\nenv\n")
    programs = LocalPrograms([], place.root, spool=place.spool)
    parsing = Parsing("bin/check", "DEL", "a@b.com", "", b"")
    found = _words(asyncio.run(programs.parse(parsing)).output)
    assert found["ACTION"] == "DEL"
    assert not {"BIN_PATH", "CLIENT_VENDOR"} & found.keys()


def test_a_path_relative_to_the_folder_comes_first(place: Place) -> None:
    place.program("check", "#!/bin/sh\necho root\n")
    assert place.parse("echo bin").output == b"root\n"
    assert place.parse("echo bin", "bin/check").output == b"bin\n"
    assert place.parse("echo bin", str(place.root / "bin/check")).output == b"bin\n"


def test_nothing_of_it_reaches_a_shell(place: Place) -> None:
    parsed = place.parse("echo ran", "bin/check; echo more")
    assert parsed == Parsed(b"", None, b"", "there is no program bin/check; echo more")


def test_what_it_writes_is_read_again(place: Place) -> None:
    assert place.parse('echo "Name:two" > "$1"').content == b"Name:two\n"
    assert place.parse('printf Name:3 > x; mv x "$1"').content == b"Name:3"


@pytest.mark.parametrize(
    ("code", "output", "status"),
    [
        pytest.param("echo '%error 120 later'; exit 1", b"%error 120 later\n", 1, id="deferred"),
        pytest.param("exit 2", b"", 2, id="refused"),
        pytest.param("exit 7", b"", 7, id="other"),
    ],
)
def test_its_exit_status(place: Place, code: str, output: bytes, status: int) -> None:
    assert place.parse(code) == Parsed(output, status, b"")
    assert place.left() == []


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        pytest.param("kill -9 $$", "ended by signal 9", id="signal"),
        pytest.param("sleep 999", "not done after 0.5 seconds", id="too-slow"),
        pytest.param("while :; do echo xxxxxxxxxx; done", "more than 5000 octets", id="too-much"),
        pytest.param('rm "$1"', "the file it left cannot be read: ", id="gone"),
        pytest.param('rm "$1"; ln -s /etc/passwd "$1"', "cannot be read: ", id="symlink"),
        pytest.param(
            'rm "$1"; echo x > secret; ln secret "$1"', "it is no file of its own", id="hard-link"
        ),
        pytest.param('rm "$1"; mkdir "$1"', "cannot be read: ", id="folder"),
        pytest.param('rm "$1"; mkfifo "$1"', "it is no file of its own", id="pipe"),
        pytest.param(
            'head -c 5001 /dev/zero > "$1"', "it is longer than 5000 octets", id="too-long"
        ),
        pytest.param('rm -rf "$(dirname "$1")"', "cannot be read: ", id="all-gone"),
    ],
)
def test_it_fails(place: Place, code: str, failure: str) -> None:
    seconds = 0.5 if "not done" in failure else 100
    parsed = place.parse(code, seconds=seconds, output_octets=5000)
    assert parsed.status is None
    assert failure in parsed.failure
    assert parsed.content == b""
    assert place.left() == []


def test_a_spool_that_cannot_be_made(place: Place) -> None:
    place.spool.write_text("a file")
    parsed = place.parse("exit 0")
    assert parsed.status is None
    assert "cannot be written" in parsed.failure


def test_what_a_killed_server_left_is_removed(place: Place) -> None:
    old, young = place.spool / "parse-old", place.spool / "parse-young"
    for path in (old, young):
        path.mkdir(parents=True)
        (path / "record").write_text("Name:secret\n")
    (place.spool / "other").mkdir()
    past = time.time() - 2 * 86400
    for path in (old, place.spool / "other"):
        os.utime(path, (past, past))
    assert place.parse("exit 0").status == 0
    assert place.left() == ["other", "parse-young"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_is_another_user_who_can_read_and_write_its_file(tmp_path: Path) -> None:
    # pytest's own folders are closed to others.
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.owner() == "root" and folder.name.startswith(("pytest", "test_", "popen")):
            folder.chmod(0o755)
    place = Place(tmp_path)
    parsed = place.parse('id -un; echo "Name:mine" > "$1"', user="nobody")
    assert parsed == Parsed(b"nobody\n", 0, b"Name:mine\n")
    assert place.left() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_that_is_not_there(place: Place) -> None:
    parsed = place.parse("exit 0", user="no-such-user")
    assert parsed.status is None
    assert "no-such-user" in parsed.failure


def _external(folder: Path, code: str, **bounds: Any) -> ProgramResult:
    row = ProgramConfig(name="test", command=("/bin/sh", "-c", code), **bounds)
    programs = LocalPrograms([row], folder)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(programs.run(x_directive("test", "any"), ()))


def test_limits_of_the_cage(tmp_path: Path) -> None:
    """The same one for X- directives and parse programs."""
    code = "ulimit -t; ulimit -v; ulimit -n; ulimit -c"
    wanted = b"102\n1048576\n1024\n0\n"
    assert _external(tmp_path, code, seconds=100.5).output == wanted
    assert Place(tmp_path).parse(code, seconds=100.5).output == wanted


def test_memory_of_the_cage(tmp_path: Path) -> None:
    code = "head -c 300000000 /dev/zero | tail -n 1 | wc -c"
    assert _external(tmp_path, code, memory_octets=100_000_000).output.strip() != b"300000000"
    assert _external(tmp_path, "ulimit -v", memory_octets=0).output == b"unlimited\n"
