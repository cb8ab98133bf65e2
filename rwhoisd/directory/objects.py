"""Objects: instances of a class, kept as the lines they came in (RFC 2167 §2.3.3)."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from rwhoisd.directory.schema import ClassDef

TRUE_WORDS: Final = frozenset({"TRUE", "YES", "ON"})  # arin-rwhoisd.md §4.3, §11.1

Line = tuple[str, str]
# What a place in a file is written with, and behind its end nothing, as digits in this order.
_DIGITS: Final = str.maketrans("0123456789:", "123456789ab")


@dataclass(frozen=True, slots=True)
class Object:
    """An object as its lines, in the order they were given; nothing of it is lost.

    ``lines`` holds (attribute name, value). Known attributes stand under their canonical
    name, unknown ones as they were written: they are kept and exported but never shown.
    ``area`` and ``class_name`` are the canonical names of where the object stands, whatever
    its Auth-Area and Class-Name lines say.
    """

    area: str
    class_name: str
    lines: tuple[Line, ...]
    source: str = "zone"  # who published it: zone, arin-files, registration, an inventory source
    indexed: bool = True  # False: stored and transferred, but found by no query (§8.3)
    order: int = 0  # answer order among objects with an equal index key, see ``file_order``

    def get(self, name: str) -> str | None:
        """First value of the attribute with the canonical name ``name``, None if absent."""
        folded = name.lower()
        return next((v for n, v in self.lines if n.lower() == folded), None)

    def values(self, name: str) -> tuple[str, ...]:
        """All values of the attribute with the canonical name ``name``, in order."""
        folded = name.lower()
        return tuple(v for n, v in self.lines if n.lower() == folded)

    @property
    def id(self) -> str | None:
        """Value of the ID line; ARIN's data has objects without."""
        return self.get("ID")

    @property
    def updated(self) -> str | None:
        """Value of the Updated line."""
        return self.get("Updated")

    @property
    def private(self) -> bool:
        """Whether the object's Private line is true (R2.3.4-8)."""
        return (self.get("Private") or "").upper() in TRUE_WORDS

    @property
    def guardians(self) -> tuple[str, ...]:
        """IDs of its guardian objects (R2.3.4-7)."""
        return self.values("Guardian")

    def key_values(self, class_def: ClassDef) -> tuple[tuple[str, ...], ...] | None:
        """The primary key: values of each key attribute, case folded; None without a key.

        Keys compare by equality, never as covering networks (B21, N4).
        """
        if not class_def.key_attributes:
            return None
        return tuple(
            tuple(v.upper() for v in self.values(a.name)) for a in class_def.key_attributes
        )


class Run(NamedTuple):
    """Objects of one class with the same attribute names in the same order, in columns.

    For those who handle millions: what depends on the names is worked out once for all.
    """

    names: tuple[str, ...]
    values: list[tuple[str, ...]]
    orders: list[int]
    indexed: bool


def file_order(offset: int, file_number: int) -> int:
    """``Object.order`` of a record at byte ``offset`` of data file ``file_number``.

    ARIN's index is sorted as text by key, attribute number and then the whole line, which
    begins ``OFFSET:FILE:``; so equal keys come in the *text* order of that prefix ("13291:0"
    before "719:0"). Each character becomes four bits, so that integers compare the same way.
    """
    text = f"{offset}:{file_number}:"[:15]
    return int(text.translate(_DIGITS).ljust(15, "0"), 16)


def file_place(order: int) -> tuple[int, int] | None:
    """Offset and file number that ``file_order`` made ``order`` of; None for any other order."""
    digits = [order >> shift & 15 for shift in range(56, -4, -4)]
    text = "".join("0123456789:"[d - 1] for d in digits if 0 < d < 12)
    offset, _, number = text.removesuffix(":").partition(":")
    if not (offset.isdigit() and number.isdigit()):
        return None
    place = (int(offset), int(number))
    return place if file_order(*place) == order else None


def late_order(position: int) -> int:
    """``Object.order`` of an object that came by no ARIN file: after all of those, in turn."""
    return 1 << 61 | position


def with_synthesized(lines: tuple[Line, ...], area: str, class_name: str) -> tuple[Line, ...]:
    """``lines`` with Auth-Area and Class-Name, in this order, in front when absent (§8.7)."""
    names = {name.lower() for name, _ in lines}
    if "class-name" not in names:
        lines = (("Class-Name", class_name), *lines)
    if "auth-area" not in names:
        lines = (("Auth-Area", area), *lines)
    return lines
