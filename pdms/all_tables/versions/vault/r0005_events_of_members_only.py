"""The index of events by member holds those that concern one, on PostgreSQL as on SQLite."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("audit_event_member", "audit_event")
        op.create_index(
            "audit_event_member", "audit_event", ["member_id"], postgresql_where=sa.text("member_id IS NOT NULL")
        )
