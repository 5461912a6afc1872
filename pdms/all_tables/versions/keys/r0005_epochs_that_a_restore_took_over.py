"""epochs that a restore took over."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.add_column("epoch", sa.Column("shared_at", sa.DateTime(), nullable=True))
