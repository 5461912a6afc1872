"""Logs of changed members: what keeps a copy of their state learns from them whose state to read anew.

Guarantees: a mark is committed with the change it tells of; each mark is a row of its own, so that writers never wait
for each other; taking marks deletes exactly those that the taker can see, and a change still uncommitted then keeps
its mark. A change of very many members at once is one mark that stands for everybody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from pdms.db.bulk import insert_rows, one_of

MANY: Final = 4096
"""Members in one change beyond which it is marked as everybody's: reading all anew is cheaper than reading each."""
_COLUMNS: Final = (("member_id", "bytea"),)
_IDS: Final = 500
_ID_WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Changes:
    """Whose state changed."""

    members: frozenset[bytes] = field(repr=False)
    everybody: bool


def mark(connection: Connection, table: str, member_ids: Collection[bytes] | None) -> None:
    """Note in the log `table` that the state of these members changes in this transaction; None: of everybody."""
    if member_ids is None or len(member_ids) > MANY:
        connection.exec_driver_sql(f"INSERT INTO {table} (member_id) VALUES (NULL)")
    elif len(member_ids) == 1:
        connection.exec_driver_sql(f"INSERT INTO {table} (member_id) VALUES (?)", tuple(member_ids))
    elif member_ids:
        insert_rows(connection, table, _COLUMNS, [(one,) for one in member_ids])


def seen(connection: Connection, table: str) -> Changes:
    """Return what is marked."""
    return _changes(connection.exec_driver_sql(f"SELECT DISTINCT member_id FROM {table}").all())


def take(connection: Connection, table: str) -> Changes:
    """Return what is marked and delete these marks, in this transaction."""
    return _changes(connection.exec_driver_sql(f"DELETE FROM {table} RETURNING member_id").all())


def _changes(rows: Sequence[Any]) -> Changes:
    found = {row[0] for row in rows}
    return Changes(frozenset(one for one in found if one is not None), None in found)


@dataclass(frozen=True, slots=True)
class Span:
    """Members whose ids lie from `low` (included) to `high` (not included; None: to the end)."""

    low: bytes = field(repr=False)
    high: bytes | None = field(repr=False)


Some = Span | tuple[bytes, ...]
"""A span of ids, or the ids themselves."""


def rows_of(connection: Connection, select: str, some: Some, *bound: Any) -> list[Any]:
    """Return the driver's own tuples for some members: for millions of rows, where row objects cost as much as reading.

    :param select: a SELECT that ends in a condition on others than members (`WHERE purpose = ?`, `WHERE true`).
    """
    if isinstance(some, Span):
        high = "" if some.high is None else " AND member_id < ?"
        ends = (some.low,) if some.high is None else (some.low, some.high)
        return raw_rows(connection, f"{select} AND member_id >= ?{high}", (*bound, *ends))
    found: list[Any] = []
    for at in range(0, len(some), _IDS):
        among, ids = one_of(connection, some[at : at + _IDS], width=_ID_WIDTH)
        found += raw_rows(connection, f"{select} AND member_id {among}", (*bound, *ids))
    return found


def raw_rows(connection: Connection, sql: str, bound: Sequence[Any] = ()) -> list[Any]:
    """Return all rows as the driver's own tuples."""
    result = connection.exec_driver_sql(sql, tuple(bound))
    found = list(result.cursor.fetchall()) if result.cursor is not None else []
    result.close()
    return found
