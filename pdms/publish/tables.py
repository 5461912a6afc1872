"""Publications as the officer sees them: on the identified side, since their numbers are exact."""

from datetime import datetime

from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class Publication(MainTable, table=True):
    """One attempt to publish a view, from its intent to its outcome."""

    __tablename__ = "publication"

    number: int | None = Field(default=None, primary_key=True)
    """In the order of their intents; instants may be equal."""
    release_id: str = Field(unique=True)
    view: str = Field(index=True)
    purpose: str
    state: str = Field(index=True)
    """A `publish.service.PublicationState`."""
    overtaken: bool = False
    """A basis was lost after the eligible set was taken: take it again, or once published call the release stale."""
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    manifest: str | None = None
    """The exact manifest as signed JSON, once published."""
