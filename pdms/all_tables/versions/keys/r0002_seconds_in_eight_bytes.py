"""Seconds in eight bytes: PostgreSQL's integers end in 2038."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    if op.get_bind().dialect.name == "postgresql":  # SQLite's integers have eight bytes already
        op.alter_column("member_key", "minted_at", type_=sa.BigInteger())
