"""Class definitions as TOML, those that ship and those of operators (STYLE §3.6)."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from rwhoisd.directory.format import Flavour
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType
from rwhoisd.directory.validate import pattern_faults
from rwhoisd.formats.findings import failed
from rwhoisd.formats.toml import Strict, read_toml


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Texts = tuple[str, ...]


class AttributeTable(Strict):
    """``[[class.NAME.attribute]]``: the properties of RFC 2167 §2.3.1, aliases and index."""

    name: str
    aliases: Texts = ()
    description: str = ""
    type: Annotated[Literal["TEXT", "ID", "SEE-ALSO"], BeforeValidator(_upper)] = "TEXT"
    format: str = ""
    index: Annotated[
        Literal["NONE", "EXACT", "CIDR", "SOUNDEX", "ALL"], BeforeValidator(_upper)
    ] = "NONE"
    required: bool = False
    primary: bool = False
    repeatable: bool = False
    multi_line: bool = False
    hierarchical: bool = False
    private: bool = False

    def attribute(self) -> AttributeDef:
        """The attribute; a primary key is required without saying so (R2.3.1-16).

        Raises: ValueError, when its properties exclude each other.
        """
        values = dict(self)
        values |= {"type": AttributeType(self.type), "index": IndexType(self.index)}
        values["required"] = self.required or self.primary
        return AttributeDef(**values)


class ClassTable(Strict):
    """``[class.NAME]``."""

    description: str = ""
    aliases: Texts = ()
    version: str = ""
    parse_program: str = ""
    privacy: Literal["", "public", "residential", "internal"] = ""
    guardians: Texts = ()
    attribute: tuple[AttributeTable, ...] = ()

    def class_def(self, name: str) -> ClassDef:
        """The class. Raises: ValueError, when names collide or a pattern is malformed."""
        class_def = ClassDef(
            name=name,
            own_attributes=tuple(a.attribute() for a in self.attribute),
            aliases=self.aliases,
            description=self.description,
            version=self.version,
            parse_program=self.parse_program,
            privacy=self.privacy,
            guardians=self.guardians,
        )
        for fault in pattern_faults(class_def, Flavour.POSIX):
            raise ValueError(fault.message)
        return class_def


class ClassFile(Strict):
    """A file of class definitions."""

    class_: Annotated[Mapping[str, ClassTable], Field(alias="class")]


def read_classes(path: Path) -> tuple[ClassDef, ...]:
    """The classes of a TOML file, in its order. Raises: FormatError."""
    found, _ = read_toml(path, ClassFile)
    return class_defs(path, found.class_)


def class_defs(path: Path, tables: Mapping[str, ClassTable]) -> tuple[ClassDef, ...]:
    """The classes of tables read from ``path``. Raises: FormatError."""
    try:
        return tuple(table.class_def(name) for name, table in tables.items())
    except ValueError as error:
        raise failed(path, 0, str(error)) from error


def shipped_directory() -> Path:
    """Where the class definitions that ship lie: in the package, or beside it in a checkout."""
    package = Path(str(files("rwhoisd")))
    installed = package / "share" / "schema"
    return installed if installed.is_dir() else package.parent / "schema"


def shipped_names() -> list[str]:
    """Names of the classes that ship."""
    return sorted(path.stem for path in shipped_directory().glob("*.toml"))


def shipped(name: str) -> ClassDef:
    """A class that ships. Raises: FormatError."""
    (class_def,) = read_classes(shipped_directory() / f"{name}.toml")
    return class_def


_PROPERTIES: Final = ("required", "primary", "repeatable", "multi_line", "hierarchical", "private")


def class_toml(class_def: ClassDef) -> str:
    """A class as TOML, the inverse of ``read_classes``."""
    name = class_def.name
    lines = [f"[class.{name}]", *_pairs(class_def, ("description", "aliases", "version"))]
    lines += _pairs(class_def, ("parse_program", "privacy", "guardians"))
    for attribute in class_def.own_attributes:
        lines += ["", f"[[class.{name}.attribute]]"]
        lines += _pairs(attribute, ("name", "aliases", "description"))
        if attribute.type is not AttributeType.TEXT:
            lines.append(f"type = {toml_text(attribute.type.value)}")
        lines += _pairs(attribute, ("format",))
        if attribute.indexed:
            lines.append(f"index = {toml_text(attribute.index.value)}")
        lines += [f"{p.replace('_', '-')} = true" for p in _PROPERTIES if getattr(attribute, p)]
    return "\n".join(lines) + "\n"


def _pairs(value: object, names: tuple[str, ...]) -> list[str]:
    return [
        f"{name.replace('_', '-')} = {toml_text(getattr(value, name))}"
        for name in names
        if getattr(value, name)
    ]


def toml_text(value: str | int | tuple[str, ...]) -> str:
    """A value as TOML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_text(v) for v in value) + "]"
    if isinstance(value, int):
        return str(value)
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else {"\\": "\\\\", '"': '\\"'}.get(c, c)
        for c in value
    )
    return f'"{escaped}"'
