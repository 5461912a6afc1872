"""Whether anybody wrote to a database since last asked: for caches of what rarely changes, in every process.

Guarantee: `changed()` is true if any commit, of this or another process, happened since it was last asked, and once
when it is first asked. On SQLite it costs a microsecond (`PRAGMA data_version` of a connection kept for it); elsewhere
it is always true, and the caller asks its own cheap question. It says nothing of what was changed.
"""

import os
import sqlite3
from threading import Lock

from sqlalchemy import Engine


class Watch:
    """Watches one database. Threads may share it; a fork begins anew."""

    __slots__ = ("_connection", "_lock", "_pid", "_seen", "path")

    def __init__(self, engine: Engine) -> None:
        sqlite = engine.dialect.name == "sqlite"
        self.path = engine.url.database if sqlite else None
        self._connection: sqlite3.Connection | None = None
        self._seen: int | None = None
        self._pid = 0
        self._lock = Lock()

    @property
    def cheap(self) -> bool:
        """Whether `changed` can tell, and costs next to nothing."""
        return bool(self.path) and self.path != ":memory:"

    def changed(self) -> bool:
        """Tell whether a commit happened since the last call."""
        if not self.cheap:
            return True
        with self._lock:
            if self._connection is None or self._pid != os.getpid():
                self._pid, self._seen = os.getpid(), None
                self._connection = sqlite3.connect(
                    f"file:{self.path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=30
                )
            now = self._connection.execute("PRAGMA data_version").fetchone()[0]
            before, self._seen = self._seen, now
            return bool(now != before)

    def close(self) -> None:
        """Let go of the connection; the next question opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        self.close()
