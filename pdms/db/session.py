"""Sessions on an engine: one transaction each, begun with the write lock unless asked for reading only."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

from pdms.db.damage import told_by

__all__ = [
    "Reader",
    "Session",
    "UtcDateTime",
    "begin",
    "fetch",
    "fetch_here",
    "on_postgres",
    "open_session",
    "stored_day",
    "stored_instant",
]


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
    if not on_postgres(engine):
        place = engine.raw_connection()
        try:
            return place.cursor().execute(statement, values).fetchall()  # type: ignore[no-any-return]
        finally:
            place.close()
    from pdms.db.postgres import driver_text, quiet

    with quiet():  # the engine's own translation is not asked where only its pool is used
        raw = engine.raw_connection()
    try:
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


def fetch_here(connection: Connection, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of one SELECT (with `?` marks) within a transaction: the driver's own tuples, at a fifth of the
    cost of SQLAlchemy's result."""
    place: Any = connection.connection
    if not on_postgres(connection):
        with _QUIET_SQLITE:
            return place.driver_connection.execute(statement, values).fetchall()  # type: ignore[no-any-return]
    from pdms.db.postgres import ask

    cursor = place.info.get(_CURSOR)  # lives as long as the driver's connection; making one costs a third of the asking
    if cursor is None:
        cursor = place.info[_CURSOR] = place.driver_connection.cursor(binary=True)
    return ask(cursor, statement, values)


_CURSOR = "pdms.cursor"


class Reader:
    """Single SELECTs on a hot path, each a transaction by itself. Threads and forked processes may share it.

    On SQLite each thread keeps a connection of its own, outside the pool: taking one from the pool and giving it back
    costs more than the statement. It holds no transaction between two calls, so that nobody waits for it.
    """

    __slots__ = ("_engine", "_mine")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mine = threading.local()

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one SELECT (with `?` marks)."""
        if on_postgres(self._engine):
            return fetch(self._engine, statement, values)
        mine = self._mine
        if getattr(mine, "process", None) != os.getpid():
            place = self._engine.raw_connection()
            mine.raw, mine.place, mine.process = place.driver_connection, place, os.getpid()
            place.detach()
        with _QUIET_SQLITE:
            return mine.raw.execute(statement, values).fetchall()  # type: ignore[no-any-return]


class _QuietSqlite:
    """Translates SQLite's errors as an engine's `handle_error` does; a class, since a generator costs a microsecond."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        told = told_by(error)
        if told is not None:
            raise told from None


_QUIET_SQLITE = _QuietSqlite()


def stored_instant(value: str | datetime) -> datetime:
    """Return an instant that driver SQL read: SQLite gives text, PostgreSQL an instant without zone; both are UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.replace(tzinfo=UTC)


def stored_day(value: str | date | None) -> date | None:
    """Return a day that driver SQL read: SQLite gives text, PostgreSQL a date."""
    return date.fromisoformat(value) if isinstance(value, str) else value
