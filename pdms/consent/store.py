"""Writing and reading consent rows: the only place that knows how the materialised state is kept.

Guarantee: `consent_current` always equals the fold of `state` over all records, since a record replaces the current
row exactly if it outweighs it, in one statement of the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from pdms.consent.state import RANK
from pdms.consent.tables import ConsentCurrent, ConsentRecord, ConsentShape, NoticeVersion, RestrictionCurrent
from pdms.db import Session, draw, insert_rows, mark, on_postgres
from pdms.taxonomy import ConsentState

RECORD: Table = ConsentRecord.__table__  # type: ignore[attr-defined] # SQLModel makes it
CURRENT: Table = ConsentCurrent.__table__  # type: ignore[attr-defined] # SQLModel makes it
SHAPE: Table = ConsentShape.__table__  # type: ignore[attr-defined] # SQLModel makes it
RESTRICTED: Table = RestrictionCurrent.__table__  # type: ignore[attr-defined] # SQLModel makes it
NOTICE: Table = NoticeVersion.__table__  # type: ignore[attr-defined] # SQLModel makes it

CHANGED: Final = "consent_change"
"""Log of members about whom something changed here (`db.changes`)."""
CHUNK = 500
"""Bound values in one statement, below every engine's limit."""


def insert_or_update(connection: Connection, table: Table) -> Any:
    """Return an INSERT of this dialect that knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


COLUMNS = (
    "seq", "record_id", "member_id", "purpose", "recipient", "state", "type", "occurred_at", "known_at", "notice_no",
    "categories", "channel", "source", "evidence", "guardian", "actor", "policy_digest", "import_key",
)  # fmt: skip
_TYPES: Final = {
    "seq": "int8", "record_id": "bytea", "member_id": "bytea", "occurred_at": "timestamp", "known_at": "timestamp",
    "notice_no": "int4", "import_key": "bytea",
}  # fmt: skip
_RECORD_COLUMNS: Final = tuple((name, _TYPES.get(name, "text")) for name in COLUMNS)
_OUTWEIGH = """
    INSERT INTO consent_current (purpose, recipient, member_id, shape, occurred_at, rank, seq)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (purpose, recipient, member_id) DO UPDATE SET
        shape = excluded.shape, occurred_at = excluded.occurred_at, rank = excluded.rank, seq = excluded.seq
    WHERE (excluded.rank > 0, excluded.occurred_at, excluded.rank, excluded.seq)
        > (consent_current.rank > 0, consent_current.occurred_at, consent_current.rank, consent_current.seq)"""
"""`state.weight`, said in SQL."""


def stored(instant: datetime) -> str:
    """Return an instant as `UtcDateTime` stores it on SQLite, and PostgreSQL reads it: UTC text that sorts as time."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def append(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Append records and bring the materialised state up to date; return their sequence numbers.

    :param rows: columns of `consent_record` without `seq`; instants aware. Plain SQL: a bulk import runs through here.
    """
    if not rows:
        return []
    connection = session.connection()
    numbers = draw(connection, "consent_record", len(rows))
    shapes = _shapes(connection, rows)
    instants: dict[datetime, Any] = {}
    for instant in {instant for row in rows for instant in (row["occurred_at"], row["known_at"])}:
        plain = on_postgres(connection)
        instants[instant] = instant.astimezone(UTC).replace(tzinfo=None) if plain else stored(instant)
    records, currents = [], []
    for seq, row in zip(numbers, rows, strict=True):
        occurred_at = instants[row["occurred_at"]]
        values = {**row, "seq": seq, "occurred_at": occurred_at, "known_at": instants[row["known_at"]]}
        records.append(tuple([values[name] for name in COLUMNS]))
        currents.append(
            (
                row["purpose"],
                row["recipient"],
                row["member_id"],
                shapes[_shape_key(row)],
                occurred_at,
                RANK[ConsentState(row["state"])],
                seq,
            )
        )
    insert_rows(connection, "consent_record", _RECORD_COLUMNS, records)
    # In the order of their keys: of two who write the same rows one waits, and neither waits for the other.
    connection.exec_driver_sql(_OUTWEIGH, sorted(currents, key=lambda one: (one[0], one[1], one[2], one[6])))
    mark(connection, CHANGED, {row["member_id"] for row in rows})
    return numbers


def _shape_key(row: Mapping[str, Any]) -> tuple[str, str, int, str]:
    return (str(row["state"]), str(row["type"]), row["notice_no"] or 0, row["categories"])


def _shapes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, int, str], int]:
    wanted = {_shape_key(row) for row in rows}
    known = all_shapes(connection)
    missing = sorted(wanted - set(known))
    if missing:
        connection.execute(
            insert_or_update(connection, SHAPE).on_conflict_do_nothing(),  # another writer may have been first
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
    mark(connection, CHANGED, None)
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
