"""Zone folders: one authority area as people write it.

``zone.toml`` says what the area is; ``*.txt`` beside it holds objects, ``Attribute: value``
lines in blocks separated by blank lines. The class of an object is its ``Class-Name`` line, or
the name of its file. A value of several lines is its attribute repeated; ``#`` begins a comment.
Unlike ARIN's files nothing is dropped in silence: what is not understood is an error.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Literal, Self, TextIO

from pydantic import Field, field_validator

from rwhoisd.directory.access import audience_from_texts
from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import ClassDef, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.directory.validate import ObjectRules, Violation, unknown_attributes
from rwhoisd.formats.arin_text import read_bytes
from rwhoisd.formats.classes import (
    ClassTable,
    Texts,
    class_defs,
    class_toml,
    read_classes,
    shipped,
    shipped_names,
    toml_text,
)
from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.formats.newfolder import NewFolder, area_folder
from rwhoisd.formats.toml import Strict, read_toml

SOURCE: Final = "zone"
ZONE_FILE: Final = "zone.toml"


class SoaTable(Strict):
    """``[soa]``: the variables of §2.6.2. Without serial-number the last change is shown."""

    serial_number: Annotated[str, Field(coerce_numbers_to_str=True)] = ""
    refresh_interval: int = Field(3600, gt=0)
    increment_interval: int = Field(1800, gt=0)
    retry_interval: int = Field(60, gt=0)
    time_to_live: int = Field(86400, gt=0)
    primary_server: str
    hostmaster: str
    tech_contact: str = ""
    admin_contact: str = ""


class ZoneTable(Strict):
    """``zone.toml``. ``classes`` names classes that ship, or files (they end in ``.toml``).

    ``answer-to``: the networks that get answers from the area; without it everybody does.
    ``privacy``: the profile of what has none of its own; ``operator``: who stands in for a
    private customer; ``internal-to``: the networks that get answers of what is internal.
    """

    name: str
    soa: SoaTable
    classes: Texts = ()
    class_: Annotated[Mapping[str, ClassTable], Field(alias="class", default_factory=dict)]
    guardians: Texts = ()
    slaves: Texts = ()
    charset: str = "utf-8"
    answer_to: Texts = ()
    privacy: Literal["", "public", "residential", "internal"] = ""
    operator: str = ""
    internal_to: Texts = ()

    @field_validator("answer_to", "internal_to")
    @classmethod
    def _an_audience(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return audience_from_texts(value)

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        try:
            AreaName.from_text(value)
        except RwhoisError as error:
            raise ValueError(f"{error.detail}; write example.net or 192.0.2.0/24") from error
        return value

    @field_validator("charset")
    @classmethod
    def _a_charset(cls, value: str) -> str:
        if value.lower() not in ("utf-8", "latin-1", "iso-8859-1"):
            raise ValueError(f"charset {value!r} is not known; write utf-8 or latin-1")
        return "utf-8" if value.lower() == "utf-8" else "latin-1"


@dataclass(frozen=True)
class PlacedObject:
    """An object and where each of its lines stands."""

    object: Object
    file: Path
    numbers: tuple[int, ...]  # one for each line

    def finding(self, violation: Violation) -> Finding:
        """A broken rule at the first line of its attribute, else of the object."""
        at = self._last_lines.get(violation.attribute.lower(), self.numbers[0])
        return Finding(str(self.file), at, violation.message, "error", violation.code)

    @cached_property
    def _last_lines(self) -> Mapping[str, int]:
        """Where attributes stand; the last of several is the one too many."""
        lines = zip(self.numbers, self.object.lines, strict=True)
        return {name.lower(): number for number, (name, _) in lines}


@dataclass(frozen=True)
class Zone:
    """A zone folder that was read without error."""

    area: AuthorityArea
    placed: tuple[PlacedObject, ...]
    path: Path

    @property
    def objects(self) -> tuple[Object, ...]:
        """Its objects, class by class as files stand in name order."""
        return tuple(p.object for p in self.placed)


def find_zones(path: Path) -> list[Path]:
    """The zone folders at or below a path, by name.

    Raises: FormatError, when there is none, or when a folder cannot be looked into: passing it
    over would look as if it were gone.
    """
    if not path.is_dir():
        raise failed(path, 0, f"is no folder with a {ZONE_FILE}")
    try:
        if (path / ZONE_FILE).is_file():
            return [path]
        found = sorted(f for f in path.iterdir() if f.is_dir() and (f / ZONE_FILE).is_file())
    except OSError as error:
        folder = Path(error.filename)
        place = folder.parent if folder.name == ZONE_FILE else folder
        raise failed(place, 0, f"cannot be read: {error.strerror}") from error
    if not found:
        raise failed(path, 0, f"holds no {ZONE_FILE}, nor does a folder in it")
    return found


def _object_files(folder: Path) -> list[Path]:
    """Raises: FormatError; a folder that cannot be listed is no empty one."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".txt"]
    except OSError as error:
        raise failed(folder, 0, f"cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda p: p.name.encode())


def read_zone(folder: Path, position: int = 0, flavour: Flavour = Flavour.POSIX) -> Zone:
    """The area of a zone folder with its objects.

    Raises: FormatError with every mistake found: nothing of a zone with a mistake is taken.
    """
    area = _read_area(folder, position)
    placed: list[PlacedObject] = []
    findings: list[Finding] = []
    for path in _object_files(folder):
        file = _ObjectFile(path, area, path.stem)
        placed += file.objects()
        findings += file.findings
    findings += _broken_rules(area.schema, placed, flavour)
    if findings:
        raise FormatError(findings)
    return Zone(area, tuple(placed), folder)


def _read_area(folder: Path, position: int) -> AuthorityArea:
    path = folder / ZONE_FILE
    table, text = read_toml(path, ZoneTable)
    try:
        return AuthorityArea(
            name=AreaName.from_text(table.name),
            soa=Soa(**dict(table.soa)),
            schema=Schema(tuple(_classes(path, table, text))),
            guardians=table.guardians,
            slaves=tuple(HostPort(*_server(slave)) for slave in table.slaves),
            charset=table.charset,
            position=position,
            audience=table.answer_to,
            privacy=table.privacy,
            operator=table.operator,
            internal_to=table.internal_to,
        )
    except ValueError as error:
        raise failed(path, 0, str(error)) from error


def _classes(path: Path, table: ZoneTable, text: str) -> Iterator[ClassDef]:
    known = shipped_names()
    for name in table.classes:
        if name.endswith(".toml"):
            yield from read_classes(path.parent / name)
        elif name in known:
            yield shipped(name)
        else:
            line = next((n for n, t in enumerate(text.split("\n"), 1) if name in t), 0)
            raise failed(
                path, line, f"class {name!r} is not one of {', '.join(known)}, nor a .toml file"
            )
    yield from class_defs(path, table.class_)


def _server(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and 0 < int(port) < 65536:
        return host.strip("[]"), int(port)
    raise ValueError(f"slaves: {text!r} is no host:port")


@dataclass
class _ObjectFile:
    """One text file of a zone."""

    path: Path
    area: AuthorityArea
    class_name: str  # of objects that do not name theirs
    findings: list[Finding] = field(default_factory=list)

    def objects(self) -> list[PlacedObject]:
        """The objects of the file; mistakes go to ``findings``."""
        try:
            text = read_bytes(self.path).decode(self.area.charset)
        except UnicodeDecodeError as error:
            self._tell(0, f"is not {self.area.charset} at octet {error.start}; save it so")
            return []
        return self.parsed(text)

    def parsed(self, text: str) -> list[PlacedObject]:
        """The objects of a text; mistakes go to ``findings``."""
        text = text.removeprefix("\ufeff")
        blocks = list(self._blocks(text.split("\n")))
        return [placed for block in blocks for placed in self._object(block)]

    def _tell(self, line: int, message: str, code: ResponseCode | None = None) -> None:
        self.findings.append(Finding(str(self.path), line, message, "error", code))

    def _blocks(self, lines: Sequence[str]) -> Iterator[list[tuple[int, str, str]]]:
        """Blocks of (line number, attribute, value)."""
        block: list[tuple[int, str, str]] = []
        for number, raw in enumerate(lines, 1):
            line = raw.strip(" \t\r")
            if not line:
                if block:
                    yield block
                block = []
            elif not line.startswith("#"):
                name, colon, value = line.partition(":")
                if not colon:
                    self._tell(number, f"line {line[:60]!r} is no 'Attribute: value'; add the ':'")
                elif self._good_value(number, name, value):
                    block.append((number, name.strip(), value.strip(" \t")))
        if block:
            yield block

    def _good_value(self, number: int, name: str, value: str) -> bool:
        odd = [c for c in value if c != "\t" and (ord(c) < 32 or ord(c) == 127)]
        if odd:
            self._tell(number, f"{name} holds the control character {odd[0]!r}; remove it")
        elif not value.strip(" \t"):
            self._tell(number, f"{name} has no value; give it one or remove the line")
        return bool(value.strip(" \t")) and not odd

    def _object(self, block: list[tuple[int, str, str]]) -> Iterator[PlacedObject]:
        class_def = self._class_of(block)
        if class_def is None:
            return
        lines: list[Line] = []
        for _, name, value in block:
            attribute = class_def.attribute(name)
            lines.append((attribute.name if attribute else name, value))
        numbers = tuple(number for number, _, _ in block)
        obj = Object(self.area.name.text, class_def.name, tuple(lines), source=SOURCE)
        written = next((v for n, v in lines if n.lower() == "auth-area"), None)
        if written is not None and written.lower() != self.area.name.key:
            self._tell(
                numbers[0],
                f"Auth-Area {written!r} is not {self.area.name}; move the object to its zone",
                ResponseCode.INVALID_AREA,
            )
        yield PlacedObject(obj, self.path, numbers)

    def _class_of(self, block: list[tuple[int, str, str]]) -> ClassDef | None:
        schema = self.area.schema
        named = [
            (number, value)
            for number, name, value in block
            if name.lower() in ("class-name", "cn", "object-type", "schema-name")
        ]
        number, word = named[0] if named else (block[0][0], self.class_name)
        class_def = schema.class_def(word)
        if class_def is None:
            known = ", ".join(c.name for c in schema.classes)
            hint = "add a Class-Name line or rename the file" if not named else "mend the name"
            self._tell(
                number,
                f"class {word!r} is none of this zone ({known}); {hint}",
                ResponseCode.INVALID_CLASS,
            )
        return class_def


def read_objects(text: str, path: Path, area: AuthorityArea, class_name: str) -> list[PlacedObject]:
    """Objects of a text as it stands in files of a zone; its rules are not looked at.

    ``class_name`` is that of objects without a Class-Name line. Raises: FormatError, with every
    line that is not understood; ``path`` is what messages call the text.
    """
    file = _ObjectFile(path, area, class_name)
    placed = file.parsed(text)
    if file.findings:
        raise FormatError(file.findings)
    return placed


def _broken_rules(
    schema: Schema, placed: Iterable[PlacedObject], flavour: Flavour
) -> Iterator[Finding]:
    rules = {c.name: ObjectRules(c, flavour) for c in schema.classes}
    keys: dict[tuple[object, ...], PlacedObject] = {}
    for one in placed:
        class_def = schema.class_def(one.object.class_name)
        assert class_def is not None  # it was found by name a moment ago
        unknown = list(unknown_attributes(one.object.lines, class_def))
        for violation in (*unknown, *rules[class_def.name].violations(one.object.lines)):
            yield one.finding(violation)
        key = one.object.key_values(class_def)
        double = keys.setdefault((class_def.name, key), one) if key else one
        if double is not one:
            yield one.finding(_not_unique(class_def, double))
    yield from _double_ids(placed)


def _not_unique(class_def: ClassDef, other: PlacedObject) -> Violation:
    names = " and ".join(a.name for a in class_def.key_attributes)
    return Violation(
        ResponseCode.KEY_NOT_UNIQUE,
        class_def.key_attributes[0].name,
        f"the primary key {names} is that of {other.file}:{other.numbers[0]} as well",
    )


def _double_ids(placed: Iterable[PlacedObject]) -> Iterator[Finding]:
    counts = Counter((p.object.id or "").lower() for p in placed)
    for one in placed:
        if one.object.id and counts[one.object.id.lower()] > 1:
            yield one.finding(
                Violation(
                    ResponseCode.KEY_NOT_UNIQUE, "ID", f"ID {one.object.id} stands more than once"
                )
            )


# --- writing ---


def zone_toml(area: AuthorityArea) -> str:
    """``zone.toml`` of an area, its classes inline; the inverse of ``read_zone``."""
    lines = [f"name = {toml_text(area.name.text)}", f"charset = {toml_text(area.charset)}"]
    if area.guardians:
        lines.append(f"guardians = {toml_text(area.guardians)}")
    if area.slaves:
        lines.append(f"slaves = {toml_text(tuple(str(s) for s in area.slaves))}")
    if area.audience:
        lines.append(f"answer-to = {toml_text(area.audience)}")
    if area.privacy:
        lines.append(f"privacy = {toml_text(area.privacy)}")
    if area.operator:
        lines.append(f"operator = {toml_text(area.operator)}")
    if area.internal_to:
        lines.append(f"internal-to = {toml_text(area.internal_to)}")
    lines += ["", "[soa]"]
    for name in Soa.__dataclass_fields__:
        value = getattr(area.soa, name, "")
        if value != "":
            lines.append(f"{name.replace('_', '-')} = {toml_text(value)}")
    classes = [class_toml(c) for c in area.schema.classes]
    return "\n".join(lines) + "\n" + "".join(f"\n{text}" for text in classes)


def object_text(obj: Object) -> str:
    """An object as a block of the zone file of its class."""
    return "".join(f"{name}: {value}\n" for name, value in obj.lines)


class ZoneWriter:
    """Writes zone folders below a new folder, which takes its name when all is written."""

    def __init__(self, target: Path) -> None:
        self.findings: list[Finding] = []
        self._tree = NewFolder(target)
        self._area: AuthorityArea | None = None
        self._file: tuple[str, TextIO] | None = None

    def __enter__(self) -> Self:
        self._tree.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._tree.end(keep=kind is None)

    def begin(self, area: AuthorityArea) -> None:
        """Begin a zone; a slave area is written, too, but loads as one of our own."""
        self._close()
        self._area = area
        path = self._folder(area)
        path.mkdir()
        (path / ZONE_FILE).write_text(zone_toml(area), encoding="utf-8")
        if area.role == "slave":
            message = f"area {area.name} is a slave's; as a zone folder it becomes a master's"
            self.findings.append(Finding(path.name, 0, message))

    def _folder(self, area: AuthorityArea) -> Path:
        return self._tree.path / area_folder(area.name)

    def add(self, obj: Object) -> None:
        """Write an object of the zone that was begun last."""
        assert self._area is not None
        if self._file is None or self._file[0] != obj.class_name:
            self._close()
            path = self._folder(self._area) / f"{obj.class_name}.txt"
            charset = self._area.charset
            self._file = (obj.class_name, path.open("a", encoding=charset, newline="\n"))
        class_def = self._area.schema.class_def(obj.class_name)
        for name, _ in obj.lines:
            if class_def is None or class_def.attribute(name) is None:
                message = f"{obj.id}: attribute {name} is unknown; remove it before loading"
                self.findings.append(Finding(f"{obj.class_name}.txt", 0, message))
        self._file[1].write(object_text(obj) + "\n")

    def _close(self) -> None:
        if self._file is not None:
            self._file[1].close()
            self._file = None
