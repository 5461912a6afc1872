"""The shape of an SQLite database: tables, columns, keys and indexes, without the wording or order they were made in.

Two databases of one shape hold the same rows under the same rules. It tells what a comparison of types alone does not:
tables without row numbers, AUTOINCREMENT, the condition of a partial index.
"""

import re
from typing import Any

from sqlalchemy import Connection

Shape = dict[str, Any]
"""Table name → its columns, keys and indexes."""


def shape(connection: Connection) -> Shape:
    """Return the shape of everything but the migration state."""
    found: Shape = {}
    listed = connection.exec_driver_sql("SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'")
    for name, kind, without_row_numbers, strict in listed.all():
        if name.startswith("sqlite_") or name == "alembic_version":
            continue
        sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).scalar_one()
        found[name] = {
            "kind": (kind, without_row_numbers, strict, "AUTOINCREMENT" in sql.upper(), _checks(sql)),
            "columns": {column[0]: tuple(column[1:]) for column in _columns(connection, name)},
            "references": sorted(_rows(connection, "foreign_key_list", '"from", "table", "to", on_delete', name)),
            "indexes": sorted(_indexes(connection, name)),
        }
    return found


def _columns(connection: Connection, table: str) -> list[Any]:
    return _rows(connection, "table_xinfo", 'name, type, "notnull", dflt_value, pk, hidden', table)


def _indexes(connection: Connection, table: str) -> list[Any]:
    listed = _rows(connection, "index_list", 'name, "unique", origin, partial', table)
    return [_index(connection, *index) for index in listed]


def _index(connection: Connection, name: str, unique: int, origin: str, partial: int) -> Any:
    members = _rows(connection, "index_xinfo", 'name, "desc", coll, key', name)
    sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).scalar_one_or_none()
    on, condition, *_ = [*re.split(r"\bWHERE\b", re.sub(r"\s+", " ", sql or ""), flags=re.IGNORECASE), ""]
    keyed = tuple(tuple(member) for member in members if member[3])
    # A member without a name is an expression: its text is all that tells it.
    expressions = on.partition("(")[2].strip() if any(member[0] is None for member in keyed) else ""
    # SQLite itself names the index of a UNIQUE or PRIMARY KEY, by their order in the table.
    return (name if origin == "c" else "", unique, origin, keyed, expressions, condition.strip() if partial else "")


def _checks(sql: str) -> int:
    return len(re.findall(r"\bCHECK\b", sql, flags=re.IGNORECASE))


def _rows(connection: Connection, pragma: str, columns: str, name: str) -> list[Any]:
    found = connection.exec_driver_sql(f"SELECT {columns} FROM pragma_{pragma}(?)", (name,)).all()
    return [tuple(row) for row in found]
