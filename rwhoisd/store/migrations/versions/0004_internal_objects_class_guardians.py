"""Areas name the networks of their internal objects; classes get guardians."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NOBODY = "[]"  # as JSON
_area = sa.table(
    "authority_area",
    sa.column("name"),
    sa.column("privacy"),
    sa.column("internal_to", sa.Text()),
)
_class = sa.table(
    "object_class", sa.column("name"), sa.column("privacy"), sa.column("guardians", sa.Text())
)


def upgrade() -> None:
    """Add the columns, empty in the rows there are."""
    for table, name in ((_area, "internal_to"), (_class, "guardians")):
        if op.get_bind().dialect.name == "sqlite":  # which cannot change a column later
            column = sa.Column(name, sa.Text(), nullable=False, server_default=_NOBODY)
            op.add_column(table.name, column)
            continue
        # MySQL takes no default for TEXT.
        op.add_column(table.name, sa.Column(name, sa.Text(), nullable=True))
        op.execute(table.update().values({name: _NOBODY}))
        op.alter_column(table.name, name, existing_type=sa.Text(), nullable=False)


def refusal(connection: sa.Connection) -> str | None:
    """Why not to go back: an older release would answer what is internal, and guard no class."""
    rules = (
        (_area, _area.c.privacy == "internal", "area", "the profile internal"),
        (_area, _area.c.internal_to != _NOBODY, "area", "internal-to"),
        (_class, _class.c.privacy == "internal", "class", "the profile internal"),
        (_class, _class.c.guardians != _NOBODY, "class", "guardians"),
    )
    for table, rule, what, has in rules:
        name = connection.execute(sa.select(table.c.name).where(rule)).scalar()
        if name is not None:
            return f"{what} {name} has {has}; remove it first"
    return None


def downgrade() -> None:
    """Remove the columns."""
    op.drop_column("object_class", "guardians")
    op.drop_column("authority_area", "internal_to")
