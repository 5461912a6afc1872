"""Files of facts: parts as they arrive, one base file a bucket, and the lock over both.

Guarantees: a file appears whole or not at all (temporary name, fsync, rename, fsync of the folder); one key is one row
to every reader, the latest version; killed anywhere and run again, appending and compacting end in the same rows.
Bucket = upper six bits of the pseudonym's first byte, so that a bucket is one run of the pseudonyms' order.
Deliberately not a database file: what DuckDB deletes stays readable in its file, a renamed Parquet file is gone.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pdms.disk import sync_folder
from pdms.errors import Conflict, IntegrityBroken, InvalidInput
from pdms.facts.names import FactTable
from pdms.facts.schemas import KEYS, PSEUDONYM, SCHEMAS, VERSION, stored_schema
from pdms.settings import Home
from pdms.taxonomy import ID_BYTES

BUCKETS = 64
ROW_GROUP = 1 << 16
PART_GROUPS = 16
"""Row groups of a part: a compaction reads only those that hold the buckets it is at."""
LOCK_SECONDS = 60.0
LOAD_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def bucket_of(pseudonym: bytes) -> int:
    """Return the bucket of a pseudonym, 0 to 63."""
    return pseudonym[0] >> 2


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the files of one table lie."""

    root: Path

    @classmethod
    def of(cls, home: Home, table: FactTable) -> "Folder":
        """Return the folder of `table`."""
        return cls(home.facts / table)

    @property
    def incoming(self) -> Path:
        """Parts that no compaction has merged yet, one for each batch of a load."""
        return self.root / "incoming"

    def base(self, bucket: int) -> Path:
        """Return the one merged file of a bucket."""
        return self.root / f"bucket={bucket:02d}" / "base.parquet"

    def bases(self) -> list[Path]:
        """List the merged files that exist, in bucket order."""
        return [path for path in map(self.base, range(BUCKETS)) if path.exists()]

    def parts(self) -> list[Path]:
        """List the unmerged parts that exist, by name."""
        return sorted(self.incoming.glob("*.parquet")) if self.incoming.is_dir() else []

    def files(self) -> list[Path]:
        """List every data file."""
        return self.bases() + self.parts()


@contextmanager
def locked(home: Home, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of the facts folder: shared to read, exclusive to change files.

    :raises Conflict: others held it for a minute (code FACTS_LOCKED).
    """
    home.facts.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(home.facts / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(handle, mode | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Conflict("facts: another operation holds the folder", code="FACTS_LOCKED") from None
                time.sleep(0.005)
        yield
    finally:
        os.close(handle)


def write_file(path: Path, rows: pa.Table, *, row_group: int = ROW_GROUP) -> None:
    """Put `rows` at `path`, durably and at once; the file that was there is gone afterwards."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            pq.write_table(rows, file, compression="snappy", row_group_size=row_group)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file so that the removal survives a power cut."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def readable(table: FactTable) -> Iterator[None]:
    """Read files of `table` within. :raises IntegrityBroken: one is not a readable file of this table."""
    try:
        yield
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise IntegrityBroken(f"facts: a file of {table} is not readable as such", code="FACTS_FILE") from error


def read_file(path: Path, table: FactTable) -> pa.Table:
    """Read a data file whole.

    :raises IntegrityBroken: it is not a readable file of this table.
    """
    # a file opened by us, not a path: a path would have `bucket=NN` read as a column of its own
    with readable(table), path.open("rb") as file:
        return pq.read_table(file).select(stored_schema(table).names).cast(stored_schema(table))


def read_buckets(path: Path, table: FactTable, buckets: range) -> pa.Table:
    """Read from a part, sorted by pseudonym, at least the rows of a run of buckets; other rows may come along.

    :raises IntegrityBroken: it is not a readable file of this table.
    """
    metadata = footer_of(path)
    column = _place(metadata, PSEUDONYM)
    groups = [
        group
        for group in range(metadata.num_row_groups)
        if _may_meet(metadata.row_group(group).column(column).statistics, buckets)
    ]
    schema = stored_schema(table)
    if not groups:
        return schema.empty_table()
    with readable(table), path.open("rb") as file:
        return pq.ParquetFile(file).read_row_groups(groups, columns=schema.names).select(schema.names).cast(schema)


def _may_meet(pseudonyms: pq.Statistics | None, buckets: range) -> bool:
    if pseudonyms is None or not pseudonyms.has_min_max:
        return True
    return bucket_of(pseudonyms.min) < buckets.stop and bucket_of(pseudonyms.max) >= buckets.start


def remove_strays(home: Home) -> int:
    """Remove temporary files that a killed writer left. Call with the exclusive lock held."""
    strays = list(home.facts.rglob(".*.tmp"))
    for path in strays:
        remove_file(path)
    return len(strays)


def next_version(home: Home, *, at_least: int) -> int:
    """Return a version greater than every one before. Call with the exclusive lock held."""
    path = home.facts / ".version"
    try:
        before = int(path.read_text("ascii"))
    except FileNotFoundError:
        before = 0
    except ValueError as error:
        raise IntegrityBroken("facts: the version file is not a number", code="FACTS_VERSION") from error
    version = max(before + 1, at_least)
    temporary = path.with_name(f".version.{secrets.token_hex(4)}.tmp")
    temporary.write_text(str(version), "ascii")
    temporary.replace(path)
    return version


def append_part(home: Home, table: FactTable, rows: pa.Table, *, load_id: str, batch: int, at_least: int) -> int:
    """Write one batch as a part, over the part of the same name; return its version."""
    if not LOAD_ID.fullmatch(load_id) or batch < 0:
        raise InvalidInput("facts: load_id must be letters, digits and hyphens, batch a number from 0 on")
    part = _last_of_each_key(table, conform(table, rows))
    part = part.take(pc.sort_indices(part, sort_keys=[(PSEUDONYM, "ascending")]))
    with locked(home, exclusive=True):
        version = next_version(home, at_least=at_least)
        part = part.append_column(
            stored_schema(table).field(VERSION), pa.array(np.full(part.num_rows, version, dtype=np.int64))
        )
        if part.num_rows:
            path = Folder.of(home, table).incoming / f"{load_id}-{batch:08d}.parquet"
            write_file(path, part, row_group=max(1, -(-part.num_rows // PART_GROUPS)))
    return version


def conform(table: FactTable, rows: pa.Table) -> pa.Table:
    """Return `rows` with exactly the table's columns and types. :raises InvalidInput: naming column and rule."""
    schema = SCHEMAS[table]
    unknown = sorted(set(rows.column_names) - set(schema.names))
    if unknown:
        raise InvalidInput(f"facts: {table} has no column {unknown[0]}")
    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            if not field.nullable:
                raise InvalidInput(f"facts: {table} needs the column {field.name}")
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = rows[field.name]
        if isinstance(column.type, pa.DictionaryType):
            column = column.cast(column.type.value_type)
        if not field.nullable and column.null_count:
            raise InvalidInput(f"facts: {field.name} of {table} must not be empty")
        if field.name == PSEUDONYM and column.type != field.type and len(column):
            lengths = pc.min_max(pc.binary_length(column)).as_py()
            if lengths != {"min": ID_BYTES, "max": ID_BYTES}:
                raise InvalidInput(f"facts: {PSEUDONYM} of {table} must be 16 bytes")
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowException:
            raise InvalidInput(f"facts: {field.name} of {table} does not fit {field.type}") from None
    return pa.table(columns, schema=schema).combine_chunks()


def first_bytes(rows: pa.Table) -> NDArray[np.uint8]:
    """Return the first byte of each row's pseudonym, uint8 [rows]."""
    if not rows.num_rows:
        return np.empty(0, dtype=np.uint8)
    column = rows[PSEUDONYM].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    raw = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return raw.reshape(-1, ID_BYTES)[column.offset : column.offset + len(column), 0]


def _last_of_each_key(table: FactTable, rows: pa.Table) -> pa.Table:
    keys = list(KEYS[table])
    numbered = rows.select(keys).append_column("row", pa.array(np.arange(rows.num_rows, dtype=np.int64)))
    last = numbered.group_by(keys, use_threads=False).aggregate([("row", "max")])["row_max"]
    return rows if len(last) == rows.num_rows else rows.take(last.sort())


def footer_of(path: Path) -> pq.FileMetaData:
    """Return the footer of a data file. :raises IntegrityBroken: it has none that can be read."""
    try:
        return pq.read_metadata(path)
    except pa.ArrowException as error:
        raise IntegrityBroken("facts: a file is not readable as such", code="FACTS_FILE") from error


def rows_of(path: Path) -> int:
    """Return the number of rows of a data file, from its footer."""
    return int(footer_of(path).num_rows)


def version_of(path: Path) -> int:
    """Return the version of a part (all rows of a part share it), from its footer.

    :raises IntegrityBroken: it is no part of ours.
    """
    metadata = footer_of(path)
    column = _place(metadata, VERSION)
    found = metadata.row_group(0).column(column).statistics if metadata.num_row_groups else None
    if found is None or not found.has_min_max or not isinstance(found.max, int):
        raise IntegrityBroken("facts: a part does not say its version", code="FACTS_FILE")
    return int(found.max)


def _place(metadata: pq.FileMetaData, name: str) -> int:
    try:
        return int(metadata.schema.names.index(name))
    except ValueError:
        raise IntegrityBroken(f"facts: a file lacks the column {name}", code="FACTS_FILE") from None


def listed(names: Iterable[str]) -> str:
    """Return column names as an SQL list, quoted: `at` is a keyword."""
    return ", ".join(f'"{name}"' for name in names)
