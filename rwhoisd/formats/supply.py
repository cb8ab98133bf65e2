"""Where a load takes its objects from: one by one, or in batches that are ready to be written.

For a large ARIN tree the batches are made by other processes, part by part of its files, while
this one writes to the database. ``python -m rwhoisd.formats.supply`` is such a process: it gets
its parts on standard input, sends a result for each in turn, and ends when nobody takes it.
"""

import asyncio
import marshal
import os
import pickle
import sys
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import IO, Final, Protocol

from rwhoisd import helpers
from rwhoisd.collection import no_collection
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.objects import Object
from rwhoisd.formats.arin_data import FilePart, ObjectFiles, PartReader, UnknownNames
from rwhoisd.formats.arin_objects import SOURCE
from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.formats.seen import class_marks
from rwhoisd.store import Batch, Preparer

_TOGETHER: Final = 5000  # objects in a batch
_SOLO_PARTS: Final = 8  # of a MiB each: so few are read faster than a process starts
_MOST_HELPERS: Final = 3  # more than that, and the database is what everybody waits for
_MARSHAL: Final = 2  # the version without a look at what occurs twice: as small here, and faster


class Supply(Protocol):
    """The objects that a load wants; each call gives all of them again."""

    def marks(self) -> Mapping[str, str]:
        """Class, lower case → what changes when its objects may; none where that costs more
        than to look at the objects. Raises: FormatError."""

    def without(self, names: Collection[str]) -> "Supply":
        """The same but for the objects of some classes, named in lower case."""

    def objects(self, findings: list[Finding]) -> Iterable[Object]:
        """The objects in order; what is odd about them goes to ``findings``."""

    def batches(
        self, area: AuthorityArea, findings: list[Finding]
    ) -> AsyncGenerator[list[Batch], None]:
        """The same as batches for ``area``. Raises: RwhoisError 321, 340, 341; FormatError."""


@dataclass(frozen=True)
class ObjectSupply:
    """Objects that are in memory anyway."""

    given: Sequence[Object]

    def marks(self) -> Mapping[str, str]:
        """See Supply."""
        return {}

    def without(self, names: Collection[str]) -> "ObjectSupply":
        """See Supply."""
        return ObjectSupply([obj for obj in self.given if obj.class_name.lower() not in names])

    def objects(self, findings: list[Finding]) -> Iterable[Object]:  # noqa: ARG002 - none are odd
        """See Supply."""
        return self.given

    async def batches(
        self,
        area: AuthorityArea,
        findings: list[Finding],  # noqa: ARG002 - none are odd
    ) -> AsyncGenerator[list[Batch], None]:
        """See Supply."""
        preparer, rest = Preparer(area), iter(self.given)
        while some := list(islice(rest, _TOGETHER)):
            yield preparer.batches(some)


# What a part gives: batches, findings, and unknown attributes as ``Found`` has them.
_Result = tuple[list[Batch], list[Finding], dict[str, tuple[int, int]]]


@dataclass(frozen=True)
class _PartWork:
    """How a part becomes batches: what a helper process needs to know."""

    files: ObjectFiles
    area: AuthorityArea

    def results(self, parts: Iterable[FilePart]) -> Iterator[_Result]:
        reader, preparer = PartReader(self.files), Preparer(self.area)
        for part in parts:
            found = reader.read(part)
            batch = preparer.batch(found.class_name, SOURCE, found.runs)
            yield [batch] if batch.objects else [], found.findings, found.unknown


@dataclass(frozen=True)
class ArinSupply:
    """The objects of an area of an ARIN installation."""

    files: ObjectFiles

    def marks(self) -> Mapping[str, str]:
        """See Supply."""
        return class_marks(self.files)

    def without(self, names: Collection[str]) -> "ArinSupply":
        """See Supply."""
        return ArinSupply(self.files.without(names))

    def objects(self, findings: list[Finding]) -> Iterable[Object]:
        """See Supply."""
        return self.files.read(findings.append)

    async def batches(
        self, area: AuthorityArea, findings: list[Finding]
    ) -> AsyncGenerator[list[Batch], None]:
        """See Supply."""
        work, parts = _PartWork(self.files, area), list(self.files.parts())
        unknown = UnknownNames(self.files)
        count = min(len(os.sched_getaffinity(0)) - 1, _MOST_HELPERS)
        with ExitStack() as stack:
            if len(parts) <= _SOLO_PARTS or count < 1:
                results = _at_once(work.results(parts))
            else:
                pipes = [
                    stack.enter_context(_helper(work, parts[number::count]))
                    for number in range(count)
                ]
                results = _in_turn(pipes, len(parts))
            async for part, (batches, odd, names) in _numbered(parts, results):
                findings += [*odd, *unknown.note(part, names)]
                yield batches
        findings += unknown.rest()


async def _at_once(results: Iterator[_Result]) -> AsyncGenerator[_Result, None]:
    for result in results:
        yield result


async def _numbered(
    parts: Sequence[FilePart], results: AsyncGenerator[_Result, None]
) -> AsyncGenerator[tuple[FilePart, _Result], None]:
    rest = iter(parts)
    async for result in results:
        yield next(rest), result


async def _in_turn(pipes: Sequence[IO[bytes]], count: int) -> AsyncGenerator[_Result, None]:
    """The results of helpers that do every nth part; the next one is fetched meanwhile."""
    fetching = asyncio.create_task(asyncio.to_thread(_receive, pipes[0]))
    try:
        for number in range(1, count + 1):
            result = await fetching
            if number < count:
                pipe = pipes[number % len(pipes)]
                fetching = asyncio.create_task(asyncio.to_thread(_receive, pipe))
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        fetching.cancel()


@contextmanager
def _helper(work: _PartWork, parts: Sequence[FilePart]) -> Iterator[IO[bytes]]:
    """A process that does ``parts``; it is gone when the context is left."""
    with helpers.helper(__name__) as pipes:
        with suppress(BrokenPipeError):  # it died; whoever waits for its results is told
            pipes.into.write(pickle.dumps((work, parts)))
            pipes.into.close()
        yield pipes.out


def _receive(pipe: IO[bytes]) -> _Result | Exception:
    """The next message of a helper. Raises: FormatError, when it died."""
    try:
        batches = helpers.receive(pipe)
        rest = pickle.loads(helpers.receive(pipe))  # noqa: S301 - of our child
    except EOFError:
        raise failed(
            "data files", 0, "a process that reads them died; is there enough memory?"
        ) from None
    if isinstance(rest, Exception):
        return rest
    found = [Batch(*batch) for batch in marshal.loads(batches)]  # noqa: S302 - of our child
    return found, *rest


def _send(pipe: IO[bytes], value: _Result | Exception) -> None:
    """Send a result, or why there is none; batches in marshal's format, which costs half."""
    batches, rest = ([], value) if isinstance(value, Exception) else (value[0], value[1:])
    plain = marshal.dumps([tuple(batch) for batch in batches], _MARSHAL)
    helpers.send(pipe, plain)
    helpers.send(pipe, pickle.dumps(rest, pickle.HIGHEST_PROTOCOL))


def help_out() -> None:
    """What a helper process does."""
    work, parts = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started us
    with no_collection(), suppress(BrokenPipeError):  # nobody waits for it any more
        try:
            for result in work.results(parts):
                _send(sys.stdout.buffer, result)
        except (FormatError, RwhoisError) as error:
            _send(sys.stdout.buffer, error)


if __name__ == "__main__":
    from rwhoisd.formats import supply

    supply.help_out()  # of the module that its messages name, which is not __main__
