"""Compiles the way of a query when rwhoisd is installed: docs/adr/0013.

An installation does not fail when that does: without a C compiler, Python's headers or memory it
says why, and what is installed are the sources alone, which do the same.
"""

import ast
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_GROUP = "rwhoisd"  # what the file with all the code is called, with "__mypyc" behind it
# Types of libraries that are not there are unknown to the compiler; the project's own settings for
# mypy are for an environment that has them all.
_TYPES = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Of the target "wheel"; an editable installation is one of these as well."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the package; when that went well a wheel is for this Python only."""
        sys.path.insert(0, self.root)
        from rwhoisd import compiled

        try:
            if not compiled.is_current():  # it is called twice for one installation
                _compile(Path(self.root), compiled)
        except (Exception, SystemExit) as error:  # of a compiler, and of a compiler's compiler
            shutil.rmtree(compiled.FOLDER, ignore_errors=True)
            self.app.display_warning(f"rwhoisd is installed without compiled modules: {error}")
            return
        if version != "editable":
            build_data["infer_tag"] = True
            build_data["pure_python"] = False
            made = compiled.FOLDER.relative_to(self.root)  # there may be those of other Pythons
            build_data["artifacts"].append(f"/{made.as_posix()}/")


def _compile(root: Path, compiled: Any) -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution

    with tempfile.TemporaryDirectory(prefix="rwhoisd-") as work:
        files = [str(compiled.source_of(m).relative_to(root)) for m in compiled.MODULES]
        modules = mypycify(
            [*_TYPES, f"--cache-dir={work}/types", *files],
            opt_level="2",
            debug_level="0",
            target_dir=f"{work}/c",
            group_name=_GROUP,
        )
        command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = f"{work}/lib", f"{work}/objects"
        command.ensure_finalized()
        command.run()
        made = Path(work, "lib")
        shutil.rmtree(compiled.FOLDER, ignore_errors=True)
        compiled.FOLDER.mkdir(parents=True)
        for path in made.rglob("*.so"):
            shutil.copyfile(path, compiled.FOLDER / ".".join(path.relative_to(made).parts))
    read = sorted({*_read_by(compiled.MODULES, compiled), compiled.__name__})  # it has the list
    numbers = {module: compiled.number_of(module) for module in read}
    (compiled.FOLDER / compiled.SOURCES).write_text(json.dumps(numbers, indent=0))


def _read_by(modules: Iterable[str], compiled: Any) -> Iterator[str]:
    """The modules, and those that they import: their constants and types are compiled in."""
    for module in modules:
        yield module
        for node in ast.walk(ast.parse(compiled.source_of(module).read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
                yield from (name for name in named if compiled.source_of(name).is_file())
