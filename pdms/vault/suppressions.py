"""Suppression entries: by what an erased member would be known again, under nested keys.

Guarantees: an entry says nothing without every key around it; rotating nests one more key, since there is no plaintext
to begin anew from, and look-ups try every depth that is still stored; an entry can be made from index digests alone,
where a restore finds a member whose key is gone already.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from pdms.db import on_postgres, one_of, stored_instant
from pdms.unit_of_work import UnitOfWork
from pdms.vault.rows import CHUNK, sqlite_instant
from pdms.vault.sealing import Indexes

_INSERT = (
    "INSERT INTO suppression (digest, since, key_version, by_index) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (digest) DO UPDATE SET since = CASE WHEN excluded.since > suppression.since"
    " THEN excluded.since ELSE suppression.since END"
)


def add(uow: UnitOfWork, indexes: Indexes, digests: Sequence[bytes], *, by_index: bool = False) -> None:
    """Add entries made at the newest depth; one that is there already counts from now."""
    since, version = sqlite_instant(uow.now), indexes.suppression_version
    uow.session.connection().exec_driver_sql(
        _INSERT, [(digest, since, version, by_index) for digest in sorted(set(digests))]
    )


def least_depth(connection: Connection) -> int | None:
    """Return how many suppression keys are nested around an entry at least; None: there is no entry."""
    least = connection.exec_driver_sql("SELECT min(key_version) FROM suppression").scalar()
    return None if least is None else int(least)


def known(
    connection: Connection, indexes: Indexes, columns: Mapping[str, tuple[Sequence[int], Sequence[str]]], *, system: str
) -> list[tuple[int, datetime]]:
    """Return (row, since when) of rows that speak of an erased member; a row may occur several times.

    :param columns: kind of index → (rows, their normalised values), none empty.
    """
    least = least_depth(connection)
    if least is None:
        return []
    found = connection.exec_driver_sql("SELECT 1 FROM suppression WHERE by_index LIMIT 1").first()
    known_by: dict[bytes, list[int]] = {}
    for kind, (rows, values) in columns.items():
        for digest, place in indexes.suppressions_looked_up(
            kind, values, system=system, least=least, by_index=found is not None
        ):
            known_by.setdefault(digest, []).append(rows[place])
    answers: list[tuple[int, datetime]] = []
    ordered = sorted(known_by)
    # On PostgreSQL in one statement: an entry that is nested between two of them would be in neither.
    size = max(1, len(ordered)) if on_postgres(connection) else CHUNK
    for start in range(0, len(ordered), size):
        condition, bound = one_of(connection, ordered[start : start + size], width=32)
        sql = f"SELECT digest, since FROM suppression WHERE digest {condition}"
        for digest, since in connection.exec_driver_sql(sql, bound).all():
            answers += [(row, stored_instant(since)) for row in known_by[bytes(digest)]]
    return answers


def count(uow: UnitOfWork) -> int:
    """Count all entries."""
    return int(uow.session.connection().exec_driver_sql("SELECT count(*) FROM suppression").scalar_one())


def shallow(uow: UnitOfWork) -> int:
    """Count entries around which a newer suppression key is not nested yet."""
    uow.keys.refresh()
    version = Indexes(uow.keys, uow.policy).suppression_version
    sql = "SELECT count(*) FROM suppression WHERE key_version < ?"
    return int(uow.session.connection().exec_driver_sql(sql, (version,)).scalar_one())


def nest_some(uow: UnitOfWork, *, batch: int) -> int:
    """Nest the newer keys around up to `batch` entries; return how many. What is left to do stands in the rows."""
    connection = uow.session.connection()  # the write lock first: who writes entries has seen the newest key
    uow.keys.refresh()
    indexes = Indexes(uow.keys, uow.policy)
    version = indexes.suppression_version
    rows = connection.exec_driver_sql(
        "SELECT digest, since, key_version, by_index FROM suppression WHERE key_version < ? ORDER BY digest LIMIT ?",
        (version, batch),
    ).all()
    if not rows:
        return 0
    connection.exec_driver_sql("DELETE FROM suppression WHERE digest = ?", [(bytes(row[0]),) for row in rows])
    anew = [
        (indexes.nest([bytes(digest)], depth=depth)[0], since, version, bool(by_index))
        for digest, since, depth, by_index in rows
    ]
    connection.exec_driver_sql(_INSERT, sorted(anew))
    return len(rows)
