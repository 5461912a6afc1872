"""Campaigns and their noised counts, in `anon.db`. No exact count and nobody's id ever lies here."""

from datetime import datetime

from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import AnonTable


class CampaignRow(AnonTable, table=True):
    """One campaign; `document` is its canonical JSON, `rule_digest` the segment's rule as it was when drafted."""

    __tablename__ = "campaign"

    name: str = Field(primary_key=True)
    segment: str
    view: str
    purpose: str
    channel: str
    document: str
    rule_digest: str
    state: str
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)


class CampaignCountRow(AnonTable, table=True):
    """One noised count of a campaign: `value`, or NULL where it is below `below`."""

    __tablename__ = "campaign_counts"

    campaign: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    value: int | None = None
    below: int | None = None
    low: int | None = None
    """Where the exact count lies with 95 %: from `low` to `high`."""
    high: int | None = None
    measured_at: datetime = Field(sa_type=UtcDateTime)
