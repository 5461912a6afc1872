"""The canary search: are any of these strings in any file below a folder, however they are wrapped?

Looks at the raw bytes of every file (write-ahead logs included) for each string as UTF-8, UTF-16, GB18030, JSON
escapes, hexadecimal and base64 at every alignment; then opens gzip, zip, Parquet and SQLite and searches what they
hold, nested to a depth of four. It finds what is written, not what is encrypted: that is the point.

Usage: scripts/canary.py FOLDER STRING [STRING …]    exit 0: nothing found; 1: found, with file and form.
"""

import base64
import gzip
import io
import json
import sqlite3
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DEPTH = 4
SHORTEST = 6
"""Bytes below which a form is not looked for: shorter ones turn up in ciphertext by chance."""
LARGEST_OPENED = 1 << 30
CONTAINERS = (b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"SQLi")
"""How the files begin that are opened and searched inside."""


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """One string found: where, and in which form. Names the string by its number, so that a report repeats nothing."""

    path: str
    needle: int
    form: str


def forms(needle: bytes | str) -> dict[str, bytes]:
    """Return every byte form in which `needle` is looked for; bytes (a key, an id) have fewer than text."""
    if isinstance(needle, bytes):
        found = {"raw": needle, "hex": needle.hex().encode(), "HEX": needle.hex().upper().encode()}
        return found | _base64_forms(needle)
    raw = needle.encode()
    found = {
        "utf-8": raw,
        "utf-16-le": needle.encode("utf-16-le"),
        "utf-16-be": needle.encode("utf-16-be"),
        "gb18030": needle.encode("gb18030"),
        "json": json.dumps(needle)[1:-1].encode(),
        "hex": raw.hex().encode(),
        "percent": "".join(f"%{b:02X}" for b in raw).encode(),
    }
    return found | _base64_forms(raw)


def _base64_forms(raw: bytes) -> dict[str, bytes]:
    # Wherever raw starts within its group of three bytes, the characters that depend on it alone are one of three runs.
    found = {}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        first = (shift * 8 + 5) // 6
        last = (shift + len(raw)) * 8 // 6
        if last - first >= 6:
            found[f"base64+{shift}"] = text[first:last]
            found[f"base64url+{shift}"] = text[first:last].translate(bytes.maketrans(b"+/", b"-_"))
    return found


def search(folder: Path, needles: Iterable[bytes | str]) -> list[Hit]:
    """Search every file below `folder`, hidden ones too. Returns hits sorted by path."""
    patterns = _patterns(needles)
    hits: set[Hit] = set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        hits |= set(_in_bytes(str(path.relative_to(folder)), path.read_bytes(), patterns, depth=0))
        hits |= set(_in_text(str(path.relative_to(folder)) + " (name)", path.name.encode(), patterns))
    return sorted(hits)


def search_bytes(name: str, data: bytes, needles: Iterable[bytes | str]) -> list[Hit]:
    """Search one piece of bytes (a response, captured output) the same way."""
    return sorted(set(_in_bytes(name, data, _patterns(needles), depth=0)))


def _patterns(needles: Iterable[bytes | str]) -> list[tuple[int, str, bytes]]:
    unique: dict[bytes, tuple[int, str]] = {}
    for number, needle in enumerate(needles):
        for form, pattern in forms(needle).items():
            if len(pattern) >= SHORTEST:
                unique.setdefault(pattern, (number, form))
    return [(number, form, pattern) for pattern, (number, form) in unique.items()]


def _in_text(where: str, data: bytes, patterns: list[tuple[int, str, bytes]]) -> Iterator[Hit]:
    for number, form, pattern in patterns:
        if pattern in data:
            yield Hit(where, number, form)


def _in_bytes(where: str, data: bytes, patterns: list[tuple[int, str, bytes]], *, depth: int) -> Iterator[Hit]:
    yield from _in_text(where, data, patterns)
    if depth >= DEPTH:
        return
    for name, content in _opened(data):
        yield from _in_bytes(f"{where} > {name}", content, patterns, depth=depth + 1)


def _opened(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:2] == b"\x1f\x8b":
        yield from _gzip(data)
    elif data[:4] == b"PK\x03\x04":
        yield from _zip(data)
    elif data[:4] == b"PAR1":
        yield from _parquet(data)
    elif data[:16] == b"SQLite format 3\0":
        yield from _sqlite(data)


def _gzip(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            yield "gzip", stream.read(LARGEST_OPENED)
    except (OSError, EOFError, zlib.error):
        yield "gzip (damaged)", b""


def _zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                yield f"zip name {info.filename!r}", info.filename.encode()
                yield f"zip {info.filename!r}", archive.read(info)
    except (zipfile.BadZipFile, RuntimeError):  # RuntimeError: a member needs a password
        yield "zip (damaged or locked)", b""


def _parquet(data: bytes) -> Iterator[tuple[str, bytes]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except pa.ArrowException:
        yield "parquet (damaged)", b""
        return
    yield "parquet schema", str(table.schema).encode()
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        values = (value for value in column.unique().to_pylist() if value is not None)
        yield f"parquet column {name}", b"\0".join(v if isinstance(v, bytes) else str(v).encode() for v in values)


def _sqlite(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        copy.write_bytes(data)
        with sqlite3.connect(f"file:{copy}?immutable=1", uri=True) as connection:
            connection.text_factory = bytes
            try:
                tables = [
                    row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
                ]
                for table in tables:
                    plain = bytearray()
                    for row in connection.execute(f'SELECT * FROM "{table}"'):
                        for value in row:
                            content = value if isinstance(value, bytes) else str(value).encode()
                            if content[:4].startswith(CONTAINERS):
                                yield f"sqlite table {table}", content
                            plain += content + b"\0"
                    yield f"sqlite table {table}", bytes(plain)
            except sqlite3.DatabaseError:
                yield "sqlite (damaged)", b""


def summary(hits: list[Hit], needles: Mapping[int, str] | None = None) -> str:
    """Return the hits as text, naming each string by number or by the label given."""
    return "\n".join(f"{h.path}: string {(needles or {}).get(h.needle, h.needle)} as {h.form}" for h in hits)


def main() -> int:
    """Search from the command line."""
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    hits = search(Path(sys.argv[1]), sys.argv[2:])
    print(summary(hits) if hits else "nothing found")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
