"""Running numbers of deliveries; those that are there have none: whatever is decided from now on saw them all."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    with op.batch_alter_table("notice_delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.create_index("notice_delivery_seq", ["seq"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE notice_delivery_seq_seq OWNED BY notice_delivery.seq")
