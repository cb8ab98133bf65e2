"""The table of rows: blocks that are short as long as records follow each other."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rwhoisd.image import rows
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.verify import verify
from rwhoisd.testing.memory_source import MemorySource
from tests.unit.image_data import EXAMPLE, NET10, network


@pytest.mark.parametrize(
    "numbers",
    [
        list(range(200)),
        list(range(7, 300)),
        [*range(64), *range(100, 228), 400],
        [5, 4, 3, *range(64, 192)],
        [(1 << 40) + n for n in range(130)],
    ],
    ids=["from-0", "shifted", "gaps", "out-of-order", "large"],
)
def test_every_row_finds_its_record(numbers: list[int]) -> None:
    env: Any = SimpleNamespace(rows="rows")
    kept = dict(rows.blocks(sorted(rows.stretches(numbers, 9))))

    def fetch(key: bytes, db: str) -> bytes | None:
        assert db == "rows"
        return kept.get(key)

    for record, row in enumerate(numbers, 9):
        assert rows.find(fetch, env, row) == record
    assert rows.find(fetch, env, max(numbers) + 1) is None
    whole = [
        n for n in {row >> 6 for row in numbers} if set(range(n << 6, n + 1 << 6)) <= {*numbers}
    ]
    assert sum(len(block) == 4 for block in kept.values()) == len(whole)


def test_short_blocks_change(tmp_path: Path) -> None:
    source = MemorySource(NET10, EXAMPLE)
    for i in range(200):
        source.add(network(f"N-{i}", f"10.{i}.0.0/16"))
    asyncio.run(build(source, tmp_path, b"\n"))
    source.delete(100)
    source.modify(101, network("OTHER", "10.101.0.0/17"))
    source.add(network("NEW", "10.201.0.0/16"))
    assert asyncio.run(catch_up(source, tmp_path))
    assert asyncio.run(verify(source, tmp_path)) is None
    reader = ImageReader(tmp_path)
    assert reader.current().object_count == 200
    reader.close()
