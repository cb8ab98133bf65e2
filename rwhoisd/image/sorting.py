"""Sorting more byte strings than fit into memory: sorted runs on disk, merged in bulk."""

import marshal
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

RUN_ITEMS: Final = 500_000  # about 60 MB
_CHUNK_ITEMS: Final = 4096


class Sorter:
    """Takes byte strings in any order and gives them back sorted, in lists.

    Memory stays at one run; runs lie in ``folder``, which is the caller's to remove.
    """

    def __init__(self, folder: Path, run_items: int = RUN_ITEMS) -> None:
        self._folder = folder
        self._run_items = run_items
        self._run: list[bytes] = []
        self._spilled: list[Path] = []

    def add(self, items: Iterable[bytes]) -> None:
        """Take some more."""
        self._run.extend(items)
        if len(self._run) >= self._run_items:
            self._spill()

    def _spill(self) -> None:
        self._run.sort()
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"run-{len(self._spilled)}"
        with path.open("wb") as file:
            for start in range(0, len(self._run), _CHUNK_ITEMS):
                marshal.dump(self._run[start : start + _CHUNK_ITEMS], file)
        self._spilled.append(path)
        self._run = []

    def sorted_lists(self) -> Iterator[list[bytes]]:
        """Everything taken, as sorted lists that follow each other; once."""
        if not self._spilled:
            self._run.sort()
            run, self._run = self._run, []
            if run:
                yield run
            return
        if self._run:
            self._spill()
        files = [path.open("rb") for path in self._spilled]
        try:
            yield from _merged([_chunks(file) for file in files])
        finally:
            for file in files:
                file.close()


def _chunks(file: BinaryIO) -> Iterator[list[bytes]]:
    while True:
        try:
            yield marshal.load(file)  # noqa: S302 - a file of ours, written a moment ago
        except EOFError:
            return


def _merged(runs: list[Iterator[list[bytes]]]) -> Iterator[list[bytes]]:
    """Sorted lists out of sorted runs: all that is due up to the least last item of any chunk."""
    heads = [(chunk, run) for run in runs if (chunk := next(run, []))]
    while heads:
        bound = min(chunk[-1] for chunk, _ in heads)
        due: list[bytes] = []
        kept = []
        for chunk, run in heads:
            cut = bisect_right(chunk, bound)
            due += chunk[:cut]
            rest = chunk[cut:] or next(run, [])
            if rest:
                kept.append((rest, run))
        heads = kept
        due.sort()  # made of sorted stretches: a merge in C
        yield due
