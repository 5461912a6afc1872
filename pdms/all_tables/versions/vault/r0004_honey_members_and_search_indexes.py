"""honey members and search indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "decoy_list",
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("row_no"),
    )
    op.create_table(
        "member_search",
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("plan", sa.LargeBinary(length=16), nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("row_no"),
    )
    op.create_table(
        "search_index",
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "bucket", "row_no"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_state",
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("plan", sa.LargeBinary(length=16), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("row_no"),
    )
