"""One sender at a time: the frequency cap and the closing of what a killed run left rest on it.

Guarantee: the lock ends with its process, however that ends. Where the databases are files, it is a file's and holds on
one machine; on PostgreSQL it is the database's, and holds for every host that works on it. There it ends with its
connection, too: whoever sends asks before each message whether the lock is still theirs.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Engine

from pdms.db import Lock, held_by_one, on_postgres
from pdms.errors import Conflict
from pdms.settings import Home

LOCK = "dispatch.lock"
StillAlone = Callable[[], None]
"""Asked before each message. :raises Conflict: SEND_LOCK_LOST: another process may be sending by now."""


@contextmanager
def sending_alone(home: Home, engine: Engine) -> Iterator[StillAlone]:
    """Hold the right to send from this home. :raises Conflict: somebody else does (code SEND_RUNNING)."""
    if on_postgres(engine):
        with held_by_one(engine, Lock.SENDING) as still:
            if still is None:
                raise _running()
            yield partial(_require, still)
        return
    handle = os.open(home.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _running() from None
        yield lambda: None  # a file's lock ends with the process, not before
    finally:
        os.close(handle)


def _require(still: Callable[[], bool]) -> None:
    if not still():
        raise Conflict("the lock against other senders was lost; run it again", code="SEND_LOCK_LOST")


def _running() -> Conflict:
    return Conflict("another send is running in this home", code="SEND_RUNNING")
