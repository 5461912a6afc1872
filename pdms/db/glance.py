"""A look at a database from a hot path: driver SQL in one short transaction that only reads, without SQLAlchemy.

Guarantee: it answers those who ask by driver SQL (`session.connection().exec_driver_sql`) as a session does, at a fifth
of the cost; it sees everything that was committed before it began. What its callers keep in `info` is kept for the next
look until anybody commits anything (`PRAGMA data_version`), and is gone then. SQLite only, whose readers wait for
nobody. It writes nothing: the connection refuses to. Deliberately not here: objects, Core statements, PostgreSQL (whose
round trips belong in a thread).
"""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from sqlalchemy import Engine

from pdms.db.session import _QUIET_SQLITE, Session, on_postgres


class Glances:
    """Makes looks at one database. Threads and forked processes may share it; each thread keeps a connection."""

    __slots__ = ("_engine", "_mine")

    def __init__(self, engine: Engine) -> None:
        if on_postgres(engine):
            raise ValueError("only SQLite is looked at in this way")
        self._engine = engine
        self._mine = threading.local()

    def begin(self) -> Session:
        """Begin a look; whoever closes it as a session ends it."""
        mine = self._mine
        if getattr(mine, "process", None) != os.getpid():
            place = self._engine.raw_connection()
            mine.raw, mine.place, mine.process = place.driver_connection, place, os.getpid()
            place.detach()
            mine.version, mine.kept = None, {}
            mine.raw.execute("PRAGMA query_only = ON")
        execute = mine.raw.execute
        try:
            with _QUIET_SQLITE:
                execute("BEGIN")
                (version,) = execute("PRAGMA data_version").fetchone()
        except BaseException:
            _drop(mine)
            raise
        if version != mine.version:
            mine.version, mine.kept = version, {}
        return cast("Session", _Glance(mine, mine.kept))


def _drop(mine: Any) -> None:
    """Let go of a thread's connection, which may hang in its transaction; the next look opens another."""
    mine.process = None
    with suppress(Exception):
        mine.raw.close()


class _Glance:
    """What of a session is asked: `connection`, `info`, `commit`, `close`."""

    __slots__ = ("_mine", "_raw", "info")

    def __init__(self, mine: Any, info: dict[str, Any]) -> None:
        self._mine, self._raw = mine, mine.raw
        self.info = info

    def connection(self) -> "_Glance":
        return self

    def in_transaction(self) -> bool:
        return self._raw is not None

    def exec_driver_sql(self, statement: str, values: Sequence[Any] = ()) -> "_Rows":
        with _QUIET_SQLITE:
            return _Rows(self._raw.execute(statement, values).fetchall())

    def commit(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            try:
                with _QUIET_SQLITE:
                    raw.execute("ROLLBACK")
            except BaseException:
                _drop(self._mine)
                raise


class _Rows(list[tuple[Any, ...]]):
    """Rows as the driver gives them."""

    __slots__ = ()

    def all(self) -> "list[tuple[Any, ...]]":
        return self

    def scalar_one(self) -> Any:
        ((value,),) = self
        return value

    def first(self) -> tuple[Any, ...] | None:
        return self[0] if self else None

    def scalar(self) -> Any:
        return self[0][0] if self else None
