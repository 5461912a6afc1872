"""ending of an epoch noted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.add_column("epoch", sa.Column("ending_at", sa.DateTime(), nullable=True))
