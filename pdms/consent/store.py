"""Writing and reading consent rows: the only place that knows how the materialised state is kept.

Guarantee: `consent_current` always equals the fold of `state` over all records, since a record replaces the current
row exactly if it outweighs it, in one statement of the same transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from pdms.consent.state import RANK
from pdms.consent.tables import ConsentCurrent, ConsentRecord, ConsentShape, NoticeVersion, RestrictionCurrent
from pdms.db import Session
from pdms.taxonomy import ConsentState

RECORD: Table = ConsentRecord.__table__  # type: ignore[attr-defined]
CURRENT: Table = ConsentCurrent.__table__  # type: ignore[attr-defined]
SHAPE: Table = ConsentShape.__table__  # type: ignore[attr-defined]
RESTRICTED: Table = RestrictionCurrent.__table__  # type: ignore[attr-defined]
NOTICE: Table = NoticeVersion.__table__  # type: ignore[attr-defined]

CHUNK = 500
"""Bound values in one statement, below every engine's limit."""


def insert_or_update(connection: Connection, table: Table) -> Any:
    """Return an INSERT of this dialect that knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def append(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Append records and bring the materialised state up to date; return their sequence numbers.

    :param rows: columns of `consent_record` without `seq`.
    """
    if not rows:
        return []
    connection = session.connection()
    first = int(connection.execute(select(func.coalesce(func.max(RECORD.c.seq), 0))).scalar_one()) + 1
    numbered = [{**row, "seq": first + place} for place, row in enumerate(rows)]
    connection.execute(RECORD.insert(), numbered)
    shapes = _shapes(connection, numbered)
    insert = insert_or_update(connection, CURRENT)
    new, old = insert.excluded, CURRENT.c
    decided_new, decided_old = new.rank > 0, old.rank > 0
    outweighs = or_(
        and_(decided_new, ~decided_old),
        and_(
            decided_new == decided_old,
            tuple_(new.occurred_at, new.rank, new.seq) > tuple_(old.occurred_at, old.rank, old.seq),
        ),
    )
    statement = insert.on_conflict_do_update(
        index_elements=[old.purpose, old.recipient, old.member_id],
        set_={"shape": new.shape, "occurred_at": new.occurred_at, "rank": new.rank, "seq": new.seq},
        where=outweighs,
    )
    connection.execute(
        statement,
        [
            {
                "purpose": row["purpose"],
                "recipient": row["recipient"],
                "member_id": row["member_id"],
                "shape": shapes[_shape_key(row)],
                "occurred_at": row["occurred_at"],
                "rank": RANK[ConsentState(row["state"])],
                "seq": row["seq"],
            }
            for row in numbered
        ],
    )
    return [row["seq"] for row in numbered]


def _shape_key(row: Mapping[str, Any]) -> tuple[str, str, int, str]:
    return (str(row["state"]), str(row["type"]), row["notice_no"] or 0, row["categories"])


def _shapes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, int, str], int]:
    wanted = {_shape_key(row) for row in rows}
    known = all_shapes(connection)
    missing = sorted(wanted - set(known))
    if missing:
        connection.execute(
            SHAPE.insert(),
            [dict(zip(("state", "type", "notice_no", "categories"), key, strict=True)) for key in missing],
        )
        known = all_shapes(connection)
    return known


def all_shapes(connection: Connection) -> dict[tuple[str, str, int, str], int]:
    """Return the dictionary of shapes."""
    rows = connection.execute(select(SHAPE.c.state, SHAPE.c.type, SHAPE.c.notice_no, SHAPE.c.categories, SHAPE.c.shape))
    return {(state, kind, notice_no, categories): shape for state, kind, notice_no, categories, shape in rows}


def rebuild_current(session: Session) -> int:
    """Make the materialised state anew from the records; return its rows. For repair and for tests."""
    connection = session.connection()
    connection.execute(CURRENT.delete())
    rows = [dict(row) for row in connection.execute(select(RECORD)).mappings()]
    best: dict[tuple[str, str, bytes], Mapping[str, Any]] = {}
    for row in rows:
        key = (row["purpose"], row["recipient"], row["member_id"])
        other = best.get(key)
        if other is None or _weight(row) > _weight(other):
            best[key] = row
    shapes = _shapes(connection, list(best.values()))
    if best:
        connection.execute(
            CURRENT.insert(),
            [
                {
                    "purpose": purpose,
                    "recipient": recipient,
                    "member_id": member,
                    "shape": shapes[_shape_key(row)],
                    "occurred_at": row["occurred_at"],
                    "rank": RANK[ConsentState(row["state"])],
                    "seq": row["seq"],
                }
                for (purpose, recipient, member), row in best.items()
            ],
        )
    return len(best)


def _weight(row: Mapping[str, Any]) -> tuple[Any, ...]:
    rank = RANK[ConsentState(row["state"])]
    return (rank > 0, row["occurred_at"], rank, row["seq"])
