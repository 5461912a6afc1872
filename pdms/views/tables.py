"""Tables of views: which releases exist, in which state, and who took copies. Rows of a release lie in its file."""

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


class ReleaseCopy(AnonTable, table=True):
    """What a consumer holds of a release: its rows were read or exported."""

    __tablename__ = "release_copy"

    release_id: str = Field(primary_key=True)
    consumer: str = Field(primary_key=True)
    """Role of whoever took it; an operator without one stands under their id."""
    taken_at: datetime = Field(sa_type=UtcDateTime)
    """When last."""
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the consumer acknowledged that nothing of it is left; None while something may be."""
