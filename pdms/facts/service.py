"""Facts of subjects: appended, merged, read, erased. Importing it loads no data library.

Guarantees: see `store` (durable, whole or not at all, one key one row), `compact`, `erase` (bytes gone). A pseudonym
is the only link to a member, and its other end lies in the vault. What lies here commits file by file and not with the
unit of work: callers write intent before and outcome after (design section 2).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pdms.facts.names import FactTable
from pdms.settings import Engine, Home
from pdms.taxonomy import Pseudonym

if TYPE_CHECKING:
    import pyarrow as pa

    from pdms.facts.compact import CompactResult
    from pdms.facts.read import FactsReader
    from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Rows given, and the version under which they lie."""

    rows: int
    version: int


@dataclass(frozen=True, slots=True)
class EraseResult:
    """Rows erased by table (an unmerged older version of a row counts too), and files written anew."""

    rows: dict[FactTable, int]
    files: int

    @property
    def total(self) -> int:
        """Rows erased in all tables."""
        return sum(self.rows.values())


def append(uow: "UnitOfWork", table: FactTable, rows: "pa.Table", *, load_id: str, batch: int) -> AppendResult:
    """Write one batch of a load. The same load and batch again replaces it; the same key again updates the row.

    `rows`: columns of `schemas.SCHEMAS[table]`; nullable ones may be absent. The last of equal keys counts.

    :raises InvalidInput: a column is unknown, missing, empty or of a type that does not fit.
    """
    from pdms.facts import store

    at_least = int(uow.now.timestamp() * 1_000_000)
    version = store.append_part(uow.home, table, rows, load_id=load_id, batch=batch, at_least=at_least)
    return AppendResult(rows=rows.num_rows, version=version)


def compact(home: Home, *, tables: Sequence[FactTable] | None = None) -> "CompactResult":
    """Merge what loads left into the buckets; call it when a load has ended."""
    from pdms.facts import compact as merging

    done = [merging.compact(home, table) for table in tables or tuple(FactTable)]
    return merging.CompactResult(
        parts=sum(one.parts for one in done),
        rows=sum(one.rows for one in done),
        buckets=sum(one.buckets for one in done),
    )


@contextmanager
def read(home: Home, *, memory_limit: str | None = None, threads: int | None = None) -> Iterator["FactsReader"]:
    """Open facts as Ibis tables on DuckDB until the block ends, within what the home says unless told otherwise.

    No file changes meanwhile: do not append inside the block.
    """
    from pdms.facts import read as reading

    limit, most = memory_limit or f"{home.reading.memory}MiB", threads or home.reading.threads
    with reading.open_reader(home, memory_limit=limit, threads=most) as reader:
        yield reader


@contextmanager
def compute(home: Home) -> Iterator["FactsReader"]:
    """Open facts as `read` does, on the engine that the settings name: for what touches every subject.

    :raises InvalidInput: the engine is not installed, or lacks its Java.
    """
    if home.reading.engine is Engine.DUCKDB:
        with read(home) as reader:
            yield reader
        return
    from pdms.facts.spark import open_spark

    with open_spark(home, home.reading) as other:
        yield other


def erase(home: Home, pseudonyms: Iterable[Pseudonym], *, tables: Sequence[FactTable] | None = None) -> EraseResult:
    """Erase every row of these pseudonyms from all tables, or from `tables`; their bytes are gone when it returns."""
    from pdms.facts import erase as erasing

    rows, files = erasing.erase(home, pseudonyms, tables or tuple(FactTable))
    return EraseResult(rows=rows, files=files)


def expire(home: Home, table: FactTable, *, before: datetime) -> int:
    """Erase every row of `table` whose time lies before an aware instant (PIPL-19); return how many."""
    from pdms.facts import erase as erasing

    return erasing.expire(home, table, before)


def of_subject(home: Home, pseudonym: Pseudonym) -> dict[FactTable, list[dict[str, object]]]:
    """Return every row held about one subject, by table, without the pseudonym (PIPL-45)."""
    from pdms.facts import read as reading

    return reading.of_subject(home, pseudonym)


def pseudonyms(home: Home) -> set[Pseudonym]:
    """Return every pseudonym that occurs; a sweep compares them with the vault's."""
    with read(home) as reader:
        found: set[Pseudonym] = set()
        for table in FactTable:
            column = reader.table(table).select("pseudonym").distinct().to_pyarrow()["pseudonym"]
            found.update(Pseudonym(value) for value in column.to_pylist())
    return found


def counts(home: Home) -> dict[FactTable, int]:
    """Return the number of rows by table."""
    with read(home) as reader:
        return {table: int(reader.table(table).count().to_pyarrow().as_py()) for table in FactTable}


@dataclass(frozen=True, slots=True)
class Held:
    """What tables hold, from the footers of their files; a row that was said again and not merged yet counts twice."""

    rows: int
    bytes: int


def sizes(home: Home, tables: Sequence[FactTable]) -> Held:
    """Return rows and bytes of `tables` together, without reading them."""
    from pdms.facts import store

    with store.locked(home, exclusive=False):
        files = [path for table in tables for path in store.Folder.of(home, table).files()]
        return Held(rows=sum(map(store.rows_of, files)), bytes=sum(path.stat().st_size for path in files))
