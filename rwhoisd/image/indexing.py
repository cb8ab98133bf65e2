"""Rendering and sorting for a build: in this process, or in a helper on another core.

``python -m rwhoisd.image.indexing`` is the helper. It gets areas and line end, then batches, and
sends each back as it is rendered; after an empty message it sends the index in chunks.
"""

import marshal
import pickle
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from rwhoisd import helpers
from rwhoisd.collection import no_collection
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import Bodies
from rwhoisd.image import keys
from rwhoisd.image.batches import BatchRenderer
from rwhoisd.image.errors import ImageError
from rwhoisd.image.postings import Chunk, Grouper, Summary
from rwhoisd.image.rendering import Renderers
from rwhoisd.image.scopes import Scopes
from rwhoisd.image.sorting import Sorter

_UNDERWAY: Final = 3  # batches that the helper may be behind
_FORMAT: Final = 2  # of marshal: without a look at what occurs twice


class Job(NamedTuple):
    """A batch of objects, its class by its number among all, and its first record."""

    pair: int
    batch: Bodies
    first: int


class Records(NamedTuple):
    """What is written of a batch; pairs name a record by its number."""

    public: bytes
    lengths: list[int]
    flags: list[int]
    full: list[tuple[int, bytes]]
    raw: list[tuple[int, bytes]]
    links: list[tuple[bytes, bytes]]  # key and entry of link referrals
    entries: int  # of the index


class Indexing(Protocol):
    """Renders batches, keeps their items, and gives the index of all at the end."""

    def put(self, job: Job) -> None:
        """Take a batch."""

    def rendered(self, *, all_of_it: bool) -> Iterator[tuple[Job, Records]]:
        """What is done, in order; with ``all_of_it`` it waits for the rest. Raises: ImageError."""

    def chunks(self) -> Iterator[Chunk]:
        """The index, when all batches were rendered."""

    def summary(self) -> Summary:
        """What is known of the index, after its chunks."""


class LocalIndexing:
    """All of it in this process."""

    def __init__(self, areas: Sequence[AuthorityArea], eol: bytes, folder: Path) -> None:
        self._pairs = Scopes(areas).pairs
        self._renderers = Renderers(self._pairs, eol)
        self._batches: dict[int, BatchRenderer] = {}
        self._sorter = Sorter(folder)
        self._grouper = Grouper()
        self._done: list[tuple[Job, Records]] = []

    def put(self, job: Job) -> None:
        """See Indexing."""
        self._done.append((job, self.records(job)))

    def records(self, job: Job) -> Records:
        """The records of a batch; the items are kept. Raises: ImageError."""
        renderer = self._batches.get(job.pair)
        if renderer is None:
            renderer = BatchRenderer(self._renderers[self._pairs[job.pair]])
            self._batches = {job.pair: renderer}  # classes come one after the other
        made = renderer.render(job.batch, job.first)
        self._sorter.add(made.items)
        area = self._pairs[job.pair].area_number
        links = [(keys.link_key(area, place), entry) for place, entry in made.links]
        return Records(
            *(made.public, made.lengths, made.flags, made.full, made.raw), links, len(made.items)
        )

    def rendered(self, *, all_of_it: bool) -> Iterator[tuple[Job, Records]]:  # noqa: ARG002 - it is
        """See Indexing."""
        done, self._done = self._done, []
        yield from done

    def chunks(self) -> Iterator[Chunk]:
        """See Indexing."""
        return self._grouper.chunks(self._sorter.sorted_lists())

    def summary(self) -> Summary:
        """See Indexing."""
        return self._grouper.summary()


class HelperIndexing:
    """The same in a helper process. A thread takes in what it sends, so that neither waits for
    the other to read."""

    def __init__(
        self, areas: Sequence[AuthorityArea], eol: bytes, folder: Path, stack: ExitStack
    ) -> None:
        """``stack``: at its end the helper is gone."""
        # The helper goes first at the end: else the thread waits for what never comes.
        self._receiver = stack.enter_context(ThreadPoolExecutor(1))
        self._pipes = stack.enter_context(helpers.helper(__name__))
        self._underway: deque[tuple[Job, Future[Any]]] = deque()
        self._send(pickle.dumps((tuple(areas), eol, folder)))
        self._summary: Summary | None = None

    def _send(self, message: bytes) -> None:
        try:
            helpers.send(self._pipes.into, message)
        except BrokenPipeError:
            raise _died() from None

    def _receive(self) -> Any:
        try:
            return marshal.loads(helpers.receive(self._pipes.out))  # noqa: S302 - of our child
        except EOFError:
            raise _died() from None

    def put(self, job: Job) -> None:
        """See Indexing."""
        self._underway.append((job, self._receiver.submit(self._receive)))
        self._send(marshal.dumps((job.pair, _plain(job.batch), job.first), _FORMAT))

    def rendered(self, *, all_of_it: bool) -> Iterator[tuple[Job, Records]]:
        """See Indexing."""
        while len(self._underway) > (0 if all_of_it else _UNDERWAY):
            job, coming = self._underway.popleft()
            made = coming.result()
            if isinstance(made, str):
                raise ImageError(made)
            yield job, Records(*made)

    def chunks(self) -> Iterator[Chunk]:
        """See Indexing."""
        self._send(b"")
        coming = self._receiver.submit(self._receive)
        while made := coming.result():
            coming = self._receiver.submit(self._receive)
            yield Chunk(*made)
        self._summary = Summary(*self._receive())

    def summary(self) -> Summary:
        """See Indexing."""
        assert self._summary is not None
        return self._summary


def _plain(batch: Bodies) -> tuple[Any, ...]:
    return tuple(batch)


def _died() -> ImageError:
    return ImageError("a process that indexes died; is there enough memory?")


def help_out() -> None:
    """What the helper does."""
    taken, given = sys.stdin.buffer, sys.stdout.buffer
    indexing = LocalIndexing(*pickle.loads(helpers.receive(taken)))  # noqa: S301 - of our parent

    def answer(value: Any) -> None:
        helpers.send(given, marshal.dumps(value, _FORMAT))

    with no_collection():
        while message := helpers.receive(taken):
            pair, batch, first = marshal.loads(message)  # noqa: S302 - of our parent
            try:
                answer(tuple(indexing.records(Job(pair, Bodies(*batch), first))))
            except ImageError as error:
                answer(str(error))
        for chunk in indexing.chunks():
            answer(tuple(chunk))
        answer(None)
        answer(tuple(indexing.summary()))


if __name__ == "__main__":
    from rwhoisd.image import indexing

    try:
        indexing.help_out()
    except (BrokenPipeError, EOFError):
        sys.exit(1)  # nobody waits for it any more
