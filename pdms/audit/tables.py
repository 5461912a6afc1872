"""Rows of the log: openings, the tree's tiles, which rows are in the tree, and signed checkpoints.

An `audit_event` row is never rewritten, but for shredding, which empties it down to its leaf digest. That the tree
knows a row is said by `audit_run`, a range of consecutive rows and the leaves they became: sequencing a hundred
thousand events changes one row instead of a hundred thousand.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field

from pdms.db.bases import MainTable

_CONCERNS_A_MEMBER = text("member_id IS NOT NULL")


class AuditEvent(MainTable, table=True):
    """One event: its leaf digest for ever, its opening (salt and body) as long as it may be kept."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_event_member", "member_id", sqlite_where=_CONCERNS_A_MEMBER, postgresql_where=_CONCERNS_A_MEMBER),
        {"sqlite_autoincrement": True},
    )

    # AUTOINCREMENT: the number of a row that somebody deleted is never given again.
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    )
    event_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary(16), unique=True))
    kind: str | None = Field(default=None, sa_column=Column(Text))
    at: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Microseconds since 1970."""
    member_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary(16)))
    purpose: str | None = Field(default=None, sa_column=Column(Text))
    leaf: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    leaf_salt: bytes | None = Field(default=None, sa_column=Column(LargeBinary(16)))
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class AuditRun(MainTable, table=True):
    """`length` rows from `first_seq` on are the leaves from `first_leaf` on."""

    __tablename__ = "audit_run"

    first_leaf: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    first_seq: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))
    length: int = Field(sa_column=Column(BigInteger, nullable=False))


class AuditTile(MainTable, table=True):
    """Up to sixteen joined digests of the tree (`tiles`)."""

    __tablename__ = "audit_tile"
    __table_args__ = ({"sqlite_with_rowid": False},)

    level: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    digests: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AuditCheckpoint(MainTable, table=True):
    """A signed state of the tree; `note` is the C2SP note as text."""

    __tablename__ = "audit_checkpoint"

    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    note: str = Field(sa_column=Column(Text, nullable=False))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Microseconds since 1970."""
