"""The sets by name: their cases, the areas of their data, and what a running server holds."""

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance.arinset import DATA as ARIN_DATA
from conformance.arinset import load_arin
from conformance.rfcset import DATA as RFC_DATA
from conformance.rfcset import load_rfc
from conformance.runner import Play
from conformance.servers import ServerError, Target, Variant
from conformance.wire import Endpoint, Pace, connected

_DATA = {"arin": ARIN_DATA, "rfc": RFC_DATA}
_LOADERS: dict[str, Callable[[str], Sequence[Play]]] = {
    "arin": load_arin,
    "rfc": lambda _mode: load_rfc(),
}


def load_set(name: str, mode: str) -> Sequence[Play]:
    """The plays of the set ``arin`` or ``rfc``; ``mode`` is what the first expects."""
    return _LOADERS[name](mode)


def set_areas(name: str) -> frozenset[str]:
    """The authority areas of a set's data, lower case."""
    return _areas_of(_DATA[name])


def _areas_of(data: Path) -> frozenset[str]:
    text = (data / "rwhoisd.auth_area").read_text(encoding="latin-1")
    return frozenset(re.findall(r"(?m)^name:\s*(\S+)", text.lower()))


def served_areas(target: Target) -> frozenset[str]:
    """The areas that a running server names when asked ``-soa``, lower case.

    Raises: ServerError: nobody answers there.
    """
    return asyncio.run(_ask(target))


async def _ask(target: Target) -> frozenset[str]:
    async with target.serve(Variant(ARIN_DATA)) as endpoint:
        try:
            text = await _soa(endpoint)
        except OSError as error:
            raise ServerError(f"{target.name}: no connection: {error}") from error
    return frozenset(re.findall(r"(?m)^%soa authority:(\S+)", text.lower()))


async def _soa(endpoint: Endpoint) -> str:
    async with connected(endpoint, Pace()) as line:
        line.send(b"-soa\r\n")
        await line.wait_answers(1)
        return line.buffer.decode("latin-1").replace("\r\n", "\n")
