"""Locks of PostgreSQL that end with the transaction; on SQLite each writer has the whole database to itself already.

Guarantee: no lock lives in this process alone, so that it holds against other processes and other hosts as well. Where
rows exist, lock them (`for_update`), several in the order of their keys; the locks named here stand for what has no row
yet. A transaction takes named locks before row locks.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum, unique
from typing import Any, Final

from sqlalchemy import Connection, Engine

from pdms.errors import Conflict

_LONGEST_WAIT: Final = 30.0
_MINE: Final = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1 AND granted"
    " AND pid = pg_backend_pid()"
)
_HOLDERS: Final = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = ? AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()"
)


@unique
class Lock(IntEnum):
    """What is locked by name; advisory locks are one space for the whole database, so each has a number of its own."""

    SEQUENCER = 0x70646D73
    """Who puts events into the tree."""
    FENCE = 0x70646D74
    """Shared by those who mint keys, alone for whoever fences members off."""
    INITIALISE = 0x70646D75
    NUMBERS = 0x70646D7A
    """Shared by whoever draws numbers for rows that are read on from the last number seen (`await_holders`)."""
    SENDING = 0x70646D76
    """Who sends a campaign; held for a whole run (`held_by_one`)."""
    CONSENT_IMPORT = 0x70646D77
    RELEASES = 0x70646D7D
    """Shared by those whose loss of a basis makes releases stale, alone for whoever lets one go live."""
    POLICY = 0x70646D78
    """Who puts a policy in force."""
    OPERATORS = 0x70646D7B
    """Who registers an operator or binds one to an identity."""
    CAMPAIGNS = 0x70646D7C
    """Who saves a segment or drafts a campaign."""
    PACKAGES = 0x70646D85
    """Shared by those whose access packages lie in their folder before they are committed (`await_holders`)."""
    REQUESTS = 0x70646D79
    """Who numbers a subject request."""
    SET_PAGES = 0x70646D81
    """Who brings the packed state of all members up to date; whoever finds it taken does without."""
    EXPORTS = 0x70646D83
    """Who counts people whose data goes abroad."""
    BUDGETS = 0x70646D84
    """Who enters a population that is charged for the first time."""
    REINDEX = 0x70646D7E
    """Shared by those who enter members, alone for whoever puts a new index or suppression key beside the old one."""
    ADOPTING = 0x70646D80
    """Alone for whoever indexes members anew, in a batch of a rotation or while storing them; shared by all others who
    store members. Those lock rows first and enter ids then, these the other way round: side by side they could wait for
    each other."""


def alone(connection: Connection, lock: Lock) -> None:
    """Hold a lock that nobody else holds, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(?)", (int(lock),))


def alone_at_once(connection: Connection, lock: Lock) -> bool:
    """Hold a lock as `alone` does if nobody has it now; return whether it is held."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(?)", (int(lock),)).scalar())


def beside(connection: Connection, lock: Lock) -> None:
    """Hold a lock with others who hold it `beside`, until the transaction ends; whoever wants it `alone` waits."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(?)", (int(lock),))


def await_holders(connection: Connection, lock: Lock) -> None:
    """Wait until every transaction that now holds a lock `beside` has ended; nobody is kept from taking it meanwhile.

    Rows numbered by a sequence may be committed in another order: whoever reads on from the greatest number it sees
    must first await those who drew a smaller one. Queueing for the lock `alone` would hold up all who come after.

    :raises Conflict: DATABASE_BUSY: one of them goes on for more than 30 seconds.
    """
    if connection.dialect.name != "postgresql":
        return
    until = time.monotonic() + _LONGEST_WAIT
    waiting = None
    while True:
        found = {row[0] for row in connection.exec_driver_sql(_HOLDERS, (int(lock),))}
        waiting = found if waiting is None else waiting & found
        if not waiting:
            return
        if time.monotonic() > until:
            raise Conflict("database: in use by others for too long; try again", code="DATABASE_BUSY")
        time.sleep(0.002)


def member_alone(connection: Connection, member_ids: Iterable[bytes]) -> None:
    """Hold members against whoever decides on them or changes what is decided, until the transaction ends.

    Their order is always the same: of two who hold several, one waits. Two members whose ids begin alike share a lock,
    which is no harm. Anything else that is named by random or digested bytes, and has no row yet, is held likewise.
    """
    if connection.dialect.name == "postgresql":
        keys = sorted({int.from_bytes(one[:8], "big", signed=True) for one in member_ids})
        for key in keys:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(?)", (key,))


@contextmanager
def held_by_one(engine: Engine, lock: Lock) -> Iterator[Callable[[], bool] | None]:
    """Hold a lock of the whole database for as long as the block runs (PostgreSQL); None: somebody else holds it.

    It hangs on a connection of its own: however the process ends, the server lets it go. It does so as well when the
    connection drops while the process lives: ask what is given, before whatever rests on the lock, if it still holds.
    However the block ends, the lock is given back before this returns: the next may take it at once.
    """
    import psycopg

    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        connection.rollback()
        raw.autocommit = True
        try:
            taken = bool(raw.execute("SELECT pg_try_advisory_lock(%s)", (int(lock),)).fetchone()[0])

            def still() -> bool:
                try:
                    return raw.execute(_MINE, (int(lock),)).fetchone() is not None
                except psycopg.Error:  # the connection is gone, and the lock with it
                    return False

            try:
                yield still if taken else None
            finally:
                if taken and still():
                    raw.execute("SELECT pg_advisory_unlock(%s)", (int(lock),))
        finally:
            connection.invalidate()  # closes it: with its session the lock ends, whatever became of it


def for_update(connection: Connection, *, of: str = "") -> str:
    """Return what ends a SELECT whose rows stay locked until the transaction ends; `of` names one table of a join."""
    if connection.dialect.name != "postgresql":
        return ""
    return f" FOR UPDATE OF {of}" if of else " FOR UPDATE"
