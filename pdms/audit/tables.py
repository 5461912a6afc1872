"""Rows of the log: openings, the tree's tiles, which rows are in the tree, and signed checkpoints.

An `audit_event` row is never rewritten, but for shredding, which empties it down to its leaf digest. That the tree
knows a row is said by `audit_run`, a range of consecutive rows and the leaves they became: sequencing a hundred
thousand events changes one row instead of a hundred thousand.
"""

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, LargeBinary, Text, text
from sqlalchemy.event import listen
from sqlmodel import Field

from pdms.db.bases import MainTable

ERA_BITS = 12
"""On SQLite the index of members begins anew with each 4,096 rows. Ids are random: in one index over all rows each new
one would fall into a page of its own, to be read and written again; so they fall into the last few."""
_CONCERNS_A_MEMBER = "member_id IS NOT NULL"
_BY_ERA = Index("audit_event_member", text(f"(seq >> {ERA_BITS})"), "member_id", sqlite_where=text(_CONCERNS_A_MEMBER))
_BY_MEMBER = DDL(  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
    f"CREATE INDEX audit_event_member ON audit_event (member_id) WHERE {_CONCERNS_A_MEMBER}"
)


class AuditEvent(MainTable, table=True):
    """One event: its leaf digest for ever, its opening (salt and body) as long as it may be kept."""

    __tablename__ = "audit_event"
    __table_args__ = (
        _BY_ERA.ddl_if(dialect="sqlite"),
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


listen(AuditEvent.__table__, "after_create", _BY_MEMBER.execute_if(dialect="postgresql"))  # type: ignore[attr-defined] # SQLModel makes it


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
