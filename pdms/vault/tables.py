"""Rows of `vault.db` that hold members.

Guarantees: no column holds a member's own data in the clear, nor a birth date that could be computed back for an adult;
the small rows that set decisions read are apart from the sealed bytes. Deliberately no secondary index from member id
to blind indexes: a member's own digests lie beside its sealed bytes, so that forgetting finds them without one.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, false
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable
from pdms.taxonomy import ID_BYTES

ROW_NO = BigInteger().with_variant(Integer(), "sqlite")
"""Eight bytes on both: what SQLite calls an integer, and only an `INTEGER PRIMARY KEY` is its row number."""


class MemberTable(MainTable, table=True):
    """State of one member: what the gate reads."""

    __tablename__ = "member"

    row_no: int = Field(sa_type=ROW_NO, primary_key=True)
    """Joins the sealed bytes; never leaves the vault."""
    member_id: bytes = Field(sa_type=LargeBinary(ID_BYTES), unique=True)
    pseudonym: bytes = Field(sa_type=LargeBinary(ID_BYTES), unique=True)
    system: str
    """Namespace of the external id."""
    status: str
    region: str
    turns_14: date | None
    """First of the month after the 14th birthday; 1900-01-01 where that lay in the past when written; None: unknown."""
    turns_18: date | None
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class MemberChangeTable(MainTable, table=True):
    """Log of members whose state changed since the gate last packed it; NULL stands for everybody (`db.changes`)."""

    __tablename__ = "member_change"

    change_no: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    )
    member_id: bytes | None = Field(default=None, sa_type=LargeBinary(ID_BYTES))


class SealedMemberTable(MainTable, table=True):
    """Sealed bytes of one member, and digests that only mean something under their keys."""

    __tablename__ = "sealed_member"

    row_no: int = Field(sa_type=ROW_NO, primary_key=True)
    key_version: int
    write_seq: int
    """Bound into every sealed value: an older value put back does not open."""
    sealed: bytes
    """msgpack map: field code → sealed value."""
    digests: bytes
    """The member's own index entries: field code (1 byte, 0 for the external id) and digest (32 bytes) each."""
    source_digest: bytes
    """Keyed digest of the row as it came: an unchanged row is not written again."""
    corrections: bytes | None
    """msgpack map: field code → keyed digest of the source's value that a correction replaced."""


class ExternalIndexTable(MainTable, table=True):
    """Identity: one external id of one system is one member."""

    __tablename__ = "external_index"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLModel reads it as it stands

    digest: bytes = Field(sa_type=LargeBinary(32), primary_key=True)
    row_no: int = Field(sa_type=ROW_NO)


class BlindIndexTable(MainTable, table=True):
    """Look-up by a normalised value; several members may share one. Row numbers, not ids: a third less to write."""

    __tablename__ = "blind_index"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLModel reads it as it stands

    kind: int = Field(primary_key=True)
    """Code of the field that the index is over."""
    digest: bytes = Field(sa_type=LargeBinary(32), primary_key=True)
    row_no: int = Field(sa_type=ROW_NO, primary_key=True)


class SearchIndexTable(MainTable, table=True):
    """Search by part of a value, where the policy asks: few bits of a keyed digest, so that many members share one."""

    __tablename__ = "search_index"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLModel reads it as it stands

    kind: int = Field(primary_key=True)
    """Code of the search, from the policy."""
    bucket: int = Field(sa_type=BigInteger, primary_key=True)
    row_no: int = Field(sa_type=ROW_NO, primary_key=True)


class MemberSearchTable(MainTable, table=True):
    """A member's own search entries, and by which plan they were made: forgetting and rebuilding find them by it."""

    __tablename__ = "member_search"

    row_no: int = Field(sa_type=ROW_NO, primary_key=True)
    plan: bytes = Field(sa_type=LargeBinary(16))
    """Digest of the searches declared and of their keys."""
    entries: bytes
    """Code (1 byte) and bucket (4 bytes) each."""


class SearchStateTable(MainTable, table=True):
    """One row: by which plan the search indexes were last built, and whether every member is in them."""

    __tablename__ = "search_state"

    row_no: int = Field(primary_key=True)
    plan: bytes = Field(sa_type=LargeBinary(16))
    complete: bool


class SuppressionTable(MainTable, table=True):
    """Keyed digests of what an erased member was known by, so that no import brings them back unasked."""

    __tablename__ = "suppression"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLModel reads it as it stands

    digest: bytes = Field(sa_type=LargeBinary(32), primary_key=True)
    since: datetime = Field(sa_type=UtcDateTime)
    key_version: int = Field(default=1, index=True, sa_column_kwargs={"server_default": "1"})
    """How many suppression keys are nested around it: a rotation has no plaintext to begin anew from."""
    by_index: bool = Field(default=False, index=True, sa_column_kwargs={"server_default": false()})
    """Made from an index digest, since the plaintext was gone already (a restore)."""


class DecoyListTable(MainTable, table=True):
    """One row: the ids of all honey members, sealed and padded."""

    __tablename__ = "decoy_list"

    row_no: int = Field(primary_key=True)
    sealed: bytes


class RevealCountTable(MainTable, table=True):
    """How often one operator revealed within one hour."""

    __tablename__ = "reveal_count"

    actor: str = Field(primary_key=True)
    hour: str = Field(primary_key=True)
    """`YYYY-MM-DDTHH`, UTC."""
    reveals: int
