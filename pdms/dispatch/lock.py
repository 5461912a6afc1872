"""One sender at a time: the frequency cap and the closing of what a killed run left rest on it.

Guarantee: the lock ends with its process, however that ends. It holds on one machine; several need a lock of their
shared database.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pdms.errors import Conflict
from pdms.settings import Home

LOCK = "dispatch.lock"


@contextmanager
def sending_alone(home: Home) -> Iterator[None]:
    """Hold the right to send from this home. :raises Conflict: somebody else does (code SEND_RUNNING)."""
    handle = os.open(home.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another send is running in this home", code="SEND_RUNNING") from None
        yield
    finally:
        os.close(handle)
