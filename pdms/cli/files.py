"""Files that commands read and write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pdms.errors import InvalidInput

LARGEST_DOCUMENT = 1 << 20


def file_format(path: Path) -> Literal["parquet", "csv"]:
    """Return the format that a file's ending names. :raises InvalidInput: another ending."""
    if path.suffix == ".parquet":
        return "parquet"
    if path.suffix == ".csv":
        return "csv"
    raise InvalidInput("path: ends in .csv or .parquet")


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


def read_text(path: Path) -> str:
    """Read a small document. :raises InvalidInput: it is missing, too large, or not UTF-8."""
    try:
        return read_small(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput("file: not UTF-8") from None


def read_small(path: Path) -> bytes:
    """Read a small file. :raises InvalidInput: it is missing, too large, or cannot be read."""
    with readable(), path.open("rb") as file:
        content = file.read(LARGEST_DOCUMENT + 1)
    if len(content) > LARGEST_DOCUMENT:
        raise InvalidInput("file: larger than 1 MiB")
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
