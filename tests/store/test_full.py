"""The disk is full, under the store or under the image: nothing is lost, nobody falls over.

It is full for real: a file system of a few megabytes in memory. And where that cannot be mounted,
as well: no process of the server may write a file beyond the size that it has.
"""

import asyncio
import errno
import re
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rwhoisd.directory.changes import Change, StoredObject
from rwhoisd.image.verify import verify
from rwhoisd.store import Store
from tests.store.kit import AREA, network, replay, store_with, stored
from tests.store.test_away import add, ask_everything, node, register, say
from tests.wire.process import Process, until

STORED = re.compile(r"%register ID:(.*)\n%register Updated:(\d{17})\n")
AWAY = "%error 501 Service not available\nclosed"
DEFERRED = "%error 120 Registration deferred\n"
BIG = ("Comment", "x" * 10_000)


class SmallDisk:
    """A file system of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, at: Process, grows: Path) -> None:
        """Take the space that is left."""
        del at, grows
        with (self._folder / "ballast").open("ab", buffering=0) as file:
            for octets in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(octets)):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self, at: Process) -> None:
        """Give it back."""
        del at
        (self._folder / "ballast").unlink()


class Ceiling:
    """No file may grow beyond a size."""

    def fill(self, at: Process, grows: Path) -> None:
        """Nor ``grows``, which is larger than other files that have to be written."""
        self._limit(at, grows.stat().st_size)

    def free(self, at: Process) -> None:
        """As it was."""
        self._limit(at, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(at: Process, octets: int) -> None:
        for pid in (at.process.pid, *at.workers()):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (octets, hard))


Disk = SmallDisk | Ceiling
MakeDisk = Callable[[Path], Disk]


def _mount(folder: str) -> bool:
    command = ("mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "tmpfs", folder)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _unmount(folder: str) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)


def _ways() -> Sequence[str]:
    """How a disk can be filled here."""
    with tempfile.TemporaryDirectory() as folder:
        if not _mount(folder):
            return ("ceiling",)
        _unmount(folder)
    return ("small disk", "ceiling")


@pytest.fixture(params=_ways())
def make_disk(request: pytest.FixtureRequest) -> Iterator[MakeDisk]:
    """Makes a disk that can be filled, at a folder."""
    mounted: list[str] = []

    def make(folder: Path) -> Disk:
        folder.mkdir(parents=True)
        if request.param == "ceiling":
            return Ceiling()
        assert _mount(str(folder))
        mounted.append(str(folder))
        return SmallDisk(folder)

    yield make
    for folder in mounted:
        _unmount(folder)


def make_store(url: str, objects: int) -> None:
    """A store with that many networks."""

    async def make() -> None:
        async with store_with(url, network(0), *(network(n, BIG) for n in range(200, objects))):
            pass

    asyncio.run(make())


@contextmanager
def unharmed(at: Process) -> Iterator[None]:
    """No worker ends within."""
    workers = set(at.workers())
    yield
    assert workers <= set(at.workers()), at.log()


def check(url: str, image: Path, *names: str) -> None:
    """Store, journal and image are one, and have these networks besides those from the start."""

    async def look() -> tuple[list[Change], list[StoredObject], str | None]:
        async with await Store.open(url) as store, store.snapshot() as source:
            return await store.journal(AREA), await stored(store), await verify(source, image)

    told, found, difference = asyncio.run(look())
    assert difference is None
    assert replay(told) == {s.row: s for s in found}
    there = [s.object.get("Network-Name") or "" for s in found if s.object.get("Comment") is None]
    assert sorted(there) == ["NET-0", *names]


def test_a_full_store_takes_no_registration_and_keeps_what_it_has(
    make_disk: MakeDisk, tmp_path: Path
) -> None:
    disk = make_disk(tmp_path / "disk")
    file = tmp_path / "disk" / "store.sqlite"
    url = f"sqlite:///{file}"
    make_store(url, 0)
    with node(tmp_path, url) as at, unharmed(at):
        found = STORED.match(add(at, 1))
        assert found
        disk.fill(at, file.with_name("store.sqlite-wal"))
        ask_everything(at)
        for _ in range(4):
            assert add(at, 2) == AWAY
            assert register(at, "del", f"ID:{found[1]}", f"Updated:{found[2]}") == AWAY
        ask_everything(at)
        assert "Network-Name:NET-1\n" in say(at, "network NET-1")
        assert "%error 230" in say(at, "network NET-2")
        disk.free(at)
        for number in (2, 3, 4):
            assert add(at, number).endswith("%ok\n")
        assert register(at, "del", f"ID:{found[1]}", f"Updated:{found[2]}") == "%ok\n"
        ask_everything(at)
        check(url, tmp_path / "state" / "image", "NET-2", "NET-3", "NET-4")


def test_a_full_disk_under_the_image_only_delays_what_queries_see(
    make_disk: MakeDisk, tmp_path: Path
) -> None:
    image = tmp_path / "state" / "image"
    disk = make_disk(image)
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    make_store(url, 400)
    with node(tmp_path, url) as at, unharmed(at):
        first = STORED.match(add(at, 1))
        assert first
        (grows,) = image.glob("gen-*/records.dat")
        disk.fill(at, grows)
        for number in (2, 3):
            told = add(at, number)
            assert STORED.match(told), told
            assert told.endswith(DEFERRED)
        # It is stored, so it can be named.
        assert register(at, "del", f"ID:{first[1]}", f"Updated:{first[2]}") == DEFERRED
        for _ in range(2):
            ask_everything(at)
            assert "Network-Name:NET-1\n" in say(at, "network NET-1")
            assert "%error 230" in say(at, "network NET-2")
        disk.free(at)
        until(lambda: "Network-Name:NET-3\n" in say(at, "network NET-3"), 60)
        assert "%error 230" in say(at, "network NET-1")
        assert add(at, 4).endswith("%ok\n")
        ask_everything(at)
        assert at.log().count("cannot be written") < 10
        check(url, image, "NET-2", "NET-3", "NET-4")
