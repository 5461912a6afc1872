"""The table of running numbers: how far they had come when rows that bear them were deleted."""

from sqlalchemy import BigInteger, Column, Integer
from sqlmodel import Field

from pdms.db.bases import MainTable


class SpentNumber(MainTable, table=True):
    """The greatest number that rows of a table had borne when some were deleted: `numbers.spend`."""

    __tablename__ = "spent_number"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - as SQLAlchemy reads it

    name: str = Field(primary_key=True, max_length=64)
    """Of the table."""
    number: int = Field(sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), nullable=False))
