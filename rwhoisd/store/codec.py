"""Objects as rows: the lossless body, and what the schema makes the store derive from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import ADDRESS_BITS, AddressRange
from rwhoisd.directory.objects import TRUE_WORDS, Line, Object
from rwhoisd.directory.schema import AttributeType, ClassDef, IndexType, Schema
from rwhoisd.store.tables import DIGEST_OCTETS

Row = dict[str, Any]
_OCTETS: Final = DIGEST_OCTETS


def encode_lines(lines: Sequence[Line]) -> bytes:
    """The body: an ``Attribute:value`` line each, in UTF-8 whatever the area's charset is.

    Raises: RwhoisError 321, for what would not come back as it was: a line end in a value, a
    colon in a name, or a lone surrogate.
    """
    text = "".join([f"{name}:{value}\n" for name, value in lines])
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
    parts.pop()  # after the last line end
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


def key_digest(key: Sequence[Sequence[str]] | None) -> bytes | None:
    """Digest of the values of a primary key; None when there is no key or no value at all.

    No value holds a line end, so these two can part values and attributes.
    """
    if key is None or not any(key):
        return None
    return digest("\r".join(["".join([f"{v}\n" for v in values]) for values in key]))


def pack_address(number: int) -> bytes:
    """An address as the sixteen bytes of the network table."""
    return number.to_bytes(_OCTETS)


def unpack_span(family: int, first: bytes, last: bytes) -> AddressRange:
    """The addresses of a row of the network table."""
    assert family in ADDRESS_BITS
    return AddressRange(family, int.from_bytes(first), int.from_bytes(last))


@dataclass(frozen=True)
class ClassPlan:
    """What the store derives from objects of one class: address rows, references, the key."""

    class_def: ClassDef
    networks: Mapping[str, str] = field(init=False)  # folded name → name
    references: Mapping[str, str] = field(init=False)
    watched: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        attributes = self.class_def.attributes
        networks = {a.name.lower(): a.name for a in attributes if IndexType.CIDR in a.index.parts}
        references = {a.name.lower(): a.name for a in attributes if a.type is AttributeType.ID}
        object.__setattr__(self, "networks", networks)
        object.__setattr__(self, "references", references)
        object.__setattr__(self, "watched", frozenset(networks) | frozenset(references))

    def derived(self, row_id: int, obj: Object) -> tuple[list[Row], list[Row]]:
        """Rows of the network and of the reference table that belong to an object."""
        networks: list[Row] = []
        references: list[Row] = []
        for ordinal, (name, value) in enumerate(obj.lines):
            folded = _folded(name)
            if folded not in self.watched:
                continue
            if folded in self.networks and (span := AddressRange.from_text(value.strip())):
                networks.append(_network_row(row_id, ordinal, self.networks[folded], span))
            if folded in self.references and value.strip():
                references.append(
                    {
                        "row_id": row_id,
                        "ordinal": ordinal,
                        "attribute": self.references[folded],
                        "target": value,
                        "target_key": id_key(value),
                    }
                )
        return networks, references


@lru_cache(maxsize=4096)
def _folded(name: str) -> str:
    return name.lower()


def _network_row(row_id: int, ordinal: int, attribute: str, span: AddressRange) -> Row:
    return {
        "row_id": row_id,
        "ordinal": ordinal,
        "attribute": attribute,
        "family": span.family,
        "first_address": pack_address(span.first),
        "last_address": pack_address(span.last),
        "prefix_length": span.length,
    }


class Plans:
    """The plans of the classes of one schema, by class name."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._plans: dict[str, ClassPlan] = {c.name.lower(): ClassPlan(c) for c in schema.classes}

    def __getitem__(self, class_name: str) -> ClassPlan:
        """Plan of the class with this canonical name. Raises: RwhoisError 341."""
        plan = self._plans.get(class_name.lower())
        if plan is None:
            raise RwhoisError(ResponseCode.INVALID_CLASS, f"the area has no class {class_name}")
        return plan

    def signature(self) -> frozenset[tuple[str, ...]]:
        """Equal for two schemas that derive the same rows from the same objects."""
        return frozenset(
            (kind, class_key, name)
            for class_key, plan in self._plans.items()
            for kind, names in (
                ("network", plan.networks.values()),
                ("reference", plan.references.values()),
                ("key", [a.name for a in plan.class_def.key_attributes]),
            )
            for name in names
        )


def object_row(obj: Object, plan: ClassPlan) -> Row:
    """The columns of an object that follow from the object alone, body and digests included."""
    values: dict[str, str] = {}
    for name, value in obj.lines:
        values.setdefault(_folded(name), value)
    object_id = values.get("id")
    return {
        "class_key": _folded(obj.class_name),
        "class_name": obj.class_name,
        "object_id": object_id,
        "id_key": None if object_id is None else id_key(object_id),
        "updated": values.get("updated"),
        "source": obj.source,
        "private": values.get("private", "").upper() in TRUE_WORDS,
        "indexed": obj.indexed,
        "answer_order": obj.order,
        "key_digest": key_digest(obj.key_values(plan.class_def)),
        "body": encode_lines(obj.lines),
    }
