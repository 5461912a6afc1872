"""ids of eight bytes, provisional due dates."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WIDER = {
    "member": ("row_no",),
    "sealed_member": ("row_no",),
    "external_index": ("row_no",),
    "blind_index": ("row_no",),
    "search_index": ("row_no",),
    "member_search": ("row_no",),
    "consent_record": ("seq",),
    "consent_current": ("seq",),
    "restriction_record": ("seq",),
    "ingest_load": ("rows", "read", "created", "updated", "unchanged", "accepted", "rejected"),
    "ingest_rejected": ("row",),
}


def upgrade() -> None:
    """Move on from the revision before."""
    op.add_column(
        "subject_request", sa.Column("due_provisional", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    if op.get_bind().dialect.name != "postgresql":  # SQLite's integers have eight bytes already
        return
    for table, columns in WIDER.items():
        for column in columns:
            op.alter_column(table, column, type_=sa.BigInteger())
            # what counts the column up ends where the column ended
            named = op.get_bind().scalar(sa.text(f"SELECT pg_get_serial_sequence('{table}', '{column}')"))
            if named is not None:
                op.execute(f"ALTER SEQUENCE {named} AS bigint")
