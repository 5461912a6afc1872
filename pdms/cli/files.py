"""Files that commands read and write."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pdms.errors import InvalidInput
from pdms.settings import Home

LARGEST_DOCUMENT = 1 << 20
LARGEST_RELEASE = 1 << 30


def file_format(path: Path) -> Literal["parquet", "csv"]:
    """Return the format that a file's ending names. :raises InvalidInput: another ending."""
    if path.suffix == ".parquet":
        return "parquet"
    if path.suffix == ".csv":
        return "csv"
    raise InvalidInput("path: ends in .csv or .parquet")


def release_format(path: Path) -> Literal["parquet", "csv", "arrow"]:
    """Return the format of a release's rows that a file's ending names. :raises InvalidInput: another ending."""
    if path.suffix == ".arrow":
        return "arrow"
    if path.suffix in (".parquet", ".csv"):
        return file_format(path)
    raise InvalidInput("path: ends in .parquet, .csv or .arrow")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, readable by its owner only. :raises InvalidInput: it exists."""
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            file.write(content)
    except FileExistsError:
        raise InvalidInput("path: the file exists already") from None
    except OSError as error:
        raise InvalidInput(f"path: cannot be written ({error.strerror})") from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, whole or not at all, as a document that others may read.

    :raises InvalidInput: it exists, or its folder does not.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, it never replaces
        finally:
            draft.unlink()
    except FileExistsError:
        raise InvalidInput("path: the file exists already") from None
    except OSError as error:
        raise InvalidInput(f"path: cannot be written ({error.strerror})") from None


def outside_home(path: Path, home: Home) -> None:
    """Refuse a place inside the home: what was given out is no part of what is kept. :raises InvalidInput: it is."""
    root = home.root.resolve()
    place = path.resolve()
    if place == root or root in place.parents:
        raise InvalidInput("path: a file that is given out lies outside the home")


def read_text(path: Path) -> str:
    """Read a small document. :raises InvalidInput: it is missing, too large, or not UTF-8."""
    try:
        return read_small(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput("file: not UTF-8") from None


def read_small(path: Path) -> bytes:
    """Read a small file. :raises InvalidInput: it is missing, too large, or cannot be read."""
    return read_bounded(path, most=LARGEST_DOCUMENT)


def read_bounded(path: Path, *, most: int) -> bytes:
    """Read a file of `most` bytes (whole MiB) at most. :raises InvalidInput: missing, too large, or unreadable."""
    with readable(), path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InvalidInput(f"file: larger than {most >> 20} MiB")
    return content


@contextmanager
def readable() -> Iterator[None]:
    """Tell of a file that cannot be read as of any wrong input."""
    try:
        yield
    except FileNotFoundError:
        raise InvalidInput("file: not found") from None
    except OSError as error:
        raise InvalidInput(f"file: cannot be read ({error.strerror})") from None
