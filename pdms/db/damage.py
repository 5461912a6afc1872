"""What a database error says about the file: damaged, in use, or no room left. Anything else is a fault of ours.

Only the driver's own code is read, never its message's values; parameters are hidden already.
"""

import sqlite3

from pdms.errors import Conflict, IntegrityBroken, PdmsError

_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PRIMARY = 0xFF
"""The low byte of an extended result code (sqlite.org/rescode.html)."""


def told_by(error: BaseException | None) -> PdmsError | None:
    """Return the error of ours that a driver's error stands for; None where it says nothing about the file."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & _PRIMARY if code is not None else None
    if primary in _DAMAGED:
        return IntegrityBroken("database: its file is damaged or cannot be opened", code="DATABASE_BROKEN")
    if primary == sqlite3.SQLITE_ERROR and str(error).startswith("no such table"):
        return IntegrityBroken("database: a table is missing, it is not as init made it", code="DATABASE_BROKEN")
    if primary in _IN_USE:
        return Conflict("database: in use by others for too long; try again", code="DATABASE_BUSY")
    if primary == sqlite3.SQLITE_FULL:
        return Conflict("database: no room left on the disk", code="DISK_FULL")
    return None
