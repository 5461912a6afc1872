"""Rows in bulk: `executemany` on SQLite, binary COPY on PostgreSQL, within the caller's transaction.

Guarantee: all rows or none. A row that breaks a constraint is refused without its values being told.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection

from pdms.db.session import on_postgres


def insert_rows(
    connection: Connection, table: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows.

    :param columns: name and PostgreSQL type of each; a value's Python type must be the one that psycopg knows for it.
    """
    if not on_postgres(connection):
        connection.exec_driver_sql(_insert(table, tuple(columns)), rows if isinstance(rows, list) else list(rows))
        return
    from pdms.db.postgres import quiet

    raw: Any = connection.connection.driver_connection
    names = ", ".join(name for name, _ in columns)
    with quiet(), raw.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types([kind for _, kind in columns])
        write = copy.write_row
        for row in rows:
            write(row)


@cache
def _insert(table: str, columns: tuple[tuple[str, str], ...]) -> str:
    names, marks = ", ".join(name for name, _ in columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"
