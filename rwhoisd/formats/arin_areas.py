"""Authority areas of an ARIN installation: area file, schema, templates, SOA (§11.3 to §11.6).

ARIN's server drops an area for several reasons that have nothing to do with its data (a
top-level domain it does not know, ``localhost`` as primary server). Such an area is taken over
with a finding when it is complete; one without SOA, schema or valid name is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import AreaName, DomainName, Network, hierarchical_value
from rwhoisd.directory.schema import (
    BASE_NAMES,
    AttributeDef,
    AttributeType,
    ClassDef,
    IndexType,
    Schema,
)
from rwhoisd.directory.soa import Soa
from rwhoisd.directory.validate import pattern_faults
from rwhoisd.formats.arin_text import Reading, boolean, is_file, is_folder, leading_number
from rwhoisd.formats.findings import FormatError, failed
from rwhoisd.formats.records import CONFIG_OCTETS, Record

Word = TypeVar("Word", AttributeType, IndexType)
SLAVE_WORDS: Final = frozenset({"slave", "secondary"})


@dataclass
class Entry:
    """A record of the area file or of a schema file: last value per tag, all values per tag."""

    file: Path
    line: int
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path, record: Record, charset: str) -> "Entry":
        """The entry that a record stands for."""
        entry = cls(file, record.lines[0].number if record.lines else record.line)
        for line in record.lines:
            tag, value = line.tag.decode(charset).lower(), line.value.decode(charset)
            entry.values[tag] = value
            entry.lists.setdefault(tag, []).append(value)
            entry.lines[tag] = line.number
        return entry

    def get(self, tag: str) -> str:
        """The last value of a tag, empty when absent."""
        return self.values.get(tag, "")

    def report_unknown(self, known: Iterable[str], reading: Reading) -> None:
        """A finding for each tag that means nothing in this file."""
        for tag in self.values.keys() - set(known):
            reading.find(self.file, self.lines[tag], f"tag {tag!r} is unknown and ignored")


@dataclass(frozen=True)
class ClassFiles:
    """A class with the directory that holds its data files, where there is one."""

    class_def: ClassDef
    directory: Path | None


@dataclass(frozen=True)
class AreaFiles:
    """An area as its files define it, and where its objects lie."""

    area: AuthorityArea
    classes: tuple[ClassFiles, ...]


_AREA_TAGS: Final = (
    *("type", "name", "data-dir", "schema-file", "soa-file", "master", "slave", "xfer-arg"),
    "guardian",
)


def read_area_file(path: Path, reading: Reading) -> Iterator[tuple[Entry, AreaName]]:
    """The entries of an area file with a usable name, in its order; others are findings."""
    found, charset = reading.records(path, CONFIG_OCTETS)
    taken: set[str] = set()
    for record in found:
        entry = Entry.of(path, record, charset)
        entry.report_unknown(_AREA_TAGS, reading)
        name = _area_name(entry, reading)
        if name is not None and name.key in taken:
            reading.find(path, entry.line, f"area {name} is defined twice; the first counts")
        elif name is not None:
            taken.add(name.key)
            yield entry, name
    if not taken:
        reading.find(path, 0, "no authority area is defined; nothing can be answered")


def read_area(entry: Entry, name: AreaName, reading: Reading) -> AreaFiles | None:
    """An area with its classes; None when it is not complete, which is a finding.

    Raises: FormatError, when ARIN's server would refuse to start over a missing file.
    """
    slave = entry.get("type").lower() in SLAVE_WORDS
    _require_files(entry, reading, slave=slave)
    try:
        soa = _soa_of(entry, name, reading, slave=slave)
        classes = _classes_of(entry, reading, slave=slave)
    except FormatError as error:
        reading.findings += error.findings
        reading.find(
            entry.file, entry.line, f"area {name} is left out, as it is not complete", "error"
        )
        return None
    area = AuthorityArea(
        name=name,
        soa=soa,
        schema=Schema(tuple(c.class_def for c in classes)),
        role="slave" if slave else "master",
        guardians=tuple(entry.lists.get("guardian", ())),
        masters=tuple(_servers(entry, "master", reading)),
        slaves=tuple(_servers(entry, "slave", reading)),
        transfer_arguments=entry.get("xfer-arg"),
    )
    return AreaFiles(area, tuple(classes))


def _area_name(entry: Entry, reading: Reading) -> AreaName | None:
    text = entry.get("name")
    line = entry.lines.get("name", entry.line)
    if not text:
        reading.find(entry.file, line, "area without name is left out; add 'name: AREA'")
        return None
    try:
        name = AreaName.from_text(text)
    except RwhoisError as error:
        reading.find(entry.file, line, f"area is left out: {error.detail}")
        return None
    if isinstance(name.place, Network) or name.text == ".":
        return name
    if name.text.rpartition(".")[2].isdigit():
        reading.find(entry.file, line, f"area {text!r} is left out: a network needs a /length")
        return None
    if not isinstance(hierarchical_value(name.text), DomainName):
        reading.find(
            entry.file,
            line,
            f"area {name} has a top-level domain that ARIN's server refuses; it is served here",
            "note",
        )
    return name


def _require_files(entry: Entry, reading: Reading, *, slave: bool) -> None:
    """ARIN's server refuses to start when a file of a master area is missing (§11.3)."""
    if slave:
        return
    for tag in ("data-dir", "schema-file", "soa-file"):
        text = entry.get(tag)
        path = reading.path(text)
        if text and not (is_folder(path) if tag == "data-dir" else is_file(path)):
            raise failed(
                entry.file, entry.lines[tag], f"{tag} {text} does not exist; mend it or its name"
            )


def _servers(entry: Entry, tag: str, reading: Reading) -> Iterator[HostPort]:
    for text in entry.lists.get(tag, ()):
        host, _, port = text.replace("\t", " ").partition(" ")
        number = leading_number(port.strip() or "4321")
        if host and number is not None and 0 < number < 65536:
            yield HostPort(host, number)
        else:
            reading.find(
                entry.file, entry.lines[tag], f"{tag} {text!r} is ignored; write 'host port'"
            )


# --- SOA (§11.6) ---

_SOA_NUMBERS: Final = {
    "refresh-interval": "refresh_interval",
    "increment-interval": "increment_interval",
    "retry-interval": "retry_interval",
    "time-to-live": "time_to_live",
}
_SOA_TEXTS: Final = {
    "serial-number": "serial_number",
    "primary-server": "primary_server",
    "hostmaster": "hostmaster",
}
SOA_TAGS: Final = {**_SOA_TEXTS, **_SOA_NUMBERS}


def _soa_of(entry: Entry, name: AreaName, reading: Reading, *, slave: bool) -> Soa | None:
    text = entry.get("soa-file")
    if slave and not (text and is_file(reading.path(text))):
        return None  # never synchronised
    if not text:
        raise failed(entry.file, entry.line, f"area {name} needs a soa-file")
    return read_soa(reading.path(text), reading)


def read_soa(path: Path, reading: Reading) -> Soa:
    """The SOA of a file. Raises: FormatError naming every variable that is missing or zero."""
    found, charset = reading.records(path)
    values: dict[str, tuple[int, str]] = {}
    for record in found:  # separators mean nothing here
        for line in record.lines:
            values[line.tag.decode(charset).lower()] = (line.number, line.value.decode(charset))
    for tag in values.keys() - SOA_TAGS.keys():
        reading.find(path, values[tag][0], f"tag {tag!r} is unknown and ignored")
    fields: dict[str, Any] = {
        field_name: values[tag][1] for tag, field_name in _SOA_TEXTS.items() if tag in values
    }
    fields |= {
        field_name: leading_number(values[tag][1]) or 0
        for tag, field_name in _SOA_NUMBERS.items()
        if tag in values
    }
    missing = [tag for tag, field_name in SOA_TAGS.items() if not fields.get(field_name)]
    if missing:
        names = ", ".join(missing)
        raise failed(path, 0, f"SOA variables missing or zero: {names}; give each a value")
    _check_primary(path, values["primary-server"], reading)
    return Soa(**fields)


def _check_primary(path: Path, place: tuple[int, str], reading: Reading) -> None:
    line, text = place
    host, colon, port = text.rpartition(":")
    if not (colon and port.isdigit() and hierarchical_value(host)):
        reading.find(
            path,
            line,
            f"Primary-Server {text!r} is no host:port that ARIN's server takes; it is kept",
        )


# --- schema and templates (§11.4, §11.5) ---

_CLASS_TAGS: Final = (
    *("name", "alias", "command", "attributedef", "dbdir", "description", "parse-program"),
    "schema-version",
)


def _classes_of(entry: Entry, reading: Reading, *, slave: bool) -> list[ClassFiles]:
    text = entry.get("schema-file")
    if slave and not (text and is_file(reading.path(text))):
        return []
    if not text:
        raise failed(entry.file, entry.line, "the area needs a schema-file")
    return list(read_schema(reading.path(text), reading, slave=slave))


def read_schema(path: Path, reading: Reading, *, slave: bool = False) -> Iterator[ClassFiles]:
    """The classes of a schema file in its order; what is rejected is a finding.

    Raises: FormatError, when a template is missing: the class would not be whole.
    """
    found, charset = reading.records(path)
    taken: set[str] = set()
    for record in found:
        entry = Entry.of(path, record, charset)
        entry.report_unknown(_CLASS_TAGS, reading)
        name = entry.get("name")
        if not name:
            reading.find(path, entry.line, "class without name is ignored; add 'name: CLASS'")
        elif name.lower() in taken:
            reading.find(path, entry.line, f"class name {name} is taken; this class is ignored")
        else:
            class_files = _class(entry, taken, reading, slave=slave)
            if class_files is not None:
                taken |= {n.lower() for n in class_files.class_def.names}
                yield class_files


def _class(entry: Entry, taken: set[str], reading: Reading, *, slave: bool) -> ClassFiles | None:
    template = entry.get("attributedef")
    attributes: tuple[AttributeDef, ...] = ()
    if template:
        path = reading.path(template)
        if not is_file(path):
            raise failed(
                entry.file, entry.lines["attributedef"], f"attributedef {template} does not exist"
            )
        attributes = tuple(read_template(path, reading))
    try:
        class_def = ClassDef(
            name=entry.get("name"),
            own_attributes=attributes,
            aliases=tuple(_aliases(entry, taken, reading)),
            description=entry.get("description"),
            version=entry.get("schema-version"),
            parse_program=entry.get("parse-program"),
        )
    except ValueError as error:
        reading.find(entry.file, entry.line, f"class is ignored: {error}")
        return None
    for fault in pattern_faults(class_def, Flavour.V8_UPPER):
        reading.find(reading.path(template), 0, fault.message)
    return ClassFiles(class_def, _directory(entry, reading, slave=slave))


def _aliases(entry: Entry, taken: set[str], reading: Reading) -> Iterator[str]:
    seen = {*taken, entry.get("name").lower()}
    for tag in ("alias", "command"):
        for alias in entry.lists.get(tag, ()):
            if not alias:
                continue
            if alias.lower() in seen:
                reading.find(entry.file, entry.lines[tag], f"alias {alias} is taken; ignored")
            else:
                seen.add(alias.lower())
                yield alias


def _directory(entry: Entry, reading: Reading, *, slave: bool) -> Path | None:
    text = entry.get("dbdir")
    if text and is_folder(reading.path(text)):
        return reading.path(text)
    if not slave:
        line = entry.lines.get("dbdir", entry.line)
        what = f"dbdir {text} does not exist" if text else "the class has no dbdir"
        reading.find(entry.file, line, f"{what}; class {entry.get('name')} has no objects")
    return None


FLAGS: Final[Mapping[str, str]] = {
    "is-primary-key": "primary",
    "is-required": "required",
    "is-repeatable": "repeatable",
    "is-multi-line": "multi_line",
    "is-hierarchical": "hierarchical",
    "is-private": "private",
}
_TEMPLATE_TAGS: Final = (
    *("attribute", "attribute-alias", "description", "format", "index", "type"),
    *FLAGS,
)


def read_template(path: Path, reading: Reading) -> Iterator[AttributeDef]:
    """The attributes of a template; those ARIN's server rejects are findings."""
    found, charset = reading.records(path)
    taken = set(BASE_NAMES)
    for record in found:
        entry = Entry.of(path, record, charset)
        entry.report_unknown(_TEMPLATE_TAGS, reading)
        attribute = _attribute(entry, reading)
        if attribute is None:
            continue
        double = [n for n in attribute.names if n.lower() in taken]
        if double or len({n.lower() for n in attribute.names}) < len(attribute.names):
            name = (double or [attribute.name])[0]
            reading.find(
                path, entry.line, f"attribute {attribute.name} is ignored: {name} is taken"
            )
        else:
            taken |= {n.lower() for n in attribute.names}
            yield attribute


def _attribute(entry: Entry, reading: Reading) -> AttributeDef | None:
    try:
        return AttributeDef(
            name=entry.get("attribute"),
            aliases=tuple(a for a in entry.lists.get("attribute-alias", ()) if a),
            description=entry.get("description"),
            type=_word(entry, "type", AttributeType, AttributeType.TEXT, reading),
            format=entry.get("format"),
            index=_word(entry, "index", IndexType, IndexType.NONE, reading),
            **{flag: boolean(entry.get(tag)) for tag, flag in FLAGS.items()},
        )
    except ValueError as error:
        reading.find(entry.file, entry.line, f"attribute is ignored: {error}")
        return None


def _word(entry: Entry, tag: str, kind: type[Word], default: Word, reading: Reading) -> Word:
    text = entry.get(tag).upper()
    if not text or text in {member.value for member in kind}:
        return kind(text) if text else default
    known = ", ".join(member.value for member in kind)
    reading.find(
        entry.file,
        entry.lines[tag],
        f"{tag} {entry.get(tag)} counts as {default.value}; known are {known}",
    )
    return default
