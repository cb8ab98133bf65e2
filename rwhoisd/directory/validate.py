"""What makes an object acceptable to its class: RFC 2167 codes 320 to 324 (§2.3.1, §3.3.9).

Pure. The checks that need to know other objects take functions that answer for them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.format import Flavour, PatternError, matcher
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import AttributeType, ClassDef

# Supplied when absent, though the base class requires them (arin-rwhoisd.md §10).
_SUPPLIED: Final = frozenset({"class-name", "auth-area"})


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: its code, the attribute, and a sentence that tells the mend."""

    code: ResponseCode
    attribute: str
    message: str


class ObjectRules:
    """The rules of one class, prepared for many objects.

    A Format whose pattern is malformed constrains nothing here; ``pattern_faults`` tells of it
    where the class is read.
    """

    def __init__(self, class_def: ClassDef, flavour: Flavour) -> None:
        self._class = class_def
        self._required = {
            a.name.lower(): a.name
            for a in class_def.attributes
            if a.required and a.name.lower() not in _SUPPLIED
        }
        self._single = {
            a.name.lower()
            for a in class_def.attributes
            if not (a.repeatable or a.multi_line) and a.name.lower() not in _SUPPLIED
        }
        self._formats = dict(_formats(class_def, flavour))

    def tests(self, names: Sequence[str]) -> list[tuple[int, Callable[[str], bool]]] | None:
        """What is left to look at in objects whose lines have these canonical names, in order.

        None when the names alone break a rule; else the number of each line with a Format, and
        its test. An object that passes all has no ``violations``.
        """
        folded = [name.lower() for name in names]
        if self._misnamed(folded):
            return None
        return [(i, self._formats[name]) for i, name in enumerate(folded) if name in self._formats]

    def violations(self, lines: Sequence[Line]) -> list[Violation]:
        """Broken rules of lines with canonical names, in the order they are told to a client.

        Required attributes in schema order (322), repetitions (320), formats in line order
        (321): arin-rwhoisd.md §6.3. Unknown attributes are ``unknown_attributes``.
        """
        found = self._misnamed([name.lower() for name, _ in lines])
        for name, value in lines if self._formats else ():
            matches = self._formats.get(name.lower())
            if matches is not None and not matches(value):
                found.append(self._off_format(name, value))
        return found

    def _misnamed(self, names: Sequence[str]) -> list[Violation]:
        """What is missing (322) or stands too often (320) among names in lower case."""
        present = set(names)
        found = [
            Violation(
                ResponseCode.ATTRIBUTE_MISSING, name, f"required attribute {name} missing; add it"
            )
            for folded, name in self._required.items()
            if folded not in present
        ]
        if len(present) != len(names):
            found += self._repeated(names)
        return found

    def _repeated(self, names: Iterable[str]) -> Iterator[Violation]:
        for folded, count in Counter(names).items():
            if count > 1 and folded in self._single:
                attribute = self._class.attribute(folded)
                name = attribute.name if attribute else folded
                yield Violation(
                    ResponseCode.INVALID_ATTRIBUTE,
                    name,
                    f"attribute {name} stands {count} times, but is neither repeatable nor"
                    " multi-line; keep one",
                )

    def _off_format(self, name: str, value: str) -> Violation:
        attribute = self._class.attribute(name)
        pattern = attribute.format if attribute else ""
        return Violation(
            ResponseCode.INVALID_ATTRIBUTE_SYNTAX,
            name,
            f"value {value!r} of {name} is not of the form {pattern!r}",
        )


def _formats(class_def: ClassDef, flavour: Flavour) -> Iterator[tuple[str, Callable[[str], bool]]]:
    for attribute in class_def.attributes:
        try:
            matches = matcher(attribute.format, flavour)
        except PatternError:
            continue
        if matches is not None:
            yield attribute.name.lower(), matches


def pattern_faults(class_def: ClassDef, flavour: Flavour) -> Iterator[Violation]:
    """A violation (321) for each attribute whose Format has a malformed pattern."""
    for attribute in class_def.attributes:
        try:
            matcher(attribute.format, flavour)
        except PatternError as error:
            yield Violation(
                ResponseCode.INVALID_ATTRIBUTE_SYNTAX,
                attribute.name,
                f"format of {attribute.name} is no expression and constrains nothing: {error}",
            )


def unknown_attributes(lines: Iterable[Line], class_def: ClassDef) -> Iterator[Violation]:
    """A violation (320) for each line whose attribute the class does not know."""
    for name, _ in lines:
        if class_def.attribute(name) is None:
            yield Violation(
                ResponseCode.INVALID_ATTRIBUTE,
                name,
                f"attribute {name} is unknown in class {class_def.name}",
            )


def references(obj: Object, class_def: ClassDef) -> Iterator[tuple[str, str]]:
    """Attribute and value of each line of type ID (R2.3.1-4)."""
    for name, value in obj.lines:
        attribute = class_def.attribute(name)
        if attribute is not None and attribute.type is AttributeType.ID:
            yield attribute.name, value


def dangling(
    obj: Object, class_def: ClassDef, exists: Callable[[str], bool]
) -> Iterator[Violation]:
    """A violation (323) for each ID that no object has (R3.3.9-19)."""
    for name, value in references(obj, class_def):
        if not exists(value):
            yield Violation(
                ResponseCode.REFERENCE_NOT_FOUND,
                name,
                f"{name} names {value!r}, but no object has this ID",
            )
