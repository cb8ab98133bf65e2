"""The tables of the store (DESIGN §3): one row per object, shaped for truth and history.

Types are chosen so that SQLite, PostgreSQL and MariaDB keep and order the same values: digests
and addresses are fixed-width bytes, time-stamps are integers, and what a peer or a file gave
(which may hold any character, NUL included) is in byte columns. MariaDB compares text by bytes.
"""

import json
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from rwhoisd.directory.soa import TimeStamp

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

DIGEST_OCTETS: Final = 16
NAME_LENGTH: Final = 255  # longest name of an area, class, attribute or source
_MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def fixed_octets() -> TypeEngine[bytes]:
    """Sixteen bytes: a digest, or an address whose byte order is address order."""
    return LargeBinary(DIGEST_OCTETS).with_variant(mysql.BINARY(DIGEST_OCTETS), "mysql", "mariadb")


def body_octets() -> TypeEngine[bytes]:
    """The lines of an object; MariaDB's plain BLOB would end at 64 KiB."""
    return LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def big_key() -> TypeEngine[int]:
    """A key of 64 bits; SQLite makes it the row's own address only when it is called INTEGER."""
    return BigInteger().with_variant(Integer(), "sqlite")


class Serial(TypeDecorator[TimeStamp]):
    """A time-stamp as a number of 17 digits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: TimeStamp | None, _dialect: Dialect) -> int | None:
        """To the number."""
        return None if value is None else int(value.text)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> TimeStamp | None:
        """From the number."""
        return None if value is None else TimeStamp(f"{value:017d}")


class JsonText(TypeDecorator[Any]):
    """Short lists (aliases, guardians) as JSON text, the same type on every engine."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        """To JSON."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        """From JSON."""
        return None if value is None else json.loads(value)


authority_area: Final = Table(
    "authority_area",
    metadata,
    Column("area_id", Integer, primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("name_key", String(NAME_LENGTH), nullable=False, unique=True),  # case folded
    Column("kind", String(6), nullable=False),  # ipv4, ipv6, domain
    Column("position", Integer, nullable=False),
    Column("role", String(6), nullable=False),
    Column("charset", String(40), nullable=False),
    Column("serial", Serial, nullable=False),  # of the last journal entry
    Column("next_row", BigInteger, nullable=False),  # counter behind object.row_id
    # SOA; soa_serial is NULL for a slave area that was never synchronised. It is text, for
    # ARIN's files hold anything.
    Column("soa_serial", Text),
    Column("refresh_interval", BigInteger),
    Column("increment_interval", BigInteger),
    Column("retry_interval", BigInteger),
    Column("time_to_live", BigInteger),
    Column("primary_server", Text),
    Column("hostmaster", Text),
    Column("tech_contact", Text),
    Column("admin_contact", Text),
    Column("guardians", JsonText, nullable=False),
    Column("masters", JsonText, nullable=False),
    Column("transfer_arguments", Text, nullable=False),
    Column("audience", JsonText, nullable=False),  # prefixes; empty: everybody
    Column("privacy", String(20), nullable=False),  # profile; empty: not said
    Column("operator", Text, nullable=False),
    Column("internal_to", JsonText, nullable=False),  # prefixes; empty: nobody
    sqlite_autoincrement=True,  # the number of a deleted area is never given to another
    **_MYSQL,
)

object_class: Final = Table(
    "object_class",
    metadata,
    Column("class_id", Integer, primary_key=True),
    Column(
        "area_id",
        Integer,
        ForeignKey("authority_area.area_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("ordinal", Integer, nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("name_key", String(NAME_LENGTH), nullable=False),
    Column("aliases", JsonText, nullable=False),
    Column("description", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("parse_program", Text, nullable=False),
    Column("privacy", String(20), nullable=False),  # profile; empty: not said
    Column("guardians", JsonText, nullable=False),
    UniqueConstraint("area_id", "name_key"),
    **_MYSQL,
)

attribute: Final = Table(
    "attribute",
    metadata,
    Column(
        "class_id",
        Integer,
        ForeignKey("object_class.class_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("aliases", JsonText, nullable=False),
    Column("description", Text, nullable=False),
    Column("type", String(8), nullable=False),
    Column("format", Text, nullable=False),
    Column("index_type", String(8), nullable=False),
    Column("required", Boolean, nullable=False),
    Column("multi_line", Boolean, nullable=False),
    Column("repeatable", Boolean, nullable=False),
    Column("primary_key", Boolean, nullable=False),
    Column("hierarchical", Boolean, nullable=False),
    Column("private", Boolean, nullable=False),
    **_MYSQL,
)

# row_id names an object for good: the number of its area, then a counter of the area (which is
# locked by whoever adds), so that batches need no answer from the database.
ROW_BITS: Final = 32
AREA_BITS: Final = 31  # of the number of an area: a row is a signed number of 64 bits everywhere

stored_object: Final = Table(
    "object",
    metadata,
    Column("row_id", big_key(), primary_key=True, autoincrement=False),
    Column("area_id", Integer, ForeignKey("authority_area.area_id"), nullable=False),
    Column("class_key", String(NAME_LENGTH), nullable=False),
    Column("class_name", String(NAME_LENGTH), nullable=False),
    Column("object_id", Text),
    Column("id_key", fixed_octets()),  # digest of the folded ID
    Column("updated", Text),
    Column("source", String(NAME_LENGTH), nullable=False),
    Column("private", Boolean, nullable=False),
    Column("indexed", Boolean, nullable=False),
    Column("answer_order", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("key_digest", fixed_octets()),  # of the primary key; NULL: it has none
    Column("key_copy", BigInteger, nullable=False),  # 0; row_id of a duplicate that was imported
    Column("body", body_octets(), nullable=False),  # "Attribute:value\n" lines in UTF-8
    UniqueConstraint("area_id", "class_key", "key_digest", "key_copy"),
    Index("ix_object_place", "area_id", "class_key", "position", "row_id"),
    Index("ix_object_id_key", "id_key"),
    **_MYSQL,
)

# The address hierarchy: values of attributes with a CIDR index. IPv4 fills the last four of the
# sixteen octets. prefix_length is NULL for a range that is no block.
network: Final = Table(
    "network",
    metadata,
    Column(
        "row_id",
        BigInteger,
        ForeignKey("object.row_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("attribute", String(NAME_LENGTH), nullable=False),
    Column("family", SmallInteger, nullable=False),
    Column("first_address", fixed_octets(), nullable=False),
    Column("last_address", fixed_octets(), nullable=False),
    Column("prefix_length", SmallInteger),
    Index("ix_network_span", "family", "first_address", "last_address"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

# Who points at whom: values of attributes of type ID.
reference: Final = Table(
    "reference",
    metadata,
    Column(
        "row_id",
        BigInteger,
        ForeignKey("object.row_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("attribute", String(NAME_LENGTH), nullable=False),
    Column("target", Text, nullable=False),
    Column("target_key", fixed_octets(), nullable=False),
    Index("ix_reference_target_key", "target_key"),
    sqlite_with_rowid=False,
    **_MYSQL,
)


def _side(side: str) -> list[Column[Any]]:
    """Columns of an object before or after a change; all NULL when there is none."""
    return [
        Column(f"{side}_class", String(NAME_LENGTH)),
        Column(f"{side}_source", String(NAME_LENGTH)),
        Column(f"{side}_indexed", Boolean),
        Column(f"{side}_order", BigInteger),
        Column(f"{side}_body", body_octets()),
    ]


# Text and not a foreign key: the history of an area outlives the area.
journal: Final = Table(
    "journal",
    metadata,
    Column("area_key", String(NAME_LENGTH), primary_key=True),
    Column("serial", Serial, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("area", String(NAME_LENGTH), nullable=False),
    Column("operation", String(8), nullable=False),
    Column("row_id", BigInteger, nullable=False),
    Column("id_key", fixed_octets()),
    Column("position", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("source", String(NAME_LENGTH), nullable=False),
    *_side("before"),
    *_side("after"),
    Index("ix_journal_row_id", "row_id"),
    Index("ix_journal_id_key", "id_key"),
    **_MYSQL,
)

slave: Final = Table(
    "slave",
    metadata,
    Column(
        "area_id",
        Integer,
        ForeignKey("authority_area.area_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("host", String(NAME_LENGTH), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, nullable=False),
    Column("defined", Boolean, nullable=False),  # part of the area's definition, not announced
    **_MYSQL,
)

setting: Final = Table(
    "setting",
    metadata,
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("value", Text, nullable=False),
    **_MYSQL,
)

notice: Final = Table(
    "notice",
    metadata,
    Column("notice_id", big_key(), primary_key=True),
    Column("received", Serial, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("peer", Text, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
    **_MYSQL,
)


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A text column as one that no index is looked up by, where another is the one to use.

    SQLite knows nothing of how many rows there are, and would take all objects of an area one by
    one to find a few of them by their rows.
    """
    return func.coalesce(column, "")
