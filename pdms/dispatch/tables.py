"""What dispatch remembers, in `vault.db`: who was meant to get a message and what became of it. No text, no address.

An attempt's row is its state: no outcome means that the message may or may not have left.
"""

from datetime import datetime

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class SendRunRow(MainTable, table=True):
    """One run of a campaign, or what a later run resumed."""

    __tablename__ = "send_run"

    run_id: str = Field(primary_key=True)
    campaign: str = Field(index=True)
    number: int
    """1, 2, … within the campaign."""
    actor: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    handing: bytes | None = Field(default=None, sa_column=Column(LargeBinary(16), nullable=True, index=True))
    """The member whose message is being handed over at this moment: one at a time."""


class SendCountRow(MainTable, table=True):
    """Exact members of one run by reason; for officers."""

    __tablename__ = "send_count"

    run_id: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    members: int


class SendAttemptRow(MainTable, table=True):
    """One message to one member for one campaign. `outcome` NULL: intent committed, nothing noted since."""

    __tablename__ = "send_attempt"

    campaign: str = Field(primary_key=True)
    member_id: bytes = Field(sa_column=Column(LargeBinary(16), primary_key=True, index=True))
    run_id: str = Field(index=True)
    channel: str
    intent_at: datetime = Field(sa_type=UtcDateTime)
    outcome: str | None = Field(default=None)
    outcome_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OptOutLinkRow(MainTable, table=True):
    """One single-use opt-out link: found by the keyed digest of what stands in it."""

    __tablename__ = "opt_out_link"

    digest: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    member_id: bytes = Field(sa_column=Column(LargeBinary(16), nullable=False, index=True))
    purpose: str
    channel: str
    campaign: str
    issued_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
