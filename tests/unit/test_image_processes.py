"""Several processes at one image, and processes that are killed in the middle of it."""

import asyncio
import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from rwhoisd.directory.changes import Source
from rwhoisd.image import catch_up as catch_up_module
from rwhoisd.image import current
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up, follow
from rwhoisd.image.current import ImageReader
from rwhoisd.image.info import info
from rwhoisd.image.verify import verify
from tests.unit.image_data import after_steps

ROOT = Path(__file__).resolve().parents[2]
START_SERIALS = 42  # changes before the first step: two areas, forty objects


def worker(path: Path, step: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.unit.image_worker", str(path), str(step)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def steps_in(path: Path) -> int:
    """How many steps the image has seen, by its serial: each change moves it by a millisecond."""
    last = max(info(path).serials.values())
    return int(last) - int("20240101000000000") - START_SERIALS


def test_a_killed_writer_leaves_a_good_image(tmp_path: Path) -> None:
    random = Random(7)
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    seen = kills = 0
    while kills < 10 or not seen:
        kills += 1
        process = worker(tmp_path, seen)
        time.sleep(random.uniform(0, 0.12))
        kill(process)
        now = steps_in(tmp_path)
        assert now >= seen
        # What is there is one version, whole: that of exactly so many steps.
        assert asyncio.run(verify(after_steps(now), tmp_path)) is None
        assert reader.current().object_count == len(after_steps(now).stored())
        seen = now
    assert asyncio.run(catch_up(after_steps(seen + 3), tmp_path))
    assert asyncio.run(verify(after_steps(seen + 3), tmp_path)) is None
    assert reader.current().object_count == len(after_steps(seen + 3).stored())
    reader.close()


def test_processes_that_catch_up_at_once_agree(tmp_path: Path) -> None:
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    command = (
        "import asyncio, sys; from pathlib import Path;"
        "from rwhoisd.image.catch_up import catch_up;"
        "from tests.unit.image_data import after_steps;"
        "print(asyncio.run(catch_up(after_steps(30), Path(sys.argv[1]))))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = sorted(process.communicate(timeout=200)[0] for process in processes)
    assert said == [b"False\n"] * 3 + [b"True\n"]
    assert asyncio.run(verify(after_steps(30), tmp_path)) is None


def test_a_reader_keeps_the_version_it_opened(tmp_path: Path) -> None:
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    old = reader.current()
    before = old.public(range(40))
    for step in (5, 20, 40):
        assert asyncio.run(catch_up(after_steps(step), tmp_path))
    asyncio.run(build(after_steps(41), tmp_path, b"\n"))
    assert old.public(range(40)) == before
    assert [obj.id for _, obj in old.transfer(0, "network")][:2] == [
        "NET-0.10.0.0.0/8",
        "NET-1.10.0.0.0/8",
    ]
    assert old.object_count == 40
    new = reader.current()
    assert new.version[0] > old.version[0]
    assert new.object_count == len(after_steps(41).stored())
    reader.close()
    assert new.by_id("STEP-40.10.0.0.0/8")


def test_readers_look_for_themselves_while_a_change_is_under_way(tmp_path: Path) -> None:
    # A writer killed between its commit and telling the readers leaves the state "changing".
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    folder = reader._folder
    old = reader.current()
    folder.write_state(*old.version, changing=True)
    state = (tmp_path / "state").read_bytes()
    assert asyncio.run(catch_up(after_steps(1), tmp_path))
    (tmp_path / "state").write_bytes(state)
    assert reader.current().object_count == 41
    assert reader.current() is reader.current()
    reader.close()


def test_readers_do_not_look_each_time_while_a_change_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(current, "monotonic", lambda: clock[0])
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    old = reader.current()
    reader._folder.write_state(*old.version, changing=True)
    state = (tmp_path / "state").read_bytes()
    assert reader.current() is old
    asyncio.run(catch_up(after_steps(1), tmp_path))
    (tmp_path / "state").write_bytes(state)  # as if its writer had been killed before it told
    assert all(reader.current() is old for _ in range(50))
    clock[0] += 0.03
    assert reader.current().object_count == 41
    reader._folder.write_state(*reader.current().version)
    assert reader.current().object_count == 41  # told in the end, which is heard at once
    asyncio.run(catch_up(after_steps(2), tmp_path))
    assert reader.current().object_count == len(after_steps(2).stored())
    reader.close()


def test_nothing_to_catch_up_mends_the_state(tmp_path: Path) -> None:
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    good = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(good[:-8] + (1).to_bytes(8, "little"))
    assert not asyncio.run(catch_up(after_steps(0), tmp_path))
    assert (tmp_path / "state").read_bytes() == good


@pytest.mark.parametrize("changes", [1, 3])
def test_a_current_image_is_the_same_object(tmp_path: Path, changes: int) -> None:
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    first = reader.current()
    assert reader.current() is first
    asyncio.run(catch_up(after_steps(changes), tmp_path))
    assert reader.current() is not first
    reader.close()


def test_a_follower_never_takes_the_image_back(tmp_path: Path) -> None:
    asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    newest = ["", ""]

    @asynccontextmanager
    async def snapshot() -> AsyncIterator[Source]:
        newest.pop()  # taken while nobody else can write: the folder is locked
        with pytest.raises(BlockingIOError), (tmp_path / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield after_steps(3)

    assert asyncio.run(follow(snapshot, tmp_path))
    assert not asyncio.run(follow(snapshot, tmp_path))
    assert newest == []


def test_others_are_answered_while_a_change_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who does not wait for it any longer does not let go of the lock."""
    begun, go_on = threading.Event(), threading.Event()
    run = catch_up_module._Update.run

    def slowly(update: catch_up_module._Update) -> None:
        begun.set()
        assert go_on.wait(60)
        run(update)

    monkeypatch.setattr(catch_up_module._Update, "run", slowly)

    async def work() -> None:
        await build(after_steps(0), tmp_path, b"\n")
        task = asyncio.ensure_future(catch_up(after_steps(1), tmp_path))
        assert await asyncio.to_thread(begun.wait, 60)  # in vain, if it were written here
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        with pytest.raises(BlockingIOError), (tmp_path / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert asyncio.run(verify(after_steps(1), tmp_path)) is None


def test_an_older_database_is_followed_by_building_anew(tmp_path: Path) -> None:
    asyncio.run(build(after_steps(5), tmp_path, b"\n"))
    before = info(tmp_path).generation
    assert asyncio.run(catch_up(after_steps(2), tmp_path))
    assert info(tmp_path).generation > before
    assert asyncio.run(verify(after_steps(2), tmp_path)) is None
