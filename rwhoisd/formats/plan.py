"""What has to be done so that the store holds what files say: pure, values in and out.

A loader replaces only what its own source published. What somebody else changed or published
since is a conflict: reported, and left as it is unless the loader is told to insist.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.visibility import masked_lines

Identity = tuple[object, ...]
_FEW: Final = 10  # fewer may go whatever the share, unless they are most of what there is


@dataclass(frozen=True, slots=True)
class Known:
    """A stored object as far as a plan needs it."""

    row: int
    position: int
    source: str
    order: int
    indexed: bool
    digest: bytes
    class_name: str
    name: str

    @classmethod
    def of(cls, stored: StoredObject) -> "Known":
        """The stored object, without its lines."""
        obj = stored.object
        return cls(
            row=stored.row,
            position=stored.position,
            source=obj.source,
            order=obj.order,
            indexed=obj.indexed,
            digest=content_digest(obj),
            class_name=obj.class_name,
            name=object_name(obj),
        )


@dataclass(frozen=True, slots=True)
class Added:
    """An object to be added at a place within its class."""

    object: Object
    position: int


@dataclass(frozen=True, slots=True)
class Changed:
    """An object that takes the place of a stored one."""

    known: Known
    object: Object
    position: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """An object that was left alone because it is not the loader's any more."""

    object: Object
    known: Known | None  # None: somebody else deleted it
    source: str  # whose it is, or who deleted it

    def __str__(self) -> str:
        name = f"{self.object.class_name} {object_name(self.object)}"
        done = "changed" if self.known else "deleted"
        return f"{name} was {done} by {self.source} and is left so; --force takes ours"


@dataclass
class Plan:
    """The steps for one area. ``own`` counts stored objects of the loader's source."""

    source: str
    added: list[Added] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    moved: list[Changed] = field(default_factory=list)  # only place or order is another one
    removed: list[Known] = field(default_factory=list)
    left: list[Known] = field(default_factory=list)  # gone from the files, but not pruned
    conflicts: list[Conflict] = field(default_factory=list)
    unchanged: int = 0
    own: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.added or self.changed or self.moved or self.removed)

    def refusal(self, max_removals: float) -> str | None:
        """Why too much would be removed, or None. ``max_removals`` is a share of ``own``."""
        count = len(self.removed)
        is_few = count < _FEW and count <= max(1, self.own // 2)
        if is_few or count <= max_removals * self.own:
            return None
        return (
            f"{count} of {self.own} objects would be removed, more than {max_removals:.0%};"
            " check the files, then allow it with"
            " `rwhois-admin load --prune --max-removals SHARE`"
        )


def content_digest(obj: Object) -> bytes:
    """A digest of the lines of an object: equal lines, equal digest."""
    text = "\n".join([f"{name}:{value}" for name, value in obj.lines])
    return blake2b(text.encode(), digest_size=16).digest()


def object_name(obj: Object) -> str:
    """What people call an object: its ID, else the value of its first telling line."""
    if obj.id:
        return obj.id[:80]
    skipped = ("class-name", "auth-area", "guardian", "updated", "private", "ttl")
    first = (f"{n} {v}" for n, v in masked_lines(obj) if n.lower() not in skipped)
    return next(first, "without attributes")[:80]


def identity(obj: Object, schema: Schema) -> Identity:
    """By what an object is known again: its ID, else its primary key, else all of it."""
    class_name = obj.class_name.lower()
    if obj.id:
        return ("id", class_name, obj.id.lower())
    class_def = schema.class_def(class_name)
    key = obj.key_values(class_def) if class_def else None
    if key and any(key):
        return ("key", class_name, key)
    return ("lines", class_name, content_digest(obj))


class Planner:
    """Takes in what is stored, then what is wanted, and gives the plan."""

    def __init__(self, schema: Schema, source: str, *, prune: bool, force: bool) -> None:
        self._schema, self._source = schema, source
        self._prune, self._force = prune, force
        self._known: dict[Identity, deque[Known]] = {}
        self._places: dict[str, int] = {}
        self._plan = Plan(source)

    def know(self, stored: StoredObject) -> None:
        """Take in a stored object of any source."""
        known = Known.of(stored)
        self._plan.own += known.source == self._source
        self._known.setdefault(identity(stored.object, self._schema), deque()).append(known)

    def skip(self, count: int) -> None:
        """Take in objects of its own that are known to be as they are wanted."""
        self._plan.own += count
        self._plan.unchanged += count

    def want(self, obj: Object) -> None:
        """Take in an object of the files; the order of calls is the order of places."""
        if obj.source != self._source:
            obj = replace(obj, source=self._source)
        place = self._places.get(obj.class_name, 0)
        self._places[obj.class_name] = place + 1
        digest = content_digest(obj)
        known = self._match(obj, digest)
        if known is None:
            self._plan.added.append(Added(obj, place))
        elif known.digest == digest:
            self._same(known, obj, place)
        elif known.source != self._source and not self._force:
            self._plan.conflicts.append(Conflict(obj, known, known.source))
        else:
            self._plan.changed.append(Changed(known, obj, place))

    def _match(self, obj: Object, digest: bytes) -> Known | None:
        """The stored object that is the same one: equal lines first, then one of ours."""
        found = self._known.get(identity(obj, self._schema))
        if not found:
            return None
        if len(found) == 1:
            return found.pop()
        best = min(found, key=lambda k: (k.digest != digest, k.source != self._source))
        found.remove(best)
        return best

    def _same(self, known: Known, obj: Object, place: int) -> None:
        ours = known.source == self._source
        stands = (known.position, known.order, known.indexed) == (place, obj.order, obj.indexed)
        if ours and not stands:
            self._plan.moved.append(Changed(known, obj, place))
        else:
            self._plan.unchanged += 1

    def finish(self) -> Plan:
        """The plan; what is left of the loader's own is removed when it prunes."""
        rest = [k for found in self._known.values() for k in found if k.source == self._source]
        (self._plan.removed if self._prune else self._plan.left).extend(rest)
        return self._plan


def plan(
    wanted: Iterable[Object],
    stored: Iterable[StoredObject],
    schema: Schema,
    source: str,
    *,
    prune: bool = False,
    force: bool = False,
) -> Plan:
    """The steps from ``stored`` (all sources) to ``wanted``, all of it published by ``source``."""
    planner = Planner(schema, source, prune=prune, force=force)
    for one in stored:
        planner.know(one)
    for obj in wanted:
        planner.want(obj)
    return planner.finish()


@dataclass(frozen=True, slots=True)
class ObjectDiff:
    """What a load does to one object: lines that go and lines that come."""

    operation: str  # add, change, remove
    class_name: str
    name: str
    minus: tuple[str, ...] = ()
    plus: tuple[str, ...] = ()


def diff(operation: str, before: Object | None, after: Object | None) -> ObjectDiff:
    """The difference between two versions of an object, line by line; secrets are masked."""
    shown = after or before
    assert shown is not None
    return ObjectDiff(
        operation,
        shown.class_name,
        object_name(shown),
        _missing(before, after),
        _missing(after, before),
    )


def _missing(one: Object | None, other: Object | None) -> tuple[str, ...]:
    """The lines of ``one`` that ``other`` lacks. Compared before they are masked."""
    if one is None:
        return ()
    kept = frozenset(other.lines) if other else frozenset()
    shown = zip(one.lines, masked_lines(one), strict=True)
    return tuple(f"{name}: {value}" for line, (name, value) in shown if line not in kept)
