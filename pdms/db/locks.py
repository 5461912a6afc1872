"""Locks of PostgreSQL that end with the transaction; on SQLite each writer has the whole database to itself already.

Guarantee: no lock lives in this process alone, so that it holds against other processes and other hosts as well. Where
rows exist, lock them (`for_update`), several in the order of their keys; the locks named here stand for what has no row
yet. A transaction takes named locks before row locks.
"""

from enum import IntEnum

from sqlalchemy import Connection


class Lock(IntEnum):
    """What is locked by name; advisory locks are one space for the whole database, so each has a number of its own."""

    SEQUENCER = 0x70646D73
    """Who puts events into the tree."""
    FENCE = 0x70646D74
    """Shared by those who mint keys, alone for whoever fences members off."""
    INITIALISE = 0x70646D75


def alone(connection: Connection, lock: Lock) -> None:
    """Hold a lock that nobody else holds, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(?)", (int(lock),))


def beside(connection: Connection, lock: Lock) -> None:
    """Hold a lock with others who hold it `beside`, until the transaction ends; whoever wants it `alone` waits."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(?)", (int(lock),))


def for_update(connection: Connection, *, of: str = "") -> str:
    """Return what ends a SELECT whose rows stay locked until the transaction ends; `of` names one table of a join."""
    if connection.dialect.name != "postgresql":
        return ""
    return f" FOR UPDATE OF {of}" if of else " FOR UPDATE"
