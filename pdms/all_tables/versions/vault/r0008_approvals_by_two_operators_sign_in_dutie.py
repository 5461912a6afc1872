"""approvals by two operators, sign in, duties and incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "compliance_record",
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("done_on", sa.Date(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("ticket", sa.String(), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("record_id"),
    )
    with op.batch_alter_table("compliance_record", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compliance_record_kind"), ["kind"], unique=False)

    op.create_table(
        "incident",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("detected_at", sa.DateTime(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("larger", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_table(
        "approval",
        sa.Column("approval_id", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asked_by"],
            ["operator.operator_id"],
        ),
        sa.PrimaryKeyConstraint("approval_id"),
    )
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_digest"), ["digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "incident_step",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incident.incident_id"],
        ),
        sa.PrimaryKeyConstraint("incident_id", "step"),
    )
    op.create_table(
        "approval_step",
        sa.Column("approval_id", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"],
            ["approval.approval_id"],
        ),
        sa.PrimaryKeyConstraint("approval_id", "step"),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_used_on", sa.Date(), nullable=True))

    with op.batch_alter_table("operator", schema=None) as batch_op:
        batch_op.add_column(sa.Column("subject_digest", sa.LargeBinary(), nullable=True))
        batch_op.create_index(batch_op.f("ix_operator_subject_digest"), ["subject_digest"], unique=True)
