"""Areas get an audience: the networks that they are answered to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NOBODY_NAMED = "[]"  # as JSON: the areas there are stay answered to everybody
_area = sa.table("authority_area", sa.column("name"), sa.column("audience", sa.Text()))


def upgrade() -> None:
    """Add the column, empty in the rows there are."""
    if op.get_bind().dialect.name == "sqlite":  # which cannot change a column later
        column = sa.Column("audience", sa.Text(), nullable=False, server_default=_NOBODY_NAMED)
        op.add_column("authority_area", column)
        return
    # MySQL takes no default for TEXT.
    op.add_column("authority_area", sa.Column("audience", sa.Text(), nullable=True))
    op.execute(_area.update().values(audience=_NOBODY_NAMED))
    op.alter_column("authority_area", "audience", existing_type=sa.Text(), nullable=False)


def refusal(connection: sa.Connection) -> str | None:
    """Why not to go back: an older release would open an area that has an audience."""
    closed = sa.select(_area.c.name).where(_area.c.audience != _NOBODY_NAMED)
    name = connection.execute(closed).scalar()
    return name and f"area {name} is answered to named networks only; remove it first"


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("authority_area", "audience")
