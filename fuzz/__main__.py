"""``python -m fuzz``: look for inputs that break a promise, or try one again."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from fuzz import engines

ENGINES = ("auto", "atheris", "hypothesis")


def main(
    target: Annotated[
        list[str] | None, typer.Option(help="session or loaders; again for both.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time for all targets together.")] = 3600.0,
    corpus: Annotated[
        Path, typer.Option(help="Folder for what is found, a folder in it for each target.")
    ] = engines.OUT,
    replay: Annotated[
        list[Path] | None, typer.Option(help="Run this input and nothing else; again for more.")
    ] = None,
    engine: Annotated[str, typer.Option(help=f"One of {', '.join(ENGINES)}.")] = "auto",
) -> None:
    """Fuzz the session and the readers of files. Exit status 1: an input broke a promise.

    Example: python -m fuzz --target loaders --seconds 600
    """
    chosen = target or list(engines.TARGETS)
    if unknown := set(chosen) - set(engines.TARGETS):
        raise typer.BadParameter(f"{min(unknown)}: targets are {', '.join(engines.TARGETS)}")
    if engine not in ENGINES:
        raise typer.BadParameter(f"{engine}: engines are {', '.join(ENGINES)}")
    if replay:
        _replay(chosen, replay)
    elif len(chosen) == 1:
        _fuzz(chosen[0], seconds, corpus, engine)
    else:
        _fuzz_each(chosen, seconds, corpus, engine)


def _replay(targets: list[str], paths: list[Path]) -> None:
    for name in targets:
        module = engines.target(name)
        for path in paths:
            print(f"{name}: {path}")
            module.run(path.read_bytes())


def _fuzz(name: str, seconds: float, corpus: Path, engine: str) -> None:
    found = corpus / name / "corpus"
    if engine == "atheris" or (engine == "auto" and engines.has_atheris()):
        engines.fuzz_with_atheris(name, seconds, found)
    count = engines.fuzz_with_hypothesis(name, seconds, found.parent / "crashes")
    print(f"{name}: {count} inputs, nothing broke")


def _fuzz_each(targets: list[str], seconds: float, corpus: Path, engine: str) -> None:
    """One process for each target: atheris ends its process."""
    failed = 0
    for name in targets:
        arguments = ["--target", name, "--seconds", str(max(1.0, seconds / len(targets)))]
        arguments += ["--corpus", str(corpus), "--engine", engine]
        failed |= subprocess.run([sys.executable, "-m", "fuzz", *arguments], check=False).returncode
    raise typer.Exit(int(failed != 0))


if __name__ == "__main__":
    typer.run(main)
