"""Files that leave: whole or not at all, nobody else's, and never over one that is there.

Two runs to one path write to two drafts (`.<name>.….part`, their owner's alone, left behind only by a kill); who comes
second finds the first one's file.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pdms.disk import bear_name, not_written, taken


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a draft to write and read; on success it is durable and bears its name.

    :raises Conflict: the file exists already. :raises InvalidInput: it cannot be written.
    """
    if os.path.lexists(path):
        raise taken()
    try:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            bear_name(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise not_written(error) from None
