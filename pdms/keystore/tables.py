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
    destroyed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SystemKeyRow(KeysTable, table=True):
    """One key of one use; the highest version is in force."""

    __tablename__ = "system_key"

    label: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    epoch: int = Field(foreign_key="epoch.epoch")
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class MemberKeyRow(KeysTable, table=True):
    """The DEK of one member, wrapped under an epoch key. Ordered by rowid: a random clustered key costs twice."""

    __tablename__ = "member_key"

    member_id: bytes = Field(sa_column=Column(LargeBinary(16), primary_key=True))
    key_version: int
    epoch: int
    minted_at: int = Field(sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), nullable=False))
    """Unix seconds; lets a sweep tell an orphan from a member who is just being stored."""
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


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
