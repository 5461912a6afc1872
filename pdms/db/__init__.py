"""Engines and sessions. SQLite is embedded and careful: deleted bytes are overwritten, temp data stays in memory."""

from pdms.db.engine import SqliteEngine, checkpoint_and_vacuum, open_engine
from pdms.db.session import Session, UtcDateTime, begin, open_session

__all__ = ["Session", "SqliteEngine", "UtcDateTime", "begin", "checkpoint_and_vacuum", "open_engine", "open_session"]
