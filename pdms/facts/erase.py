"""Erasure from facts: the files that hold a pseudonym are written anew without it.

Guarantees: when `erase` returns, no file below the facts folder and no spill file holds a row of the pseudonyms,
merged, unmerged or half-written; the second call finds nothing and changes nothing. Killed in the middle, a second call
ends it.
Deliberately not claimed: that the disk's freed blocks are overwritten; that is the disk encryption's duty.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.facts.schemas import PSEUDONYM, TIMES, stored_schema
from pdms.facts.spill import wipe_spill
from pdms.settings import Home
from pdms.taxonomy import ID_BYTES, Pseudonym


def erase(home: Home, pseudonyms: Iterable[Pseudonym], tables: Iterable[FactTable]) -> tuple[dict[FactTable, int], int]:
    """Erase every row of `pseudonyms`; return rows erased by table and the number of files rewritten."""
    gone = sorted(set(pseudonyms))
    counts: dict[FactTable, int] = {}
    files = 0
    wanted = pa.array(gone, pa.binary(ID_BYTES))

    def keep(rows: pa.Table) -> pa.Array:
        return pc.invert(pc.is_in(rows[PSEUDONYM], value_set=wanted))

    with store.locked(home, exclusive=True):
        store.remove_strays(home)
        wipe_spill(home)
        for table in tables:
            folder = store.Folder.of(home, table)
            bases = [folder.base(bucket) for bucket in sorted({store.bucket_of(p) for p in gone})]
            touched = [path for path in [*bases, *folder.parts()] if path.exists() and _may_hold(path, gone)]
            counts[table] = 0
            for path in touched:
                erased = _rewrite(path, table, keep)
                counts[table] += erased
                files += erased > 0
    return counts, files


def expire(home: Home, table: FactTable, before: object) -> int:
    """Erase every row of `table` whose time lies before an aware instant; return how many."""
    edge = pa.scalar(before, stored_schema(table).field(TIMES[table]).type)
    with store.locked(home, exclusive=True):
        store.remove_strays(home)
        wipe_spill(home)
        return sum(
            _rewrite(path, table, lambda rows: pc.greater_equal(rows[TIMES[table]], edge))
            for path in store.Folder.of(home, table).files()
        )


def _rewrite(path: Path, table: FactTable, keep: Callable[[pa.Table], pa.Array]) -> int:
    rows = store.read_file(path, table)
    kept = rows.filter(keep(rows))
    if kept.num_rows == rows.num_rows:
        return 0
    if kept.num_rows:
        store.write_file(path, kept)
    else:
        store.remove_file(path)
    return int(rows.num_rows - kept.num_rows)


def _may_hold(path: Path, gone: list[Pseudonym]) -> bool:
    """Tell from the footer whether a file, sorted by pseudonym, can hold one of `gone`."""
    metadata = store.footer_of(path)
    column = metadata.schema.names.index(PSEUDONYM)
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        first = bisect_left(gone, statistics.min)
        if first < len(gone) and gone[first] <= statistics.max:
            return True
    return False
