"""The short way to the networks around an address finds what the search finds."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from rwhoisd.directory.addresses import plain_address
from rwhoisd.directory.names import Network
from rwhoisd.image.build import build
from rwhoisd.image.current import ImageReader
from rwhoisd.image.reader import Image
from rwhoisd.image.search import search
from rwhoisd.image.words import Words
from rwhoisd.query.ast import Query, Term
from rwhoisd.testing.memory_source import MemorySource
from tests.unit.image_data import EXAMPLE, NET10, network

LENGTHS = (8, 14, 15, 15, 16, 16, 17, 20, 24, 24, 28, 30, 31, 32)
NETWORKS = 40
# Octets of a network's text, and whether some have two networks: what is remembered has bounds.
KINDS = {"short": ([10], False), "long": ([10, 3000], False), "two": ([10], True)}


def address(chance: random.Random) -> int:
    return int.from_bytes((10, chance.randrange(4), chance.randrange(4), chance.randrange(4)))


@pytest.fixture(scope="module", params=KINDS)
def image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    """Networks in each other; in some objects two of them, and some in another area."""
    texts, two = KINDS[request.param]
    chance = random.Random(1)
    source = MemorySource(NET10, EXAMPLE)
    for number in range(NETWORKS):
        block = Network.masked(4, address(chance), chance.choice(LENGTHS))
        more = [("City", "x" * chance.choice(texts))]
        area = "10.0.0.0/8"
        if block.length > 20 and not chance.randrange(4):
            area = "example.net"
        elif two and not chance.randrange(8):
            more.append(("IP-Network", str(Network.masked(4, address(chance), 9))))
        source.add(network(f"NET-{number}", str(block), *more, area=area))
    folder = tmp_path_factory.mktemp("image")
    asyncio.run(build(source, folder, b"\n"))
    reader = ImageReader(folder)
    yield reader.current()
    reader.close()


def test_networks_around_an_address_are_those_of_the_search(image: Image) -> None:
    chance, told = random.Random(0), Counter[bool]()
    plan = image.scopes.plan(None, None)
    desks = {limit: Words(image, limit) for limit in (0, 1, 2, 4, 20)}
    for _ in range(600):
        number, limit = address(chance), chance.choice(list(desks))
        text = ".".join(map(str, number.to_bytes(4)))
        assert plain_address(text) == number
        found = desks[limit].around_address(plan, text.encode(), number)
        told[found is not None] += 1
        if found is not None:
            hits = search(image, Query(None, ((Term(text),),)), limit)
            assert found == (image.public(hits.records), len(hits.records), hits.exceeded)
    assert told[True] > 200


def test_what_is_remembered_is_bounded_and_shared(image: Image) -> None:
    plan = image.scopes.plan(None, None)
    asked, other = Words(image, 0), Words(image, 1)
    for number in range(3000):
        asked.around_address(plan, b"10.0.0.1", number << 16)
    assert len(image.large_networks) <= 1024
    image.large_networks.clear()
    for words in (asked, other):
        words.around_address(plan, b"10.1.0.1", 0x0A010001)
    assert list(image.large_networks) == [0x0A01]
    assert all(len(known[1]) <= 4096 for known in image.large_networks.values() if known)
