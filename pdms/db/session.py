"""Sessions on an engine: one transaction each, begun with the write lock unless asked for reading only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

__all__ = ["Session", "UtcDateTime", "begin", "fetch", "on_postgres", "open_session", "stored_day", "stored_instant"]


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


def open_session(engine: Engine, *, read_only: bool = False, newest: bool = False) -> Session:
    """Return a session whose transaction begins on first use; the caller ends it.

    :param newest: of a reader on PostgreSQL: each statement sees what is committed by then, not one state for all.
    """
    bound = engine.execution_options(pdms_begin="NEWEST" if newest else "DEFERRED") if read_only else engine
    return Session(bound, expire_on_commit=False)


@contextmanager
def begin(engine: Engine, *, read_only: bool = False, newest: bool = False) -> Iterator[Session]:
    """Open a session in one transaction: committed on success, rolled back on any exception."""
    with open_session(engine, read_only=read_only, newest=newest) as session, session.begin():
        yield session


def on_postgres(connection: Connection | Engine) -> bool:
    """Tell which of the two databases this is."""
    return connection.dialect.name == "postgresql"


def fetch(engine: Engine, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of one SELECT (with `?` marks) that is a transaction by itself.

    The driver's connection costs 9 microseconds, SQLAlchemy's 50, and a look-up by phone number pays it each time.
    """
    raw = engine.raw_connection()
    try:
        if not on_postgres(engine):
            return raw.cursor().execute(statement, values).fetchall()  # type: ignore[no-any-return]
        from pdms.db.postgres import driver_text, quiet

        connection: Any = raw.driver_connection
        connection.autocommit = True
        try:
            with quiet():
                return connection.execute(driver_text(statement), values, binary=True).fetchall()  # type: ignore[no-any-return]
        finally:
            if connection.closed:
                raw.invalidate()
            else:
                connection.autocommit = False
    finally:
        raw.close()


def stored_instant(value: str | datetime) -> datetime:
    """Return an instant that driver SQL read: SQLite gives text, PostgreSQL an instant without zone; both are UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.replace(tzinfo=UTC)


def stored_day(value: str | date | None) -> date | None:
    """Return a day that driver SQL read: SQLite gives text, PostgreSQL a date."""
    return date.fromisoformat(value) if isinstance(value, str) else value
