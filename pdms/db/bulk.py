"""Many rows at once: statements of many rows on SQLite, binary COPY on PostgreSQL, within the caller's transaction.

Guarantee: all rows or none. A row that breaks a constraint is refused without its values being told. COPY's bytes are
made here, column by column: a call for each row costs more than storing it.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from itertools import chain, repeat
from typing import Any, Final

from sqlalchemy import Connection

from pdms.db.session import on_postgres

_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_PIECE: Final = 1 << 20
_ROWS_A_STATEMENT: Final = 32
"""On SQLite: starting a statement costs as much as a third of storing a short row; more at once gain nothing."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_length = struct.Struct(">i").pack
_int4 = struct.Struct(">ii").pack
_int8 = struct.Struct(">iq").pack


@dataclass(frozen=True, slots=True)
class Same:
    """One value for all rows of a column."""

    value: Any = field(repr=False)


Column = tuple[str, str, "Sequence[Any] | Same"]
"""Name, PostgreSQL type (int4, int8, bytea, text, date, timestamp), values. Dates: `YYYY-MM-DD`; timestamps: aware."""


def insert_columns(connection: Connection, table: str, columns: Sequence[Column], *, unless: str = "") -> int:
    """Insert rows that are given column by column, all of one length; return how many were inserted.

    :param columns: at least one is no `Same`.
    :param unless: a unique column (SQLite only): rows whose value in it is there already are passed over.
    """
    lengths = {len(values) for _, _, values in columns if not isinstance(values, Same)}
    if len(lengths) != 1:
        raise ValueError("columns of unlike length")
    (count,) = lengths
    if not on_postgres(connection):
        return _insert_in_file(connection, table, columns, count, unless)
    if unless:
        raise ValueError("a COPY passes no row over")
    pieces: list[Iterable[bytes]] = [repeat(struct.pack(">h", len(columns)))]
    for _, kind, values in columns:
        pieces += _packed(kind, values)
    body = b"".join(chain.from_iterable(zip(*pieces, strict=False)))
    _copy(connection, table, [name for name, _, _ in columns], body)
    return count


def _insert_in_file(connection: Connection, table: str, columns: Sequence[Column], count: int, unless: str) -> int:
    same = tuple(next(iter(_plains(kind, [one.value]))) for _, kind, one in columns if isinstance(one, Same))
    own = [tuple(_plains(kind, values)) for _, kind, values in columns if not isinstance(values, Same)]
    form = (table, tuple((name, isinstance(values, Same)) for name, _, values in columns), unless)
    whole, done = count - count % _ROWS_A_STATEMENT, 0
    # Slices of columns one after the other, as the numbered marks want them: no row is ever made in Python.
    for first, last, step in ((0, whole, _ROWS_A_STATEMENT), (whole, count, 1)):
        bound = [tuple(chain(same, *[one[at : at + step] for one in own])) for at in range(first, last, step)]
        if bound:
            done += connection.exec_driver_sql(_many(*form, step), bound).rowcount
    return done


@cache
def _many(table: str, columns: tuple[tuple[str, bool], ...], unless: str, rows: int) -> str:
    """Return an INSERT of several rows, whose marks are numbered: the `Same` ones first, then column after column."""
    same = sum(is_same for _, is_same in columns)
    first, starts, seen = same + 1, [], 0
    for _, is_same in columns:
        starts.append(seen + 1 if is_same else first)
        seen, first = seen + is_same, first + (0 if is_same else rows)
    values = [
        f"({', '.join(f'?{at + (0 if is_same else row)}' for (_, is_same), at in zip(columns, starts, strict=True))})"
        for row in range(rows)
    ]
    names = ", ".join(name for name, _ in columns)
    passing = f" ON CONFLICT ({unless}) DO NOTHING" if unless else ""
    return f"INSERT INTO {table} ({names}) VALUES {', '.join(values)}{passing}"


def insert_rows(
    connection: Connection, table: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows. For many thousands of them use `insert_columns`.

    :param columns: name and PostgreSQL type of each; a value's Python type must be the one that psycopg knows for it.
    """
    if not on_postgres(connection):
        statement = _insert(table, tuple(name for name, _ in columns))
        connection.exec_driver_sql(statement, rows if isinstance(rows, list) else list(rows))
        return
    from pdms.db.postgres import quiet

    raw: Any = connection.connection.driver_connection
    names = ", ".join(name for name, _ in columns)
    with quiet(), raw.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types([kind for _, kind in columns])
        write = copy.write_row
        for row in rows:
            write(row)


def one_of(connection: Connection, values: Sequence[bytes], *, width: int) -> tuple[str, tuple[Any, ...]]:
    """Return what follows `column` in a condition that it is one of many values of one width, and what to bind.

    On PostgreSQL they go as one string of bytes that the server cuts: a mark or an array element for each costs more
    than the search itself.
    """
    if not on_postgres(connection):
        return f"IN ({','.join('?' * len(values))})", tuple(values)
    return f"= ANY(ARRAY(SELECT {cut(width)}))", (b"".join(values), len(values) - 1)


def cut(width: int) -> str:
    """Return PostgreSQL's select list and source for the parts of one string of bytes; binds it and the last number."""
    part = f"substring(whole FROM at * {width} + 1 FOR {width})"
    return f"{part} FROM (SELECT ?::bytea AS whole) AS w, generate_series(0, ?) AS at"


def _copy(connection: Connection, table: str, names: Sequence[str], body: bytes) -> None:
    from pdms.db.postgres import quiet

    raw: Any = connection.connection.driver_connection
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
    whole = memoryview(_HEAD + body + _TAIL)
    with quiet(), raw.cursor() as cursor, cursor.copy(statement) as copy:
        for at in range(0, len(whole), _PIECE):
            copy.write(whole[at : at + _PIECE])


def _packed(kind: str, values: Sequence[Any] | Same) -> list[Iterable[bytes]]:
    if isinstance(values, Same):
        if values.value is None:
            return [repeat(_NULL)]
        return [repeat(next(iter(one))) for one in _packed(kind, [values.value])]
    if kind == "bytea":
        return [map(_length, map(len, values)), values]
    return [map(_PACK[kind], values)]


def _text(value: str) -> bytes:
    data = value.encode()
    return _length(len(data)) + data


@lru_cache(maxsize=8192)
def _date(value: str | None) -> bytes:
    return _NULL if value is None else _int4(4, date.fromisoformat(value).toordinal() - _EPOCH.toordinal())


def _timestamp(value: datetime) -> bytes:
    since = value - _EPOCH
    return _int8(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


_PACK: Final[dict[str, Callable[[Any], bytes]]] = {
    "int4": lambda value: _int4(4, value),
    "int8": lambda value: _int8(8, value),
    "text": _text,
    "date": _date,
    "timestamp": _timestamp,
}


def _plains(kind: str, values: Sequence[Any]) -> Iterable[Any]:
    """Return values as SQLite's driver stores them."""
    if kind == "timestamp":
        return [value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") for value in values]
    return values


@cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
