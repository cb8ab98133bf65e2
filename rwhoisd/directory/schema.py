"""Classes and attributes as data: what a template says, what every class inherits (§2.3)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Final, Literal

NAME: Final = re.compile(r"[A-Za-z0-9_-]+\Z")  # R3.1.9-3
FORMAT_RE: Final = "re:"


class AttributeType(Enum):
    """Type of a value; ``mark`` follows the attribute's name in dumps (§3.4, R3.4-9)."""

    TEXT = "TEXT"
    ID = "ID"
    SEE_ALSO = "SEE-ALSO"

    @property
    def mark(self) -> str:
        """``;I``, ``;S`` or nothing."""
        return {"TEXT": "", "ID": ";I", "SEE-ALSO": ";S"}[self.value]


class IndexType(Enum):
    """How values of an attribute can be found (arin-rwhoisd.md §8.3)."""

    NONE = "NONE"
    EXACT = "EXACT"
    CIDR = "CIDR"
    SOUNDEX = "SOUNDEX"
    ALL = "ALL"

    @property
    def parts(self) -> tuple["IndexType", ...]:
        """The single indexes it stands for, in the order ARIN's server lists their files."""
        if self is IndexType.ALL:
            return (IndexType.EXACT, IndexType.CIDR, IndexType.SOUNDEX)
        return () if self is IndexType.NONE else (self,)


@dataclass(frozen=True, slots=True)
class AttributeDef:
    """An attribute of a class: the properties of §2.3.1, its aliases and its index.

    ``format`` is ``re:PATTERN`` or text for people; empty means none. ``type_text`` keeps the
    spelling that ARIN's ``-schema`` shows.
    """

    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    type: AttributeType = AttributeType.TEXT
    format: str = ""
    index: IndexType = IndexType.NONE
    required: bool = False
    multi_line: bool = False
    repeatable: bool = False
    primary: bool = False
    hierarchical: bool = False
    private: bool = False

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise ValueError(f"attribute name {self.name!r}: letters, digits, '-' and '_' only")
        if self.multi_line and self.repeatable:
            raise ValueError(f"attribute {self.name}: multi-line and repeatable exclude each other")
        if self.primary and not self.required:
            raise ValueError(f"attribute {self.name}: a primary key must be required")

    @property
    def indexed(self) -> bool:
        """The Indexed property: any index type but NONE."""
        return self.index is not IndexType.NONE

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)


def _base(name: str, description: str, **properties: object) -> AttributeDef:
    return AttributeDef(name=name, description=description, **properties)  # type: ignore[arg-type]


# What every class inherits (§2.3.4), with ARIN's aliases and flags (A17; arin-rwhoisd.md §10).
BASE_ATTRIBUTES: Final[tuple[AttributeDef, ...]] = (
    _base(
        "Class-Name",
        "Type of the object.",
        aliases=("CN", "Object-Type", "Schema-Name"),
        required=True,
    ),
    _base("ID", "Globally unique object identifier", index=IndexType.EXACT, hierarchical=True),
    _base(
        "Auth-Area",
        "Authority area to which the object belongs",
        aliases=("AA",),
        required=True,
        hierarchical=True,
    ),
    _base("Updated", "Last modification time/serial number", aliases=("UP",)),
    _base("Guardian", "Guardian object", aliases=("GRD",), type=AttributeType.ID, repeatable=True),
    _base("Private", "object is private", aliases=("PVT",), private=True),
    _base("TTL", "Time to live"),
)
BASE_NAMES: Final = frozenset(n.lower() for a in BASE_ATTRIBUTES for n in a.names)


@dataclass(frozen=True)
class ClassDef:
    """A class: its own attributes in template order, and what it is called.

    ``version`` is free text in ARIN's schema files, a time-stamp in ours (N17). ``privacy`` is the
    profile of objects that have none of their own, before that of the area.
    """

    name: str
    own_attributes: tuple[AttributeDef, ...]
    aliases: tuple[str, ...] = ()
    description: str = ""
    version: str = ""
    parse_program: str = ""
    privacy: Literal["", "public", "residential", "internal"] = ""
    guardians: tuple[str, ...] = ()  # IDs of guardian objects of the whole class

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise ValueError(f"class name {self.name!r}: letters, digits, '-' and '_' only")
        taken = set(BASE_NAMES)
        for attribute in self.own_attributes:
            for name in attribute.names:
                if name.lower() in taken:
                    raise ValueError(f"class {self.name}: attribute name {name} is taken twice")
                taken.add(name.lower())

    @cached_property
    def attributes(self) -> tuple[AttributeDef, ...]:
        """Base attributes, then its own."""
        return BASE_ATTRIBUTES + self.own_attributes

    @cached_property
    def _by_name(self) -> Mapping[str, AttributeDef]:
        return {n.lower(): a for a in self.attributes for n in a.names}

    def attribute(self, name: str) -> AttributeDef | None:
        """The attribute called ``name`` or an alias of it, in any case; None if unknown."""
        return self._by_name.get(name.lower())

    @cached_property
    def key_attributes(self) -> tuple[AttributeDef, ...]:
        """The attributes that together are the primary key (R2.3.1-14)."""
        return tuple(a for a in self.attributes if a.primary)

    @cached_property
    def index_order(self) -> tuple[IndexType, ...]:
        """Single index types in the order of first need over the attributes (§8.6)."""
        seen: dict[IndexType, None] = {}
        for attribute in self.attributes:
            seen.update(dict.fromkeys(attribute.index.parts))
        return tuple(seen)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class Schema:
    """The classes of one area, in the order of its schema file."""

    classes: tuple[ClassDef, ...] = field(default=())

    def __post_init__(self) -> None:
        taken: set[str] = set()
        for class_def in self.classes:
            for name in class_def.names:
                if name.lower() in taken:
                    raise ValueError(f"class name {name} is taken twice")
                taken.add(name.lower())

    @cached_property
    def _by_name(self) -> Mapping[str, ClassDef]:
        return {n.lower(): c for c in self.classes for n in c.names}

    def class_def(self, name: str) -> ClassDef | None:
        """The class called ``name`` or an alias of it, in any case; None if unknown."""
        return self._by_name.get(name.lower())

    @cached_property
    def attribute_numbers(self) -> Mapping[str, str]:
        """Lower-case canonical attribute name → number within the area, in decimal.

        Base attributes first, then new names in order of first appearance over the classes:
        among equal keys the answer goes by this number (arin-rwhoisd.md §8.6, §11.9). It is
        text, because ARIN's index is sorted as text: 10 comes before 9.
        """
        numbers: dict[str, str] = {}
        for class_def in self.classes:
            for attribute in class_def.attributes:
                numbers.setdefault(attribute.name.lower(), str(len(numbers)))
        return numbers

    @cached_property
    def attribute_names(self) -> frozenset[str]:
        """Every attribute name and alias of the area, lower case."""
        return (
            frozenset(n.lower() for c in self.classes for a in c.attributes for n in a.names)
            or BASE_NAMES
        )


def class_names(schemas: Iterable[Schema]) -> dict[str, str]:
    """Class name or alias, lower case → canonical class name, lower case, over all areas (B39).

    The first area that registers a word decides, as a word may be an alias here, a name there.
    """
    words: dict[str, str] = {}
    for schema in schemas:
        for class_def in schema.classes:
            for name in class_def.names:
                words.setdefault(name.lower(), class_def.name.lower())
    return words
