"""The server compacts the image that changes made grow, and answers all the while."""

import asyncio
from dataclasses import replace
from pathlib import Path

from rwhoisd.image.catch_up import follow
from rwhoisd.image.folder import Folder
from rwhoisd.store import Store
from tests.wire.process import installation, running, until

OCTETS = 1_000_000  # of each version of the object
VERSIONS = 8


async def change_often(state: Path) -> None:
    async with await Store.open(str(state / "store.sqlite")) as store:
        (found,) = await store.find_objects(object_id="9.192.0.2.0/24")
        for number in range(VERSIONS):
            lines = (*found.object.lines[:2], ("IP-Network", f"{number}" * OCTETS))
            async with store.change("192.0.2.0/24", author="t", source="zone") as change:
                await change.modify(found.row, replace(found.object, lines=lines))
            await follow(store.snapshot, state / "image")


def test_an_image_that_grew_is_compacted_while_queries_are_answered(tmp_path: Path) -> None:
    conf = installation(tmp_path / "arin")
    with running(tmp_path, "--arin-config", str(conf), "--listen", "127.0.0.1:0") as server:
        folder = Folder(tmp_path / "state" / "image")
        first = folder.current()
        asyncio.run(change_often(tmp_path / "state"))

        def is_compacted() -> bool:
            assert b"POP-1" in server.ask(b"network POP-1\r\n")
            return folder.current() > first

        until(is_compacted)
        assert len(server.ask(b"network POP-9\r\n")) > OCTETS
        until(lambda: len(list(folder.generations())) == 1)
        records = folder.generation(folder.current()) / "records.dat"
        assert records.stat().st_size < 2 * OCTETS
        assert server.stop() == 0
        assert "image" in server.log()
