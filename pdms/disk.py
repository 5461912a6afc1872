"""What a file system owes a finished file: a name that no other bears, and a folder that remembers it."""

import os
from pathlib import Path


def bear_name(draft: Path, path: Path) -> None:
    """Give a finished draft its name. :raises FileExistsError: another file bears it, and keeps it."""
    try:
        os.link(draft, path)  # unlike a rename, it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as a stick's: take the name first, then replace one's own
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        draft.replace(path)
    else:
        draft.unlink()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that names given and taken there survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
