"""Dump format: how objects, classes, schemas and SOA records are written (RFC 2167 §3.3, §3.4).

Text in, text lines out, without line ends; charset and line end are the caller's.
"""

from collections.abc import Iterable

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.directory.visibility import ShownLine


def record_lines(class_name: str, lines: Iterable[ShownLine]) -> list[str]:
    """``class:Attribute[;T]:value`` lines and the empty line that ends a record (R3.4-8, -11).

    An object without any line to show gives nothing at all.
    """
    shown = [f"{class_name}:{a.name}{a.type.mark}:{value}" for a, value in lines]
    return [*shown, ""] if shown else []


def transfer_record(class_name: str, lines: Iterable[ShownLine]) -> list[str]:
    """``%xfer class:attribute:value`` lines and the bare ``%xfer`` (R3.3.14-7)."""
    shown = [f"%xfer {class_name}:{a.name}:{value}" for a, value in lines]
    return [*shown, "%xfer"] if shown else []


def on_off(flag: bool) -> str:
    """``ON`` or ``OFF``, as both dialects write it (A10)."""
    return "ON" if flag else "OFF"


def schema_record(class_name: str, attribute: AttributeDef, dialect: Dialect) -> list[str]:
    """The eleven lines of an attribute and the bare ``%schema`` (R3.3.10-3, A17)."""
    flags = {
        "indexed": attribute.indexed,
        "required": attribute.required,
        "multi-line": attribute.multi_line,
        "repeatable": attribute.repeatable,
        "primary": attribute.primary,
        "hierarchical": attribute.hierarchical,
        "private": attribute.private,
    }
    texts = {
        "attribute": attribute.name,
        "description": attribute.description or "none",
        "type": attribute.type.value,
        "format": attribute.format or "none",
        **{name: on_off(flag) for name, flag in flags.items()},
    }
    order = _RFC_SCHEMA
    if dialect.arin_schema:
        order = _ARIN_SCHEMA
        texts["type"] = _ARIN_TYPE[attribute.type]
    return [*(f"%schema {class_name}:{name}:{texts[name]}" for name in order), "%schema"]


_RFC_SCHEMA = (
    *("attribute", "description", "type", "format", "indexed", "required", "multi-line"),
    *("repeatable", "primary", "hierarchical", "private"),
)
_ARIN_SCHEMA = (
    *("attribute", "format", "description", "indexed", "required", "multi-line"),
    *("repeatable", "hierarchical", "private", "type", "primary"),
)
_ARIN_TYPE = {
    AttributeType.TEXT: "Text",
    AttributeType.ID: "ID",
    AttributeType.SEE_ALSO: "See-Also",
}


def class_record(class_def: ClassDef, dialect: Dialect, default_version: str) -> list[str]:
    """``%class`` lines of a class (R3.3.1-1); ``default_version`` is a time-stamp (N17)."""
    version = class_def.version
    if dialect.class_version_verbatim:
        version = version or "0"
    else:
        stamp = TimeStamp.padded(version)
        version = stamp.text if stamp else default_version
    description = class_def.description or "0"  # ARIN's word for none, in both dialects
    prefix = f"%class {class_def.name}"
    return [f"{prefix}:description:{description}", f"{prefix}:version:{version}", "%class"]


def soa_record(area: AuthorityArea, dialect: Dialect) -> list[str]:
    """``%soa`` lines of an area (R3.3.12-3); nothing for a slave never synchronised."""
    soa = area.soa
    if soa is None:
        return []
    contacts = (
        ("tech-contact", soa.tech_contact or soa.hostmaster),
        ("admin-contact", soa.admin_contact or soa.hostmaster),
    )
    fields = (
        ("authority", area.name.text),
        ("ttl", soa.time_to_live),
        ("serial", soa.serial_number),
        ("refresh", soa.refresh_interval),
        ("increment", soa.increment_interval),
        ("retry", soa.retry_interval),
        *(contacts if dialect.soa_contacts else ()),
        ("hostmaster", soa.hostmaster),
        ("primary", soa.primary_server),
    )
    return [*(f"%soa {name}:{value}" for name, value in fields), "%soa"]
