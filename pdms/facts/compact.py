"""Compaction: parts merged into the one base file of each bucket.

Guarantees: readers see the same rows before, after and between; killed anywhere and run again it ends in the same
files, since a merge takes the latest version of each key and parts leave in the order of their versions, oldest first.
Memory stays bounded: parts are merged a slice at a time, a bucket at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.facts.schemas import KEYS, VERSION, stored_schema
from pdms.settings import Home

SLICE_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class CompactResult:
    """What a compaction did: parts merged, rows they held, bucket files written."""

    parts: int
    rows: int
    buckets: int


def compact(home: Home, table: FactTable) -> CompactResult:
    """Merge every part of `table` into its buckets."""
    merged = rows = buckets = 0
    with store.locked(home, exclusive=True):
        store.remove_strays(home)
        folder = store.Folder.of(home, table)
        for slice_ in _slices(folder.parts()):
            arrived = pa.concat_tables([store.read_file(path, table) for path in slice_])
            # Only the order is sorted, and each bucket's rows are taken by it: no second copy of the slice.
            bucket_of = store.first_bytes(arrived) >> 2
            order = np.argsort(bucket_of, kind="stable")
            borders = np.searchsorted(bucket_of[order], np.arange(store.BUCKETS + 1), side="left")
            for bucket in range(store.BUCKETS):
                places = order[int(borders[bucket]) : int(borders[bucket + 1])]
                if len(places):
                    _merge(folder.base(bucket), table, arrived.take(pa.array(places)))
                    buckets += 1
            for path in slice_:
                store.remove_file(path)
            merged += len(slice_)
            rows += arrived.num_rows
    return CompactResult(parts=merged, rows=rows, buckets=buckets)


def _slices(parts: list[Path]) -> Iterator[list[Path]]:
    """Cut the parts, oldest version first, into lists of about `SLICE_ROWS` rows."""
    held: list[Path] = []
    size = 0
    for path in sorted(parts, key=store.version_of):
        held.append(path)
        size += store.rows_of(path)
        if size >= SLICE_ROWS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _merge(base: Path, table: FactTable, arrived: pa.Table) -> None:
    schema, keys = stored_schema(table), KEYS[table]
    rows = arrived.select(schema.names).cast(schema)
    if base.exists():
        rows = pa.concat_tables([store.read_file(base, table).select(schema.names).cast(schema), rows])
    order = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in (*keys, VERSION)])
    rows = rows.take(order).combine_chunks()
    store.write_file(base, rows.filter(_last_of_its_key(rows, keys)))


def _last_of_its_key(rows: pa.Table, keys: Sequence[str]) -> pa.Array:
    """Tell for rows in the order of keys and version which are the latest of theirs: the next has another key."""
    here, following = rows.slice(0, rows.num_rows - 1), rows.slice(1)
    other = [pc.not_equal(here[name], following[name]).combine_chunks() for name in keys]
    last = other[0]
    for one in other[1:]:
        last = pc.or_(last, one)
    return pa.concat_arrays([last, pa.array([True])])
