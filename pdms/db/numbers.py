"""Running numbers of rows, and how far a reader could see: what was written before it, what after.

Guarantee: of a table whose writers draw here, every row up to `settled` was committed or given up before the next
statement of the asker, whichever transactions are in the middle of writing; no row beyond `greatest` was seen by a
statement before it. On SQLite a writer is alone, and both are the same. It waits for nobody: each writer on PostgreSQL
marks, by an advisory lock that names the number, where it began to draw. No number is given twice: on SQLite, where the
next one follows the greatest that is there, whoever deletes numbered rows first notes how far they had come (`spend`).
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from sqlalchemy import Connection

from pdms.db.locks import Lock, beside
from pdms.db.session import fetch_here, on_postgres

_WRAP: Final = 1 << 31
"""The second key of an advisory lock has 31 bits without its sign."""
_LAST: Final = "CASE WHEN is_called THEN last_value ELSE 0 END"
_HELD: Final = (
    "SELECT classid::bigint, objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()"
)


def draw(connection: Connection, table: str, count: int = 1) -> list[int]:
    """Return fresh numbers for rows of a table (its column `seq`): of its sequence, else those that come next."""
    if on_postgres(connection):
        mark_drawing(connection, table)
        drawn = fetch_here(connection, f"SELECT nextval('{table}_seq_seq') FROM generate_series(1, ?)", (count,))
        return [int(number) for (number,) in drawn]
    (last,) = greatest(connection, [(table, "seq")])
    return list(range(last + 1, last + 1 + count))


def mark_drawing(connection: Connection, table: str) -> None:
    """Note, until the transaction ends, from which number on it may draw; for whoever lets the table draw by itself."""
    if not on_postgres(connection):
        return
    beside(connection, Lock.NUMBERS)
    fetch_here(
        connection,
        f"SELECT pg_advisory_xact_lock_shared(?::int, (({_LAST}) % {_WRAP})::int) FROM {table}_seq_seq",
        (_class_of(table),),
    )


def settled(connection: Connection, tables: Sequence[str]) -> tuple[int, ...] | None:
    """Return, for each table, the number up to which nothing is being written any more; ask before reading.

    None on SQLite: whoever writes there is alone, and `greatest` says it all.
    """
    if not on_postgres(connection):
        return None
    drawn = " UNION ALL ".join(f"SELECT {place}, {_LAST} FROM {name}_seq_seq" for place, name in enumerate(tables))
    last = {place: int(number) for place, number in fetch_here(connection, drawn)}
    held = fetch_here(connection, _HELD)  # after the sequences: who takes a mark later draws greater numbers than these
    found = []
    for place, name in enumerate(tables):
        began = [last[place] - (last[place] - int(low)) % _WRAP for kind, low in held if kind == _class_of(name)]
        found.append(min([last[place], *began]))
    return tuple(found)


def greatest(connection: Connection, columns: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """Return the greatest number in each (table, column) that is visible now, or was when rows were deleted; else 0."""
    most = "GREATEST" if on_postgres(connection) else "MAX"
    whole = ", ".join(
        f"{most}(COALESCE((SELECT MAX({column}) FROM {table}), 0),"
        f" COALESCE((SELECT number FROM spent_number WHERE name = '{table}'), 0))"
        for table, column in columns
    )
    return tuple(int(number) for number in fetch_here(connection, f"SELECT {whole}")[0])


def spend(connection: Connection, table: str, column: str) -> None:
    """Note how far a table's numbers have come, before rows that bear them are deleted."""
    connection.exec_driver_sql(
        f"INSERT INTO spent_number (name, number) SELECT '{table}', MAX({column}) FROM {table}"
        f" WHERE true HAVING MAX({column}) IS NOT NULL ON CONFLICT (name) DO UPDATE SET number = excluded.number"
        " WHERE spent_number.number < excluded.number"
    )


def _class_of(table: str) -> int:
    return crc32(table.encode()) % _WRAP
