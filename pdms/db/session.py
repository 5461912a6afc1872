"""Sessions on an engine: one transaction each, begun with the write lock unless asked for reading only."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

__all__ = ["Session", "UtcDateTime", "begin", "open_session"]


class UtcDateTime(TypeDecorator[datetime]):
    """A column of aware UTC instants; naive ones are refused on the way in, aware ones come out."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Store UTC without offset (SQLite keeps none)."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive instant was bound")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


def open_session(engine: Engine, *, read_only: bool = False) -> Session:
    """Return a session whose transaction begins on first use; the caller ends it."""
    bound = engine.execution_options(pdms_begin="DEFERRED") if read_only else engine
    return Session(bound, expire_on_commit=False)


@contextmanager
def begin(engine: Engine, *, read_only: bool = False) -> Iterator[Session]:
    """Open a session in one transaction: committed on success, rolled back on any exception."""
    with open_session(engine, read_only=read_only) as session, session.begin():
        yield session
