"""A file system that takes no writing is told as such, and no path with it."""

import errno
import os

from pdms.cli.entry import Face, _guarded
from pdms.clock import SystemClock


def test_a_read_only_file_system_is_told_without_the_file(capsys):
    def work() -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/srv/pdms/rights.ledger")

    assert _guarded(Face(SystemClock(), json=True), work) == 6
    told = capsys.readouterr().err
    assert "READ_ONLY" in told
    assert "rights.ledger" not in told
