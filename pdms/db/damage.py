"""What a database error says about the database: damaged, in use, out of reach, no room. Else the fault is ours.

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


_BUSY_STATES = {"40001", "40P01", "55P03", "55006", "57014", "53200", "53300", "53400"}
"""Serialisation, deadlock, lock timeout, object in use, cancelled, out of memory or connections."""
_UNREACHABLE_STATES = {"57P01", "57P02", "57P03", "57P05"}


def told_by(error: BaseException | None) -> PdmsError | None:
    """Return the error of ours that a driver's error stands for; None where it says nothing about the database."""
    if isinstance(error, sqlite3.Error):
        return _told_by_sqlite(error)
    if error is not None and type(error).__module__.partition(".")[0] == "psycopg":  # without importing it
        return _told_by_postgres(error)
    return None


def _told_by_postgres(error: BaseException) -> PdmsError | None:
    state: str | None = getattr(error, "sqlstate", None)
    if state is None:  # no answer from the server: never reached it, or lost it
        if type(error).__name__ not in ("OperationalError", "ConnectionTimeout"):
            return None
        return Conflict(
            "database: the server cannot be reached, or does not let this login in", code="DATABASE_UNREACHABLE"
        )
    if state in _BUSY_STATES:
        return Conflict("database: in use by others for too long; try again", code="DATABASE_BUSY")
    if state in _UNREACHABLE_STATES or state.startswith("08"):
        return Conflict("database: the server cannot be reached", code="DATABASE_UNREACHABLE")
    if state == "53100":
        return Conflict("database: no room left on the disk", code="DISK_FULL")
    if state == "42501":
        return Conflict("database: its role may not do this; see the roles in docs/operations.md", code="DATABASE_ROLE")
    if state in ("42P01", "3F000"):
        return IntegrityBroken("database: a table is missing, it is not as init made it", code="DATABASE_BROKEN")
    if state.startswith(("XX", "58")):
        return IntegrityBroken("database: it is damaged or cannot be read", code="DATABASE_BROKEN")
    return None


def _told_by_sqlite(error: sqlite3.Error) -> PdmsError | None:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & _PRIMARY if code is not None else None
    if primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the latter as a WAL is opened
        return Conflict("database: no room left on the disk", code="DISK_FULL")
    if primary == sqlite3.SQLITE_READONLY:
        return Conflict("database: its folder or file may not be written here", code="READ_ONLY")
    if primary in _DAMAGED:
        return IntegrityBroken("database: its file is damaged or cannot be opened", code="DATABASE_BROKEN")
    if primary == sqlite3.SQLITE_ERROR and str(error).startswith("no such table"):
        return IntegrityBroken("database: a table is missing, it is not as init made it", code="DATABASE_BROKEN")
    if primary in _IN_USE:
        return Conflict("database: in use by others for too long; try again", code="DATABASE_BUSY")
    return None
