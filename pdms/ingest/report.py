"""Rejected rows, whole, for whoever mends the file: written only where asked, outside the home, readable by the owner.

The stored report has row, field and rule. This file has a person's data; it is the operator's to delete.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from pdms.disk import taken
from pdms.errors import InvalidInput
from pdms.ingest.inspect import Format, Inspection, open_bytes, open_text
from pdms.ingest.readers import Rejected, batches
from pdms.settings import Home

HEADER = ("row", "field", "rule")


def check_outside(path: Path, home: Home) -> None:
    """Refuse a place inside the home, one whose folder is missing, and one that is taken.

    :raises InvalidInput: REPORT_INSIDE_HOME, REPORT_FOLDER. :raises Conflict: FILE_EXISTS.
    """
    target = path.resolve()
    if target.is_relative_to(home.root.resolve()):
        raise InvalidInput("rejected rows: they hold personal data and go outside the home", code="REPORT_INSIDE_HOME")
    if not target.parent.is_dir():
        raise InvalidInput("rejected rows: their folder does not exist", code="REPORT_FOLDER")
    if target.exists():
        raise taken()


def write_rejected(path: Path, source_file: Path, found: Inspection, *, rows: Iterable[Rejected]) -> int:
    """Write the rejected rows as CSV: row, field, rule, then the record's own cells; return how many."""
    wanted = {one.row: one for one in rows}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    written = 0
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*HEADER, *(("record",) if found.format is Format.JSON_LINES else found.columns)])
        for number, cells in _records(source_file, found, wanted):
            one = wanted[number]
            writer.writerow([one.row, one.field, one.rule, *cells])
            written += 1
    return written


def _records(path: Path, found: Inspection, wanted: Mapping[int, Rejected]) -> Iterator[tuple[int, list[str]]]:
    if found.format is Format.CSV:
        with open_text(path, found.encoding) as text:
            records = filter(None, csv.reader(text, delimiter=found.delimiter))
            for number, record in enumerate(islice(records, 1, None), 1):
                if number in wanted:
                    yield number, record
    elif found.format is Format.JSON_LINES:
        with open_bytes(path) as stream:
            for number, line in enumerate(filter(bytes.strip, stream), 1):
                if number in wanted:
                    yield number, [line.decode("utf-8", "replace").rstrip("\r\n")]
    else:
        for batch in batches(path, found, batch_rows=10_000):
            for at, number in enumerate(batch.numbers):
                if number in wanted:
                    yield number, [column[at] for column in batch.columns.values()]
