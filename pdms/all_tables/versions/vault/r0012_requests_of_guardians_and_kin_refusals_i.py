"""requests of guardians and kin refusals in writing."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    with op.batch_alter_table("subject_request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("requester", sa.String(), server_default="member", nullable=False))
        batch_op.add_column(sa.Column("interest", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("evidence", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("proven_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("letter", sa.String(), nullable=True))
