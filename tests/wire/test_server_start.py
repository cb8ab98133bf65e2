"""A start serves the image that is there, and looks at the database and the files behind it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rwhoisd.server import loaded
from tests.wire.process import installation, running, until

QUERY = b"network POP-1\r\n"
CITY = b"network:Org-Name:Example"
DATA = "a/data/network/network.txt"


def _started(folder: Path, *arguments: str) -> tuple[str, ...]:
    conf = str(folder / "arin" / "rwhoisd.conf")
    return ("--arin-config", conf, "--listen", "127.0.0.1:0", "--workers", "2", *arguments)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What a server leaves behind that served an installation."""
    installation(tmp_path / "arin")
    with running(tmp_path, *_started(tmp_path)) as server:
        assert CITY in server.ask(QUERY)
    return tmp_path


def test_answers_come_before_the_database_can_be_asked(left: Path) -> None:
    store = left / "state" / "store.sqlite"
    whole = store.read_bytes()
    store.write_bytes(b"this is no database at all" * 100)
    for log in store.parent.glob("store.sqlite-*"):
        log.unlink()
    with running(left, *_started(left)) as server:
        assert CITY in server.ask(QUERY)
        until(lambda: "this is tried again" in server.log())
        assert "is no SQLite database" in server.log()
        store.write_bytes(whole)
        until(lambda: "the image is up to the store again" in server.log())
        assert CITY in server.ask(QUERY)
        assert server.log().count("is no SQLite database") == 1
        assert server.stop() == 0


def test_what_changed_meanwhile_is_never_answered_from_the_old_image(left: Path) -> None:
    data = left / "arin" / DATA
    data.write_text(data.read_text().replace("Example", "Another"))
    with running(left, *_started(left)) as server:
        assert b"network:Org-Name:Another" in server.ask(QUERY)
    (left / "arin/a/data/network/more.txt").write_text(
        "ID: 2.192.0.2.0/24\nNetwork-Name: POP-2\nIP-Network: 192.0.2.64/26\n"
    )
    with running(left, *_started(left)) as server:
        assert b"network:Network-Name:POP-2" in server.ask(b"network POP-2\r\n")


def test_another_configuration_is_served_as_it_says(left: Path) -> None:
    with running(left, *_started(left, "--compat", "rfc")) as server:
        assert CITY + b"\r\n" in server.ask(QUERY)
    conf = left / "arin/rwhoisd.conf"
    conf.write_text(conf.read_text() + "query-allow-substr: ON\n")
    with running(left, *_started(left)) as server:
        assert b"network:Network-Name:POP-1\n" in server.ask(b"network *OP-1\r\n")


def test_a_store_that_is_gone_is_loaded_again(left: Path) -> None:
    for file in (left / "state").glob("store.sqlite*"):
        file.unlink()
    with running(left, *_started(left)) as server:
        assert CITY in server.ask(QUERY)
        assert (left / "state/store.sqlite").exists()  # before anything was answered


def test_the_note_is_renewed_behind_what_is_served(left: Path) -> None:
    note = left / "state/image" / loaded.NOTE
    (left / "arin" / DATA).touch()  # another time, the same content: the loader has to look
    with running(left, *_started(left)):
        pass
    before = note.stat().st_ino, json.loads(note.read_text())
    with running(left, *_started(left)) as server:
        assert CITY in server.ask(QUERY)
        until(lambda: note.stat().st_ino != before[0])
        assert json.loads(note.read_text()) == before[1]


def test_an_image_that_cannot_be_opened_is_built_before_anybody_is_served(left: Path) -> None:
    (index,) = (left / "state/image").glob("gen-*/index.mdb")
    index.write_bytes(b"\xff" * index.stat().st_size)
    with running(left, *_started(left)) as server:
        assert CITY in server.ask(QUERY)
        assert server.log().count("Traceback") == 0


def test_a_start_loads_no_library_that_few_answers_need(left: Path) -> None:
    """Neither to check what was checked before, nor to read the command line, nor a grammar."""
    late = ("pydantic", "typer", "lark", "sqlalchemy", "argon2", "alembic")
    program = (
        "import sys\n"
        "from rwhoisd.server import cli, serve\n"
        "class Stopped(serve.Supervisor):\n"
        "    def run(self):\n"
        f"        print('loaded', [name for name in {late!r} if name in sys.modules])\n"
        "        return 0\n"
        "serve.Supervisor = Stopped\n"
        "cli.main()\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program, "serve", "--state", str(left / "state"), *arguments],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for arguments in [_started(left)] * 2  # the first may have to check, as the port is new
    ]
    assert told[-1] == "loaded []\n"
