"""packed state of all members with logs of changes, people whose data went abroad."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "consent_change",
        sa.Column("change_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("change_no"),
    )
    op.create_table(
        "export_count",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("sensitive", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year"),
    )
    op.create_table(
        "exported_member",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sensitive", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("year", "member_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "member_change",
        sa.Column("change_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("change_no"),
    )
    op.create_table(
        "set_name",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("set_name", schema=None) as batch_op:
        batch_op.create_index("set_name_text", ["kind", "text"], unique=True)

    op.create_table(
        "set_page",
        sa.Column("page_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("page_no"),
    )
    op.create_table(
        "set_state",
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("row_no"),
    )
