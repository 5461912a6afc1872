"""A consistent copy of a database while others write to it (SQLite's online backup).

Guarantee: the copy is one committed state of the database, as of one instant during the call; writers are not held up.
The copy is not durable (no fsync): it is for reading once and throwing away.
"""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Engine

from pdms.errors import Conflict


def copy_database(engine: Engine, path: Path) -> None:
    """Write a copy of the engine's database to a new file of mode 0600.

    :raises FileExistsError: `path` exists. :raises FileNotFoundError: its folder is gone.
    :raises Conflict: COPY_FAILED: no room, or the folder was removed meanwhile.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    raw = engine.raw_connection()
    try:
        source = raw.driver_connection
        if not isinstance(source, sqlite3.Connection):
            raise TypeError("only an SQLite database is copied as a file")
        target = sqlite3.connect(path, isolation_level=None)
        try:
            # A rollback journal would be a second copy of pages, to be wiped too; a copy that failed is thrown away.
            target.execute("PRAGMA journal_mode=OFF")
            target.execute("PRAGMA synchronous=OFF")
            source.backup(target, pages=-1)  # in one read transaction: a stepwise one begins anew after each write
        finally:
            target.close()
    except sqlite3.OperationalError:
        raise Conflict("database: it could not be copied", code="COPY_FAILED") from None
    finally:
        raw.close()
