"""The first revision: every table as it was before there were revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
    op.create_table(
        "access_package",
        sa.Column("package_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("link_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("package_id"),
        sa.UniqueConstraint("link_digest"),
    )
    op.create_index(op.f("ix_access_package_member_id"), "access_package", ["member_id"], unique=False)
    op.create_index(op.f("ix_access_package_request_id"), "access_package", ["request_id"], unique=False)
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaf_salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "audit_event_member", "audit_event", ["member_id"], unique=False, sqlite_where=sa.text("member_id IS NOT NULL")
    )
    op.create_table(
        "audit_run",
        sa.Column("first_leaf", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first_leaf"),
        sa.UniqueConstraint("first_seq"),
    )
    op.create_table(
        "audit_tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blind_index",
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "digest", "row_no"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consent_current",
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("shape", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "recipient", "member_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consent_record",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("notice_no", sa.Integer(), nullable=True),
        sa.Column("categories", sa.String(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("evidence", sa.String(length=128), nullable=False),
        sa.Column("guardian", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("policy_digest", sa.String(length=64), nullable=False),
        sa.Column("import_key", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(
        "consent_record_id",
        "consent_record",
        ["record_id"],
        unique=True,
        sqlite_where=sa.text("source = 'live'"),
        postgresql_where=sa.text("source = 'live'"),
    )
    op.create_index(
        "consent_record_import",
        "consent_record",
        ["import_key"],
        unique=True,
        sqlite_where=sa.text("import_key IS NOT NULL"),
        postgresql_where=sa.text("import_key IS NOT NULL"),
    )
    op.create_index("consent_record_member", "consent_record", ["member_id", "purpose"], unique=False)
    op.create_table(
        "consent_shape",
        sa.Column("shape", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("notice_no", sa.Integer(), nullable=False),
        sa.Column("categories", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("shape"),
    )
    op.create_index("consent_shape_key", "consent_shape", ["state", "type", "notice_no", "categories"], unique=True)
    op.create_table(
        "erasure_step",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("done_at", sa.DateTime(), nullable=False),
        sa.Column("counts", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "step"),
    )
    op.create_table(
        "external_index",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency",
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("resource", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest"),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_table(
        "ingest_load",
        sa.Column("load_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("batch_rows", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("next_batch", sa.Integer(), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("load_id"),
    )
    op.create_table(
        "ingest_rejected",
        sa.Column("load_id", sa.String(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("load_id", "row"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "member",
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("pseudonym", sa.LargeBinary(length=16), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("turns_14", sa.Date(), nullable=True),
        sa.Column("turns_18", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("row_no"),
        sa.UniqueConstraint("member_id"),
        sa.UniqueConstraint("pseudonym"),
    )
    op.create_table(
        "member_token",
        sa.Column("token_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token_id"),
    )
    op.create_index(op.f("ix_member_token_member_id"), "member_token", ["member_id"], unique=False)
    op.create_table(
        "notice",
        sa.Column("notice_no", sa.Integer(), nullable=False),
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("audience", sa.String(length=8), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("published_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("notice_no"),
        sa.UniqueConstraint("version"),
    )
    op.create_table(
        "notice_delivery",
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("notice_no", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("evidence", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("member_id", "notice_no"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "operator",
        sa.Column("operator_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("trained_until", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("operator_id"),
        sa.UniqueConstraint("label"),
    )
    op.create_table(
        "opt_out_link",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_opt_out_link_member_id"), "opt_out_link", ["member_id"], unique=False)
    op.create_table(
        "policy_version",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("activated_at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_policy_version_digest"), "policy_version", ["digest"], unique=False)
    op.create_table(
        "publication",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("view", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("overtaken", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("manifest", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("release_id"),
    )
    op.create_index(op.f("ix_publication_state"), "publication", ["state"], unique=False)
    op.create_index(op.f("ix_publication_view"), "publication", ["view"], unique=False)
    op.create_table(
        "purge_queue",
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("fact_table", sa.String(), nullable=False),
        sa.Column("queued_at", sa.DateTime(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("member_id", "fact_table"),
    )
    op.create_table(
        "restriction_current",
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("member_id", "kind", "purpose", "channel"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "restriction_record",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("restriction_record_member", "restriction_record", ["member_id"], unique=False)
    op.create_table(
        "reveal_count",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("hour", sa.String(), nullable=False),
        sa.Column("reveals", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "hour"),
    )
    op.create_table(
        "sealed_member",
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("write_seq", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("source_digest", sa.LargeBinary(), nullable=False),
        sa.Column("corrections", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("row_no"),
    )
    op.create_table(
        "send_attempt",
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("intent_at", sa.DateTime(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("outcome_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("campaign", "member_id"),
    )
    op.create_index(op.f("ix_send_attempt_member_id"), "send_attempt", ["member_id"], unique=False)
    op.create_index(op.f("ix_send_attempt_run_id"), "send_attempt", ["run_id"], unique=False)
    op.create_table(
        "send_count",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "reason"),
    )
    op.create_table(
        "send_run",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index(op.f("ix_send_run_campaign"), "send_run", ["campaign"], unique=False)
    op.create_table(
        "subject_request",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("member_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("identity_method", sa.String(), nullable=True),
        sa.Column("field", sa.String(), nullable=True),
        sa.Column("detail", sa.LargeBinary(), nullable=True),
        sa.Column("refusal_code", sa.String(), nullable=True),
        sa.Column("refusal_article", sa.String(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("code_expires_at", sa.DateTime(), nullable=True),
        sa.Column("code_tries", sa.Integer(), nullable=False),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index(op.f("ix_subject_request_due_on"), "subject_request", ["due_on"], unique=False)
    op.create_index(op.f("ix_subject_request_member_id"), "subject_request", ["member_id"], unique=False)
    op.create_index(op.f("ix_subject_request_state"), "subject_request", ["state"], unique=False)
    op.create_table(
        "suppression",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("operator_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.operator_id"],
        ),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_index(op.f("ix_api_key_operator_id"), "api_key", ["operator_id"], unique=False)
