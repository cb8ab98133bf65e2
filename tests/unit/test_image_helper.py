"""A build whose rendering and sorting is done by a helper process."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd import helpers
from rwhoisd.directory.changes import Bodies
from rwhoisd.image import build as building
from rwhoisd.image.build import build
from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import Folder
from rwhoisd.image.indexing import HelperIndexing, Job
from rwhoisd.image.verify import verify
from tests.unit.image_data import NET10, after_steps, network, referral


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper from the sixth object on, also where there is one core only."""
    monkeypatch.setattr(building, "_ALONE", 5)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


def contents(path: Path) -> list[bytes]:
    place = Folder(path).generation(Folder(path).current())
    return [(place / name).read_bytes() for name in ("records.dat", "records.off", "objects.tab")]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_helper_builds_what_is_built_without(
    tmp_path: Path, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = after_steps(30)
    source.add(referral("10.9.0.0/16", "rwhois://a:4321/auth-area=10.9.0.0/16"))
    source.add(referral("b.10.0.0.0/8", "rwhois://b:4321/auth-area=b"))
    source.add(network("LONG", "10.7.0.0/16", ("Org-Name", "x" * 900)))
    asyncio.run(build(source, tmp_path / "a", b"\r\n", reverse=reverse))
    assert asyncio.run(verify(source, tmp_path / "a")) is None
    monkeypatch.setattr(building, "_ALONE", 1 << 20)
    asyncio.run(build(source, tmp_path / "b", b"\r\n", reverse=reverse))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_the_helper_refuses_is_told(tmp_path: Path) -> None:
    source = after_steps(0)
    source.put_area(replace(NET10, charset="latin-1"))
    source.add(network("SNOW", "10.8.0.0/16", ("City", "\N{SNOWMAN}")))
    with pytest.raises(ImageError, match=r"SNOW\.10\.0\.0\.0/8.*does not exist in .* latin-1"):
        asyncio.run(build(source, tmp_path, b"\n"))
    assert list(tmp_path.glob("gen-*")) == []


def test_a_helper_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = helpers.helper
    monkeypatch.setattr(helpers, "helper", lambda _: started("rwhoisd.version"))
    with pytest.raises(ImageError, match="a process that indexes died"):
        asyncio.run(build(after_steps(0), tmp_path, b"\n"))
    assert list(tmp_path.glob("gen-*")) == []


@pytest.mark.timeout(60)
def test_a_fault_amid_a_build_ends_it(tmp_path: Path) -> None:
    """What the helper has under way does not keep the process waiting."""
    batch = Bodies("network", range(1), [1], ["zone"], [True], [1], [b"ID:a\n"])
    with ExitStack() as stack:
        indexing = HelperIndexing([NET10], b"\n", tmp_path, stack)
        with pytest.raises(ValueError, match="unmarshallable"):
            indexing.put(Job(0, batch, 0))
