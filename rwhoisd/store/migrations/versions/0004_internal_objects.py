"""Areas name the networks that their internal objects are answered to."""

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
_class = sa.table("object_class", sa.column("name"), sa.column("privacy"))


def upgrade() -> None:
    """Add the column, empty in the rows there are."""
    if op.get_bind().dialect.name == "sqlite":  # which cannot change a column later
        column = sa.Column("internal_to", sa.Text(), nullable=False, server_default=_NOBODY)
        op.add_column("authority_area", column)
        return
    # MySQL takes no default for TEXT.
    op.add_column("authority_area", sa.Column("internal_to", sa.Text(), nullable=True))
    op.execute(_area.update().values(internal_to=_NOBODY))
    op.alter_column("authority_area", "internal_to", existing_type=sa.Text(), nullable=False)


def refusal(connection: sa.Connection) -> str | None:
    """Why not to go back: to an older release what is internal is residential, and answered."""
    internal = sa.or_(_area.c.privacy == "internal", _area.c.internal_to != _NOBODY)
    name = connection.execute(sa.select(_area.c.name).where(internal)).scalar()
    if name is not None:
        return f"area {name} has internal objects; remove internal-to and that profile first"
    name = connection.execute(
        sa.select(_class.c.name).where(_class.c.privacy == "internal")
    ).scalar()
    return name and f"class {name} has the profile internal; remove it first"


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("authority_area", "internal_to")
