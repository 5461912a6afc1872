"""Sessions on an engine: one transaction each, begun with the write lock unless asked for reading only."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, DateTime, Dialect, Engine, event
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
    "fetcher",
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


def fetcher(connection: Connection) -> Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]:
    """Return `fetch_here` for one connection, for who asks many times within its transaction, and not beyond."""
    if on_postgres(connection):
        return partial(fetch_here, connection)
    place: Any = connection.connection
    execute = place.driver_connection.execute

    def run(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with _QUIET_SQLITE:
            return execute(statement, values).fetchall()  # type: ignore[no-any-return]

    return run


class Reader:
    """Single SELECTs on a hot path, each a transaction by itself. Threads and forked processes may share it.

    Its connections lie outside the pool: taking one from there and giving it back costs more than the statement. On
    SQLite each thread keeps one; on PostgreSQL there are as many as ever asked at once, up to a few that are kept. None
    holds a transaction between two calls, so that nobody waits for it. They are closed with the engine's own.
    """

    __slots__ = ("_engine", "_free", "_mine", "_process")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mine = threading.local()
        self._free: list[Any] = []
        self._process = 0

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one SELECT (with `?` marks)."""
        if on_postgres(self._engine):
            return self._ask(statement, values)
        mine = self._mine
        if getattr(mine, "process", None) != os.getpid():
            place = self._engine.raw_connection()
            mine.raw, mine.place, mine.process = place.driver_connection, place, os.getpid()
            place.detach()
        with _QUIET_SQLITE:
            return mine.raw.execute(statement, values).fetchall()  # type: ignore[no-any-return]

    def _ask(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        from pdms.db.postgres import ask, quiet

        if self._process != os.getpid():  # a parent's connections are not ours to use, nor to close
            self._free, self._process = _closed_with(self._engine), os.getpid()
        free = self._free
        try:
            cursor = free.pop()
        except IndexError:
            with quiet():
                place = self._engine.raw_connection()
                raw: Any = place.driver_connection
                place.detach()
                raw.autocommit = True
                cursor = raw.cursor(binary=True)
        try:
            rows = ask(cursor, statement, values)
        except BaseException:
            cursor.connection.close()
            _close_all(free)  # who lost the server has lost the others as well
            raise
        if len(free) < _KEPT_FREE:
            free.append(cursor)
        else:
            cursor.connection.close()
        return rows


_KEPT_FREE: Final = 8


def _closed_with(engine: Engine) -> list[Any]:
    """Return an empty list of cursors whose connections this process closes when it disposes of the engine."""
    cursors: list[Any] = []
    process = os.getpid()

    def close(_engine: Engine) -> None:
        if os.getpid() == process:
            _close_all(cursors)

    event.listen(engine, "engine_disposed", close)
    return cursors


def _close_all(cursors: list[Any]) -> None:
    while True:
        try:
            cursor = cursors.pop()
        except IndexError:  # the last one may be another thread's by now
            return
        cursor.connection.close()


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
