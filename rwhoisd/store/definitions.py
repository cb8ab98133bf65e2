"""Definitions of authority areas as rows: name, SOA, classes, attributes, servers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.directory.area import AuthorityArea, HostPort
from rwhoisd.directory.names import AreaName, Network
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.store.codec import Row
from rwhoisd.store.tables import attribute, authority_area, object_class, slave

_SOA_FIELDS = (
    "refresh_interval",
    "increment_interval",
    "retry_interval",
    "time_to_live",
    "primary_server",
    "hostmaster",
    "tech_contact",
    "admin_contact",
)
# Fields of AttributeDef → columns, where a row says them in another way.
_FLAGS = {
    "required": "required",
    "multi_line": "multi_line",
    "repeatable": "repeatable",
    "primary": "primary_key",
    "hierarchical": "hierarchical",
    "private": "private",
}


async def read_areas(
    connection: AsyncConnection, names: Iterable[str] | None = None
) -> tuple[AuthorityArea, ...]:
    """Areas by position, all or those with one of the folded ``names``."""
    query = select(authority_area).order_by(authority_area.c.position, authority_area.c.area_id)
    if names is not None:
        query = query.where(authority_area.c.name_key.in_(list(names)))
    rows = (await connection.execute(query)).mappings().all()
    # Of all areas none is named: there may be more than a statement takes.
    numbers = None if names is None else [row["area_id"] for row in rows]
    classes = await _read_classes(connection, numbers)
    slaves = await _read_slaves(connection, numbers)
    schemas: dict[tuple[ClassDef, ...], Schema] = {}  # areas that have the same share it
    return tuple(
        _area(
            row,
            _shared(schemas, tuple(classes.get(row["area_id"], ()))),
            slaves.get(row["area_id"], ()),
        )
        for row in rows
    )


def _shared(schemas: dict[tuple[ClassDef, ...], Schema], classes: tuple[ClassDef, ...]) -> Schema:
    schema = schemas.get(classes)
    if schema is None:
        schema = schemas[classes] = Schema(classes)
    return schema


def _area(row: RowMapping, schema: Schema, slaves: Sequence[HostPort]) -> AuthorityArea:
    return AuthorityArea(
        name=AreaName.from_text(row["name"]),
        soa=_soa(row),
        schema=schema,
        role=row["role"],
        guardians=tuple(row["guardians"]),
        masters=tuple(HostPort(host, port) for host, port in row["masters"]),
        slaves=tuple(slaves),
        transfer_arguments=row["transfer_arguments"],
        charset=row["charset"],
        position=row["position"],
        audience=tuple(row["audience"]),
        privacy=row["privacy"],
        operator=row["operator"],
        internal_to=tuple(row["internal_to"]),
    )


def _soa(row: RowMapping) -> Soa | None:
    if row["soa_serial"] is None:
        return None
    return Soa(row["soa_serial"], **{name: row[name] for name in _SOA_FIELDS})


async def _read_classes(
    connection: AsyncConnection, area_ids: Sequence[int] | None
) -> Mapping[int, Sequence[ClassDef]]:
    classes = object_class.c
    wanted = true() if area_ids is None else classes.area_id.in_(area_ids)
    query = select(attribute).join(object_class).where(wanted)
    query = query.order_by(attribute.c.class_id, attribute.c.ordinal)
    attributes: dict[int, list[AttributeDef]] = {}
    for row in (await connection.execute(query)).mappings():
        attributes.setdefault(row["class_id"], []).append(_attribute(row))
    found: dict[int, list[ClassDef]] = {}
    query = select(object_class).where(wanted).order_by(classes.area_id, classes.ordinal)
    for row in (await connection.execute(query)).mappings():
        class_def = ClassDef(
            name=row["name"],
            own_attributes=tuple(attributes.get(row["class_id"], ())),
            aliases=tuple(row["aliases"]),
            description=row["description"],
            version=row["version"],
            parse_program=row["parse_program"],
            privacy=row["privacy"],
            guardians=tuple(row["guardians"]),
        )
        found.setdefault(row["area_id"], []).append(class_def)
    return found


def _attribute(row: RowMapping) -> AttributeDef:
    return AttributeDef(
        name=row["name"],
        aliases=tuple(row["aliases"]),
        description=row["description"],
        type=AttributeType(row["type"]),
        format=row["format"],
        index=IndexType(row["index_type"]),
        **{name: row[column] for name, column in _FLAGS.items()},
    )


async def _read_slaves(
    connection: AsyncConnection, area_ids: Sequence[int] | None
) -> Mapping[int, Sequence[HostPort]]:
    query = select(slave).where(slave.c.defined)
    if area_ids is not None:
        query = query.where(slave.c.area_id.in_(area_ids))
    found: dict[int, list[HostPort]] = {}
    for row in (await connection.execute(query.order_by(slave.c.ordinal))).mappings():
        found.setdefault(row["area_id"], []).append(HostPort(row["host"], row["port"]))
    return found


def area_row(area: AuthorityArea) -> Row:
    """The columns of ``authority_area`` that the definition says, the SOA serial included."""
    soa: dict[str, Any] = dict.fromkeys(("soa_serial", *_SOA_FIELDS))
    if area.soa is not None:
        soa = {name: getattr(area.soa, name) for name in _SOA_FIELDS}
        soa["soa_serial"] = area.soa.serial_number
    return {
        "name": area.name.text,
        "name_key": area.name.key,
        "kind": _kind(area.name),
        "position": area.position,
        "role": area.role,
        "charset": area.charset,
        "guardians": list(area.guardians),
        "masters": [[m.host, m.port] for m in area.masters],
        "transfer_arguments": area.transfer_arguments,
        "audience": list(area.audience),
        "privacy": area.privacy,
        "operator": area.operator,
        "internal_to": list(area.internal_to),
        **soa,
    }


def _kind(name: AreaName) -> str:
    return f"ipv{name.place.family}" if isinstance(name.place, Network) else "domain"


async def write_parts(connection: AsyncConnection, area_id: int, area: AuthorityArea) -> None:
    """Replace the classes, attributes and defined slaves of an area."""
    await _write_schema(connection, area_id, area.schema)
    await _write_slaves(connection, area_id, area.slaves)


async def _write_schema(connection: AsyncConnection, area_id: int, schema: Schema) -> None:
    await connection.execute(delete(object_class).where(object_class.c.area_id == area_id))
    rows = [
        {
            "area_id": area_id,
            "ordinal": ordinal,
            "name": c.name,
            "name_key": c.name.lower(),
            "aliases": list(c.aliases),
            "description": c.description,
            "version": c.version,
            "parse_program": c.parse_program,
            "privacy": c.privacy,
            "guardians": list(c.guardians),
        }
        for ordinal, c in enumerate(schema.classes)
    ]
    if not rows:
        return
    await connection.execute(insert(object_class), rows)
    query = select(object_class.c.name_key, object_class.c.class_id)
    numbers = await connection.execute(query.where(object_class.c.area_id == area_id))
    class_ids: dict[str, int] = dict(numbers.all())
    attributes = [
        _attribute_row(class_ids[c.name.lower()], ordinal, a)
        for c in schema.classes
        for ordinal, a in enumerate(c.own_attributes)
    ]
    if attributes:
        await connection.execute(insert(attribute), attributes)


def _attribute_row(class_id: int, ordinal: int, definition: AttributeDef) -> Row:
    return {
        "class_id": class_id,
        "ordinal": ordinal,
        "name": definition.name,
        "aliases": list(definition.aliases),
        "description": definition.description,
        "type": definition.type.value,
        "format": definition.format,
        "index_type": definition.index.value,
        **{column: getattr(definition, name) for name, column in _FLAGS.items()},
    }


async def _write_slaves(
    connection: AsyncConnection, area_id: int, slaves: Sequence[HostPort]
) -> None:
    mine = slave.c.area_id == area_id
    await connection.execute(delete(slave).where(mine, slave.c.defined))
    announced = await connection.execute(select(slave.c.host, slave.c.port).where(mine))
    taken = {(host, port) for host, port in announced}
    defined = dict.fromkeys(slaves)
    for ordinal, at in enumerate(defined):
        if (at.host, at.port) in taken:  # announced before, and now defined
            here = (slave.c.host == at.host, slave.c.port == at.port)
            await connection.execute(delete(slave).where(mine, *here))
        row = {"area_id": area_id, "host": at.host, "port": at.port, "ordinal": ordinal}
        await connection.execute(insert(slave), [{**row, "defined": True}])
