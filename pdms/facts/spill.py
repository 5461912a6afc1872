"""Spill folders below the home: one for each reader, named by its process; wiped at the next start once that is dead.

What readers leave there is pseudonymous at most; a file on its way out over HTTP has a folder of the same kind, and may
hold ids of members and their consents. A process number that is in use again keeps a dead reader's folder until the
next erasure, which wipes all readers' under the exclusive lock, and a file's until that number is free.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdms.settings import Home

_FILES = "file"
"""In the name of a folder for a file under way: no fact is in it, so that an erasure lets whoever writes it finish."""


@contextmanager
def file_under_way(home: Home) -> Iterator[Path]:
    """Give the path of a file, in a folder of its own for this process, that is gone when the context ends."""
    folder = home.spill / f"{os.getpid()}-{_FILES}-{secrets.token_hex(8)}"
    home.spill.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder / "file"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wipe_orphans(home: Home) -> None:
    """Remove what processes left that are no more."""
    if home.spill.is_dir():
        for entry in home.spill.iterdir():
            if not _lives(entry):
                with suppress(OSError):  # another process clears up, too
                    _remove(entry)


def wipe_spill(home: Home) -> None:
    """Remove what was spilled, or raise. Call with the exclusive lock held: then no reader is at work."""
    if home.spill.is_dir():
        for entry in home.spill.iterdir():
            if not (_lives(entry) and entry.name.split("-")[1:2] == [_FILES]):
                _remove(entry)


def _lives(entry: Path) -> bool:
    owner = entry.name.split("-")[0]
    return owner.isdigit() and Path("/proc", owner).exists()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
