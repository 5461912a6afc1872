"""The second pass: records in batches of columns of text, numbered, at bounded memory.

Guarantees: row 1 is the first record after the header; a record that breaks the file's own form is rejected by number
and rule while the rest goes on; no value is longer than one mebibyte. Values come out as the file has them (Parquet's
typed ones in ISO form); cleaning is `normalise`'s.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from pdms.errors import Conflict, InvalidInput
from pdms.ingest.inspect import Format, Inspection, inspect, open_bytes, open_text, stamp_of

T = TypeVar("T")

MAX_FIELD: Final = 1 << 20
"""Characters of one value."""
ROW: Final = "(row)"
"""Stands for the field where a whole record is wrong."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One rejected row: number, field (column) and rule. Never a value."""

    row: int
    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Consecutive records. `numbers` are those kept; all columns have their length."""

    number: int
    numbers: Sequence[int]
    columns: Mapping[str, Sequence[str]] = field(repr=False)
    rejected: Sequence[Rejected]
    read: int
    position: bytes = field(default=b"", repr=False)
    """Where a table's reading goes on after this batch; may be a person's number. Empty for files."""


def batches(path: Path, found: Inspection, *, batch_rows: int) -> Iterator[RawBatch]:
    """Read the records of an inspected file in batches of `batch_rows`, cut the same way each time.

    :raises Conflict: the file changed since it was inspected.
    """
    reading = {Format.CSV: _csv, Format.JSON_LINES: _json_lines, Format.PARQUET: _parquet}[found.format]
    for number, batch in enumerate(reading(path, found, batch_rows)):
        if stamp_of(path) != found.stamp:
            raise Conflict("file: it changed while it was read", code="FILE_CHANGED")
        yield _without_long(RawBatch(number, *batch))


def sample(path: Path, *, rows: int = 1000) -> dict[str, list[str]]:
    """Return the first values of each column, for looking at what a file holds.

    :raises InvalidInput: the file cannot be read; as in `inspect`.
    """
    found = inspect(path)
    for batch in batches(path, found, batch_rows=rows):
        return {name: list(values) for name, values in batch.columns.items()}
    return {name: [] for name in found.columns}


_Parts = tuple[Sequence[int], Mapping[str, Sequence[str]], Sequence[Rejected], int]


def _csv(path: Path, found: Inspection, batch_rows: int) -> Iterator[_Parts]:
    width, first = len(found.columns), 1
    with open_text(path, found.encoding) as text:
        records: Iterator[list[str]] = filter(None, csv.reader(text, delimiter=found.delimiter))
        next(records, None)
        while taken := list(islice(records, batch_rows)):
            numbers: Sequence[int] = range(first, first + len(taken))
            wrong: list[Rejected] = []
            kept = taken
            if set(map(len, taken)) != {width}:
                wrong = [
                    Rejected(n, ROW, "COLUMN_COUNT") for n, one in zip(numbers, taken, strict=True) if len(one) != width
                ]
                pairs = [(n, one) for n, one in zip(numbers, taken, strict=True) if len(one) == width]
                numbers, kept = [n for n, _ in pairs], [one for _, one in pairs]
            columns = zip(*kept, strict=True) if kept else ((),) * width
            yield numbers, dict(zip(found.columns, columns, strict=True)), wrong, len(taken)
            first += len(taken)


def _json_lines(path: Path, found: Inspection, batch_rows: int) -> Iterator[_Parts]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    first = 1
    with open_bytes(path) as stream:
        lines = filter(bytes.strip, stream)
        while taken := list(islice(lines, batch_rows)):
            if first == 1:
                taken[0] = taken[0].removeprefix(codecs.BOM_UTF8)
            numbers: list[int] = []
            wrong: list[Rejected] = []
            columns: dict[str, list[str]] = {name: [] for name in found.columns}
            for number, line in enumerate(taken, first):
                try:
                    record = decode(line)
                    texts = [_text(record.get(name)) for name in found.columns]
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    wrong.append(Rejected(number, ROW, "JSON_SYNTAX"))
                    continue
                except TypeError:
                    nested = next(n for n in found.columns if isinstance(record.get(n), (dict, list)))
                    wrong.append(Rejected(number, nested, "NESTED_VALUE"))
                    continue
                numbers.append(number)
                for column, value in zip(columns.values(), texts, strict=True):
                    column.append(value)
            yield numbers, columns, wrong, len(taken)
            first += len(taken)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError


def _parquet(path: Path, found: Inspection, batch_rows: int) -> Iterator[_Parts]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=batch_rows):
                columns = {name: _strings(column) for name, column in zip(found.columns, batch.columns, strict=True)}
                yield range(first, first + batch.num_rows), columns, (), batch.num_rows
                first += batch.num_rows
    except pa.ArrowException as error:
        raise InvalidInput(f"file: broken Parquet after row {first - 1}", code="BROKEN_PARQUET") from error


def _strings(column: Any) -> list[str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column.type, pa.DictionaryType):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        # numbers that are whole (ids with gaps come as doubles) lose their `.0`
        whole = pc.equal(column, pc.floor(column))
        if pc.all(whole).as_py() and pc.max(pc.abs(column)).as_py() is not None:
            biggest = pc.max(pc.abs(column)).as_py()
            if biggest < 2**53:
                column = column.cast(pa.int64())
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        finer = column.type.unit == "ns"  # what lies below a microsecond is cut off, as it is where no zone is named
        column = pc.strftime(column.cast(pa.timestamp("us", "UTC"), safe=not finer), format="%Y-%m-%dT%H:%M:%S+00:00")
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        try:
            column = column.cast(pa.string())
        except pa.ArrowException:
            raise InvalidInput("file: a Parquet column holds bytes that are not UTF-8", code="ENCODING") from None
    texts = column.cast(pa.large_string()) if not pa.types.is_null(column.type) else pa.nulls(len(column), pa.string())
    try:
        found: list[str] = pc.fill_null(texts, "").to_pylist()
    except UnicodeDecodeError:  # a column of text may hold anything: who writes Parquet does not always look
        raise InvalidInput("file: a Parquet column holds bytes that are not UTF-8", code="ENCODING") from None
    return found


def _without_long(batch: RawBatch) -> RawBatch:
    """Reject the rows that hold a value longer than the limit."""
    long: dict[int, str] = {}
    for name, values in batch.columns.items():
        if max(map(len, values), default=0) > MAX_FIELD:
            for at, value in enumerate(values):
                if len(value) > MAX_FIELD:
                    long.setdefault(at, name)
    if not long:
        return batch
    wrong = [Rejected(batch.numbers[at], name, "FIELD_TOO_LONG") for at, name in long.items()]
    keep = [at for at in range(len(batch.numbers)) if at not in long]
    return RawBatch(
        batch.number,
        pick(batch.numbers, keep),
        {name: pick(values, keep) for name, values in batch.columns.items()},
        [*batch.rejected, *wrong],
        batch.read,
    )


def pick(values: Sequence[T], at: Iterable[int]) -> list[T]:
    """Return the values at these places."""
    return [values[one] for one in at]
