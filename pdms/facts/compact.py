"""Compaction: parts merged into the one base file of each bucket.

Guarantees: readers see the same rows before, after and between; killed anywhere and run again it ends in the same
files, since a merge takes the latest version of each key and parts leave after the last bucket is merged, oldest first.
Memory stays bounded: the parts are read a run of buckets at a time, and each bucket is written once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.facts.schemas import KEYS, VERSION, stored_schema
from pdms.settings import Home

RUN_ROWS = 60_000


@dataclass(frozen=True, slots=True)
class CompactResult:
    """What a compaction did: parts merged, rows they held, bucket files written."""

    parts: int
    rows: int
    buckets: int


def compact(home: Home, table: FactTable) -> CompactResult:
    """Merge every part of `table` into its buckets."""
    buckets = 0
    with store.locked(home, exclusive=True):
        store.remove_strays(home)
        folder = store.Folder.of(home, table)
        parts = sorted(folder.parts(), key=store.version_of)
        rows = sum(map(store.rows_of, parts))
        for run in _runs(rows):
            for bucket, arrived in _arrived(parts, table, run):
                _merge(folder.base(bucket), table, arrived)
                buckets += 1
        for path in parts:
            store.remove_file(path)
    return CompactResult(parts=len(parts), rows=rows, buckets=buckets)


def _runs(rows: int) -> list[range]:
    """Cut the buckets into runs of about `RUN_ROWS` rows each: pseudonyms are random, so that buckets are alike."""
    number = min(store.BUCKETS, -(-rows // RUN_ROWS))
    edges = [store.BUCKETS * one // number for one in range(number + 1)] if number else []
    return [range(first, last) for first, last in pairwise(edges)]


def _arrived(parts: Sequence[Path], table: FactTable, run: range) -> Iterator[tuple[int, pa.Table]]:
    """Read the rows of a run of buckets from all parts; yield them bucket by bucket."""
    rows = pa.concat_tables([store.read_buckets(path, table, run) for path in parts])
    bucket_of = store.first_bytes(rows) >> 2
    order = np.argsort(bucket_of, kind="stable")
    borders = np.searchsorted(bucket_of[order], np.arange(run.start, run.stop + 1), side="left")
    for bucket, (first, last) in zip(run, pairwise(map(int, borders)), strict=True):
        if first < last:
            yield bucket, rows.take(pa.array(order[first:last]))


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
