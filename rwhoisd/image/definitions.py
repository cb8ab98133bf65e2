"""Authority areas as JSON, in which an image keeps them.

Of thousands of areas most have the same schema, so that is kept apart from them, once.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa

_SCHEMAS: Final = 64  # whose text is kept while areas are written


@lru_cache(maxsize=_SCHEMAS)
def schema_to_text(schema: Schema) -> tuple[str, str]:
    """A name for a schema, which no other has, and the schema."""
    text = json.dumps([_class_to_dict(c) for c in schema.classes])
    return blake2b(text.encode(), digest_size=16).hexdigest(), text


def schema_from_text(text: str) -> Schema:
    """The schema that :func:`schema_to_text` wrote."""
    return Schema(tuple(_class_from_dict(c) for c in json.loads(text)))


def area_to_text(area: AuthorityArea) -> str:
    """An area with the name of its schema, but for its SOA, which changes more often."""
    return json.dumps(
        {
            "name": area.name.text,
            "schema": schema_to_text(area.schema)[0],
            "role": area.role,
            "guardians": area.guardians,
            "masters": [asdict(m) for m in area.masters],
            "slaves": [asdict(s) for s in area.slaves],
            "transfer_arguments": area.transfer_arguments,
            "charset": area.charset,
            "position": area.position,
            "audience": area.audience,
            "privacy": area.privacy,
            "operator": area.operator,
            "internal_to": area.internal_to,
        }
    )


def area_from_text(text: str, schema_of: Callable[[str], Schema]) -> AuthorityArea:
    """The area that :func:`area_to_text` wrote, without SOA; ``schema_of`` knows names."""
    fields = json.loads(text)
    return AuthorityArea(
        name=AreaName.from_text(fields.pop("name")),
        soa=None,
        schema=schema_of(fields.pop("schema")),
        guardians=tuple(fields.pop("guardians")),
        audience=tuple(fields.pop("audience")),
        internal_to=tuple(fields.pop("internal_to")),
        masters=tuple(HostPort(**m) for m in fields.pop("masters")),
        slaves=tuple(HostPort(**s) for s in fields.pop("slaves")),
        **fields,
    )


def soa_to_text(soa: Soa | None) -> str:
    """The SOA of an area."""
    return json.dumps(None if soa is None else asdict(soa))


def soa_from_text(text: str) -> Soa | None:
    """The SOA that :func:`soa_to_text` wrote."""
    fields = json.loads(text)
    return None if fields is None else Soa(**fields)


def _class_to_dict(class_def: ClassDef) -> dict[str, Any]:
    return {
        "name": class_def.name,
        "own_attributes": [_attribute_to_dict(a) for a in class_def.own_attributes],
        "aliases": class_def.aliases,
        "description": class_def.description,
        "version": class_def.version,
        "parse_program": class_def.parse_program,
        "privacy": class_def.privacy,
        "guardians": class_def.guardians,
    }


def _class_from_dict(fields: dict[str, Any]) -> ClassDef:
    attributes = tuple(_attribute_from_dict(a) for a in fields.pop("own_attributes"))
    for name in ("aliases", "guardians"):
        fields[name] = tuple(fields[name])
    return ClassDef(own_attributes=attributes, **fields)


def _attribute_to_dict(attribute: AttributeDef) -> dict[str, Any]:
    return asdict(attribute) | {"type": attribute.type.value, "index": attribute.index.value}


def _attribute_from_dict(fields: dict[str, Any]) -> AttributeDef:
    fields["aliases"] = tuple(fields["aliases"])
    fields["type"] = AttributeType(fields["type"])
    fields["index"] = IndexType(fields["index"])
    return AttributeDef(**fields)
