"""The data sets on disk: made once for each number of networks, kept in bench/out."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import generate
from bench.errors import BenchError
from bench.servers import answered, ask

_OUR_PORT: Final = 4321  # stands in the configuration only: --listen says where we serve


@dataclass(frozen=True, slots=True)
class Dataset:
    """An installation of ``count`` networks and its query files below ``folder``."""

    folder: Path
    count: int

    @property
    def root(self) -> Path:
        """The installation that our server takes over."""
        return self.folder / "installation"

    @property
    def arin_root(self) -> Path:
        """The same data again, to be indexed by ARIN's indexer."""
        return self.folder / "arin"

    def text_octets(self) -> int:
        """Octets of the objects as text."""
        return sum(generate.data_file(self.root, c).stat().st_size for c in generate.CLASSES)

    def image_octets(self, *, ours: bool) -> int:
        """Octets on disk of what answers are read from."""
        folder = self.folder / "state/image" if ours else self.arin_root / "net/data"
        return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())

    def query_file(self, kind: str) -> Path:
        """The queries of one kind."""
        return self.folder / "queries" / kind

    def fresh_state(self) -> Path:
        """An empty folder for the store and the image of our server."""
        state = self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        return state

    def copied_state(self, number: int) -> Path:
        """A copy of the state of a server that is there already: two servers cannot share one."""
        folder = self.folder / f"state-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder / "state", folder, ignore=_not_regular)
        return folder


def _not_regular(folder: str, names: list[str]) -> list[str]:
    """Sockets and pipes among them, which cannot be copied."""
    paths = [(name, Path(folder, name)) for name in names]
    return [name for name, path in paths if not (path.is_dir() or path.is_file())]


def prepare(out: Path, count: int) -> Dataset:
    """The data set of ``count`` networks, made anew when the generator changed since."""
    dataset = Dataset(out / f"data-{count}", count)
    stamp = dataset.folder / "stamp"
    wanted = hashlib.sha256(Path(generate.__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return dataset
    shutil.rmtree(dataset.folder, ignore_errors=True)
    generate.write_installation(dataset.root, count, _OUR_PORT)
    generate.write_queries(dataset.folder / "queries", count)
    stamp.write_text(wanted)
    return dataset


def prepare_for_arin(dataset: Dataset) -> Path:
    """A second installation with the same data files (linked, not copied) and no index."""
    root = dataset.arin_root
    shutil.rmtree(root, ignore_errors=True)
    generate.write_configuration(root, _OUR_PORT)
    for name in generate.CLASSES:
        os.link(generate.data_file(dataset.root, name), generate.data_file(root, name))
    return root


def warm(folder: Path) -> None:
    """Read every file below ``folder`` once: cold pages would cost the first runs threefold."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


# Networks in the answer to the first query of a kind, by the number of networks in all.
EXPECTED: Final[dict[str, Callable[[int], int]]] = {
    "name": lambda _: 1,
    "addr": lambda count: min(count, 4),  # /29, /24, /16, /8: the whole chain
    "wild": lambda count: min(count, generate.PER_CONTACT),
    "hot": lambda _: 1,
}


def check_answers(dataset: Dataset, server: str, port: int, kinds: list[str]) -> None:
    """Ask a query of each kind and count the networks: a fast wrong answer is worth nothing.

    Raises: BenchError, when an answer is not whole or has another number of networks.
    """
    for kind in kinds:
        with dataset.query_file(kind).open(encoding="ascii") as file:
            query = file.readline().strip()
        answer = ask(port, query)
        found = answer.count(b"network:IP-Network:")
        expected = EXPECTED[kind](dataset.count)
        if found != expected or not answered(answer):
            text = answer[-300:].decode(errors="replace")
            raise BenchError(
                f"{server} answered {query!r} with {found} networks instead of {expected}; "
                f"its answer ends:\n{text}"
            )
