"""The tables of one part on PostgreSQL as a stream of bytes and back (COPY), for backups.

Guarantees: what goes out is one committed state, as of the first statement (REPEATABLE READ, read only); writers are
not held up. Memory and disk stay flat: a table comes in pieces. What comes in is one transaction: all rows of a part or
none. A part that holds rows is never written to, unless they are what an earlier `load` left unfinished, or what a
`load` of the same name left: a restore that was cut off after its last step here and before its home had a name.
"""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, inspect

from pdms.db.postgres import quiet
from pdms.errors import Conflict, IntegrityBroken

PIECE_BYTES: Final = 1 << 26
STATE: Final = "alembic_version"
UNFINISHED: Final = "restore_unfinished"
"""A table without columns: it stands in a part as long as a restore into it has not come to its end."""
_BY: Final = "pdms restore "


@dataclass(frozen=True, slots=True)
class Tables:
    """What a part consists of."""

    revision: str
    tables: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and columns of each; what is referred to comes first."""
    sequences: Mapping[str, int]
    """`table.column` → the number given last; 0: none yet. A number of a row that is gone is never given again."""

    def to_json(self) -> bytes:
        """Return it as it stands in a backup."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> "Tables":
        """Read it. :raises IntegrityBroken: BACKUP_FORM."""
        try:
            parts = json.loads(raw)
            tables = tuple((str(name), tuple(map(str, columns))) for name, columns in parts["tables"])
            sequences = {str(name): int(last) for name, last in parts["sequences"].items()}
            return cls(str(parts["revision"]), tables, sequences)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise IntegrityBroken("backup: what it says of its tables is not readable", code="BACKUP_FORM") from None


def unload(engine: Engine) -> Generator[Tables | tuple[str, Iterator[bytes]], None, None]:
    """Give the description first, then name and pieces of each table (each piece at most `PIECE_BYTES`, or a row more).

    The pieces of a table must be taken before the next table.
    """
    with engine.execution_options(pdms_begin="DEFERRED").connect() as connection, connection.begin():
        described = describe(connection)
        yield described
        raw: Any = connection.connection.driver_connection
        for name, columns in described.tables:
            yield name, _pieces(raw, name, columns)


def describe(connection: Connection) -> Tables:
    """Return what a part consists of at this moment."""
    found = inspect(connection)
    names = [name for name, _ in found.get_sorted_table_and_fkc_names() if name not in (None, STATE, UNFINISHED)]
    tables = tuple((str(name), tuple(c["name"] for c in found.get_columns(str(name)))) for name in names)
    sequences = {}
    for table, column, sequence in _sequences(connection):
        last, called = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()
        sequences[f"{table}.{column}"] = int(last) if called else 0
    revision = connection.exec_driver_sql(f"SELECT version_num FROM {STATE}").scalar_one()
    return Tables(str(revision), tables, sequences)


def refuse_rows(engine: Engine, *, own: str) -> None:
    """Refuse a part that holds rows, unless an unfinished restore left them, or one of the name `own`.

    :raises Conflict: RESTORE_NOT_EMPTY.
    """
    with engine.begin() as connection:
        _refuse_rows(connection, own)


def clear(engine: Engine, *, own: str) -> None:
    """Remove the tables of a part that hold nothing, or only what a restore left; see `refuse_rows`."""
    with engine.begin() as connection:
        _drop(connection, _refuse_rows(connection, own))


def clear_own(engine: Engine, *, own: str) -> None:
    """Remove the tables of a part if it was a restore of the name `own` that filled them."""
    with engine.begin() as connection:
        names = inspect(connection).get_table_names()
        if _restored_by(connection, names) == own:
            _drop(connection, names)


def _refuse_rows(connection: Connection, own: str) -> list[str]:
    names = inspect(connection).get_table_names()
    if UNFINISHED not in names and _restored_by(connection, names) != own:
        for name in names:
            if name != STATE and connection.exec_driver_sql(f'SELECT 1 FROM "{name}" LIMIT 1').first() is not None:
                raise Conflict(
                    "database: it holds rows already; restore into an empty one (if these are of a restore that was"
                    " cut off, give that very command again, with the same --to)",
                    code="RESTORE_NOT_EMPTY",
                )
    return names


def _restored_by(connection: Connection, names: list[str]) -> str | None:
    """Return the name of the restore that filled a part; a part made by `init` has none."""
    if STATE not in names:
        return None
    told = connection.exec_driver_sql("SELECT obj_description(?::regclass, 'pg_class')", (STATE,)).scalar_one()
    return str(told).removeprefix(_BY) if told is not None else None


def _drop(connection: Connection, names: list[str]) -> None:
    for name in names:
        connection.exec_driver_sql(f'DROP TABLE "{name}" CASCADE')


def load(engine: Engine, described: Tables, content: Callable[[str], Iterable[bytes]], *, own: str) -> None:
    """Fill the empty tables of a part. :param content: bytes of a table, as `unload` gave them.

    :param own: name of the restore, in hexadecimal digits; it stays with the part.
    :raises IntegrityBroken: BACKUP_FORM: it tells of tables or columns that this part does not have.
    """
    with engine.begin() as connection:
        here = describe(connection)
        if {(n, frozenset(c)) for n, c in here.tables} != {(n, frozenset(c)) for n, c in described.tables}:
            raise IntegrityBroken("backup: its tables are not those of its revision", code="BACKUP_FORM")
        connection.exec_driver_sql(f"CREATE TABLE {UNFINISHED} ()")
        connection.exec_driver_sql(f"COMMENT ON TABLE {STATE} IS '{_BY}{bytes.fromhex(own).hex()}'")
        raw: Any = connection.connection.driver_connection
        for name, columns in described.tables:
            with quiet(), raw.cursor() as cursor, cursor.copy(_copy(name, columns, "FROM STDIN")) as copy:
                for piece in content(name):
                    copy.write(piece)
        for table, column, sequence in _sequences(connection):
            last = described.sequences.get(f"{table}.{column}", 0)
            connection.exec_driver_sql("SELECT setval(?::regclass, ?, ?)", (sequence, max(last, 1), last > 0))


def finish(engine: Engine) -> None:
    """Note that a restore came to its end: from here on the rows are safe from the next one."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {UNFINISHED}")


def _sequences(connection: Connection) -> list[tuple[str, str, str]]:
    found = connection.exec_driver_sql(
        "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)"
        " FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL ORDER BY 1, 2"
    )
    return [(str(table), str(column), str(sequence)) for table, column, sequence in found]


def _copy(table: str, columns: Iterable[str], where: str) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f'COPY "{table}" ({names}) {where} (FORMAT BINARY)'


def _pieces(raw: Any, table: str, columns: Iterable[str]) -> Iterator[bytes]:
    with quiet(), raw.cursor() as cursor, cursor.copy(_copy(table, columns, "TO STDOUT")) as copy:
        for piece in copy:
            yield bytes(piece)
