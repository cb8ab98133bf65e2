"""What a change of an object must be, whoever makes it: over the wire or with ``rwhois-admin``.

Pure: one rule for RFC 2167 §3.3.9 and for operators. Checks that are told to a client by their
attribute alone give a ``Violation``, whose message is for people.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.guardian import GUARDIAN_CLASS
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.validate import ObjectRules, Violation, dangling, unknown_attributes


def require_master(area: AuthorityArea) -> None:
    """Raises: RwhoisError 333, when this server is only a slave of the area (R2.6-4)."""
    if area.role == "slave":
        raise RwhoisError(ResponseCode.NOT_MASTER, area.name.text)


def class_of(area: AuthorityArea, name: str) -> ClassDef:
    """The class of an area by name or alias. Raises: RwhoisError 341."""
    class_def = area.schema.class_def(name)
    if class_def is None:
        raise RwhoisError(ResponseCode.INVALID_CLASS, name)
    return class_def


def require_known(record: Iterable[Line], class_def: ClassDef) -> None:
    """Raises: RwhoisError 320, for the first attribute that the class does not know (B7)."""
    for violation in unknown_attributes(record, class_def):
        raise RwhoisError(violation.code, violation.attribute)


def violations(
    obj: Object,
    class_def: ClassDef,
    dialect: Dialect,
    *,
    exists: Callable[[str], bool],
    schemes: Collection[str],
) -> Iterator[Violation]:
    """Broken rules of an object whose lines have canonical names, in the order they are told.

    Missing attributes (322), repetitions (320), formats (321), references (323), the scheme of a
    guardian (321).
    ``exists``: whether there is an object with this ID. ``schemes``: those that can be used.
    """
    found = ObjectRules(class_def, Flavour.of(dialect)).violations(obj.lines)
    missing = [v for v in found if v.code is ResponseCode.ATTRIBUTE_MISSING]
    yield from missing
    yield from _placed_twice(obj.lines)
    yield from found[len(missing) :]
    if dialect.register_checks_references:
        yield from dangling(obj, class_def, exists)
    if dialect.register_checks_scheme and class_def.name.lower() == GUARDIAN_CLASS:
        yield from _unknown_schemes(obj.lines, schemes)


def _placed_twice(lines: Sequence[Line]) -> Iterator[Violation]:
    """A violation (320), when an object says twice where it belongs."""
    names = [name for name, _ in lines]
    for name in ("Class-Name", "Auth-Area"):
        if names.count(name) > 1:
            message = f"attribute {name} stands {names.count(name)} times; keep one"
            yield Violation(ResponseCode.INVALID_ATTRIBUTE, name, message)


def _unknown_schemes(lines: Sequence[Line], schemes: Collection[str]) -> Iterator[Violation]:
    """A violation (321), when a guardian's scheme is none of ours (R2.3.6-6)."""
    for name, value in lines:
        if name.lower() == "guard-scheme" and value.strip().lower() not in schemes:
            known = ", ".join(sorted(schemes))
            message = f"{name} {value!r} is not known; write one of {known}"
            yield Violation(ResponseCode.INVALID_ATTRIBUTE_SYNTAX, name, message)


def require_same_version(
    lines: Sequence[Line], object_id: str, updated: str | None, *, what: str = ""
) -> None:
    """Raises: RwhoisError 338, 325, when a replacement has another ID or Updated (N24).

    ``what`` is told with 325.
    """
    new_id = next((value for name, value in lines if name == "ID"), None)
    new_updated = next((value for name, value in lines if name == "Updated"), None)
    if new_id is not None and new_id.lower() != object_id.lower():
        raise RwhoisError(ResponseCode.INVALID_DIRECTIVE_SYNTAX, "ID's must match")
    if new_updated is not None and new_updated != updated:
        raise RwhoisError(ResponseCode.OUTDATED_OBJECT, what)


def require_same_place(before: Object, area: AuthorityArea, class_def: ClassDef) -> None:
    """Raises: RwhoisError 338, when a replacement is of another area or class (N24, B44)."""
    if before.area != area.name.text:
        raise RwhoisError(ResponseCode.INVALID_DIRECTIVE_SYNTAX, "Auth-Area's must match")
    if before.class_name.lower() != class_def.name.lower():
        raise RwhoisError(ResponseCode.INVALID_DIRECTIVE_SYNTAX, "Class-Name's must match")


def new_ids(serial: str, area: AuthorityArea) -> Iterator[str]:
    """IDs for an object that a change adds; the first one that no object has is to be taken.

    Each change of an area has a serial of its own: on all nodes, and also when the area was
    removed and made anew (B20). So only loaded data can have an ID that looks like the first,
    and other objects of the same change.
    """
    for number in count(1):
        local = serial if number == 1 else f"{serial}-{number}"
        yield f"{local}.{area.name.id_suffix}"


def stamped(lines: Iterable[Line], object_id: str, serial: str) -> list[Line]:
    """The lines as they are stored: as given, ID and Updated last when they are not there."""
    own = {"ID": object_id, "Updated": serial}
    kept = [(name, own.get(name, value)) for name, value in lines]
    missing = [line for line in own.items() if line[0] not in {name for name, _ in kept}]
    return [*kept, *missing]
