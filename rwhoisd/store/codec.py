"""Objects as rows: the lossless body, and what the schema makes the store derive from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.directory.objects import TRUE_WORDS, Line, Object
from rwhoisd.directory.schema import AttributeType, ClassDef, IndexType, Schema
from rwhoisd.store.tables import DIGEST_OCTETS

Row = dict[str, Any]
_OCTETS: Final = DIGEST_OCTETS
# What the store does with a line, as bits: several may hold for one attribute.
_ID, _UPDATED, _PRIVATE, _KEY, _NETWORK, _REFERENCE = (1 << bit for bit in range(6))
_SPELLINGS: Final = 4096  # of attribute names remembered per class; peers make them up


def encode_lines(lines: Sequence[Line]) -> bytes:
    """The body: an ``Attribute:value`` line each, in UTF-8 whatever the area's charset is.

    Raises: RwhoisError 321, for what would not come back as it was: a line end in a value, a
    colon in a name, or a lone surrogate.
    """
    text = "\n".join(map(":".join, lines)) + "\n" if lines else ""
    if text.count("\n") != len(lines) or "\r" in text:
        raise _unwritable(lines, "a line end; split the value into lines of its own")
    for name, _ in lines:
        if ":" in name:
            raise RwhoisError(
                ResponseCode.INVALID_ATTRIBUTE_SYNTAX, f"attribute name {name!r} has a colon"
            )
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _unwritable(lines, "a character that is no Unicode text") from error


def _unwritable(lines: Sequence[Line], what: str) -> RwhoisError:
    def bad(text: str) -> bool:
        surrogate = any("\ud800" <= c <= "\udfff" for c in text)
        return "\n" in text or "\r" in text or surrogate

    name = next(name for name, value in lines if bad(name) or bad(value))
    return RwhoisError(ResponseCode.INVALID_ATTRIBUTE_SYNTAX, f"attribute {name!r}: {what}")


def decode_lines(body: bytes) -> tuple[Line, ...]:
    """The lines of a body, exactly as they were encoded."""
    parts = [line.partition(":") for line in body.decode().split("\n")]
    parts.pop()  # what is behind the last line end
    return tuple([(name, value) for name, _, value in parts])


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


def key_digest(values: Iterable[tuple[str, str]]) -> bytes | None:
    """Digest of (attribute, value) pairs of a primary key; None when there are none.

    Case does not count (B21). Pairs of one attribute stand together, in the order of the
    object; no value holds a line end and no name a colon, so the text is unambiguous.
    """
    lines = sorted([(name, number, value) for number, (name, value) in enumerate(values)])
    return digest("\n".join([f"{n}:{v.upper()}" for n, _, v in lines])) if lines else None


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


class _Roles(dict[str, int]):
    """Attribute name → what the store does with its lines; any spelling of case counts."""

    def __missing__(self, name: str) -> int:
        role = self.get(name.lower(), 0)
        if len(self) < _SPELLINGS:
            self[name] = role
        return role


def _roles(class_def: ClassDef) -> _Roles:
    roles = _Roles({"id": _ID, "updated": _UPDATED, "private": _PRIVATE})
    for attribute in class_def.attributes:
        name = attribute.name.lower()
        role = roles.get(name, 0)
        role |= _KEY if attribute.primary else 0
        role |= _NETWORK if IndexType.CIDR in attribute.index.parts else 0
        role |= _REFERENCE if attribute.type is AttributeType.ID else 0
        roles[name] = role
    return roles


class ClassPlan:
    """What the store derives from objects of one class, found in one pass over their lines."""

    def __init__(self, class_def: ClassDef) -> None:
        self._roles = _roles(class_def)
        self.key = class_def.name.lower()
        self._names = {a.name.lower(): a.name for a in class_def.attributes}
        # Equal for two definitions that derive the same rows from the same objects.
        self.signature = frozenset((name, role) for name, role in self._roles.items() if role)

    def derive(self, obj: Object, row_id: int) -> Derived:
        """All rows of an object but for its place, digests included.

        Raises: RwhoisError 321, see ``encode_lines``.
        """
        first: dict[int, str] = {}
        keys: list[tuple[str, str]] = []
        networks: list[Row] = []
        references: list[Row] = []
        roles = self._roles
        for ordinal, (name, value) in enumerate(obj.lines):
            role = roles[name]
            if not role:
                continue
            for bit in (_ID, _UPDATED, _PRIVATE):
                if role & bit:
                    first.setdefault(bit, value)
            if role & _KEY:
                keys.append((name.lower(), value))
            if role & _NETWORK and (span := _span(value)):
                networks.append({**self._part(row_id, ordinal, name), **span})
            if role & _REFERENCE and (target := value.strip()):
                pointing = {"target": shown(value), "target_key": id_key(target)}
                references.append({**self._part(row_id, ordinal, name), **pointing})
        return Derived(self._row(obj, row_id, first, keys), networks, references)

    def _part(self, row_id: int, ordinal: int, name: str) -> Row:
        return {"row_id": row_id, "ordinal": ordinal, "attribute": self._names[name.lower()]}

    def _row(
        self, obj: Object, row_id: int, first: dict[int, str], keys: list[tuple[str, str]]
    ) -> Row:
        object_id, updated = first.get(_ID), first.get(_UPDATED)
        return {
            "row_id": row_id,
            "class_key": self.key,
            "class_name": obj.class_name,
            "object_id": object_id and shown(object_id),
            "id_key": None if object_id is None else id_key(object_id),
            "updated": updated and shown(updated),
            "source": obj.source,
            "private": first.get(_PRIVATE, "").upper() in TRUE_WORDS,
            "indexed": obj.indexed,
            "answer_order": obj.order,
            "key_digest": key_digest(keys),
            "key_copy": 0,
            "body": encode_lines(obj.lines),
        }

    def key_of(self, obj: Object) -> bytes | None:
        """Digest of the primary key of an object."""
        pairs = ((name.lower(), value) for name, value in obj.lines if self._roles[name] & _KEY)
        return key_digest(pairs)


def shown(text: str) -> str:
    """Text for people to read in SQL; NUL, which PostgreSQL cannot keep, becomes U+FFFD."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _span(value: str) -> Row | None:
    """Columns of the network table for a value; None when it is no block and no range."""
    value = value.strip()
    if block := Network.from_text(value):  # by far the most; a range costs more
        return _span_row(block.family, block.start, block.last, block.length)
    if written := AddressRange.from_text(value):
        return _span_row(written.family, written.first, written.last, written.length)
    return None


def _span_row(family: int, first: int, last: int, length: int | None) -> Row:
    return {
        "family": family,
        "first_address": pack_address(first),
        "last_address": pack_address(last),
        "prefix_length": length,
    }


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
