"""What of an object a client gets to see: the one place that decides it (§2.3.1, §4.2).

What a privacy profile hides (directory.privacy) is hidden in the public and the transfer view,
guarded or not: to see it somebody has to satisfy a guardian that there is.

Three views: *full* for guardians, *public* for queries of everyone else, *transfer* for
``-xfer`` by everyone else, which withholds private data of unguarded objects, too (ruling b).
"""

from collections.abc import Iterable
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.guardian import is_guarded
from rwhoisd.directory.objects import Line, Object, with_synthesized
from rwhoisd.directory.privacy import veiled
from rwhoisd.directory.schema import AttributeDef, ClassDef

ShownLine = tuple[AttributeDef, str]

# What proves who somebody is: no screen, log or answer of ours shows it (R2.3.6-7).
SECRET_ATTRIBUTES: Final = frozenset({"guard-info"})
MASK: Final = "********"


def full_lines(obj: Object, class_def: ClassDef) -> tuple[ShownLine, ...]:
    """Every line whose attribute the class knows, with Auth-Area and Class-Name (§8.7)."""
    lines = with_synthesized(obj.lines, obj.area, class_def.name)
    known = ((class_def.attribute(name), value) for name, value in lines)
    return tuple((a, v) for a, v in known if a is not None)


def public_lines(obj: Object, class_def: ClassDef, area: AuthorityArea) -> tuple[ShownLine, ...]:
    """What a query shows to those who satisfy no guardian; nothing for a hidden object.

    A hidden object still counts as found, so the answer is a bare ``%ok`` (N6, ruling a).
    """
    lines = full_lines(veiled(obj, class_def, area) or obj, class_def)
    if not is_guarded(obj, area):
        return lines
    return () if obj.private else _without_private(lines)


def transfer_lines(obj: Object, class_def: ClassDef, area: AuthorityArea) -> tuple[ShownLine, ...]:
    """What ``-xfer`` gives to those who satisfy no guardian (B5, ruling b)."""
    if obj.private:
        return ()
    return _without_private(full_lines(veiled(obj, class_def, area) or obj, class_def))


def personal_lines(obj: Object, class_def: ClassDef, area: AuthorityArea) -> tuple[ShownLine, ...]:
    """What ``-xfer`` gives to those who have a guardian's rights over the object.

    Over an unguarded object everybody has them: a profile still holds there.
    """
    shown = None if is_guarded(obj, area) else veiled(obj, class_def, area)
    return full_lines(shown or obj, class_def)


def _without_private(lines: Iterable[ShownLine]) -> tuple[ShownLine, ...]:
    return tuple((a, v) for a, v in lines if not a.private)


def masked_lines(obj: Object) -> tuple[Line, ...]:
    """The lines of an object for an operator's eyes: everything but secrets."""
    return tuple((n, MASK if n.lower() in SECRET_ATTRIBUTES else v) for n, v in obj.lines)
