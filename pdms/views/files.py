"""A release's rows as files to take away: Parquet as published, CSV for people, Arrow IPC for programs.

Guarantees: a file holds the release's rows, all of them and nothing else; no cell of a CSV is a formula to a
spreadsheet. Deliberately not here: who may have one (`service.export`).
"""

import csv
import io
from typing import TYPE_CHECKING, Literal, get_args

from pdms.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

ReleaseFormat = Literal["parquet", "csv", "arrow"]
MEDIA: dict[str, str] = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.file",
}
GUARD = "'"
"""Stands before a cell that a spreadsheet would run (OWASP, CSV injection)."""


def format_of(text: str) -> ReleaseFormat:
    """Return the format of that name. :raises InvalidInput: there is none."""
    for form in get_args(ReleaseFormat):
        if form == text:
            return form  # type: ignore[no-any-return]  # one of the literals
    raise InvalidInput("format: must be parquet, csv or arrow")


def content_of(table: "pa.Table", parquet: bytes, form: ReleaseFormat) -> bytes:
    """Return rows as a file; `parquet` are the published bytes, which are given out as they are."""
    if form == "parquet":
        return parquet
    return csv_bytes(table) if form == "csv" else arrow_bytes(table)


def csv_bytes(table: "pa.Table") -> bytes:
    """Return rows of labels as CSV in UTF-8 with a header line, formulas made harmless."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    columns = []
    for name in table.column_names:
        column = table[name].to_pylist()
        guarded = {label: guard(label) for label in set(column)}
        columns.append([guarded[label] for label in column])
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def arrow_bytes(table: "pa.Table") -> bytes:
    """Return rows as an Arrow IPC file, columns of plain text: readers without dictionaries read it too."""
    import pyarrow as pa

    plain = pa.table([table[name].cast(pa.string()) for name in table.column_names], names=table.column_names)
    out = io.BytesIO()
    with pa.ipc.new_file(out, plain.schema) as writer:
        writer.write_table(plain)
    return out.getvalue()


def guard(label: str) -> str:
    """Return a cell that no spreadsheet runs."""
    from pdms.anonymize.hierarchy_files import FORMULA

    return GUARD + label if FORMULA.match(label) or label.startswith(GUARD) else label


def unguarded(cell: str) -> str:
    """Return the label that `guard` made a cell of."""
    return cell.removeprefix(GUARD)
