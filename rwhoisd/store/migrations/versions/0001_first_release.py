"""The tables of the first release: areas, schema, objects, hierarchy, journal."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A migration keeps its own copy of types and options: tables.py moves on, this does not.
_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def _octets() -> TypeEngine[bytes]:
    return sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")


def _body() -> TypeEngine[bytes]:
    return sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def _key() -> TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _authority_area() -> None:
    op.create_table(
        "authority_area",
        sa.Column("area_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=6), nullable=False),
        sa.Column("charset", sa.String(length=40), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("next_row", sa.BigInteger(), nullable=False),
        sa.Column("soa_serial", sa.Text(), nullable=True),
        sa.Column("refresh_interval", sa.BigInteger(), nullable=True),
        sa.Column("increment_interval", sa.BigInteger(), nullable=True),
        sa.Column("retry_interval", sa.BigInteger(), nullable=True),
        sa.Column("time_to_live", sa.BigInteger(), nullable=True),
        sa.Column("primary_server", sa.Text(), nullable=True),
        sa.Column("hostmaster", sa.Text(), nullable=True),
        sa.Column("tech_contact", sa.Text(), nullable=True),
        sa.Column("admin_contact", sa.Text(), nullable=True),
        sa.Column("guardians", sa.Text(), nullable=False),
        sa.Column("masters", sa.Text(), nullable=False),
        sa.Column("transfer_arguments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("area_id", name="pk_authority_area"),
        sa.UniqueConstraint("name_key", name="uq_authority_area_name_key"),
        sqlite_autoincrement=True,
        **_MYSQL,
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("area_key", sa.String(length=255), nullable=False),
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("area", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=8), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("id_key", _octets(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("before_class", sa.String(length=255), nullable=True),
        sa.Column("before_source", sa.String(length=255), nullable=True),
        sa.Column("before_indexed", sa.Boolean(), nullable=True),
        sa.Column("before_order", sa.BigInteger(), nullable=True),
        sa.Column("before_body", _body(), nullable=True),
        sa.Column("after_class", sa.String(length=255), nullable=True),
        sa.Column("after_source", sa.String(length=255), nullable=True),
        sa.Column("after_indexed", sa.Boolean(), nullable=True),
        sa.Column("after_order", sa.BigInteger(), nullable=True),
        sa.Column("after_body", _body(), nullable=True),
        sa.PrimaryKeyConstraint("area_key", "serial", "ordinal", name="pk_journal"),
        **_MYSQL,
    )
    op.create_index("ix_journal_id_key", "journal", ["id_key"])
    op.create_index("ix_journal_row_id", "journal", ["row_id"])


def _notice() -> None:
    op.create_table(
        "notice",
        sa.Column("notice_id", _key(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notice"),
        sqlite_autoincrement=True,
        **_MYSQL,
    )


def _setting() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_setting"),
        **_MYSQL,
    )


def _object() -> None:
    op.create_table(
        "object",
        sa.Column("row_id", _key(), autoincrement=False, nullable=False),
        sa.Column("area_id", sa.Integer(), nullable=False),
        sa.Column("class_key", sa.String(length=255), nullable=False),
        sa.Column("class_name", sa.String(length=255), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("id_key", _octets(), nullable=True),
        sa.Column("updated", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("indexed", sa.Boolean(), nullable=False),
        sa.Column("answer_order", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("key_digest", _octets(), nullable=True),
        sa.Column("key_copy", sa.BigInteger(), nullable=False),
        sa.Column("body", _body(), nullable=False),
        sa.ForeignKeyConstraint(["area_id"], ["authority_area.area_id"], name="fk_object_area_id"),
        sa.PrimaryKeyConstraint("row_id", name="pk_object"),
        sa.UniqueConstraint(
            "area_id",
            "class_key",
            "key_digest",
            "key_copy",
            name="uq_object_area_id_class_key_key_digest_key_copy",
        ),
        **_MYSQL,
    )
    op.create_index("ix_object_id_key", "object", ["id_key"])
    op.create_index("ix_object_place", "object", ["area_id", "class_key", "position", "row_id"])


def _object_class() -> None:
    op.create_table(
        "object_class",
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("area_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("parse_program", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["area_id"],
            ["authority_area.area_id"],
            name="fk_object_class_area_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("class_id", name="pk_object_class"),
        sa.UniqueConstraint("area_id", "name_key", name="uq_object_class_area_id_name_key"),
        **_MYSQL,
    )


def _slave() -> None:
    op.create_table(
        "slave",
        sa.Column("area_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("defined", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["area_id"], ["authority_area.area_id"], name="fk_slave_area_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("area_id", "host", "port", name="pk_slave"),
        **_MYSQL,
    )


def _attribute() -> None:
    op.create_table(
        "attribute",
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("index_type", sa.String(length=8), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("multi_line", sa.Boolean(), nullable=False),
        sa.Column("repeatable", sa.Boolean(), nullable=False),
        sa.Column("primary_key", sa.Boolean(), nullable=False),
        sa.Column("hierarchical", sa.Boolean(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["object_class.class_id"],
            name="fk_attribute_class_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("class_id", "ordinal", name="pk_attribute"),
        **_MYSQL,
    )


def _network() -> None:
    op.create_table(
        "network",
        sa.Column("row_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attribute", sa.String(length=255), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("first_address", _octets(), nullable=False),
        sa.Column("last_address", _octets(), nullable=False),
        sa.Column("prefix_length", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["row_id"], ["object.row_id"], name="fk_network_row_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("row_id", "ordinal", name="pk_network"),
        sqlite_with_rowid=False,
        **_MYSQL,
    )
    op.create_index("ix_network_span", "network", ["family", "first_address", "last_address"])


def _reference() -> None:
    op.create_table(
        "reference",
        sa.Column("row_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attribute", sa.String(length=255), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_key", _octets(), nullable=False),
        sa.ForeignKeyConstraint(
            ["row_id"], ["object.row_id"], name="fk_reference_row_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("row_id", "ordinal", name="pk_reference"),
        sqlite_with_rowid=False,
        **_MYSQL,
    )
    op.create_index("ix_reference_target_key", "reference", ["target_key"])


_TABLES = {
    "authority_area": _authority_area,
    "journal": _journal,
    "notice": _notice,
    "setting": _setting,
    "object": _object,
    "object_class": _object_class,
    "slave": _slave,
    "attribute": _attribute,
    "network": _network,
    "reference": _reference,
}


def upgrade() -> None:
    """Make all tables."""
    for make in _TABLES.values():
        make()


def downgrade() -> None:
    """Remove all tables, and with them all data."""
    for name in reversed(_TABLES):
        op.drop_table(name)
