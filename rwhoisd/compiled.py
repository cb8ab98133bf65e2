"""The modules on the way of every query as machine code, where there is some (docs/adr/0013).

``hatch_build.py`` compiles them when rwhoisd is installed, if it can. What it made stands in a
folder for each Python, with a number of every source that it was made of: when one of them differs
none of it is used. So what runs is always what the sources say, and without a compiler it is the
sources themselves.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import module_from_spec, source_hash, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

# What a query passes through between two system calls.
MODULES: Final = (
    "rwhoisd.directory.addresses",
    "rwhoisd.directory.routing",
    "rwhoisd.image.current",
    "rwhoisd.image.keys",
    "rwhoisd.image.words",
    "rwhoisd.protocol.lines",
    "rwhoisd.protocol.session",
    "rwhoisd.server.access",
    "rwhoisd.server.hub",
    "rwhoisd.server.limits",
    "rwhoisd.server.querylog",
    "rwhoisd.server.sockets",
    "rwhoisd.server.transport",
    "rwhoisd.service.cache",
    "rwhoisd.service.desk",
    "rwhoisd.service.service",
)
PURE: Final = "RWHOIS_PURE_PYTHON"  # set, to anything: run the sources
SOURCES: Final = "sources.json"
SUFFIX: Final = EXTENSION_SUFFIXES[0]  # of files for this Python only
_PACKAGE: Final = Path(__file__).parent
FOLDER: Final = _PACKAGE / "_compiled" / SUFFIX.strip(".").removesuffix(".so")


def source_of(module: str) -> Path:
    """The file of a module of this package, or of one of its packages."""
    path = _PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def number_of(module: str) -> str:
    """A number of what is in a module's source. Raises: OSError."""
    return source_hash(source_of(module).read_bytes()).hex()


def is_current() -> bool:
    """Whether something is compiled, of the sources that are there."""
    try:
        numbers: dict[str, str] = json.loads((FOLDER / SOURCES).read_bytes())
        return all(number_of(module) == number for module, number in numbers.items())
    except (OSError, ValueError, AttributeError):  # none, not to its end, or of other modules
        return False


class _Finder:
    """Finds modules by a table, before they are looked for as sources."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where ``fullname`` is, if it is compiled."""
        del path, target
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def use() -> bool:
    """Have the compiled modules imported from now on; whether there are such.

    To be called before one of them is.
    """
    if os.environ.get(PURE) or not is_current():
        return False
    try:
        files = {path.name.removesuffix(SUFFIX): path for path in FOLDER.glob(f"*{SUFFIX}")}
        # All their code is in the one that is none of them; the others only name what is in it.
        (shared,) = files.keys() - MODULES
        spec = spec_from_file_location(shared, files[shared])
        if spec is None or spec.loader is None or files.keys() != {shared, *MODULES}:
            return False
        sys.modules[shared] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[shared])
    except (OSError, ValueError, ImportError):
        return False  # it was made for another system, or some of it is gone
    sys.meta_path.insert(0, _Finder(files))
    return True
