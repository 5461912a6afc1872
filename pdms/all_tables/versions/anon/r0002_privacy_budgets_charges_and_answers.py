"""privacy budgets, charges and answers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "budget_charge",
        sa.Column("population", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("nano_rho", sa.BigInteger(), nullable=False),
        sa.Column("charged_at", sa.DateTime(), nullable=False),
        sa.Column("charged_by", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("population", "number"),
        sa.UniqueConstraint("population", "question"),
    )
    with op.batch_alter_table("budget_charge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_budget_charge_period"), ["period"], unique=False)

    op.create_table(
        "budget_population", sa.Column("population", sa.String(), nullable=False), sa.PrimaryKeyConstraint("population")
    )
