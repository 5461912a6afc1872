"""Reading facts: Ibis tables on a DuckDB that lives in memory only.

Guarantees: one key is one row, the latest; what spills goes below the home's spill folder and is gone when the reader
closes; no DuckDB database file exists; nothing is fetched from a network. A reader holds the lock shared: files do not
change under it.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pdms.errors import IntegrityBroken
from pdms.facts import store
from pdms.facts.names import MICROS, FactTable
from pdms.facts.schemas import KEYS, PSEUDONYM, SCHEMAS, VERSION, stored_schema
from pdms.facts.spill import wipe_orphans
from pdms.settings import Home
from pdms.taxonomy import Pseudonym


@dataclass(frozen=True, slots=True)
class FactsReader:
    """Facts opened for reading: `connection` is an Ibis backend, `table(...)` one of its tables.

    What computes stands behind `given`, `keep` and `fetch`; see `spark` for the other engine.
    """

    connection: Any = field(repr=False)

    def table(self, table: FactTable) -> Any:
        """Return an Ibis table of the latest row of each key, columns as in `SCHEMAS`."""
        return self.connection.table(str(table))

    def given(self, name: str, rows: pa.Table) -> Any:
        """Hand rows to the engine, and return them as an Ibis table."""
        self.connection.con.register(name, rows)
        return self.connection.table(name)

    def keep(self, name: str, expression: Any) -> Any:
        """Compute an expression once, into a temporary table of the engine, and return that."""
        return self.connection.create_table(name, expression, temp=True)

    def fetch(self, expression: Any) -> pa.Table:
        """Compute an expression and return its rows."""
        return self.connection.to_pyarrow(expression)


@contextmanager
def open_reader(home: Home, *, memory_limit: str, threads: int) -> Iterator[FactsReader]:
    """Open facts for reading by DuckDB; the lock is held, shared, until the block ends."""
    import duckdb
    import ibis

    with store.locked(home, exclusive=False):
        spill = own_spill(home)
        connection = ibis.duckdb.connect(
            ":memory:",
            temp_directory=str(spill),
            memory_limit=memory_limit,
            threads=threads,
            autoinstall_known_extensions=False,
            preserve_insertion_order=False,
        )
        try:
            connection.raw_sql(f"CREATE TEMP MACRO {MICROS}(instant) AS epoch_us(instant)")
            for table in FactTable:
                if store.Folder.of(home, table).files():
                    connection.raw_sql(f"CREATE VIEW {table} AS {_query(home, table)}")
                else:
                    connection.con.register(str(table), SCHEMAS[table].empty_table())
            yield FactsReader(connection=connection)
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException):
            # Not its message: a reader of files repeats what it found in them.
            raise IntegrityBroken("facts: a file is not readable as such", code="FACTS_FILE") from None
        except duckdb.Error as error:
            # Nor here: a value that cannot be converted is in it.
            kind = type(error).__name__
            raise IntegrityBroken(f"facts: DuckDB could not compute ({kind})", code="FACTS_DUCKDB") from None
        finally:
            connection.disconnect()
            shutil.rmtree(spill, ignore_errors=True)


def of_subject(home: Home, pseudonym: Pseudonym) -> dict[FactTable, list[dict[str, object]]]:
    """Return all rows of one subject as Python values, in time's order, without the pseudonym."""
    found: dict[FactTable, list[dict[str, object]]] = {}
    with store.locked(home, exclusive=False):
        for table in FactTable:
            folder = store.Folder.of(home, table)
            latest: dict[tuple[object, ...], dict[str, object]] = {}
            paths = [path for path in [folder.base(store.bucket_of(pseudonym)), *folder.parts()] if path.exists()]
            for path in paths:
                with store.readable(table), path.open("rb") as file:
                    rows = pq.read_table(
                        file, columns=stored_schema(table).names, filters=[(PSEUDONYM, "=", pseudonym)]
                    )
                for row in rows.to_pylist():
                    key = tuple(row[name] for name in KEYS[table])
                    if key not in latest or latest[key][VERSION] <= row[VERSION]:
                        latest[key] = row
            hidden = {PSEUDONYM, VERSION}
            found[table] = [
                {name: value for name, value in latest[key].items() if name not in hidden}
                for key in sorted(latest, key=repr)
            ]
    return found


def own_spill(home: Home) -> Path:
    """Make this reader's spill folder, and remove those of processes that are no more."""
    home.spill.mkdir(mode=0o700, parents=True, exist_ok=True)
    wipe_orphans(home)
    spill = home.spill / f"{os.getpid()}-{secrets.token_hex(4)}"
    spill.mkdir(mode=0o700)
    return spill


def _query(home: Home, table: FactTable) -> str:
    """Return SQL for the latest row of each key of `table`."""
    folder = store.Folder.of(home, table)
    columns, keys = store.listed(SCHEMAS[table].names), store.listed(KEYS[table])
    bases, parts = _files(folder.bases()), _files(folder.parts())
    if not parts:
        return f"SELECT {columns} FROM {bases}"
    latest = f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {VERSION} DESC) = 1"
    if not bases:
        return f"SELECT {columns} FROM {parts} {latest}"
    return (
        f"SELECT {columns} FROM {bases} ANTI JOIN (SELECT {keys} FROM {parts}) USING ({keys}) UNION ALL "
        f"SELECT {columns} FROM (SELECT * FROM {bases} SEMI JOIN (SELECT {keys} FROM {parts}) USING ({keys}) "
        f"UNION ALL BY NAME SELECT * FROM {parts}) {latest}"
    )


def _files(paths: list[Path]) -> str:
    if not paths:
        return ""
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{names}], hive_partitioning = false)"
