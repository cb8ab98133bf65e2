"""TOML files against typed models: every mistake with its line and the nearest known key."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rwhoisd.formats.arin_text import read_bytes
from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.formats.toml_text import parse_toml


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class Strict(BaseModel):
    """A table of a TOML file: keys with hyphens, unknown ones are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_hyphens, populate_by_name=False
    )


MISTAKES_TOLD: Final = 100  # of one file, as each is looked for in all of it
Model = TypeVar("Model", bound=Strict)


def read_toml(path: Path, model: type[Model]) -> tuple[Model, str]:
    """A TOML file as a value of ``model``, and its text.

    Raises: FormatError naming line, key and mend of every mistake.
    """
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise failed(path, 0, f"is not UTF-8 at octet {error.start}; save it as UTF-8") from error
    try:
        table = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise failed(path, int(line[1]) if line else 0, f"is no TOML: {error}") from error
    try:
        return model.model_validate(table), text
    except ValidationError as error:
        raise FormatError(_findings(path, text, model, error)) from error


def _findings(path: Path, text: str, model: type[Strict], error: ValidationError) -> list[Finding]:
    details = error.errors()
    found = [
        Finding(str(path), _line_of(text, detail["loc"]), _message(model, detail), "error")
        for detail in details[:MISTAKES_TOLD]
    ]
    if left := len(details) - len(found):
        found.append(Finding(str(path), 0, f"{left} more mistakes", "error"))
    return found


def _message(model: type[Strict], detail: Any) -> str:
    keys = [str(part) for part in detail["loc"]]
    place = ".".join(keys)
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(keys[-1], _known(model), n=1, cutoff=0.4)
        mend = f"; did you mean {near[0]!r}?" if near else "; remove it"
        return f"key {place!r} is unknown{mend}"
    if detail["type"] == "missing":
        return f"key {place!r} is missing; add it"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"


def _known(model: type[BaseModel]) -> list[str]:
    """Keys of a model and of the models within it."""
    keys: dict[str, None] = {}
    for field in model.model_fields.values():
        keys[field.alias or ""] = None
        for inner in _models_in(field.annotation):
            keys.update(dict.fromkeys(_known(inner)))
    return list(keys)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]


def _line_of(text: str, place: tuple[int | str, ...]) -> int:
    """Line of the last named key of ``place``, found by its spelling; 0 when it has none.

    Keys repeat in arrays of tables, so the nth table of an array is looked for in the nth
    block under its header.
    """
    lines = text.split("\n")
    start = 0
    header: list[str] = []
    for depth, part in enumerate(place):
        if isinstance(part, int):
            start = _nth_header(lines, ".".join(header), part) or start
        else:
            header.append(part)
            last = depth == len(place) - 1
            parent = header[-2] if len(header) > 1 else ""
            found = _key_line(lines, part, start, parent)
            start = found or (0 if last and start == 0 else start)
    return start


def _nth_header(lines: list[str], name: str, number: int) -> int:
    pattern = re.compile(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]")
    places = [at for at, line in enumerate(lines, 1) if pattern.match(line)]
    return places[number] if number < len(places) else 0


def _key_line(lines: list[str], key: str, start: int, parent: str) -> int:
    """The first line from ``start`` on that has a key, also written ``parent.key``."""
    dotted = rf"(?:(?:[\w-]+\s*\.\s*)*{re.escape(parent)}\s*\.\s*)?" if parent else ""
    name = re.escape(key)
    pattern = re.compile(rf"\s*(\[+[^\]]*\b{name}\s*\]|{dotted}\"?{name}\"?\s*[.=])")
    for at, line in enumerate(lines[max(start - 1, 0) :], max(start, 1)):
        if pattern.match(line):
            return at
    return 0
