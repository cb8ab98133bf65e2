"""Areas and classes get a privacy profile, areas the name of their operator."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_area = sa.table(
    "authority_area", sa.column("name"), sa.column("privacy"), sa.column("operator", sa.Text())
)
_class = sa.table("object_class", sa.column("name"), sa.column("privacy"))


def upgrade() -> None:
    """Add the columns, empty in the rows there are: all stays public."""
    for table in ("authority_area", "object_class"):
        column = sa.Column("privacy", sa.String(20), nullable=False, server_default="")
        op.add_column(table, column)
    if op.get_bind().dialect.name == "sqlite":  # which cannot change a column later
        column = sa.Column("operator", sa.Text(), nullable=False, server_default="")
        op.add_column("authority_area", column)
        return
    # MySQL takes no default for TEXT.
    op.add_column("authority_area", sa.Column("operator", sa.Text(), nullable=True))
    op.execute(_area.update().values(operator=""))
    op.alter_column("authority_area", "operator", existing_type=sa.Text(), nullable=False)


def refusal(connection: sa.Connection) -> str | None:
    """Why not to go back: an older release would show what a profile hides."""
    for what, table in (("area", _area), ("class", _class)):
        hiding = sa.select(table.c.name).where(table.c.privacy == "residential")
        name = connection.execute(hiding).scalar()
        if name is not None:
            return f"{what} {name} has a privacy profile that hides; remove it first"
    return None


def downgrade() -> None:
    """Remove the columns."""
    op.drop_column("authority_area", "operator")
    op.drop_column("authority_area", "privacy")
    op.drop_column("object_class", "privacy")
