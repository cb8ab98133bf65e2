"""What a query looks at is bounded by what it gives, however much there is: counted, not timed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import lmdb
import pytest
import uvloop

from bench import queries
from bench.queries import KINDS, Kind, Numbers
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.image import narrowing
from rwhoisd.image.current import ImageReader
from rwhoisd.image.reader import Generation, Image
from rwhoisd.image.search import search
from rwhoisd.query.ast import Match, Query, Term
from rwhoisd.server.transport import factory

FEW, MANY = 1_000, 8_000
ASKED = 30  # queries of each kind
# Besides the records of an answer: keys looked for, entries and records passed by.
ALLOWED = {"below": 1.1, "prefix": 3.0, "both": 16.0}  # for each record of the answer
ANYWAY = 60

seen: Counter[str] = Counter()


class Counted:
    """Something of LMDB of which every call and every entry that it gives is counted."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return _counting(found) if callable(found) else found

    def cursor(self, *args: Any, **named: Any) -> "Counted":
        return Counted(self._real.cursor(*args, **named))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._real.close()


def _counting(call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **named: Any) -> Any:
        seen["index"] += 1
        given = call(*args, **named)
        return _each(given) if hasattr(given, "__next__") else given

    return counted


def _each(given: Iterator[Any]) -> Iterator[Any]:
    for one in given:
        seen["index"] += 1
        yield one


class CountedFiles:
    """The flat files; what is looked at of one record is counted."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def entry(self, number: int) -> Any:
        seen["records"] += 1
        return self._real.entry(number)

    def order(self, number: int) -> Any:
        seen["records"] += 1
        return self._real.order(number)

    def record(self, number: int) -> Any:
        seen["records"] += 1
        return self._real.record(number)


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    version = Generation._version

    def counted(self: Generation, txn: lmdb.Transaction) -> Image:
        image = version(self, txn)
        generation = copy(self)
        generation.files = cast("Any", CountedFiles(self.files))
        return Image(generation, cast("Any", Counted(txn)), image.head, image.scopes)

    monkeypatch.setattr(Generation, "_version", counted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    place = tmp_path_factory.mktemp("made-up")
    return cache(lambda count: queries.prepare(place, count))


def work(folder: Path, kind: Kind, numbers: Numbers) -> tuple[float, float]:
    """What a query of a kind looks at, and the records that it gives, on average."""
    return uvloop.run(_work(folder, kind, numbers))


async def _work(folder: Path, kind: Kind, numbers: Numbers) -> tuple[float, float]:
    hub, sink = queries.hub(folder), queries.Sink()
    connection = factory(hub, 0, "127.0.0.1:4321")()
    connection.connection_made(cast("asyncio.Transport", sink))

    async def ask(line: str) -> None:
        sink.last = b""
        connection.data_received(f"{line}\r\n".encode())
        while not sink.ended:  # noqa: ASYNC110
            await asyncio.sleep(0)

    for line in ("-holdconnect on", *kind.before, kind.line(numbers, 0)):
        await ask(line)  # the last one finds what every answer needs, once
    seen.clear()
    sink.counting = True
    for number in range(1, ASKED + 1):
        await ask(kind.line(numbers, number * 33))
    connection.connection_lost(None)
    return seen.total() / ASKED, sink.records / ASKED


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_work_is_bounded_by_the_answer(kind: Kind, folder: Callable[[int], Path]) -> None:
    found = {}
    for count in (FEW, MANY):
        looked_at, given = work(folder(count), kind, Numbers(count))
        assert looked_at > 0
        assert looked_at <= ANYWAY + ALLOWED.get(kind.name, 4.0) * given, (looked_at, given)
        found[count] = looked_at - ALLOWED.get(kind.name, 4.0) * given
    assert found[MANY] <= found[FEW] + 8  # one more length of network, say


@pytest.fixture(params=[FEW, MANY])
def image(request: pytest.FixtureRequest, folder: Callable[[int], Path]) -> Iterator[Image]:
    reader = ImageReader(folder(request.param) / "image")
    yield reader.current()
    reader.close()


STATUS = Term("STATE-1", attribute="status")  # a tenth of all
SORT = Term("SORT-1", attribute="category")  # a third
ONE = Term("CUSTOMER 7 NETWORKS", attribute="org-name")  # four
NAMES = Term("ACME", Match.PREFIX, "network-name")  # all
EVERY = Term("10.0.0.0/8", Match.BELOW, "ip-network")  # all
PLACE = Term("10.0.0.64/29", attribute="ip-network")  # one
SMALL = Term("10.0.0.64/28", Match.BELOW, "ip-network")  # few

LARGE_AND_SMALL = {
    "a long posting": STATUS,
    "a bare word": Term("STATE-1"),
    "a range of names": NAMES,
    "a range of networks": EVERY,
    "two long ones": SORT,
}


@pytest.mark.parametrize("large", LARGE_AND_SMALL.values(), ids=LARGE_AND_SMALL)
@pytest.mark.parametrize("small", [ONE, PLACE, SMALL], ids=["text", "network", "networks below"])
def test_the_rarest_term_decides_wherever_it_stands(image: Image, large: Term, small: Term) -> None:
    for chain in ((large, small), (small, large), (large, STATUS, small)):
        seen.clear()
        search(image, Query("network", (chain,)), 20)
        assert seen.total() < 200


def test_two_long_postings_are_read_together(image: Image) -> None:
    for limit in (1, 20):
        seen.clear()
        hits = search(image, Query("network", ((STATUS, SORT),)), limit)
        assert (len(hits.records), hits.exceeded) == (limit, True)
        assert seen.total() < 60 + 20 * limit


def test_alternatives_are_read_up_to_the_limit(image: Image) -> None:
    seen.clear()
    hits = search(image, Query("network", ((STATUS,), (SORT,), (NAMES,))), 5)
    assert (len(hits.records), hits.exceeded) == (5, True)
    assert seen.total() < 60


def test_long_postings_with_nothing_in_common_are_too_complex(image: Image) -> None:
    """What bounds a search is then the steps that it may do in vain."""
    other = Term("STATE-2", attribute="status")
    query = Query("network", ((STATUS, other),))
    assert search(image, query, 20).records == ()
    with pytest.raises(RwhoisError) as raised:
        search(image, query, 20, scan=narrowing.MOST)
    assert raised.value.code is ResponseCode.QUERY_TOO_COMPLEX
