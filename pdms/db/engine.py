"""SQLAlchemy engines for the embedded databases.

Guarantees: `secure_delete` (a deleted value does not stay in a free page), `temp_store=MEMORY` (no plaintext-adjacent
temporary files), `hide_parameters` (no bound value in an exception), explicit transactions (the driver's own
transaction control is off, so that a writer begins with the write lock and never deadlocks on an upgrade).
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.pool import QueuePool

from pdms.db.damage import told_by
from pdms.errors import Conflict

SqliteEngine = Engine

PRAGMAS = (
    "PRAGMA page_size=8192",  # of a new file: a third less to write than with half of it, once the indexes are large
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # an audit event that was acknowledged survives a power cut
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=30000",
    "PRAGMA cache_size=-24576",
    "PRAGMA wal_autocheckpoint=10000",
    "PRAGMA trusted_schema=OFF",
)


def open_engine(path: Path) -> Engine:
    """Return an engine on the SQLite file at `path`, created with mode 0600 where absent.

    :raises OSError: the folder does not exist or cannot be written.
    """
    if not path.exists():
        path.touch(mode=0o600)
    engine = create_engine(
        f"sqlite:///{path}",
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=28,
        connect_args={"check_same_thread": False, "timeout": 30, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        cursor = connection.cursor()
        try:
            for pragma in PRAGMAS:
                cursor.execute(pragma)
        except sqlite3.Error as error:
            told = told_by(error)
            if told is None:
                raise
            raise told from None
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("pdms_begin", "IMMEDIATE")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "IMMEDIATE" else "BEGIN DEFERRED")

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        told = told_by(context.original_exception)
        if told is not None:
            raise told from None

    return engine


def erases_bytes(engine: Engine) -> bool:
    """Tell whether `checkpoint_and_vacuum` makes deleted bytes vanish; PostgreSQL keeps them in heap, WAL, replicas."""
    return engine.dialect.name == "sqlite"


def checkpoint_and_vacuum(engine: Engine) -> None:
    """Rewrite the file and truncate its WAL, so that bytes deleted before are in neither (design: file-bytes level).

    Waits for other users of the file up to the busy timeout; must be called outside a transaction. Does nothing on
    PostgreSQL, where pdms claims the key level only (`erases_bytes`).

    :raises Conflict: another process kept reading, so that the log could not be cut; nothing may be claimed, try again.
    """
    if not erases_bytes(engine):
        return
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        try:
            _truncate_log(cursor)
            cursor.execute("VACUUM")
            _truncate_log(cursor)
        except sqlite3.OperationalError:
            raise Conflict(
                "database: in use, so that its file could not be rewritten", code="PURGE_INCOMPLETE"
            ) from None
        finally:
            cursor.close()
    finally:
        raw.close()


def _truncate_log(cursor: Any) -> None:
    (busy, *_rest) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise Conflict("database: a reader holds its log", code="PURGE_INCOMPLETE")
