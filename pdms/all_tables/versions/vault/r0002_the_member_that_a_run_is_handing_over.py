"""The member that a run is handing over."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    with op.batch_alter_table("send_run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("handing", sa.LargeBinary(length=16), nullable=True))
        batch_op.create_index(batch_op.f("ix_send_run_handing"), ["handing"], unique=False)
