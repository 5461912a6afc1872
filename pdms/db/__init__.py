"""Engines and sessions: SQLite in files, embedded and careful, and PostgreSQL for production; one text for both."""

from pdms.db.bulk import Column, Same, cut, insert_columns, insert_rows, one_of
from pdms.db.changes import Changes, Some, Span, mark, raw_rows, rows_of, seen, take
from pdms.db.engine import SqliteEngine, checkpoint_and_vacuum, erases_bytes, open_engine
from pdms.db.glance import Glances
from pdms.db.locks import Lock, alone, alone_at_once, await_holders, beside, for_update, held_by_one, member_alone
from pdms.db.numbers import draw, greatest, mark_drawing, settled, spend
from pdms.db.session import (
    Reader,
    Session,
    UtcDateTime,
    begin,
    fetch,
    fetch_here,
    fetcher,
    on_postgres,
    open_session,
    stored_day,
    stored_instant,
)
from pdms.db.watch import Watch

__all__ = [
    "Changes",
    "Column",
    "Glances",
    "Lock",
    "Reader",
    "Same",
    "Session",
    "Some",
    "Span",
    "SqliteEngine",
    "UtcDateTime",
    "Watch",
    "alone",
    "alone_at_once",
    "await_holders",
    "begin",
    "beside",
    "checkpoint_and_vacuum",
    "cut",
    "draw",
    "erases_bytes",
    "fetch",
    "fetch_here",
    "fetcher",
    "for_update",
    "greatest",
    "held_by_one",
    "insert_columns",
    "insert_rows",
    "mark",
    "mark_drawing",
    "member_alone",
    "on_postgres",
    "one_of",
    "open_engine",
    "open_session",
    "raw_rows",
    "rows_of",
    "seen",
    "settled",
    "spend",
    "stored_day",
    "stored_instant",
    "take",
]
