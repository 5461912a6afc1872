"""The first pass over a file: is it whole, what is it, what columns has it, which digest names its content.

Guarantees: whatever makes a file unreadable as such (wrong encoding, cut compression, broken Parquet, an open quote, a
cut last line) is found here, before anything is stored, and named by rule and place, never by value. Memory is bounded
by one block and one line. It does not judge rows: that is for the second pass, which rejects them one by one.
"""

import codecs
import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from pdms.disk import missing
from pdms.errors import Conflict, InvalidInput

BLOCK: Final = 1 << 20
MAX_LINE: Final = 16 << 20
"""Bytes of one line, and characters of one CSV field, beyond which a file is refused whole."""
MAX_COLUMNS: Final = 500
_LOOKS_UTF8: Final = 3
"""Decoded multi-byte characters after which a decoding error means damaged UTF-8, not another encoding."""
_SENTINEL: Final = "end of file"
_PRIVATE_USE: Final = re.compile("[\ue000-\uf8ff]")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_PARQUET_MAGIC: Final = b"PAR1"
_BOMS: Final = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))

# The default limit of 128 KB would stop the reader in the middle of a file; ours rejects the row instead.
csv.field_size_limit(MAX_LINE)


class Format(StrEnum):
    """Formats that can be read."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the first pass found."""

    format: Format
    encoding: str
    """`utf-8-sig` (with or without the mark) or `gb18030`; "" for Parquet."""
    delimiter: str
    columns: tuple[str, ...]
    rows: int
    digest: bytes
    """SHA-256 of the content, uncompressed; not stored as it is."""
    stamp: tuple[int, int]
    """Size and time of change: a file must not change between the passes."""


def inspect(path: Path) -> Inspection:
    """Read the file once and tell what it is.

    :raises NotFound: no such file. :raises InvalidInput: it cannot be read as any known format; code and place say why.
    """
    if not path.exists():
        raise missing()
    if not path.is_file():
        raise InvalidInput("file: not a regular file", code="NOT_A_FILE")
    stamp = stamp_of(path)
    if stamp[0] == 0:
        raise InvalidInput("file: empty", code="EMPTY_FILE")
    kind = _format(path)
    if kind is Format.PARQUET:
        found = _parquet(path)
    else:
        encoding, digest, ends_open = _scan_text(path)
        if kind is Format.JSON_LINES:
            columns, rows = _json_lines(path, encoding=encoding, ends_open=ends_open)
            delimiter = ""
        else:
            delimiter, columns, rows = _csv(path, encoding)
        found = Inspection(kind, encoding, delimiter, columns, rows, digest, stamp)
    if stamp_of(path) != stamp:
        raise Conflict("file: it changed while it was read", code="FILE_CHANGED")
    return found


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size and time of change."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, through gzip where its name ends so. :raises InvalidInput: BROKEN_GZIP, while reading."""
    with path.open("rb") as raw:
        if path.suffix.lower() != ".gz":
            yield raw
            return
        try:
            with gzip.open(raw, "rb") as stream:
                yield cast("IO[bytes]", stream)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInput("file: its compression is broken or cut off", code="BROKEN_GZIP") from error


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    """Open a file as text whose line ends are left alone (a quoted field may hold them)."""
    with open_bytes(path) as raw, TextIOWrapper(raw, encoding=encoding, errors="strict", newline="") as text:
        yield text


def _format(path: Path) -> Format:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    with open_bytes(path) as stream:
        start = stream.read(4096)
    if start[:4] == _PARQUET_MAGIC:
        return Format.PARQUET
    suffix = suffixes[-1] if suffixes else ""
    if suffix in {".parquet", ".pq"}:
        raise InvalidInput("file: not Parquet, though its name says so", code="BROKEN_PARQUET")
    for mark, name in _BOMS:
        if start.startswith(mark):
            raise InvalidInput(f"file: {name}; save it as UTF-8 or GB18030", code="ENCODING")
    if suffix in {".jsonl", ".ndjson", ".json"}:
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise InvalidInput("file: a JSON array; write one object on each line", code="NOT_JSON_LINES")
        return Format.JSON_LINES
    if suffix not in {".csv", ".tsv", ".txt"} and start.lstrip().startswith(b"{"):
        return Format.JSON_LINES
    return Format.CSV


def _scan_text(path: Path) -> tuple[str, bytes, bool]:
    """Return encoding, digest of the content, and whether the last line has no end."""
    digest = hashlib.sha256()
    utf8 = _Strict("utf-8")
    at, open_line, last = 0, 0, b""
    with open_bytes(path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
            if (nul := block.find(b"\0")) >= 0:
                raise InvalidInput(f"file: a NUL byte at byte {at + nul}; not a text file", code="ENCODING")
            utf8.feed(block, at)
            newline = block.rfind(b"\n")
            open_line = open_line + len(block) if newline < 0 else len(block) - newline - 1
            if open_line > MAX_LINE:
                raise InvalidInput(f"file: a line longer than {MAX_LINE} bytes before byte {at}", code="LINE_TOO_LONG")
            at += len(block)
            last = block
    utf8.feed(b"", at, final=True)
    if not at:
        raise InvalidInput("file: empty", code="EMPTY_FILE")
    encoding = "utf-8-sig"
    if utf8.failed_at is not None:
        encoding = "gb18030"
        if utf8.seen >= _LOOKS_UTF8 or not _is_gb18030(path):
            raise InvalidInput(
                f"file: not UTF-8 (byte {utf8.failed_at} is wrong) and not GB18030; its encoding is broken or another",
                code="ENCODING",
            )
    return encoding, digest.digest(), not last.endswith(b"\n")


def _is_gb18030(path: Path) -> bool:
    chinese = _Strict("gb18030")
    with open_bytes(path) as stream:
        while block := stream.read(BLOCK):
            chinese.feed(block, 0)
    chinese.feed(b"", 0, final=True)
    return chinese.failed_at is None and not chinese.private


class _Strict:
    """Decodes block by block, and remembers where it failed."""

    def __init__(self, encoding: str) -> None:
        self._decode = codecs.getincrementaldecoder(encoding)("strict").decode
        self.failed_at: int | None = None
        self.seen = 0
        self.private = False

    def feed(self, block: bytes, at: int, *, final: bool = False) -> None:
        if self.failed_at is not None:
            return
        try:
            text = self._decode(block, final)
        except UnicodeDecodeError as error:
            # positions count from the start of what the decoder held back plus this block
            held = len(error.object) - len(block)
            self.failed_at = at - held + error.start
            text = bytes(error.object[: error.start]).decode(error.encoding, "ignore")
        if not text.isascii():
            if self.seen < _LOOKS_UTF8:
                self.seen += sum(1 for _ in islice(_BEYOND_ASCII.finditer(text), _LOOKS_UTF8))
            self.private = self.private or _PRIVATE_USE.search(text) is not None


def _csv(path: Path, encoding: str) -> tuple[str, tuple[str, ...], int]:
    with open_text(path, encoding) as text:
        delimiter = _delimiter(text.readline(MAX_LINE))
    with open_text(path, encoding) as text:
        # A quote left open swallows all that follows, the sentinel too; so the last record tells.
        reader = csv.reader(chain(text, (_SENTINEL,)), delimiter=delimiter)
        row, record = -1, [""]
        try:
            columns = _header(next(reader))
            for record in reader:
                row += bool(record)
        except csv.Error:
            record = []
        if record != [_SENTINEL]:
            raise InvalidInput(
                f"file: after row {max(row, 0)} a quote is never closed, or a field has over {MAX_LINE} characters",
                code="UNCLOSED_QUOTE",
            )
    return delimiter, columns, row


def _delimiter(line: str) -> str:
    plain = re.sub(r'"[^"]*"', "", line)
    return max(",\t;", key=lambda mark: (plain.count(mark), mark == ","))


def _header(cells: list[str]) -> tuple[str, ...]:
    names = tuple(cell.strip().lstrip("\ufeff") for cell in cells)
    if not any(names):
        raise InvalidInput("file: its first line holds no column names", code="NO_HEADER")
    if len(names) > MAX_COLUMNS:
        raise InvalidInput(f"file: more than {MAX_COLUMNS} columns", code="TOO_MANY_COLUMNS")
    for position, name in enumerate(names, 1):
        if not name:
            raise InvalidInput(f"file: column {position} has no name", code="NO_HEADER")
        if names.index(name) != position - 1:
            raise InvalidInput(f"file: columns {names.index(name) + 1} and {position} share a name",
                               code="DUPLICATE_COLUMN")  # fmt: skip
    return names


def _json_lines(path: Path, *, encoding: str, ends_open: bool) -> tuple[tuple[str, ...], int]:
    if encoding != "utf-8-sig":
        raise InvalidInput("file: JSON is UTF-8 (RFC 8259, 8.1); this is not", code="ENCODING")
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    columns: dict[str, None] = {}
    rows, at, good = 0, 0, True
    with open_bytes(path) as stream:
        for line in stream:
            body = line.removeprefix(codecs.BOM_UTF8) if not at else line
            if body.strip():
                rows += 1
                try:
                    columns.update(dict.fromkeys(decode(body)))
                    good = True
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    good = False
                if len(columns) > MAX_COLUMNS:
                    raise InvalidInput(f"file: more than {MAX_COLUMNS} names", code="TOO_MANY_COLUMNS")
                if not good and ends_open and not line.endswith(b"\n"):
                    raise InvalidInput(f"file: cut off in row {rows}, which begins at byte {at}", code="TRUNCATED_JSON")
            at += len(line)
    if not columns:
        raise InvalidInput("file: no line holds a JSON object", code="NOT_JSON_LINES")
    return tuple(columns), rows


def _parquet(path: Path) -> Inspection:
    import pyarrow as pa
    import pyarrow.parquet as pq

    digest = hashlib.sha256()
    with open_bytes(path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    if path.suffix.lower() == ".gz":
        raise InvalidInput("file: Parquet is compressed inside; do not compress it again", code="BROKEN_PARQUET")
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            for batch in file.iter_batches(batch_size=1 << 16):  # every page, or damage would be met half-way
                row += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"file: broken Parquet after row {row}", code="BROKEN_PARQUET") from error
    for field in schema:
        if pa.types.is_nested(field.type):
            raise InvalidInput("file: a Parquet column holds lists or records", code="NESTED_VALUE")
    return Inspection(Format.PARQUET, "", "", _header(list(schema.names)), row, digest.digest(), stamp_of(path))
