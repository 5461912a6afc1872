"""The first revision: every table as it was before there were revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "held_record",
        sa.Column("held_id", sa.String(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("order_digest", sa.LargeBinary(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("article", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("held_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_held_record_batch"), "held_record", ["batch"], unique=False)
    op.create_index(op.f("ix_held_record_month"), "held_record", ["month"], unique=False)
    op.create_index(op.f("ix_held_record_order_digest"), "held_record", ["order_digest"], unique=False)
