"""What SQLite's codes are told as."""

import sqlite3

import pytest

from pdms.db.damage import told_by


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (sqlite3.SQLITE_FULL, "DISK_FULL"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "DISK_FULL"),  # a database is opened where there is no room for its WAL's index
        (sqlite3.SQLITE_READONLY_DIRECTORY, "READ_ONLY"),
        (sqlite3.SQLITE_IOERR_READ, "DATABASE_BROKEN"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "DATABASE_BUSY"),
    ],
)
def test_a_full_or_locked_disk_is_not_told_as_damage(code: int, told: str) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    found = told_by(error)
    assert found is not None
    assert found.code == told
