"""intervals of campaign counts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    with op.batch_alter_table("campaign_counts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("low", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("high", sa.Integer(), nullable=True))
