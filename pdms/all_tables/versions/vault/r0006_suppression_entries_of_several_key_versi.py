"""suppression entries of several key versions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.add_column("suppression", sa.Column("key_version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("suppression", sa.Column("by_index", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_suppression_key_version", "suppression", ["key_version"], unique=False)
    op.create_index("ix_suppression_by_index", "suppression", ["by_index"], unique=False)
