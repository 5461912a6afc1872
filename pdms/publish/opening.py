"""Rows of a release taken from a file that may be anybody's, without unfolding what is not as signed.

Guarantees: Parquet, which may hold gigabytes in a thousand bytes, is read only where its bytes are the signed ones, and
of others the footer alone; Arrow and CSV take memory in proportion to the file: buffers that are compressed, or in
another place than their message, are not followed; rows are read only where there are as many as signed, into columns
of codes beside their distinct labels. Deliberately not here: what the rows reach.
"""

import csv
import hashlib
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdms.policy.measures import IDENTIFYING
from pdms.views.files import unguarded
from pdms.views.store import release_table_of

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"ARROW1\0\0"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a file holds: `rows` of them (None: it cannot be read), `wrong` with its columns ("": nothing).

    `table` is None where the rows were not read; they were read where nothing is wrong and as many are there as signed,
    Parquet only where `same`: its bytes are the signed ones.
    """

    rows: int | None
    wrong: str
    table: "pa.Table | None" = None
    same: bool = False


def opened(data: bytes, form: str, document: Mapping[str, Any]) -> Opened:
    """Open the rows of the release that `document` is the signed manifest of. Whatever is wrong is in the result."""
    import pyarrow as pa

    open_ = {"parquet": _parquet, "arrow": _arrow}.get(form, _csv)
    same = form == "parquet" and hashlib.sha256(data).hexdigest() == document["data_sha256"]
    try:
        return open_(data, document, same)
    except (
        pa.ArrowException, OSError, ValueError, IndexError, KeyError, TypeError, MemoryError, csv.Error, struct.error,
    ):  # fmt: skip
        return Opened(None, f"the rows cannot be read as {form}", same=same)


def _parquet(data: bytes, document: Mapping[str, Any], same: bool) -> Opened:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    rows, wrong = file.metadata.num_rows, _of_schema(file.schema_arrow, document)
    if wrong or not same or rows != document["rows"]:
        return Opened(rows, wrong, same=same)
    return _read(file.read(), same)


def _arrow(data: bytes, document: Mapping[str, Any], same: bool) -> Opened:
    """Read the messages one after another: the footer of a file may name one of them a thousand times over."""
    import pyarrow as pa

    if not data.startswith(MAGIC):
        raise ValueError
    messages = pa.py_buffer(data)[len(MAGIC) :]
    wrong = _of_schema(pa.ipc.open_stream(messages).schema, document)
    if wrong:
        return Opened(0, wrong)
    for message in pa.ipc.MessageReader.open_stream(messages):
        if message.type != "schema" and _compressed(message.metadata.to_pybytes(), message.type):
            raise ValueError
    table = pa.ipc.open_stream(messages).read_all()
    return _read(table, same) if table.num_rows == document["rows"] else Opened(table.num_rows, "")


def _compressed(metadata: bytes, kind: str) -> bool:
    """Tell whether a record batch, or a dictionary, has compressed buffers (Arrow's format/Message.fbs)."""
    batch = _field(metadata, struct.unpack_from("<I", metadata)[0], 2)
    if kind == "dictionary" and batch is not None:
        batch = _field(metadata, batch, 1)
    return batch is None or _field(metadata, batch, 3) is not None


def _field(buffer: bytes, table: int, place: int) -> int | None:
    """Return where the table lies that stands in a field of a FlatBuffers table; None where the field is absent."""
    entries = table - struct.unpack_from("<i", buffer, table)[0]
    (length,) = struct.unpack_from("<H", buffer, entries)
    offset = struct.unpack_from("<H", buffer, entries + 4 + 2 * place)[0] if 6 + 2 * place <= length else 0
    if not offset:
        return None
    at = table + int(offset)
    return at + int(struct.unpack_from("<I", buffer, at)[0])


def _csv(data: bytes, document: Mapping[str, Any], same: bool) -> Opened:
    import pyarrow as pa

    reader = csv.reader(io.StringIO(data.decode()), strict=True)
    header = next(reader, [])
    lines: list[list[str]] = []
    rows = 0
    for line in reader:
        if len(line) != len(header):
            raise ValueError
        rows += 1
        if rows <= document["rows"]:
            lines.append(line)
    wrong = _of_schema(pa.schema([(name, pa.string()) for name in header]), document)
    if wrong or rows != document["rows"]:
        return Opened(rows, wrong)
    columns = [pa.array([unguarded(line[place]) for line in lines], pa.string()) for place in range(len(header))]
    return _read(pa.table(columns, names=header), same)


def _read(table: "pa.Table", same: bool) -> Opened:
    table.validate(full=True)  # or a place that is none is read from memory that is another's
    if any(column.null_count for column in table.columns):
        return Opened(table.num_rows, "a column holds something other than labels", same=same)
    return Opened(table.num_rows, "", release_table_of(table), same)


def _of_schema(schema: "pa.Schema", document: Mapping[str, Any]) -> str:
    """Return what is wrong with the columns, by their names and types."""
    import pyarrow as pa

    wanted = [feature["name"] for feature in document["features"]]
    if schema.names != wanted:
        return "the columns are not the manifest's features: it is of another release"
    if set(wanted) & IDENTIFYING:
        return "a column is an identifier"
    plain = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in schema.types]
    return "" if all(pa.types.is_string(kind) for kind in plain) else "a column holds something other than labels"
