"""The image was damaged on the disk: it is built anew, and the right answers come again."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.kit import network, store_with
from tests.store.test_away import node, say
from tests.store.test_full import check
from tests.wire.process import Process, running, until

NETWORKS = 400
PAGE = 4096
HEADER = 16  # octets of an LMDB page: what it is, and where its content begins
Damage = Callable[[bytearray, random.Random], None]


def records(data: bytearray, chance: random.Random) -> None:
    """One bit of a record."""
    data[chance.randrange(len(data) // 2, len(data))] ^= 1


def pages(names: int) -> Damage:
    """The beginnings of all pages with that many names, but of those that say where others are."""

    def damage(data: bytearray, chance: random.Random) -> None:
        for start in range(2 * PAGE, len(data), PAGE):
            if data.count(b"NET-", start, start + PAGE) >= names:
                data[start : start + HEADER] = chance.randbytes(HEADER)

    return damage


def is_right(at: Process) -> bool:
    """Whether networks are found, in workers that may come and go."""
    try:
        answers = [say(at, f"network NET-{n}") for n in range(0, NETWORKS, 9)]
    except OSError:
        return False
    return all(
        f"network:Network-Name:NET-{9 * n}\n" in answer and answer.endswith("%ok\n")
        for n, answer in enumerate(answers)
    )


def told(at: Process) -> int:
    """How often it was said that the image is built anew, and why."""
    return at.log().count("building the image:") + at.log().count("it may be damaged")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param("records.dat", records, id="a record"),
        pytest.param("index.mdb", pages(0), id="the whole index"),
        # which nobody sees before a query comes to it
        pytest.param("index.mdb", pages(100), id="names in the index"),
    ],
)
def test_a_damaged_image_is_built_anew(tmp_path: Path, file: str, damage: Damage) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    image = tmp_path / "state" / "image"

    async def make() -> None:
        async with store_with(url, *map(network, range(NETWORKS))):
            pass

    asyncio.run(make())
    with node(tmp_path, url):
        pass
    (path,) = image.glob(f"gen-*/{file}")
    data = bytearray(path.read_bytes())
    damage(data, random.Random(f"{file} {len(data)}"))
    path.write_bytes(data)
    config = ("--config", str(tmp_path / "rwhoisd.toml"))
    with running(tmp_path, *config) as at:  # which may tell of a fault with its traceback
        # A start serves what is there, and looks at every record behind it.
        until(lambda: is_right(at) and f"{image} is new" in at.log(), 60)
        until(lambda: len(at.workers()) == 2 and is_right(at), 60)  # the loader is done
        workers = at.workers()
        assert is_right(at)
        assert at.workers() == workers
        assert told(at) == 1
        assert at.log().count("; another starts") < 12
    check(url, image, *sorted(f"NET-{n}" for n in range(1, NETWORKS)))
