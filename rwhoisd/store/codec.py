"""Objects as rows: the lossless body, and what the schema makes the store derive from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby, repeat
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.body import encode_lines
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.directory.objects import TRUE_WORDS, Object, Run
from rwhoisd.directory.schema import AttributeType, ClassDef, IndexType, Schema
from rwhoisd.store.tables import DIGEST_OCTETS, network, reference

Row = dict[str, Any]
_OCTETS: Final = DIGEST_OCTETS
# What the store does with a line, as bits: several may hold for one attribute.
_ID, _UPDATED, _PRIVATE, _KEY, _NETWORK, _REFERENCE = (1 << bit for bit in range(6))
_SHAPES: Final = 256  # remembered per class; peers make them up


_FIRST: Final = itemgetter(0)


def check_charset(obj: Object, charset: str) -> None:
    """Make sure that the object can go out on the wire in its area's charset.

    Raises: RwhoisError 321, naming attribute and character.
    """
    for name, value in obj.lines:
        try:
            f"{name}{value}".encode(charset)
        except UnicodeEncodeError as error:
            raise RwhoisError(
                ResponseCode.INVALID_ATTRIBUTE_SYNTAX,
                f"attribute {name!r}: {error.object[error.start]!r} does not exist in the area's"
                f" charset {charset}",
            ) from error


def digest(text: str) -> bytes:
    """Sixteen bytes that stand for ``text`` in an index, however long it is."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_OCTETS).digest()


def id_key(object_id: str) -> bytes:
    """Key of an object ID; case and surrounding blanks do not count."""
    return digest(object_id.strip().lower())


@lru_cache(maxsize=4096)
def target_key(target: str) -> bytes:
    """``id_key`` of what is pointed at; neighbours point at the same contacts."""
    return id_key(target)


def key_digests(keys: Sequence[tuple[str, Sequence[str]]], count: int) -> Iterable[bytes | None]:
    """Digests of the primary keys of ``count`` objects, from values by attribute; None: no key.

    Case does not count (B21). Values of one attribute stand together, in the order of the
    object; no value holds a line end and no name a colon, so the text is unambiguous.
    """
    if not keys:
        return repeat(None, count)
    named = sorted(keys, key=_FIRST)
    lines = [[f"{name}:{value.upper()}" for value in values] for name, values in named]
    return map(digest, map("\n".join, zip(*lines, strict=True)))


def pack_address(number: int) -> bytes:
    """An address as the sixteen bytes of the network table."""
    return number.to_bytes(_OCTETS)


def unpack_span(family: int, first: bytes, last: bytes) -> AddressRange:
    """The addresses of a row of the network table."""
    assert family in ADDRESS_BITS
    return AddressRange(family, int.from_bytes(first), int.from_bytes(last))


@dataclass(frozen=True, slots=True)
class Derived:
    """The rows that belong to one object: its own, its addresses, its references."""

    row: Row
    networks: list[Row]
    references: list[Row]


def _roles(class_def: ClassDef) -> dict[str, int]:
    """Attribute name, lower case → what the store does with its lines."""
    roles = {"id": _ID, "updated": _UPDATED, "private": _PRIVATE}
    for attribute in class_def.attributes:
        name = attribute.name.lower()
        role = roles.get(name, 0)
        role |= _KEY if attribute.primary else 0
        role |= _NETWORK if IndexType.CIDR in attribute.index.parts else 0
        role |= _REFERENCE if attribute.type is AttributeType.ID else 0
        roles[name] = role
    return roles


# What the store keeps of an object beside its place. Plain tuples, for they are sent by the
# million from process to process: object ID, its key, updated, private, digest of the primary
# key, body, then addresses (number of the line, canonical name, family, first and last address,
# prefix length) and references (number of the line, canonical name, target, its key).
Facts = tuple[
    str | None,
    bytes | None,
    str | None,
    bool,
    bytes | None,
    bytes,
    list[tuple[int, str, int, bytes, bytes, int | None]],
    list[tuple[int, str, str, bytes]],
]


class _Shape:
    """Objects with the same attribute names in the same order: which lines say what."""

    __slots__ = (
        "_is_writable",
        "_names",
        "_template",
        "id",
        "keys",
        "networks",
        "private",
        "references",
        "updated",
    )

    def __init__(self, roles: Mapping[str, int], names: Sequence[str], shown: Mapping[str, str]):
        folded = [name.lower() for name in names]
        self._names = names
        self._is_writable = not any(":" in name for name in names)
        self._template = "".join(f"{name.replace('%', '%%')}:%s\n" for name in names)

        def having(role: int) -> list[int]:
            return [i for i, name in enumerate(folded) if roles.get(name, 0) & role]

        self.id, self.updated, self.private = (
            next(iter(having(role)), None) for role in (_ID, _UPDATED, _PRIVATE)
        )
        self.keys = [(folded[i], i) for i in having(_KEY)]
        self.networks = [(i, shown[folded[i]]) for i in having(_NETWORK)]
        self.references = [(i, shown[folded[i]]) for i in having(_REFERENCE)]

    def bodies(self, objects: Sequence[tuple[str, ...]]) -> list[bytes]:
        """Their bodies. Raises: RwhoisError 321, see ``encode_lines``."""
        template, ends = self._template, len(self._names) * len(objects)
        texts = [template % values for values in objects]
        whole = "".join(texts)
        if (
            self._is_writable
            and whole.isascii()
            and "\r" not in whole
            and whole.count("\n") == ends
        ):
            return [text.encode() for text in texts]
        return [encode_lines(list(zip(self._names, v, strict=True))) for v in objects]


class ClassPlan:
    """What the store derives from objects of one class."""

    def __init__(self, class_def: ClassDef) -> None:
        self._roles = _roles(class_def)
        self.name = class_def.name
        self.key = class_def.name.lower()
        self._names = {a.name.lower(): a.name for a in class_def.attributes}
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        # Equal for two definitions that derive the same rows from the same objects.
        self.signature = frozenset((name, role) for name, role in self._roles.items() if role)

    def _shape(self, names: tuple[str, ...]) -> _Shape:
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            shape = self._shapes[names] = _Shape(self._roles, names, self._names)
        return shape

    def facts(self, obj: Object) -> Facts:
        """What follows from the lines of an object. Raises: RwhoisError 321, see encode_lines."""
        names, values = zip(*obj.lines, strict=True) if obj.lines else ((), ())
        return self.facts_of(names, [values])[0]

    def facts_of(self, names: tuple[str, ...], objects: Sequence[tuple[str, ...]]) -> list[Facts]:
        """The same for objects whose lines have these names, from their values."""
        count, shape = len(objects), self._shape(names)
        columns: Sequence[Sequence[str]] = list(zip(*objects, strict=True))

        def of(line: int | None, make: Callable[[str], Any], absent: Any) -> Iterable[Any]:
            return repeat(absent, count) if line is None else map(make, columns[line])

        return list(
            zip(
                of(shape.id, shown, None),
                of(shape.id, id_key, None),
                of(shape.updated, shown, None),
                of(shape.private, _is_true, absent=False),
                key_digests([(name, columns[i]) for name, i in shape.keys], count),
                shape.bodies(objects),
                _networks([(i, name, columns[i]) for i, name in shape.networks], count),
                _references([(i, name, columns[i]) for i, name in shape.references], count),
                strict=True,
            )
        )

    def derive(self, obj: Object, row_id: int) -> Derived:
        """All rows of an object but for its place, digests included.

        Raises: RwhoisError 321, see ``encode_lines``.
        """
        *facts, networks, references = self.facts(obj)
        row = {
            "row_id": row_id,
            "class_key": self.key,
            "class_name": obj.class_name,
            "source": obj.source,
            "indexed": obj.indexed,
            "answer_order": obj.order,
            "key_copy": 0,
        } | dict(zip(_FACT_COLUMNS, facts, strict=True))
        return Derived(
            row,
            [dict(zip(_NETWORK_COLUMNS, (row_id, *n), strict=True)) for n in networks],
            [dict(zip(_REFERENCE_COLUMNS, (row_id, *r), strict=True)) for r in references],
        )

    def key_of(self, obj: Object) -> bytes | None:
        """Digest of the primary key of an object."""
        names, values = zip(*obj.lines, strict=True) if obj.lines else ((), ())
        keys = self._shape(names).keys
        return next(iter(key_digests([(name, [values[i]]) for name, i in keys], 1)))


_Named = list[tuple[int, str, Sequence[str]]]  # number of the line, canonical name, values


def _networks(named: _Named, count: int) -> Iterable[list[tuple[Any, ...]]]:
    """Addresses of each object, as ``Facts`` has them."""
    made = [
        [(i, name, *span) if (span := _span(value)) else None for value in values]
        for i, name, values in named
    ]
    return _gathered(made, count)


def _references(named: _Named, count: int) -> Iterable[list[tuple[Any, ...]]]:
    """References of each object, as ``Facts`` has them."""
    made = [
        [
            (i, name, shown(value), target_key(target)) if (target := value.strip()) else None
            for value in values
        ]
        for i, name, values in named
    ]
    return _gathered(made, count)


def _gathered(
    columns: Sequence[Sequence[tuple[Any, ...] | None]], count: int
) -> Iterable[list[tuple[Any, ...]]]:
    """What each object has of what may be there."""
    if not columns:
        return ([] for _ in range(count))
    return [[one for one in row if one] for row in zip(*columns, strict=True)]


def _is_true(value: str) -> bool:
    return value.upper() in TRUE_WORDS


_FACT_COLUMNS: Final = ("object_id", "id_key", "updated", "private", "key_digest", "body")
_NETWORK_COLUMNS: Final = tuple(c.name for c in network.c)
_REFERENCE_COLUMNS: Final = tuple(c.name for c in reference.c)


def shown(text: str) -> str:
    """Text for people to read in SQL; NUL, which PostgreSQL cannot keep, becomes U+FFFD."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _span(value: str) -> tuple[int, bytes, bytes, int | None] | None:
    """Columns of the network table for a value; None when it is no block and no range."""
    value = value.strip()
    if block := Network.from_text(value):  # by far the most; a range costs more
        return block.family, pack_address(block.start), pack_address(block.last), block.length
    if written := AddressRange.from_text(value):
        first, last = pack_address(written.first), pack_address(written.last)
        return written.family, first, last, written.length
    return None


class Plans:
    """The plans of the classes of one schema, by class name."""

    def __init__(self, schema: Schema) -> None:
        self._plans = {c.name.lower(): ClassPlan(c) for c in schema.classes}

    def __getitem__(self, class_name: str) -> ClassPlan:
        """Plan of the class with this canonical name. Raises: RwhoisError 341."""
        plan = self._plans.get(class_name.lower())
        if plan is None:
            raise RwhoisError(ResponseCode.INVALID_CLASS, f"the area has no class {class_name}")
        return plan

    def signature(self) -> frozenset[object]:
        """Equal for two schemas that derive the same rows from the same objects."""
        return frozenset((key, plan.signature) for key, plan in self._plans.items())


class Rows(NamedTuple):
    """Rows of three tables, with the columns in the order of the tables."""

    objects: list[tuple[Any, ...]]
    networks: list[tuple[Any, ...]]
    references: list[tuple[Any, ...]]


class Batch(NamedTuple):
    """New objects of one class and source; plain values, to be sent anywhere."""

    class_name: str
    source: str
    objects: list[tuple[bool, int, Facts]]  # indexed, order, what follows from the lines

    def key_digests(self) -> list[bytes | None]:
        """Digests of the primary keys."""
        return [facts[4] for _, _, facts in self.objects]

    def rows(self, area_id: int, first: int, position: int, copies: Iterable[int]) -> Rows:
        """The rows, counted from ``first``, with places from ``position`` on.

        ``copies`` are the numbers of objects whose primary key another object has.
        """
        count = len(self.objects)
        numbers = range(first, first + count)
        indexed, orders, facts = zip(*self.objects, strict=True)
        ids, id_keys, updated, private, digests, bodies, networks, references = zip(
            *facts, strict=True
        )
        copy = [0] * count
        for number in copies:
            copy[number] = first + number
        area, class_key, class_name, source = (
            repeat(value, count)
            for value in (area_id, self.class_name.lower(), self.class_name, self.source)
        )
        positions = range(position, position + count)
        columns = (
            *(numbers, area, class_key, class_name, ids, id_keys, updated, source),
            *(private, indexed, orders, positions, digests, copy, bodies),
        )
        return Rows(
            list(zip(*columns, strict=True)),
            [(n, *one) for n, some in zip(numbers, networks, strict=True) for one in some],
            [(n, *one) for n, some in zip(numbers, references, strict=True) for one in some],
        )


class Preparer:
    """Makes batches for one area. It needs no database, so any process can do it."""

    def __init__(self, area: AuthorityArea) -> None:
        self._name, self._charset = area.name, area.charset
        self.plans = Plans(area.schema)

    def check(self, obj: Object) -> None:
        """Make sure that an object can be one of the area. Raises: RwhoisError 321, 340."""
        if obj.area != self._name.text and obj.area.lower() != self._name.key:
            raise RwhoisError(ResponseCode.INVALID_AREA, f"the object is one of {obj.area}")
        if self._charset != "utf-8":  # which has every character
            check_charset(obj, self._charset)

    def batches(self, objects: Iterable[Object]) -> list[Batch]:
        """The objects in their order, a batch for each run of one class and source.

        Raises: RwhoisError 321, 340, 341.
        """
        made: list[Batch] = []
        for (class_name, source), run in groupby(objects, key=attrgetter("class_name", "source")):
            plan = self.plans[class_name]
            batch = Batch(class_name, source, [])
            for obj in run:
                self.check(obj)
                batch.objects.append((obj.indexed, obj.order, plan.facts(obj)))
            made.append(batch)
        return made

    def batch(self, class_name: str, source: str, runs: Iterable[Run]) -> Batch:
        """Objects of one class and source of the area. Raises: RwhoisError 321, 341."""
        plan, batch = self.plans[class_name], Batch(class_name, source, [])
        for run in runs:
            facts = plan.facts_of(run.names, run.values)
            if self._charset != "utf-8":
                self._check_run(run)
            batch.objects.extend(zip(repeat(run.indexed), run.orders, facts, strict=False))
        return batch

    def _check_run(self, run: Run) -> None:
        for values in run.values:
            lines = tuple(zip(run.names, values, strict=True))
            check_charset(Object(self._name.text, "", lines), self._charset)
