"""Checking a configuration: pydantic's models are made of the options that ``config`` declares.

It stands apart because the library takes longer to load than all else of a start: what was
checked once is kept (``config_kept``), and then nobody comes here.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import pydantic
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from rwhoisd.config import (
    ENVIRONMENT_PREFIX,
    NESTED,
    Bounds,
    Check,
    Config,
    ConfigError,
    Section,
    fields_of,
    section_of,
)
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AreaName
from rwhoisd.formats.toml import MISTAKES_TOLD
from rwhoisd.protocol.directives import NAMES


def checked(data: Mapping[str, Any], place: str, text: str) -> Config:
    """What ``config.build`` gives. Raises: ConfigError."""
    findings = list(_unknown_variables(os.environ))
    try:
        settings = _model(Config)(**data)
    except ValidationError as error:
        rows = list(_own_mistakes(error.errors(include_url=False)))
        findings += [_finding(row, place, text) for row in rows[:MISTAKES_TOLD]]
        if len(rows) > MISTAKES_TOLD:
            findings.append(f"{place}: {len(rows) - MISTAKES_TOLD} more mistakes")
    except SettingsError as error:
        findings.append(f"environment: {error}; lists and tables are written as JSON")
    if findings:
        raise ConfigError(findings)
    return Config(**_values(settings), given=frozenset(settings.model_fields_set))


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Whole(BaseSettings):
    """What is more to the whole than its options."""

    model_config = SettingsConfigDict(
        extra="forbid", env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter=NESTED
    )

    @field_validator("directives", mode="before", check_fields=False)
    @classmethod
    def _switches(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        rows = {}
        for name, row in value.items():
            if name.lower() not in NAMES:
                raise ValueError(_unknown("directive", name, NAMES))
            rows[name.lower()] = {"enabled": row} if isinstance(row, bool | str) else row
        return rows

    @field_validator("transfer", check_fields=False)
    @classmethod
    def _areas(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            try:
                AreaName.from_text(name)
            except RwhoisError:
                raise ValueError(f"{name!r} is no authority area") from None
        return value

    @field_validator("limits", check_fields=False)
    @classmethod
    def _whois_clients_do_not_wait(cls, limits: Any, info: ValidationInfo) -> Any:
        idle = limits.idle_seconds
        if info.data.get("compat") == "rfc" and not 0 < idle < 60:
            raise ValueError(
                f"idle_seconds {idle:g} has to be above 0 and below 60 in rfc mode,"
                " because whois clients give up after 60 seconds"
            )
        return limits

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables before the file, nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


@cache
def _model(section: type[Any]) -> type[BaseModel]:
    """What checks a section."""
    base = _Whole if section is Config else _Table
    options: dict[str, Any] = {f.name: (_checks(f.type), _field(f)) for f in fields_of(section)}
    model: type[BaseModel] = create_model(section.__name__, __base__=base, **options)
    _SECTIONS[model] = section
    return model


_SECTIONS: Final[dict[type[BaseModel], type[Any]]] = {}  # model → what it checks


def _field(option: Field[Any]) -> Any:
    told = dict(option.metadata)
    if option.default_factory is not MISSING:
        return pydantic.Field(default_factory=option.default_factory, **told)
    default = ... if option.default is MISSING else _modelled(option.default)
    return pydantic.Field(default, repr=option.repr, **told)


def _modelled(default: Any) -> Any:
    """A default as models have it; one that is a section has the defaults of that."""
    if isinstance(default, tuple):
        return tuple(map(_modelled, default))
    if not isinstance(default, Section):
        return default
    section: Any = type(default)
    return _model(section)()


def _checks(annotation: Any) -> Any:
    """The type of an option with models in place of sections, and pydantic's marks of ours."""
    if is_dataclass(annotation) and isinstance(annotation, type):
        return _model(annotation)
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        base, *marks = arguments
        return Annotated[(_checks(base), *map(_mark, marks))]
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(map(_checks, arguments))]  # noqa: UP007 - made here
    if get_origin(annotation) in (tuple, dict):
        return get_origin(annotation)[tuple(map(_checks, arguments))]
    return annotation


def _mark(mark: Any) -> Any:
    match mark:
        case Bounds():
            return pydantic.Field(ge=mark.ge, gt=mark.gt)
        case Check():
            return AfterValidator(mark.test)
    raise TypeError(mark)


def _values(checked: BaseModel) -> dict[str, Any]:
    return {name: _plain(getattr(checked, name)) for name in type(checked).model_fields}


def _plain(value: Any) -> Any:
    """A checked value as sections have it."""
    if isinstance(value, BaseModel):
        return _SECTIONS[type(value)](**_values(value))
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return {name: _plain(row) for name, row in value.items()}
    return value


def _own_mistakes(rows: Sequence[Any]) -> Iterator[Any]:
    """Without those that only follow: a list is short because a row of it is wrong."""
    around = {row["loc"][:depth] for row in rows for depth in range(len(row["loc"]))}
    for row in rows:
        if row["loc"] not in around:
            yield row


# What TOML calls the types that pydantic names in Python's words.
_WORDS: Final = {"tuple_type": "a list is needed", "model_type": "a table is needed"}


def _finding(row: Any, place: str, text: str) -> str:
    """One mistake as ``place: option: what is wrong``."""
    location: tuple[str | int, ...] = row["loc"]
    variable = _variable(location)
    where = variable if variable in os.environ else place
    if where == place and (line := _line_of(text, location)):
        where = f"{place}:{line}"
    dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if row["type"] == "extra_forbidden":
        return f"{where}: {_unknown('option', dotted, _siblings(location))}"
    message = _WORDS.get(row["type"], row["msg"].removeprefix("Value error, "))
    given = "" if row["type"] in ("missing", "value_error") else f", not {row['input']!r}"
    return f"{where}: {dotted}: {message}{given}" if dotted else f"{where}: {message}"


def _variable(location: Sequence[str | int]) -> str:
    return ENVIRONMENT_PREFIX + NESTED.join(str(part) for part in location).upper()


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """Words for a name that is not known, with the nearest one that is."""
    last = name.rpartition(".")[2]
    near = difflib.get_close_matches(last.lower(), known, 1, 0.5) or [
        k for k in known if k.startswith(last.lower()[:3])
    ]
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return f"unknown {kind} {name!r}; {hint}"


def _siblings(location: Sequence[str | int]) -> list[str]:
    """Names of the options in the section where an unknown one was found."""
    section: type[Any] = Config
    for part in location[:-1]:
        types = {option.name: option.type for option in fields_of(section)}
        if isinstance(part, str) and part in types:
            section = section_of(types[part])[0] or section
    return [option.name for option in fields_of(section)]


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Findings for ``RWHOISD_…`` variables that name no option; pydantic passes over them."""
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        parts = variable[len(ENVIRONMENT_PREFIX) :].lower().split(NESTED)
        names = [option.name for option in fields_of(Config)]
        if parts[0] not in names:
            known = [_variable([name]) for name in names]
            near = difflib.get_close_matches(variable, known, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{variable}: unknown variable{hint}"


_HEADER: Final = re.compile(r"\s*(\[\[?)\s*+([^\]]+)\]")
_KEY: Final = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-]+)(?:\s*\.\s*(?:"[^"]*"|[\w-]+))*)\s*=""")
_NAME: Final = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


def _line_of(text: str, location: Sequence[str | int]) -> int:
    """Number of the line that comes nearest to ``location``; 0 when none does.

    A light reading of TOML: headers and the first key of each line. It only serves messages.
    """
    header: list[str | int] = []
    rows: dict[str, int] = {}
    best, found = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        key: list[str | int] = []
        if match := _HEADER.match(line):
            name = match[2].rstrip()
            header = [*_names(name)]
            if match[1] == "[[":
                rows[name] = rows.get(name, -1) + 1
                header.append(rows[name])
        elif match := _KEY.match(line):
            key = [*_names(match[1])]
        elif not line.strip().startswith("["):
            continue
        depth = _agreement([*header, *key], location)
        if depth > best:
            best, found = depth, number
    return found


def _names(text: str) -> list[str]:
    return ["".join(match) for match in _NAME.findall(text)]


def _agreement(path: Sequence[str | int], location: Sequence[str | int]) -> int:
    """How many parts two places have in common when one of them lies in the other, else 0."""
    depth = min(len(path), len(location))
    return depth if list(path[:depth]) == list(location[:depth]) else 0
