"""The one table of views: which releases exist, in which state. Rows of a release lie in its file, not here."""

from datetime import datetime

from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import AnonTable


class Release(AnonTable, table=True):
    """One release of one view."""

    __tablename__ = "release"

    release_id: str = Field(primary_key=True)
    view: str = Field(index=True)
    purpose: str
    state: str
    rows: int
    classes: int
    k: int
    policy_digest: str
    data_sha256: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str = ""
    """Code of why it is stale or withdrawn."""
