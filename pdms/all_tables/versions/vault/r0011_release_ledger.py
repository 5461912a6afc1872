"""release ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "ledger_family",
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("releases", sa.String(), nullable=False),
        sa.Column("classes", sa.LargeBinary(), nullable=False),
        sa.Column("erased", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("family"),
    )
    op.create_table(
        "ledger_page",
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("subjects", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("family", "page"),
    )
    with op.batch_alter_table("publication", schema=None) as batch_op:
        batch_op.add_column(sa.Column("family", sa.String(), nullable=True))
