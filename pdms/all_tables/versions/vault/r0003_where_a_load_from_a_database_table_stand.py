"""Where a load from a database table stands."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    with op.batch_alter_table("ingest_load", schema=None) as batch_op:
        batch_op.add_column(sa.Column("position", sa.LargeBinary(), nullable=True))
