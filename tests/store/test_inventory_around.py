"""What lies around many addresses, asked for by the block, against one question for each."""

import asyncio
import random
from ipaddress import ip_address, ip_network

from rwhoisd.directory.names import Network
from rwhoisd.directory.objects import Object
from rwhoisd.inventory.around import Where, around, span_of
from rwhoisd.store import Store
from tests.store.kit import AREA, attempt, store_with

SEED = 2167


def _block(chance: random.Random) -> str:
    if chance.random() < 0.2:
        return f"2001:db8:{chance.randrange(3)}::/{chance.choice((32, 48, 64))}"
    length = chance.choice((8, 12, 15, 16, 17, 20, 24, 28, 32))
    text = f"10.{chance.randrange(4)}.{chance.randrange(4)}.{chance.randrange(256)}/{length}"
    return str(ip_network(text, strict=False))


def _wanted(chance: random.Random) -> Where:
    if chance.random() < 0.3:
        return ip_network(_block(chance), strict=False)
    if chance.random() < 0.2:
        return ip_address(f"2001:db8:{chance.randrange(4)}::{chance.randrange(9)}")
    return ip_address(f"10.{chance.randrange(5)}.{chance.randrange(4)}.{chance.randrange(256)}")


def test_the_same_as_one_question_for_each(url: str) -> None:
    chance = random.Random(SEED)
    blocks = {str(ip_network(_block(chance), strict=False)) for _ in range(60)}
    wanted = [_wanted(chance) for _ in range(80)]

    async def check(store: Store) -> None:
        found = await around(store, wanted)
        assert set(found) == set(wanted)
        hits = 0
        for where, entries in found.items():
            span = span_of(where)
            net = ip_network(where)
            asked = Network(span.family, span.first, net.prefixlen)
            plain = await store.networks_around(None, asked)
            key = [(e.row, e.span) for e in entries]
            assert sorted(key, key=repr) == sorted([(e.row, e.span) for e in plain], key=repr)
            sizes = [e.span.last - e.span.first for e in entries]
            assert sizes == sorted(sizes)
            hits += len(key)
        assert hits > 50
        assert await around(store, []) == {}

    async def main() -> None:
        objects = [
            Object(AREA, "network", (("Network-Name", f"N{n}"), ("IP-Network", text)))
            for n, text in enumerate(sorted(blocks))
        ]
        async with store_with(url) as (store, _):
            await attempt(store, *[lambda change, obj=obj: change.add(obj) for obj in objects])
            await check(store)

    asyncio.run(main())
