"""A service that nobody asks does not keep what is not served any more."""

import asyncio
from pathlib import Path

from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.image.folder import INDEX, Folder
from rwhoisd.service.service import Service
from tests.unit.image_data import after_steps, one_step
from tests.unit.service_kit import Talk, settings

CHANGES = 60


def _index_octets(path: Path, *, renewed: bool) -> int:
    """Size of the index after many changes, beside a service that was asked before them."""
    source = after_steps(0)
    asyncio.run(build(source, path, b"\n"))
    reader = ImageReader(path)
    service = Service(reader, settings())
    assert "network:Network-Name:NET-1" in Talk(service).say("NET-1")
    for step in range(CHANGES):
        one_step(source, step)
        assert asyncio.run(catch_up(source, path))
        if renewed:
            service.renew()
    folder = Folder(path)
    found = (folder.generation(folder.current()) / INDEX).stat().st_size
    reader.close()
    return found


def test_an_idle_worker_does_not_make_the_image_grow(tmp_path: Path) -> None:
    kept = _index_octets(tmp_path / "kept", renewed=False)
    renewed = _index_octets(tmp_path / "renewed", renewed=True)
    assert renewed < 300_000
    assert kept > 4 * renewed  # else this would show nothing


def test_an_answer_after_it_is_of_the_newest(tmp_path: Path) -> None:
    source = after_steps(0)
    asyncio.run(build(source, tmp_path, b"\n"))
    reader = ImageReader(tmp_path)
    service = Service(reader, settings())
    before = [Talk(service).say("NET-14") for _ in range(3)]  # it is kept by now
    one_step(source, 2)  # which replaces it
    asyncio.run(catch_up(source, tmp_path))
    service.renew()
    service.renew()
    assert "network:Network-Name:NET-14" in before[-1]
    assert "network:Network-Name:NET-14" not in Talk(service).say("NET-14")
    assert "network:Network-Name:STEP-2" in Talk(service).say("STEP-2")
    reader.close()
