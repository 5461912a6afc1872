"""Walks: rotations that go from member to member, or key to key. What goes on, and how far it came, stands here."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine

from pdms.db import fetch, stored_instant
from pdms.keystore.places import stored


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk that goes on. `position`: row number in the vault up to which all is done."""

    what: str
    started_at: datetime
    position: int
    done: int
    target: str = field(default="", repr=False)
    """Of a rotation of the epoch: where its root lies, or was about to be made."""


def walk_of(engine: Engine, what: str) -> Walk | None:
    """Return the walk of this name that goes on; None: none does."""
    rows = fetch(
        engine,
        "SELECT started_at, position, done, target FROM key_rotation WHERE what = ? AND finished_at IS NULL",
        (what,),
    )
    return Walk(what, stored_instant(rows[0][0]), int(rows[0][1]), int(rows[0][2]), rows[0][3]) if rows else None


def begin_walk(connection: Connection, what: str, *, now: datetime, target: str = "") -> bool:
    """Note that a walk goes on; return False where one towards the same target does already."""
    begun = connection.exec_driver_sql(
        "INSERT INTO key_rotation (what, target, started_at, position, done) VALUES (?, ?, ?, 0, 0)"
        " ON CONFLICT (what) DO UPDATE SET target = excluded.target, started_at = excluded.started_at, position = 0,"
        " done = 0, finished_at = NULL"
        " WHERE key_rotation.finished_at IS NOT NULL OR key_rotation.target <> excluded.target",
        (what, target, stored(now)),
    )
    return begun.rowcount > 0


def advance_walk(engine: Engine, what: str, *, position: int, done: int) -> None:
    """Note how far a walk came; asked for less than is noted, it notes nothing."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE key_rotation SET position = ?, done = done + ?"
            " WHERE what = ? AND finished_at IS NULL AND position < ?",
            (position, done, what, position),
        )


def end_walk(connection: Connection, what: str, *, now: datetime) -> None:
    """Note that a walk came to its end."""
    connection.exec_driver_sql("UPDATE key_rotation SET finished_at = ? WHERE what = ?", (stored(now), what))
