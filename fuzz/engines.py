"""What makes inputs: atheris where it is installed, which is led by coverage, else hypothesis."""

import hashlib
import importlib
import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol, cast

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.inputs import Target, join, split
from fuzz.mutate import MOST_OCTETS, mutated

TARGETS: Final = ("session", "loaders")
OUT: Final = Path(__file__).with_name("out")
_BATCH: Final = 500  # inputs of one round of hypothesis


class TargetModule(Protocol):
    """A module of this package with a target."""

    @staticmethod
    def run(data: bytes) -> None:
        """One input. Raises whatever is wrong."""

    @staticmethod
    def prepare() -> None:
        """Make what every input needs."""


def target(name: str) -> TargetModule:
    """The module of a target."""
    return cast("TargetModule", importlib.import_module(f"fuzz.{name}"))


def has_atheris() -> bool:
    """Whether atheris is installed; there are wheels for some systems only."""
    return importlib.util.find_spec("atheris") is not None


def checked(run: Target, data: bytes, crashes: Path) -> None:
    """Run one input; one that fails is kept. Raises whatever is wrong."""
    try:
        run(data)
    except Exception:
        crashes.mkdir(parents=True, exist_ok=True)
        path = crashes / f"crash-{hashlib.sha256(data).hexdigest()[:16]}"
        path.write_bytes(data)
        print(f"kept as {path}", file=sys.stderr)
        raise


def inputs(pool: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Inputs made of those of the pool."""
    return st.builds(
        lambda at, number: mutated(pool[at], pool, Random(number)),
        st.integers(0, len(pool) - 1),
        st.integers(0, 1 << 32),
    )


def fuzz_with_hypothesis(name: str, seconds: float, crashes: Path) -> int:
    """So many inputs in that time; the first that fails is raised, and kept."""
    module, end, count = target(name), time.monotonic() + seconds, 0
    module.prepare()
    pool = _pool(name)

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        checked(module.run, data, crashes)

    round_ = 0
    while time.monotonic() < end:
        round_ += 1
        search = settings(
            max_examples=_BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(round_ + int(time.time()))(search(given(inputs(pool))(one)))()
    return count


def fuzz_with_atheris(name: str, seconds: float, corpus: Path) -> None:
    """Ends the process when the time is over or an input failed.

    ``corpus`` gets what reached something new; it is begun with the next time.
    """
    import atheris

    _own_scratch(corpus.parent / "tmp")
    with atheris.instrument_imports(include=["rwhoisd"]):
        module = target(name)
        module.prepare()
        pool = _pool(name)
    crashes = corpus.parent / "crashes"
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    seeds = Path(tempfile.mkdtemp(prefix="rwhoisd-fuzz-seeds-"))
    for number, data in enumerate(pool):
        (seeds / f"{number:04}").write_bytes(data)
    arguments = [
        f"fuzz-{name}",
        f"-max_total_time={int(seconds)}",
        f"-max_len={MOST_OCTETS}",
        "-timeout=120",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={crashes}/",
        str(corpus),
        str(seeds),
    ]
    atheris.Setup(arguments, module.run, custom_mutator=_mutator(atheris, pool))
    atheris.Fuzz()


def _own_scratch(folder: Path) -> None:
    """Put what is written for a while there: atheris ends the process without tidying up."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tempfile.tempdir = str(folder.absolute())


def _pool(name: str) -> list[bytes]:
    """The seeds; imported late, so that atheris sees what they import."""
    from fuzz.seeds import seeds

    return seeds(name)


def _mutator(atheris: Any, pool: Sequence[bytes]) -> Any:
    """By lines and words as well as by octets; the first line mostly stays what it is."""

    def mutate(data: bytes, most: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.5 or b"\n" not in data:
            return mutated(data, pool, random)[:most]
        words, body = split(data)
        head = join(words, b"")
        return head + bytes(atheris.Mutate(body, max(1, most - len(head))))

    return mutate
