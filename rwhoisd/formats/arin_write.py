"""Write an installation that ARIN's rwhoisd can serve, and that reads back as what it was.

What its files cannot hold is told by findings, never dropped in silence. Objects that came
from such files keep their place (octet and file number) where it is free, because the order of
answers with equal keys depends on it (``file_order``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.objects import Object, file_place
from rwhoisd.directory.privacy import default_profile
from rwhoisd.directory.schema import AttributeDef, ClassDef
from rwhoisd.directory.validate import ObjectRules
from rwhoisd.formats.arin_areas import FLAGS, SOA_TAGS
from rwhoisd.formats.arin_config import TAGS, ArinSettings
from rwhoisd.formats.arin_data import FILE_LIST
from rwhoisd.formats.findings import Finding, failed
from rwhoisd.formats.newfolder import NewFolder, area_folder
from rwhoisd.formats.records import CONFIG_OCTETS, LINE_OCTETS, clean, is_separator

CONF: Final = "rwhoisd.conf"
_LONGEST_GAP: Final = 1 << 20  # octets of filling that a kept place may cost
_FILL: Final = 400


def write_installation(
    target: Path,
    settings: ArinSettings | None,
    areas: Iterable[tuple[AuthorityArea, Iterable[Object]]],
) -> list[Finding]:
    """Write a whole installation; what its files cannot hold comes back as findings.

    Raises: FormatError, when ``target`` is there already and not empty, or cannot be written.
    """
    with InstallationWriter(target, settings) as writer:
        for area, objects in areas:
            writer.begin(area)
            for obj in objects:
                writer.add(obj)
    return writer.findings


class InstallationWriter:
    """Writes area by area into a folder beside ``target`` that takes its name at the end."""

    def __init__(self, target: Path, settings: ArinSettings | None = None) -> None:
        self.findings: list[Finding] = []
        self._tree = NewFolder(target)
        self._root = self._tree.path
        self._settings = settings or ArinSettings(target)
        self._entries: list[list[tuple[str, str]]] = []
        self._area: _AreaWriter | None = None

    def __enter__(self) -> Self:
        self._tree.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._end_area()
            if kind is None:
                self._write_configuration()
        except OSError as error:
            self._tree.end(keep=False)
            raise failed(self._root, 0, f"cannot be written: {error.strerror}") from error
        self._tree.end(keep=kind is None)

    def begin(self, area: AuthorityArea) -> None:
        """Begin an area; objects added from now on are its own."""
        self._end_area()
        self._area = _AreaWriter(self._root, area_folder(area.name), area, self.findings)
        self._entries.append(self._area.write_definition())

    def add(self, obj: Object) -> None:
        """Write an object of the area that was begun last."""
        assert self._area is not None
        self._area.add(obj)

    def _end_area(self) -> None:
        if self._area is not None:
            self._area.close()
            self._area = None

    def _write_configuration(self) -> None:
        settings = self._settings
        pairs = [_setting_pairs(settings)]
        write_tags(self._root / CONF, pairs, "utf-8", self.findings, CONFIG_OCTETS)
        x_records = [
            [
                ("command", x.command),
                *([("command-len", str(x.length))] if x.length else []),
                ("description", x.description),
                ("program", x.program),
            ]
            for x in settings.x_directives
        ]
        switches = [(n, "yes" if on else "no") for n, on in settings.directives.items()]
        for name, records in (
            (settings.auth_area_file, self._entries),
            (settings.directive_file, [switches]),
            (settings.x_directive_file, x_records),
        ):
            write_tags(self._path(name), records, "utf-8", self.findings)
        for name, text in (
            (settings.punt_file, "".join(f"{p}\n" for p in settings.punts)),
            (settings.security_allow, settings.allow_text),
            (settings.security_deny, settings.deny_text),
        ):
            self._path(name).write_bytes(text.encode("latin-1"))

    def _path(self, name: str) -> Path:
        path = self._root / _inside(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


_FILE_TAGS: Final = (
    *("auth-area-file", "directive-file", "x-directive-file", "punt-file"),
    *("security-allow", "security-deny"),
)


def _inside(name: str) -> str:
    """A file name that stays within the tree: of others only the last part is kept."""
    path = Path(name)
    return path.name if path.is_absolute() or ".." in path.parts else name


def _setting_pairs(settings: ArinSettings) -> list[tuple[str, str]]:
    """Tags that differ from their defaults. ``root-dir`` is left out: a tree may be moved."""
    defaults = {f.name: f.default for f in fields(ArinSettings)}
    pairs: list[tuple[str, str]] = []
    for tag in TAGS:
        name = tag.replace("-", "_")
        value = getattr(settings, name)
        if tag in _FILE_TAGS:
            value = _inside(value)
        if value != defaults[name]:
            pairs.append((tag, _word(value)))
    pairs += [(f"{level}-log-file", name) for level, name in settings.level_log_files.items()]
    return pairs + list(settings.unused.items())


def _word(value: Any) -> str:
    return {True: "YES", False: "NO"}[value] if isinstance(value, bool) else str(value)


def write_tags(
    path: Path,
    records: Iterable[Iterable[tuple[str, str]]],
    charset: str,
    findings: list[Finding],
    octets: int = LINE_OCTETS,
) -> None:
    """Write ``tag: value`` records; what does not read back as it was is a finding."""
    lines: list[bytes] = []
    for number, record in enumerate(records):
        if number:
            lines.append(b"---")
        for tag, value in record:
            line = f"{tag}: {value}".rstrip().encode(charset)
            if not reads_back(line, octets):
                message = f"value {value!r} of {tag} does not read back as it is"
                findings.append(Finding(str(path), len(lines) + 1, message))
            lines.append(line)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def reads_back(line: bytes, octets: int = LINE_OCTETS) -> bool:
    """Whether a line is read as one line, and as what it is."""
    return (
        len(line) <= octets
        and clean(line) == line
        and line[:1] not in (b"#", b"_", b":")
        and not is_separator(line)
    )


class _AreaWriter:
    """The folder of one area."""

    def __init__(
        self, root: Path, folder: str, area: AuthorityArea, findings: list[Finding]
    ) -> None:
        self._root, self._folder, self._area, self._findings = root, folder, area, findings
        self._classes: dict[str, _ClassWriter] = {}

    def write_definition(self) -> list[tuple[str, str]]:
        """Write SOA, schema and templates; gives the record of the area file."""
        area, folder = self._area, self._folder
        (self._root / folder / "data").mkdir(parents=True)
        pairs = [
            ("type", area.role),
            ("name", area.name.text),
            ("data-dir", f"{folder}/data"),
        ]
        if area.schema.classes or area.role == "master":
            pairs.append(("schema-file", f"{folder}/schema"))
            self._write_schema()
        if area.soa is not None:
            pairs.append(("soa-file", f"{folder}/soa"))
            self._write_soa()
        elif area.role == "master":
            self._find(f"area {area.name} has no SOA; ARIN's server refuses it")
        pairs += [("master", f"{m.host} {m.port}") for m in area.masters]
        pairs += [("slave", f"{s.host} {s.port}") for s in area.slaves]
        if area.transfer_arguments:
            pairs.append(("xfer-arg", area.transfer_arguments))
        if area.audience:
            self._find(
                f"area {area.name} is answered to {', '.join(area.audience)} only; ARIN's server"
                " answers everybody"
            )
        profiled = any(default_profile(c, area) != "public" for c in area.schema.classes)
        if profiled or area.internal_to:
            self._find(f"area {area.name} has a privacy profile; ARIN's server shows everything")
        for class_def in area.schema.classes:
            if class_def.guardians:
                self._find(
                    f"class {class_def.name} has guardians; ARIN's server knows none of classes"
                )
        return pairs + [("guardian", g) for g in area.guardians]

    def _find(self, message: str) -> None:
        self._findings.append(Finding(f"{self._folder}", 0, message))

    def _write_soa(self) -> None:
        soa = self._area.soa
        pairs = [
            (tag.title(), str(getattr(soa, field_name)) or "1")
            for tag, field_name in SOA_TAGS.items()
        ]
        if soa is not None and (soa.tech_contact or soa.admin_contact):
            self._find("ARIN's SOA has no tech-contact and admin-contact; they are left out")
        self._write("soa", [pairs])

    def _write_schema(self) -> None:
        records = []
        for class_def in self._area.schema.classes:
            name = class_def.name
            self._classes[name.lower()] = _ClassWriter(
                self._root, f"{self._folder}/data/{name}", class_def, self._area, self._findings
            )
            records.append(self._class_pairs(class_def))
            if class_def.own_attributes:
                (self._root / self._folder / "attribute_defs").mkdir(exist_ok=True)
                pairs = [_attribute_pairs(a) for a in class_def.own_attributes]
                self._write(f"attribute_defs/{name}.tmpl", pairs)
        self._write("schema", records)

    def _class_pairs(self, class_def: ClassDef) -> list[tuple[str, str]]:
        name = class_def.name
        template = f"{self._folder}/attribute_defs/{name}.tmpl"
        pairs = [
            ("name", name),
            *(("alias", alias) for alias in class_def.aliases),
            ("attributedef", template if class_def.own_attributes else ""),
            ("dbdir", f"{self._folder}/data/{name}"),
            ("description", class_def.description),
            ("parse-program", class_def.parse_program),
            ("schema-version", class_def.version),
        ]
        return [(tag, value) for tag, value in pairs if value]

    def _write(self, name: str, records: Iterable[Iterable[tuple[str, str]]]) -> None:
        path = self._root / self._folder / name
        write_tags(path, records, self._area.charset, self._findings)

    def add(self, obj: Object) -> None:
        """Write an object to a file of its class."""
        self._classes[obj.class_name.lower()].add(obj)

    def close(self) -> None:
        """Finish the files of all classes."""
        for writer in self._classes.values():
            writer.close()


def _attribute_pairs(attribute: AttributeDef) -> list[tuple[str, str]]:
    pairs = [
        ("attribute", attribute.name),
        *(("attribute-alias", alias) for alias in attribute.aliases),
        ("description", attribute.description),
        ("format", attribute.format),
        *((tag, "TRUE" if getattr(attribute, name) else "FALSE") for tag, name in FLAGS.items()),
        ("index", attribute.index.value),
        ("type", attribute.type.value),
    ]
    return [(tag, value) for tag, value in pairs if value]


class _ClassWriter:
    """The data files of one class; opened when the first object comes."""

    def __init__(
        self,
        root: Path,
        directory: str,
        class_def: ClassDef,
        area: AuthorityArea,
        findings: list[Finding],
    ) -> None:
        self._root, self._directory, self._class = root, directory, class_def
        self._charset, self._findings = area.charset, findings
        self._rules = ObjectRules(class_def, Flavour.V8_UPPER)
        self._files: dict[int, _DataFileWriter] = {}
        self._last = 0
        (root / directory).mkdir(parents=True)

    def add(self, obj: Object) -> None:
        place = file_place(obj.order)
        offset, self._last = place or (0, self._last)
        if self._last not in self._files:
            suffix = f"-{self._last}" if self._last else ""
            name = f"{self._directory}/{self._class.name}{suffix}.txt"
            self._files[self._last] = _DataFileWriter(self._root, name)
        lines = [line for name, value in obj.lines for line in self._line(obj, name, value)]
        self._files[self._last].add(lines, offset)
        if obj.indexed:
            for violation in self._rules.violations(self._known(obj)):
                self._find(obj, f"{violation.message}; ARIN's indexer will leave the object out")

    def _known(self, obj: Object) -> list[tuple[str, str]]:
        return [(n, v) for n, v in obj.lines if self._class.attribute(n) is not None]

    def _line(self, obj: Object, name: str, value: str) -> Iterator[bytes]:
        line = f"{name}:{value}".encode(self._charset)
        whole = clean(line) == line and not value.startswith((" ", "\t", "\v", "\f", "\r"))
        if ":" in name or not reads_back(line[: len(name)] or b":") or not value:
            self._find(obj, f"attribute {name!r} cannot stand in a data file; left out")
            return
        if not whole or len(line) > LINE_OCTETS:
            self._find(obj, f"value of {name} is too long or has odd blanks; it reads otherwise")
        yield line

    def _find(self, obj: Object, message: str) -> None:
        self._findings.append(Finding(self._directory, 0, f"object {obj.id or '?'}: {message}"))

    def close(self) -> None:
        """End the files; more than one, or another number than 0, needs a list of them."""
        for file in self._files.values():
            file.close()
        if set(self._files) - {0}:
            records = [file.entry(number) for number, file in self._files.items()]
            path = self._root / self._directory / FILE_LIST
            write_tags(path, records, self._charset, self._findings)


class _DataFileWriter:
    """One data file, written front to back."""

    def __init__(self, root: Path, name: str) -> None:
        self._name = name
        self._file = (root / name).open("wb")
        self._size = 0
        self._records = 0

    def add(self, lines: Iterable[bytes], offset: int) -> None:
        """Append a record, at ``offset`` if that can be reached, else behind the last one."""
        record = b"".join(line + b"\n" for line in lines)
        if not record:
            return
        self._write(_filling(self._size, offset))
        self._write(record)
        self._records += 1

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)

    def entry(self, number: int) -> list[tuple[str, str]]:
        """The record of the file in the file list."""
        return [
            ("type", "DATA"),
            ("file", self._name),
            ("file_no", str(number)),
            ("size", str(self._size)),
            ("num_recs", str(self._records)),
            ("lock", "OFF"),
        ]

    def close(self) -> None:
        self._file.close()


def _filling(size: int, offset: int) -> bytes:
    """Octets between the end of a file and its next record: comments and a separator."""
    gap = offset - size
    if size == 0 and gap == 0:
        return b""
    if not 4 <= gap <= _LONGEST_GAP:
        return b"---\n" if size else b""
    comments, rest = divmod(gap - 4, _FILL)
    return (b"#" * (_FILL - 1) + b"\n") * comments + b"-" * (rest + 3) + b"\n"
