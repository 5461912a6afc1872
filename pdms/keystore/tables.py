"""Rows of `keys.db`: wrapped keys and fences, nothing that names anyone."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Integer, LargeBinary
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import KeysTable


class EpochRow(KeysTable, table=True):
    """A key epoch: its root's address and its own key, wrapped by that root. Ends by destroying the root."""

    __tablename__ = "epoch"

    epoch: int = Field(primary_key=True)
    root_uri: str
    wrapped: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = Field(sa_type=UtcDateTime)
    ending_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """The root was seen and is about to be destroyed: from now on its absence means that it was."""
    destroyed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    shared_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When a restore took the epoch over: the home that the backup is of may live, and hang on the same root."""


class SystemKeyRow(KeysTable, table=True):
    """One key of one use; the highest version is in force, older ones verify or look up until they are retired."""

    __tablename__ = "system_key"

    label: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    epoch: int = Field(foreign_key="epoch.epoch")
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    made_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Nothing stored needs it for a look-up any more; what it signed or nested is still checked with it."""


class MemberKeyRow(KeysTable, table=True):
    """The DEK of one member, wrapped under an epoch key. Ordered by rowid: a random clustered key costs twice."""

    __tablename__ = "member_key"

    member_id: bytes = Field(sa_column=Column(LargeBinary(16), primary_key=True))
    key_version: int
    epoch: int
    minted_at: int = Field(sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), nullable=False))
    """Unix seconds; lets a sweep tell an orphan from a member who is just being stored."""
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class NextMemberKeyRow(KeysTable, table=True):
    """The coming DEK of one member while the member's fields are sealed anew; then it takes the old one's place."""

    __tablename__ = "member_key_next"

    member_id: bytes = Field(sa_column=Column(LargeBinary(16), primary_key=True))
    key_version: int
    epoch: int
    minted_at: int = Field(sa_type=BigInteger)
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RotationRow(KeysTable, table=True):
    """A rotation that walks through the vault: what, since when, how far. The row `suite` keeps the suite in force."""

    __tablename__ = "key_rotation"

    what: str = Field(primary_key=True)
    target: str
    """Of `suite`: the suite that new DEKs are for. Of `epoch`: where the root lies that is put in place."""
    started_at: datetime = Field(sa_type=UtcDateTime)
    position: int = Field(sa_type=BigInteger)
    """Row number in the vault up to which all is done."""
    done: int = Field(sa_type=BigInteger)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FenceRow(KeysTable, table=True):
    """An erased member id: no key is minted or opened for it ever again."""

    __tablename__ = "fence"

    member_id: bytes = Field(sa_column=Column(LargeBinary(16), primary_key=True))


class HeldMonthRow(KeysTable, table=True):
    """The key of held records that expire in one month; without bytes once destroyed, so that it is not made anew."""

    __tablename__ = "held_month_key"

    month: str = Field(primary_key=True)
    epoch: int
    wrapped: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
