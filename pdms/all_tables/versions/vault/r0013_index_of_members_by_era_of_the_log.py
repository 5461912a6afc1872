"""The index of events by member begins anew with each 4,096 rows, on SQLite."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("audit_event_member", "audit_event")
        op.create_index(
            "audit_event_member",
            "audit_event",
            [sa.text("(seq >> 12)"), "member_id"],
            sqlite_where=sa.text("member_id IS NOT NULL"),
        )
