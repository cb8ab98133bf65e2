"""``inventory.toml``: the sources, where their records go, and whose the addresses are."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from rwhoisd.directory.access import audience_from_texts, prefixes_from_text
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AreaName
from rwhoisd.formats.findings import Finding, FormatError, failed
from rwhoisd.formats.toml import Strict, read_toml
from rwhoisd.inventory.facts import Kind, Prefix
from rwhoisd.inventory.source import source_kinds

# Sources of objects that are not ours (DESIGN §3).
RESERVED: Final = frozenset({"zone", "arin-files", "registration", "inventory"})
ROLES: Final = (Kind.VIP, Kind.RIP, Kind.STORAGE_NODE, Kind.DBNODE)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}\Z")
Texts = tuple[str, ...]
Days = Annotated[int, Field(ge=0)]
Bits4 = Annotated[int, Field(ge=0, le=32)]
Bits6 = Annotated[int, Field(ge=0, le=128)]


def _prefix(text: str) -> Prefix:
    """A prefix without host bits. Raises: ValueError that tells the mend."""
    if text.strip().lower() == "all":
        raise ValueError("'all' is no prefix; leave the key out, or write 0.0.0.0/0 and ::/0")
    prefixes_from_text(text)
    return ipaddress.ip_network(text.strip())


def _prefixes(values: Texts) -> Texts:
    return tuple(str(_prefix(value)) for value in values)


class SourceTable(Strict):
    """``[[source]]``: files of one kind, or an API. The name is the Source of its records."""

    name: str
    kind: str
    files: Texts = ()
    include_root: str = ""
    cluster: str = ""  # the director pair or cluster that it describes; default: the name
    publish: tuple[Kind, ...] = tuple(Kind)
    max_age_hours: Annotated[float, Field(ge=0)] = 0.0  # 0: however old it is
    settings: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if not _NAME.match(value) or value.lower() in RESERVED:
            raise ValueError(
                f"{value!r} cannot name a source; use letters, digits, '.', '_', ':', '-', and none"
                f" of {', '.join(sorted(RESERVED))}"
            )
        return value

    @field_validator("kind")
    @classmethod
    def _a_kind(cls, value: str) -> str:
        if value not in source_kinds():
            raise ValueError(f"{value!r} is no kind; known are {', '.join(source_kinds())}")
        return value


class AreaTable(Strict):
    """``[[area]]``: an authority area, who is answered, and which records it holds.

    Without ``networks`` an area for everybody holds public addresses only, and one with
    ``answer-to`` holds all: what is private becomes public by a rule that names it, never else.
    """

    name: str
    answer_to: Texts = ()
    networks: Texts = ()
    kinds: tuple[Kind, ...] = ROLES
    primary_server: str = ""
    hostmaster: str = ""
    refresh_interval: int = Field(3600, gt=0)
    increment_interval: int = Field(1800, gt=0)
    retry_interval: int = Field(60, gt=0)
    time_to_live: int = Field(86400, gt=0)

    @field_validator("name")
    @classmethod
    def _an_area(cls, value: str) -> str:
        try:
            return AreaName.from_text(value).text
        except RwhoisError as error:
            raise ValueError(f"{error.detail}; write example.net or 192.0.2.0/24") from error

    _check = field_validator("networks")(_prefixes)
    _audience = field_validator("answer_to")(audience_from_texts)


class OwnerTable(Strict):
    """``[[owner]]``: whose the addresses of some networks are; the longest prefix decides."""

    networks: Texts
    organization: str = ""
    org_name: str = ""
    tech_contact: Texts = ()
    admin_contact: Texts = ()
    abuse_contact: Texts = ()
    noc_contact: Texts = ()

    _check = field_validator("networks")(_prefixes)


class AuditTable(Strict):
    """``[audit]``: what the audit takes for granted, and where it looks at the machines.

    ``hosts`` is a folder with a folder for each machine, which holds files as they lie on it
    (``etc/sysctl.conf``, ``etc/sysctl.d``, ``etc/sysconfig/network-scripts``, ``etc/netplan``,
    ``etc/network/interfaces``). ``ssh`` is a command instead, with ``{host}`` in it.
    """

    hosts: str = ""
    ssh: Texts = ()
    networks: Texts = ()  # known ones beside those of the directory
    reporting_v4: Bits4 = 29  # ARIN NRPM 6.5.5: blocks of this size or larger are reported
    reporting_v6: Bits6 = 47

    _check = field_validator("networks")(_prefixes)


class InventoryTable(Strict):
    """The whole file."""

    max_removals: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of a source's records
    release_days: Days = 30  # between the mark and the removal
    last_seen_days: Days = 7  # Last-Seen is written anew when it is this old
    interval_seconds: Annotated[float, Field(gt=0)] = 900.0  # of ``watch``
    source: tuple[SourceTable, ...] = ()
    area: tuple[AreaTable, ...] = ()
    owner: tuple[OwnerTable, ...] = ()
    audit: AuditTable = Field(default_factory=lambda: AuditTable.model_validate({}))

    @model_validator(mode="after")
    def _names_once(self) -> "InventoryTable":
        for what, names in (
            ("source", [s.name.lower() for s in self.source]),
            ("area", [a.name.lower() for a in self.area]),
        ):
            double = {name for name in names if names.count(name) > 1}
            if double:
                raise ValueError(f"{what} {min(double)!r} stands twice; names are used once")
        return self


@dataclass(frozen=True)
class Inventory:
    """The file as it was read; relative paths start from its folder."""

    table: InventoryTable
    path: Path

    def files_of(self, source: SourceTable) -> list[Path]:
        """The files and folders of a source; patterns are resolved.

        Raises: FormatError for a pattern that finds nothing: a source that is not there is no
        empty one.
        """
        found: list[Path] = []
        for text in source.files:
            if not any(mark in text for mark in "*?["):
                found.append(self.place(text))
                continue
            base = Path(text)
            start = Path(base.anchor) if base.is_absolute() else self.path.parent
            matches = sorted(start.glob(str(base.relative_to(base.anchor))))
            if not matches:
                raise failed(self.path, 0, f"source {source.name}: {text} finds no file")
            found += matches
        return found

    def place(self, text: str) -> Path:
        """A path of the file, from its folder."""
        return self.path.parent / text


def read_inventory(path: Path) -> Inventory:
    """``inventory.toml``. Raises: FormatError with every mistake."""
    table, _ = read_toml(path, InventoryTable)
    if not table.source:
        raise failed(path, 0, "has no [[source]]; add one with name, kind and files")
    findings = [
        Finding(str(path), 0, f"source {s.name}: has neither files nor settings", "error")
        for s in table.source
        if not s.files and not s.settings
    ]
    if findings:
        raise FormatError(findings)
    return Inventory(table, path)
