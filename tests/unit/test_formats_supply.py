"""Batches of an ARIN tree: made by other processes, they are what one process makes."""

import asyncio
import os
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.formats import arin, supply
from rwhoisd.formats.arin_data import ObjectFiles
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.formats.supply import ArinSupply
from rwhoisd.store import Batch
from tests.arin_tree import lay

DATA = "a/data/thing/thing.txt"
RECORDS = [f"ID:{n}.a.com\nName:b\xfc{n}\nzork:1\n" for n in range(40)]


def many_parts(monkeypatch: pytest.MonkeyPatch, helpers: int) -> None:
    """Small files are read as large ones are."""
    monkeypatch.setattr(supply, "_SOLO_PARTS", 0)
    monkeypatch.setattr("rwhoisd.formats.records.parts.__defaults__", (100,))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(helpers + 1)))


def taken(data: arin.AreaData) -> tuple[list[Batch], list[Finding]]:
    async def main() -> tuple[list[Batch], list[Finding]]:
        findings: list[Finding] = []
        batches: list[Batch] = []
        async with aclosing(ArinSupply(data.objects).batches(data.area, findings)) as supplied:
            async for some in supplied:
                batches += some
        return batches, findings

    return asyncio.run(main())


def installed(tmp_path: Path, text: str) -> arin.AreaData:
    return arin.read_installation(lay(tmp_path, {DATA: text})).areas[0]


def objects(batches: list[Batch]) -> list[object]:
    return [one for batch in batches for one in batch.objects]


@pytest.mark.parametrize("helpers", [0, 1, 3], ids=["alone", "one-helper", "three-helpers"])
def test_helpers_make_what_one_process_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helpers: int
) -> None:
    data = installed(tmp_path, "---\n".join([*RECORDS, "Phone:bad\n", "no colon\nName:x\n"]))
    alone, odd = taken(data)
    assert len(objects(alone)) == 42
    many_parts(monkeypatch, helpers)
    assert len(list(data.objects.parts())) > 5
    batches, findings = taken(data)
    assert objects(batches) == objects(alone)
    assert findings == odd
    assert any("zork" in f.message and "40 lines" in f.message for f in findings)


def test_a_mistake_met_by_a_helper_is_told_as_if_met_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = installed(tmp_path, "---\n".join(RECORDS))
    many_parts(monkeypatch, 1)
    other = replace(data, area=replace(data.area, schema=replace(data.area.schema, classes=())))
    with pytest.raises(RwhoisError) as caught:
        taken(other)
    assert caught.value.code is ResponseCode.INVALID_CLASS
    gone = list(data.objects.parts())
    monkeypatch.setattr(ObjectFiles, "parts", lambda _: iter(gone))
    data.objects.file(gone[0]).path.unlink()
    with pytest.raises(FormatError, match=r"thing\.txt: error: cannot be read"):
        taken(data)


def test_a_helper_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = installed(tmp_path, "---\n".join(RECORDS))
    many_parts(monkeypatch, 1)
    monkeypatch.setattr("sys.executable", "/bin/true")
    with pytest.raises(FormatError, match="died"):
        taken(data)
