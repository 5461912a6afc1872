"""What a file system owes a finished file: a name that no other bears, and a folder that remembers it."""

import os
from pathlib import Path

from pdms.errors import Conflict, InvalidInput, NotFound, PdmsError


def taken() -> Conflict:
    """Return what is said where a file or folder that is to be made is there already."""
    return Conflict("path: a file or folder of that name exists already", code="FILE_EXISTS")


def missing() -> NotFound:
    """Return what is said where a file that is to be read is not there."""
    return NotFound("file: there is none of that name", code="FILE_MISSING")


def not_written(error: OSError) -> PdmsError:
    """Return what is said of a file that cannot be made."""
    if isinstance(error, FileExistsError):
        return taken()
    return InvalidInput(f"path: cannot be written ({error.strerror})", code="FILE_NOT_WRITTEN")


def not_read(error: OSError) -> PdmsError:
    """Return what is said of a file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return missing()
    return InvalidInput(f"file: cannot be read ({error.strerror})", code="FILE_NOT_READ")


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
