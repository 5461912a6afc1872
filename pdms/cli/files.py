"""Files that commands read and write."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pdms.cli.face import Face
from pdms.disk import bear_name, not_read, not_written, taken
from pdms.errors import InvalidInput, NotFound, Unauthenticated
from pdms.settings import Home

ENDINGS = (".csv", ".tsv", ".txt", ".yaml", ".yml", ".json")
"""Of files that a name may stand for as well; what else holds a dot is a name as VIEW.FEATURE is."""
LARGEST_DOCUMENT = 1 << 20
LARGEST_RELEASE = 1 << 30


def names_file(text: str) -> bool:
    """Tell whether a word that may be a name or a path is a path: it exists, or is written as none but paths are."""
    return os.path.lexists(text) or "/" in text or Path(text).suffix in ENDINGS


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


@contextmanager
def new_file(path: Path, *, home: Home) -> Iterator[Callable[[bytes], None]]:
    """Make sure, before an act that cannot be repeated, that its result can be written; yield what writes it.

    The file must not exist yet and lies outside the home; it is there whole or not at all, readable by its owner only.

    :raises Conflict: it exists, at the beginning, or was made meanwhile. :raises InvalidInput: it lies in the home, its
        folder takes no file, or the disk is full.
    """
    outside_home(path, home)
    if os.path.lexists(path):
        raise taken()
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    with _writing():
        file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(content: bytes) -> None:
        with _writing():
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            bear_name(draft, path)

    try:
        yield write
    finally:
        with suppress(OSError):  # what could not be written was told by `write`
            file.close()
        draft.unlink(missing_ok=True)


@contextmanager
def new_file_if(path: Path | None, *, home: Home) -> Iterator[Callable[[bytes], None]]:
    """Like `new_file`, for a file that need not be asked for: without a path nothing is written."""
    if path is None:
        yield lambda _: None
    else:
        with new_file(path, home=home) as write:
            yield write


def write_new(path: Path, content: bytes, *, home: Home) -> None:
    """Write a file that must not exist yet, as `new_file` says."""
    with new_file(path, home=home) as write:
        write(content)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_written(error) from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, whole or not at all, as a document that others may read.

    :raises Conflict: it exists. :raises InvalidInput: its folder does not.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _writing():
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            bear_name(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def outside_home(path: Path, home: Home) -> None:
    """Refuse a place inside the home: what was given out is no part of what is kept. :raises InvalidInput: it is."""
    root = home.root.resolve()
    place = path.resolve()
    if place == root or root in place.parents:
        raise InvalidInput("path: a file that is given out lies outside the home")


def read_text(path: Path) -> str:
    """Read a small document. :raises NotFound: it is missing. :raises InvalidInput: too large, or not UTF-8."""
    try:
        return read_small(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput("file: not UTF-8") from None


def read_small(path: Path) -> bytes:
    """Read a small file. :raises NotFound: it is missing. :raises InvalidInput: it is too large, or cannot be read."""
    return read_bounded(path, most=LARGEST_DOCUMENT)


def read_bounded(path: Path, *, most: int) -> bytes:
    """Read a file of `most` bytes (whole MiB) at most. :raises NotFound: missing. :raises InvalidInput: larger."""
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
    except OSError as error:
        raise not_read(error) from None


@contextmanager
def or_a_file(face: Face) -> Iterator[None]:
    """Say of a name that is unknown, or that only a key may ask for, that there is no file of that name either."""
    face.app  # noqa: B018 - that there is no home is told as it is
    try:
        yield
    except (NotFound, Unauthenticated) as error:
        raise type(error)(f"{error.message}; nor is there a file of that name", code=error.code) from None
