"""The canary search must be able to find: one control file for every form and container it claims to open."""

import base64
import gzip
import sqlite3
import zipfile
from pathlib import Path

import pandas as pd
import pytest

NEEDLE = "林黛玉-kanarie-7431"
PLAIN = "13912345678"


def write_sqlite(path: Path, value: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (?)", (value,))
    connection.close()


def write_wal(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (v)")
    connection.execute("INSERT INTO t VALUES (?)", (NEEDLE,))
    connection.commit()
    wal = Path(f"{path}-wal").read_bytes()
    connection.close()
    path.unlink()
    path.with_suffix(".db-wal").write_bytes(wal)


CONTROLS = {
    "raw": lambda p: p.write_text(f"before {NEEDLE} after", "utf-8"),
    "utf-16-le": lambda p: p.write_bytes(f"x{NEEDLE}".encode("utf-16-le")),
    "utf-16-be": lambda p: p.write_bytes(f"x{NEEDLE}".encode("utf-16-be")),
    "gb18030": lambda p: p.write_bytes(NEEDLE.encode("gb18030")),
    "json": lambda p: p.write_text(ascii(NEEDLE).replace("'", '"')),
    "hex": lambda p: p.write_text(f"00{NEEDLE.encode().hex()}"),
    "base64-0": lambda p: p.write_bytes(base64.b64encode(NEEDLE.encode())),
    "base64-1": lambda p: p.write_bytes(base64.b64encode(b"a" + NEEDLE.encode() + b"zz")),
    "base64-2": lambda p: p.write_bytes(base64.b64encode(b"ab" + NEEDLE.encode() + b"z")),
    "base64url": lambda p: p.write_bytes(base64.urlsafe_b64encode(b"abcd" + NEEDLE.encode())),
    "gzip": lambda p: p.write_bytes(gzip.compress(NEEDLE.encode())),
    "zip": lambda p: zipped(p, NEEDLE.encode()),
    "parquet": lambda p: pd.DataFrame({"a": ["x" * 50, NEEDLE]}).to_parquet(p, compression="zstd"),
    "parquet in gzip in zip": lambda p: zipped(p, gzip.compress(parquet_bytes(p))),
    "sqlite text": lambda p: write_sqlite(p, NEEDLE),
    "sqlite gzip blob": lambda p: write_sqlite(p, gzip.compress(NEEDLE.encode() * 3)),
    "sqlite utf-16 blob": lambda p: write_sqlite(p, NEEDLE.encode("utf-16-le")),
    "sqlite write-ahead log": write_wal,
}


def zipped(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", content)


def parquet_bytes(path: Path) -> bytes:
    pd.DataFrame({"a": [NEEDLE]}).to_parquet(path, compression="snappy")
    return path.read_bytes()


@pytest.mark.parametrize("control", CONTROLS)
def test_control_file_is_found(control: str, tmp_path: Path, canary) -> None:
    CONTROLS[control](tmp_path / "control.db")
    hits = canary.search(tmp_path, ["not in any file at all", NEEDLE])
    assert {hit.needle for hit in hits} == {1}, control


def test_a_number_in_sqlite_is_found(tmp_path: Path, canary) -> None:
    write_sqlite(tmp_path / "n.db", int(PLAIN))
    assert canary.search(tmp_path, [PLAIN])


def test_raw_bytes_are_found_as_hex_and_base64(tmp_path: Path, canary) -> None:
    key = bytes(range(100, 116))
    (tmp_path / "a").write_text(key.hex())
    (tmp_path / "b").write_bytes(base64.b64encode(b"12" + key + b"3"))
    (tmp_path / "c").write_bytes(b"--" + key)
    assert {hit.path for hit in canary.search(tmp_path, [key])} == {"a", "b", "c"}


def test_a_file_name_is_searched(tmp_path: Path, canary) -> None:
    (tmp_path / f"{PLAIN}.log").write_text("nothing")
    assert canary.search(tmp_path, [PLAIN])


def test_clean_folder_gives_no_hit(tmp_path: Path, canary) -> None:
    (tmp_path / "a.txt").write_text("nothing to see")
    write_sqlite(tmp_path / "b.db", b"\x1f\x8bdamaged")
    assert canary.search(tmp_path, [NEEDLE, PLAIN]) == []
