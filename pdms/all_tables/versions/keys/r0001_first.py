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
        "epoch",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("root_uri", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("epoch"),
    )
    op.create_table(
        "fence", sa.Column("member_id", sa.LargeBinary(length=16), nullable=False), sa.PrimaryKeyConstraint("member_id")
    )
    op.create_table(
        "held_month_key",
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("month"),
    )
    op.create_table(
        "member_key",
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("minted_at", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("member_id"),
    )
    op.create_table(
        "system_key",
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["epoch"],
            ["epoch.epoch"],
        ),
        sa.PrimaryKeyConstraint("label", "version"),
    )
