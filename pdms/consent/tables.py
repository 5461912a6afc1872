"""Tables of notices, consent and restrictions. Records are appended and never changed; the `*_current` tables are
materialised folds of them, rebuilt from the records at any time (`store.rebuild_current`)."""

from datetime import date, datetime

from sqlalchemy import DDL, BigInteger, Column, Date, Index, Integer, LargeBinary, event, text
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable

ID = 16
SEQ = BigInteger().with_variant(Integer(), "sqlite")
"""Eight bytes on both: what SQLite calls an integer, and only an `INTEGER PRIMARY KEY` is its row number."""


class NoticeVersion(MainTable, table=True):
    """One published language version of a notice, whole and unchangeable."""

    __tablename__ = "notice"

    notice_no: int | None = Field(default=None, primary_key=True)
    """Small number that records refer to."""
    notice_id: str = Field(max_length=64)
    version: str = Field(max_length=64, unique=True)
    language: str = Field(max_length=8)
    audience: str = Field(max_length=8)
    effective_on: date = Field(sa_column=Column(Date, nullable=False))
    title: str
    content: str
    """Canonical JSON of everything it says; `version` is its SHA-256."""
    published_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class NoticeDelivery(MainTable, table=True):
    """That a member was shown a notice version; the first time counts."""

    __tablename__ = "notice_delivery"
    __table_args__ = (Index("notice_delivery_seq", "seq"), {"sqlite_with_rowid": False})

    member_id: bytes = Field(sa_column=Column(LargeBinary(ID), primary_key=True))
    notice_no: int = Field(primary_key=True)
    delivered_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    channel: str = Field(max_length=32)
    evidence: str = Field(max_length=128)
    seq: int | None = Field(default=None, sa_column=Column(SEQ, nullable=True))
    """Running number of the statement that wrote it: what a decision saw; none where an older version wrote it."""


event.listen(
    NoticeDelivery.metadata.tables["notice_delivery"],
    "after_create",
    DDL("CREATE SEQUENCE notice_delivery_seq_seq OWNED BY notice_delivery.seq").execute_if(  # type: ignore[no-untyped-call] # SQLAlchemy's own is untyped
        dialect="postgresql"
    ),
)


class ConsentRecord(MainTable, table=True):
    """One consent event of one member for one purpose (and recipient)."""

    __tablename__ = "consent_record"
    __table_args__ = (
        Index("consent_record_member", "member_id", "purpose"),
        Index(
            "consent_record_id",
            "record_id",
            unique=True,
            sqlite_where=text("source = 'live'"),
            postgresql_where=text("source = 'live'"),
        ),
        Index(
            "consent_record_import",
            "import_key",
            unique=True,
            sqlite_where=text("import_key IS NOT NULL"),
            postgresql_where=text("import_key IS NOT NULL"),
        ),
    )

    seq: int | None = Field(default=None, sa_column=Column(SEQ, primary_key=True))
    record_id: bytes = Field(sa_column=Column(LargeBinary(ID), nullable=False))
    member_id: bytes = Field(sa_column=Column(LargeBinary(ID), nullable=False))
    purpose: str = Field(max_length=64)
    recipient: str = Field(max_length=64)
    state: str = Field(max_length=16)
    type: str = Field(max_length=16)
    occurred_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    known_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    notice_no: int | None = None
    categories: str
    """Names joined by commas, sorted."""
    channel: str = Field(max_length=32)
    """Where the member expressed it: web, app, store, phone, …"""
    source: str = Field(max_length=8)
    """live | import | restore | defect (found to be none, by one event for a set: `invalidate`)"""
    evidence: str = Field(max_length=128)
    """An id, code or digest; never text."""
    guardian: str = Field(max_length=64)
    """Reference of the guardian's proof, where a guardian consented."""
    actor: str = Field(max_length=64)
    policy_digest: str = Field(max_length=64)
    import_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary(ID)))


class ConsentShape(MainTable, table=True):
    """Dictionary of the few combinations that millions of current consents share."""

    __tablename__ = "consent_shape"
    __table_args__ = (Index("consent_shape_key", "state", "type", "notice_no", "categories", unique=True),)

    shape: int | None = Field(default=None, primary_key=True)
    state: str = Field(max_length=16)
    type: str = Field(max_length=16)
    notice_no: int
    """0 where none."""
    categories: str


class ConsentCurrent(MainTable, table=True):
    """The winning record per purpose, recipient and member: what the fold of `state` gives over all records."""

    __tablename__ = "consent_current"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - as SQLAlchemy reads it

    purpose: str = Field(primary_key=True, max_length=64)
    recipient: str = Field(primary_key=True, max_length=64)
    member_id: bytes = Field(sa_column=Column(LargeBinary(ID), primary_key=True))
    shape: int
    occurred_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    rank: int
    seq: int = Field(sa_type=SEQ)


class ConsentChange(MainTable, table=True):
    """Log of members whose consents, wishes or notices changed since the gate last packed them; NULL: everybody's."""

    __tablename__ = "consent_change"

    change_no: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    )
    member_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary(ID), nullable=True))


class RestrictionRecord(MainTable, table=True):
    """One event that sets or lifts a restriction, objection, opt-out or do-not-contact."""

    __tablename__ = "restriction_record"
    __table_args__ = (Index("restriction_record_member", "member_id"),)

    seq: int | None = Field(default=None, sa_column=Column(SEQ, primary_key=True))
    record_id: bytes = Field(sa_column=Column(LargeBinary(ID), nullable=False))
    member_id: bytes = Field(sa_column=Column(LargeBinary(ID), nullable=False))
    kind: str = Field(max_length=16)
    purpose: str = Field(max_length=64)
    channel: str = Field(max_length=16)
    active: bool
    occurred_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str = Field(max_length=64)
    request: str = Field(max_length=64)


class RestrictionCurrent(MainTable, table=True):
    """Restrictions that stand."""

    __tablename__ = "restriction_current"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - as SQLAlchemy reads it

    member_id: bytes = Field(sa_column=Column(LargeBinary(ID), primary_key=True))
    kind: str = Field(primary_key=True, max_length=16)
    purpose: str = Field(primary_key=True, max_length=64)
    channel: str = Field(primary_key=True, max_length=16)
    since: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
